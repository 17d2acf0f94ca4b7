//! The filters of a stream: one decoder over the other.

use std::io::{self, BufRead, BufReader, Read};

/// More filters on one stream than any honest one has.
const FILTERS_MAX: usize = 4;

/// Decoders for these filters, the first one lowest; and whether there is one among them that hides text and is not opened.
/// What comes after such a one stays as it is.
pub(super) fn chain<'b>(body: Box<dyn Read + 'b>, filters: &[&[u8]]) -> (Box<dyn Read + 'b>, bool) {
    let mut reader = body;
    for (at, filter) in filters.iter().enumerate() {
        let below = BufReader::new(reader);
        reader = match *filter {
            b"FlateDecode" | b"Fl" if at < FILTERS_MAX => Box::new(flate2::bufread::ZlibDecoder::new(below)),
            b"ASCIIHexDecode" | b"AHx" if at < FILTERS_MAX => Box::new(Hex { inner: below, ended: false }),
            b"ASCII85Decode" | b"A85" if at < FILTERS_MAX => Box::new(Base85 { inner: below, ready: Vec::new(), ended: false }),
            // Pictures and sounds.
            b"DCTDecode" | b"DCT" | b"JPXDecode" | b"JBIG2Decode" | b"CCITTFaxDecode" | b"CCF" => return (Box::new(below), false),
            _ => return (Box::new(below), true),
        };
    }
    (reader, false)
}

/// The next byte that is no white space.
fn next(reader: &mut dyn BufRead) -> io::Result<Option<u8>> {
    loop {
        let Some(&byte) = reader.fill_buf()?.first() else { return Ok(None) };
        reader.consume(1);
        if !byte.is_ascii_whitespace() && byte != 0 {
            return Ok(Some(byte));
        }
    }
}

struct Hex<'b> {
    inner: BufReader<Box<dyn Read + 'b>>,
    ended: bool,
}

impl Read for Hex<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while n < out.len() && !self.ended {
            let mut digit = || Ok::<_, io::Error>(next(&mut self.inner)?.and_then(|byte| (byte as char).to_digit(16)));
            let Some(high) = digit()? else {
                self.ended = true;
                break;
            };
            let low = digit()?;
            self.ended = low.is_none();
            out[n] = (high << 4 | low.unwrap_or(0)) as u8;
            n += 1;
        }
        Ok(n)
    }
}

struct Base85<'b> {
    inner: BufReader<Box<dyn Read + 'b>>,
    /// Decoded and not given yet, last first.
    ready: Vec<u8>,
    ended: bool,
}

impl Base85<'_> {
    fn refill(&mut self) -> io::Result<()> {
        let mut value = 0u32;
        let mut count = 0;
        while count < 5 {
            match next(&mut self.inner)? {
                Some(b'z') if count == 0 => {
                    self.ready.extend([0; 4]);
                    return Ok(());
                }
                Some(byte @ b'!'..=b'u') => {
                    value = value.wrapping_mul(85).wrapping_add(u32::from(byte - b'!'));
                    count += 1;
                }
                // The `~>` at its end, or damage.
                _ => {
                    self.ended = true;
                    break;
                }
            }
        }
        if count > 1 {
            (count..5).for_each(|_| value = value.wrapping_mul(85).wrapping_add(84));
            self.ready.extend(value.to_be_bytes()[..count - 1].iter().rev());
        }
        Ok(())
    }
}

impl Read for Base85<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while n < out.len() {
            if let Some(byte) = self.ready.pop() {
                out[n] = byte;
                n += 1;
            } else if self.ended {
                break;
            } else {
                self.refill()?;
            }
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(filters: &[&[u8]], text: &[u8]) -> String {
        let mut out = Vec::new();
        chain(Box::new(text), filters).0.read_to_end(&mut out).expect("memory");
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn ascii_filters_are_undone() {
        assert_eq!(decoded(&[b"ASCIIHexDecode"], b"68 65 6C\n6c 6F 7>xx"), "hellop");
        assert_eq!(decoded(&[b"ASCII85Decode"], b"87cURD]i,\"Ebo7~>"), "Hello World");
        assert_eq!(decoded(&[b"A85"], b"z!!~>"), "\0\0\0\0\0");
        assert_eq!(decoded(&[b"AHx", b"A85"], b"38 37 63 55 52 44 5D 69 2C 22 45 62 6F 37 7E 3E>"), "Hello World");
        assert_eq!(decoded(&[b"LZWDecode"], b"as it is"), "as it is");
    }
}
