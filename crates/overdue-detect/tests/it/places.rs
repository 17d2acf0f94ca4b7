//! What a detection says: which rule, where, and nothing that the secret could be read from.

use overdue_core::Confidence;
use overdue_detect::{FingerprintKey, Limits, RuleSet, Scanner};

use crate::kit::{KEY, deflated, env, example, gaps, rules, scan, scanner_with, seen, token};

fn pair(seed: u64) -> (String, String) {
    let example = example("aws.access-key", seed);
    (example.public_id.expect("an id"), example.secret)
}

#[test]
fn the_rules_of_these_tests_hold() {
    let problems: Vec<String> =
        rules().check().iter().map(ToString::to_string).filter(|problem| !problem.contains("aws.access-key-id: ")).collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn the_rules_that_come_with_the_program_load() {
    if let Err(error) = RuleSet::builtin() {
        panic!("{error}");
    }
}

#[test]
fn variables() {
    let (id, secret) = pair(1);
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let variables = [
        variable("STAGE", "prod"),
        variable("AWS_SECRET_ACCESS_KEY", &secret),
        variable("LOG_LEVEL", "info"),
        variable("AWS_ACCESS_KEY_ID", &id),
        variable("AWS_REGION", "eu-west-1"),
    ];
    let scanner = scanner_with(Limits::default());
    let scanned = scanner.scan_variables(&variables);
    assert_eq!(seen(&scanned), [("aws.access-key", "AWS_ACCESS_KEY_ID", None)]);
    let detection = &scanned.detections[0];
    assert_eq!(detection.public_id.as_deref(), Some(id.as_str()));
    assert_eq!(detection.fingerprint, FingerprintKey::from_bytes(KEY).fingerprint(secret.as_bytes()));

    // Two pairs, each with its own secret, and an id that is alone.
    let (other_id, other_secret) = pair(2);
    let variables = [
        variable("PROD_AWS_SECRET_ACCESS_KEY", &secret),
        variable("PROD_AWS_ACCESS_KEY_ID", &id),
        variable("DEV_AWS_ACCESS_KEY_ID", &other_id),
        variable("DEV_AWS_SECRET_ACCESS_KEY", &other_secret),
    ];
    let scanned = scanner.scan_variables(&variables);
    assert_eq!(seen(&scanned), [("aws.access-key", "DEV_AWS_ACCESS_KEY_ID", None), ("aws.access-key", "PROD_AWS_ACCESS_KEY_ID", None)]);
    let key = FingerprintKey::from_bytes(KEY);
    assert_eq!(scanned.detections[0].fingerprint, key.fingerprint(other_secret.as_bytes()));
    assert_eq!(scanned.detections[1].fingerprint, key.fingerprint(secret.as_bytes()));

    let scanned =
        scanner.scan_variables(&[variable("KEY", &id), variable("DB", concat!("postgres://app:q8Zr2mVx71", "LwPnTc5KdJ@db.acme.io/x"))]);
    assert_eq!(seen(&scanned), [("database.url", "DB", None), ("aws.access-key-id", "KEY", None)]);
    assert_eq!(scanned.detections[1].preview, id, "an id is no secret");

    // An archive in a variable.
    use base64::Engine as _;
    let archive = base64::engine::general_purpose::STANDARD.encode(deflated(&[("a.env", &env(&token(1)))]));
    let scanned = scanner.scan_variables(&[variable("CODE", &archive), variable("OTHER", "x")]);
    assert_eq!(seen(&scanned), [("github.pat", "CODE!/a.env", Some(2))]);
    assert_eq!(scanner.scan_variables(&[]).detections, []);
}

#[test]
fn fingerprints_are_keyed() {
    let text = env(&token(1));
    let ours = scan("a.env", &text);
    let theirs = Scanner::new(rules(), FingerprintKey::from_bytes([8; 32]), Limits::default()).scan_bytes("a.env", &text);
    assert_ne!(ours.detections[0].fingerprint, theirs.detections[0].fingerprint);
    assert_eq!(ours.detections[0].fingerprint, FingerprintKey::from_bytes(KEY).fingerprint(token(1).as_bytes()));
    let shown = format!("{ours:?}");
    assert!(!shown.contains(&token(1)[4..]), "no part of it is shown");
    assert_eq!(ours.detections[0].preview, "ghp_… (40 chars)");
    assert_eq!(ours.detections[0].confidence, Confidence::Certain);
}

#[test]
fn one_secret_is_one_detection_by_the_rule_that_knows_it() {
    let secret = token(1);
    for (name, text) in [
        (".env", format!("GITHUB_TOKEN={secret}\n")),
        (".env", format!("export GITHUB_TOKEN='{secret}'\n")),
        ("a.yaml", format!("github:\n  token: {secret}\n")),
        ("a.yaml", format!("github:\n  token: \"{secret}\"\n")),
        ("a.json", format!("{{\n  \"github_token\": \"{secret}\"\n}}\n")),
        ("a.json", format!("{{\"a\": \"{{\\\"github_token\\\": \\\"{secret}\\\"}}\"}}")),
        ("a.py", format!("token = \"{secret}\"\n")),
        ("a.rs", format!("const TOKEN: &str = \"{secret}\";\n")),
        ("a.tf", format!("  token = \"{secret}\"\n")),
        ("a.xml", format!("<token>{secret}</token>\n")),
        ("a.sh", format!("curl -H \"Authorization: token {secret}\" https://api.github.com\n")),
        ("a.sh", format!("git clone https://x:{secret}@github.com/acme/app\n")),
    ] {
        let scanned = scan(name, text.as_bytes());
        let rules: Vec<&str> = scanned.detections.iter().map(|one| one.rule.as_str()).collect();
        assert_eq!(rules, ["github.pat"], "{name}: {text}");
    }
    let password = concat!("q8Zr2mVx71", "LwPnTc5KdJ");
    for (name, text) in [
        (".env", format!("DB_PASSWORD={password}\n")),
        ("a.yaml", format!("db:\n  password: {password}\n")),
        ("a.json", format!("{{\"password\": \"{password}\"}}")),
        ("a.py", format!("password = \"{password}\"\n")),
        ("a.go", format!("password := \"{password}\"\n")),
    ] {
        let scanned = scan(name, text.as_bytes());
        let rules: Vec<&str> = scanned.detections.iter().map(|one| one.rule.as_str()).collect();
        assert_eq!(rules, ["generic.assignment"], "{name}: {text}");
        assert_eq!(scanned.detections[0].fingerprint, FingerprintKey::from_bytes(KEY).fingerprint(password.as_bytes()), "{name}: {text}");
        assert_eq!(scanned.detections[0].confidence, Confidence::Likely);
        assert_eq!(scanned.detections[0].preview, "… (20 chars)");
    }
}

#[test]
fn lines() {
    // A pair has the line of its id, whichever comes first.
    let (id, secret) = pair(1);
    let text = format!("# one\n[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
    assert_eq!(seen(&scan("credentials", text.as_bytes())), [("aws.access-key", "", Some(3))]);
    let text = format!("{{\n\"SecretAccessKey\": \"{secret}\",\n\n\"AccessKeyId\": \"{id}\"\n}}\n");
    let scanned = scan("a.json", text.as_bytes());
    assert_eq!(seen(&scanned), [("aws.access-key", "", Some(4))]);
    assert_eq!(scanned.detections[0].column, Some(17));
    // Two pairs in one file are not mixed up.
    let (other_id, other_secret) = pair(2);
    let text = format!(
        "[a]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n\n[b]\naws_access_key_id = {other_id}\naws_secret_access_key = {other_secret}\n"
    );
    let scanned = scan("credentials", text.as_bytes());
    assert_eq!(seen(&scanned), [("aws.access-key", "", Some(2)), ("aws.access-key", "", Some(6))]);
    let key = FingerprintKey::from_bytes(KEY);
    assert_eq!(scanned.detections[0].fingerprint, key.fingerprint(secret.as_bytes()));
    assert_eq!(scanned.detections[1].fingerprint, key.fingerprint(other_secret.as_bytes()));

    // A private key has the line where its armour begins.
    let text = format!("one\ntwo\n{}", example("private-key.pem", 1).text);
    assert_eq!(seen(&scan("key.pem", text.as_bytes())), [("private-key.pem", "", Some(3))]);
    let text = format!("one\r\ntwo\r\n{}\r\n", token(1));
    assert_eq!(seen(&scan("a.txt", text.as_bytes())), [("github.pat", "", Some(3))]);
}

#[test]
fn binaries_have_no_lines() {
    let bytes = [&b"\x7fELF\0\0\0\n\n\n"[..], token(1).as_bytes(), b"\0rest\n"].concat();
    let scanned = scan("program", &bytes);
    assert_eq!(seen(&scanned), [("github.pat", "", None)]);
    assert_eq!(scanned.detections[0].column, None);
    assert_eq!(gaps(&scanned), []);
    // Guesses are not made there.
    assert_eq!(seen(&scan("program", concat!("\x7fELF\0password=\"q8Zr2mVx71", "LwPnTc5KdJ\"\0").as_bytes())), []);
}
