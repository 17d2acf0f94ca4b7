//! Markers beside a secret.

use overdue_detect::{Allow, AllowedBy, Scanned};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::kit::{example, gzip, scanner_with, seen, token};

fn scan(name: &str, bytes: &[u8]) -> Scanned {
    let scanner = scanner_with(overdue_detect::Limits::default()).honouring(Allow::nothing().unused_markers());
    let whole = scanner.scan_bytes(name, bytes);
    assert_eq!(whole, scanner.scan_reader(name, None, &mut &bytes[..]), "in memory and as a stream");
    whole
}

#[test]
fn every_marker_allows_what_is_on_its_line() {
    let token = token(1);
    for marker in
        ["overdue:allow", "gitleaks:allow", "betterleaks:allow", "trufflehog:ignore", "kingfisher:ignore", "pragma: allowlist secret"]
    {
        let text = format!("one {token} # {marker}\ntwo {token}\n");
        let scanned = scan("x.env", text.as_bytes());
        assert_eq!(seen(&scanned), [("github.pat", "", Some(2))], "{marker}");
        assert_eq!(scanned.allowed.len(), 1);
        assert_eq!(scanned.allowed[0].by, AllowedBy::Marker { marker, reason: None });
        assert_eq!(scanned.allowed[0].detection.line, Some(1));
        assert!(scanned.unused_markers.is_empty());
    }
}

#[test]
fn ours_may_give_a_reason_which_holds_no_secret() {
    let (one, two) = (token(1), token(2));
    for (line, reason) in [
        (format!("x {one} # overdue:allow made up for the tests"), Some("made up for the tests")),
        (format!("x {one} /* Overdue:Allow: fixture */ y();"), Some("fixture")),
        (format!("# overdue:allow old one {one}"), Some("old one")),
        (format!("# overdue:allow {one} and {two}"), None),
        (format!("x {one} # gitleaks:allow because"), None),
    ] {
        let scanned = scan("x.env", line.as_bytes());
        assert!(scanned.detections.is_empty(), "{line}");
        for allowed in &scanned.allowed {
            let AllowedBy::Marker { reason: told, .. } = &allowed.by else { panic!("{line}") };
            assert!(!told.iter().any(|told| told.contains("ghp_")), "{told:?}");
        }
        let AllowedBy::Marker { reason: told, .. } = &scanned.allowed[0].by else { panic!("{line}") };
        assert_eq!(told.as_deref(), reason, "{line}");
    }
}

#[test]
fn an_audit_is_not_silenced() {
    let text = format!("one {} # gitleaks:allow\n", token(1));
    let scanned = scanner_with(overdue_detect::Limits::default()).scan_bytes("x.env", text.as_bytes());
    assert_eq!((scanned.detections.len(), scanned.allowed.len(), scanned.unused_markers.len()), (1, 0, 0));
}

#[test]
fn a_marker_reaches_all_lines_of_a_find_and_none_beyond() {
    let key = example("private-key.pem", 1).secret;
    for (text, allowed) in [
        (format!("key = \"\"\"{key}\"\"\" # gitleaks:allow\n"), 1),
        (format!("# gitleaks:allow\n{key}\n"), 0),
        (format!("{key}\n# gitleaks:allow\n"), 0),
        (format!("old # gitleaks:allow\rnew {}\r", token(1)), 0),
    ] {
        let scanned = scan("x.env", text.as_bytes());
        assert_eq!(scanned.allowed.len(), allowed, "{text}");
        assert_eq!(scanned.detections.len(), 1 - allowed, "{text}");
        assert_eq!(scanned.unused_markers.len(), 1 - allowed, "{text}");
    }
}

#[test]
fn what_is_decoded_or_unpacked_is_allowed_beside_it() {
    let encoded = STANDARD.encode(format!("password: {}\n", token(1)));
    let text = format!("one: {encoded} # gitleaks:allow\ntwo: {encoded}\n");
    let scanned = scan("x.yaml", text.as_bytes());
    assert_eq!(seen(&scanned), [("github.pat", "", Some(2))]);
    assert_eq!(scanned.allowed[0].detection.decoded, "base64");
    let scanned = scan("x.gz", &gzip(format!("a {} # gitleaks:allow\n# gitleaks:allow\n", token(1)).as_bytes()));
    assert_eq!((scanned.detections.len(), scanned.allowed.len()), (0, 1));
    assert_eq!(scanned.unused_markers.iter().map(|marker| marker.line).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_marker_that_allows_nothing_is_listed() {
    let mut text = String::new();
    for line in 1..=9_000 {
        text.push_str(if line % 3_000 == 0 { "a line of words # trufflehog:ignore\n" } else { "a line of words and of some more words\n" });
    }
    text.push_str(&format!("{} # trufflehog:ignore\n", token(1)));
    let scanned = scan("x.txt", text.as_bytes());
    let unused: Vec<(u32, &str)> = scanned.unused_markers.iter().map(|marker| (marker.line, marker.marker)).collect();
    assert_eq!(unused, [(3_000, "trufflehog:ignore"), (6_000, "trufflehog:ignore"), (9_000, "trufflehog:ignore")]);
    assert_eq!(scanned.allowed[0].detection.line, Some(9_001));
}

/// Gives a few thousand bytes at a time.
struct Slow<'b>(&'b [u8]);

impl std::io::Read for Slow<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let most = out.len().min(5_003);
        self.0.read(&mut out[..most])
    }
}

#[test]
fn chunks_do_not_matter() {
    let scanner = scanner_with(overdue_detect::Limits::default()).honouring(Allow::nothing().unused_markers());
    let mut text = String::new();
    for seed in 0..400 {
        let token = token(seed);
        let encoded = STANDARD.encode(format!("password: {token}\n"));
        let line = match seed % 4 {
            0 => format!("a = {token} # overdue:allow number {seed}\n"),
            1 => format!("b = {encoded} # gitleaks:allow\n"),
            2 => "# gitleaks:allow\n".to_owned(),
            _ => format!("c = {token}\n"),
        };
        text.push_str(&line);
        text.push_str(&"a line of words that hold nothing\n".repeat(60 + seed as usize % 7));
    }
    let whole = scanner.scan_bytes("x.conf", text.as_bytes());
    assert_eq!(whole, scanner.scan_reader("x.conf", None, &mut Slow(text.as_bytes())));
    assert_eq!((whole.detections.len(), whole.allowed.len(), whole.unused_markers.len()), (100, 200, 100));
}
