//! One account, seen with credentials that belong to it, and the clients to ask it with.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::region::Region as SdkRegion;
use aws_types::service_config::ServiceConfigKey;
use overdue_core::{AccountId, GapReason, Region, RoleSpec};

use super::calls::Calls;
use super::errors::{Refusal, mend_of};
use super::permissions::{self, Permission};
use super::signed::{Service, Signed};

/// Calls of one operation in one account and region that may fail in a row before we stop asking.
///
/// Each of them was repeated several times with growing pauses; without a budget a service that throttles or fails for good
/// would hold a run for hours.
const FAILED_MAX: u32 = 5;
/// Retries a client may owe at once, at five to ten each; a success pays them back.
const RETRY_TOKENS: usize = 2000;
/// Credentials this close to their end are fetched anew.
const EXPIRY_MARGIN: Duration = Duration::from_secs(300);

/// The part of AWS an account lives in: accounts, regions and host names of one never meet another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    /// As ARNs spell it.
    pub(super) name: &'static str,
    /// The end of its host names.
    pub(super) suffix: &'static str,
    /// Where services without regions live.
    pub(super) home: &'static str,
}

impl Partition {
    const ALL: [Self; 3] = [
        Self { name: "aws", suffix: "amazonaws.com", home: "us-east-1" },
        Self { name: "aws-cn", suffix: "amazonaws.com.cn", home: "cn-northwest-1" },
        Self { name: "aws-us-gov", suffix: "amazonaws.com", home: "us-gov-west-1" },
    ];
    /// The partition an ARN names; the public one for ARNs that are none.
    pub(super) fn of_arn(arn: &str) -> Self {
        let name = arn.split(':').nth(1).unwrap_or_default();
        Self::ALL.into_iter().find(|partition| partition.name == name).unwrap_or(Self::ALL[0])
    }
    /// The partition a region belongs to.
    pub(super) fn of_region(region: &str) -> Self {
        match region {
            region if region.starts_with("cn-") => Self::ALL[1],
            region if region.starts_with("us-gov-") => Self::ALL[2],
            _ => Self::ALL[0],
        }
    }
}

/// How many calls failed in a row though they were repeated, by operation: AWS's limits are an operation's own.
#[derive(Clone, Default)]
pub(super) struct Budget(Arc<Mutex<BTreeMap<&'static str, (u32, GapReason)>>>);

impl Budget {
    /// Refuses at once when the budget is spent.
    pub(super) fn check(&self, permission: Permission) -> Result<(), Refusal> {
        let spent = self.0.lock().ok().and_then(|spent| spent.get(permission.action).copied());
        match spent {
            Some((count, reason)) if count >= FAILED_MAX => {
                let detail = format!("{}: not asked, since {FAILED_MAX} calls before it failed in a row ({reason})", permission.action);
                Err(Refusal::new(reason, detail, mend_of(reason)))
            }
            _ => Ok(()),
        }
    }
    pub(super) fn failed(&self, permission: Permission, refusal: &Refusal) {
        let repeated =
            matches!(refusal.reason, GapReason::Throttled | GapReason::ProviderFault | GapReason::Unreachable | GapReason::Truncated);
        if repeated && let Ok(mut spent) = self.0.lock() {
            let (count, reason) = spent.entry(permission.action).or_insert((0, refusal.reason));
            *count += 1;
            *reason = refusal.reason;
        }
    }
    pub(super) fn passed(&self, permission: Permission) {
        if let Ok(mut spent) = self.0.lock()
            && !spent.is_empty()
        {
            spent.remove(permission.action);
        }
    }
}

/// A client, with the budget of its service in its account and region.
#[derive(Clone)]
pub(super) struct Api<C> {
    client: C,
    budget: Budget,
}

impl<C> Api<C> {
    pub(super) fn new(client: C, budget: Budget) -> Self {
        Self { client, budget }
    }

    /// Makes one call. Its permission is named here, and goes into the refusal.
    pub(super) async fn call<T, E, Ask, Answer>(&self, permission: Permission, ask: Ask) -> Result<T, Refusal>
    where
        Ask: FnOnce(&C) -> Answer,
        Answer: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.budget.check(permission)?;
        match ask(&self.client).await {
            Ok(answer) => {
                self.budget.passed(permission);
                Ok(answer)
            }
            Err(error) => {
                let refusal = Refusal::from_sdk(permission, &error);
                self.budget.failed(permission, &refusal);
                Err(refusal)
            }
        }
    }
}

/// Everything needed to talk to AWS that does not belong to one account.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) config: SdkConfig,
    pub(super) calls: Calls,
    pub(super) http: Arc<super::download::Http>,
}

/// Makes a client of one SDK crate. Each has its own builder type, so a function cannot.
macro_rules! client {
    ($sdk:ident, $session:expr, $region:expr) => {
        client!($sdk, $session, $region, |builder| builder)
    };
    ($sdk:ident, $session:expr, $region:expr, $tune:expr) => {{
        let region: &str = $region;
        // Throttling is per account: without a partition of its own one account would slow down all.
        let partition = format!("{}/{}/{}", stringify!($sdk), $session.account, region);
        let builder = $sdk::config::Builder::from(&$session.wire.config)
            .region(SdkRegion::new(region.to_owned()))
            .retry_partition(
                $sdk::config::retry::RetryPartition::custom(partition)
                    .token_bucket($sdk::config::retry::TokenBucket::builder().capacity(RETRY_TOKENS).build())
                    .build(),
            )
            .retry_classifier(super::busy::Busy)
            .interceptor($session.wire.calls.clone());
        let tune: fn($sdk::config::Builder) -> $sdk::config::Builder = $tune;
        Api::new($sdk::Client::from_conf(tune(builder).build()), $session.budget(stringify!($sdk), region))
    }};
}

/// One account, and whose credentials it is seen with.
pub(super) struct Session {
    pub(super) account: AccountId,
    pub(super) partition: Partition,
    wire: Wire,
    budgets: Mutex<BTreeMap<String, Budget>>,
    iam: OnceLock<Api<aws_sdk_iam::Client>>,
    lambda: Mutex<BTreeMap<String, Api<aws_sdk_lambda::Client>>>,
    s3: Mutex<BTreeMap<String, Api<aws_sdk_s3::Client>>>,
    secrets: Mutex<BTreeMap<String, Api<aws_sdk_secretsmanager::Client>>>,
}

impl Session {
    pub(super) fn new(account: AccountId, partition: Partition, wire: Wire) -> Self {
        Self {
            account,
            partition,
            wire,
            budgets: Mutex::default(),
            iam: OnceLock::new(),
            lambda: Mutex::default(),
            s3: Mutex::default(),
            secrets: Mutex::default(),
        }
    }

    /// The region for services that have none, and for questions about regions.
    pub(super) fn home(&self) -> &str {
        match self.wire.config.region().map(SdkRegion::as_ref) {
            Some(region) if Partition::of_region(region) == self.partition => region,
            _ => self.partition.home,
        }
    }
    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(super) fn iam(&self) -> Api<aws_sdk_iam::Client> {
        self.iam.get_or_init(|| client!(aws_sdk_iam, self, self.home())).clone()
    }
    pub(super) fn sts(&self) -> Api<aws_sdk_sts::Client> {
        client!(aws_sdk_sts, self, self.home())
    }
    pub(super) fn organizations(&self) -> Api<aws_sdk_organizations::Client> {
        client!(aws_sdk_organizations, self, self.home())
    }
    pub(super) fn lambda(&self, region: &Region) -> Api<aws_sdk_lambda::Client> {
        kept(&self.lambda, region, |region| client!(aws_sdk_lambda, self, region))
    }
    pub(super) fn secrets(&self, region: &Region) -> Api<aws_sdk_secretsmanager::Client> {
        kept(&self.secrets, region, |region| client!(aws_sdk_secretsmanager, self, region))
    }
    pub(super) fn s3(&self, region: &Region) -> Api<aws_sdk_s3::Client> {
        // Another endpoint than AWS's own cannot answer for bucket.host names.
        let elsewhere = endpoint_override(&self.wire.config, "S3").is_some();
        kept(&self.s3, region, |region| match elsewhere {
            true => client!(aws_sdk_s3, self, region, |builder| builder.force_path_style(true)),
            false => client!(aws_sdk_s3, self, region),
        })
    }
    /// A service of which one call is needed: no SDK crate, one signed request.
    pub(super) fn signed(&self, service: &'static Service, region: &str) -> Signed {
        Signed::new(service, region, self.partition, self.wire.clone(), self.budget(service.host, region))
    }

    fn budget(&self, service: &str, region: &str) -> Budget {
        match self.budgets.lock() {
            Ok(mut budgets) => budgets.entry(format!("{service}/{region}")).or_default().clone(),
            Err(_) => Budget::default(),
        }
    }

    /// Asks AWS whose credentials these are: account id and ARN.
    pub(super) async fn identity(&self) -> Result<(AccountId, String), Refusal> {
        let answer = self.sts().call(permissions::GET_CALLER_IDENTITY, |sts| sts.get_caller_identity().send()).await?;
        identity_of(answer.account, answer.arn)
    }

    /// The same wire with the credentials of `role` in `account`. The role is assumed at once, so a refusal shows here.
    pub(super) async fn become_role(&self, account: &AccountId, role: &RoleSpec) -> Result<Wire, Refusal> {
        let role = Role {
            sts: self.sts(),
            arn: format!("arn:{}:iam::{account}:role/{}", self.partition.name, role.name.trim_start_matches('/')),
            external_id: role.external_id.clone(),
            session_name: role.session_name.clone(),
        };
        let first = role.assume().await?;
        let time = self.wire.config.time_source().unwrap_or_default();
        let provider = SharedCredentialsProvider::new(Held::new(role, time, Some(first)));
        let config = self.wire.config.to_builder().credentials_provider(provider).build();
        Ok(Wire { config, ..self.wire.clone() })
    }
}

/// Both halves of an identity, or a refusal: an endpoint that does not tell the account is not to be trusted with one.
fn identity_of(account: Option<String>, arn: Option<String>) -> Result<(AccountId, String), Refusal> {
    match account {
        Some(account) if !account.is_empty() => Ok((AccountId::new(account), arn.unwrap_or_default())),
        _ => {
            let detail = "sts:GetCallerIdentity: the answer names no account";
            Err(Refusal::new(GapReason::ProviderFault, detail, "Check the endpoint settings (AWS_ENDPOINT_URL…) of this machine"))
        }
    }
}

fn kept<C: Clone>(clients: &Mutex<BTreeMap<String, C>>, region: &Region, make: impl FnOnce(&str) -> C) -> C {
    match clients.lock() {
        Ok(mut clients) => clients.entry(region.as_str().to_owned()).or_insert_with(|| make(region.as_str())).clone(),
        Err(_) => make(region.as_str()),
    }
}

/// Another endpoint than AWS's own, where the configuration names one for this service or for all.
pub(super) fn endpoint_override(config: &SdkConfig, service_id: &str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id(service_id).env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
    config.service_config().and_then(|settings| settings.load_config(key)).or_else(|| config.endpoint_url().map(str::to_owned))
}

/// Credentials fetched once and kept until shortly before they end, for SDK clients and for our own signing alike.
pub(super) struct Held<P> {
    source: P,
    time: SharedTimeSource,
    held: tokio::sync::Mutex<Option<Credentials>>,
}

impl<P> Held<P> {
    pub(super) fn new(source: P, time: SharedTimeSource, first: Option<Credentials>) -> Self {
        Self { source, time, held: tokio::sync::Mutex::new(first) }
    }
}

impl<P> fmt::Debug for Held<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl<P: ProvideCredentials> ProvideCredentials for Held<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let mut held = self.held.lock().await;
            if let Some(credentials) = held.as_ref().filter(|credentials| lasts(credentials, self.time.now())) {
                return Ok(credentials.clone());
            }
            let credentials = self.source.provide_credentials().await?;
            *held = Some(credentials.clone());
            Ok(credentials)
        })
    }
}

fn lasts(credentials: &Credentials, now: SystemTime) -> bool {
    credentials.expiry().is_none_or(|expiry| now + EXPIRY_MARGIN < expiry)
}

/// The audit role of one account.
struct Role {
    sts: Api<aws_sdk_sts::Client>,
    arn: String,
    external_id: Option<String>,
    session_name: String,
}

impl Role {
    async fn assume(&self) -> Result<Credentials, Refusal> {
        let ask = |sts: &aws_sdk_sts::Client| {
            let request = sts.assume_role().role_arn(&self.arn).role_session_name(&self.session_name);
            request.set_external_id(self.external_id.clone()).send()
        };
        let answer = self.sts.call(permissions::ASSUME_ROLE, ask).await.map_err(|refusal| self.explain(refusal))?;
        let Some(credentials) = answer.credentials else {
            let detail = format!("sts:AssumeRole: the answer for {} holds no credentials", self.arn);
            return Err(Refusal::new(GapReason::ProviderFault, detail, mend_of(GapReason::ProviderFault)));
        };
        let expiry = SystemTime::try_from(credentials.expiration).ok();
        Ok(Credentials::new(
            credentials.access_key_id,
            credentials.secret_access_key,
            Some(credentials.session_token),
            expiry,
            "OverdueAuditRole",
        ))
    }

    /// AWS answers the same for a role that is not there, one that does not trust us, and a wrong external id.
    fn explain(&self, refusal: Refusal) -> Refusal {
        if refusal.reason != GapReason::Denied {
            return refusal;
        }
        let mend = format!(
            "Make the role {} there, let its trust policy name our identity and the job's external id, and allow us sts:AssumeRole on it",
            self.arn
        );
        Refusal { detail: format!("cannot become {}: {}", self.arn, refusal.code), mend, ..refusal }
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Role").field("arn", &self.arn).finish_non_exhaustive()
    }
}

impl ProvideCredentials for Role {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(
            async move { self.assume().await.map_err(|refusal| CredentialsError::provider_error(refusal.detail)) },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::stub;
    use super::*;

    #[test]
    fn a_partition_is_told_by_arn_and_region() {
        assert_eq!(Partition::of_arn("arn:aws-cn:sts::1:assumed-role/a/b").suffix, "amazonaws.com.cn");
        assert_eq!(Partition::of_arn("arn:aws:iam::1:user/a").home, "us-east-1");
        assert_eq!(Partition::of_arn("nonsense").name, "aws");
        assert_eq!(Partition::of_region("us-gov-east-1").name, "aws-us-gov");
        assert_eq!(Partition::of_region("eu-west-1").name, "aws");
    }

    #[test]
    fn a_spent_budget_refuses_without_asking() {
        let (budget, asked) = (Budget::default(), permissions::LIST_FUNCTIONS);
        let fail = |reason| budget.failed(asked, &Refusal::new(reason, "", ""));
        let refused = || budget.check(asked).err().map(|refusal| refusal.reason);
        for _ in 1..FAILED_MAX {
            fail(GapReason::Throttled);
        }
        budget.passed(asked);
        for _ in 0..FAILED_MAX {
            assert_eq!(refused(), None, "a success in between begins the row anew");
            fail(GapReason::Throttled);
        }
        assert_eq!(refused(), Some(GapReason::Throttled));
        assert!(budget.check(permissions::GET_FUNCTION).is_ok(), "another operation has its own");
        let denied = Budget::default();
        for _ in 0..9 {
            denied.failed(asked, &Refusal::new(GapReason::Denied, "", ""));
        }
        assert!(denied.check(asked).is_ok(), "a denial costs one call, and the next may be allowed");
    }

    #[tokio::test]
    async fn an_sdk_call_is_counted_and_its_error_told() {
        let denied = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        let (url, _) = stub::serve(vec![stub::answer(403, "", denied), stub::answer(200, "", "<html>")]).await;
        let session = stub::session(&url);
        let ask = || async { session.iam().call(permissions::LIST_USERS, |iam| iam.list_users().send()).await.unwrap_err() };
        let refusal = ask().await;
        assert_eq!((refusal.reason, refusal.permission), (GapReason::Denied, "iam:ListUsers"));
        assert_eq!(ask().await.reason, GapReason::ProviderFault);
        assert_eq!(session.wire().calls.all().get("iam:ListUsers"), Some(&2));
        let nobody = stub::session("http://127.0.0.1:1");
        let refusal = nobody.iam().call(permissions::LIST_USERS, |iam| iam.list_users().send()).await.unwrap_err();
        assert_eq!(refusal.reason, GapReason::Unreachable);
    }

    #[tokio::test]
    async fn lost_credentials_are_told_as_such() {
        let provider = SharedCredentialsProvider::new(Broken);
        let session = stub::session("http://127.0.0.1:1");
        let config = session.wire().config.to_builder().credentials_provider(provider).build();
        let session = Session::new(session.account.clone(), session.partition, Wire { config, ..session.wire().clone() });
        let refusal = session.iam().call(permissions::LIST_USERS, |iam| iam.list_users().send()).await.unwrap_err();
        assert_eq!(refusal.reason, GapReason::Unauthenticated);
        assert!(refusal.detail.contains("the token is old"), "{}", refusal.detail);
    }

    #[derive(Debug)]
    struct Broken;
    impl ProvideCredentials for Broken {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::provider_error("the token is old")))
        }
    }

    #[test]
    fn a_session_shows_nothing_of_its_credentials() {
        let credentials = Credentials::new("AKIATEST", "stub-secret", Some("stub-session-token".to_owned()), None, "stub");
        let held = Held::new(SharedCredentialsProvider::new(credentials.clone()), Default::default(), Some(credentials));
        let text = format!("{held:?} {:?}", stub::session("http://127.0.0.1:1").wire().config);
        assert!(!text.contains("stub-secret") && !text.contains("stub-session-token"), "{text}");
    }
}
