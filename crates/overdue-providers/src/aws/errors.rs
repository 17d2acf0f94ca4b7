//! From what AWS answers to a [`Gap`]: the reason a report can count by, the permission, and what a person can do.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use overdue_core::{Gap, GapReason, Target};

use super::permissions::Permission;

/// Longest text taken over from an answer. AWS's messages about refusals name a principal, an action and a resource.
const DETAIL_CHARS_MAX: usize = 300;

/// A call that brought nothing.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) reason: GapReason,
    /// AWS's own code, empty where no answer came.
    pub(super) code: String,
    pub(super) detail: String,
    /// The permission that would have allowed it; empty unless denied.
    pub(super) permission: &'static str,
    pub(super) mend: String,
}

impl Refusal {
    pub(super) fn new(reason: GapReason, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { reason, code: String::new(), detail: detail.into(), permission: "", mend: mend.into() }
    }

    /// What an answer with this code and status means.
    pub(super) fn from_answer(permission: Permission, code: &str, message: &str, status: u16) -> Self {
        let reason = reason_of(code, status);
        let said = if code.is_empty() { format!("HTTP status {status}") } else { code.to_owned() };
        // A signature error quotes the request that was signed, session token and all: only its code is kept.
        let detail = match reason {
            GapReason::Unauthenticated => format!("{}: {said}", permission.action),
            _ if message.is_empty() => format!("{}: {said}", permission.action),
            _ => format!("{}: {said}: {}", permission.action, plain(message)),
        };
        let mend = match reason {
            GapReason::Denied => mend_of_denial(permission.action, message),
            GapReason::Unauthenticated => mend_of_credentials(code).to_owned(),
            _ => mend_of(reason).to_owned(),
        };
        let permission = if reason == GapReason::Denied { permission.action } else { "" };
        Self { reason, code: code.to_owned(), detail, permission, mend }
    }

    /// What an SDK call's error means.
    pub(super) fn from_sdk<E>(permission: Permission, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(service) => {
                let meta = service.err().meta();
                let status = service.raw().status().as_u16();
                Self::from_answer(permission, meta.code().unwrap_or_default(), meta.message().unwrap_or_default(), status)
            }
            SdkError::ResponseError(response) => Self::new(
                GapReason::ProviderFault,
                format!("{}: an answer that could not be understood (HTTP status {})", permission.action, response.raw().status().as_u16()),
                mend_of(GapReason::ProviderFault),
            ),
            SdkError::TimeoutError(_) => {
                Self::new(GapReason::Unreachable, format!("{}: no answer in time", permission.action), mend_of(GapReason::Unreachable))
            }
            other => match credentials_error(other) {
                Some(credentials) => Self::from_credentials(credentials),
                None => Self::new(
                    GapReason::Unreachable,
                    format!("{}: {}", permission.action, plain(&chain(other))),
                    mend_of(GapReason::Unreachable),
                ),
            },
        }
    }

    /// Our own credentials could not be had.
    pub(super) fn from_credentials(error: &CredentialsError) -> Self {
        let detail = match error {
            CredentialsError::CredentialsNotLoaded(_) => "no AWS credentials here".to_owned(),
            other => format!("the AWS credentials could not be loaded: {}", plain(&chain(other))),
        };
        Self::new(GapReason::Unauthenticated, detail, "Sign in again (`aws sso login`, or new keys) and run once more")
    }

    /// Whether AWS's code is one of these.
    pub(super) fn is(&self, codes: &[&str]) -> bool {
        codes.contains(&self.code.as_str())
    }

    /// The gap of one counted thing.
    pub(super) fn gap(&self, target: &Target, subject: impl Into<String>) -> Gap {
        Gap {
            target: target.id(),
            subject: subject.into(),
            reason: self.reason,
            detail: self.detail.clone(),
            permission: self.permission.to_owned(),
            mend: self.mend.clone(),
            open_ended: false,
        }
    }

    /// The gap of a listing that broke off: nobody knows how much it hides.
    pub(super) fn open_gap(&self, target: &Target, subject: impl Into<String>) -> Gap {
        Gap { open_ended: true, ..self.gap(target, subject) }
    }
}

/// The list of an answer. AWS writes an empty one as such: an answer without it is no answer, but an error in disguise.
pub(super) fn listed<T>(permission: Permission, list: Option<T>) -> Result<T, Refusal> {
    list.ok_or_else(|| {
        let detail = format!("{}: an answer without its list", permission.action);
        Refusal::new(GapReason::ProviderFault, detail, mend_of(GapReason::ProviderFault))
    })
}

fn credentials_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CredentialsError> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<CredentialsError>() {
            return Some(found);
        }
        at = error.source();
    }
    None
}

/// What a code means, and where AWS gives none, what its status does.
fn reason_of(code: &str, status: u16) -> GapReason {
    match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "AuthorizationError"
        | "AuthorizationErrorException"
        | "Forbidden"
        | "AllAccessDisabled"
        | "AccessDeniedForDependencyException"
        | "OptInRequired"
        | "SubscriptionRequiredException"
        | "KMSAccessDeniedException"
        | "KMS.AccessDeniedException" => GapReason::Denied,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottledException"
        | "RequestThrottled"
        | "TooManyRequestsException"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "EC2ThrottledException"
        | "ProvisionedThroughputExceededException"
        | "LimitExceeded" => GapReason::Throttled,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "AuthFailure"
        | "InvalidToken"
        | "TokenRefreshRequired"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "InvalidSecurity"
        | "RequestTimeTooSkewed"
        | "NotSignedUp" => GapReason::Unauthenticated,
        "NoSuchEntity" | "NoSuchEntityException" | "NoSuchKey" | "NoSuchVersion" | "NoSuchBucket" | "ResourceNotFoundException" => {
            GapReason::Vanished
        }
        "InvalidObjectState" => GapReason::Archived,
        "PreconditionFailed" => GapReason::Vanished,
        "KMS.DisabledException"
        | "KMSDisabledException"
        | "KMS.NotFoundException"
        | "KMSNotFoundException"
        | "KMS.KMSInvalidStateException"
        | "KMSInvalidStateException" => GapReason::Encrypted,
        _ => match status {
            401 => GapReason::Unauthenticated,
            403 => GapReason::Denied,
            404 | 410 | 412 => GapReason::Vanished,
            429 => GapReason::Throttled,
            _ => GapReason::ProviderFault,
        },
    }
}

fn mend_of_denial(action: &str, message: &str) -> String {
    let message = message.to_ascii_lowercase();
    if message.contains("service control policy") {
        return format!(
            "An organization's service control policy forbids {action} here; let it except the audit role, or leave this out of the job"
        );
    }
    if message.contains("permissions boundary") {
        return format!("The audit role's permissions boundary forbids {action}; widen it by that action");
    }
    if message.contains("kms:decrypt") || message.contains("kms.") {
        return "Allow the audit role kms:Decrypt on the key this is encrypted with, or accept the gap".to_owned();
    }
    format!("Allow {action} to the audit role; `overdue permissions aws` prints the whole policy")
}

fn mend_of_credentials(code: &str) -> &'static str {
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired" => {
            "The credentials have expired: sign in again (`aws sso login`, or a new session) and run once more"
        }
        "RequestTimeTooSkewed" => "This machine's clock is wrong: set it and run once more",
        "SignatureDoesNotMatch" | "InvalidSignatureException" => "The secret does not belong to its key id: check both and run once more",
        _ => {
            "AWS does not know these credentials here: deleted, switched off, of another partition, or in a region the account has not \
             enabled; use others, or leave the region out of the job"
        }
    }
}

/// What a person can do about a reason, where nothing more is known.
pub(super) fn mend_of(reason: GapReason) -> &'static str {
    match reason {
        GapReason::Throttled => "Run again at a quieter hour; what was left out is read then",
        GapReason::Unreachable => "Check the network, proxy and endpoint settings of this machine, then run again",
        GapReason::ProviderFault => "Run again later; if it stays, AWS support can tell why",
        GapReason::BrokenListing => "Run again; if it stays, tell AWS support which listing it is",
        GapReason::Vanished => "Nothing, if it was deleted or changed just now: the next run reads what is there then",
        GapReason::Truncated => "Run again; if it stays, the stored bytes or a proxy in between are broken",
        GapReason::Archived => "Restore it from cold storage if it must be read",
        GapReason::Encrypted => "Read it by hand with its key, or accept the gap",
        _ => "Run again; if it stays, tell the authors of Overdue",
    }
}

/// One line of printable text, cut where it gets long.
pub(super) fn plain(text: &str) -> String {
    let text = text.split("Encoded authorization failure message").next().unwrap_or(text);
    let mut out = String::new();
    for (count, letter) in text.chars().enumerate() {
        if count == DETAIL_CHARS_MAX {
            out.push('…');
            break;
        }
        out.push(if letter.is_control() { ' ' } else { letter });
    }
    out.trim().trim_end_matches('.').to_owned()
}

/// What an error and its sources say, but nothing of a request that one of them quotes.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(source) = at {
        let said = source.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        at = source.source();
    }
    text.split("Request {").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::permissions;
    use super::*;

    #[test]
    fn codes_become_reasons() {
        for (code, status, reason) in [
            ("AccessDenied", 403, GapReason::Denied),
            ("UnauthorizedOperation", 403, GapReason::Denied),
            ("Throttling", 400, GapReason::Throttled),
            ("SlowDown", 503, GapReason::Throttled),
            ("", 429, GapReason::Throttled),
            ("ExpiredTokenException", 400, GapReason::Unauthenticated),
            ("AuthFailure", 401, GapReason::Unauthenticated),
            ("NoSuchEntity", 404, GapReason::Vanished),
            ("ServiceFailure", 500, GapReason::ProviderFault),
            ("", 502, GapReason::ProviderFault),
            ("ValidationError", 400, GapReason::ProviderFault),
            ("InvalidObjectState", 403, GapReason::Archived),
            ("", 403, GapReason::Denied),
        ] {
            assert_eq!(reason_of(code, status), reason, "{code} {status}");
        }
    }

    #[test]
    fn a_denial_names_the_permission_and_the_mend() {
        let refusal = Refusal::from_answer(permissions::LIST_ACCESS_KEYS, "AccessDenied", "User: x is not authorized\nto perform", 403);
        assert_eq!(refusal.permission, "iam:ListAccessKeys");
        assert_eq!(refusal.detail, "iam:ListAccessKeys: AccessDenied: User: x is not authorized to perform");
        assert!(refusal.mend.contains("Allow iam:ListAccessKeys"), "{}", refusal.mend);
        let refusal =
            Refusal::from_answer(permissions::LIST_ACCESS_KEYS, "AccessDenied", "… with an explicit deny in a service control policy", 403);
        assert!(refusal.mend.contains("service control policy"), "{}", refusal.mend);
    }

    #[test]
    fn a_signature_error_keeps_no_word_of_the_request() {
        let message = "The Canonical String for this request should have been 'GET / x-amz-security-token:FwoGZX…'";
        let refusal = Refusal::from_answer(permissions::LIST_BUCKET, "SignatureDoesNotMatch", message, 403);
        assert!(!refusal.detail.contains("FwoGZX"), "{}", refusal.detail);
        assert_eq!(refusal.permission, "");
    }

    #[test]
    fn a_long_message_is_cut_and_an_encoded_one_left_out() {
        assert_eq!(plain(&"x".repeat(400)).chars().count(), DETAIL_CHARS_MAX + 1);
        assert_eq!(plain("You are not authorized. Encoded authorization failure message: AbCd"), "You are not authorized");
    }
}
