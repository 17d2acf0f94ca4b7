//! The packed side of a container: a reader that can be peeked into, counts what is taken, and remembers its error.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

/// Bytes read at a time.
const BUFFER: usize = 64 << 10;

/// A reader one can look ahead in.
pub(crate) struct Source<'r> {
    inner: &'r mut dyn Read,
    buf: Vec<u8>,
    at: usize,
    taken: Rc<Cell<u64>>,
    error: Option<(io::ErrorKind, String)>,
    ended: bool,
}

impl<'r> Source<'r> {
    pub(crate) fn new(inner: &'r mut dyn Read) -> Self {
        Self { inner, buf: Vec::new(), at: 0, taken: Rc::default(), error: None, ended: false }
    }

    /// Bytes taken so far; shared, so that it can be asked while a decompressor holds the source.
    pub(crate) fn taken(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.taken)
    }

    /// The error of the reader underneath, if it had one: then what went wrong above is not the container's fault.
    pub(crate) fn error(&self) -> Option<io::Error> {
        self.error.as_ref().map(|(kind, text)| io::Error::new(*kind, text.clone()))
    }

    /// Up to `n` bytes ahead, fewer only at the end. `n` is at most the buffer.
    pub(crate) fn peek(&mut self, n: usize) -> io::Result<&[u8]> {
        while self.buf.len() - self.at < n && self.more()? {}
        let end = (self.at + n).min(self.buf.len());
        Ok(&self.buf[self.at..end])
    }

    /// Everything ahead that is in memory, at least `n` bytes unless the end is near.
    pub(crate) fn ahead(&mut self, n: usize) -> io::Result<&[u8]> {
        self.peek(n)?;
        Ok(&self.buf[self.at..])
    }

    /// Takes exactly `n` bytes into a vector; `None` when there are fewer. `n` must be bounded by the caller.
    pub(crate) fn bytes(&mut self, n: usize) -> io::Result<Option<Vec<u8>>> {
        let mut out = Vec::with_capacity(n.min(BUFFER));
        self.by_ref().take(n as u64).read_to_end(&mut out)?;
        Ok((out.len() == n).then_some(out))
    }

    /// Skips `n` bytes; false when there are fewer.
    pub(crate) fn skip(&mut self, mut n: u64) -> io::Result<bool> {
        while n > 0 {
            let here = self.fill_buf()?.len() as u64;
            if here == 0 {
                return Ok(false);
            }
            let step = here.min(n);
            self.consume(step as usize);
            n -= step;
        }
        Ok(true)
    }

    fn more(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if let Some(error) = self.error() {
            return Err(error);
        }
        if self.at > 0 {
            self.buf.copy_within(self.at.., 0);
            self.buf.truncate(self.buf.len() - self.at);
            self.at = 0;
        }
        let wanted = (BUFFER - self.buf.len().min(BUFFER / 2)) as u64;
        let before = self.buf.len();
        let outcome = (&mut *self.inner).take(wanted).read_to_end(&mut self.buf);
        let read = self.buf.len() - before;
        match outcome {
            Ok(_) => self.ended = (read as u64) < wanted,
            Err(error) => {
                self.error = Some((error.kind(), error.to_string()));
                if read == 0 {
                    return Err(error);
                }
            }
        }
        Ok(read > 0)
    }
}

impl Read for Source<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let here = self.fill_buf()?;
        let n = here.len().min(out.len());
        out[..n].copy_from_slice(&here[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.buf.len() {
            self.more()?;
        }
        Ok(&self.buf[self.at..])
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
        self.taken.set(self.taken.get() + n as u64);
    }
}
