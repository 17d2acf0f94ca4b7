//! How many calls were made, by operation. Every request on the wire counts, repeated ones too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Downloads of code packages and layers, which are no API calls.
pub(super) const DOWNLOADS: &str = "downloads";
/// Bytes of those downloads.
pub(super) const DOWNLOAD_BYTES: &str = "bytes:downloads";
/// Bytes of objects.
pub(super) const OBJECT_BYTES: &str = "bytes:objects";

/// The count, shared by all clients.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<Mutex<BTreeMap<String, u64>>>);

impl Calls {
    pub(super) fn add(&self, name: &str, count: u64) {
        if let Ok(mut counts) = self.0.lock() {
            match counts.get_mut(name) {
                Some(slot) => *slot += count,
                None => {
                    counts.insert(name.to_owned(), count);
                }
            }
        }
    }
    pub(super) fn all(&self) -> BTreeMap<String, u64> {
        self.0.lock().map(|counts| counts.clone()).unwrap_or_default()
    }
}

#[dyn_dispatch_hint]
impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "OverdueCalls"
    }
    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = bag.load::<Metadata>() {
            // The SDK says `Secrets Manager`; IAM and the rest of us `secretsmanager`.
            let service = call.service().to_ascii_lowercase().replace(' ', "");
            self.add(&format!("{service}:{}", call.name()), 1);
        }
        Ok(())
    }
}
