//! SSM parameters of type SecureString in one region: names and dates. Their values are the room `values`'.

use jiff::{SignedDuration, Timestamp};
use overdue_core::{Credential, CredentialId, CredentialKind, Evidence, IssuedAt, LastUsed, Page, Principal, Region, Status, Target};
use serde_json::{Value, json};

use super::errors::listed;
use super::paging::{Next, all_pages};
use super::permissions;
use super::session::Session;
use super::signed::SSM;
use super::tags;

const SOURCE: &str = "ssm:DescribeParameters";

/// All SecureString parameters of the region.
pub(super) async fn list(session: &Session, target: &Target) -> Page<Credential> {
    let region = target.region.clone().unwrap_or_else(|| Region::new(session.home()));
    let service = session.signed(&SSM, region.as_str());
    let (found, refusal) = all_pages("ssm:DescribeParameters", |token| {
        let mut body = json!({
            "ParameterFilters": [{ "Key": "Type", "Option": "Equals", "Values": ["SecureString"] }], "MaxResults": 50,
        });
        if let Some(token) = token {
            body["NextToken"] = Value::String(token);
        }
        let service = &service;
        async move {
            let mut answer = service.json_target(permissions::DESCRIBE_PARAMETERS, "AmazonSSM.DescribeParameters", &body).await?;
            let next = answer["NextToken"].as_str().map(str::to_owned);
            let parameters = match answer["Parameters"].take() {
                Value::Array(parameters) => Some(parameters),
                _ => None,
            };
            Ok((listed(permissions::DESCRIBE_PARAMETERS, parameters)?, Next::by_token(next)))
        }
    })
    .await;
    let mut page =
        Page { gaps: refusal.map(|refusal| refusal.open_gap(target, "parameters of the region")).into_iter().collect(), ..Page::default() };
    page.items = found.iter().filter_map(|parameter| credential(session, &region, parameter)).collect();
    if !page.items.is_empty() {
        let (by_arn, gap) = tags::by_arn(session, region.as_str(), "ssm:parameter", target).await;
        page.gaps.extend(gap);
        for credential in &mut page.items {
            credential.tags = by_arn.get(&credential.id.public_id).cloned().unwrap_or_default();
        }
    }
    page
}

fn credential(session: &Session, region: &Region, parameter: &Value) -> Option<Credential> {
    let name = parameter["Name"].as_str()?;
    if parameter["Type"].as_str().is_some_and(|kind| kind != "SecureString") {
        return None;
    }
    // One not in a folder has no slash of its own.
    let path = if name.starts_with('/') { name.to_owned() } else { format!("/{name}") };
    let arn = format!("arn:{}:ssm:{region}:{}:parameter{path}", session.partition.name, session.account);
    let issued_at = match epoch(&parameter["LastModifiedDate"]) {
        Some(at) => IssuedAt::At { at, evidence: Evidence { source: SOURCE.to_owned(), lag: SignedDuration::ZERO } },
        None => IssuedAt::Untold,
    };
    let mut notes = Vec::new();
    if let Some(user) = parameter["LastModifiedUser"].as_str().filter(|user| user.starts_with("arn:")) {
        notes.push(format!("last changed by {user}"));
    }
    if let Some(version) = parameter["Version"].as_i64().filter(|version| *version > 1) {
        notes.push(format!("version {version}"));
    }
    Some(Credential {
        id: CredentialId { account: session.account.clone(), kind: CredentialKind::AwsSsmSecureString, public_id: arn.clone() },
        region: Some(region.clone()),
        name: name.to_owned(),
        principal: Principal { arn, name: name.to_owned() },
        status: Status::Active,
        issued_at,
        last_used: LastUsed::Untracked,
        expires_at: expiration(&parameter["Policies"]),
        tags: Default::default(),
        notes,
        value: None,
    })
}

/// Seconds since 1970, with a fraction.
fn epoch(value: &Value) -> Option<Timestamp> {
    let seconds = value.as_f64().filter(|seconds| seconds.abs() < 1e11)?;
    Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()
}

/// The end that an expiration policy sets.
fn expiration(policies: &Value) -> Option<Timestamp> {
    policies.as_array()?.iter().find_map(|policy| {
        let policy: Value = serde_json::from_str(policy["PolicyText"].as_str()?).ok()?;
        let end = policy["Attributes"]["Timestamp"].as_str().filter(|_| policy["Type"] == "Expiration")?;
        end.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_seconds_with_a_fraction() {
        assert_eq!(epoch(&json!(1_700_000_000.123)).unwrap().to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(epoch(&json!(1_700_000_000)).unwrap().to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(epoch(&json!("soon")), None);
        assert_eq!(epoch(&json!(1e300)), None);
    }

    #[test]
    fn an_expiration_policy_sets_the_end() {
        let text = r#"{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2027-01-01T00:00:00.000Z"}}"#;
        let policies = json!([{ "PolicyText": r#"{"Type":"NoChangeNotification"}"# }, { "PolicyText": text }]);
        assert_eq!(expiration(&policies), Some("2027-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(expiration(&Value::Null), None);
    }
}
