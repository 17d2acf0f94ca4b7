//! Who we are on AWS: the ambient credentials, found without asking anybody the configuration does not name.
//!
//! The order is the SDK's own: environment, profile (static keys, roles, SSO, `credential_process`), web identity, container
//! endpoint, and on an EC2 instance its metadata service. The metadata service is asked only on a machine that looks like an
//! EC2 instance, so a laptop without credentials learns so at once.

use std::sync::Arc;
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::identity::IdentityCache;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{ConnectorBuilder, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_types::region::Region as SdkRegion;
use overdue_core::{AccountId, Gap, GapReason, ProviderKind, Target, TargetKind};

use super::calls::Calls;
use super::download::Http;
use super::errors::Refusal;
use super::session::{Held, Partition, Session, Wire, endpoint_override};

/// Tries of one call, the first one too. Pauses double from a fifth of a second to twenty.
const ATTEMPTS_MAX: u32 = 7;
const CONNECT_TIME_MAX: Duration = Duration::from_millis(3100);
const READ_TIME_MAX: Duration = Duration::from_secs(30);
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(60);
const CALL_TIME_MAX: Duration = Duration::from_secs(300);
/// The first question, whose credentials these are.
const FIRST_ATTEMPTS_MAX: u32 = 5;
const FIRST_TIME_MAX: Duration = Duration::from_secs(10);
/// Loading credentials may run a program of the user's or ask a sign-in service.
const LOAD_TIME_MAX: Duration = Duration::from_secs(60);
/// The metadata service answers within milliseconds or is not there.
const METADATA_TIME_MAX: Duration = Duration::from_millis(500);
/// Where Linux says what machine this is; EC2 instances say so here without any call.
const MACHINE_FILES: [&str; 4] = [
    "/sys/devices/virtual/dmi/id/sys_vendor",
    "/sys/devices/virtual/dmi/id/bios_vendor",
    "/sys/devices/virtual/dmi/id/bios_version",
    "/sys/hypervisor/uuid",
];

/// Variables of the environment by which somebody gives AWS credentials, or means to.
pub const CREDENTIAL_VARIABLES: [&str; 8] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// How to connect, besides what the environment and the profiles say.
#[derive(Clone, Debug, Default)]
pub struct AwsOptions {
    /// One of [`CREDENTIAL_VARIABLES`] that is set. With it "no credentials" is a mistake to be named, not a fact about the
    /// machine.
    pub meant_by: Option<String>,
    /// Asks the instance metadata service even where the machine does not look like an EC2 instance.
    pub instance_metadata: bool,
    /// Lets AWS's hosts stand at private addresses, as behind an interface endpoint of a VPC.
    pub private_addresses: bool,
}

/// Why AWS cannot be read at all.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AwsConnectError {
    /// There are no credentials here, and none are configured. For an audit of this machine that is a remark; for a job
    /// that names AWS it is a gap.
    #[error("no AWS credentials here")]
    NoCredentials,
    /// There are credentials, but they do not work.
    #[error("{detail}")]
    Unusable {
        /// Why, in short.
        reason: GapReason,
        /// Why, in words.
        detail: String,
        /// What a person can do about it.
        mend: String,
    },
}

impl AwsConnectError {
    /// The unit of the ledger it belongs to: nobody knows which account.
    pub fn target(&self) -> Target {
        Target {
            provider: ProviderKind::Aws,
            account: AccountId::new("ambient"),
            region: None,
            kind: TargetKind::Discovery,
            name: String::new(),
        }
    }
    /// The gap it leaves in a run that was to read AWS.
    pub fn gap(&self) -> Gap {
        let (reason, detail, mend) = match self {
            Self::NoCredentials => (
                GapReason::Unauthenticated,
                self.to_string(),
                "Name a profile (AWS_PROFILE), sign in (`aws sso login`), or give the machine a role".to_owned(),
            ),
            Self::Unusable { reason, detail, mend } => (*reason, detail.clone(), mend.clone()),
        };
        Refusal::new(reason, detail, mend).open_gap(&self.target(), "all of AWS")
    }
}

/// The ambient session: our own credentials, and the account they belong to.
pub(super) async fn ambient(options: &AwsOptions, calls: &Calls) -> Result<Session, AwsConnectError> {
    let metadata = options.instance_metadata || looks_like_ec2().await;
    let config = configuration(metadata).await;
    let endpoints = ["Lambda", "S3"].iter().filter_map(|service| endpoint_override(&config, service)).collect::<Vec<_>>();
    let wire = Wire { config, calls: calls.clone(), http: Arc::new(Http::new(endpoints, options.private_addresses)) };

    load(&wire.config, options).await?;
    // A first look in little time: a machine that is offline should learn it in seconds, not minutes.
    let retries = RetryConfig::standard().with_max_attempts(FIRST_ATTEMPTS_MAX).with_initial_backoff(Duration::from_millis(200));
    let quick = wire.config.to_builder().retry_config(retries);
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIME_MAX).read_timeout(FIRST_TIME_MAX).operation_timeout(FIRST_TIME_MAX);
    let quick = quick.timeout_config(timeouts.build()).build();
    let partition = Partition::of_region(quick.region().map_or("", SdkRegion::as_ref));
    let session = Session::new(AccountId::new("ambient"), partition, Wire { config: quick, ..wire.clone() });
    match session.identity().await {
        Ok((account, arn)) => Ok(Session::new(account, Partition::of_arn(&arn), wire)),
        Err(Refusal { reason, detail, mend, .. }) => {
            let stranger = matches!(reason, GapReason::Vanished | GapReason::ProviderFault);
            let mend =
                if stranger { "Check the endpoint settings (AWS_ENDPOINT_URL…): is it AWS that answers?".to_owned() } else { mend };
            Err(AwsConnectError::Unusable { reason, detail, mend })
        }
    }
}

/// Loads the credentials once; they are kept for all that follows.
async fn load(config: &SdkConfig, options: &AwsOptions) -> Result<(), AwsConnectError> {
    let Some(provider) = config.credentials_provider() else { return Err(AwsConnectError::NoCredentials) };
    let unusable =
        |detail: String, mend: &str| Err(AwsConnectError::Unusable { reason: GapReason::Unauthenticated, detail, mend: mend.to_owned() });
    match tokio::time::timeout(LOAD_TIME_MAX, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(CredentialsError::CredentialsNotLoaded(_))) => match &options.meant_by {
            None => Err(AwsConnectError::NoCredentials),
            Some(name) => unusable(
                format!("{name} is set, but gives no AWS credentials"),
                "Correct it (a profile that is not there? half a pair?) or unset it",
            ),
        },
        Ok(Err(error)) => {
            let Refusal { detail, mend, .. } = Refusal::from_credentials(&error);
            unusable(detail, &mend)
        }
        Err(_) => {
            let detail = format!("the AWS credentials were not loaded in {} seconds", LOAD_TIME_MAX.as_secs());
            unusable(detail, "Try `aws sts get-caller-identity` in this shell; what it waits for keeps us waiting too")
        }
    }
}

async fn configuration(metadata: bool) -> SdkConfig {
    let http = http_client();
    let base = ProviderConfig::default().with_http_client(http.clone()).with_behavior_version(Some(BehaviorVersion::latest()));
    let imds = aws_config::imds::Client::builder()
        .configure(&base)
        .max_attempts(2)
        .connect_timeout(METADATA_TIME_MAX)
        .read_timeout(METADATA_TIME_MAX * 2)
        .operation_timeout(METADATA_TIME_MAX * 4)
        .build();

    let regions = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::builder().configure(&base).build());
    let regions = match metadata {
        true => regions.or_else(ImdsRegionProvider::builder().configure(&base).imds_client(imds.clone()).build()),
        false => regions,
    };
    // Signing needs some region; which one does not matter for the first question, whose credentials these are.
    let region = regions.region().await.unwrap_or_else(|| SdkRegion::from_static("us-east-1"));
    let base = base.with_region(Some(region.clone()));

    let chain = CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
        .or_else("Profile", ProfileFileCredentialsProvider::builder().configure(&base).build())
        .or_else("WebIdentityToken", WebIdentityTokenCredentialsProvider::builder().configure(&base).build())
        .or_else("EcsContainer", EcsCredentialsProvider::builder().configure(&base).connect_timeout(METADATA_TIME_MAX).build());
    let chain = match metadata {
        true => chain.or_else("Ec2InstanceMetadata", ImdsCredentialsProvider::builder().configure(&base).imds_client(imds).build()),
        false => chain,
    };
    let credentials = SharedCredentialsProvider::new(Held::new(chain, Default::default(), None));

    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIME_MAX)
        .read_timeout(READ_TIME_MAX)
        .operation_attempt_timeout(ATTEMPT_TIME_MAX)
        .operation_timeout(CALL_TIME_MAX)
        .build();
    // Not the SDK's adaptive mode: its limiter never lets a retry (five tokens) through while the rate is below five a second,
    // since the rate caps the tokens too; one throttled call then hangs until its time is over (aws-smithy-runtime 1.16.2).
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS_MAX)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(20));
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(region)
        .credentials_provider(credentials)
        .identity_cache(IdentityCache::lazy().load_timeout(LOAD_TIME_MAX).build())
        .timeout_config(timeouts)
        .retry_config(retries)
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().build())
        .load()
        .await
}

/// One HTTP client for all SDK clients: connections and trusted certificates are shared.
fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = ConnectorBuilder::default().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    })
}

async fn looks_like_ec2() -> bool {
    for file in MACHINE_FILES {
        if tokio::fs::read_to_string(file).await.is_ok_and(|text| names_ec2(&text)) {
            return true;
        }
    }
    false
}

fn names_ec2(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    text.contains("amazon") || text.starts_with("ec2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_told_by_its_vendor() {
        assert!(names_ec2("Amazon EC2\n") && names_ec2("4.11.amazon") && names_ec2("ec2e1916-9099-7caf"));
        assert!(!names_ec2("LENOVO") && !names_ec2("QEMU") && !names_ec2(""));
    }

    #[test]
    fn without_credentials_a_job_has_a_gap() {
        let gap = AwsConnectError::NoCredentials.gap();
        assert_eq!((gap.reason, gap.target.as_str(), gap.open_ended), (GapReason::Unauthenticated, "aws/ambient/-/discovery", true));
        assert!(gap.mend.contains("AWS_PROFILE"));
    }
}
