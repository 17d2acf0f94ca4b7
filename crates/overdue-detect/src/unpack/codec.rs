//! Compressions of one stream: gzip, zstd, xz, lzip, bzip2, lz4, brotli.

use std::io::{self, Read};

use overdue_core::GapReason;

use super::meter::Meter;
use super::scan_reader;
use super::source::Source;
use crate::session::{Place, Session};

/// Bytes the brotli decoder reads at a time.
const BROTLI_BUFFER: usize = 8 << 10;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Gzip,
    Zstd,
    Xz,
    Lzip,
    Bzip2,
    Lz4,
    Brotli,
}

impl Codec {
    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Lzip => "lzip",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
            Self::Brotli => "brotli",
        }
    }
}

/// How much history a decompressor at this depth may keep: the outermost all, one inside another an eighth.
pub(crate) fn window_bytes(session: &Session<'_>, place: &Place) -> u64 {
    if place.archive_depth == 0 { session.limits.window_bytes_max } else { session.limits.window_bytes_max / 8 }
}

/// Scans what the stream holds.
pub(crate) fn scan(session: &mut Session<'_>, place: &Place, codec: Codec, reader: &mut dyn Read) -> io::Result<()> {
    let mut source = Source::new(reader);
    let packed = source.taken();
    let window = window_bytes(session, place);
    let inner = place.decompressed(codec.name());
    let (hit, outcome) = match decoder(codec, &mut source, window) {
        Err(error) => (None, Err(error)),
        Ok(decoder) => {
            let mut meter = Meter::new(session, packed, decoder);
            let scanned = scan_reader(session, &inner, None, &mut meter);
            // What was inside may have ended before the stream does; a checksum at its end still counts.
            let outcome = scanned.and_then(|()| meter.drain());
            (meter.hit.take().map(|stop| (stop.reason, stop.detail)), outcome)
        }
    };
    settle(session, place, &source, hit, outcome)
}

fn decoder<'s, R: io::BufRead + 's>(codec: Codec, source: R, window: u64) -> io::Result<Box<dyn Read + 's>> {
    match codec {
        Codec::Gzip => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(source))),
        Codec::Bzip2 => Ok(Box::new(bzip2::bufread::MultiBzDecoder::new(source))),
        Codec::Lz4 => Ok(Box::new(Lz4 { decoder: lz4_flex::frame::FrameDecoder::new(source) })),
        Codec::Brotli => Ok(Box::new(brotli_decompressor::Decompressor::new(source, BROTLI_BUFFER))),
        Codec::Zstd => zstd_decoder(source, window),
        Codec::Xz => xz_decoder(source, window),
        Codec::Lzip => lzip_decoder(source, window),
    }
}

/// Turns the end of reading into what it was: fine, a limit, a damaged stream, or an error of the reader underneath.
pub(crate) fn settle(
    session: &mut Session<'_>,
    place: &Place,
    source: &Source<'_>,
    hit: Option<(GapReason, String)>,
    outcome: io::Result<()>,
) -> io::Result<()> {
    if let Some((reason, detail)) = hit {
        session.gap(&place.path, reason, detail);
        return Ok(());
    }
    let Err(error) = outcome else { return Ok(()) };
    if let Some(error) = source.error() {
        return Err(error);
    }
    if !session.budget.is_spent() {
        let (reason, detail) = fault(&error);
        session.gap(&place.path, reason, detail);
    }
    Ok(())
}

/// Why a decompressor gave up.
pub(crate) fn fault(error: &io::Error) -> (GapReason, String) {
    let text = error.to_string();
    let lower = text.to_ascii_lowercase();
    if lower.contains("too much memory") || lower.contains("memory limit") {
        return (GapReason::TooLarge, "needs a larger window of history than window_bytes_max allows".to_owned());
    }
    (GapReason::Corrupt, format!("the data is damaged: {text}"))
}

/// A zstd decoder that refuses a window over `window` bytes.
pub(crate) fn zstd_decoder<'s, R: io::BufRead + 's>(source: R, window: u64) -> io::Result<Box<dyn Read + 's>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(source)?;
    decoder.window_log_max(window.max(1 << 10).ilog2())?;
    Ok(Box::new(decoder))
}

/// An xz decoder that refuses a dictionary over `window` bytes.
pub(crate) fn xz_decoder<'s, R: io::BufRead + 's>(source: R, window: u64) -> io::Result<Box<dyn Read + 's>> {
    // The dictionary, and a little for the decoder itself.
    let stream = xz2::stream::Stream::new_stream_decoder(window + (2 << 20), xz2::stream::CONCATENATED).map_err(io::Error::from)?;
    Ok(Box::new(xz2::bufread::XzDecoder::new_stream(source, stream)))
}

/// An lzip decoder that refuses a dictionary over `window` bytes.
fn lzip_decoder<'s, R: io::BufRead + 's>(source: R, window: u64) -> io::Result<Box<dyn Read + 's>> {
    let stream = xz2::stream::Stream::new_lzip_decoder(window + (2 << 20), xz2::stream::CONCATENATED).map_err(io::Error::from)?;
    Ok(Box::new(xz2::bufread::XzDecoder::new_stream(source, stream)))
}

/// Frames of lz4, one after the other.
struct Lz4<R: Read> {
    decoder: lz4_flex::frame::FrameDecoder<R>,
}

impl<R: io::BufRead> Read for Lz4<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.decoder.read(out)?;
            if n > 0 || out.is_empty() || self.decoder.get_mut().fill_buf()?.is_empty() {
                return Ok(n);
            }
        }
    }
}

/// Whether a file whose name ends in `.br` is brotli, which has no magic: its beginning must decode. The extension for windows
/// over 16 MiB, which nobody serves, is taken for something else.
pub(super) fn is_brotli(name: &str, head: &[u8]) -> bool {
    let mut out = [0; 256];
    name.ends_with(".br")
        && head.first().is_some_and(|first| first & 0x7f != 0x11)
        && brotli_decompressor::Decompressor::new(head, BROTLI_BUFFER).read(&mut out).is_ok_and(|n| n > 0)
}
