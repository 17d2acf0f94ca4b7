//! Layers: code that functions share, each version once for each region that uses it.

use std::collections::BTreeSet;

use overdue_core::{Artifact, ArtifactId, ArtifactKind, ContentKey, Gap, GapReason, ProviderKind, Region, Target};

use super::download::Link;
use super::errors::{Refusal, mend_of};
use super::permissions;
use super::session::Session;
use crate::{Body, Listed};

/// Functions written out as users of a layer.
const USERS_MAX: usize = 3;

/// One version of a layer, and who uses it.
pub(super) struct Layer {
    pub(super) size_bytes: Option<u64>,
    pub(super) users: BTreeSet<String>,
}

/// A layer as an artifact. A version never changes, so its ARN stands for its bytes.
pub(super) fn listed(session: &Session, region: &Region, arn: &str, layer: &Layer) -> Listed {
    let named = layer.users.iter().take(USERS_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let note = match layer.users.len() {
        count if count > USERS_MAX => format!("used by {count} functions: {named}, …"),
        _ => format!("used by {named}"),
    };
    let id = ArtifactId {
        provider: ProviderKind::Aws,
        account: session.account.clone(),
        region: Some(region.clone()),
        name: format!("layer/{arn}"),
    };
    let artifact = Artifact {
        id,
        kind: ArtifactKind::FunctionLayer,
        content: Some(ContentKey(format!("layer:{arn}"))),
        size_bytes: layer.size_bytes,
        modified_at: None,
        tags: Default::default(),
        notes: vec![note],
        latest: true,
    };
    Listed { artifact, body: None }
}

/// Downloads a layer.
pub(super) async fn fetch(session: &Session, target: &Target, artifact: &Artifact) -> Result<Body, Gap> {
    let subject = artifact.id.name.as_str();
    let link = locate(session, target, artifact).await.map_err(|refusal| refusal.gap(target, subject))?;
    session.wire().http.download(link, &session.wire().calls, target, subject).await
}

async fn locate(session: &Session, target: &Target, artifact: &Artifact) -> Result<Link, Refusal> {
    let arn = artifact.id.name.trim_start_matches("layer/");
    let region = target.region.clone().unwrap_or_else(|| Region::new(session.home()));
    let ask = |sdk: &aws_sdk_lambda::Client| sdk.get_layer_version_by_arn().arn(arn).send();
    let answer =
        session.lambda(&region).call(permissions::GET_LAYER_VERSION, ask).await.map_err(|refusal| explain(refusal, session, arn))?;
    let content = answer.content.and_then(|content| Some((content.location?, content.code_sha256)));
    let Some((url, sha256)) = content else {
        let detail = "lambda:GetLayerVersion names no place to download the layer from";
        return Err(Refusal::new(GapReason::ProviderFault, detail, mend_of(GapReason::ProviderFault)));
    };
    Ok(Link { url, sha256: sha256.filter(|sha256| !sha256.is_empty()), size_bytes: artifact.size_bytes })
}

/// A layer of another account needs that account's leave; one deleted stays in use by functions that have it.
fn explain(refusal: Refusal, session: &Session, arn: &str) -> Refusal {
    let owner = arn.split(':').nth(4).unwrap_or_default();
    match refusal.reason {
        GapReason::Denied if owner != session.account.as_str() => {
            Refusal { mend: format!("Ask account {owner}, whose layer it is, to let this account read it, or accept the gap"), ..refusal }
        }
        GapReason::Vanished => {
            let detail = format!("{}; a deleted version of a layer stays in use, but nobody can read it", refusal.detail);
            Refusal { detail, mend: "Move the functions that use it to a version that is there".to_owned(), ..refusal }
        }
        _ => refusal,
    }
}
