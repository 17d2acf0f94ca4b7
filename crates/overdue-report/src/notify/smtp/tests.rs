//! Mail servers that behave, refuse and fall silent at each step.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::super::{MailParts, build_mail, mail_parts_for_tests as parts};
use super::*;

/// What a mail server says: an answer to each command by its beginning; no answer at all to those not listed.
type Script = &'static [(&'static str, &'static str)];

const GOOD: Script = &[
    ("", "220 hi\r\n"),
    ("EHLO", "250-hi\r\n250 AUTH PLAIN LOGIN\r\n"),
    ("AUTH", "235 ok\r\n"),
    ("MAIL", "250 ok\r\n"),
    ("RCPT", "250 ok\r\n"),
    ("DATA", "354 go\r\n"),
    (".", "250 queued as \u{1b}[31m42\r\n"),
    ("NOOP", "250 ok\r\n"),
    ("QUIT", "221 bye\r\n"),
];

struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    heard: Arc<std::sync::Mutex<String>>,
}

/// A server on a free port. `changed` answers go before those of [`GOOD`]; an empty one means silence.
async fn server(changed: Script, letters_max: usize) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let connections = Arc::new(AtomicUsize::new(0));
    let heard = Arc::new(std::sync::Mutex::new(String::new()));
    let (count, log) = (connections.clone(), heard.clone());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let log = log.clone();
            tokio::spawn(async move { talk(socket, changed, letters_max, &log).await });
        }
    });
    Server { port, connections, heard }
}

async fn talk(mut socket: tokio::net::TcpStream, changed: Script, letters_max: usize, log: &std::sync::Mutex<String>) {
    let (read, mut write) = socket.split();
    let mut lines = BufReader::new(read).lines();
    let answer = |said: &str| {
        changed
            .iter()
            .chain(GOOD)
            .find(|(begin, _)| said.starts_with(begin) && (begin.is_empty() == said.is_empty()))
            .map(|(_, text)| *text)
    };
    let (mut in_data, mut letters) = (false, 0);
    let mut said = String::new();
    loop {
        if !in_data || said == "." {
            let Some(text) = answer(&said) else { return };
            if text.is_empty() {
                std::future::pending::<()>().await;
            }
            if write.write_all(text.as_bytes()).await.is_err() {
                return;
            }
            if said == "." {
                in_data = false;
                letters += 1;
                if letters == letters_max {
                    return;
                }
            } else if text.starts_with("354") {
                in_data = true;
            }
        }
        let Ok(Some(line)) = lines.next_line().await else { return };
        log.lock().expect("a lock").push_str(&format!("{line}\n"));
        said = line;
    }
}

fn config(port: u16) -> SmtpConfig {
    SmtpConfig { host: "127.0.0.1".into(), port, security: TlsMode::None, login: None, ca_file: None, hello: String::new() }
}

fn smtp(port: u16) -> Smtp {
    let mut smtp = Smtp::new(config(port)).expect("a server");
    let short = Duration::from_millis(300);
    smtp.times = Times { noop: short, connect: short, sign_in: short, letter: Duration::from_millis(900) };
    smtp
}

fn mail(n: usize) -> Mail {
    let (to, id) = (format!("owner{n}@example.com"), format!("<w.{n}@overdue.example.com>"));
    build_mail(&MailParts { to: &to, message_id: &id, ..parts() }).expect("a mail")
}

#[tokio::test]
async fn letters_share_a_connection() {
    let server = server(&[], 0).await;
    let smtp = smtp(server.port);
    for n in 0..3 {
        let Delivery::Sent { how } = smtp.deliver(&mail(n)).await else { panic!("it must be taken") };
        assert_eq!(how, format!("127.0.0.1:{} took it: 250 queued as [U+001B][31m42", server.port));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    let heard = server.heard.lock().expect("a lock").clone();
    assert_eq!(heard.matches("\nDATA\n").count(), 3);
    assert_eq!(heard.matches("MAIL FROM:").count(), 3, "{heard}");
}

#[tokio::test]
async fn a_connection_the_server_closed_is_made_anew() {
    let server = server(&[], 1).await;
    let smtp = smtp(server.port);
    for n in 0..3 {
        assert!(matches!(smtp.deliver(&mail(n)).await, Delivery::Sent { .. }));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 3);
    assert_eq!(server.heard.lock().expect("a lock").matches("\nDATA\n").count(), 3, "no letter goes twice");
}

#[tokio::test]
async fn a_refusal_is_told_from_a_delay() {
    let check = async |changed: Script, refused: bool, words: &str| {
        let server = server(changed, 0).await;
        let mut smtp = smtp(server.port);
        smtp.login = Some(Credentials::new("user".into(), "p4ssw0rd".into()));
        let began = Instant::now();
        let why = match smtp.deliver(&mail(1)).await {
            Delivery::Refused { why } if refused => why,
            Delivery::Deferred { why } if !refused => why,
            other => panic!("{changed:?}: {other:?}"),
        };
        assert!(why.contains(words), "{changed:?}: {why}");
        assert!(!why.contains("p4ssw0rd") && !why.contains("AHA0c3N3MHJk"), "{why}");
        assert!(began.elapsed() < Duration::from_secs(3));
    };
    check(&[("RCPT", "550 no such user\r\n")], true, "no such user").await;
    check(&[("MAIL", "553 sender refused\r\n")], true, "sender refused").await;
    check(&[(".", "554 looks like spam\r\n")], true, "looks like spam").await;
    check(&[("RCPT", "451 try later\r\n")], false, "try later").await;
    check(&[("DATA", "452 disk full\r\n")], false, "disk full").await;
    check(&[("AUTH", "535 bad password\r\n")], false, "refused our sign-in").await;
    check(&[("", "554 go away\r\n")], false, "go away").await;
    check(&[("", "garbage\r\n")], false, "no connection").await;
    // Silence at each step.
    check(&[("", "")], false, "did not answer within").await;
    check(&[("EHLO", "")], false, "did not answer within").await;
    check(&[("AUTH", "")], false, "did not answer our sign-in").await;
    check(&[("MAIL", "")], false, "took longer than").await;
    check(&[("RCPT", "")], false, "took longer than").await;
    check(&[(".", "")], false, "took longer than").await;
}

#[tokio::test]
async fn one_refused_recipient_holds_up_nobody() {
    let server = server(&[("RCPT TO:<owner7@", "550 unknown\r\n")], 0).await;
    let smtp = smtp(server.port);
    let mut sent = 0;
    for n in 0..20 {
        match smtp.deliver(&mail(n)).await {
            Delivery::Sent { .. } => sent += 1,
            Delivery::Refused { .. } => assert_eq!(n, 7),
            other @ Delivery::Deferred { .. } => panic!("{other:?}"),
        }
    }
    assert_eq!(sent, 19);
}

#[tokio::test]
async fn without_starttls_nothing_is_sent() {
    let server = server(&[], 0).await;
    let mut smtp = Smtp::new(SmtpConfig {
        security: TlsMode::StartTls,
        login: Some(("u".into(), MailPassword::new("p".into()))),
        ..config(server.port)
    })
    .expect("a server");
    smtp.times.letter = Duration::from_secs(5);
    let Delivery::Deferred { why } = smtp.deliver(&mail(1)).await else { panic!("it must not be sent") };
    assert!(why.contains("does not offer STARTTLS"), "{why}");
    let heard = server.heard.lock().expect("a lock").clone();
    assert!(!heard.contains("AUTH") && !heard.contains("MAIL"), "{heard}");
}

#[tokio::test]
async fn nobody_there_is_a_delay() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let Delivery::Deferred { why } = smtp(port).deliver(&mail(1)).await else { panic!("nobody is there") };
    assert!(why.contains(&format!("no connection to 127.0.0.1:{port}")), "{why}");
}

#[test]
fn a_configuration_is_checked_before_anything_is_sent() {
    let error = |config: SmtpConfig| Smtp::new(config).err().map(|error| error.to_string()).unwrap_or_default();
    let plain = |host: &str| error(SmtpConfig { host: host.into(), ..config(25) });
    assert_eq!(
        plain("mail.example.com"),
        "`mail.example.com` is not this machine: a mail server elsewhere needs `starttls` or `implicit` TLS"
    );
    assert!(plain("127.0.0.1.example.com").contains("not this machine"));
    assert!(plain("localhost.example.com").contains("not this machine"));
    for host in ["localhost", "127.0.0.1", "::1", "[::1]", "127.8.9.10"] {
        assert_eq!(plain(host), "", "{host}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    let with = |text: &str| {
        std::fs::write(&file, text).expect("a file");
        error(SmtpConfig { security: TlsMode::StartTls, ca_file: Some(file.clone()), ..config(25) })
    };
    assert!(with("hello").ends_with("it holds no certificate in PEM form"), "{}", with("hello"));
    assert!(with("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").contains("cannot be used"));
    assert!(error(SmtpConfig { security: TlsMode::Implicit, ca_file: Some("/nowhere.pem".into()), ..config(25) }).contains("/nowhere.pem"));
}

#[test]
fn the_server_may_be_shown() {
    let login = Some(("user".to_owned(), MailPassword::new("p4ssw0rd".to_owned())));
    let smtp = Smtp::new(SmtpConfig { login, ..config(25) }).expect("a server");
    assert!(!format!("{smtp:?}").contains("p4ssw0rd"));
    let times = TIMES;
    assert!(times.connect + times.sign_in < times.letter && times.letter < Duration::from_secs(30));
}
