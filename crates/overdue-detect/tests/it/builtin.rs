//! The rules that come with the program prove themselves, and noise stays silent.

use std::sync::Arc;

use overdue_detect::{FingerprintKey, Limits, RuleSet, Scanner};

#[test]
fn every_built_in_rule_finds_its_examples_and_nothing_else() {
    let rules = RuleSet::builtin().expect("the built-in rules load");
    let problems: Vec<String> = rules.check().iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(rules.facts().len() > 600, "{} rules", rules.facts().len());
}

#[test]
fn a_token_with_a_wrong_checksum_is_no_password_either() {
    let rules = Arc::new(RuleSet::builtin().expect("the built-in rules load"));
    let scanner = Scanner::new(Arc::clone(&rules), FingerprintKey::from_bytes([1; 32]), Limits::default());
    let good = rules.example("github.pat", 1).expect("an example").secret;
    let (prefix, body) = good.split_at(4);
    let reversed: String = body.chars().rev().collect();
    assert_eq!(scanner.scan_bytes("a.env", format!("TOKEN={good}\n").as_bytes()).detections.len(), 1);
    assert!(scanner.scan_bytes("a.env", format!("TOKEN={prefix}{reversed}\n").as_bytes()).detections.is_empty());
}
