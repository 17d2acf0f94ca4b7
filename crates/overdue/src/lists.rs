//! Lists of what is stored: credentials, findings, runs; as a table or as JSON.

use anyhow::Result;
use serde_json::{Value, json};

use crate::cli::{Format, ListArgs, RunsArgs};
use crate::commands::{open_store, stored_report};
use crate::output::{Exit, say};

/// `overdue credentials`.
pub(crate) async fn credentials(args: ListArgs) -> Result<Exit> {
    list(args, "credentials", &["kind", "account", "public_id", "name", "age_days", "staleness", "last_used.at", "owner.address"]).await
}

/// `overdue findings`.
pub(crate) async fn findings(args: ListArgs) -> Result<Exit> {
    list(args, "findings", &["severity", "verdicts.code", "key", "verdicts.text", "owner.address"]).await
}

/// One list of the newest ended run. The exit code is the run's own: a list of a partial run is partial.
async fn list(args: ListArgs, name: &str, columns: &[&str]) -> Result<Exit> {
    let (report, exit) = stored_report(args.job.as_deref(), args.store.store.as_deref()).await?;
    let contains = |value: &Value, wanted: &str| value.to_string().to_lowercase().contains(&wanted.to_lowercase());
    let rows: Vec<Value> = report[name]
        .as_array()
        .cloned()
        .unwrap_or_default()
        .into_iter()
        .filter(|row| args.owner.as_ref().is_none_or(|owner| contains(&row["owner"], owner)))
        .filter(|row| args.grep.as_ref().is_none_or(|text| contains(row, text)))
        .collect();
    let all = rows.len();
    let shown: Vec<Value> = rows.into_iter().take(args.limit).collect();
    match args.format {
        Format::Json => say(&format!("{}\n", json!({"schema": "overdue-list/1", "run": report["run"], "total": all, name: shown})))?,
        Format::Text => {
            let mut text = table(&shown, columns);
            if shown.len() < all {
                text.push_str(&format!("… {} more; --limit shows them\n", all - shown.len()));
            }
            say(&text)?;
        }
    }
    Ok(exit)
}

/// `overdue runs`.
pub(crate) async fn runs(args: RunsArgs) -> Result<Exit> {
    let store = open_store(args.store.store.as_deref()).await?;
    let records = store.runs(args.limit).await?;
    let jobs: std::collections::BTreeSet<String> = records.iter().map(|run| run.job.clone()).collect();
    let mut missed: Vec<Value> = Vec::new();
    for job in &jobs {
        for occurrence in store.missed(job).await? {
            missed.push(json!({"job": job, "due_at": occurrence.due_at.to_string(), "why": occurrence.why}));
        }
    }
    let rows: Vec<Value> = records
        .into_iter()
        .map(|run| {
            json!({
                "run": run.id.to_string(),
                "job": run.job,
                "occurrence": run.occurrence,
                "kind": run.kind.as_str(),
                "due_at": run.due_at.to_string(),
                "started_at": run.started_at.to_string(),
                "ended_at": run.ended_at.map(|at| at.to_string()),
                "status": run.status.map_or("running", |status| status.as_str()),
            })
        })
        .collect();
    match args.format {
        Format::Json => say(&format!("{}\n", json!({"schema": "overdue-list/1", "runs": rows, "missed": missed})))?,
        Format::Text => {
            let mut text = table(&rows, &["run", "job", "kind", "due_at", "started_at", "ended_at", "status"]);
            if !missed.is_empty() {
                text.push_str(&format!("\n{} due and not run:\n{}", missed.len(), table(&missed, &["job", "due_at", "why"])));
            }
            say(&text)?;
        }
    }
    Ok(Exit::Clean)
}

/// Columns wide enough for what is in them; a column is a path into the row, and a list on the way is joined.
fn table(rows: &[Value], columns: &[&str]) -> String {
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(|name| name.replace(['.', '_'], " ")).collect()];
    lines.extend(rows.iter().map(|row| columns.iter().map(|path| cell(row, path)).collect()));
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| lines.iter().map(|line| line.get(column).map_or(0, |cell| cell.chars().count())).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn cell(row: &Value, path: &str) -> String {
    let mut value = row;
    for (at, part) in path.split('.').enumerate() {
        if let Some(items) = value.as_array() {
            let rest: Vec<&str> = path.split('.').skip(at).collect();
            return items.iter().map(|item| cell(item, &rest.join("."))).collect::<Vec<_>>().join("; ");
        }
        value = &value[part];
    }
    match value {
        Value::String(text) => text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_reads_paths_and_joins_lists() {
        let rows = [json!({"a": {"b": 1}, "c": [{"d": "x"}, {"d": "y"}]}), json!({"a": null, "c": [], "e": "\u{1b}[31m"})];
        assert_eq!(table(&rows, &["a.b", "c.d", "e"]), "a b  c d   e\n1    x; y  -\n-          \u{fffd}[31m\n");
    }
}
