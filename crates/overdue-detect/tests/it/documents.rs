//! Office documents and notebooks: text as one reads it.

use overdue_detect::Limits;

use crate::kit::{deflated, env, gaps, scan, scanner_with, seen, token};

const PAT: &str = "github.pat";

/// A token in three runs, as a word processor leaves it after a change.
fn runs(element: &str, token: &str) -> String {
    let (a, rest) = token.split_at(7);
    let (b, c) = rest.split_at(13);
    let run = |text: &str| format!("<w:r><w:rPr><w:b/></w:rPr><{element}>{text}</{element}></w:r>");
    format!("{}<w:proofErr w:type=\"spellStart\"/>{}{}", run(a), run(b), run(c))
}

#[test]
fn a_token_split_over_runs_is_found_and_told_by_its_paragraph() {
    let word = format!(
        "<?xml version=\"1.0\"?>\n<w:document><w:body><w:p><w:t>Dear all</w:t></w:p><w:p><w:t>the key is </w:t>{}</w:p>\
         <w:p>{}</w:p><w:p><w:t>whole: {}</w:t></w:p></w:body></w:document>",
        runs("w:t", &token(1)),
        runs("w:delText", &token(2)),
        token(3),
    );
    let slide = format!("<p:sld><a:p>{}</a:p></p:sld>", runs("a:t", &token(4)));
    let strings = format!("<sst><si><t>name</t></si><si>{}</si></sst>", runs("t", &token(5)));
    let open = format!("<office><text:p>a<text:span>{}</text:span>{}</text:p></office>", " ghp_", &token(6)[4..]);
    for (name, part, expected) in [
        ("word/document.xml", word, vec![Some(2), Some(3), Some(4)]),
        ("ppt/slides/slide1.xml", slide, vec![Some(1)]),
        ("xl/sharedStrings.xml", strings, vec![Some(2)]),
        ("content.xml", open, vec![Some(1)]),
    ] {
        let document = deflated(&[("[Content_Types].xml", b"<Types/>"), (name, part.as_bytes())]);
        let scanned = scan("x.docx", &document);
        let expected: Vec<_> = expected.into_iter().map(|line| (PAT, name, line)).collect();
        assert_eq!(seen(&scanned), expected, "{name}");
        assert_eq!(gaps(&scanned), [], "{name}");
        assert_eq!(scanned.detections[0].decoded, "office text");
    }
    // A part that is no part of a document is not read so.
    assert_eq!(seen(&scan("document.xml", runs("w:t", &token(1)).as_bytes())), []);
}

#[test]
fn too_much_text_is_a_gap_and_the_part_itself_is_scanned() {
    let part = format!("<w:p><w:t>{}</w:t></w:p><w:p><w:t>{}</w:t></w:p>", "words ".repeat(40_000), token(1));
    let document = deflated(&[("word/document.xml", part.as_bytes()), ("word/b.xml", runs("w:t", &token(2)).as_bytes())]);
    let scanned = scanner_with(Limits { seekable_bytes_max: 100_000, ..Limits::default() }).scan_bytes("x.docx", &document);
    assert_eq!(seen(&scanned), [(PAT, "word/b.xml", Some(1)), (PAT, "word/document.xml", Some(1))]);
    assert_eq!(gaps(&scanned), [("too-large", "word/document.xml")]);
    assert!(scanned.gaps[0].detail.contains("seekable_bytes_max"));
}

#[test]
fn notebooks_and_settings_in_wheels() {
    let notebook = format!(
        r#"{{"cells": [{{"cell_type": "code", "source": ["import os\n", "API_KEY = \"{}\"\n", "print(1)\n"]}}, {{"outputs": [{{"text": ["token: {}\n"]}}]}}], "nbformat": 4}}"#,
        token(1),
        token(2)
    );
    let scanned = scan("a.ipynb", notebook.as_bytes());
    assert_eq!(scanned.detections.iter().filter(|one| one.rule.as_str() == PAT).count(), 2, "{:?}", scanned.detections);
    let npmrc = format!("registry=https://registry.npmjs.org/\n//registry.npmjs.org/:_authToken={}\n", token(3));
    let wheel = deflated(&[("pkg/__init__.py", b""), ("pkg/.npmrc", npmrc.as_bytes()), ("pkg/data/n.ipynb", notebook.as_bytes())]);
    let scanned = scan("pkg-1.0-py3-none-any.whl", &wheel);
    assert!(seen(&scanned).contains(&(PAT, "pkg/.npmrc", Some(2))));
    assert_eq!(seen(&scanned).iter().filter(|one| one.1 == "pkg/data/n.ipynb").count(), 2);
    assert_eq!(gaps(&scanned), []);
    assert_eq!(seen(&scan("x.whl", &deflated(&[("a/.env", &env(&token(4)))]))), [(PAT, "a/.env", Some(2))]);
}
