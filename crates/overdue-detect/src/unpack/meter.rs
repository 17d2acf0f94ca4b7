//! The unpacked side of a container: a reader that counts what comes out and stops at a limit.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use overdue_core::GapReason;

use crate::limits::Limits;
use crate::session::{Budget, Session, Stop};

/// Counts the bytes of one entry against every limit there is.
pub(crate) struct Meter<R> {
    inner: R,
    limits: Limits,
    budget: Rc<Budget>,
    packed: Rc<Cell<u64>>,
    packed_before: u64,
    out: u64,
    crc: crc32fast::Hasher,
    /// The limit that was hit.
    pub(crate) hit: Option<Stop>,
    /// Read up to its end.
    pub(crate) ended: bool,
}

impl<R: Read> Meter<R> {
    /// `packed`: bytes taken of the packed side, for the ratio.
    pub(crate) fn new(session: &Session<'_>, packed: Rc<Cell<u64>>, inner: R) -> Self {
        Self {
            inner,
            limits: session.limits.clone(),
            budget: Rc::clone(&session.budget),
            packed_before: packed.get(),
            packed,
            out: 0,
            crc: crc32fast::Hasher::new(),
            hit: None,
            ended: false,
        }
    }

    /// Bytes that came out.
    pub(crate) fn out(&self) -> u64 {
        self.out
    }

    /// CRC-32 of all that came out.
    pub(crate) fn crc(&self) -> u32 {
        self.crc.clone().finalize()
    }

    /// Reads on to the end, so that what follows can be read. Errors are the inner reader's, or a limit.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        let mut sink = [0; 8 << 10];
        while self.read(&mut sink)? > 0 {}
        Ok(())
    }

    fn check(&mut self) -> io::Result<()> {
        let packed = (self.packed.get() - self.packed_before).max(1);
        if self.out > self.limits.entry_bytes_max {
            let detail = format!("unpacks to more than {} bytes (entry_bytes_max)", self.limits.entry_bytes_max);
            self.hit = Some(Stop { reason: GapReason::TooLarge, detail });
        } else if self.out > self.limits.ratio_free_bytes && self.out / packed > self.limits.ratio_max {
            let detail = format!("unpacks to more than {} times its size (ratio_max)", self.limits.ratio_max);
            self.hit = Some(Stop { reason: GapReason::TooLarge, detail });
        }
        if self.hit.is_some() || self.budget.is_spent() {
            return Err(io::Error::other("a limit of the scan was reached"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let n = self.inner.read(out)?;
        self.ended |= n == 0 && !out.is_empty();
        self.out += n as u64;
        self.crc.update(&out[..n]);
        self.budget.spend_unpacked(n as u64, &self.limits);
        Ok(n)
    }
}
