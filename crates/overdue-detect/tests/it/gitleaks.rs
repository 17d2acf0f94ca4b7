//! Configurations of gitleaks, as people have them.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use expect_test::{Expect, expect};
use overdue_detect::{Allow, FingerprintKey, GitleaksConfig, Limits, RuleSet, ScanRules, Scanned, Scanner};

use crate::kit;

/// What a team has: the default, rules of its own in the newer and the older form, lists of every sort.
const TEAM: &str = r#"
title = "Acme's configuration"
minVersion = "v8.25.0"

[extend]
useDefault = true
disabledRules = ["generic-api-key", "gitlab-pat"]

[[rules]]
id = "acme-token"
description = "Acme service token"
regex = '''(?i)\bacme[_-]token\s*[:=]\s*["']?([a-z0-9]{24})["']?'''
secretGroup = 1
entropy = 3.0
keywords = ["ACME"]
tags = ["internal"]

    [[rules.allowlists]]
    description = "documented examples"
    regexTarget = "line"
    regexes = ['''# example''']
    stopwords = ["sample"]

[[rules]]
id = "acme-config"
path = '''(^|/)secrets\.ya?ml$'''
regex = '''key: (\S{12,})'''

[[rules]]
id = "pkcs12-file"
path = '''(?i)\.p(?:12|fx)$'''

[[rules]]
id = "github-pat"
[rules.allowlist]
paths = ['''^fixtures/''']

[allowlist]
description = "what is generated"
paths = ['''\.lock$''', '''^vendor/''']
commits = ["0123456789ABCDEF0123456789abcdef01234567"]
"#;

fn scanner(composed: ScanRules) -> Scanner {
    let scanner = Scanner::new(composed.rules.into(), FingerprintKey::from_bytes(kit::KEY), Limits::default());
    scanner.honouring(Allow::nothing().markers().lists(composed.allowlists))
}

fn composed(text: &str) -> ScanRules {
    let config = GitleaksConfig::read(".gitleaks.toml", text).unwrap_or_else(|error| panic!("{error}"));
    ScanRules::compose(&[], Some(&config)).unwrap_or_else(|error| panic!("{error}"))
}

/// What is found and what is allowed, one a line.
fn told(scanned: &Scanned) -> String {
    assert_eq!(scanned.gaps, []);
    let at = |line: Option<u32>| line.map_or_else(|| "-".to_owned(), |line| line.to_string());
    let found = scanned.detections.iter().map(|one| format!("{}:{} {} {}\n", one.path, at(one.line), one.rule, one.preview));
    let allowed = scanned
        .allowed
        .iter()
        .map(|one| format!("{}:{} {} allowed by {}\n", one.detection.path, at(one.detection.line), one.detection.rule, one.by));
    found.chain(allowed).collect()
}

fn check(config: &str, name: &str, text: &str, expected: Expect) {
    let scanner = scanner(composed(config));
    let whole = scanner.scan_bytes(name, text.as_bytes());
    assert_eq!(whole, scanner.scan_reader(name, None, &mut text.as_bytes()), "in memory and as a stream");
    expected.assert_eq(&told(&whole));
}

fn refused(text: &str, expected: Expect) {
    let config = GitleaksConfig::read(".gitleaks.toml", text).and_then(|config| ScanRules::compose(&[], Some(&config)));
    expected.assert_eq(&config.expect_err("refused").to_string());
}

fn warned(text: &str, expected: Expect) {
    let warnings: Vec<String> = composed(text).warnings.iter().map(ToString::to_string).collect();
    expected.assert_eq(&warnings.join("\n"));
}

const ACME: &str = concat!("k3j9x0q2m7", "v5b8n1c4z6d2f8");

fn github(seed: u64) -> String {
    RuleSet::builtin().expect("the rules").example("github.pat", seed).expect("it has one").secret
}

#[test]
fn a_team_s_rules_and_lists() {
    let token = github(1);
    let text = format!(
        "acme_token = \"{ACME}\"\nacme-token: {ACME} # example\nACME_TOKEN=sample{}\nacme_token = aaaaaaaaaaaaaaaaaaaaaaaa\nexport GITHUB={token}\n",
        &ACME[6..]
    );
    check(
        TEAM,
        "deploy.sh",
        &text,
        expect![[r#"
            :1 acme-token … (24 chars)
            :5 github.pat ghp_… (40 chars)
            :2 acme-token allowed by allowlist at .gitleaks.toml:19: documented examples
            :3 acme-token allowed by allowlist at .gitleaks.toml:19: documented examples
        "#]],
    );
    check(
        TEAM,
        "fixtures/deploy.sh",
        &text,
        expect![[r#"
            :1 acme-token … (24 chars)
            :2 acme-token allowed by allowlist at .gitleaks.toml:19: documented examples
            :3 acme-token allowed by allowlist at .gitleaks.toml:19: documented examples
            :5 github.pat allowed by allowlist at .gitleaks.toml:36
        "#]],
    );
    check(
        TEAM,
        "vendor/x.sh",
        &format!("export GITHUB={token}\n"),
        expect![[r#"
            :1 github.pat allowed by allowlist at .gitleaks.toml:39: what is generated
        "#]],
    );
    warned(TEAM, expect![".gitleaks.toml:16: `tags` are read and not shown in reports (nothing is lost but the tags)"]);
}

#[test]
fn a_commit_is_allowed_and_a_path_need_not_be_read() {
    let composed = composed(TEAM);
    let commit = "0123456789abcdef0123456789abcdef01234567";
    assert!(composed.allowlists.skips("a/Cargo.lock", None).is_some());
    assert!(composed.allowlists.skips("a/main.rs", Some(commit)).is_some());
    assert!(composed.allowlists.skips("a/main.rs", None).is_none());
    assert!(composed.allowlists.skips("fixtures/a.rs", None).is_none(), "that list is one rule's");
    let text = format!("export GITHUB={}\n", github(2));
    let scanner = scanner(composed);
    assert_eq!(scanner.scan_bytes_of("x.sh", Some(commit), text.as_bytes()).allowed.len(), 1);
    assert_eq!(scanner.scan_bytes_of("x.sh", Some(&commit.replace('0', "1")), text.as_bytes()).detections.len(), 1);
}

#[test]
fn nothing_is_allowed_unless_the_scanner_is_told_to() {
    let rules = composed(TEAM).rules;
    let scanner = Scanner::new(rules.into(), FingerprintKey::from_bytes(kit::KEY), Limits::default());
    let scanned = scanner.scan_bytes("vendor/x.sh", format!("export GITHUB={} # gitleaks:allow\n", github(1)).as_bytes());
    assert_eq!((scanned.detections.len(), scanned.allowed.len()), (1, 0));
}

#[test]
fn paths_pick_files_and_are_rules_by_themselves() {
    let text = "key: 0123456789abc\n";
    check(
        TEAM,
        "conf/secrets.yml",
        text,
        expect![[r#"
            :1 acme-config … (13 chars)
        "#]],
    );
    check(TEAM, "conf/other.yml", text, expect![""]);
    check(
        TEAM,
        "conf/client.P12",
        "\0\u{1}",
        expect![[r#"
        :- pkcs12-file the file itself
    "#]],
    );
    let tar = kit::gzip(&kit::tar(&[("conf/secrets.yml", text.as_bytes()), ("conf/a.pfx", b"\0")]));
    let scanned = scanner(composed(TEAM)).scan_bytes("layer.tgz", &tar);
    expect![[r#"
        conf/a.pfx:- pkcs12-file the file itself
        conf/secrets.yml:1 acme-config … (13 chars)
    "#]]
    .assert_eq(&told(&scanned));
}

#[test]
fn a_disabled_rule_does_not_run() {
    let gitlab = RuleSet::builtin().expect("the rules").example("gitlab.pat", 1).expect("it has one").secret;
    let text = format!("GITLAB = {gitlab}\n");
    check(TEAM, "x.env", &text, expect![""]);
    warned(
        "[extend]\nuseDefault = true\ndisabledRules = [\n  \"finnhub-access-token\",\n  \"github.pat\",\n  \"gihtub-pat\",\n  \"acme\",\n]\n",
        expect![[r#"
            .gitleaks.toml:6: `disabledRules` names `gihtub-pat`, which is no rule of gitleaks' default or of ours (did you mean `github-pat`?)
            .gitleaks.toml:7: `disabledRules` names `acme`, which is no rule of gitleaks' default or of ours (remove it, or name a rule of what is extended)"#]],
    );
}

#[test]
fn without_the_default_only_their_own_rules_run() {
    let config = "[[rules]]\nid = \"pin\"\nregex = 'pin=(\\d{8})'\nkeywords = [\"pin\"]\n";
    let text = format!("pin=12345678\nGITHUB={}\n", github(1));
    check(
        config,
        "x.env",
        &text,
        expect![[r#"
        :1 pin … (short)
    "#]],
    );
    let with = GitleaksConfig::read("x.toml", config).expect("good").with_default();
    let with = ScanRules::compose(&[], Some(&with)).expect("good");
    assert_ne!(with.rules.digest(), composed(config).rules.digest());
    assert_eq!(scanner(with).scan_bytes("x.env", text.as_bytes()).detections.len(), 2);
    warned(
        "[allowlist]\npaths = ['x']\n",
        expect![
            ".gitleaks.toml:1: it has no rules and does not say `useDefault`, by which gitleaks finds nothing; our built-in rules run (say `useDefault = true` under `[extend]`)"
        ],
    );
}

#[test]
fn a_default_rule_is_changed_or_replaced() {
    let replaced = "[extend]\nuseDefault = true\n[[rules]]\nid = \"github-pat\"\nregex = 'ghp_x[0-9a-zA-Z]{35}'\nkeywords = [\"ghp_\"]\n";
    warned(
        replaced,
        expect![
            ".gitleaks.toml:4: github-pat: its regex stands for the default one, so that ours of that kind does not run: github.pat (remove the `regex` to have ours)"
        ],
    );
    let text = format!("GITHUB={}\n", github(1));
    assert!(!told(&scanner(composed(replaced)).scan_bytes("x.env", text.as_bytes())).contains("github.pat"));
    warned(
        "[extend]\nuseDefault = true\n[[rules]]\nid = \"private-key\"\nentropy = 3\npath = 'x'\nkeywords = [\"y\"]\n[[rules]]\nid = \"finnhub-access-token\"\n[[rules.allowlists]]\nstopwords = [\"x\"]\n",
        expect![[r#"
            .gitleaks.toml:4: private-key: `entropy` is not honoured: the rule is ours, private-key.openssh, and knows better (give the block a `regex` to have it run as it is)
            .gitleaks.toml:4: private-key: `path` is not honoured: the rule is ours, private-key.openssh, and knows better (give the block a `regex` to have it run as it is)
            .gitleaks.toml:4: private-key: `keywords` is not honoured: the rule is ours, private-key.openssh, and knows better (give the block a `regex` to have it run as it is)
            .gitleaks.toml:9: finnhub-access-token: it changes a default rule of a kind that we have no rule for (give it a `regex` to have it run)"#]],
    );
}

#[test]
fn the_secret_is_the_group_that_gitleaks_takes() {
    // The fingerprint tells which bytes were taken.
    let key = FingerprintKey::from_bytes(kit::KEY);
    for (regex, group, secret) in [
        (r"pin=(\d+)", "", "12345678"),
        (r"pin=\d+", "", "pin=12345678"),
        (r"(x)?(pin)=(\d+)", "secretGroup = 3", "12345678"),
        (r"(x)?pin=(\d+)", "", "12345678"),
        (r"\n+(?P<name>pin=\d+)\n", "", "pin=12345678"),
    ] {
        let config = format!("[[rules]]\nid = \"pin\"\nregex = '''{regex}'''\nkeywords = [\"PIN\"]\n{group}\n");
        let scanned = scanner(composed(&config)).scan_bytes("x.env", b"one\n\npin=12345678\n");
        let found: Vec<_> = scanned.detections.iter().map(|one| (one.fingerprint.clone(), one.line)).collect();
        assert_eq!(found, [(key.fingerprint(secret.as_bytes()), Some(3))], "{regex}");
    }
}

#[test]
fn conditions_and_targets_of_lists() {
    for (list, name, allowed) in [
        ("regexes = ['5678$']", "x", true),
        ("regexes = ['^pin']", "x", false),
        ("regexes = ['^pin=']\nregexTarget = 'match'", "x", true),
        ("regexes = ['^my pin.*test$']\nregexTarget = 'line'", "x", true),
        ("StopWords = ['3456']", "x", true),
        ("paths = ['^t/']\nregexes = ['5678']", "x", true),
        ("condition = 'and'\npaths = ['^t/']\nregexes = ['5678']", "x", false),
        ("condition = 'AND'\npaths = ['^t/']\nregexes = ['5678']", "t/x", true),
        ("condition = '&&'\npaths = ['^t/']\nstopwords = ['9']", "t/x", false),
        ("condition = 'AND'\npaths = ['^t/']", "t/x", true),
        ("condition = '||'\ncommits = ['abcdef0']", "t/x", false),
    ] {
        for place in ["[[rules.allowlists]]", "[rules.allowlist]", "[allowlist]", "[[allowlists]]", "[[allowlists]]\ntargetRules = ['pin']"]
        {
            let config = format!("[[rules]]\nid = \"pin\"\nregex = 'pin=(\\d+)'\nkeywords = [\"pin\"]\n{place}\n{list}\n");
            let scanned = scanner(composed(&config)).scan_bytes(name, b"my pin=12345678 test\n");
            assert_eq!((scanned.detections.len(), scanned.allowed.len()), (usize::from(!allowed), usize::from(allowed)), "{config}");
        }
        let config = format!(
            "[[rules]]\nid = \"pin\"\nregex = 'pin=(\\d+)'\nkeywords = [\"pin\"]\n[[rules]]\nid = \"other\"\nregex = 'zzz'\nkeywords = [\"zzz\"]\n[[allowlists]]\ntargetRules = ['other']\n{list}\n"
        );
        assert_eq!(scanner(composed(&config)).scan_bytes(name, b"my pin=12345678 test\n").detections.len(), 1, "{config}");
    }
}

#[test]
fn a_list_speaks_of_our_own_finds_too() {
    let token = github(1);
    for (list, allowed) in [
        ("regexes = ['^ghp_']", true),
        ("regexes = ['^GITHUB=ghp_']\nregexTarget = 'match'", true),
        ("regexes = ['fixture$']\nregexTarget = 'line'", true),
        ("targetRules = ['github-pat']\nregexes = ['^ghp_']", true),
        ("targetRules = ['github.pat']\nregexes = ['^ghp_']", true),
        ("targetRules = ['jwt']\nregexes = ['^ghp_']", false),
    ] {
        let config = format!("[extend]\nuseDefault = true\n[[allowlists]]\n{list}\n");
        let scanned = scanner(composed(&config)).scan_bytes("x.env", format!("GITHUB={token} fixture\n").as_bytes());
        assert_eq!((scanned.detections.len(), scanned.allowed.len()), (usize::from(!allowed), usize::from(allowed)), "{list}");
    }
}

const LOGIN: &str = r#"
[[rules]]
id = "password"
regex = 'password = "([^"]+)"'
keywords = ["password"]
[[rules.required]]
id = "user"
WITHIN

[[rules]]
id = "user"
regex = 'user = "([^"]+)"'
keywords = ["user"]
skipReport = true
"#;

#[test]
fn rules_that_require_one_another() {
    let (user, password) = ("user = \"app\"\n", "password = \"s3cretvalue\"\n");
    for (within, text, found) in [
        ("", format!("{user}{}{password}", "\n".repeat(90)), 1),
        ("", password.to_owned(), 0),
        ("withinLines = 3", format!("{user}\n\n{password}"), 1),
        ("withinLines = 3", format!("{user}\n\n\n{password}"), 0),
        ("withinColumns = 2", format!("{user}  {password}"), 1),
        ("withinColumns = 2", format!("{user}   {password}"), 0),
    ] {
        let scanned = scanner(composed(&LOGIN.replace("WITHIN", within))).scan_bytes("x.conf", text.as_bytes());
        let rules: Vec<&str> = scanned.detections.iter().map(|one| one.rule.as_str()).collect();
        assert_eq!(rules, vec!["password"; found], "{within} {text:?}");
    }
    let encoded = STANDARD.encode(format!("{user}{password}"));
    let scanned = scanner(composed(&LOGIN.replace("WITHIN", ""))).scan_bytes("x.conf", encoded.as_bytes());
    assert_eq!(scanned.detections.iter().map(|one| one.decoded.as_str()).collect::<Vec<_>>(), ["base64"]);
}

/// Gives a few thousand bytes at a time.
struct Slow<'b>(&'b [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let most = out.len().min(5_003);
        self.0.read(&mut out[..most])
    }
}

#[test]
fn chunks_do_not_matter_and_a_keyword_has_to_be_near() {
    let config = "[[rules]]\nid = \"pin\"\nregex = '''[0-9a-f]{40,}'''\nkeywords = [\"acmepin\"]\n\n[[rules]]\nid = \"bare\"\nregex = '''zq[0-9]{6}'''\n";
    let scanner = scanner(composed(config));
    let hex = concat!("0f1e2d3c4b5a69788796", "a5b4c3d2e1f00f1e2d3c");
    let mut text = Vec::new();
    let mut expected = 0;
    for block in 0..60_usize {
        // Near every edge there may be: a keyword, filler, a find.
        text.resize(block * 12_001, b'.');
        if block % 5 == 0 {
            text.extend_from_slice(b"\nAcmePin\n");
        }
        text.extend_from_slice(format!("\nx {hex} zq123456\n").as_bytes());
        expected += 1;
    }
    let whole = scanner.scan_bytes("x.txt", &text);
    assert_eq!(whole, scanner.scan_reader("x.txt", None, &mut Slow(&text)));
    let of = |rule: &str| whole.detections.iter().filter(|one| one.rule.as_str() == rule).count();
    assert_eq!(of("bare"), expected, "one without keywords reads everything");
    assert!((24..60).contains(&of("pin")), "{} have a keyword near", of("pin"));
    // A match that never ends is cut, wherever the chunks end.
    let endless = [b"acmepin ".as_slice(), &b"0123456789abcdef".repeat(40_000)].concat();
    let whole = scanner.scan_bytes("x.txt", &endless);
    assert_eq!(whole, scanner.scan_reader("x.txt", None, &mut Slow(&endless)));
    assert!(!whole.detections.is_empty());
}

#[test]
fn files_extend_one_another() {
    let read = |name: &str, text: &str| GitleaksConfig::read(name, text).expect("good");
    let first = read(
        "first.toml",
        "[extend]\npath = \"second.toml\"\ndisabledRules = [\"off\"]\n[[rules]]\nid = \"pin\"\nkeywords = [\"code\"]\nentropy = 1\n",
    );
    assert_eq!(first.extends(), Some("second.toml"));
    let second = read(
        "second.toml",
        "[extend]\npath = \"third.toml\"\n[[rules]]\nid = \"pin\"\ndescription = \"A pin\"\nregex = '[0-9]{8}'\nkeywords = [\"pin\"]\n[[rules]]\nid = \"off\"\nregex = 'x'\n",
    );
    let config = first.extending(second);
    assert_eq!(config.extends(), Some("third.toml"));
    let config = config.extending(read("third.toml", "[extend]\npath = \"fourth.toml\"\n[[allowlists]]\nstopwords = [\"0000\"]\n"));
    assert_eq!(config.extends(), None, "that is deep enough");
    let composed = ScanRules::compose(&[], Some(&config)).expect("good");
    let rules: Vec<(String, String)> = composed.rules.facts().into_iter().map(|rule| (rule.id.to_string(), rule.title)).collect();
    assert_eq!(rules, [("pin".to_owned(), "A pin".to_owned())]);
    let warnings: Vec<String> = composed.warnings.iter().map(ToString::to_string).collect();
    expect![
        "third.toml:2: `fourth.toml` is not read: files extend one another no more than 3 deep, as in gitleaks (bring its rules nearer)"
    ]
    .assert_eq(&warnings.join("\n"));
    let scanner = scanner(composed);
    let scanned = scanner.scan_bytes("x", b"pin 12345678\ncode 87654321\npin 11111111\npin 12300001\n");
    assert_eq!((scanned.detections.len(), scanned.allowed.len()), (2, 1));
}

#[test]
fn a_file_that_is_not_read_is_told() {
    warned(
        "[extend]\npath = \"base.toml\"\n[[rules]]\nid = \"pin\"\nentropy = 3\n",
        expect![".gitleaks.toml:2: it extends `base.toml`, which was not read (see that the file is there, or remove `path`)"],
    );
}

#[test]
fn what_gitleaks_refuses_is_refused() {
    refused(
        "title = \"x\n",
        expect![[r#"
        .gitleaks.toml:1: invalid basic string, expected `"` (correct the TOML)"#]],
    );
    refused(
        "[extend]\npath = \"x\"\nuseDefault = true\n[[rules]]\ndescription = \"no id\"\nregex = 'x'\n[[rules]]\nid = \"look\"\nregex = 'a(?=b)'\n[[rules]]\nid = \"group\"\nregex = 'a'\nsecretGroup = 1\n[[rules]]\nid = \"group\"\nregex = 'a'\nkeywords = 7\n",
        expect![[r#"
            .gitleaks.toml:2: `path` and `useDefault` exclude each other (remove one, and say it in the file that `path` names)
            .gitleaks.toml:5: a rule has no `id` (give it one)
            .gitleaks.toml:9: look: `regex` is no regular expression of Go: it looks ahead or behind, which Go does not know (correct it)
            .gitleaks.toml:11: group: `secretGroup` is 1, and the regex has 0 groups (name one of its groups, counted from 1)
            .gitleaks.toml:17: group: `keywords` is not a list of texts in quotes (make it a list of texts in quotes)"#]],
    );
    refused(
        "[[rules]]\nid = \"a\"\nregex = 'x'\n[rules.allowlist]\ncondition = \"XOR\"\nregexTarget = \"word\"\nstopwords = [\"x\"]\n[[rules.allowlists]]\nstopwords = [\"y\"]\n[[rules.required]]\nid = \"b\"\n[[allowlists]]\ndescription = \"nothing\"\n",
        expect![[r#"
            .gitleaks.toml:5: a: `allowlist` and `allowlists` exclude each other (write all of them as `allowlists`)
            .gitleaks.toml:5: a: `condition` is `XOR` (write `AND` or `OR`)
            .gitleaks.toml:6: a: `regexTarget` is `word` (write `secret`, `match` or `line`)
            .gitleaks.toml:11: a: `required` names `b`, which is no rule of this file (name a rule of the same file)"#]],
    );
    refused(
        "[[allowlists]]\ndescription = \"nothing\"\n",
        expect![".gitleaks.toml:2: an allowlist allows nothing (give it `commits`, `paths`, `regexes` or `stopwords`)"],
    );
    refused(
        "[[rules]]\nid = \"a\"\n",
        expect![".gitleaks.toml:2: a: it has neither `regex` nor `path`, and finds nothing (give it a `regex`, or remove it)"],
    );
}

#[test]
fn what_is_not_honoured_is_told() {
    warned(
        "minVersion = \"v9.1.0\"\nowner = \"us\"\n[[rules]]\nid = \"a\"\nregex = 'x*'\nkeywords = [\"\"]\nreport = true\nskipReport = true\n[[allowlists]]\ntargetRules = [\"a\", \"b\", \"jwt\"]\nstopwords = [\"x\", \"\"]\n",
        expect![[r#"
            .gitleaks.toml:1: `minVersion` asks for v9.1.0; the format of 8.30 is read (see whether what follows names a field)
            .gitleaks.toml:2: `owner` is no field of the format and was passed over (remove it, or correct its name)
            .gitleaks.toml:4: a: it says `skipReport`, and no rule requires it: it does nothing (remove `skipReport`, or the rule)
            .gitleaks.toml:5: a: the regex can match nothing at all; such matches are passed over (let it need a character)
            .gitleaks.toml:6: a: an empty keyword stands in every text, and was passed over (remove it)
            .gitleaks.toml:7: a: `report` is no field of the format and was passed over (remove it, or correct its name)
            .gitleaks.toml:10: `targetRules` names `b`, which is no rule (remove it, or correct its name)
            .gitleaks.toml:10: `targetRules` names `jwt`, which does not run (remove it, or correct its name)
            .gitleaks.toml:11: an empty text in `stopwords` would allow everything, and was passed over (remove it)"#]],
    );
}
