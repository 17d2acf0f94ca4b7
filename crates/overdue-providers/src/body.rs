//! Bytes on their way from a provider to the scanner.

use std::io::Read;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use overdue_core::Gap;

/// The bytes of an artifact. No Debug, no Display: they may hold a secret.
pub enum Body {
    /// Small and already here.
    Bytes(Bytes),
    /// Environment variables, name and value.
    Variables(Vec<(String, String)>),
    /// A stream, to be read on a blocking thread.
    Reader {
        /// The bytes. A read error ends the artifact; [`Body::Reader::fault`] then says why.
        reader: Box<dyn Read + Send>,
        /// Declared size, a hint only.
        size_bytes: Option<u64>,
        /// Set by the reader when it ends short: the gap this leaves.
        fault: Fault,
    },
}

/// Where a reader leaves the gap that ended it.
#[derive(Clone, Default)]
pub struct Fault(Arc<Mutex<Option<Gap>>>);

impl Fault {
    /// Notes why the stream ended short. The first note stays.
    pub fn set(&self, gap: Gap) {
        if let Ok(mut slot) = self.0.lock() {
            slot.get_or_insert(gap);
        }
    }
    /// Takes the note, if there is one.
    pub fn take(&self) -> Option<Gap> {
        self.0.lock().ok().and_then(|mut slot| slot.take())
    }
}
