//! Templates that load, and those that are refused with their line.

use jiff::tz::TimeZone;

use super::sample::{self, Sample};
use super::*;

fn context<'a>(sample: &'a Sample, template: &'a str) -> LetterContext<'a> {
    static UTC: TimeZone = TimeZone::UTC;
    LetterContext {
        job: "weekly-audit",
        period: "2026-W48",
        now: sample.assessment.now,
        zone: &UTC,
        assessment: &sample.assessment,
        inventory: &sample.inventory,
        template,
    }
}

#[test]
fn the_built_in_templates_hold() {
    let templates = Templates::builtin().map_err(|error| error.to_string()).expect("built-in templates load");
    assert_eq!(templates.check(), Vec::new());
    assert_eq!(templates.letters().collect::<Vec<_>>(), ["rotation-due", "security-report"]);
}

/// Writes every sample's letters and reports into a folder, to look at: `cargo test -p overdue-report -- --ignored previews`.
#[test]
#[ignore = "writes files to look at"]
fn previews() {
    let templates = Templates::builtin().expect("built-in templates load");
    let folder = std::env::temp_dir().join("overdue-previews");
    std::fs::create_dir_all(&folder).expect("a folder");
    let write = |name: String, text: &str| std::fs::write(folder.join(name), text).expect("a file");
    for sample in sample::standard() {
        let name = sample.name.replace(' ', "-");
        write(format!("{name}-report.html"), &page::render_html_report(&templates, &sample.report_input()).expect("a report"));
        write(format!("{name}-summary.txt"), &crate::summary_text(&sample.report_input(), 100, false));
        let mut json = Vec::new();
        crate::write_report_json(&sample.report_input(), &mut json).expect("json");
        write(format!("{name}-report.json"), &String::from_utf8(json).expect("text"));
        for letter in sample.letters.iter().take(2).chain(sample.letters.iter().rev().take(2)) {
            let template = if letter.kind == overdue_core::LetterKind::Security { "security-report" } else { "rotation-due" };
            let rendered = letter::render_letter(&templates, letter, &context(&sample, template)).expect("a letter");
            let to = crate::clean::file_slug(&letter.to.name, 30);
            write(format!("{name}-{to}.html"), &rendered.html);
            write(format!("{name}-{to}.txt"), &format!("Subject: {}\n\n{}", rendered.subject, rendered.text));
        }
    }
}

/// Writes `files` into a folder of overrides and gives what loading says, folder names taken off.
fn load(files: &[(&str, &str)]) -> Result<Templates, String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    Templates::with_overrides(folder.path()).map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

fn refused(files: &[(&str, &str)]) -> String {
    load(files).err().unwrap_or_else(|| "it loads".to_owned())
}

#[test]
fn every_file_of_the_folder_is_built_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&root).expect("the folder").flatten() {
        let name = entry.file_name().into_string().expect("a name");
        match std::fs::read_dir(entry.path()) {
            Ok(inner) => found.extend(inner.flatten().map(|file| format!("{name}/{}", file.file_name().to_string_lossy()))),
            Err(_) if name == "README.md" => {}
            Err(_) => found.push(name),
        }
    }
    found.sort();
    let mut built_in: Vec<&str> = BUILTIN.iter().map(|(path, _)| *path).collect();
    built_in.sort_unstable();
    assert_eq!(found, built_in);
}

#[test]
fn every_field_of_a_letter_is_documented() {
    fn names(value: &serde_json::Value, found: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Array(items) => items.iter().for_each(|item| names(item, found)),
            serde_json::Value::Object(fields) => fields.iter().for_each(|(name, inner)| {
                found.insert(name.clone());
                names(inner, found);
            }),
            _ => {}
        }
    }
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../templates/README.md"));
    let mut found = BTreeSet::new();
    names(sample::Shapes::known().all()[0].1, &mut found);
    let missing: Vec<_> = found.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "templates/README.md does not name {missing:?}");
}

/// A list that were empty in the shape could not be checked inside.
#[test]
fn the_shapes_have_no_blind_spot() {
    fn walk(value: &serde_json::Value, at: &str) {
        match value {
            // The worst are told without steps; their full finding has them.
            serde_json::Value::Array(_) if at == "top.worst.steps" => {}
            serde_json::Value::Array(items) => walk(items.first().unwrap_or_else(|| panic!("{at} is empty")), at),
            serde_json::Value::Object(fields) => fields.iter().for_each(|(name, inner)| walk(inner, &format!("{at}.{name}"))),
            serde_json::Value::Null => panic!("{at} is null"),
            _ => {}
        }
    }
    for (name, shape) in sample::Shapes::known().all() {
        walk(shape, name);
    }
}

#[test]
fn a_faulty_template_is_told_by_file_and_line() {
    let text = |body: &str| refused(&[("rotation-due/text.hbs", body)]);
    let html = |body: &str| refused(&[("rotation-due/html.hbs", body)]);
    let cases = [
        (text("a\n{{headlin}}"), "rotation-due/text.hbs:2: there is no field `headlin`; did you mean `headline`?"),
        (text("{{#if finding}}x{{/if}}"), "rotation-due/text.hbs:1: there is no field `finding`; did you mean `findings`?"),
        (text("{{#each findings}}\n{{titel}}{{/each}}"), "rotation-due/text.hbs:2: there is no field `titel`; did you mean `title`?"),
        (text("{{findings}}"), "rotation-due/text.hbs:1: `findings` is a list; walk it with `{{#each}}`"),
        (text("{{#each headline}}x{{/each}}"), "rotation-due/text.hbs:1: `headline` is no list"),
        (text("{{headline.x}}"), "rotation-due/text.hbs:1: `headline.x`: there is no field `x` in a text or list"),
        (text("\n\n{{{headline}}}"), "rotation-due/text.hbs:3: `{{{` and `{{&` put data out without escaping; write `{{ }}`"),
        (text("{{&headline}}"), "rotation-due/text.hbs:1: `{{{` and `{{&` put data out without escaping; write `{{ }}`"),
        (
            text("{{#each findings}}{{~{title}~}}{{/each}}"),
            "rotation-due/text.hbs:1: `{{{` and `{{&` put data out without escaping; write `{{ }}`",
        ),
        (
            text("{{shout headline}}"),
            "rotation-due/text.hbs:1: there is no helper `shout`; there are eq, ne, gt, gte, lt, lte, and, or, not, len",
        ),
        (
            text("{{lookup findings 0}}"),
            "rotation-due/text.hbs:1: there is no helper `lookup`; there are eq, ne, gt, gte, lt, lte, and, or, not, len",
        ),
        (
            text("{{log headline}}"),
            "rotation-due/text.hbs:1: there is no helper `log`; there are eq, ne, gt, gte, lt, lte, and, or, not, len",
        ),
        (text("{{#shout headline}}x{{/shout}}"), "rotation-due/text.hbs:1: there is no block `shout`; there are if, unless, each, with"),
        (text("{{#if (eq headlin 1)}}x{{/if}}"), "rotation-due/text.hbs:1: there is no field `headlin`; did you mean `headline`?"),
        (
            text("{{#each findings}}{{#each ../findings}}x{{/each}}{{/each}}"),
            "rotation-due/text.hbs:1: `{{#each}}` walks down only: name a field of what surrounds it",
        ),
        (
            text("{{#each findings}}{{#each @root.findings}}x{{/each}}{{/each}}"),
            "rotation-due/text.hbs:1: `{{#each}}` walks down only: name a field of what surrounds it",
        ),
        (
            text("{{#each findings as |f|}}x{{/each}}"),
            "rotation-due/text.hbs:1: write `{{#each field}}`: one field, no `as |name|`, no named parameters",
        ),
        (text("{{#each findings}}{{../../job}}{{/each}}"), "rotation-due/text.hbs:1: `../../job` leaves what surrounds it"),
        (text("{{@index}}"), "rotation-due/text.hbs:1: `@index` means nothing here; in `{{#each}}` there are @index, @first and @last"),
        (
            text("{{#*inline \"x\"}}y{{/inline}}"),
            "rotation-due/text.hbs:1: decorators such as `{{*inline}}` are not used here; put the piece into partials/",
        ),
        (
            text("{{#> partials/mail_end}}y{{/partials/mail_end}}"),
            "rotation-due/text.hbs:1: `{{#> }}` is not used here; write `{{> partials/name}}`",
        ),
        (
            text("{{> rotation-due/subject}}"),
            "rotation-due/text.hbs:1: there is no partial `rotation-due/subject`; there are partials/finding_html, partials/finding_text, partials/mail_end, partials/mail_head",
        ),
        (text("{{> (lookup headline 1)}}"), "rotation-due/text.hbs:1: a partial is named, not computed"),
        (
            html("<p>\n<a href={{headline}}>x</a>"),
            "rotation-due/html.hbs:2: data may stand in text or in an attribute's quotes, not in an attribute",
        ),
        (html("<p class=lead>x</p>"), "rotation-due/html.hbs:1: the value of `class` must stand in quotes"),
        (
            html("<a href=\"{{headline}}\">x</a>"),
            "rotation-due/html.hbs:1: `href` may not be made of data (a link within the page, `#…`, may)",
        ),
        (
            html("<a href=\"https://x.example/{{job}}\">x</a>"),
            "rotation-due/html.hbs:1: `href` may not be made of data (a link within the page, `#…`, may)",
        ),
        (html("<a href=\"javascript:alert(1)\">x</a>"), "rotation-due/html.hbs:1: `href` must lead to `https://…`, `mailto:…` or `#…`"),
        (
            html("<p style=\"color: {{job}}\">x</p>"),
            "rotation-due/html.hbs:1: `style` may not be made of data (a link within the page, `#…`, may)",
        ),
        (html("<p onclick=\"x\">x</p>"), "rotation-due/html.hbs:1: `onclick` would run something"),
        (html("<img src=\"https://x.example/pixel.gif\">"), "rotation-due/html.hbs:1: `src` would load something from elsewhere"),
        (
            html("a\n<script>x</script>"),
            "rotation-due/html.hbs:2: `<script>` is not allowed: a letter or report runs, loads and sends nothing",
        ),
        (
            html("<style>p { background: url(https://x.example/) }</style>"),
            "rotation-due/html.hbs:1: a style sheet may load nothing from elsewhere",
        ),
        (
            html("<style>p { color: {{job}} }</style>"),
            "rotation-due/html.hbs:1: data may stand in text or in an attribute's quotes, not in a style sheet",
        ),
        (html("<!-- {{job}} -->"), "rotation-due/html.hbs:1: data may stand in text or in an attribute's quotes, not in a comment"),
        (html("<{{job}}>"), "rotation-due/html.hbs:1: data may stand in text or in an attribute's quotes, not in a tag"),
        (html("<p title=\"{{job}}>x</p>"), "rotation-due/html.hbs:1: ends inside an attribute's quotes"),
        (
            html("<p {{#if complete}}class=\"{{/if}}x\">"),
            "rotation-due/html.hbs:1: `{{#if}}` must end at the same place of the page in each of its branches: close the tag or quote it opens",
        ),
        (
            refused(&[("rotation-due/txt.hbs", "x")]),
            "rotation-due/txt.hbs: a letter has subject.hbs, text.hbs and html.hbs; shared pieces go into partials/",
        ),
        (refused(&[("mine/text.hbs", "x"), ("mine/html.hbs", "x")]), "mine/html.hbs: the letter `mine` has no subject.hbs beside it"),
        (refused(&[("text.hbs", "x")]), "text.hbs: a template belongs into the folder of its letter, or into partials/ or report/"),
        (refused(&[("report/middle.hbs", "x")]), "report/middle.hbs: the report has no such piece"),
        (refused(&[("steps.toml", "[kind.\"aws.iam-access-key\"]\nrotate = []\n")]), "steps.toml:1: missing field `retire`"),
    ];
    for (told, wanted) in cases {
        assert!(told.lines().any(|line| line == wanted), "wanted: {wanted}\ntold:   {told}");
    }
    assert!(text("{{#if headline}}").contains("rotation-due/text.hbs:1: "), "{}", text("{{#if headline}}"));
}

#[test]
fn everything_wrong_is_told_at_once() {
    let told = refused(&[("rotation-due/text.hbs", "{{a}}\n{{{job}}}\n{{b}}"), ("rotation-due/subject.hbs", "{{c}}")]);
    assert_eq!(told.lines().count(), 4, "{told}");
}

#[test]
fn templates_that_would_never_end_are_refused() {
    let partial = |name: &'static str, body: &'static str| (name, body);
    let told = refused(&[
        ("rotation-due/text.hbs", "{{> partials/a}}"),
        partial("partials/a.hbs", "{{> partials/b}}"),
        partial("partials/b.hbs", "{{> partials/a}}"),
    ]);
    assert!(told.contains("partials/b.hbs:1: `partials/a` would include itself"), "{told}");

    // Each includes the next one ten times: 10^7 elements.
    let many = "{{> partials/NEXT}}".repeat(10);
    let files: Vec<(String, String)> =
        (0..7).map(|n| (format!("partials/p{n}.hbs"), many.replace("NEXT", &format!("p{}", n + 1)))).collect();
    let mut files: Vec<(&str, &str)> = files.iter().map(|(name, body)| (name.as_str(), body.as_str())).collect();
    files.extend([("partials/p7.hbs", "x"), ("rotation-due/text.hbs", "{{> partials/p0}}")]);
    assert!(refused(&files).contains("partials include one another too often"));

    for deep in [
        format!("{}{}", "{{#if job}}".repeat(100_000), "{{/if}}".repeat(100_000)),
        format!("{{{{#if job}}}}{}{{{{/if}}}}", "{{else if job}}".repeat(10_000)),
        format!("{{{{#if {}job{}}}}}x{{{{/if}}}}", "(not ".repeat(10_000), ")".repeat(10_000)),
        format!("{{{{len {}{}}}}}", "[".repeat(50_000), "]".repeat(50_000)),
        format!("{}{}", "{{~ #if job}}".repeat(10_000), "{{/if}}".repeat(10_000)),
    ] {
        let told = refused(&[("rotation-due/text.hbs", &deep)]);
        assert!(told.contains("nested deeper than") || told.contains("larger than") || told.contains("not Handlebars"), "{told}");
    }
    assert!(refused(&[("rotation-due/text.hbs", &"x".repeat(300_000))]).contains("larger than 262144 bytes"));
}

#[test]
fn a_rendering_has_an_end() {
    let sample = sample::sample("many", sample::many(60));
    let body = format!("{{{{#each findings}}}}{{{{#each facts}}}}{}{{{{/each}}}}{{{{/each}}}}", "x".repeat(250_000));
    let templates = load(&[("rotation-due/text.hbs", &body)]).expect("it loads");
    let error = letter::render_letter(&templates, &sample.letters[1], &context(&sample, "rotation-due")).err();
    assert!(matches!(error, Some(RenderError::TooLarge { .. })), "{error:?}");
    assert!(templates.check().iter().any(|problem| problem.what.contains("gives more than")));
}

#[test]
fn a_folder_replaces_files_and_adds_letters() {
    let sample = sample::sample("one", sample::one());
    let templates = load(&[
        ("rotation-due/subject.hbs", "{{#if (gt (len findings) 0)}}{{due_count}} {{due_noun}}{{/if}}"),
        ("nudge/subject.hbs", "{{headline}}"),
        ("nudge/text.hbs", "{{#each findings}}{{#unless @first}}, {{/unless}}{{@index}} {{title}} for {{../to}} by {{@root.job}}{{#with this}} {{id}}{{/with}}{{/each}}"),
        ("nudge/html.hbs", "<p class=\"{{#if complete}}a{{else}}b{{/if}}\" title='{{to}}'>{{headline}} <a href=\"#x{{due_count}}\">x</a></p>"),
        ("README.md", "notes {{of}} mine"),
        ("steps.toml", "[kind.\"aws.iam-access-key\"]\nrotate = [{ text = 'Ask {user}.', command = 'ask {id}' }]\nretire = []\n[found]\nbefore = []\nunknown = []\nafter = []\n[place]\n"),
    ])
    .expect("it loads");
    assert_eq!(templates.check(), Vec::new());
    let due = letter::render_letter(&templates, &sample.letters[0], &context(&sample, "rotation-due")).expect("a letter");
    assert_eq!(due.subject, "1 credential");
    assert!(due.text.contains("1. Ask ci-deploy.\n      ask AKIAQUB2J3L400000001\n"), "{}", due.text);
    let nudge = letter::render_letter(&templates, &sample.letters[0], &context(&sample, "nudge")).expect("a letter");
    assert_eq!(
        nudge.text,
        "0 IAM access key AKIAQUB2J3L400000001 of ci-deploy for payments@example.com by weekly-audit AKIAQUB2J3L400000001\n"
    );
    let error = letter::render_letter(&templates, &sample.letters[0], &context(&sample, "nugde")).expect_err("there is none");
    assert_eq!(error.to_string(), "there is no letter template `nugde`; there are: nudge, rotation-due, security-report");
    assert!(load(&[]).is_ok());
}

#[test]
fn a_folder_that_is_not_there_is_said_so() {
    let error = Templates::with_overrides(Path::new("/nowhere/at/all")).expect_err("no folder").to_string();
    assert!(error.starts_with("/nowhere/at/all: the templates folder cannot be read: "), "{error}");
}
