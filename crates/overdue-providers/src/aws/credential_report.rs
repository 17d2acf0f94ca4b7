//! IAM's credential report: ages and last uses of a whole account, in one file.
//!
//! The report can be four hours old, and IAM writes a new one only when the last is older than that. Its words are told
//! apart: `N/A` (there is no such thing), `no_information` (IAM knows of no use), `not_supported` (does not apply to this
//! user). A word nobody foresaw is kept as such and shown as unreadable, never taken for "never".

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use overdue_core::GapReason;

use super::errors::{Refusal, mend_of};
use super::permissions;
use super::session::Session;
use super::{signed, timestamp};

/// How far behind the truth the report may be, as AWS documents it.
pub(super) const LAG: SignedDuration = SignedDuration::from_hours(4);
/// The call that told, for evidence.
pub(super) const SOURCE: &str = "iam:GetCredentialReport";
/// Largest accounts take minutes to write theirs.
const WAIT_MAX: Duration = Duration::from_secs(180);
const POLL_MIN: Duration = Duration::from_millis(400);
const POLL_MAX: Duration = Duration::from_secs(5);
/// Tries when IAM has no room for another report task, which happens when many accounts are read at once.
const CROWDED_ATTEMPTS_MAX: u32 = 6;

/// A date column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum When {
    At(Timestamp),
    NotApplicable,
    NoInformation,
    NotSupported,
    /// Some other word.
    Strange(String),
}

/// A yes-or-no column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Yes,
    No,
    NotSupported,
    Strange,
}

/// One of the two places a user has for access keys. The report does not tell the key's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) active: Flag,
    /// When it was made or last changed: switching a key off moves it, so it may understate the age.
    pub(super) rotated: When,
    pub(super) used: When,
    pub(super) used_region: String,
    pub(super) used_service: String,
}

impl Slot {
    /// Whether a key is there, active or not. A word nobody foresaw counts as one: better to ask in vain.
    pub(super) fn holds_key(&self) -> bool {
        self.active == Flag::Yes || self.active == Flag::Strange || matches!(self.rotated, When::At(_) | When::Strange(_))
    }
}

/// A place for an X.509 signing certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CertificateSlot {
    pub(super) active: Flag,
    pub(super) rotated: When,
}

impl CertificateSlot {
    pub(super) fn holds_certificate(&self) -> bool {
        self.active == Flag::Yes || matches!(self.rotated, When::At(_) | When::Strange(_))
    }
}

/// One user's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) user: String,
    pub(super) arn: String,
    pub(super) created: When,
    pub(super) password_enabled: Flag,
    pub(super) password_last_used: When,
    pub(super) password_last_changed: When,
    pub(super) password_next_rotation: When,
    pub(super) mfa_active: Flag,
    pub(super) keys: [Slot; 2],
    pub(super) certificates: [CertificateSlot; 2],
}

/// The report.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) users: BTreeMap<String, Row>,
    pub(super) root: Option<Row>,
    pub(super) generated_at: Option<Timestamp>,
    /// Whether IAM wrote it because we asked just now.
    pub(super) made_for_us: bool,
    /// Lines that could not be read.
    pub(super) broken_lines: Vec<usize>,
}

/// Has the report written, waits for it and reads it. Beside it: why it may be older than need be.
pub(super) async fn obtain(session: &Session) -> Result<(Report, Option<Refusal>), Refusal> {
    let (made_for_us, refusal) = match generate(session).await {
        Ok(made_for_us) => (made_for_us, None),
        Err(refusal) => (false, Some(refusal)),
    };
    let iam = session.iam();
    let answer = iam.call(permissions::GET_CREDENTIAL_REPORT, |iam| iam.get_credential_report().send()).await;
    let answer = match (answer, refusal) {
        (Ok(answer), refusal) => (answer, refusal),
        // There is no report since we could not have one written: that is the refusal that counts.
        (Err(read), Some(written)) if read.is(&["ReportNotPresent", "ReportInProgress", "ReportExpired"]) => return Err(written),
        (Err(read), _) => return Err(read),
    };
    let (answer, refusal) = answer;
    let content = answer.content.map(|content| content.into_inner()).unwrap_or_default();
    let mut report = String::from_utf8(content).ok().and_then(|text| parse(&text)).ok_or_else(|| {
        let detail = "iam:GetCredentialReport: the report has not the columns that are known";
        Refusal::new(GapReason::ProviderFault, detail, mend_of(GapReason::ProviderFault))
    })?;
    report.generated_at = answer.generated_time.as_ref().and_then(timestamp);
    report.made_for_us = made_for_us;
    Ok((report, refusal))
}

/// Has the report written, and waits. True: it was written for us.
async fn generate(session: &Session) -> Result<bool, Refusal> {
    let iam = session.iam();
    let (mut waited, mut pause, mut crowded, mut made_for_us) = (Duration::ZERO, POLL_MIN, 0, false);
    loop {
        let answer = iam.call(permissions::GENERATE_CREDENTIAL_REPORT, |iam| iam.generate_credential_report().send()).await;
        match answer {
            Ok(answer) => match answer.state.as_ref().map(|state| state.as_str()) {
                Some("COMPLETE") => return Ok(made_for_us),
                Some("STARTED") => made_for_us = true,
                _ => {}
            },
            Err(refusal) if refusal.is(&["LimitExceeded", "LimitExceededException"]) && crowded < CROWDED_ATTEMPTS_MAX => {
                crowded += 1;
                // Many accounts asked at once would come back at once: these pauses differ by chance.
                pause = signed::backoff(crowded + 2);
            }
            Err(refusal) => return Err(refusal),
        }
        if waited >= WAIT_MAX {
            let detail = format!("iam:GenerateCredentialReport: not done in {} seconds", WAIT_MAX.as_secs());
            return Err(Refusal::new(GapReason::ProviderFault, detail, mend_of(GapReason::ProviderFault)));
        }
        tokio::time::sleep(pause).await;
        waited += pause;
        pause = (pause * 2).min(POLL_MAX);
    }
}

/// The report's table; `None` when a column that is needed is not there.
pub(super) fn parse(text: &str) -> Option<Report> {
    let mut lines = csv(text.trim_start_matches('\u{feff}')).into_iter().enumerate();
    let (_, header) = lines.next()?;
    let column = |name: &str| header.iter().position(|heading| heading == name);
    let columns = Columns {
        user: column("user")?,
        arn: column("arn")?,
        created: column("user_creation_time")?,
        password_enabled: column("password_enabled")?,
        password_last_used: column("password_last_used")?,
        password_last_changed: column("password_last_changed")?,
        password_next_rotation: column("password_next_rotation")?,
        mfa_active: column("mfa_active")?,
        keys: [key_columns(&column, 1)?, key_columns(&column, 2)?],
        certificates: [certificate_columns(&column, 1)?, certificate_columns(&column, 2)?],
    };
    let mut report = Report::default();
    for (number, line) in lines {
        match columns.row(&line) {
            Some(row) if row.user == "<root_account>" => report.root = Some(row),
            Some(row) => {
                report.users.insert(row.user.clone(), row);
            }
            None => report.broken_lines.push(number + 1),
        }
    }
    Some(report)
}

struct Columns {
    user: usize,
    arn: usize,
    created: usize,
    password_enabled: usize,
    password_last_used: usize,
    password_last_changed: usize,
    password_next_rotation: usize,
    mfa_active: usize,
    /// active, rotated, used, region, service
    keys: [[usize; 5]; 2],
    /// active, rotated
    certificates: [[usize; 2]; 2],
}

fn key_columns(column: &impl Fn(&str) -> Option<usize>, number: u8) -> Option<[usize; 5]> {
    let named = |what: &str| column(&format!("access_key_{number}_{what}"));
    Some([named("active")?, named("last_rotated")?, named("last_used_date")?, named("last_used_region")?, named("last_used_service")?])
}

fn certificate_columns(column: &impl Fn(&str) -> Option<usize>, number: u8) -> Option<[usize; 2]> {
    Some([column(&format!("cert_{number}_active"))?, column(&format!("cert_{number}_last_rotated"))?])
}

impl Columns {
    fn row(&self, line: &[String]) -> Option<Row> {
        let text = |at: usize| line.get(at).map(String::as_str);
        let key = |[active, rotated, used, region, service]: [usize; 5]| {
            Some(Slot {
                active: flag(text(active)?),
                rotated: when(text(rotated)?),
                used: when(text(used)?),
                used_region: text(region)?.to_owned(),
                used_service: text(service)?.to_owned(),
            })
        };
        let certificate =
            |[active, rotated]: [usize; 2]| Some(CertificateSlot { active: flag(text(active)?), rotated: when(text(rotated)?) });
        Some(Row {
            user: text(self.user).filter(|user| !user.is_empty())?.to_owned(),
            arn: text(self.arn)?.to_owned(),
            created: when(text(self.created)?),
            password_enabled: flag(text(self.password_enabled)?),
            password_last_used: when(text(self.password_last_used)?),
            password_last_changed: when(text(self.password_last_changed)?),
            password_next_rotation: when(text(self.password_next_rotation)?),
            mfa_active: flag(text(self.mfa_active)?),
            keys: [key(self.keys[0])?, key(self.keys[1])?],
            certificates: [certificate(self.certificates[0])?, certificate(self.certificates[1])?],
        })
    }
}

fn when(text: &str) -> When {
    match text.trim() {
        "N/A" | "" => When::NotApplicable,
        "no_information" => When::NoInformation,
        "not_supported" => When::NotSupported,
        other => other.parse().map_or_else(|_| When::Strange(other.chars().take(40).collect()), When::At),
    }
}

fn flag(text: &str) -> Flag {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Flag::Yes,
        "false" | "n/a" => Flag::No,
        "not_supported" => Flag::NotSupported,
        _ => Flag::Strange,
    }
}

/// Lines of fields, by the rules of RFC 4180: a quoted field may hold commas, line ends and doubled quotes.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut lines, mut line, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => line.push(std::mem::take(&mut field)),
            '\r' if !quoted && letters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                line.push(std::mem::take(&mut field));
                lines.push(std::mem::take(&mut line));
            }
            other => field.push(other),
        }
    }
    if !field.is_empty() || !line.is_empty() {
        line.push(field);
        lines.push(line);
    }
    // An empty line is one empty field.
    lines.retain(|line| line.len() > 1 || line.first().is_some_and(|field| !field.is_empty()));
    lines
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const HEADER: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated";

    pub(crate) fn row(line: &str) -> Row {
        let report = parse(&format!("{HEADER}\n{line}")).expect("the header is known");
        assert!(report.broken_lines.is_empty(), "{line}");
        report.root.or_else(|| report.users.into_values().next()).expect("one row")
    }

    fn at(text: &str) -> When {
        When::At(text.parse().unwrap())
    }

    #[test]
    fn the_words_are_told_apart() {
        let root = row(
            "<root_account>,arn:aws:iam::1:root,2019-03-01T09:00:00+00:00,not_supported,no_information,not_supported,not_supported,true,true,2020-01-01T00:00:00Z,2024-05-05T05:05:05+00:00,us-east-1,s3,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A",
        );
        assert_eq!((root.password_enabled, root.password_last_changed), (Flag::NotSupported, When::NotSupported));
        assert_eq!(root.password_last_used, When::NoInformation);
        assert_eq!((root.keys[0].rotated.clone(), root.keys[0].used.clone()), (at("2020-01-01T00:00:00Z"), at("2024-05-05T05:05:05Z")));
        assert!(root.keys[0].holds_key() && !root.keys[1].holds_key());
        assert_eq!(when("soon"), When::Strange("soon".to_owned()));
        assert_eq!(flag("perhaps"), Flag::Strange);
        assert_eq!(when("2024-02-29T23:59:59+14:00"), at("2024-02-29T09:59:59Z"));
        assert_eq!(when("1970-01-01T00:00:00Z"), at("1970-01-01T00:00:00Z"));
    }

    #[test]
    fn an_inactive_key_is_a_key() {
        let off = row("u,a,N/A,false,N/A,N/A,N/A,false,false,2024-01-01T00:00:00Z,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A");
        assert!(off.keys[0].holds_key());
        assert_eq!(off.keys[0].active, Flag::No);
    }

    #[test]
    fn names_may_hold_commas_quotes_and_line_ends() {
        let cells = "N/A,false,N/A,N/A,N/A,false,false,N/A,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A";
        let text = format!("{HEADER}\r\n\"smith,joe\",a,{cells}\r\n\"say \"\"hi\"\"\",a,{cells}\n\"two\nlines\",a,{cells}");
        let report = parse(&text).unwrap();
        assert_eq!(report.users.keys().collect::<Vec<_>>(), ["say \"hi\"", "smith,joe", "two\nlines"]);
    }

    #[test]
    fn columns_are_found_by_name_and_a_short_line_is_a_broken_one() {
        let report = parse(&format!("more,{HEADER},additional\nx,short,a\n")).unwrap();
        assert_eq!(report.broken_lines, [2]);
        assert!(parse("user,arn\na,b").is_none());
        assert!(parse("").is_none());
        assert!(parse(HEADER).unwrap().users.is_empty());
    }
}
