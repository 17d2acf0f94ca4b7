//! What there is to read: accounts, regions, buckets.
//!
//! An account that refuses us is one gap and one failed row, and everything else goes on. A listing that breaks off is a gap
//! of unknown size, and what it gave before is read all the same.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_organizations::types::{AccountState, AccountStatus};
use futures::stream::{self, StreamExt};
use overdue_core::{
    Account, AccountId, AwsAccounts, AwsRead, Contact, Gap, GapReason, ProviderKind, Region, Regions, Target, TargetKind, TargetState,
};
use quick_xml::events::Event;
use serde_json::json;

use super::Hub;
use super::errors::{Refusal, listed, mend_of};
use super::objects;
use super::paging::{Next, all_pages};
use super::permissions;
use super::session::Session;
use super::signed::{ACCOUNT, EC2};
use crate::Discovery;

/// Accounts entered at once.
const ACCOUNTS_AT_ONCE: usize = 8;
/// Organizations answers few calls a second.
const TAG_CALLS_AT_ONCE: usize = 4;
/// Buckets whose region is asked for at once.
const BUCKETS_AT_ONCE: usize = 8;
/// Regions that are enabled in every account unless someone switched them off: what is read when the list is refused.
const REGIONS_BY_DEFAULT: [&str; 17] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "sa-east-1",
];

/// Looks at everything the audit names.
pub(super) async fn discover(hub: &Hub) -> Discovery {
    let mut discovery = Discovery::default();
    let found = match &hub.audit.accounts {
        AwsAccounts::Ambient => vec![Found::bare(hub.ambient.account.clone())],
        AwsAccounts::Ids(ids) => ids.iter().cloned().collect::<BTreeSet<_>>().into_iter().map(Found::bare).collect(),
        AwsAccounts::Organization => organization(hub, &mut discovery).await,
    };
    let looks: Vec<Look> = stream::iter(found).map(|found| look(hub, found)).buffered(ACCOUNTS_AT_ONCE).collect().await;
    for look in looks {
        discovery.accounts.push(look.account);
        discovery.targets.extend(look.targets);
        discovery.done.extend(look.done);
        discovery.gaps.extend(look.gaps);
    }
    tracing::debug!(
        accounts = discovery.accounts.len(),
        targets = discovery.targets.len(),
        gaps = discovery.gaps.len(),
        "aws looked around"
    );
    discovery.remarks = hub.remarks.lock().map(|remarks| remarks.clone()).unwrap_or_default();
    discovery
}

/// An account before it was entered.
struct Found {
    id: AccountId,
    name: String,
    mail: Option<String>,
    tags: BTreeMap<String, String>,
}

impl Found {
    fn bare(id: AccountId) -> Self {
        Self { id, name: String::new(), mail: None, tags: BTreeMap::new() }
    }
}

/// What one account holds.
struct Look {
    account: Account,
    targets: Vec<Target>,
    done: Vec<(Target, TargetState)>,
    gaps: Vec<Gap>,
}

fn row(account: &AccountId, kind: TargetKind, region: Option<&Region>, name: &str) -> Target {
    Target { provider: ProviderKind::Aws, account: account.clone(), region: region.cloned(), kind, name: name.to_owned() }
}

fn failed(refusal: &Refusal) -> TargetState {
    TargetState::Failed { reason: refusal.reason, why: refusal.detail.clone() }
}

/// Accounts of the organization, with tags. Its own row in the ledger tells whether the list is whole.
async fn organization(hub: &Hub, discovery: &mut Discovery) -> Vec<Found> {
    let own = &hub.ambient.account;
    let listing = row(own, TargetKind::Discovery, None, "organization");
    let client = hub.ambient.organizations();
    let (accounts, refusal) = all_pages("organizations:ListAccounts", |token| {
        let client = &client;
        async move {
            let answer = client
                .call(permissions::LIST_ACCOUNTS, |sdk| sdk.list_accounts().set_next_token(token).send())
                .await
                .map_err(not_an_organization)?;
            Ok((listed(permissions::LIST_ACCOUNTS, answer.accounts)?, Next::by_token(answer.next_token)))
        }
    })
    .await;
    let state = refusal.as_ref().map_or(TargetState::Scanned, failed);
    if let Some(refusal) = refusal {
        discovery.gaps.push(refusal.open_gap(&listing, "accounts of the organization"));
    }
    discovery.done.push((listing.clone(), state));

    let mut found = BTreeMap::new();
    for account in accounts {
        let Some(id) = account.id.filter(|id| !id.is_empty()).map(AccountId::new) else { continue };
        let why_not = why_not_active(account.state.as_ref(), account.status.as_ref());
        if let Some(why) = why_not {
            discovery.done.push((row(&id, TargetKind::Discovery, None, ""), TargetState::Skipped { why }));
            continue;
        }
        let mail = account.email.filter(|mail| !mail.is_empty());
        found.insert(id.clone(), Found { id, name: account.name.unwrap_or_default(), mail, tags: BTreeMap::new() });
    }
    // Whatever the list says: our own account is one we can read.
    found.entry(own.clone()).or_insert_with(|| Found::bare(own.clone()));

    let mut found: Vec<Found> = found.into_values().collect();
    if !matches!(discovery.done.last(), Some((_, TargetState::Failed { .. })) if found.len() == 1) {
        account_tags(hub, &listing, &mut found, &mut discovery.gaps).await;
    }
    found
}

fn not_an_organization(refusal: Refusal) -> Refusal {
    if refusal.is(&["AWSOrganizationsNotInUseException"]) {
        let mend = "Name the accounts in the job, or \"ambient\" for the one these credentials belong to";
        return Refusal::new(GapReason::Missing, "organizations:ListAccounts: this account is in no organization", mend);
    }
    if refusal.reason == GapReason::Denied {
        let mend = "Run from the management account or a delegated administrator, with organizations:ListAccounts allowed".to_owned();
        return Refusal { mend, ..refusal };
    }
    refusal
}

fn why_not_active(state: Option<&AccountState>, status: Option<&AccountStatus>) -> Option<String> {
    let said = match (state, status) {
        (Some(AccountState::Active), _) | (None, Some(AccountStatus::Active)) | (None, None) => return None,
        (Some(state), _) => state.as_str(),
        (None, Some(status)) => status.as_str(),
    };
    Some(format!("the organization says {}", said.to_ascii_lowercase().replace('_', " ")))
}

async fn account_tags(hub: &Hub, listing: &Target, found: &mut [Found], gaps: &mut Vec<Gap>) {
    let client = hub.ambient.organizations();
    let ids: Vec<AccountId> = found.iter().map(|found| found.id.clone()).collect();
    let answers: Vec<_> = stream::iter(ids)
        .map(|id| {
            let client = &client;
            async move {
                let (tags, refusal) = all_pages("organizations:ListTagsForResource", |token| {
                    let id = id.as_str();
                    async move {
                        let ask =
                            |sdk: &aws_sdk_organizations::Client| sdk.list_tags_for_resource().resource_id(id).set_next_token(token).send();
                        let answer = client.call(permissions::LIST_ACCOUNT_TAGS, ask).await?;
                        Ok((listed(permissions::LIST_ACCOUNT_TAGS, answer.tags)?, Next::by_token(answer.next_token)))
                    }
                })
                .await;
                (tags.into_iter().map(|tag| (tag.key, tag.value)).collect::<BTreeMap<_, _>>(), refusal)
            }
        })
        .buffered(TAG_CALLS_AT_ONCE)
        .collect()
        .await;
    let mut refused: BTreeMap<GapReason, (Refusal, Vec<String>)> = BTreeMap::new();
    for (found, (tags, refusal)) in found.iter_mut().zip(answers) {
        found.tags = tags;
        if let Some(refusal) = refusal {
            refused.entry(refusal.reason).or_insert_with(|| (refusal, Vec::new())).1.push(found.id.to_string());
        }
    }
    gaps.extend(refused.into_values().map(|(refusal, ids)| {
        let subject = match ids.as_slice() {
            [one] => format!("tags of account {one}, which may name an owner"),
            several => format!("tags of {} accounts, which may name owners", several.len()),
        };
        refusal.gap(listing, subject)
    }));
}

/// Enters one account and lists what it holds.
async fn look(hub: &Hub, found: Found) -> Look {
    let own = row(&found.id, TargetKind::Discovery, None, "");
    let account = Account { provider: ProviderKind::Aws, id: found.id, name: found.name, tags: found.tags, contacts: Vec::new() };
    let mut look = Look { account, targets: Vec::new(), done: Vec::new(), gaps: Vec::new() };
    let by_mail = found.mail.map(|address| Contact {
        address,
        name: look.account.name.clone(),
        source: "account mail (Organizations)".to_owned(),
        root_only: true,
    });
    let session = match hub.session(&look.account.id).await {
        Ok(session) => session,
        Err(refusal) => {
            look.account.contacts.extend(by_mail);
            look.gaps.push(refusal.open_gap(&own, format!("account {}", look.account.id)));
            look.done.push((own, failed(&refusal)));
            return look;
        }
    };
    let (contact, regions, buckets) = tokio::join!(security_contact(&session, &own), regions(hub, &session), buckets(hub, &session));
    match contact {
        Ok(contact) => look.account.contacts.extend(contact),
        Err(gap) => look.gaps.push(gap),
    }
    look.account.contacts.extend(by_mail);

    let (regions, refusal) = regions;
    let state = refusal.as_ref().map_or(TargetState::Scanned, failed);
    look.gaps.extend(refusal.map(|refusal| refusal.open_gap(&own, "enabled regions; those that are on by default are read")));
    look.done.push((own, state));

    let read = &hub.audit.read;
    if read.contains(&AwsRead::Iam) {
        look.targets.push(row(&look.account.id, TargetKind::Iam, None, ""));
    }
    for region in &regions {
        let kinds = [
            (AwsRead::Functions, TargetKind::Functions),
            (AwsRead::Secrets, TargetKind::Secrets),
            (AwsRead::Secrets, TargetKind::Parameters),
        ];
        let wanted = kinds.iter().filter(|(wanted, _)| read.contains(wanted));
        look.targets.extend(wanted.map(|(_, kind)| row(&look.account.id, *kind, Some(region), "")));
    }
    let (targets, done, gaps) = buckets;
    look.targets.extend(targets);
    look.done.extend(done);
    look.gaps.extend(gaps);
    look
}

/// The account's alternate contact for security. Most accounts have none, which is no gap.
async fn security_contact(session: &Session, own: &Target) -> Result<Option<Contact>, Gap> {
    let service = session.signed(&ACCOUNT, session.partition.home);
    let body = json!({ "AlternateContactType": "SECURITY" });
    let subject = format!("security contact of account {}, who gets what has no owner", session.account);
    match service.json_path(permissions::GET_ALTERNATE_CONTACT, "/getAlternateContact", &body).await {
        Ok(answer) => {
            let text = |name: &str| answer["AlternateContact"][name].as_str().unwrap_or_default().to_owned();
            match text("EmailAddress") {
                address if address.is_empty() => {
                    let detail = "account:GetAlternateContact: an answer without an address";
                    Err(Refusal::new(GapReason::ProviderFault, detail, mend_of(GapReason::ProviderFault)).gap(own, subject))
                }
                address => {
                    let source = "alternate security contact".to_owned();
                    Ok(Some(Contact { address, name: text("Name"), source, root_only: false }))
                }
            }
        }
        Err(refusal) if refusal.reason == GapReason::Vanished => Ok(None),
        Err(refusal) => Err(refusal.gap(own, subject)),
    }
}

/// The regions to read, and why the list may not be whole.
async fn regions(hub: &Hub, session: &Session) -> (Vec<Region>, Option<Refusal>) {
    let regional = [AwsRead::Functions, AwsRead::Secrets];
    if !regional.iter().any(|read| hub.audit.read.contains(read)) {
        return (Vec::new(), None);
    }
    if let Regions::Named(named) = &hub.audit.regions {
        return (named.clone(), None);
    }
    let asked =
        session.signed(&EC2, session.home()).query(permissions::DESCRIBE_REGIONS, "Action=DescribeRegions&Version=2016-11-15").await;
    let refusal = match asked.map(|xml| enabled_regions(&xml)) {
        Ok(regions) if !regions.is_empty() => return (regions, None),
        Ok(_) => {
            Refusal::new(GapReason::ProviderFault, "ec2:DescribeRegions: the answer names no region", mend_of(GapReason::ProviderFault))
        }
        Err(refusal) => refusal,
    };
    let fallback = match session.partition.name {
        "aws" => REGIONS_BY_DEFAULT.map(Region::new).to_vec(),
        _ => vec![Region::new(session.home())],
    };
    (fallback, Some(refusal))
}

/// Region names of a `DescribeRegions` answer, but for those that say they are not opted in.
fn enabled_regions(xml: &str) -> Vec<Region> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let (mut regions, mut element, mut name, mut opted) = (Vec::new(), String::new(), String::new(), String::new());
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => element = String::from_utf8_lossy(start.local_name().as_ref()).into_owned(),
            Ok(Event::Text(text)) => {
                let text = text.decode().map(|text| text.trim().to_owned()).unwrap_or_default();
                match element.as_str() {
                    "regionName" => name.push_str(&text),
                    "optInStatus" => opted.push_str(&text),
                    _ => {}
                }
            }
            Ok(Event::End(end)) => {
                element.clear();
                if end.local_name().as_ref() == b"item" {
                    if !name.is_empty() && opted != "not-opted-in" {
                        regions.push(Region::new(std::mem::take(&mut name)));
                    }
                    name.clear();
                    opted.clear();
                }
            }
            Ok(Event::Eof) => return regions,
            // A broken answer: the caller sees an empty list and says so.
            Err(_) => return Vec::new(),
            Ok(_) => {}
        }
    }
}

type Buckets = (Vec<Target>, Vec<(Target, TargetState)>, Vec<Gap>);

/// The buckets of an account whose objects the globs can reach, each a target, and the row of the listing itself.
async fn buckets(hub: &Hub, session: &Session) -> Buckets {
    let (mut targets, mut done, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    if !hub.audit.read.contains(&AwsRead::Objects) {
        return (targets, done, gaps);
    }
    let listing = row(&session.account, TargetKind::Buckets, None, "");
    if hub.audit.objects.include.is_empty() {
        done.push((listing, TargetState::Skipped { why: "the job includes no objects".to_owned() }));
        return (targets, done, gaps);
    }
    let home = Region::new(session.home());
    let s3 = session.s3(&home);
    let (found, refusal) = all_pages("s3:ListBuckets", |token| {
        let s3 = &s3;
        async move {
            let ask = |sdk: &aws_sdk_s3::Client| sdk.list_buckets().max_buckets(1000).set_continuation_token(token).send();
            let answer = s3.call(permissions::LIST_ALL_MY_BUCKETS, ask).await?;
            Ok((answer.buckets.unwrap_or_default(), Next::by_token(answer.continuation_token)))
        }
    })
    .await;
    let state = refusal.as_ref().map_or(TargetState::Scanned, failed);
    gaps.extend(refusal.map(|refusal| refusal.open_gap(&listing, "buckets of the account")));
    done.push((listing, state));

    let mut chosen = BTreeMap::new();
    for bucket in found {
        let Some(name) = bucket.name else { continue };
        if !objects::prefixes(&hub.audit.objects, &name).is_empty() {
            chosen.insert(name, bucket.bucket_region.filter(|region| !region.is_empty()));
        }
    }
    let located: Vec<_> = stream::iter(chosen)
        .map(|(name, told)| {
            let s3 = &s3;
            async move {
                let region = match told {
                    Some(region) => Ok(Region::new(region)),
                    None => s3
                        .call(permissions::GET_BUCKET_LOCATION, |sdk| sdk.get_bucket_location().bucket(&name).send())
                        .await
                        .map(|answer| region_of_constraint(answer.location_constraint.as_ref().map(|constraint| constraint.as_str()))),
                };
                (name, region)
            }
        })
        .buffered(BUCKETS_AT_ONCE)
        .collect()
        .await;
    for (name, region) in located {
        match region {
            Ok(region) => targets.push(row(&session.account, TargetKind::Objects, Some(&region), &name)),
            Err(refusal) => {
                let target = row(&session.account, TargetKind::Objects, None, &name);
                gaps.push(refusal.open_gap(&target, format!("bucket {name}, whose region is unknown")));
                done.push((target, failed(&refusal)));
            }
        }
    }
    (targets, done, gaps)
}

/// S3 says nothing for its first region, and `EU` for its second.
fn region_of_constraint(constraint: Option<&str>) -> Region {
    Region::new(match constraint {
        None | Some("" | "null") => "us-east-1",
        Some("EU") => "eu-west-1",
        Some(region) => region,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enabled_regions_are_read() {
        let xml = r#"<?xml version="1.0"?><DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><regionInfo>
            <item><regionName>eu-west-1</regionName><regionEndpoint>x</regionEndpoint><optInStatus>opt-in-not-required</optInStatus></item>
            <item><regionName>af-south-1</regionName><optInStatus>not-opted-in</optInStatus></item>
            <item><optInStatus>opted-in</optInStatus><regionName>me-south-1</regionName></item></regionInfo></DescribeRegionsResponse>"#;
        let names: Vec<String> = enabled_regions(xml).iter().map(Region::to_string).collect();
        assert_eq!(names, ["eu-west-1", "me-south-1"]);
        assert!(enabled_regions("<a><item><regionName>eu-west-1</regionName></item></b>").is_empty());
        assert!(enabled_regions("").is_empty());
    }

    #[test]
    fn a_closed_account_is_told_why() {
        assert_eq!(why_not_active(Some(&AccountState::Active), None), None);
        assert_eq!(why_not_active(None, Some(&AccountStatus::Active)), None);
        assert_eq!(why_not_active(None, None), None);
        assert_eq!(why_not_active(None, Some(&AccountStatus::Suspended)).as_deref(), Some("the organization says suspended"));
        assert_eq!(why_not_active(Some(&AccountState::PendingClosure), None).as_deref(), Some("the organization says pending closure"));
    }

    #[test]
    fn old_names_of_regions_are_known() {
        assert_eq!(region_of_constraint(None).as_str(), "us-east-1");
        assert_eq!(region_of_constraint(Some("EU")).as_str(), "eu-west-1");
        assert_eq!(region_of_constraint(Some("eu-north-1")).as_str(), "eu-north-1");
    }
}
