//! Tags of functions and parameters, whose own listings do not bring them: a few calls for a whole region.

use std::collections::BTreeMap;

use overdue_core::{Gap, Target};
use serde_json::{Value, json};

use super::errors::listed;
use super::paging::{Next, all_pages};
use super::permissions;
use super::session::Session;
use super::signed::TAGGING;

/// Tags of one thing.
pub(super) type Tags = BTreeMap<String, String>;

/// Tags by ARN of everything of this type in the region, and the gap if some could not be had.
pub(super) async fn by_arn(session: &Session, region: &str, resource_type: &str, target: &Target) -> (BTreeMap<String, Tags>, Option<Gap>) {
    let service = session.signed(&TAGGING, region);
    let (found, refusal) = all_pages("tag:GetResources", |token| {
        let (service, body) = (
            &service,
            json!({
                "ResourceTypeFilters": [resource_type], "ResourcesPerPage": 100, "PaginationToken": token.unwrap_or_default(),
            }),
        );
        async move {
            let answer = service.json_target(permissions::GET_RESOURCES, "ResourceGroupsTaggingAPI_20170126.GetResources", &body).await?;
            let resources = listed(permissions::GET_RESOURCES, answer["ResourceTagMappingList"].as_array())?;
            let next = answer["PaginationToken"].as_str().map(str::to_owned);
            Ok((resources.iter().filter_map(read).collect(), Next::by_token(next)))
        }
    })
    .await;
    let gap = refusal.map(|refusal| refusal.gap(target, format!("tags of type {resource_type}, which may name owners")));
    (found.into_iter().collect(), gap)
}

fn read(resource: &Value) -> Option<(String, Tags)> {
    let arn = resource["ResourceARN"].as_str()?.to_owned();
    let tags = resource["Tags"].as_array()?.iter().filter_map(pair).collect();
    Some((arn, tags))
}

/// A tag as the JSON services write it.
pub(super) fn pair(tag: &Value) -> Option<(String, String)> {
    Some((tag["Key"].as_str()?.to_owned(), tag["Value"].as_str().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_read() {
        let resource = json!({"ResourceARN": "arn:x", "Tags": [{"Key": "owner", "Value": "a@b"}, {"Key": "bare"}]});
        let (arn, tags) = read(&resource).unwrap();
        assert_eq!(arn, "arn:x");
        assert_eq!(tags, BTreeMap::from([("owner".to_owned(), "a@b".to_owned()), ("bare".to_owned(), String::new())]));
        assert_eq!(read(&json!({"Tags": []})), None);
    }
}
