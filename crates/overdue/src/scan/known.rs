//! What a store knows of a found key: whether it is live, and whose it is. Offline, by its public id.

use anyhow::{Result, bail};
use jiff::Timestamp;
use overdue_core::{LastUsed, Severity, Status};
use overdue_report::gate::GateFinding;
use overdue_store::Store;

use crate::places::Places;

/// Marks findings whose key the store knows as live: they are critical, and no baseline can accept them.
pub(super) async fn look_up(store: &str, findings: &mut [GateFinding], now: Timestamp) -> Result<()> {
    // Opening would make an empty one, in which no key is live.
    if let Some(path) = store.strip_prefix("sqlite://").filter(|path| !std::path::Path::new(path).exists()) {
        bail!("--store: there is no store at {path}; an audit makes one");
    }
    let store = Store::open(&Places::find()?.store_url(Some(store)), now).await?;
    let ids: Vec<String> = findings.iter().filter_map(|finding| finding.detection.public_id.clone()).collect();
    let known = store.credentials_by_public_id(&ids).await?;
    for finding in findings {
        let Some(credential) = finding.detection.public_id.as_deref().and_then(|id| known.get(id)) else { continue };
        let ended = credential.status == Status::Inactive || credential.expires_at.is_some_and(|at| at <= now);
        if ended {
            finding.note = Some(format!("The inventory knows it as switched off or ended ({})", credential.id));
            continue;
        }
        let used = match &credential.last_used {
            LastUsed::At { at, .. } => format!("last used {}", at.strftime("%Y-%m-%d")),
            LastUsed::NeverSince { .. } => "never used".to_owned(),
            LastUsed::Untracked | LastUsed::Unreadable { .. } => "last use unknown".to_owned(),
        };
        finding.note = Some(format!("It speaks as {}, {used}", credential.principal.name));
        finding.severity = Severity::Critical;
        finding.known = Some(Box::new(credential.clone()));
    }
    Ok(())
}
