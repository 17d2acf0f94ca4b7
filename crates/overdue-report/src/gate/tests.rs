//! Every format over one report with hostile names.

use expect_test::expect;
use overdue_core::{Fingerprint, GapReason, RuleId, TargetId};

use super::*;

/// One finding in a file with a hostile name, one accepted in an archive, one gap.
fn report() -> GateReport {
    let detection = |path: &str, line: Option<u32>| Detection {
        rule: RuleId::new("github.pat"),
        fingerprint: Fingerprint::from_hex("00112233445566778899aabbccddeeff"),
        preview: "ghp_… (40 chars)".into(),
        public_id: None,
        path: path.into(),
        line,
        column: line.map(|_| 7),
        decoded: String::new(),
        confidence: Confidence::Certain,
        expires_at_unix: None,
    };
    let finding = |file: &str, path: &str, line: Option<u32>, accepted: Option<&str>| GateFinding {
        detection: detection(path, line),
        title: "GitHub personal access token".into(),
        service: "GitHub".into(),
        revoke: vec!["Delete it in its user's settings.".into()],
        file: file.into(),
        placement: None,
        id: "a1".into(),
        severity: Severity::High,
        known: None,
        accepted: accepted.map(str::to_owned),
        note: None,
    };
    GateReport {
        version: "0.1.0".into(),
        scope: "2 paths".into(),
        findings: vec![finding("a b/<x>&\"\n::error::\u{1b}[2J.py", "", Some(3), None)],
        accepted: vec![finding("app.zip", "lib/x.py", None, Some("baseline: test fixture"))],
        gaps: vec![Gap {
            target: TargetId::from_key("scan".to_owned()),
            subject: "broken.zip".into(),
            reason: GapReason::Corrupt,
            detail: "its directory is cut short".into(),
            permission: String::new(),
            mend: "replace or remove the damaged file".into(),
            open_ended: false,
        }],
        idle: vec!["baseline entry 2: matches nothing".into()],
        files: 12,
        bytes: 3_400_000,
        millis: 42,
    }
}

#[test]
fn text_says_what_why_and_what_to_do() {
    expect![[r#"
        a b/<x>&" ::error::[U+001B][2J.py:3:7 high GitHub personal access token (github.pat)
            ghp_… (40 chars)
            Anyone who can read this file can use it at GitHub
            Do: Delete it in its user's settings.
        not seen broken.zip: its directory is cut short (damaged); replace or remove the damaged file
        unused baseline entry 2: matches nothing
        1 secret found, 1 accepted, 1 not seen in 2 paths: 12 files, 3.4 MB, 42 ms
    "#]]
    .assert_eq(&gate_text(&report(), false));
}

#[test]
fn a_hostile_name_begins_no_command() {
    let text = annotations(&report());
    expect![[r#"
        ::error file=a b/<x>&" %3A%3Aerror%3A%3A[U+001B][2J.py,line=3,col=7,title=GitHub personal access token (github.pat)::a b/<x>&" ::error::[U+001B][2J.py: ghp_… (40 chars). Anyone who can read this file can use it at GitHub. Delete it in its user's settings.
        ::error title=overdue%3A not seen::broken.zip: its directory is cut short; replace or remove the damaged file
        ::notice title=overdue%3A unused::baseline entry 2: matches nothing
    "#]].assert_eq(&text);
    assert!(text.lines().all(|line| line.starts_with("::error ") || line.starts_with("::notice ")));
}

#[test]
fn sarif_holds_places_suppressions_and_gaps() {
    let sarif: serde_json::Value = serde_json::from_slice(&sarif_json(&report())).unwrap();
    let run = &sarif["runs"][0];
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    assert_eq!(run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"], 3);
    assert_eq!(run["results"][0]["partialFingerprints"]["overdue/v1"], "a1");
    assert!(run["results"][0].get("suppressions").is_none());
    assert_eq!(run["results"][1]["suppressions"][0]["justification"], "baseline: test fixture");
    assert_eq!(run["results"][1]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"], "app.zip!/lib/x.py");
    let uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
    assert_eq!(uri, "a%20b/%3Cx%3E%26%22%0A%3A%3Aerror%3A%3A%1B%5B2J.py");
}

#[test]
fn xml_is_well_formed_whatever_a_file_is_called() {
    let xml = junit_xml(&report());
    let mut depth = 0_i32;
    for piece in xml.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').expect("each tag ends");
        assert!(!tag.contains('<'));
        depth += if tag.starts_with('/') { -1 } else { i32::from(!tag.ends_with('/') && !tag.starts_with('?')) };
    }
    assert_eq!(depth, 0);
    assert!(!xml.contains('\u{1b}'));
    let clean = GateReport { findings: Vec::new(), gaps: Vec::new(), ..report() };
    assert!(junit_xml(&clean).contains("tests=\"1\" failures=\"0\" errors=\"0\""));
}

#[test]
fn programs_get_everything_once() {
    let json: serde_json::Value = serde_json::from_slice(&scan_json(&report())).unwrap();
    assert_eq!(json["schema"], SCAN_SCHEMA);
    assert_eq!((json["complete"].as_bool(), json["summary"]["findings"].as_u64()), (Some(false), Some(1)));
    assert_eq!(json["accepted"][0]["accepted"], "baseline: test fixture");
    let gitlab: serde_json::Value = serde_json::from_slice(&gitlab_json(&report(), "2026-01-01T00:00:00Z".parse().unwrap())).unwrap();
    assert_eq!(gitlab["scan"]["status"], "failure");
    assert_eq!(gitlab["vulnerabilities"][0]["location"]["start_line"], 3);
}
