//! The sweep of an account's IAM: every user and credential in as few calls as can be.
//!
//! Four listings tell most: the credential report (ages, last uses, passwords, the root user), the authorization details
//! (users with tags, and policies), the service-specific credentials, and then one call for each user who holds an access key,
//! or may hold one that the report is too old to know. When one of the four is refused its gap is noted and the sweep goes on
//! with what is left, asking user by user where it must.

use std::collections::BTreeMap;

use aws_sdk_iam::types::{EntityType, GroupDetail, ManagedPolicyDetail, StatusType, UserDetail};
use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use overdue_core::{Credential, CredentialId, CredentialKind, Cursor, Gap, GapReason, IssuedAt, LastUsed, Page, Principal, Status, Target};

use super::credential_report::{self, Report, Row, When};
use super::errors::Refusal;
use super::paging::{Next, all_pages};
use super::permissions;
use super::policies::Reach;
use super::session::Session;
use super::{Hub, access_keys, console_passwords, root, service_specific, signing_certificates, ssh_keys, timestamp};

/// Users of one page.
const PAGE_USERS: usize = 100;
/// Users asked for at once; IAM starts to throttle a little above.
const USERS_AT_ONCE: usize = 12;
/// Up to this many users everybody is asked for SSH keys and certificates; above, only those who can have a use for them.
const SMALL_ACCOUNT_USERS_MAX: usize = 100;
/// A report no older than this knows every key that matters to this run.
const FRESH: SignedDuration = SignedDuration::from_mins(15);
/// Names written out in a gap that stands for many users.
const NAMES_MAX: usize = 5;

/// One IAM user, as far as known.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) row: Option<Row>,
    /// Whether some policy may let it reach CodeCommit.
    reaches_codecommit: bool,
}

impl User {
    fn named(session: &Session, name: &str) -> Self {
        let arn = format!("arn:{}:iam::{}:user/{name}", session.partition.name, session.account);
        Self { name: name.to_owned(), arn, tags: BTreeMap::new(), row: None, reaches_codecommit: true }
    }

    /// A credential of this user's.
    pub(super) fn credential(
        &self,
        session: &Session,
        kind: CredentialKind,
        public_id: &str,
        status: Status,
        issued_at: IssuedAt,
        last_used: LastUsed,
    ) -> Credential {
        Credential {
            id: CredentialId { account: session.account.clone(), kind, public_id: public_id.to_owned() },
            region: None,
            name: self.name.clone(),
            principal: Principal { arn: self.arn.clone(), name: self.name.clone() },
            status,
            issued_at,
            last_used,
            expires_at: None,
            tags: self.tags.clone(),
            notes: Vec::new(),
            value: None,
        }
    }
}

/// What was learned of one user.
pub(super) struct Known {
    pub(super) credentials: Vec<Credential>,
    refusals: Vec<(&'static str, String, Refusal)>,
    /// Whether the user was listed just now, and not only in a report that may be hours old.
    listed_now: bool,
}

impl Known {
    /// Notes a call that was refused. A user of an old report who is gone is no gap: with it went its credentials.
    pub(super) fn refused(&mut self, what: &'static str, user: &User, refusal: Option<Refusal>) {
        let gone = |refusal: &Refusal| refusal.is(&["NoSuchEntity", "NoSuchEntityException"]);
        if let Some(refusal) = refusal.filter(|refusal| self.listed_now || !gone(refusal)) {
            self.refusals.push((what, user.name.clone(), refusal));
        }
    }
}

/// Status as the SDK has it; what is neither counts as active, the graver of the two.
pub(super) fn status_of(status: Option<&StatusType>) -> Status {
    if status == Some(&StatusType::Inactive) { Status::Inactive } else { Status::Active }
}

/// What the bulk listings told, kept while users are asked page by page.
pub(super) struct Sweep {
    users: Vec<User>,
    generated_at: Option<Timestamp>,
    /// Whether the report knows every key that users hold now.
    fresh: bool,
    /// Whether tags came with the users.
    tagged: bool,
    /// What belongs on the first page.
    first: Vec<Credential>,
    gaps: Vec<Gap>,
}

/// One page of the account's credentials. The cursor counts users.
pub(super) async fn page(hub: &Hub, session: &Session, target: &Target, cursor: Option<&Cursor>) -> Page<Credential> {
    let sweep = match cursor.and_then(|_| hub.sweeps.get(target)) {
        Some(sweep) => sweep,
        None => hub.sweeps.put(target, begin(hub, session, target).await),
    };
    let start = cursor.and_then(|cursor| cursor.0.parse().ok()).unwrap_or(0).min(sweep.users.len());
    let end = (start + PAGE_USERS).min(sweep.users.len());
    let mut page = Page::default();
    if cursor.is_none() {
        page.items.extend(sweep.first.iter().cloned());
        page.gaps.extend(sweep.gaps.iter().cloned());
    }
    let asks: Vec<_> = sweep.users[start..end].iter().map(|user| ask(session, &sweep, user)).collect();
    let known: Vec<Known> = stream::iter(asks).buffered(USERS_AT_ONCE).collect().await;
    let mut refusals = Vec::new();
    for known in known {
        page.items.extend(known.credentials);
        refusals.extend(known.refusals);
    }
    page.gaps.extend(gathered(target, refusals));
    if end < sweep.users.len() {
        page.next = Some(Cursor(end.to_string()));
    } else {
        hub.sweeps.clear(target);
    }
    page
}

/// Makes the bulk listings and puts them together.
async fn begin(hub: &Hub, session: &Session, target: &Target) -> Sweep {
    let (report, details, (service_specific, refusals)) =
        tokio::join!(credential_report::obtain(session), details(session), service_specific::list(session));
    let mut gaps: Vec<Gap> = refusals.iter().map(|refusal| refusal.open_gap(target, "service-specific credentials of all users")).collect();

    let report = match report {
        Ok((report, None)) => Some(report),
        Ok((report, Some(refusal))) => {
            gaps.push(refusal.gap(target, "a fresh credential report; the one that was there is used, up to four hours old"));
            Some(report)
        }
        Err(refusal) => {
            gaps.push(refusal.open_gap(target, "credential report: console passwords, the root user, last uses"));
            None
        }
    };
    if let Some(report) = report.as_ref().filter(|report| !report.broken_lines.is_empty()) {
        let detail = format!("iam:GetCredentialReport: {} lines of the report could not be read", report.broken_lines.len());
        let refusal = Refusal::new(GapReason::ProviderFault, detail, "Run again; if it stays, look at the report in the IAM console");
        gaps.push(refusal.open_gap(target, "lines of the credential report"));
    }
    let fresh = report.as_ref().is_some_and(|report| is_fresh(report, hub.now()));

    let tagged = details.refusal.is_none();
    if let Some(refusal) = &details.refusal {
        gaps.push(refusal.open_gap(target, "users by the authorization details, with tags and policies"));
    }
    let mut users = details.users(session, report.as_ref());
    if !tagged && report.is_none() {
        let (listed, refusal) = list_users(session).await;
        gaps.extend(refusal.map(|refusal| refusal.open_gap(target, "users of the account")));
        for user in listed {
            users.entry(user.name.clone()).or_insert(user);
        }
    }

    let mut first = Vec::new();
    for found in &service_specific {
        let user = users.get(&found.user_name).cloned().unwrap_or_else(|| User::named(session, &found.user_name));
        first.push(service_specific::credential(session, &user, found));
    }
    let root_row = report.as_ref().and_then(|report| report.root.as_ref());
    let root_keys = root_row.map(|row| root::from_report(session, row)).unwrap_or_default();
    let told = root_keys.iter().any(|credential| credential.id.kind == CredentialKind::AwsRootAccessKey);
    first.extend(root_keys);
    if !told && (root_row.is_none() || !fresh) {
        match root::from_summary(session).await {
            Ok(credential) => first.extend(credential),
            Err(refusal) => gaps.push(refusal.gap(target, "access keys of the root user")),
        }
    }

    let mut users: Vec<User> = users.into_values().collect();
    if users.len() <= SMALL_ACCOUNT_USERS_MAX {
        users.iter_mut().for_each(|user| user.reaches_codecommit = true);
    } else {
        let left_out = users.iter().filter(|user| !user.reaches_codecommit).count();
        if left_out > 0 {
            hub.remark(format!(
                "account {}: SSH public keys of {left_out} of {} users were not asked for, since no policy lets those users reach CodeCommit, \
                 the only use of such keys",
                session.account,
                users.len()
            ));
        }
    }
    tracing::debug!(account = %session.account, users = users.len(), fresh, tagged, gaps = gaps.len(), "iam sweep began");
    Sweep { users, generated_at: report.and_then(|report| report.generated_at), fresh, tagged, first, gaps }
}

fn is_fresh(report: &Report, now: Timestamp) -> bool {
    let young = report.generated_at.is_some_and(|at| at.checked_add(FRESH).is_ok_and(|end| end >= now));
    report.made_for_us || young
}

/// The authorization details, as far as they came.
struct Details {
    users: Vec<UserDetail>,
    groups: Vec<GroupDetail>,
    policies: Vec<ManagedPolicyDetail>,
    refusal: Option<Refusal>,
}

enum Detail {
    User(UserDetail),
    Group(GroupDetail),
    Policy(ManagedPolicyDetail),
}

async fn details(session: &Session) -> Details {
    let iam = session.iam();
    let (found, refusal) = all_pages("iam:GetAccountAuthorizationDetails", |marker| {
        let iam = &iam;
        async move {
            let ask = |sdk: &aws_sdk_iam::Client| {
                let request = sdk.get_account_authorization_details().filter(EntityType::User);
                let request = request.filter(EntityType::Group).filter(EntityType::LocalManagedPolicy);
                request.max_items(1000).set_marker(marker).send()
            };
            let answer = iam.call(permissions::GET_ACCOUNT_AUTHORIZATION_DETAILS, ask).await?;
            let mut page: Vec<Detail> = answer.user_detail_list.unwrap_or_default().into_iter().map(Detail::User).collect();
            page.extend(answer.group_detail_list.unwrap_or_default().into_iter().map(Detail::Group));
            page.extend(answer.policies.unwrap_or_default().into_iter().map(Detail::Policy));
            Ok((page, Next::by_flag(answer.marker, answer.is_truncated)))
        }
    })
    .await;
    let mut details = Details { users: Vec::new(), groups: Vec::new(), policies: Vec::new(), refusal };
    for detail in found {
        match detail {
            Detail::User(user) => details.users.push(user),
            Detail::Group(group) => details.groups.push(group),
            Detail::Policy(policy) => details.policies.push(policy),
        }
    }
    details
}

impl Details {
    /// Users by name, with their row of the report.
    ///
    /// A whole list of users is right about who there is: a row without a user is one deleted since. A list that broke off is
    /// filled up from the report.
    fn users(self, session: &Session, report: Option<&Report>) -> BTreeMap<String, User> {
        let whole = self.refusal.is_none();
        let reach = Reach::new(&self.groups, &self.policies);
        let row = |name: &str| report.and_then(|report| report.users.get(name)).cloned();
        let mut users = BTreeMap::new();
        for detail in self.users {
            let Some(name) = detail.user_name.clone() else { continue };
            let mut user = User::named(session, &name);
            user.reaches_codecommit = !whole || reach.of(&detail);
            user.arn = detail.arn.unwrap_or(user.arn);
            user.tags = detail.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
            // A user deleted and made again under its name is another one: the report's row is of the old.
            let created = detail.create_date.as_ref().and_then(timestamp);
            user.row = row(&name).filter(|row| same_user(row, created));
            users.insert(name, user);
        }
        if !whole {
            for (name, row) in
                report.iter().flat_map(|report| &report.users).filter(|(name, _)| !users.contains_key(*name)).collect::<Vec<_>>()
            {
                let mut user = User::named(session, name);
                user.arn = row.arn.clone();
                user.row = Some(row.clone());
                users.insert(name.clone(), user);
            }
        }
        users
    }
}

fn same_user(row: &Row, created: Option<Timestamp>) -> bool {
    match (&row.created, created) {
        (When::At(told), Some(created)) => told.as_second() == created.as_second(),
        _ => true,
    }
}

async fn list_users(session: &Session) -> (Vec<User>, Option<Refusal>) {
    let iam = session.iam();
    let (found, refusal) = all_pages("iam:ListUsers", |marker| {
        let iam = &iam;
        async move {
            let ask = |sdk: &aws_sdk_iam::Client| sdk.list_users().max_items(1000).set_marker(marker).send();
            let answer = iam.call(permissions::LIST_USERS, ask).await?;
            Ok((answer.users, Next::by_flag(answer.marker, answer.is_truncated)))
        }
    })
    .await;
    let users = found.into_iter().map(|found| User { arn: found.arn, ..User::named(session, &found.user_name) });
    (users.collect(), refusal)
}

/// Asks what only a call for this very user tells.
async fn ask(session: &Session, sweep: &Sweep, user: &User) -> Known {
    let mut known = Known { credentials: Vec::new(), refusals: Vec::new(), listed_now: sweep.tagged };
    let in_report = |holds: fn(&Row) -> bool| user.row.as_ref().is_none_or(holds);
    if !sweep.fresh || in_report(|row| row.keys.iter().any(credential_report::Slot::holds_key)) {
        access_keys::of_user(session, user, sweep.generated_at, &mut known).await;
    }
    known.credentials.extend(console_passwords::of_user(session, user));
    if user.reaches_codecommit {
        ssh_keys::of_user(session, user, &mut known).await;
    }
    let small = sweep.users.len() <= SMALL_ACCOUNT_USERS_MAX;
    if small || in_report(|row| row.certificates.iter().any(credential_report::CertificateSlot::holds_certificate)) {
        signing_certificates::of_user(session, user, &mut known).await;
    }
    if !sweep.tagged && user.tags.is_empty() && !known.credentials.is_empty() {
        match list_user_tags(session, user).await {
            Ok(tags) => known.credentials.iter_mut().for_each(|credential| credential.tags.clone_from(&tags)),
            Err(refusal) => known.refused("tags, which may name an owner,", user, Some(refusal)),
        }
    }
    known
}

async fn list_user_tags(session: &Session, user: &User) -> Result<BTreeMap<String, String>, Refusal> {
    let iam = session.iam();
    let (tags, refusal) = all_pages("iam:ListUserTags", |marker| {
        let (iam, name) = (&iam, user.name.as_str());
        async move {
            let ask = |sdk: &aws_sdk_iam::Client| sdk.list_user_tags().user_name(name).set_marker(marker).send();
            let answer = iam.call(permissions::LIST_USER_TAGS, ask).await?;
            Ok((answer.tags, Next::by_flag(answer.marker, answer.is_truncated)))
        }
    })
    .await;
    match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect()),
    }
}

/// One gap for all users of whom the same was refused for the same reason.
fn gathered(target: &Target, refusals: Vec<(&'static str, String, Refusal)>) -> Vec<Gap> {
    let mut by_cause: BTreeMap<(&str, GapReason), (Refusal, Vec<String>)> = BTreeMap::new();
    for (what, user, refusal) in refusals {
        by_cause.entry((what, refusal.reason)).or_insert_with(|| (refusal, Vec::new())).1.push(user);
    }
    by_cause
        .into_iter()
        .map(|((what, _), (refusal, users))| {
            let subject = match users.as_slice() {
                [one] => format!("{what} of user {one}"),
                several => {
                    let named = several.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
                    let more = if several.len() > NAMES_MAX { ", …" } else { "" };
                    format!("{what} of {} users: {named}{more}", several.len())
                }
            };
            refusal.gap(target, subject)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use overdue_core::{AccountId, ProviderKind, TargetKind};

    use super::super::credential_report::tests::row;
    use super::*;

    #[test]
    fn one_gap_stands_for_many_users() {
        let target =
            Target { provider: ProviderKind::Aws, account: AccountId::new("1"), region: None, kind: TargetKind::Iam, name: String::new() };
        let denied = Refusal::from_answer(permissions::LIST_ACCESS_KEYS, "AccessDenied", "", 403);
        let slow = Refusal::new(GapReason::Throttled, "slow", "");
        let refusals =
            (0..7).map(|n| ("access keys", format!("u{n}"), denied.clone())).chain([("access keys", "v".to_owned(), slow)]).collect();
        let subjects: Vec<String> = gathered(&target, refusals).into_iter().map(|gap| format!("{}: {}", gap.reason, gap.subject)).collect();
        assert_eq!(subjects, ["denied: access keys of 7 users: u0, u1, u2, u3, u4, …", "throttled: access keys of user v"]);
    }

    #[test]
    fn a_report_is_fresh_when_made_for_us_or_young() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let report = |generated: &str, made_for_us| Report { generated_at: Some(at(generated)), made_for_us, ..Report::default() };
        let now = at("2026-01-01T12:00:00Z");
        assert!(is_fresh(&report("2026-01-01T09:00:00Z", true), now));
        assert!(is_fresh(&report("2026-01-01T11:50:00Z", false), now));
        assert!(is_fresh(&report("2026-01-01T12:30:00Z", false), now));
        assert!(!is_fresh(&report("2026-01-01T11:00:00Z", false), now));
        assert!(!is_fresh(&Report::default(), now));
    }

    #[test]
    fn a_user_made_again_is_another() {
        let cells = "false,N/A,N/A,N/A,false,false,N/A,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A";
        let old = row(&format!("u,a,2024-01-01T00:00:00+00:00,{cells}"));
        assert!(same_user(&old, Some("2024-01-01T00:00:00Z".parse().unwrap())));
        assert!(!same_user(&old, Some("2025-01-01T00:00:00Z".parse().unwrap())));
        assert!(same_user(&old, None));
    }
}
