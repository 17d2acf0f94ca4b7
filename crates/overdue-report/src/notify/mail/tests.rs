//! Mails read back by a parser of somebody else's.

use super::*;

pub(crate) fn parts() -> MailParts<'static> {
    MailParts {
        from: "overdue@example.com",
        from_name: "Overdue",
        to: "ann@example.com",
        to_name: "Ann Lée",
        message_id: "<weekly-audit.2026-W48.owner.1f2e@overdue.example.com>",
        subject: "3 credentials need you: 1 exposed, 2 overdue by up to 211 days – now",
        text: "Hello,\nlines\n.\nMAIL FROM:<x@y.z>\r.\rDATA\n",
        html: "<p>Hello</p>\n",
        date: Timestamp::from_second(1_795_500_720).expect("a time"),
        job: "weekly-audit",
        codes: &[Code::Exposed, Code::RotationOverdue],
    }
}

#[test]
fn the_bytes_are_always_the_same_and_plain() {
    let mail = build_mail(&parts()).expect("a mail");
    assert_eq!(mail.bytes(), build_mail(&parts()).expect("a mail").bytes());
    let text = String::from_utf8(mail.bytes().to_vec()).expect("ASCII");
    let (headers, _) = text.split_once("\r\n\r\n").expect("headers");
    expect_test::expect![[r#"
        From: Overdue <overdue@example.com>
        To: =?utf-8?b?QW5uIEzDqWU=?= <ann@example.com>
        Subject: 3 credentials need you: 1 exposed, 2 overdue by up to 211 days
         =?utf-8?b?4oCT?= now
        Message-ID: <weekly-audit.2026-W48.owner.1f2e@overdue.example.com>
        Date: Tue, 24 Nov 2026 06:12:00 +0000
        Auto-Submitted: auto-generated
        List-Id: Overdue <weekly-audit.overdue.example.com>
        X-Overdue-Job: weekly-audit
        X-Overdue-Verdicts: exposed, rotation-overdue
        MIME-Version: 1.0
        Content-Type: multipart/alternative;
         boundary="overdue-61c199109980bac7329302d1f76b27b7""#]]
    .assert_eq(&headers.replace("\r\n", "\n"));
    assert_eq!(text.matches("Content-Transfer-Encoding: base64").count(), 2);
    assert!(!text.contains("MAIL FROM"), "a body is never seen as it is");
}

#[test]
fn an_address_is_plain_or_none() {
    let long = format!("{}@example.com", "a".repeat(65));
    for bad in [
        "",
        "ann",
        "ann@",
        "@example.com",
        "a b@example.com",
        "ann@exa mple.com",
        "ann@example.com\r\nBcc: x@y.z",
        "ann@example.com, b@c.d",
        "\"ann\"@example.com",
        "ann@[127.0.0.1]",
        "-oX@example.com",
        "ann@-example.com",
        "ann@example..com",
        "änn@example.com",
        "ann@exämple.com",
        "ann@example.com>",
        "<ann@example.com>",
        "a@b@c.d",
        ".ann@example.com",
        "ann.@example.com",
        long.as_str(),
        "ann@example.com\0",
    ] {
        assert!(matches!(build_mail(&MailParts { to: bad, ..parts() }), Err(MailError::Address { .. })), "{bad:?}");
        assert!(matches!(build_mail(&MailParts { from: bad, ..parts() }), Err(MailError::Address { .. })), "{bad:?}");
    }
    for good in ["root@localhost", "first.last+tag@mail.example.com", "o'neil@example.com"] {
        assert!(build_mail(&MailParts { to: good, ..parts() }).is_ok(), "{good}");
    }
}

#[test]
fn a_name_that_says_the_address_again_is_left_out() {
    let to = |name: &str| {
        let text = String::from_utf8(build_mail(&MailParts { to_name: name, ..parts() }).expect("a mail").bytes().to_vec()).expect("ASCII");
        text.lines().find_map(|line| line.strip_prefix("To: ")).expect("a line").to_owned()
    };
    assert_eq!(to("ann@example.com"), "ann@example.com");
    assert_eq!(to("Ann Lee <ann@example.com>"), "\"Ann Lee\" <ann@example.com>");
    assert_eq!(to("Ann <bob@example.org>, \"x\""), "\"Ann bobexample.org x\" <ann@example.com>");
}

#[test]
fn a_message_id_is_one_or_none() {
    for bad in ["", "x@y", "<x>", "<x@y", "<x@y>\r\nBcc: a@b.c", "<x y@z>", "<x@y@z>", "<@y>", "<x@>", "<ä@y>"] {
        assert!(matches!(build_mail(&MailParts { message_id: bad, ..parts() }), Err(MailError::MessageId { .. })), "{bad:?}");
    }
    let error = build_mail(&MailParts { message_id: "<x@y>\r\nBcc: a@b.c", ..parts() }).expect_err("no id").to_string();
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn a_letter_has_a_largest_size() {
    let huge = "x".repeat(9 * 1024 * 1024);
    assert_eq!(build_mail(&MailParts { text: &huge, html: "", ..parts() }).err(), Some(MailError::TooLarge { bytes: huge.len() }));
}

#[test]
fn one_bad_record_of_a_thousand_is_one() {
    let mut failed = 0;
    for n in 0..1_000 {
        let name = if n == 500 { "CR\r\nLF: x \u{0}".repeat(100_000) } else { format!("owner {n}") };
        let to = if n == 501 { "no address".to_owned() } else { format!("owner{n}@example.com") };
        let id = format!("<w.{n}@overdue.example.com>");
        failed += usize::from(build_mail(&MailParts { to: &to, to_name: &name, message_id: &id, ..parts() }).is_err());
    }
    assert_eq!(failed, 1);
}

#[test]
fn a_file_name_is_safe_and_its_own() {
    let name = |id: &str| build_mail(&MailParts { message_id: id, ..parts() }).expect("a mail").file_name();
    assert!(name("<../../etc/passwd@x>").starts_with("etc-passwd-x-"));
    assert_ne!(name("<a.b@x>"), name("<a-b@x>"));
    assert_ne!(name("<A@x>"), name("<a@x>"));
}
