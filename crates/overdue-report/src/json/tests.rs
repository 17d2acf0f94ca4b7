//! The report for programs, held to its schema and to the names of the core.

use overdue_core::{ArtifactKind, CredentialKind, GapReason, OwnerSource, ProviderKind, TargetKind};
use serde_json::json;

use super::*;
use crate::templates::sample;

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema/report-v1.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the schema")).expect("JSON")
}

/// As much of JSON Schema as ours uses. What it does not know it refuses, so nothing passes unchecked.
fn validate(value: &Value, schema: &Value, root: &Value, at: &str, problems: &mut Vec<String>) {
    let mut fail = |what: String| problems.push(format!("{at}: {what}"));
    let mut properties = None;
    for (keyword, rule) in schema.as_object().expect("an object") {
        match keyword.as_str() {
            "description" | "title" | "$schema" | "$id" | "$defs" => {}
            "type" => {
                let types: Vec<&str> = rule
                    .as_array()
                    .map_or_else(|| rule.as_str().into_iter().collect(), |all| all.iter().filter_map(Value::as_str).collect());
                let is = match value {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
                    Value::Number(_) => "number",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                };
                if !types.contains(&is) {
                    fail(format!("{is}, not {types:?}"));
                }
            }
            "const" if value != rule => fail(format!("{value}, not {rule}")),
            "enum" if !rule.as_array().expect("a list").contains(value) => fail(format!("{value} is not in the list")),
            "minimum" if value.as_i64().is_some_and(|value| value < rule.as_i64().unwrap_or(0)) => fail(format!("{value} is too small")),
            "minItems" if value.as_array().is_some_and(|items| (items.len() as u64) < rule.as_u64().unwrap_or(0)) => fail("too few".into()),
            "format" => {
                assert_eq!(rule, "date-time");
                if value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_err()) {
                    fail(format!("{value} is no time"));
                }
            }
            "required" => {
                for name in rule.as_array().expect("a list").iter().filter_map(Value::as_str) {
                    if value.get(name).is_none() {
                        fail(format!("no `{name}`"));
                    }
                }
            }
            "const" | "enum" | "minimum" | "minItems" | "additionalProperties" => {}
            "properties" => properties = rule.as_object(),
            "items" | "$ref" | "oneOf" => {}
            other => fail(format!("the schema says `{other}`, which this test does not know")),
        }
    }
    if let (Some(properties), Some(object)) = (properties, value.as_object()) {
        assert_eq!(schema["additionalProperties"], json!(false), "{at}");
        assert_eq!(properties.len(), schema["required"].as_array().map_or(0, Vec::len), "{at}: every field is always there");
        for (name, inner) in object {
            match properties.get(name) {
                Some(rule) => {
                    assert!(
                        rule.get("description").is_some() || rule.get("$ref").is_some() || rule.get("const").is_some(),
                        "{at}/{name} is not described"
                    );
                    validate(inner, rule, root, &format!("{at}/{name}"), problems);
                }
                None => problems.push(format!("{at}: `{name}` is not in the schema")),
            }
        }
    }
    if let (Some(rule), Some(items)) = (schema.get("items"), value.as_array()) {
        for (n, item) in items.iter().enumerate() {
            validate(item, rule, root, &format!("{at}/{n}"), problems);
        }
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let rule = &root["$defs"][name.trim_start_matches("#/$defs/")];
        validate(value, rule, root, at, problems);
    }
    if let Some(rules) = schema.get("oneOf").and_then(Value::as_array) {
        let told: Vec<Vec<String>> = rules
            .iter()
            .map(|rule| {
                let mut told = Vec::new();
                validate(value, rule, root, at, &mut told);
                told
            })
            .collect();
        if told.iter().filter(|told| told.is_empty()).count() != 1 {
            problems.push(format!("{at}: fits not one of several: {told:?}"));
        }
    }
}

#[test]
fn every_sample_fits_the_schema() {
    let schema = schema();
    for sample in sample::standard() {
        let value = report_json(&sample.report_input()).expect("a value");
        let mut problems = Vec::new();
        validate(&value, &schema, &schema, "", &mut problems);
        assert_eq!(problems, Vec::<String>::new(), "{}", sample.name);
    }
}

#[test]
fn the_schema_knows_every_name() {
    let schema = schema();
    let list = |path: &str| -> Vec<String> {
        let mut names: Vec<String> =
            schema.pointer(path).and_then(Value::as_array).expect(path).iter().filter_map(Value::as_str).map(str::to_owned).collect();
        names.sort();
        names
    };
    let check = |path: &str, names: &[&str]| {
        let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        assert_eq!(list(path), names, "{path}");
    };
    check("/$defs/code/enum", &Code::ALL.map(Code::as_str));
    check("/$defs/provider/enum", &ProviderKind::ALL.map(ProviderKind::as_str));
    check("/$defs/credential_kind/enum", &CredentialKind::ALL.map(CredentialKind::as_str));
    check("/$defs/gap/properties/reason/enum", &GapReason::ALL.map(GapReason::as_str));
    check("/$defs/target/properties/reason/enum", &GapReason::ALL.map(GapReason::as_str));
    check("/$defs/target/properties/kind/enum", &TargetKind::ALL.map(TargetKind::as_str));
    check("/$defs/detection/properties/artifact_kind/enum", &ArtifactKind::ALL.map(ArtifactKind::as_str));
    check("/$defs/owner/properties/source/enum", &OwnerSource::ALL.map(OwnerSource::as_str));
    check("/properties/run/properties/status/enum", &crate::RunStatus::ALL.map(crate::RunStatus::as_str));
    assert_eq!(schema.pointer("/properties/schema/const"), Some(&json!(REPORT_SCHEMA)));
}

#[test]
fn a_detection_names_its_place_and_its_credential() {
    let sample = sample::sample("one", sample::one());
    let value = report_json(&sample.report_input()).expect("a value");
    let key = "111111111111/aws.iam-access-key/AKIAQUB2J3L400000001";
    assert_eq!(value["detections"].as_array().map(Vec::len), Some(3));
    assert_eq!(value["detections"][0]["artifact"], "function/pay-api/$LATEST/code");
    assert_eq!(value["detections"][0]["path"], "lib/app.py");
    assert_eq!(value["detections"][0]["credential"], key);
    assert_eq!(value["detections"][0]["finding"], key);
    let git = &value["detections"][2];
    assert_eq!(
        (&git["artifact"], &git["path"], &git["inner"]),
        (&json!("git:/srv/git/shop.git"), &json!("deploy/settings.py"), &json!(""))
    );
    assert_eq!(git["blob"], "0".repeat(40));
    assert_eq!(
        value["credentials"][0]["last_used"],
        json!({
            "state": "at", "at": "2026-11-23T06:12:00Z", "service": "s3", "region": "eu-west-1", "source": "iam:GetAccessKeyLastUsed",
            "lag_seconds": 14_400, "why": null
        })
    );
}

/// A live key in its tool's own file is no finding, and yet it was seen.
#[test]
fn a_place_without_a_finding_is_told_too() {
    let mut inventory = sample::one();
    inventory.credentials[0] = sample::key(1, "ci-deploy", 5, sample::used(1), "payments@example.com");
    inventory.exposures.truncate(1);
    inventory.exposures[0].artifact_kind = ArtifactKind::CredentialFile;
    let sample = sample::sample("usual", inventory);
    let value = report_json(&sample.report_input()).expect("a value");
    assert_eq!(value["detections"][0]["finding"], Value::Null);
    assert_eq!(value["detections"][0]["credential"], "111111111111/aws.iam-access-key/AKIAQUB2J3L400000001");
}
