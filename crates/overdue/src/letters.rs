//! From an assessment to delivered letters.

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use overdue_core::{Assessment, Delivery as Channel, Inventory, Job, Letter, LetterKind, OwnerClaim, SmtpServer, compose, plan_notices};
use overdue_report::notify::{Delivery, Mail, MailParts, MailPassword, Notifier, Outbox, Smtp, SmtpConfig, build_mail};
use overdue_report::{LetterContext, Rendered, Templates, render_letter};
use overdue_store::{NoticeFate, NoticeRow, NoticeState, Run, Store};
use sha2::Digest as _;

/// Folder of the security team's letter under `templates/`.
const SECURITY_TEMPLATE: &str = "security-report";

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
    /// Findings that nobody is told of: they have no owner with an address, and the job names no security team.
    pub(crate) untold: usize,
}

impl Letters {
    /// One line for a person.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("Letters: {} {}", self.sent, self.to);
        if self.already > 0 {
            text.push_str(&format!(", {} already sent in this period", self.already));
        }
        if self.untold > 0 {
            text.push_str(&format!(
                "\n  {} findings have no owner to write to, and the job names no `security` address: nobody is told of them",
                self.untold
            ));
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
    pub(crate) run: Run,
    pub(crate) job: &'a Job,
    pub(crate) templates: &'a Templates,
    pub(crate) inventory: &'a Inventory,
    pub(crate) dry_run: bool,
    pub(crate) now: Timestamp,
}

/// Whether letters could be written and sent: the template is there, and the mail server's password and certificates are.
pub(crate) fn ready(job: &Job, templates: &Templates, dry_run: bool) -> Result<()> {
    if matches!(job.letters.delivery, Channel::None) {
        return Ok(());
    }
    if !templates.letters().any(|known| known == job.letters.template) {
        let known: Vec<&str> = templates.letters().collect();
        bail!("there is no letter template `{}`; it is one of: {}", job.letters.template, known.join(", "));
    }
    match &job.letters.delivery {
        Channel::Smtp(server) if !dry_run => smtp(server).map(|_| ()),
        _ => Ok(()),
    }
}

/// Writes and delivers every letter that is due and not yet sent in this period.
pub(crate) async fn send(sending: &Sending<'_>, assessment: &Assessment) -> Result<Letters> {
    let settings = &sending.job.letters;
    let channel: Box<dyn Notifier> = match (&settings.delivery, sending.dry_run) {
        (Channel::None, _) => return Ok(Letters { to: "(this job writes none)".into(), ..Letters::default() }),
        (Channel::Outbox { folder }, _) => Box::new(Outbox::new(folder.clone())),
        (Channel::Smtp(_), true) => Box::new(Outbox::new(settings.dry_run_folder.clone())),
        (Channel::Smtp(server), false) => Box::new(smtp(server)?),
    };
    let mut letters = Letters {
        to: match (&settings.delivery, sending.dry_run) {
            (Channel::Outbox { folder }, _) => format!("in {}", folder.display()),
            (Channel::Smtp(_), true) => format!("in {} (dry run: nothing was sent)", settings.dry_run_folder.display()),
            (Channel::Smtp(server), false) => format!("sent by {}", server.host),
            (Channel::None, _) => String::new(),
        },
        ..Letters::default()
    };
    let zone = TimeZone::get(&settings.timezone).unwrap_or(TimeZone::UTC);
    let period = settings.period.key(sending.now.to_zoned(zone.clone()).date());
    if settings.security.is_none() {
        let addressed = |claim: &OwnerClaim| claim.owner.address.is_some();
        letters.untold = assessment.open().filter(|finding| !finding.owner.as_ref().is_some_and(addressed)).count();
    }
    let composed = compose(assessment, settings.security.as_deref());
    let all = composed.len();
    let sent = sending.store.sent_notices(&sending.job.name, &period).await?;
    let notices = plan_notices(composed, &sending.job.name, &period, &sent);
    letters.already = all - notices.len();
    for notice in notices {
        let address = notice.letter.to.address.clone().unwrap_or_default();
        // One letter that cannot be written or addressed holds no other up.
        let rendered = match render(sending, assessment, &notice.letter, &period, &zone) {
            Ok(rendered) => rendered,
            Err(error) => {
                letters.failed.push((address, format!("{error:#}")));
                continue;
            }
        };
        let mut id = message_id(&notice.key);
        if !sending.dry_run {
            let row = NoticeRow {
                key: notice.key.clone(),
                job: sending.job.name.clone(),
                period: period.clone(),
                owner: notice.letter.to.name.clone(),
                address: address.clone(),
                message_id: id.clone(),
                subject: rendered.subject.clone(),
                body_digest: hex(&sha2::Sha256::digest(rendered.text.as_bytes()), 32),
                findings: notice.letter.findings.len() as u64,
            };
            match sending.store.begin_notice(sending.run, &row, sending.now).await? {
                NoticeState::Fresh => {}
                NoticeState::Retry { message_id } => id = message_id,
                NoticeState::AlreadySent | NoticeState::InFlight { .. } => {
                    letters.already += 1;
                    continue;
                }
            }
        }
        let delivery = match mail(sending, &notice.letter, &rendered, &id) {
            Ok(mail) => channel.deliver(&mail).await,
            Err(error) => Delivery::Refused { why: format!("{error:#}") },
        };
        if !sending.dry_run {
            sending.store.finish_notice(&notice.key, &fate(&delivery), sending.now).await?;
        }
        match delivery {
            Delivery::Sent { .. } => letters.sent += 1,
            Delivery::Refused { why } | Delivery::Deferred { why } => letters.failed.push((address, why)),
        }
    }
    Ok(letters)
}

fn fate(delivery: &Delivery) -> NoticeFate {
    match delivery {
        Delivery::Sent { how } => NoticeFate::Sent { how: how.clone() },
        Delivery::Refused { why } => NoticeFate::Refused { why: why.clone() },
        Delivery::Deferred { why } => NoticeFate::Deferred { why: why.clone() },
    }
}

fn render(sending: &Sending<'_>, assessment: &Assessment, letter: &Letter, period: &str, zone: &TimeZone) -> Result<Rendered> {
    let context = LetterContext {
        job: &sending.job.name,
        period,
        now: sending.now,
        zone,
        assessment,
        inventory: sending.inventory,
        template: match letter.kind {
            LetterKind::Owner => &sending.job.letters.template,
            LetterKind::Security => SECURITY_TEMPLATE,
        },
    };
    render_letter(sending.templates, letter, &context).context("the letter could not be written")
}

fn mail(sending: &Sending<'_>, letter: &Letter, rendered: &Rendered, message_id: &str) -> Result<Mail> {
    let parts = MailParts {
        from: &sending.job.letters.from,
        from_name: "Overdue",
        to: letter.to.address.as_deref().unwrap_or_default(),
        // A name that is only the address again would be shown twice.
        to_name: if letter.to.name.contains('@') { "" } else { &letter.to.name },
        message_id,
        subject: &rendered.subject,
        text: &rendered.text,
        html: &rendered.html,
        date: sending.now,
        job: &sending.job.name,
        codes: &rendered.codes,
    };
    build_mail(&parts).context("the letter could not be addressed")
}

fn hex(bytes: &[u8], most: usize) -> String {
    bytes.iter().take(most).map(|byte| format!("{byte:02x}")).collect()
}

/// The same for ever for one key, so that a letter sent twice by a crash is seen as one.
fn message_id(key: &str) -> String {
    format!("<{}@overdue.invalid>", hex(&sha2::Sha256::digest(key.as_bytes()), 16))
}

fn smtp(server: &SmtpServer) -> Result<Smtp> {
    let password = match (&server.password_file, &server.password_env) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the mail password file {}", file.display()))?;
            Some(MailPassword::new(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        (None, Some(name)) => match std::env::var(name) {
            Ok(text) => Some(MailPassword::new(text)),
            Err(_) => bail!("the variable {name}, which the job names for the mail password, is not set"),
        },
        (None, None) => None,
    };
    let config = SmtpConfig {
        host: server.host.clone(),
        port: server.port,
        security: server.tls,
        login: server.user.clone().zip(password),
        ca_file: server.ca_file.clone(),
        hello: String::new(),
    };
    Smtp::new(config).with_context(|| format!("the mail server {} cannot be used", server.host))
}
