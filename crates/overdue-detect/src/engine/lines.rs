//! Line and column of a place in a text that passes by in chunks.

/// How far a text was counted.
///
/// A line ends at LF; in a text that has no LF so far, at CR.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lines {
    at: u64,
    lf: u32,
    after_lf: u64,
    cr: u32,
    after_cr: u64,
}

impl Lines {
    /// Counts on over the bytes that follow what was counted.
    pub(crate) fn advance(&mut self, bytes: &[u8]) {
        let lf = memchr::memchr_iter(b'\n', bytes).count();
        if lf > 0 {
            self.lf = self.lf.saturating_add(u32::try_from(lf).unwrap_or(u32::MAX));
            self.after_lf = self.at + memchr::memrchr(b'\n', bytes).map_or(0, |at| at as u64 + 1);
        }
        if self.lf == 0 {
            let cr = memchr::memchr_iter(b'\r', bytes).count();
            if cr > 0 {
                self.cr = self.cr.saturating_add(u32::try_from(cr).unwrap_or(u32::MAX));
                self.after_cr = self.at + memchr::memrchr(b'\r', bytes).map_or(0, |at| at as u64 + 1);
            }
        }
        self.at += bytes.len() as u64;
    }

    /// Bytes counted so far.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Line and column, both from 1, of the byte that follows what was counted.
    pub(crate) fn here(&self) -> (u32, u32) {
        let (line, start) = if self.lf == 0 && self.cr > 0 { (self.cr, self.after_cr) } else { (self.lf, self.after_lf) };
        (line.saturating_add(1), u32::try_from(self.at - start + 1).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_in_any_chunks() {
        let text = b"one\ntwo\r\nthree\n\nfour";
        for cut in 0..=text.len() {
            let mut lines = Lines::default();
            lines.advance(&text[..cut]);
            lines.advance(&text[cut..]);
            assert_eq!(lines.here(), (5, 5));
        }
        let mut old = Lines::default();
        old.advance(b"one\rtwo\rthr");
        assert_eq!(old.here(), (3, 4));
        assert_eq!(Lines::default().here(), (1, 1));
    }
}
