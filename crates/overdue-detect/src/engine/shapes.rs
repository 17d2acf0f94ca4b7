//! Shapes: which places of a block may begin a piece of a literal, asked of all 64 at once.
//!
//! The pieces are parted in 16 groups. For each of a piece's four bytes, each group knows the upper and the lower halves that
//! a byte there may have; a place fits when some group knows all eight halves of its four bytes. That is a question of table
//! look-ups of 16 entries, which processors answer for many bytes at once, and it lets pass what mixes two pieces of a
//! group: about one place in thirty of ordinary text. The groups are chosen to keep that low.

/// Bytes of a piece that are looked at.
pub(crate) const PIECE: usize = 4;
/// Groups of pieces, eight for each set of tables.
const GROUPS: usize = 16;
/// How often each piece is given another group if that one is better.
const ROUNDS: usize = 2;

/// For each byte of a piece and each half of it, the groups that know it: the first eight, then the others.
pub(crate) struct Shapes {
    /// By place in the piece and set of groups: for lower halves and for upper ones. Written twice, for 32 bytes at a time.
    pub(crate) halves: [[[[u8; 32]; 2]; 2]; PIECE],
    /// The same for whole bytes.
    pub(crate) bytes: Box<[[u16; 256]; PIECE]>,
}

/// Which lower and which upper halves a byte may have.
#[derive(Clone, Copy, Default)]
struct Halves {
    low: u16,
    high: u16,
}

type Group = [Halves; PIECE];

impl Shapes {
    /// Shapes that fit all of `pieces`, in any case. What a piece of fewer bytes lacks may be anything.
    pub(crate) fn new(pieces: &[&[u8]]) -> Self {
        let odds = Odds::new();
        let groups = grouped(pieces, &odds);
        let mut halves = [[[[0; 32]; 2]; 2]; PIECE];
        let mut bytes = Box::new([[0; 256]; PIECE]);
        for (index, group) in groups.iter().enumerate() {
            for (place, known) in group.iter().enumerate() {
                for half in 0..32 {
                    let [low, high] = &mut halves[place][index / 8];
                    low[half] |= u8::from(known.low >> (half % 16) & 1 != 0) << (index % 8);
                    high[half] |= u8::from(known.high >> (half % 16) & 1 != 0) << (index % 8);
                }
                for byte in 0..256 {
                    bytes[place][byte] |= (known.low >> (byte & 15) & known.high >> (byte >> 4) & 1) << index;
                }
            }
        }
        Self { halves, bytes }
    }
}

/// The pieces parted in groups, each told as what its members have in common.
fn grouped(pieces: &[&[u8]], odds: &Odds) -> [Group; GROUPS] {
    let shapes: Vec<Group> = pieces.iter().map(|piece| shape_of(piece)).collect();
    let mut group_of: Vec<Option<usize>> = vec![None; shapes.len()];
    let mut groups = [Group::default(); GROUPS];
    for _ in 0..ROUNDS {
        for (index, shape) in shapes.iter().enumerate() {
            if let Some(old) = group_of[index].take() {
                let members = group_of.iter().zip(&shapes).filter(|(group, _)| **group == Some(old));
                groups[old] = members.fold(Group::default(), |group, (_, shape)| united(&group, shape));
            }
            let dearer = |group: &Group| odds.of(&united(group, shape)) - odds.of(group);
            let best = (0..GROUPS).min_by(|&a, &b| dearer(&groups[a]).total_cmp(&dearer(&groups[b]))).unwrap_or(0);
            groups[best] = united(&groups[best], shape);
            group_of[index] = Some(best);
        }
    }
    groups
}

fn shape_of(piece: &[u8]) -> Group {
    let mut shape = [Halves { low: !0, high: !0 }; PIECE];
    for (known, byte) in shape.iter_mut().zip(piece) {
        *known = Halves::default();
        for byte in [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()] {
            known.low |= 1 << (byte & 15);
            known.high |= 1 << (byte >> 4);
        }
    }
    shape
}

fn united(a: &Group, b: &Group) -> Group {
    std::array::from_fn(|place| Halves { low: a[place].low | b[place].low, high: a[place].high | b[place].high })
}

/// How often bytes occur in text and code.
struct Odds {
    /// By upper half and by which of the lower halves 0 to 7, or 8 to 15: the share of such bytes.
    sums: Vec<[[f32; 256]; 2]>,
}

impl Odds {
    /// Of ten thousand bytes of source and documentation, how many are each of 0x20 to 0x7f. Measured over 12 MB.
    const SHARES: [u16; 96] = [
        2263, 8, 157, 22, 3, 2, 11, 25, 108, 108, 23, 8, 147, 41, 100, 73, 51, 45, 48, 38, 24, 21, 21, 15, 20, 15, 221, 32, 19, 70, 33, 3,
        1, 36, 13, 30, 24, 40, 17, 13, 7, 34, 1, 7, 21, 17, 29, 25, 26, 2, 31, 49, 38, 13, 9, 8, 4, 5, 3, 30, 7, 30, 1, 178, 25, 351, 84,
        209, 182, 660, 149, 93, 100, 349, 9, 32, 221, 150, 338, 331, 186, 15, 376, 374, 491, 189, 45, 43, 46, 79, 12, 30, 5, 30, 1, 0,
    ];

    fn new() -> Self {
        let share = |byte: usize| byte.checked_sub(0x20).and_then(|at| Self::SHARES.get(at)).map_or(1e-4, |&share| f32::from(share) / 1e4);
        let sum = |high: usize, half: usize, known: usize| {
            (0..8).filter(|bit| known >> bit & 1 != 0).map(|bit| share(high << 4 | half << 3 | bit)).sum()
        };
        let sums = (0..16).map(|high| [0, 1].map(|half| std::array::from_fn(|known| sum(high, half, known)))).collect();
        Self { sums }
    }

    /// How often four bytes fit the group, as if each came by itself.
    fn of(&self, group: &Group) -> f32 {
        group.iter().map(|known| self.of_one(*known)).product()
    }

    fn of_one(&self, known: Halves) -> f32 {
        let [low, high] = known.low.to_le_bytes().map(usize::from);
        (0..16).filter(|half| known.high >> half & 1 != 0).map(|half| self.sums[half][0][low] + self.sums[half][1][high]).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::blocks::{Anywhere, BLOCK, Looker, Pass, Window, pass};
    use crate::rules::generator::Random;

    struct Fits<'a>(&'a Window, &'a Shapes);

    impl Pass for Fits<'_> {
        type Outcome = u64;
        #[inline(always)]
        fn over(self, look: impl Looker) -> u64 {
            look.pieces(self.0, self.1)
        }
    }

    #[test]
    fn every_piece_fits_wherever_it_stands_on_any_processor() {
        let mut random = Random::new("shapes", 1);
        for count in [0, 1, 5, 150, 600] {
            let pieces: Vec<Vec<u8>> =
                (0..count).map(|_| (0..3 + random.below(2)).map(|_| b"abcdeknopqst_-.:/9"[random.below(18)]).collect()).collect();
            let shapes = Shapes::new(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>());
            for _ in 0..200 {
                let mut window: Window = std::array::from_fn(|_| random.below(256) as u8);
                let at = random.below(BLOCK);
                let piece = if count == 0 { b"" } else { pieces[random.below(count)].as_slice() };
                window[at..at + piece.len()].copy_from_slice(piece);
                if random.below(2) == 0 {
                    window[at..at + piece.len()].make_ascii_uppercase();
                }
                let fits = Fits(&window, &shapes).over(Anywhere);
                assert_eq!(pass(Fits(&window, &shapes)), fits, "as this processor does it");
                assert!(if count == 0 { fits == 0 } else { fits >> at & 1 != 0 });
            }
        }
    }

    #[test]
    fn little_else_fits() {
        let words: Vec<&[u8]> =
            "pass toke secr cred auth gith atla vaul dog_ flar roku mail stri ovh zoom".split(' ').map(str::as_bytes).collect();
        let shapes = Shapes::new(&words);
        let text = b"the quick brown fox jumps over the lazy dog, while let Some(next) = iterator.next() { sum += next; } // and on";
        let mut fits = 0;
        for window in text.windows(size_of::<Window>()) {
            fits += (Fits(window.first_chunk().expect("a window"), &shapes).over(Anywhere) & 1) as usize;
        }
        assert!(fits <= 1, "{fits}");
    }
}
