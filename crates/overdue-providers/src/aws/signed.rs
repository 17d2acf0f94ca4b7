//! Signed requests to services of which one call is needed, without their SDK crates.
//!
//! The four calls (`ec2:DescribeRegions`, `account:GetAlternateContact`, `ssm:DescribeParameters`, `tag:GetResources`) would
//! bring two minutes of compilation. Retries, endpoint settings and errors are as the SDK has them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use overdue_core::GapReason;
use serde_json::Value;

use super::errors::{Refusal, mend_of, plain};
use super::permissions::Permission;
use super::session::{Budget, Partition, Wire, endpoint_override};

/// Tries of one call, the first one too.
pub(super) const ATTEMPTS_MAX: u32 = 6;
/// Pause before the second try; it doubles each time.
const BACKOFF: Duration = Duration::from_millis(200);
/// Longest pause, also where the service asks for more.
const BACKOFF_MAX: Duration = Duration::from_secs(20);
/// From sending to the last byte of an answer.
const CALL_TIME_MAX: Duration = Duration::from_secs(60);
/// Largest answer taken; a page of these listings is far smaller.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A service, by the three names it has.
pub(super) struct Service {
    /// Name in endpoint settings, `AWS_ENDPOINT_URL_<ID>`.
    pub(super) id: &'static str,
    /// First part of its host name, and the name requests are signed for.
    pub(super) host: &'static str,
}

pub(super) const EC2: Service = Service { id: "EC2", host: "ec2" };
pub(super) const ACCOUNT: Service = Service { id: "Account", host: "account" };
pub(super) const SSM: Service = Service { id: "SSM", host: "ssm" };
pub(super) const TAGGING: Service = Service { id: "Resource Groups Tagging API", host: "tagging" };

/// One service in one account and region.
pub(super) struct Signed {
    service: &'static Service,
    region: String,
    partition: Partition,
    wire: Wire,
    budget: Budget,
}

/// What came back, read to its end.
struct Answer {
    status: u16,
    error_type: String,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Signed {
    pub(super) fn new(service: &'static Service, region: &str, partition: Partition, wire: Wire, budget: Budget) -> Self {
        Self { service, region: region.to_owned(), partition, wire, budget }
    }

    /// A call in the JSON 1.1 protocol: `target` names the operation.
    pub(super) async fn json_target(&self, permission: Permission, target: &str, body: &Value) -> Result<Value, Refusal> {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        let answer = self.call(permission, "/", &headers, body.to_string().into_bytes()).await?;
        parse_json(permission, &answer)
    }

    /// A call in the REST JSON protocol: `path` names the operation.
    pub(super) async fn json_path(&self, permission: Permission, path: &str, body: &Value) -> Result<Value, Refusal> {
        let answer = self.call(permission, path, &[("content-type", "application/json")], body.to_string().into_bytes()).await?;
        parse_json(permission, &answer)
    }

    /// A call in the query protocol; the answer is XML.
    pub(super) async fn query(&self, permission: Permission, form: &str) -> Result<String, Refusal> {
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let answer = self.call(permission, "/", &headers, form.as_bytes().to_vec()).await?;
        String::from_utf8(answer).map_err(|_| unreadable(permission))
    }

    async fn call(&self, permission: Permission, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        self.budget.check(permission)?;
        let mut last = unreadable(permission);
        for attempt in 1..=ATTEMPTS_MAX {
            let (refusal, again, wait) = match self.send(permission, path, headers, &body).await {
                Ok(answer) if (200..300).contains(&answer.status) => {
                    self.budget.passed(permission);
                    return Ok(answer.body);
                }
                Ok(answer) => {
                    let (code, message) = error_of(&answer);
                    let refusal = Refusal::from_answer(permission, &code, &message, answer.status);
                    let again = refusal.reason == GapReason::Throttled || answer.status >= 500;
                    (refusal, again, answer.retry_after)
                }
                Err(refusal) => {
                    let again = matches!(refusal.reason, GapReason::Unreachable | GapReason::Truncated);
                    (refusal, again, None)
                }
            };
            last = refusal;
            if !again || attempt == ATTEMPTS_MAX {
                break;
            }
            tokio::time::sleep(wait.unwrap_or_else(|| backoff(attempt)).min(BACKOFF_MAX)).await;
        }
        self.budget.failed(permission, &last);
        Err(last)
    }

    async fn send(&self, permission: Permission, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, Refusal> {
        let url = format!("{}{path}", self.endpoint());
        let unsigned = |why: &dyn std::fmt::Display| {
            let detail = format!("{}: the request could not be signed: {why}", permission.action);
            Refusal::new(GapReason::Internal, detail, mend_of(GapReason::Internal))
        };
        let Some(provider) = self.wire.config.credentials_provider() else {
            return Err(Refusal::new(GapReason::Unauthenticated, "no AWS credentials here", "Sign in and run once more"));
        };
        let credentials = provider.provide_credentials().await.map_err(|error| {
            let detail = format!("the AWS credentials could not be loaded: {}", plain(&error.to_string()));
            Refusal::new(GapReason::Unauthenticated, detail, "Sign in again (`aws sso login`, or new keys) and run once more")
        })?;
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service.host)
            .time(self.wire.config.time_source().unwrap_or_default().now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let signable =
            SignableRequest::new("POST", &url, headers.iter().copied(), SignableBody::Bytes(body)).map_err(|error| unsigned(&error))?;
        let (signature, _) = sign(signable, &params).map_err(|error| unsigned(&error))?.into_parts();

        let client = self.wire.http.client()?;
        let mut request = client.post(&url).body(body.to_vec()).timeout(CALL_TIME_MAX);
        for (name, value) in headers.iter().copied().chain(signature.headers()) {
            request = request.header(name, value);
        }
        for call in permission.calls {
            self.wire.calls.add(call, 1);
        }
        let broken = |reason: GapReason, error: reqwest::Error| {
            let detail = format!("{}: {}", permission.action, super::download::network_text(error));
            Refusal::new(reason, detail, mend_of(reason))
        };
        let mut response = request.send().await.map_err(|error| broken(GapReason::Unreachable, error))?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let retry_after = header("retry-after").parse().ok().map(Duration::from_secs);
        let mut answer =
            Answer { status: response.status().as_u16(), error_type: header("x-amzn-errortype"), retry_after, body: Vec::new() };
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(GapReason::Truncated, error))? {
            if answer.body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let detail = format!("{}: an answer of more than {ANSWER_BYTES_MAX} bytes", permission.action);
                return Err(Refusal::new(GapReason::ProviderFault, detail, mend_of(GapReason::ProviderFault)));
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    /// Where the service answers, without a slash at the end.
    fn endpoint(&self) -> String {
        if let Some(url) = endpoint_override(&self.wire.config, self.service.id) {
            return url.trim_end_matches('/').to_owned();
        }
        let host = match self.wire.config.use_fips() {
            Some(true) => format!("{}-fips", self.service.host),
            _ => self.service.host.to_owned(),
        };
        format!("https://{host}.{}.{}", self.region, self.partition.suffix)
    }
}

/// The pause after a failed try: doubled each time, and somewhere between a half and the whole of it, so that many of us do
/// not come back at once.
pub(super) fn backoff(attempt: u32) -> Duration {
    let whole = BACKOFF.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(BACKOFF_MAX);
    let mut dice = RandomState::new().build_hasher();
    dice.write_u32(attempt);
    whole / 2 + whole.mul_f64((dice.finish() % 1000) as f64 / 2000.0)
}

fn parse_json(permission: Permission, answer: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(answer).map_err(|_| unreadable(permission))
}

fn unreadable(permission: Permission) -> Refusal {
    let detail = format!("{}: an answer that could not be understood", permission.action);
    Refusal::new(GapReason::ProviderFault, detail, mend_of(GapReason::ProviderFault))
}

/// Code and message of an error, in whichever of the three forms it came.
fn error_of(answer: &Answer) -> (String, String) {
    // `AccessDeniedException:http://internal.amazon.com/…` and `com.amazon.coral.service#AccessDeniedException`
    let bare = |code: &str| code.split(':').next().unwrap_or_default().rsplit('#').next().unwrap_or_default().to_owned();
    if let Ok(body) = serde_json::from_slice::<Value>(&answer.body) {
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let code = [answer.error_type.as_str(), text("__type"), text("code")].into_iter().find(|code| !code.is_empty()).unwrap_or_default();
        return (bare(code), [text("message"), text("Message")].concat());
    }
    let body = String::from_utf8_lossy(&answer.body);
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text.to_owned())
    };
    (element("Code").unwrap_or_else(|| bare(&answer.error_type)), element("Message").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{permissions, stub};
    use super::*;

    #[test]
    fn errors_are_read_in_all_three_forms() {
        let read = |error_type: &str, body: &str| {
            let (error_type, body) = (error_type.to_owned(), body.as_bytes().to_vec());
            error_of(&Answer { status: 400, error_type, retry_after: None, body })
        };
        let told = |code: &str, message: &str| (code.to_owned(), message.to_owned());
        assert_eq!(read("", r#"{"__type":"com.amazonaws#AccessDeniedException","Message":"no"}"#), told("AccessDeniedException", "no"));
        assert_eq!(read("ResourceNotFoundException:http://x/", r#"{"message":"gone"}"#), told("ResourceNotFoundException", "gone"));
        let xml = "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>";
        assert_eq!(read("", xml), told("UnauthorizedOperation", "no"));
        assert_eq!(read("", "<html>"), told("", ""));
    }

    #[test]
    fn pauses_grow_and_stay_within_bounds() {
        for attempt in 1..40 {
            let pause = backoff(attempt);
            assert!(pause >= BACKOFF / 2 && pause <= BACKOFF_MAX, "{attempt}: {pause:?}");
        }
    }

    #[tokio::test]
    async fn passing_trouble_is_tried_again_and_a_denial_is_not() {
        let good = stub::answer(200, "", "{\"a\":1}");
        let slow = stub::answer(400, "Retry-After: 0\r\n", "{\"__type\":\"ThrottlingException\"}");
        let denied = stub::answer(400, "", "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}");
        let broken = b"HTTP/1.1 200 x\r\nContent-Length: 80\r\n\r\n{".to_vec();
        for (what, answers, expected, asked_max) in [
            ("throttled once", vec![slow.clone(), good.clone()], Ok(()), 2),
            ("cut off once", vec![broken, good.clone()], Ok(()), 2),
            ("throttled for good", vec![slow], Err(GapReason::Throttled), ATTEMPTS_MAX as usize),
            ("denied", vec![denied], Err(GapReason::Denied), 1),
            ("not JSON", vec![stub::answer(200, "", "<html>")], Err(GapReason::ProviderFault), 1),
        ] {
            let (url, asked) = stub::serve(answers).await;
            let session = stub::session(&url);
            let got = session
                .signed(&SSM, "eu-west-1")
                .json_target(permissions::DESCRIBE_PARAMETERS, "AmazonSSM.DescribeParameters", &json!({}))
                .await;
            assert_eq!(got.as_ref().map(|_| ()).map_err(|refusal| refusal.reason), expected, "{what}");
            let asked = asked.lock().unwrap();
            assert_eq!(asked.len(), asked_max, "{what}");
            assert!(
                asked[0].contains("/eu-west-1/ssm/aws4_request") && asked[0].to_lowercase().contains("x-amz-security-token"),
                "{}",
                asked[0]
            );
            assert_eq!(session.wire().calls.all().get("ssm:DescribeParameters"), Some(&(asked.len() as u64)));
        }
    }
}
