//! Hostile names in every field, read back from every sink with a real parser.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use mail_parser::{MessageParser, MimeHeaders};

use crate::clean::is_active;
use crate::html_check;
use crate::notify::{MailParts, build_mail};
use crate::templates::sample::{self, HOSTILE, Sample};
use crate::{LetterContext, Rendered, Templates, render_html_report, render_letter, summary_text, write_report_json};

static UTC: TimeZone = TimeZone::UTC;

fn letters(templates: &Templates, sample: &Sample) -> Vec<Rendered> {
    let render = |letter: &overdue_core::Letter| {
        ["rotation-due", "security-report"].map(|template| {
            let context = LetterContext {
                job: HOSTILE[4],
                period: HOSTILE[0],
                now: sample.assessment.now,
                zone: &UTC,
                assessment: &sample.assessment,
                inventory: &sample.inventory,
                template,
            };
            render_letter(templates, letter, &context).expect("a letter")
        })
    };
    sample.letters.iter().flat_map(render).collect()
}

/// The same world with names nobody could mind: structure must not depend on what a name says.
fn harmless() -> Sample {
    let words: Vec<String> = (0..HOSTILE.len()).map(|n| format!("word{n}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    sample::sample("harmless", sample::with_names(&words, "longword"))
}

fn hostile() -> Sample {
    sample::sample("hostile", sample::hostile())
}

/// How often each tag with each set of attribute names occurs.
fn structure(html: &str) -> BTreeMap<(String, Vec<String>), usize> {
    let mut counts = BTreeMap::new();
    for tag in html_check::tags(html) {
        let names = tag.attributes.iter().map(|(name, _)| name.clone()).collect();
        *counts.entry((tag.name, names)).or_default() += 1;
    }
    counts
}

fn check_html(html: &str, twin: &str) {
    assert_eq!(structure(html), structure(twin), "a name made or unmade an element or attribute");
    for tag in html_check::tags(html) {
        for (name, value) in &tag.attributes {
            assert!(!name.starts_with("on"), "{tag:?}");
            assert!(name != "href" || value.starts_with('#'), "{tag:?}");
        }
    }
    let text = html_check::text_of(html);
    assert!(text.contains("{{x}} {{{y}}}"), "braces are shown to the letter");
    assert_inert(&text);
    assert!(!text.contains("https://evil") && !text.contains("www.evil"), "a name became a link");
}

fn assert_inert(text: &str) {
    let active: Vec<char> = text.chars().filter(|c| *c != '\n' && is_active(*c)).collect();
    assert!(active.is_empty(), "{active:?}");
}

#[test]
fn the_page_stays_a_page() {
    let templates = Templates::builtin().expect("built-in templates load");
    let html = render_html_report(&templates, &hostile().report_input()).expect("a report");
    let twin = render_html_report(&templates, &harmless().report_input()).expect("a report");
    check_html(&html, &twin);
    assert!(html.len() < 1_000_000, "a megabyte of a name stayed: {}", html.len());
}

#[test]
fn letters_stay_letters() {
    let templates = Templates::builtin().expect("built-in templates load");
    let (hostile, harmless) = (letters(&templates, &hostile()), letters(&templates, &harmless()));
    assert_eq!(hostile.len(), harmless.len());
    let mut braces = false;
    for (letter, twin) in hostile.iter().zip(&harmless) {
        assert_eq!(structure(&letter.html), structure(&twin.html));
        assert_inert(&letter.text);
        assert_inert(&html_check::text_of(&letter.html));
        assert!(!letter.subject.contains('\n'));
        assert_inert(&letter.subject);
        assert_eq!(letter.text.lines().count(), twin.text.lines().count(), "a name made or unmade a line");
        assert!(!letter.text.contains("https://evil"));
        braces |= letter.text.contains("{{x}} {{{y}}}");
    }
    assert!(braces);
}

#[test]
fn a_mail_keeps_its_headers_and_its_one_recipient() {
    let templates = Templates::builtin().expect("built-in templates load");
    let letters = letters(&templates, &hostile());
    let long = "L".repeat(1_000_000);
    for text in HOSTILE.iter().copied().chain([long.as_str()]) {
        let parts = MailParts {
            from: "overdue@example.com",
            from_name: text,
            to: "ann@example.com",
            to_name: text,
            message_id: "<weekly.2026-W48.1@overdue.example.com>",
            subject: text,
            text: &letters[0].text,
            html: &letters[0].html,
            date: sample::moment(),
            job: text,
            codes: &letters[0].codes,
        };
        let mail = build_mail(&parts).expect("a mail");
        let parsed = MessageParser::default().parse(mail.bytes()).expect("a mail a parser reads");
        let mut names: Vec<String> = parsed.headers().iter().map(|header| header.name().to_ascii_lowercase()).collect();
        names.sort();
        assert_eq!(
            names,
            [
                "auto-submitted",
                "content-type",
                "date",
                "from",
                "list-id",
                "message-id",
                "mime-version",
                "subject",
                "to",
                "x-overdue-job",
                "x-overdue-verdicts"
            ]
        );
        let to: Vec<_> = parsed.to().expect("a recipient").clone().into_list().into_iter().map(|to| to.address.map(String::from)).collect();
        assert_eq!(to, [Some("ann@example.com".to_owned())], "{text:?}");
        let from: Vec<_> =
            parsed.from().expect("a sender").clone().into_list().into_iter().map(|from| from.address.map(String::from)).collect();
        assert_eq!(from, [Some("overdue@example.com".to_owned())], "{text:?}");
        assert_eq!(parsed.parts.len(), 3);
        for part in &parsed.parts[1..] {
            assert_eq!(part.content_transfer_encoding(), Some("base64"));
        }
        assert_eq!(parsed.body_text(0).map(|body| body.replace("\r\n", "\n")).as_deref(), Some(letters[0].text.as_str()));
        assert_inert(parsed.subject().unwrap_or_default());
        assert!(mail.bytes().is_ascii());
    }
}

#[test]
fn a_terminal_obeys_nobody() {
    let sample = hostile();
    for width in [0, 40, 80, 1_000] {
        assert_inert(&summary_text(&sample.report_input(), width, false));
        let mut colored = summary_text(&sample.report_input(), width, true);
        for code in ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[1;31m", "\u{1b}[33m", "\u{1b}[1;32m"] {
            colored = colored.replace(code, "");
        }
        assert_inert(&colored);
    }
}

#[test]
fn json_is_exact_and_may_be_looked_at() {
    let sample = sample::sample("hostile", sample::with_names(&HOSTILE, "x"));
    let mut bytes = Vec::new();
    write_report_json(&sample.report_input(), &mut bytes).expect("json");
    let text = String::from_utf8(bytes).expect("UTF-8");
    assert_inert(&text);
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value, crate::report_json(&sample.report_input()).expect("a value"));
    let names: std::collections::BTreeSet<&str> =
        value["accounts"].as_array().into_iter().flatten().filter_map(|a| a["name"].as_str()).collect();
    for text in HOSTILE {
        assert!(names.contains(text), "{text:?} came back changed");
    }
}
