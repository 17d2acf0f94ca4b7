//! Blocks: 64 bytes looked at together, with what each of them is told in the bits of a word.
//!
//! A [`Pass`] over a text is written once and compiled twice: for any processor, and for those with AVX2, which compare 32
//! bytes at a time. Which of the two runs is asked of the processor; both give the same answers.
//!
//! This file holds the only `unsafe` of the crate, in two places: the call into what was compiled for a processor with AVX2,
//! once the processor said that it has it, and the load of 32 bytes from an array of 32.

use super::shapes::{PIECE, Shapes};

/// Bytes in a block.
pub(crate) const BLOCK: usize = 64;
/// What is read ahead of a block, so that pieces that begin in it are seen whole.
const AHEAD: usize = 16;

/// A block and the bytes after it that belong to pieces that begin in it.
pub(crate) type Window = [u8; BLOCK + AHEAD];

/// What the bytes of a block are; bit 0 is the first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Masks {
    /// Letters, digits and `_`.
    pub(crate) word: u64,
    /// What most tokens consist of: those, `-` and `.`.
    pub(crate) token: u64,
    /// What an escape begins with: `\` and `%`.
    pub(crate) mark: u64,
}

/// A letter, a digit, `_`, `-` or `.`.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// One byte each, 1 for those that belong to a class. Written so that a compiler compares many at a time.
type Flags = [u8; BLOCK];

#[inline(always)]
fn within(byte: u8, low: u8, count: u8) -> u8 {
    u8::from(byte.wrapping_sub(low) < count)
}

#[inline(always)]
fn alphanumeric(byte: u8) -> u8 {
    within(byte | 0x20, b'a', 26) | within(byte, b'0', 10)
}

/// The flags as bits: of eight bytes at a time, by a product that brings each one's lowest bit to the top.
#[inline(always)]
fn bits(flags: &Flags) -> u64 {
    let mut all = 0;
    let (eights, _) = flags.as_chunks::<8>();
    for (at, eight) in eights.iter().enumerate() {
        all |= u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56 << (8 * at);
    }
    all
}

/// What the bytes of a block are.
#[inline(always)]
pub(crate) fn masks(block: &[u8; BLOCK]) -> Masks {
    let (mut word, mut token, mut mark) = ([0; BLOCK], [0; BLOCK], [0; BLOCK]);
    for at in 0..BLOCK {
        let byte = block[at];
        word[at] = alphanumeric(byte) | within(byte, b'_', 1);
        token[at] = word[at] | within(byte, b'-', 2);
        mark[at] = within(byte, b'\\', 1) | within(byte, b'%', 1);
    }
    Masks { word: bits(&word), token: bits(&token), mark: bits(&mark) }
}

/// Which bytes of a block may belong to base64 of either alphabet.
#[inline(always)]
pub(crate) fn base64(block: &[u8; BLOCK]) -> u64 {
    let mut flags = [0; BLOCK];
    for at in 0..BLOCK {
        let byte = block[at];
        flags[at] = alphanumeric(byte) | within(byte, b'+', 1) | within(byte, b'/', 1) | within(byte, b'-', 1) | within(byte, b'_', 1);
    }
    bits(&flags)
}

/// A way to look at blocks.
pub(crate) trait Looker: Copy {
    /// What the bytes of a block are.
    fn masks(self, block: &[u8; BLOCK]) -> Masks;
    /// Which bytes of a block may belong to base64 of either alphabet.
    fn base64(self, block: &[u8; BLOCK]) -> u64;
    /// At which places of the window's block a piece may begin.
    fn pieces(self, window: &Window, shapes: &Shapes) -> u64;
}

/// Works on any processor.
#[derive(Clone, Copy)]
pub(crate) struct Anywhere;

impl Looker for Anywhere {
    #[inline(always)]
    fn masks(self, block: &[u8; BLOCK]) -> Masks {
        masks(block)
    }
    #[inline(always)]
    fn base64(self, block: &[u8; BLOCK]) -> u64 {
        base64(block)
    }
    #[inline(always)]
    fn pieces(self, window: &Window, shapes: &Shapes) -> u64 {
        let mut bits = 0;
        for at in 0..BLOCK {
            let groups = (0..PIECE).fold(!0, |groups, place| groups & shapes.bytes[place][usize::from(window[at + place])]);
            bits |= u64::from(groups != 0) << at;
        }
        bits
    }
}

/// One pass over a text. Its `over` is `inline(always)`, so that it is compiled for the processor it runs on.
pub(crate) trait Pass {
    type Outcome;
    fn over(self, look: impl Looker) -> Self::Outcome;
}

/// Makes a pass, in the way this processor does it best.
#[inline]
#[expect(unsafe_code, reason = "what is compiled for a processor can only be called so")]
pub(crate) fn pass<P: Pass>(pass: P) -> P::Outcome {
    #[cfg(target_arch = "x86_64")]
    if avx2::is_here() {
        // SAFETY: `is_here` has asked the processor for all that `avx2::over` was compiled for.
        return unsafe { avx2::over(pass) };
    }
    pass.over(Anywhere)
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256,
        _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_sub_epi8,
    };

    use super::{BLOCK, Looker, Masks, PIECE, Pass, Shapes, Window};

    pub(super) fn is_here() -> bool {
        std::arch::is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2")
    }

    #[target_feature(enable = "avx2,bmi1,bmi2")]
    pub(super) fn over<P: Pass>(pass: P) -> P::Outcome {
        pass.over(These {
            masks: |block: &[u8; BLOCK]| masks(block),
            base64: |block: &[u8; BLOCK]| base64(block),
            pieces: |window: &Window, shapes: &Shapes| pieces(window, shapes),
        })
    }

    /// Functions that may be called here only, as one looker.
    #[derive(Clone, Copy)]
    struct These<M, B, P> {
        masks: M,
        base64: B,
        pieces: P,
    }

    impl<M, B, P> Looker for These<M, B, P>
    where
        M: Fn(&[u8; BLOCK]) -> Masks + Copy,
        B: Fn(&[u8; BLOCK]) -> u64 + Copy,
        P: Fn(&Window, &Shapes) -> u64 + Copy,
    {
        #[inline(always)]
        fn masks(self, block: &[u8; BLOCK]) -> Masks {
            (self.masks)(block)
        }
        #[inline(always)]
        fn base64(self, block: &[u8; BLOCK]) -> u64 {
            (self.base64)(block)
        }
        #[inline(always)]
        fn pieces(self, window: &Window, shapes: &Shapes) -> u64 {
            (self.pieces)(window, shapes)
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn halves(block: &[u8; BLOCK]) -> [__m256i; 2] {
        let (halves, _) = block.as_chunks::<32>();
        [load(&halves[0]), load(&halves[1])]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    #[expect(unsafe_code, reason = "a load is from where a pointer points")]
    fn load(bytes: &[u8; 32]) -> __m256i {
        // SAFETY: there are 32 bytes to read, and this load needs no alignment.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn pieces(window: &Window, shapes: &Shapes) -> u64 {
        let mut fits = [[_mm256_set1_epi8(-1); 2]; 2];
        let nibble = _mm256_set1_epi8(15);
        for place in 0..PIECE {
            let here = [0, 32].map(|half| load(window[half + place..].first_chunk().unwrap_or(&[0; 32])));
            let low = here.map(|bytes| _mm256_and_si256(bytes, nibble));
            let high = here.map(|bytes| _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble));
            for (set, [of_low, of_high]) in shapes.halves[place].iter().enumerate() {
                let (of_low, of_high) = (load(of_low), load(of_high));
                for half in 0..2 {
                    let known = _mm256_and_si256(_mm256_shuffle_epi8(of_low, low[half]), _mm256_shuffle_epi8(of_high, high[half]));
                    fits[set][half] = _mm256_and_si256(fits[set][half], known);
                }
            }
        }
        let none = |half: usize| _mm256_cmpeq_epi8(_mm256_or_si256(fits[0][half], fits[1][half]), _mm256_setzero_si256());
        !bits([none(0), none(1)])
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn equal(bytes: __m256i, byte: u8) -> __m256i {
        _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8))
    }

    /// Which bytes are at least `low` and less than `low + count`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn within(bytes: __m256i, low: u8, count: u8) -> __m256i {
        let above = _mm256_sub_epi8(bytes, _mm256_set1_epi8(low as i8));
        _mm256_cmpeq_epi8(_mm256_min_epu8(above, _mm256_set1_epi8((count - 1) as i8)), above)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn alphanumeric(bytes: __m256i) -> __m256i {
        let letters = within(_mm256_or_si256(bytes, _mm256_set1_epi8(0x20)), b'a', 26);
        _mm256_or_si256(letters, within(bytes, b'0', 10))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn bits([low, high]: [__m256i; 2]) -> u64 {
        let bits = |mask| u64::from(_mm256_movemask_epi8(mask) as u32);
        bits(low) | bits(high) << 32
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn masks(block: &[u8; BLOCK]) -> Masks {
        let halves = halves(block);
        let word = halves.map(|bytes| _mm256_or_si256(alphanumeric(bytes), equal(bytes, b'_')));
        let signs = halves.map(|bytes| within(bytes, b'-', 2));
        let token = [_mm256_or_si256(word[0], signs[0]), _mm256_or_si256(word[1], signs[1])];
        let mark = halves.map(|bytes| _mm256_or_si256(equal(bytes, b'\\'), equal(bytes, b'%')));
        Masks { word: bits(word), token: bits(token), mark: bits(mark) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn base64(block: &[u8; BLOCK]) -> u64 {
        bits(halves(block).map(|bytes| {
            let signs = _mm256_or_si256(equal(bytes, b'+'), equal(bytes, b'/'));
            let others = _mm256_or_si256(equal(bytes, b'-'), equal(bytes, b'_'));
            _mm256_or_si256(alphanumeric(bytes), _mm256_or_si256(signs, others))
        }))
    }
}

/// Whether base64 of either alphabet consists of such bytes.
pub(crate) const fn is_base64_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// The block at `at`, with zeros for what lies behind the end.
#[inline(always)]
fn block_at<'a>(buf: &'a [u8], at: usize, spare: &'a mut [u8; BLOCK]) -> &'a [u8; BLOCK] {
    match buf.get(at..).and_then(<[u8]>::first_chunk) {
        Some(block) => block,
        None => {
            let rest = buf.get(at..).unwrap_or_default();
            spare.fill(0);
            spare[..rest.len()].copy_from_slice(rest);
            spare
        }
    }
}

/// The first run of base64 characters at or after `from` that has at least `least` of them, which is at most 64: where it
/// begins, `from` being the earliest, and where it ends, or where it is longer than `most`. Runs that begin at `limit` or later
/// are not looked for.
pub(crate) fn base64_run(buf: &[u8], from: usize, limit: usize, least: usize, most: usize) -> Option<(usize, usize)> {
    debug_assert!((1..=BLOCK).contains(&least));
    pass(Base64Run { buf, from, limit, least, most })
}

struct Base64Run<'a> {
    buf: &'a [u8],
    from: usize,
    limit: usize,
    least: usize,
    most: usize,
}

impl Pass for Base64Run<'_> {
    type Outcome = Option<(usize, usize)>;

    #[inline(always)]
    fn over(self, look: impl Looker) -> Self::Outcome {
        let Self { buf, from, limit, least, most } = self;
        let mut spare = [0; BLOCK];
        // Where the run begins that reaches up to `at`.
        let mut start = from;
        let mut at = from;
        while start < limit && at < buf.len() {
            let class = look.base64(block_at(buf, at, &mut spare));
            let leading = class.trailing_ones() as usize;
            if leading == BLOCK {
                at += BLOCK;
                if at - start > most {
                    return Some((start, at));
                }
                continue;
            }
            if at + leading - start >= least {
                return Some((start, at + leading));
            }
            // Which bits have `least` ones from there on.
            let mut long = class;
            let mut length = 1;
            while length < least {
                let step = length.min(least - length);
                long &= long >> step;
                length += step;
            }
            if long != 0 {
                let begin = at + long.trailing_zeros() as usize;
                if begin >= limit {
                    return None;
                }
                let inside = (class >> (begin - at)).trailing_ones() as usize;
                if begin + inside < at + BLOCK {
                    return Some((begin, begin + inside));
                }
                start = begin;
            } else {
                start = at + BLOCK - class.leading_ones() as usize;
            }
            at += BLOCK;
        }
        let end = at.min(buf.len());
        (start < limit && end >= start + least).then_some((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::generator::Random;

    fn soup(random: &mut Random, length: usize, letters: &[u8]) -> Vec<u8> {
        (0..length).map(|_| if random.below(9) == 0 { random.below(256) as u8 } else { letters[random.below(letters.len())] }).collect()
    }

    #[test]
    fn bits_are_those_that_asking_each_byte_gives() {
        let mut random = Random::new("blocks", 1);
        let bits = |block: &[u8; BLOCK], is: &dyn Fn(u8) -> bool| -> u64 {
            block.iter().enumerate().fold(0, |bits, (at, &byte)| bits | u64::from(is(byte)) << at)
        };
        for round in 0..2000usize {
            let mut block = soup(&mut random, BLOCK, b"aZ09_-.%\\+/@[`{^ ");
            block[round % BLOCK] = (round % 256) as u8;
            let block = block.first_chunk().expect("a block");
            let expected = Masks {
                word: bits(block, &crate::engine::boundary::is_word),
                token: bits(block, &is_token_byte),
                mark: bits(block, &|byte| matches!(byte, b'\\' | b'%')),
            };
            struct Both<'a>(&'a [u8; BLOCK]);
            impl Pass for Both<'_> {
                type Outcome = (Masks, u64);
                #[inline(always)]
                fn over(self, look: impl Looker) -> Self::Outcome {
                    (look.masks(self.0), look.base64(self.0))
                }
            }
            let expected = (expected, bits(block, &is_base64_byte));
            assert_eq!(Both(block).over(Anywhere), expected);
            assert_eq!(pass(Both(block)), expected, "as this processor does it");
        }
    }

    #[test]
    fn runs_are_those_that_counting_finds() {
        let mut random = Random::new("runs", 1);
        for round in 0..4000 {
            let mut text = soup(&mut random, round % 300, b"abcdefgh+/-_0189");
            if round % 3 == 0 {
                text.iter_mut().for_each(|byte| *byte = if *byte < 8 { b' ' } else { b'a' });
            }
            let (from, limit) = (random.below(20).min(text.len()), random.below(400));
            for least in [1, 16, 24, 64] {
                let mut expected = None;
                let mut start = from;
                while start < text.len() && start < limit {
                    let length = text[start..].iter().take_while(|&&byte| is_base64_byte(byte)).count();
                    if length >= least {
                        expected = Some((start, start + length));
                        break;
                    }
                    start += length + 1;
                }
                assert_eq!(base64_run(&text, from, limit, least, 1 << 20), expected, "{from} {limit} {least} {text:?}");
            }
        }
    }
}
