//! Sets of object ids that are asked millions of times: by every entry of every tree.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};

use gix_hash::{ObjectId, oid};

/// Ids, each perhaps with a number beside it, by their first 96 bits and that number.
///
/// Two ids that agree in 96 bits are taken for one. Among digests that does not happen; a forged database can arrange it,
/// and then hides from us where its own objects stand, nothing else.
pub(super) struct IdSet(HashSet<u128, Mixer>);

impl IdSet {
    pub(super) fn new() -> Self {
        Self(HashSet::with_hasher(Mixer::new()))
    }

    /// Adds an id; true if it was not there.
    pub(super) fn insert(&mut self, id: &oid, beside: u32) -> bool {
        let mut bytes = [0; 16];
        bytes[..12].copy_from_slice(&id.as_bytes()[..12]);
        bytes[12..].copy_from_slice(&beside.to_le_bytes());
        self.0.insert(u128::from_le_bytes(bytes))
    }

    pub(super) fn clear(&mut self) {
        self.0 = HashSet::with_hasher(Mixer::new());
    }
}

/// A few ids that nearly everything is compared with in vain.
pub(super) struct Wanted<'a> {
    ids: &'a HashSet<ObjectId>,
    /// A bit for each beginning of two bytes.
    beginnings: Box<[u64; 1024]>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(ids: &'a HashSet<ObjectId>) -> Self {
        let mut beginnings = Box::new([0; 1024]);
        for id in ids {
            let (word, bit) = Self::place(id);
            beginnings[word] |= 1 << bit;
        }
        Self { ids, beginnings }
    }

    fn place(id: &oid) -> (usize, u32) {
        let bytes = id.as_bytes();
        (usize::from(bytes[0]) << 2 | usize::from(bytes[1] >> 6), u32::from(bytes[1] & 63))
    }

    pub(super) fn contains(&self, id: &oid) -> bool {
        let (word, bit) = Self::place(id);
        self.beginnings[word] >> bit & 1 == 1 && self.ids.contains(id)
    }
}

/// Hashes ids, which are digests already, by one multiplication with keys that nobody outside knows.
#[derive(Clone)]
struct Mixer {
    keys: (u64, u64),
}

impl Mixer {
    fn new() -> Self {
        let random = RandomState::new();
        Self { keys: (random.hash_one(1), random.hash_one(2) | 1) }
    }
}

impl BuildHasher for Mixer {
    type Hasher = Mixing;
    fn build_hasher(&self) -> Mixing {
        Mixing { keys: self.keys, state: 0 }
    }
}

struct Mixing {
    keys: (u64, u64),
    state: u64,
}

impl Hasher for Mixing {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u128(u128::from(byte));
        }
    }

    fn write_u128(&mut self, value: u128) {
        let (low, high) = (value as u64, (value >> 64) as u64);
        let product = u128::from(low ^ self.state ^ self.keys.0) * u128::from(high ^ self.keys.1);
        self.state = (product as u64) ^ (product >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        let ids: Vec<ObjectId> = (0..5_000_u32)
            .map(|number| {
                let mut bytes = [0; 20];
                bytes[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_le_bytes());
                ObjectId::Sha1(bytes)
            })
            .collect();
        let mut set = IdSet::new();
        assert!(ids.iter().all(|id| set.insert(id, 7)));
        assert!(ids.iter().all(|id| !set.insert(id, 7) && set.insert(id, 8)));
        set.clear();
        assert!(set.insert(&ids[0], 7));
        let few: HashSet<ObjectId> = ids.iter().step_by(100).copied().collect();
        let wanted = Wanted::new(&few);
        assert!(ids.iter().all(|id| wanted.contains(id) == few.contains(id)));
    }
}
