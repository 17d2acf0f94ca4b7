//! Job files: what was typed → what may be run.
//!
//! [`read_job`] reads a file, complains about everything that is wrong with it at once, each with its line and the
//! mend, and gives a [`Job`] only when nothing is.

mod owners;
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use globset::{Glob, GlobSet, GlobSetBuilder};
use jiff::{SignedDuration, Timestamp};
use overdue_core::{
    AccountId, Audit, AwsAccounts, AwsAudit, AwsRead, CredentialKind, Delivery, Exemption, FunctionsSpec, Job, Letters, MachineAudit,
    MachineRead, ObjectsSpec, OwnerSource, OwnersConfig, Period, Policy, Region, Regions, RoleSpec, Schedule, SmtpServer, TlsMode,
};
use toml::Spanned;
use toml::de::DeValue;

pub(crate) use reader::Problem;
use reader::{At, Fields, Problems, duration, size, suggestion};

/// Role name assumed in other accounts unless the job names one; what `terraform` and `docs/providers/aws.md` set up.
const ROLE_DEFAULT: &str = "overdue-audit";
/// Session name of the assumed role, seen in CloudTrail, unless the job names one.
const SESSION_DEFAULT: &str = "overdue";
/// A run ends as partial after this long unless the job says otherwise.
const DEADLINE_DEFAULT: SignedDuration = SignedDuration::from_hours(6);
/// A missed occurrence up to this old is run once unless the job says otherwise.
const CATCH_UP_DEFAULT: SignedDuration = SignedDuration::from_hours(24);
/// Larger objects are a gap unless the job says otherwise: what holds a token is rarely larger.
const OBJECT_BYTES_MAX: u64 = 64 << 20;
/// At most this much is fetched from one bucket in one run unless the job says otherwise, so that a first run costs cents.
const BUCKET_BYTES_MAX: u64 = 2 << 30;
/// Newest versions read of each function unless the job says otherwise.
const VERSIONS_MAX: u32 = 50;

/// Where AWS credentials' own words stand for other providers that this version does not read.
const PROVIDERS: [&str; 2] = ["aws", "machine"];

/// Reads and checks one job file. `now` and `zone` judge nothing here but exemption dates and defaults.
pub(crate) fn read_job(path: &Path) -> Result<Job, Vec<Problem>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            return Err(vec![Problem {
                file: path.to_owned(),
                line: 1,
                text: format!("cannot read this file: {error}; name a job file, such as jobs/weekly-audit.toml"),
            }]);
        }
    };
    check(path, &text)
}

/// Checks the text of a job file that stands at `path` (relative paths in it count from its folder).
pub(crate) fn check(path: &Path, text: &str) -> Result<Job, Vec<Problem>> {
    let mut problems = Problems::new(path, text);
    let root = reader::parse(&mut problems);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut fields = Fields::new(root.get_ref(), 0);

    let name = job_name(&mut fields, &mut problems);
    let timezone = timezone(&mut fields, &mut problems);
    let schedule = schedule(&mut fields, &mut problems, &timezone);
    let deadline = duration_of(&mut fields, &mut problems, "deadline").unwrap_or(DEADLINE_DEFAULT);
    let catch_up = duration_of(&mut fields, &mut problems, "catch_up").unwrap_or(CATCH_UP_DEFAULT);
    let audits: Vec<Audit> =
        fields.tables(&mut problems, "audit").into_iter().filter_map(|table| audit(table, &mut problems, folder)).collect();
    if audits.is_empty() && fields.raw("audit").is_none() {
        problems.add(0, "a job needs at least one [[audit]] with a `provider`");
    }
    let policy = match fields.table(&mut problems, "policy") {
        Some(table) => policy(table, &mut problems, &timezone),
        None => Policy::default(),
    };
    let owners = match fields.table(&mut problems, "owners") {
        Some(table) => owners::config(table, &mut problems, folder),
        None => (OwnersConfig::default(), Vec::new()),
    };
    let letters = match fields.table(&mut problems, "letters") {
        Some(table) => letters(table, &mut problems, folder, &timezone),
        None => letters_default(&timezone),
    };
    fields.finish(&mut problems, "the job");

    let (owners, owners_problems) = owners;
    let mut list = problems.into_list();
    list.extend(owners_problems);
    if list.is_empty() { Ok(Job { name, schedule, deadline, catch_up, audits, policy, owners, letters }) } else { Err(list) }
}

/// Letters of a job that says nothing of them: an outbox folder, so that nothing is sent by surprise.
fn letters_default(timezone: &str) -> Letters {
    Letters {
        template: "rotation-due".into(),
        delivery: Delivery::Outbox { folder: PathBuf::from("outbox") },
        from: "overdue@localhost.localdomain".into(),
        security: None,
        period: Period::Weekly,
        timezone: timezone.to_owned(),
        dry_run_folder: PathBuf::from("outbox"),
    }
}

fn job_name(fields: &mut Fields<'_, '_>, problems: &mut Problems<'_>) -> String {
    match fields.string(problems, "name") {
        None => {
            if fields.raw("name").is_none() {
                problems.add(0, "a job needs a `name`, such as name = \"weekly-audit\"");
            }
            String::new()
        }
        Some(name) => {
            let fits = !name.value.is_empty()
                && name.value.len() <= 64
                && name.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            if !fits {
                problems.add(name.at, "`name` may hold letters, digits, `-` and `_`, at most 64");
            }
            name.value
        }
    }
}

fn timezone(fields: &mut Fields<'_, '_>, problems: &mut Problems<'_>) -> String {
    let Some(zone) = fields.string(problems, "timezone") else { return "UTC".to_owned() };
    if jiff::tz::TimeZone::get(&zone.value).is_err() {
        problems.add(
            zone.at,
            format!("`{}` is not a time zone of the IANA database; write one such as \"Europe/Berlin\" or \"UTC\"", zone.value),
        );
        return "UTC".to_owned();
    }
    zone.value
}

fn schedule(fields: &mut Fields<'_, '_>, problems: &mut Problems<'_>, timezone: &str) -> Option<Schedule> {
    let cron = fields.string(problems, "schedule")?;
    match crate::occurrences::parse(&cron.value) {
        Ok(_) => Some(Schedule { cron: cron.value, timezone: timezone.to_owned() }),
        Err(error) => {
            problems.add(cron.at, format!("`schedule` {error}"));
            None
        }
    }
}

fn duration_of(fields: &mut Fields<'_, '_>, problems: &mut Problems<'_>, name: &'static str) -> Option<SignedDuration> {
    let text = fields.string(problems, name)?;
    let found = duration(&text.value);
    if found.is_none() {
        problems.add(text.at, format!("`{name}` must be a time such as \"90d\", \"6h\", \"30m\"; not \"{}\"", text.value));
    }
    found
}

fn days_of(value: &Spanned<DeValue<'_>>, problems: &mut Problems<'_>, name: &str) -> Option<i64> {
    let at = value.span().start;
    let Some(text) = value.get_ref().as_str() else {
        problems.add(at, format!("`{name}` must be a time such as \"90d\", not {}", value.get_ref().type_str()));
        return None;
    };
    match duration(text).map(|span| span.as_secs()) {
        Some(seconds) if seconds % 86_400 == 0 => Some(seconds / 86_400),
        Some(_) => {
            problems.add(at, format!("`{name}` counts in whole days; write \"90d\", not \"{text}\""));
            None
        }
        None => {
            problems.add(at, format!("`{name}` must be a time such as \"90d\"; not \"{text}\""));
            None
        }
    }
}

fn size_of(fields: &mut Fields<'_, '_>, problems: &mut Problems<'_>, name: &'static str, default: u64) -> u64 {
    let Some(text) = fields.string(problems, name) else { return default };
    size(&text.value).unwrap_or_else(|| {
        problems.add(text.at, format!("`{name}` must be a size such as \"2 GiB\" or \"500 MB\"; not \"{}\"", text.value));
        default
    })
}

fn globs(fields: &mut Fields<'_, '_>, problems: &mut Problems<'_>, name: &'static str) -> Option<(GlobSet, Vec<String>)> {
    let list = fields.strings(problems, name)?;
    let mut builder = GlobSetBuilder::new();
    for glob in &list.value {
        match Glob::new(&glob.value) {
            Ok(glob) => {
                builder.add(glob);
            }
            Err(error) => problems.add(glob.at, format!("`{}` is not a glob: {}", glob.value, error.kind())),
        }
    }
    let text = list.value.into_iter().map(|glob| glob.value).collect();
    builder.build().ok().map(|globs| (globs, text))
}

fn audit(mut fields: Fields<'_, '_>, problems: &mut Problems<'_>, folder: &Path) -> Option<Audit> {
    let at = fields.at();
    let Some(provider) = fields.string(problems, "provider") else {
        if fields.raw("provider").is_none() {
            problems.add(at, "an [[audit]] needs a `provider`: aws or machine");
        }
        return None;
    };
    match provider.value.as_str() {
        "aws" => Some(Audit::Aws(Box::new(aws(fields, problems)))),
        "machine" => Some(Audit::Machine(machine(fields, problems, folder))),
        other => {
            problems.add(provider.at, format!("provider `{other}` is not in this version{}", suggestion(other, &PROVIDERS)));
            None
        }
    }
}

fn aws(mut fields: Fields<'_, '_>, problems: &mut Problems<'_>) -> AwsAudit {
    let (accounts, role) = aws_accounts(&mut fields, problems);
    let regions = aws_regions(&mut fields, problems);
    let read_at = fields.raw("read").map_or_else(|| fields.at(), |value| value.span().start);
    let read = choices(&mut fields, problems, "read", &AwsRead::ALL, &AwsRead::DEFAULT, |read| read.as_str(), "logs");
    if read.contains(&AwsRead::SecretValues) && !read.contains(&AwsRead::Secrets) {
        problems
            .add(read_at, "`read` has \"secret-values\" without \"secrets\": add it, since values are read of the secrets that are listed");
    }
    let mut objects = objects_default();
    if let Some(mut table) = fields.table(problems, "objects") {
        if let Some((include, text)) = globs(&mut table, problems, "include") {
            objects.include = include;
            objects.include_text = text;
        }
        if let Some((exclude, _)) = globs(&mut table, problems, "exclude") {
            objects.exclude = exclude;
        }
        objects.size_bytes_max = size_of(&mut table, problems, "size_max", OBJECT_BYTES_MAX);
        objects.bucket_bytes_max = size_of(&mut table, problems, "bucket_max", BUCKET_BYTES_MAX);
        objects.versions = table.flag(problems, "versions").is_some_and(|flag| flag.value);
        table.finish(problems, "`objects`");
    }
    let mut functions = FunctionsSpec { versions_max: VERSIONS_MAX };
    if let Some(mut table) = fields.table(problems, "functions") {
        if let Some(max) = table.whole(problems, "versions_max") {
            match u32::try_from(max.value) {
                Ok(value) if value >= 1 => functions.versions_max = value,
                _ => problems.add(max.at, "`versions_max` must be at least 1"),
            }
        }
        table.finish(problems, "`functions`");
    }
    fields.finish(problems, "an [[audit]] of aws");
    AwsAudit { accounts, role, regions, read, objects, functions }
}

/// Every object, within the default budgets.
pub(crate) fn objects_default() -> ObjectsSpec {
    let mut all = GlobSetBuilder::new();
    if let Ok(glob) = Glob::new("**") {
        all.add(glob);
    }
    ObjectsSpec {
        include: all.build().unwrap_or_else(|_| GlobSet::empty()),
        include_text: vec!["**".into()],
        exclude: GlobSet::empty(),
        size_bytes_max: OBJECT_BYTES_MAX,
        bucket_bytes_max: BUCKET_BYTES_MAX,
        versions: false,
    }
}

/// What `overdue audit` reads on AWS: the ambient account, everything.
pub(crate) fn aws_ambient() -> AwsAudit {
    AwsAudit {
        accounts: AwsAccounts::Ambient,
        role: None,
        regions: Regions::Enabled,
        read: AwsRead::DEFAULT.into_iter().collect(),
        objects: objects_default(),
        functions: FunctionsSpec { versions_max: VERSIONS_MAX },
    }
}

fn aws_accounts(fields: &mut Fields<'_, '_>, problems: &mut Problems<'_>) -> (AwsAccounts, Option<RoleSpec>) {
    let hint = "`accounts` is \"ambient\", a list of 12-digit ids, or a table such as { organization = true, role = \"overdue-audit\" }";
    let Some(value) = fields.raw("accounts") else { return (AwsAccounts::Ambient, None) };
    let at = value.span().start;
    let default_role = || RoleSpec { name: ROLE_DEFAULT.into(), external_id: None, session_name: SESSION_DEFAULT.into() };
    match value.get_ref() {
        DeValue::String(text) if text == "ambient" => (AwsAccounts::Ambient, None),
        DeValue::Array(_) => {
            let ids = fields.strings(problems, "accounts").map(|list| account_ids(list, problems)).unwrap_or_default();
            (AwsAccounts::Ids(ids), Some(default_role()))
        }
        DeValue::Table(table) => {
            let mut table = Fields::new(table, at);
            let organization = table.flag(problems, "organization").is_some_and(|flag| flag.value);
            let ids = table.strings(problems, "ids").map(|list| account_ids(list, problems));
            let role = table.string(problems, "role");
            let external_id = table.string(problems, "external_id").map(|id| id.value);
            let session_name = table.string(problems, "session_name").map_or_else(|| SESSION_DEFAULT.to_owned(), |name| name.value);
            table.finish(problems, "`accounts`");
            let role = RoleSpec { name: role.map_or_else(|| ROLE_DEFAULT.to_owned(), |role| role.value), external_id, session_name };
            match (organization, ids) {
                (true, None) => (AwsAccounts::Organization, Some(role)),
                (false, Some(ids)) => (AwsAccounts::Ids(ids), Some(role)),
                (true, Some(_)) => {
                    problems.add(at, "`accounts` names both `organization` and `ids`; keep one");
                    (AwsAccounts::Organization, Some(role))
                }
                (false, None) => {
                    problems.add(at, format!("`accounts` names no account: {hint}"));
                    (AwsAccounts::Ambient, None)
                }
            }
        }
        other => {
            problems.add(at, format!("{hint}; not {}", other.type_str()));
            (AwsAccounts::Ambient, None)
        }
    }
}

fn account_ids(list: At<Vec<At<String>>>, problems: &mut Problems<'_>) -> Vec<AccountId> {
    if list.value.is_empty() {
        problems.add(list.at, "the list of accounts is empty");
    }
    let mut seen = BTreeSet::new();
    for id in list.value {
        if id.value.len() != 12 || !id.value.bytes().all(|byte| byte.is_ascii_digit()) {
            problems.add(id.at, format!("`{}` is not an AWS account id: it has 12 digits, in quotes", id.value));
        } else if !seen.insert(id.value.clone()) {
            problems.add(id.at, format!("account {} is listed twice", id.value));
        }
    }
    seen.into_iter().map(AccountId::new).collect()
}

fn aws_regions(fields: &mut Fields<'_, '_>, problems: &mut Problems<'_>) -> Regions {
    let Some(value) = fields.raw("regions") else { return Regions::Enabled };
    let at = value.span().start;
    match value.get_ref() {
        DeValue::String(text) if text == "enabled" => Regions::Enabled,
        DeValue::Array(_) => {
            let Some(list) = fields.strings(problems, "regions") else { return Regions::Enabled };
            if list.value.is_empty() {
                problems.add(list.at, "the list of regions is empty; write \"enabled\" for all");
            }
            for region in &list.value {
                if !looks_like_region(&region.value) {
                    problems.add(region.at, format!("`{}` is not an AWS region; write one such as \"eu-west-1\"", region.value));
                }
            }
            Regions::Named(list.value.into_iter().map(|region| Region::new(region.value)).collect())
        }
        other => {
            let not = other.as_str().map_or_else(|| other.type_str().to_owned(), |text| format!("\"{text}\""));
            problems.add(at, format!("`regions` is \"enabled\" or a list such as [\"eu-west-1\"]; not {not}"));
            Regions::Enabled
        }
    }
}

/// Two or three parts of letters and a number: `eu-west-1`, `us-gov-east-1`. New regions appear every year, so no list.
fn looks_like_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    (3..=4).contains(&parts.len())
        && parts[..parts.len() - 1].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase()))
        && parts[0].len() == 2
        && parts.last().is_some_and(|last| last.len() == 1 && last.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A list of names from a closed set; absent means all. `later` is a name that documents know and this version does not read.
fn choices<T: Copy + Ord>(
    fields: &mut Fields<'_, '_>,
    problems: &mut Problems<'_>,
    name: &'static str,
    all: &[T],
    default: &[T],
    text: impl Fn(T) -> &'static str,
    later: &str,
) -> BTreeSet<T> {
    let Some(list) = fields.strings(problems, name) else { return default.iter().copied().collect() };
    if list.value.is_empty() {
        problems.add(list.at, format!("`{name}` is an empty list: nothing would be read"));
    }
    let known: Vec<&str> = all.iter().map(|item| text(*item)).collect();
    let mut chosen = BTreeSet::new();
    for item in list.value {
        match all.iter().find(|candidate| text(**candidate) == item.value) {
            Some(found) => {
                chosen.insert(*found);
            }
            None if item.value == later => {
                problems.add(item.at, format!("`{later}` is not read by this version; take it out of `{name}`"));
            }
            None => problems.add(item.at, format!("`{}` cannot be read{}", item.value, suggestion(&item.value, &known))),
        }
    }
    chosen
}

fn machine(mut fields: Fields<'_, '_>, problems: &mut Problems<'_>, folder: &Path) -> MachineAudit {
    let paths = fields
        .strings(problems, "paths")
        .map(|list| {
            if list.value.is_empty() {
                problems.add(list.at, "`paths` is an empty list: nothing would be read");
            }
            list.value.into_iter().map(|path| folder.join(path.value)).collect()
        })
        .unwrap_or_else(|| vec![folder.to_owned()]);
    let read = choices(&mut fields, problems, "read", &MachineRead::ALL, &MachineRead::ALL, |read| read.as_str(), "");
    fields.finish(problems, "an [[audit]] of machine");
    MachineAudit { paths, read }
}

fn policy(mut fields: Fields<'_, '_>, problems: &mut Problems<'_>, timezone: &str) -> Policy {
    let mut policy = Policy::default();
    let kinds: Vec<&str> = CredentialKind::ALL.iter().map(|kind| kind.as_str()).collect();
    if let Some(value) = fields.raw("rotate_after") {
        match value.get_ref().as_table() {
            None => {
                if let Some(days) = days_of(value, problems, "rotate_after") {
                    policy.rotate_after_days = days;
                }
            }
            Some(table) => {
                for (key, value) in Fields::new(table, value.span().start).pairs() {
                    let days = days_of(value, problems, key.value);
                    match (key.value, key.value.parse::<CredentialKind>()) {
                        ("default", _) => policy.rotate_after_days = days.unwrap_or(policy.rotate_after_days),
                        (_, Ok(kind)) => {
                            if let Some(days) = days {
                                policy.rotate_after_days_by_kind.insert(kind, days);
                            }
                        }
                        (name, Err(_)) => problems.add(key.at, format!("`{name}` is no credential kind{}", suggestion(name, &kinds))),
                    }
                }
            }
        }
    }
    if let Some(value) = fields.raw("unused_after") {
        policy.unused_after_days = days_of(value, problems, "unused_after").unwrap_or(policy.unused_after_days);
    }
    if let Some(value) = fields.raw("due_soon") {
        policy.due_soon_days = days_of(value, problems, "due_soon").unwrap_or(policy.due_soon_days);
    }
    for table in fields.tables(problems, "exemption") {
        if let Some(exemption) = exemption(table, problems, timezone) {
            policy.exemptions.push(exemption);
        }
    }
    fields.finish(problems, "[policy]");
    policy
}

fn exemption(mut fields: Fields<'_, '_>, problems: &mut Problems<'_>, timezone: &str) -> Option<Exemption> {
    let at = fields.at();
    let credential = fields.string(problems, "credential");
    let reason = fields.string(problems, "reason");
    let until = fields.raw("until").and_then(|value| match end_of_day(value.get_ref(), timezone) {
        Some(until) => Some(until),
        None => {
            problems.add(value.span().start, "`until` must be a date such as 2027-03-31 (no quotes): the last day it holds");
            None
        }
    });
    for (name, missing) in [
        ("credential", fields.raw("credential").is_none()),
        ("reason", fields.raw("reason").is_none()),
        ("until", fields.raw("until").is_none()),
    ] {
        if missing {
            problems.add(at, format!("an exemption needs a `{name}`"));
        }
    }
    if let Some(reason) = reason.as_ref().filter(|reason| reason.value.trim().is_empty()) {
        problems.add(reason.at, "an exemption's `reason` may not be empty");
    }
    fields.finish(problems, "an [[policy.exemption]]");
    Some(Exemption { credential: credential?.value, reason: reason?.value, until: until? })
}

/// The first moment after the named day in the job's zone. A quoted date is understood too.
fn end_of_day(value: &DeValue<'_>, timezone: &str) -> Option<Timestamp> {
    let text = match value {
        DeValue::Datetime(datetime) => datetime.to_string(),
        DeValue::String(text) => text.to_string(),
        _ => return None,
    };
    let day: jiff::civil::Date = text.parse().ok()?;
    Some(day.tomorrow().ok()?.in_tz(timezone).ok()?.timestamp())
}

fn letters(mut fields: Fields<'_, '_>, problems: &mut Problems<'_>, folder: &Path, timezone: &str) -> Letters {
    let mut letters = letters_default(timezone);
    letters.delivery = Delivery::Outbox { folder: folder.join("outbox") };
    letters.dry_run_folder = folder.join("outbox");
    if let Some(template) = fields.string(problems, "template") {
        letters.template = template.value;
    }
    for (name, slot) in [("from", &mut letters.from)] {
        if let Some(address) = fields.string(problems, name) {
            if !plausible_address(&address.value) {
                problems.add(address.at, format!("`{name}` must be a mail address, not \"{}\"", address.value));
            }
            *slot = address.value;
        }
    }
    if let Some(address) = fields.string(problems, "security") {
        if !plausible_address(&address.value) {
            problems.add(address.at, format!("`security` must be a mail address, not \"{}\"", address.value));
        }
        letters.security = Some(address.value);
    }
    if let Some(period) = fields.string(problems, "period") {
        let known: Vec<&str> = Period::ALL.iter().map(|period| period.as_str()).collect();
        match Period::ALL.into_iter().find(|candidate| candidate.as_str() == period.value) {
            Some(found) => letters.period = found,
            None => problems.add(period.at, format!("`{}` is no period{}", period.value, suggestion(&period.value, &known))),
        }
    }
    if let Some(mut send) = fields.table(problems, "send") {
        let at = send.at();
        let outbox = send.string(problems, "outbox");
        let smtp = send.table(problems, "smtp").and_then(|table| smtp(table, problems, folder, &mut letters.from));
        match (outbox, smtp, send.raw("smtp").is_some()) {
            (Some(outbox), None, false) => letters.delivery = Delivery::Outbox { folder: folder.join(outbox.value) },
            (None, Some(server), _) => letters.delivery = Delivery::Smtp(server),
            (Some(_), _, true) => problems.add(at, "`send` names both `smtp` and `outbox`; keep one"),
            (None, None, true) => {}
            (None, None, false) => problems.add(at, "`send` needs `smtp = { host = \"…\" }` or `outbox = \"folder\"`"),
            (Some(_), Some(_), false) => {}
        }
        send.finish(problems, "`send`");
    }
    fields.finish(problems, "[letters]");
    letters
}

fn smtp(mut fields: Fields<'_, '_>, problems: &mut Problems<'_>, folder: &Path, from: &mut String) -> Option<SmtpServer> {
    let at = fields.at();
    let host = fields.string(problems, "host");
    if host.is_none() && fields.raw("host").is_none() {
        problems.add(at, "`smtp` needs a `host`");
    }
    if let Some(address) = fields.string(problems, "from") {
        if !plausible_address(&address.value) {
            problems.add(address.at, format!("`from` must be a mail address, not \"{}\"", address.value));
        }
        *from = address.value;
    }
    let tls = match fields.string(problems, "tls") {
        None => TlsMode::StartTls,
        Some(mode) => match mode.value.as_str() {
            "starttls" => TlsMode::StartTls,
            "implicit" => TlsMode::Implicit,
            "none" => TlsMode::None,
            other => {
                problems.add(mode.at, format!("`{other}` is no TLS mode{}", suggestion(other, &["starttls", "implicit", "none"])));
                TlsMode::StartTls
            }
        },
    };
    let port = match fields.whole(problems, "port") {
        Some(port) => match u16::try_from(port.value) {
            Ok(value) if value > 0 => value,
            _ => {
                problems.add(port.at, "`port` must be between 1 and 65535");
                587
            }
        },
        None => match tls {
            TlsMode::StartTls => 587,
            TlsMode::Implicit => 465,
            TlsMode::None => 25,
        },
    };
    let user = fields.string(problems, "user").map(|user| user.value);
    let password_file = fields.string(problems, "password_file").map(|file| folder.join(file.value));
    let password_env = fields.string(problems, "password_env").map(|name| name.value);
    let ca_file = fields.string(problems, "ca_file").map(|file| folder.join(file.value));
    if let Some(password) = fields.raw("password") {
        problems
            .add(password.span().start, "a password does not belong in a job file; name a `password_file` or a variable in `password_env`");
    }
    if user.is_some() && password_file.is_none() && password_env.is_none() {
        problems.add(at, "`smtp` names a `user` but no `password_file` or `password_env`");
    }
    fields.finish(problems, "`smtp`");
    let host = host?.value;
    if tls == TlsMode::None && !matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1") {
        problems.add(at, "`tls = \"none\"` is only for a server on this machine; use \"starttls\" or \"implicit\"");
    }
    Some(SmtpServer { host, port, tls, user, password_file, password_env, ca_file })
}

fn plausible_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, host)| {
        !local.is_empty()
            && !host.is_empty()
            && !host.contains('@')
            && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == ',')
    })
}

/// The kinds a job may name owners of, for suggestions.
pub(crate) fn owner_sources(fields: &mut Fields<'_, '_>, problems: &mut Problems<'_>) -> Option<Vec<OwnerSource>> {
    let list = fields.strings(problems, "from")?;
    let known: Vec<&str> = OwnerSource::ALL.iter().map(|source| source.as_str()).collect();
    let mut sources = Vec::new();
    for item in list.value {
        match item.value.parse::<OwnerSource>() {
            Ok(source) if !sources.contains(&source) => sources.push(source),
            Ok(_) => problems.add(item.at, format!("`{}` is listed twice", item.value)),
            Err(_) => problems.add(item.at, format!("`{}` is no source of owners{}", item.value, suggestion(&item.value, &known))),
        }
    }
    Some(sources)
}

/// Addresses of names, `[owners.addresses]`.
pub(crate) fn addresses(fields: &mut Fields<'_, '_>, problems: &mut Problems<'_>) -> BTreeMap<String, String> {
    let mut addresses = BTreeMap::new();
    let Some(table) = fields.table(problems, "addresses") else { return addresses };
    for (key, value) in table.pairs() {
        match value.get_ref().as_str().filter(|text| plausible_address(text)) {
            Some(address) => {
                addresses.insert(key.value.to_owned(), address.to_owned());
            }
            None => problems.add(value.span().start, format!("`{}` must be a mail address", key.value)),
        }
    }
    addresses
}

#[cfg(test)]
mod tests;
