//! Decoders: secrets that do not stand there in plain.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use overdue_detect::FingerprintKey;

use crate::kit::{KEY, deflated, env, example, gaps, scan, seen, token};

const PAT: &str = "github.pat";

/// The one detection in it is `rule`'s, and of this secret.
fn one(text: &[u8], rule: &str, secret: &[u8], decoded: &str) {
    let scanned = scan("x.txt", text);
    let about = String::from_utf8_lossy(text);
    assert_eq!(scanned.detections.len(), 1, "{:?} in {about}", scanned.detections);
    let detection = &scanned.detections[0];
    assert_eq!(detection.rule.as_str(), rule, "{about}");
    assert_eq!(detection.fingerprint, FingerprintKey::from_bytes(KEY).fingerprint(secret), "{about}");
    assert_eq!(detection.decoded, decoded, "{about}");
    assert_eq!(gaps(&scanned), [], "{about}");
}

#[test]
fn base64() {
    let secret = token(1);
    let text = format!("user: deploy ???>>> \u{fe}\ntoken: {secret}\nnext: nothing, nothing at all\n");
    for encoded in [STANDARD.encode(&text), STANDARD_NO_PAD.encode(&text), URL_SAFE.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
        one(format!("data: {encoded}\n").as_bytes(), PAT, secret.as_bytes(), "base64");
        one(format!("{{\"data\": \"{encoded}\"}}").as_bytes(), PAT, secret.as_bytes(), "base64");
        for width in [40, 64, 76] {
            let lines: Vec<&str> = encoded.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
            one(format!("data: |\n  {}\nnext: 1\n", lines.join("\n  ")).as_bytes(), PAT, secret.as_bytes(), "base64");
            one(format!("{}\r\n", lines.join("\r\n")).as_bytes(), PAT, secret.as_bytes(), "base64");
        }
    }
    // Only the token, as in a Kubernetes secret, and twice over.
    let alone = STANDARD.encode(&secret);
    one(format!("  token: {alone}\n").as_bytes(), PAT, secret.as_bytes(), "base64");
    one(STANDARD.encode(format!("data: {alone}\n")).as_bytes(), PAT, secret.as_bytes(), "base64 > base64");
}

#[test]
fn hex() {
    let secret = token(1);
    let encoded: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    one(format!("k={encoded};").as_bytes(), PAT, secret.as_bytes(), "hex");
}

#[test]
fn utf_16() {
    let secret = token(1);
    let text = format!("first line\r\n[section]\r\ntoken={secret}\r\n");
    let units: Vec<u16> = text.encode_utf16().collect();
    for mark in [false, true] {
        let units: Vec<u16> = mark.then_some(0xfeff).into_iter().chain(units.iter().copied()).collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        one(&little, PAT, secret.as_bytes(), "utf-16le");
        one(&big, PAT, secret.as_bytes(), "utf-16be");
        assert_eq!(seen(&scan("x.ini", &little)), [(PAT, "", Some(3))]);
        assert_eq!(seen(&scan("x.ini", &big)), [(PAT, "", Some(3))]);
    }
    // A string in the middle of a program.
    for bytes in
        [secret.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(), secret.encode_utf16().flat_map(u16::to_be_bytes).collect()]
    {
        let program = [&b"\x7fELF\x02\x01\x01\0\0\0\0\0\xff\xff\xff\xff"[..], &bytes, b"\0\0\xff\xff\x01\x02\x03"].concat();
        one(&program, PAT, secret.as_bytes(), "utf-16");
        assert_eq!(seen(&scan("x", &program)), [(PAT, "", None)]);
    }
}

#[test]
fn percent_and_escapes() {
    let secret = token(1);
    let broken = format!("{}%{:02X}{}", &secret[..3], secret.as_bytes()[3], &secret[4..]);
    one(format!("GET https://acme.io/x?a=b%20c&token={broken}&z=1 HTTP/1.1\n").as_bytes(), PAT, secret.as_bytes(), "percent");
    one(format!("https://acme.io/x?next=%2Fhome%3Ftoken%3D{secret}%26z%3D1\n").as_bytes(), PAT, secret.as_bytes(), "");
    let broken = secret.replace('_', "\\u005f");
    one(format!("{{\"value\": \"{broken}\"}}\n").as_bytes(), PAT, secret.as_bytes(), "escapes");
}

#[test]
fn private_keys_in_json() {
    let plain = example("private-key.pem", 1).text;
    let fingerprint = scan("key.pem", plain.as_bytes()).detections[0].fingerprint.clone();
    let json = |text: &str| serde_json::json!({ "name": "a", "key": text }).to_string();
    let once = json(&plain);
    let twice = json(&once);
    let base64 = format!("key: {}\n", STANDARD.encode(&plain));
    let windows = plain.replace('\n', "\r\n");
    let one_line = plain.replace('\n', " ");
    for text in [once, twice, base64, windows, one_line] {
        let scanned = scan("x.json", text.as_bytes());
        assert_eq!(scanned.detections.len(), 1, "{text}: {:?}", scanned.detections);
        assert_eq!(scanned.detections[0].fingerprint, fingerprint, "one key has one fingerprint: {text}");
    }
}

#[test]
fn service_accounts() {
    let account = example("gcp.service-account-key", 1);
    let id = account.public_id.clone().expect("private_key_id");
    let json = |text: &str| serde_json::json!({ "data": text }).to_string();
    let once = json(&account.text);
    let twice = json(&once);
    let base64 = format!("GOOGLE_CREDENTIALS={}\n", STANDARD.encode(&account.text));
    for (text, line) in [(account.text.clone(), 3), (once, 1), (twice, 1), (base64, 1)] {
        let scanned = scan("x.json", text.as_bytes());
        assert_eq!(seen(&scanned), [("gcp.service-account-key", "", Some(line))], "{text}");
        assert_eq!(scanned.detections[0].public_id.as_ref(), Some(&id), "{text}");
    }
}

#[test]
fn an_archive_in_base64() {
    let secret = env(&token(1));
    let filler: Vec<u8> = (0..5000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let archive = deflated(&[("filler", &filler), ("a.env", &secret)]);
    let text = format!("code: {}\n", STANDARD.encode(&archive));
    let scanned = scan("template.yaml", text.as_bytes());
    assert_eq!(seen(&scanned), [(PAT, "a.env", Some(2))]);
    assert_eq!(scanned.detections[0].decoded, "base64");
}
