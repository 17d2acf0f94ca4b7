//! Bytes held in memory: for the few containers that must be sought in, and for text put together from pieces.
//!
//! Promise: all that is held at one time, at every depth together, is at most `seekable_bytes_max`; it is counted while it
//! is held, and wiped when it is let go.

use std::io::{self, Read};
use std::ops::Deref;
use std::rc::Rc;

use zeroize::Zeroize;

use crate::session::{Budget, Session};

/// Bytes read at a time.
const STEP: usize = 64 << 10;

/// Bytes in memory that are counted.
pub(crate) struct Held {
    bytes: Vec<u8>,
    budget: Rc<Budget>,
    max: u64,
}

impl Held {
    /// Nothing yet, and room for what `seekable_bytes_max` has left.
    pub(crate) fn new(session: &Session<'_>) -> Self {
        Self { bytes: Vec::new(), budget: Rc::clone(&session.budget), max: session.limits.seekable_bytes_max }
    }

    /// Bytes there is still room for.
    pub(crate) fn room(&self) -> u64 {
        self.max.saturating_sub(self.budget.held.get())
    }

    /// Takes the bytes in; false, and nothing taken, when there is no room.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() as u64 <= self.room();
        if fits {
            self.budget.held.set(self.budget.held.get() + bytes.len() as u64);
            self.bytes.extend_from_slice(bytes);
        }
        fits
    }

    /// Lets everything go.
    pub(crate) fn clear(&mut self) {
        self.budget.held.set(self.budget.held.get().saturating_sub(self.bytes.len() as u64));
        self.bytes.zeroize();
    }

    /// Reads on to the end, or as long as there is room for, up to `most` bytes in all. What was read is kept whatever happens.
    pub(crate) fn fill(&mut self, reader: &mut dyn Read, most: u64) -> io::Result<Filled> {
        let mut step = [0; STEP];
        loop {
            let room = self.room().min(most.saturating_sub(self.bytes.len() as u64)).min(STEP as u64) as usize;
            if room == 0 {
                return Ok(Filled::Full);
            }
            match reader.read(&mut step[..room]) {
                Ok(0) => return Ok(Filled::Whole),
                Ok(n) => _ = self.push(&step[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// How far reading into memory came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    Whole,
    /// There may be more than there was room for.
    Full,
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.clear();
    }
}
