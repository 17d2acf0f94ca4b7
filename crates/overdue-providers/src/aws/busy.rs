//! "Too many requests" by its status alone.
//!
//! The SDK tries again on AWS's own error codes and on 500 to 504. A proxy, a load balancer or another maker's object
//! store says 429 without a code, and the SDK would take that for an answer that is final.

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction, RetryClassifierPriority};

/// Has a call with status 429 tried again as a throttled one.
#[derive(Debug)]
pub(super) struct Busy;

impl ClassifyRetry for Busy {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response() {
            Some(response) if response.status().as_u16() == 429 => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "status 429"
    }

    // Beneath those that read the service's own code: they may know how long to wait.
    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_before(RetryClassifierPriority::http_status_code_classifier())
    }
}
