//! Limits: what one scan may cost, whatever it is given.
//!
//! Promise: each limit has a name, a default with its reason, and ends in a gap that names it; what was found before is
//! kept. Limits are counts of bytes and of things, never of time, so that the same bytes always give the same answer.

/// A zip in a jar in a layer of an image in a tarball, each with a compression of its own: 8, and no honest file has more.
const ARCHIVE_DEPTH_MAX: u8 = 8;
/// Base64 in JSON in base64 happens; deeper nesting is somebody hiding, and three layers cost at most three passes.
const DECODE_DEPTH_MAX: u8 = 3;
/// A container image holds up to a few hundred thousand files; ten million empty ones are an attack.
const ENTRIES_MAX: u64 = 1_000_000;
/// The largest single file worth unpacking: a database dump.
const ENTRY_BYTES_MAX: u64 = 4 << 30;
/// All unpacked and decoded bytes of one artifact: about a minute of work.
const TOTAL_BYTES_MAX: u64 = 16 << 30;
/// Source text packs 3 to 10 times, logs 20 to 50; 42.zip and its kin start at 1000.
const RATIO_MAX: u64 = 250;
/// Below this a high ratio is harmless: a file of 32 MiB of zeros.
const RATIO_FREE_BYTES: u64 = 32 << 20;
/// The most bytes one scan buffers of one text, and the most one encoded run may have before it is cut in pieces.
const BUFFER_BYTES_MAX: usize = 4 << 20;
/// A file with more secrets than this is a list of them, and the first ten thousand make the point.
const DETECTIONS_MAX: usize = 10_000;
/// More gaps than this in one artifact tell nobody more.
const GAPS_MAX: usize = 1_000;
/// Bytes looked at by the slower second stage; honest text needs less than one for each of its own bytes.
const WORK_MAX: u64 = 64 << 30;
/// zstd's own `-22` and `--long` need 128 MiB; more is refused.
const WINDOW_BYTES_MAX: u64 = 128 << 20;
/// A database of a small application, a repository's pack; what is larger is scanned as it is, and says so.
const SEEKABLE_BYTES_MAX: u64 = 64 << 20;

/// What one scan may cost. `Limits::default()` is right for almost everyone.
///
/// Memory of one scan is at most about `2 × window_bytes_max + 2 × seekable_bytes_max +
/// (decode_depth_max + 1) × 2 × buffer_bytes_max` and 200 KiB for each level of `archive_depth_max`: 430 MiB by default, and
/// 2 MiB for anything that is neither packed with a giant window, nor one giant encoded run, nor sought in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Archives and compressions inside one another.
    pub archive_depth_max: u8,
    /// Encodings inside one another.
    pub decode_depth_max: u8,
    /// Entries of all archives of one artifact.
    pub entries_max: u64,
    /// Unpacked bytes of one entry.
    pub entry_bytes_max: u64,
    /// Unpacked and decoded bytes of one artifact.
    pub total_bytes_max: u64,
    /// Unpacked bytes for each packed one, once `ratio_free_bytes` were unpacked.
    pub ratio_max: u64,
    /// Unpacked bytes below which no ratio matters.
    pub ratio_free_bytes: u64,
    /// Bytes of one text in memory at a time.
    pub buffer_bytes_max: usize,
    /// Detections kept of one file.
    pub detections_max: usize,
    /// Gaps kept of one artifact; the last one counts the rest.
    pub gaps_max: usize,
    /// Bytes the second stage looks at.
    pub work_max: u64,
    /// The window of history a decompressor may ask for. A nested one gets an eighth.
    pub window_bytes_max: u64,
    /// Bytes in memory at a time of what cannot be read from front to end (databases, 7z, the bases of a git pack), all
    /// that are inside one another together.
    pub seekable_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            archive_depth_max: ARCHIVE_DEPTH_MAX,
            decode_depth_max: DECODE_DEPTH_MAX,
            entries_max: ENTRIES_MAX,
            entry_bytes_max: ENTRY_BYTES_MAX,
            total_bytes_max: TOTAL_BYTES_MAX,
            ratio_max: RATIO_MAX,
            ratio_free_bytes: RATIO_FREE_BYTES,
            buffer_bytes_max: BUFFER_BYTES_MAX,
            detections_max: DETECTIONS_MAX,
            gaps_max: GAPS_MAX,
            work_max: WORK_MAX,
            window_bytes_max: WINDOW_BYTES_MAX,
            seekable_bytes_max: SEEKABLE_BYTES_MAX,
        }
    }
}

impl Limits {
    /// The names of all limits, as gaps tell them.
    pub const NAMES: [&str; 13] = [
        "archive_depth_max",
        "decode_depth_max",
        "entries_max",
        "entry_bytes_max",
        "total_bytes_max",
        "ratio_max",
        "ratio_free_bytes",
        "buffer_bytes_max",
        "detections_max",
        "gaps_max",
        "work_max",
        "window_bytes_max",
        "seekable_bytes_max",
    ];

    /// Sets a limit by its name. False when there is none of that name, or it cannot be so large.
    ///
    /// ```
    /// let mut limits = overdue_detect::Limits::default();
    /// assert!(limits.set("archive_depth_max", 12));
    /// assert!(!limits.set("archive_depth_max", 1000) && !limits.set("patience", 1));
    /// ```
    #[must_use]
    pub fn set(&mut self, name: &str, value: u64) -> bool {
        fn put<T: TryFrom<u64>>(slot: &mut T, value: u64) -> bool {
            T::try_from(value).map(|value| *slot = value).is_ok()
        }
        match name {
            "archive_depth_max" => put(&mut self.archive_depth_max, value),
            "decode_depth_max" => put(&mut self.decode_depth_max, value),
            "entries_max" => put(&mut self.entries_max, value),
            "entry_bytes_max" => put(&mut self.entry_bytes_max, value),
            "total_bytes_max" => put(&mut self.total_bytes_max, value),
            "ratio_max" => put(&mut self.ratio_max, value),
            "ratio_free_bytes" => put(&mut self.ratio_free_bytes, value),
            "buffer_bytes_max" => put(&mut self.buffer_bytes_max, value),
            "detections_max" => put(&mut self.detections_max, value),
            "gaps_max" => put(&mut self.gaps_max, value),
            "work_max" => put(&mut self.work_max, value),
            "window_bytes_max" => put(&mut self.window_bytes_max, value),
            "seekable_bytes_max" => put(&mut self.seekable_bytes_max, value),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn every_limit_has_a_name() {
        let mut limits = Limits::default();
        for name in Limits::NAMES {
            assert!(limits.set(name, 7), "{name}");
        }
        // `Debug` tells every field there is, so one that was forgotten keeps its default here.
        let text = format!("{limits:?}");
        assert_eq!(text.matches(": 7").count(), text.matches(": ").count(), "{text}");
        assert_eq!(text.matches(": ").count(), Limits::NAMES.len());
    }
}
