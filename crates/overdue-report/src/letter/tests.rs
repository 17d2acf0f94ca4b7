//! Letters as people read them.

use expect_test::{Expect, expect};
use jiff::tz::TimeZone;

use super::*;
use crate::templates::sample::{self, Sample};

fn render(sample: &Sample, letter: &Letter) -> Rendered {
    static UTC: TimeZone = TimeZone::UTC;
    let templates = Templates::builtin().expect("built-in templates load");
    let template = if letter.kind == LetterKind::Security { "security-report" } else { "rotation-due" };
    let context = LetterContext {
        job: "weekly-audit",
        period: "2026-W48",
        now: sample.assessment.now,
        zone: &UTC,
        assessment: &sample.assessment,
        inventory: &sample.inventory,
        template,
    };
    render_letter(&templates, letter, &context).expect("a letter")
}

fn letter_to<'a>(sample: &'a Sample, address: &str) -> &'a Letter {
    sample.letters.iter().find(|letter| letter.to.address.as_deref() == Some(address)).expect("a letter")
}

#[test]
fn an_exposed_key_brings_its_age_its_places_and_its_steps() {
    let sample = sample::sample("one", sample::one());
    let rendered = render(&sample, letter_to(&sample, "payments@example.com"));
    expect!["1 credential needs you: exposed, overdue by 323 days, shared"].assert_eq(&rendered.subject);
    assert_eq!(rendered.codes, [Code::Exposed, Code::RotationOverdue, Code::Shared, Code::StaleVersion]);
    expect![[r#"
        Hello payments@example.com,

        1 credential needs you: exposed, overdue by 323 days, shared.

        The worst comes first. Each item says what is the matter, where it lies, and how to end it without an outage.

        ------------------------------------------------------------------------
        1. IAM access key AKIAQUB2J3L400000001 of ci-deploy  [Critical]

           Live, and lies in 3 places (exposed)
           413 days old, limit 90 days: overdue by 323 days (rotation-overdue)
           The same secret lies in 2 things (shared)
           Old versions carry it too (1) (stale-version)

           Id: AKIAQUB2J3L400000001
           Name: ci-deploy
           Speaks as: arn:aws:iam::111111111111:user/ci-deploy
           Account: prod (111111111111)
           Age: 413 days, since 7 Oct 2025 (iam:GetCredentialReport, up to 4 hours behind)
           Last use: Yesterday, 23 Nov 2026 by s3 in eu-west-1 (iam:GetAccessKeyLastUsed, up to 4 hours behind)
           Rotation due: Was due on 5 Jan 2026, 323 days ago
           Owner: payments@example.com
           Why this owner: Tag owner=payments@example.com of user ci-deploy

           Where it lies:
           - function pay-api, version $LATEST, code lib/app.py, line 12 in account 111111111111, eu-west-1
           - repository /srv/git/shop.git, deploy/settings.py, line 12 (commit 8fa1c2d3e4a5 by Ann Lee <ann@example.com>, 2026-05-08)
           - function pay-api, version 3, code lib/app.py, line 12 in account 111111111111, eu-west-1 [old version]

           What to do:
           1. Treat it as known to others, and begin today. See what it did lately; a call you do not recognise goes to your security team at once.
              aws cloudtrail lookup-events --lookup-attributes AttributeKey=AccessKeyId,AttributeValue=AKIAQUB2J3L400000001
           2. Make a second key beside this one. Its secret is shown once: put it straight into the place the caller reads it from. (A user can have two keys; if there are two already, retire the idle one first.)
              aws iam create-access-key --user-name ci-deploy
           3. Move every caller to the new key.
           4. Watch the old key until its last use stands still for at least a day. This figure can be hours late.
              aws iam get-access-key-last-used --access-key-id AKIAQUB2J3L400000001
           5. Deactivate the old key. If something breaks, the same command with Active brings it back at once.
              aws iam update-access-key --user-name ci-deploy --access-key-id AKIAQUB2J3L400000001 --status Inactive
           6. Wait a week, so that a weekly job can complain.
           7. Delete the old key.
              aws iam delete-access-key --user-name ci-deploy --access-key-id AKIAQUB2J3L400000001
           8. Take it out of the function's code and publish; then delete the old versions that still carry it, or nothing is gained. Let the function read it from Secrets Manager with its own role.
           9. Remove it from the repository. History, clones and forks keep it, so only making it worthless really helps; rewrite history only for tidiness, after that.

        ------------------------------------------------------------------------
        You get one letter for 2026-W48, over all accounts, from the job weekly-audit (Tuesday, 24 November 2026).
        Not yours? Correct the owner tag of the thing, or tell your security team. "Why this owner" says where we read it.
        Overdue only reads. It has changed nothing, and it never shows or keeps a secret.
    "#]].assert_eq(&rendered.text);
}

#[test]
fn the_subject_counts_and_the_security_letter_begins_with_gaps() {
    let check = |sample: &Sample, to: &str, subject: Expect, beginning: Expect| {
        let rendered = render(sample, letter_to(sample, to));
        subject.assert_eq(&rendered.subject);
        beginning.assert_eq(&rendered.text.lines().take(12).collect::<Vec<_>>().join("\n"));
    };
    let many = sample::sample("many", sample::many(60));
    check(
        &many,
        "payments@example.com",
        expect!["15 credentials need you: 1 exposed, 13 overdue by up to 423 days, 1 never used; 1 more due in 9 days"],
        expect![[r#"
            Hello payments@example.com,

            15 credentials need you: 1 exposed, 13 overdue by up to 423 days, 1 never used; 1 more due in 9 days.

            The worst comes first. Each item says what is the matter, where it lies, and how to end it without an outage.

            ------------------------------------------------------------------------
            1. IAM access key AKIAQUB2J3L400000001 of ci-deploy  [Critical]

               Live, and lies in 32 places (exposed)
               413 days old, limit 90 days: overdue by 323 days (rotation-overdue)
               The same secret lies in 2 things (shared)"#]],
    );
    check(
        &many,
        "security@example.com",
        expect!["10 coverage gaps, 120 targets not read to the end, 1 finding that nobody owns, the schedule was not kept"],
        expect![[r#"
            10 coverage gaps, 120 targets not read to the end, 1 finding that nobody owns, the schedule was not kept.

            Looked at: 780 targets: 600 scanned, 60 skipped, 60 failed, 60 not reached; 1,200 credentials, 24,000 artifacts (18,000 read, 5,400 unchanged since they were last read, 600 with a gap).

            WHAT COULD NOT BE SEEN (10 gaps)

            - 8 x access denied: AWS account prod (111111111111), needs lambda:GetFunction
                function worker-0
                function worker-1
                function worker-2
                function worker-3
                function worker-4"#]],
    );
    let one = sample::sample("one", sample::one());
    check(
        &one,
        "security@example.com",
        expect!["Everything was looked at, every finding has an owner, 1 exemption to tidy up"],
        expect![[r#"
            Everything was looked at, every finding has an owner, 1 exemption to tidy up.

            Looked at: 12 targets: 12 scanned; 24 credentials, 480 artifacts (360 read, 108 unchanged since they were last read).

            Everything that was to be read was read.

            NOBODY ELSE IS TOLD OF THESE: 1 exemption to tidy up

            ------------------------------------------------------------------------
            1. Exemption for AKIAQUB2J3L400000005  [Low]

               The exemption matches no finding; delete it or fix its id (exemption-unused)"#]],
    );
}

#[test]
fn text_and_html_say_the_same() {
    let sample = sample::sample("many", sample::many(60));
    for letter in &sample.letters {
        let rendered = render(&sample, letter);
        let html = crate::html_check::text_of(&rendered.html);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        let html = words(&html);
        for finding in &letter.findings[..letter.findings.len().min(FULL_MAX)] {
            let title = words(view::title(finding).as_str());
            assert!(html.contains(&title) && words(&rendered.text).contains(&title), "{title}");
        }
        for line in rendered.text.lines().map(str::trim) {
            // Each fact, place, step and command of the text, without its marks.
            let line = line.trim_start_matches(['-', ' ']);
            let bare = line.split_once(": ").map_or(line, |(_, value)| value);
            if !bare.is_empty() && line.starts_with("aws ") || line.contains("Last use: ") {
                assert!(html.contains(&words(bare)), "{bare:?} is not in the HTML");
            }
        }
    }
}

#[test]
fn a_mail_loads_and_runs_nothing_and_carries_its_style() {
    let sample = sample::sample("many", sample::many(60));
    let rendered = render(&sample, letter_to(&sample, "payments@example.com"));
    let tags = crate::html_check::tags(&rendered.html);
    assert!(tags.iter().all(|tag| !["script", "link", "img", "a", "form", "iframe"].contains(&tag.name.as_str())), "{tags:?}");
    let classed = tags.iter().filter(|tag| tag.attributes.iter().any(|(name, _)| name == "class"));
    assert!(classed.clone().count() > 100 && classed.clone().all(|tag| tag.attributes.iter().any(|(name, _)| name == "style")));
    assert!(rendered.html.contains("prefers-color-scheme: dark") && rendered.html.contains("max-width: 480px"));
    assert!(rendered.html.len() < 100_000, "Gmail cuts letters at 102 KB: {}", rendered.html.len());
}
