//! From an assessment to delivered letters.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use overdue_core::{Assessment, Delivery as Channel, Job, Letter, SmtpServer, compose, plan_notices};
use overdue_report::{Delivery, LetterContext, Mail, Notifier, Outbox, Password, Smtp, Templates, build_mail, render_letter};
use overdue_store::{NoticeRow, NoticeState, Run, Store};
use sha2::Digest as _;

/// What became of the letters of one run.
#[derive(Debug, Default)]
pub(crate) struct Letters {
    /// Written or sent now.
    pub(crate) sent: usize,
    /// Already sent in this period.
    pub(crate) already: usize,
    /// Where they went, in words.
    pub(crate) to: String,
    /// Not delivered: address and why.
    pub(crate) failed: Vec<(String, String)>,
}

impl Letters {
    /// One line for a person.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("Letters: {} {}", self.sent, self.to);
        if self.already > 0 {
            text.push_str(&format!(", {} already sent in this period", self.already));
        }
        for (address, why) in &self.failed {
            text.push_str(&format!("\n  not delivered to {address}: {why}; it is tried again in the next run"));
        }
        text
    }
}

/// What letters need to know besides the assessment.
pub(crate) struct Sending<'a> {
    pub(crate) store: &'a Store,
    pub(crate) run: &'a Run,
    pub(crate) job: &'a Job,
    pub(crate) templates: &'a Templates,
    pub(crate) context: LetterContext<'a>,
    pub(crate) dry_run: bool,
    pub(crate) now: Timestamp,
}

/// Writes and delivers every letter that is due and not yet sent in this period.
pub(crate) async fn send(sending: &Sending<'_>, assessment: &Assessment) -> Result<Letters> {
    let settings = &sending.job.letters;
    let channel: Box<dyn Notifier> = match (&settings.delivery, sending.dry_run) {
        (Channel::None, _) => return Ok(Letters { to: "(this job writes none)".into(), ..Letters::default() }),
        (Channel::Outbox { folder }, _) => Box::new(Outbox::new(folder.clone())),
        (Channel::Smtp(_), true) => Box::new(Outbox::new(dry_run_folder(sending.job))),
        (Channel::Smtp(server), false) => Box::new(smtp(server)?),
    };
    let mut letters = Letters {
        to: match (&settings.delivery, sending.dry_run) {
            (Channel::Outbox { folder }, _) => format!("in {}", folder.display()),
            (Channel::Smtp(_), true) => format!("in {} (dry run: nothing was sent)", dry_run_folder(sending.job).display()),
            (Channel::Smtp(server), false) => format!("sent by {}", server.host),
            (Channel::None, _) => String::new(),
        },
        ..Letters::default()
    };
    let zone = jiff::tz::TimeZone::get(&settings.timezone).unwrap_or(jiff::tz::TimeZone::UTC);
    let period = settings.period.key(sending.now.to_zoned(zone).date());
    let composed = compose(assessment, settings.security.as_deref());
    let all = composed.len();
    let sent = sending.store.sent_notices(&sending.job.name, &period).await?;
    let notices = plan_notices(composed, &sending.job.name, &period, &sent);
    letters.already = all - notices.len();
    for notice in notices {
        let mail = write(sending, &notice.letter, &notice.key)?;
        let address = notice.letter.to.address.clone().unwrap_or_default();
        if sending.dry_run {
            note(&mut letters, &address, channel.deliver(&mail).await);
            continue;
        }
        let row = NoticeRow {
            key: notice.key.clone(),
            job: sending.job.name.clone(),
            period: period.clone(),
            owner: notice.letter.to.name.clone(),
            address: address.clone(),
            message_id: mail.message_id().to_owned(),
            subject: mail.subject().to_owned(),
            body_digest: mail.digest(),
            findings: notice.letter.findings.len() as u64,
        };
        if matches!(sending.store.begin_notice(sending.run, &row, sending.now).await?, NoticeState::AlreadySent) {
            letters.already += 1;
            continue;
        }
        let delivery = channel.deliver(&mail).await;
        sending.store.finish_notice(&notice.key, &stored(&delivery), sending.now).await?;
        note(&mut letters, &address, delivery);
    }
    Ok(letters)
}

fn note(letters: &mut Letters, address: &str, delivery: Delivery) {
    match delivery {
        Delivery::Sent { .. } => letters.sent += 1,
        Delivery::Refused { why } | Delivery::Deferred { why } => letters.failed.push((address.to_owned(), why)),
    }
}

fn stored(delivery: &Delivery) -> overdue_store::Delivery {
    match delivery {
        Delivery::Sent { how } => overdue_store::Delivery::Sent { how: how.clone() },
        Delivery::Refused { why } => overdue_store::Delivery::Refused { why: why.clone() },
        Delivery::Deferred { why } => overdue_store::Delivery::Deferred { why: why.clone() },
    }
}

fn write(sending: &Sending<'_>, letter: &Letter, key: &str) -> Result<Mail> {
    let rendered = render_letter(sending.templates, letter, &sending.context)
        .with_context(|| format!("the letter to {} could not be written", letter.to.name))?;
    build_mail(&sending.job.letters.from, letter, &message_id(key), &rendered, sending.now)
        .with_context(|| format!("the letter to {} could not be addressed", letter.to.name))
}

/// The same for ever for one key, so that a letter sent twice by a crash is seen as one.
fn message_id(key: &str) -> String {
    let digest = sha2::Sha256::digest(key.as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}@overdue.invalid")
}

/// Where a dry run's letters go: the outbox folder beside where the job would put one.
fn dry_run_folder(job: &Job) -> PathBuf {
    PathBuf::from(format!("outbox-{}", job.name))
}

fn smtp(server: &SmtpServer) -> Result<Smtp> {
    let password = match (&server.password_file, &server.password_env) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the mail password file {}", file.display()))?;
            Some(Password::new(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        (None, Some(name)) => match std::env::var(name) {
            Ok(text) => Some(Password::new(text)),
            Err(_) => bail!("the variable {name}, which the job names for the mail password, is not set"),
        },
        (None, None) => None,
    };
    let ca = match &server.ca_file {
        Some(file) => Some(std::fs::read(file).with_context(|| format!("cannot read the certificate file {}", file.display()))?),
        None => None,
    };
    Smtp::new(server, password, ca.as_deref()).with_context(|| format!("the mail server {} cannot be used", server.host))
}
