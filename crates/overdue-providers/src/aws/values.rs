//! Values of stored secrets, for a job that asks for them: read, handed to the scanner to be fingerprinted, wiped.
//!
//! A provider counts this as a use. Who stores what was learned must know that, see `overdue_core::ValueRead`.

use bytes::Bytes;
use overdue_core::{Credential, CredentialKind, Gap, GapReason, Region, Target};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::errors::{Refusal, mend_of};
use super::session::Session;
use super::signed::SSM;
use super::{Hub, permissions};
use crate::Body;

/// The present value of a secret (its `AWSCURRENT` version) or of a parameter.
pub(super) async fn fetch(hub: &Hub, target: &Target, credential: &Credential) -> Result<Body, Gap> {
    let subject = format!("value of {}", credential.name);
    let read = async {
        let session = hub.session(&target.account).await?;
        let region = target.region.clone().unwrap_or_else(|| Region::new(session.home()));
        match credential.id.kind {
            CredentialKind::AwsSecret => secret(&session, &region, &credential.id.public_id).await,
            CredentialKind::AwsSsmSecureString => parameter(&session, &region, &credential.name).await,
            other => Err(Refusal::new(GapReason::Unsupported, format!("{other} has no value to read"), mend_of(GapReason::Unsupported))),
        }
    };
    match read.await {
        Ok(value) => Ok(Body::Bytes(Bytes::from_owner(value))),
        Err(refusal) => Err(with_key_mend(refusal).gap(target, subject)),
    }
}

async fn secret(session: &Session, region: &Region, arn: &str) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let client = session.secrets(region);
    let answer = client.call(permissions::GET_SECRET_VALUE, |sdk| sdk.get_secret_value().secret_id(arn).send()).await?;
    let value = match (answer.secret_string, answer.secret_binary) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(bytes)) => bytes.into_inner(),
        (None, None) => return Err(missing("secretsmanager:GetSecretValue")),
    };
    Ok(Zeroizing::new(value))
}

async fn parameter(session: &Session, region: &Region, name: &str) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let service = session.signed(&SSM, region.as_str());
    let body = json!({ "Name": name, "WithDecryption": true });
    let mut answer = service.json_target(permissions::GET_PARAMETER, "AmazonSSM.GetParameter", &body).await?;
    match answer["Parameter"]["Value"].take() {
        Value::String(text) => Ok(Zeroizing::new(text.into_bytes())),
        _ => Err(missing("ssm:GetParameter")),
    }
}

fn missing(call: &str) -> Refusal {
    Refusal::new(GapReason::ProviderFault, format!("{call}: an answer without a value"), mend_of(GapReason::ProviderFault))
}

/// A value under a customer's own key needs leave to use that key too, which the service's message does not always say.
fn with_key_mend(mut refusal: Refusal) -> Refusal {
    if refusal.reason == GapReason::Denied {
        refusal.mend = format!(
            "{}; a value under a key of your own also needs kms:Decrypt on it (`overdue permissions aws --secret-values` prints both)",
            refusal.mend
        );
    }
    refusal
}
