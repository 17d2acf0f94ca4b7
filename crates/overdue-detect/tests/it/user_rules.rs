//! Rules that users write, in the form of our own.

use expect_test::{Expect, expect};
use overdue_detect::{FingerprintKey, Limits, RuleSet, Scanner};

use crate::kit::seen;

const ACME: &str = r#"
[[rule]]
id = "acme.key"
title = "Acme key"
service = "Acme"
prefixes = ["acme_live_"]
pattern = 'acme_live_[a-z0-9]{32}'
matches = ["ACME={{x:0}}acme_live_{{hex:32}}"]
"#;

fn refused(files: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&RuleSet::with_rules(files).expect_err("refused").to_string());
}

#[test]
fn a_rule_of_ones_own_runs_beside_the_built_in_ones() {
    let text = ACME.replace("{{x:0}}", "");
    let rules = RuleSet::with_rules(&[("acme.toml", &text)]).expect("good rules");
    let example = rules.example("acme.key", 1).expect("it has one").text;
    let github = rules.example("github.pat", 1).expect("it has one").text;
    let scanner = Scanner::new(rules.into(), FingerprintKey::from_bytes([7; 32]), Limits::default());
    let scanned = scanner.scan_bytes("x.env", format!("{example}\n{github}\n").as_bytes());
    assert_eq!(seen(&scanned), [("acme.key", "", Some(1)), ("github.pat", "", Some(2))]);
    assert_eq!(scanned.detections[0].preview, "acme_live_… (42 chars)");
}

#[test]
fn an_id_is_taken_unless_the_block_says_that_it_replaces() {
    let text = ACME.replace("acme.key", "github.pat").replace("{{x:0}}", "");
    let error = RuleSet::with_rules(&[("acme.toml", &text)]).expect_err("refused").to_string();
    assert!(error.starts_with("acme.toml:3: github.pat: the id is taken by the rule at rules/github.toml:"), "{error}");
    assert!(error.contains("replaces = true"), "{error}");

    let text = text.replace("title =", "replaces = true\ntitle =");
    let rules = RuleSet::with_rules(&[("acme.toml", &text)]).expect("good rules");
    let builtin = RuleSet::builtin().expect("good rules");
    assert_ne!(rules.digest(), builtin.digest());
    assert_eq!(rules.facts().len(), builtin.facts().len());
    let old = builtin.example("github.pat", 1).expect("it has one");
    let scanner = Scanner::new(rules.into(), FingerprintKey::from_bytes([7; 32]), Limits::default());
    let scanned = scanner.scan_bytes("x.env", format!("x {}", old.secret).as_bytes());
    assert!(!seen(&scanned).iter().any(|(rule, ..)| *rule == "github.pat"), "the built-in one does not run");
}

#[test]
fn a_pair_can_be_replaced_with_the_rule_that_stands_in_for_it() {
    let text = ACME.replace("acme.key", "aws.access-key").replace("title =", "replaces = true\ntitle =").replace("{{x:0}}", "");
    RuleSet::with_rules(&[("acme.toml", &text)]).expect("nothing points at what is gone");
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_its_mend() {
    let text = ACME.replace("acme.key", "github.pta").replace("title =", "replaces = true\ntitle =");
    refused(
        &[("mine/acme.toml", &text)],
        expect![
            "mine/acme.toml:3: github.pta: it replaces nothing: no rule has its id (did you mean `github.pat`? If the rule is new, remove `replaces`)"
        ],
    );
    refused(
        &[("acme.toml", ACME), ("copy.toml", ACME)],
        expect![
            "copy.toml:3: acme.key: the id is taken by the rule at acme.toml:3 (give one of the two another id, or say `replaces = true` to have this one instead of a built-in one)"
        ],
    );
    refused(
        &[("acme.toml", "[[rule]]\nid = \"acme.key\"\ncolour = \"red\"\n")],
        expect![[
            r#"acme.toml:3: unknown field `colour`, expected one of `id`, `replaces`, `title`, `service`, `prefixes`, `infixes`, `keywords`, `pattern`, `matcher`, `before`, `after`, `names`, `any_name`, `checksum`, `checksum_lenient`, `entropy_min`, `needs`, `pair`, `public_prefix`, `confidence`, `id_only`, `text_only`, `revoke`, `reference`, `matches`, `ignores` (correct the field; docs/scan-config.md lists the fields a rule may have)"#
        ]],
    );
}
