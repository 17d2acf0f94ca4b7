//! Markers beside a secret: `gitleaks:allow`, `overdue:allow` and their kin.
//!
//! A marker allows what is found on its own line; of a find of several lines, such as a private key, on any of them. It
//! counts wherever it stands on the line, in a comment or not, but not inside the secret. Nothing is hidden by one: what
//! it allows is listed as allowed, and a marker that allows nothing can be listed as unused.

use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;

use crate::engine::Found;
use crate::engine::lines::Lines;

/// What is taken for a marker, in any case of letters. Ours is first.
pub(crate) const MARKERS: [&str; 6] =
    ["overdue:allow", "gitleaks:allow", "betterleaks:allow", "trufflehog:ignore", "kingfisher:ignore", "pragma: allowlist secret"];
/// The longest of them.
const MARKER_BYTES_MAX: usize = 24;

/// How far before a find its line is looked at. A line that is longer is looked at that far.
const LINE_BEFORE_MAX: usize = 4 << 10;
/// How far after the beginning of a find its line, or its last line, is looked at.
const LINE_AFTER_MAX: usize = 16 << 10;
/// A reason is a sentence.
const REASON_BYTES_MAX: usize = 120;
/// A longer word in a reason is no word, and is not repeated.
const WORD_BYTES_MAX: usize = 20;
/// Unused markers kept of one text; a file with more of them has a habit.
const UNUSED_MAX: usize = 1_000;

/// A marker that stands on a find's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) kind: &'static str,
    pub(crate) reason: Option<String>,
}

/// A marker on a line on which nothing was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnusedMarker {
    /// Path inside the artifact; empty for the artifact itself.
    pub path: String,
    /// Line, from 1.
    pub line: u32,
    /// Which: `gitleaks:allow`.
    pub marker: &'static str,
}

fn automaton() -> Option<&'static AhoCorasick> {
    static AUTOMATON: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    AUTOMATON.get_or_init(|| AhoCorasick::builder().ascii_case_insensitive(true).build(MARKERS).ok()).as_ref()
}

fn is_end_of_line(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The lines on which a find stands, without the last one's end.
pub(crate) fn lines_of(buf: &[u8], at: usize, start: usize, end: usize) -> Range<usize> {
    let first = at.min(start).min(buf.len());
    let floor = first.saturating_sub(LINE_BEFORE_MAX);
    let begin = buf[floor..first].iter().rposition(|&byte| is_end_of_line(byte)).map_or(floor, |found| floor + found + 1);
    let ceiling = (start + LINE_AFTER_MAX).min(buf.len());
    let last = end.max(at).clamp(first, ceiling);
    let finish = buf[last..ceiling].iter().position(|&byte| is_end_of_line(byte)).map_or(ceiling, |found| last + found);
    begin..finish
}

/// Notes beside each new find on which lines it stands, and the marker that stands there.
pub(crate) fn mark(buf: &[u8], base: u64, fresh: &mut [Found]) {
    let Some(automaton) = automaton() else { return };
    let places: Vec<Range<usize>> = fresh.iter().map(|find| at_hand(find.start, base)..at_hand(find.end, base)).collect();
    for (find, own) in fresh.iter_mut().zip(&places) {
        let lines = lines_of(buf, at_hand(find.at, base), own.start, own.end);
        find.judged.lines = base + lines.start as u64..base + lines.end as u64;
        if find.judged.marker.is_some() {
            continue;
        }
        let marker = automaton
            .find_iter(&buf[lines.clone()])
            .map(|hit| (hit.pattern().as_usize(), lines.start + hit.start()..lines.start + hit.end()))
            .find(|(_, hit)| hit.end <= own.start || hit.start >= own.end);
        if let Some((kind, hit)) = marker {
            // Only our own has a reason, and no secret is taken for a part of it.
            let end = places.iter().map(|place| place.start).filter(|&start| start >= hit.end).chain([lines.end]).min().unwrap_or(hit.end);
            let reason = if kind == 0 { reason(&buf[hit.end..end.max(hit.end)]) } else { None };
            find.judged.marker = Some(Marker { kind: MARKERS[kind], reason });
        }
    }
}

fn at_hand(at: u64, base: u64) -> usize {
    at.saturating_sub(base) as usize
}

/// The words after a marker. They end where something begins that is not prose: an `=`, a quote, a bracket, the end of a
/// comment. What is too long for a word is left out, since it may be anything.
fn reason(after: &[u8]) -> Option<String> {
    let line = after.split(|&byte| is_end_of_line(byte)).next().unwrap_or(after);
    let text = String::from_utf8_lossy(&line[..line.len().min(REASON_BYTES_MAX)]);
    let text = text.trim_start_matches([':', '-', '–', '—', ' ', '\t', '(', ',']);
    let end = text.find(|c: char| !(c.is_alphanumeric() || " .,;'/()#_-–—".contains(c))).unwrap_or(text.len());
    let words: Vec<&str> = text[..end].split_whitespace().map(|word| if word.len() > WORD_BYTES_MAX { "…" } else { word }).collect();
    let reason = words.join(" ");
    let reason = reason.trim_end_matches(['-', '–', '—', '/', '#', ' ', '(', ',', ';']);
    (!reason.is_empty()).then(|| reason.to_owned())
}

/// All markers of a text as it passes by, to tell the unused ones at its end.
#[derive(Default)]
pub(crate) struct Seen {
    markers: Vec<(u64, u32, &'static str)>,
}

impl Seen {
    /// Looks at the markers that begin in `from..to`. `lines` are counted up to the beginning of `buf`.
    pub(crate) fn look(&mut self, buf: &[u8], base: u64, from: usize, to: usize, mut lines: Lines) {
        let Some(automaton) = automaton() else { return };
        let end = (to + MARKER_BYTES_MAX).min(buf.len());
        // Few texts have any, and this is as fast as memory; one written in capitals is honoured and not told as unused.
        let stems: [&[u8]; 3] = [b":allow", b":ignore", b"allowlist"];
        if !stems.iter().any(|stem| memchr::memmem::find(&buf[from..end], stem).is_some()) {
            return;
        }
        for hit in automaton.find_iter(&buf[from..end]).filter(|hit| from + hit.start() < to) {
            if self.markers.len() >= UNUSED_MAX {
                return;
            }
            let at = from + hit.start();
            lines.advance(&buf[at_hand(lines.at(), base)..at]);
            self.markers.push((base + at as u64, lines.here().0, MARKERS[hit.pattern().as_usize()]));
        }
    }

    /// The markers on no find's lines.
    pub(crate) fn unused(self, path: &str, finds: &[Found]) -> Vec<UnusedMarker> {
        self.markers
            .into_iter()
            .filter(|(at, _, _)| !finds.iter().any(|find| find.judged.lines.contains(at)))
            .map(|(_, line, marker)| UnusedMarker { path: path.to_owned(), line, marker })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_find() {
        let text = b"one\ntwo x three\r\nfour\nfive";
        let line = |at, start, end| String::from_utf8_lossy(&text[lines_of(text, at, start, end)]).into_owned();
        assert_eq!(line(8, 8, 9), "two x three");
        assert_eq!(line(0, 0, 3), "one");
        assert_eq!(line(22, 22, 26), "five");
        assert_eq!(line(8, 8, 19), "two x three\r\nfour", "a find of two lines");
        assert_eq!(line(0, 8, 9), "one\ntwo x three", "an id above its secret");
        let long = [b'a'; 40_000];
        let lines = lines_of(&long, 20_000, 20_000, 20_040);
        assert_eq!((lines.start, lines.end), (20_000 - LINE_BEFORE_MAX, 20_000 + LINE_AFTER_MAX));
    }

    #[test]
    fn a_reason_is_prose_and_nothing_else() {
        for (after, expected) in [
            (" made up for the tests", Some("made up for the tests")),
            (": fixture, see docs/testing.md #12", Some("fixture, see docs/testing.md #12")),
            (" — rotated in May -->", Some("rotated in May")),
            (" fixture */ key = \"x\"", Some("fixture")),
            (" password=hunter2", Some("password")),
            (" 0123456789abcdef0123456789abcdef rotated", Some("… rotated")),
            ("\nnext line", None),
            ("", None),
            (" \" + key", None),
        ] {
            assert_eq!(reason(after.as_bytes()).as_deref(), expected, "{after}");
        }
    }

    #[test]
    fn the_longest_marker_is_known() {
        assert_eq!(MARKERS.iter().map(|marker| marker.len()).max(), Some(MARKER_BYTES_MAX));
    }
}
