//! For each key the offset of its last record, in memory of fixed size.
//!
//! A slot is a key's fingerprint and an offset, 24 bytes, whatever the key's length; slots are probed one behind the other.
//! Invariants: no more memory than was given, no more keys than the load factor allows; a key's offset only rises. The slots lie
//! in pieces that are made when they are first touched and given back a few at a time, so that no step pays for all of them.

use alloc::vec::Vec;

use super::key_hash::{HashKey, fingerprint};
use crate::Offset;

/// Slots of a piece: three quarters of a megabyte.
const PIECE_SLOTS: usize = 1 << 15;
/// Bytes of a slot.
const SLOT_BYTES: usize = size_of::<Slot>();

/// The fingerprint's halves, and the offset plus one: zero is a free slot.
type Slot = [u64; 3];

/// The map.
#[derive(Debug)]
pub(crate) struct KeyMap {
    hash_key: HashKey,
    slots: usize,
    keys: usize,
    keys_max: usize,
    pieces: Vec<Vec<Slot>>,
}

impl KeyMap {
    /// A map of at most `bytes`, no larger than `records` of them could need.
    pub(crate) fn new(hash_key: HashKey, bytes: usize, load_factor_ppm: u32, records: u64) -> Self {
        let load = u64::from(load_factor_ppm.clamp(1, 1_000_000));
        let needed = records.saturating_mul(1_000_000) / load + 1;
        let slots = (bytes / SLOT_BYTES).min(usize::try_from(needed).unwrap_or(usize::MAX)).max(2);
        let keys_max = usize::try_from(slots as u64 * load / 1_000_000).unwrap_or(slots);
        // One slot is always free, or a search would not end.
        let keys_max = keys_max.clamp(1, slots - 1);
        let pieces = core::iter::repeat_with(Vec::new).take(slots.div_ceil(PIECE_SLOTS)).collect();
        Self { hash_key, slots, keys: 0, keys_max, pieces }
    }

    /// Note a record; later ones of a key have higher offsets. Whether there was room.
    pub(crate) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = fingerprint(&self.hash_key, key);
        let value = offset.0.unsigned_abs() + 1;
        let mut place = self.first_place(hash);
        loop {
            let piece = &mut self.pieces[place / PIECE_SLOTS];
            if piece.is_empty() {
                piece.resize(PIECE_SLOTS.min(self.slots - place / PIECE_SLOTS * PIECE_SLOTS), [0; 3]);
            }
            let slot = &mut piece[place % PIECE_SLOTS];
            if slot[2] == 0 {
                if self.keys == self.keys_max {
                    return false;
                }
                *slot = [hash[0], hash[1], value];
                self.keys += 1;
                return true;
            }
            if slot[..2] == hash {
                slot[2] = slot[2].max(value);
                return true;
            }
            place = self.place_after(place);
        }
    }

    /// The offset of the key's last record, if it was put.
    pub(crate) fn latest(&self, key: &[u8]) -> Option<Offset> {
        let hash = fingerprint(&self.hash_key, key);
        let mut place = self.first_place(hash);
        loop {
            let slot = self.pieces[place / PIECE_SLOTS].get(place % PIECE_SLOTS)?;
            if slot[2] == 0 {
                return None;
            }
            if slot[..2] == hash {
                return Some(Offset(i64::try_from(slot[2] - 1).unwrap_or(i64::MAX)));
            }
            place = self.place_after(place);
        }
    }

    /// Give some of the memory back; the map is of no use afterwards. Whether all of it is given back.
    pub(crate) fn free_some(&mut self, pieces: usize) -> bool {
        let keep = self.pieces.len().saturating_sub(pieces);
        self.pieces.truncate(keep);
        keep == 0
    }

    fn first_place(&self, hash: [u64; 2]) -> usize {
        usize::try_from(hash[0] % self.slots as u64).expect("less than the number of slots")
    }

    const fn place_after(&self, place: usize) -> usize {
        if place + 1 == self.slots { 0 } else { place + 1 }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    extern crate std;

    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    use super::*;

    const HASH_KEY: HashKey = *b"0123456789abcdef";

    #[test]
    fn takes_no_more_memory_and_no_more_keys_than_allowed() {
        let bytes = 10 << 20;
        let mut map = KeyMap::new(HASH_KEY, bytes, 900_000, u64::MAX);
        let mut keys = 0u64;
        while map.put(&keys.to_be_bytes(), Offset(keys as i64)) {
            keys += 1;
        }
        assert_eq!(keys, (bytes / SLOT_BYTES) as u64 * 9 / 10);
        let taken: usize = map.pieces.iter().map(|piece| piece.capacity() * SLOT_BYTES).sum();
        assert!(taken <= bytes, "{taken}");
        assert!(map.put(&0u64.to_be_bytes(), Offset(1 << 40)), "a key that is there needs no room");
        for key in 1..keys {
            assert_eq!(map.latest(&key.to_be_bytes()), Some(Offset(key as i64)));
        }
        assert_eq!(map.latest(&keys.to_be_bytes()), None);
        assert!(!map.free_some(3));
        while !map.free_some(3) {}
    }

    #[test]
    fn is_no_larger_than_the_records_need() {
        let map = KeyMap::new(HASH_KEY, 128 << 20, 900_000, 90);
        assert_eq!((map.slots, map.keys_max), (101, 90));
        let tiny = KeyMap::new(HASH_KEY, 0, 900_000, 1 << 40);
        assert_eq!((tiny.slots, tiny.keys_max), (2, 1));
    }

    proptest! {
        #[test]
        fn as_a_map(puts in prop::collection::vec((0..60u8, 0..4usize), 1..300)) {
            let mut map = KeyMap::new(HASH_KEY, 50 * SLOT_BYTES, 900_000, u64::MAX);
            let mut model: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
            for (offset, (key, length)) in (0..).zip(puts) {
                let key = alloc::vec![key; length];
                let fits = model.contains_key(&key) || model.len() < 45;
                prop_assert_eq!(map.put(&key, Offset(offset)), fits);
                if fits {
                    model.insert(key, offset);
                }
            }
            for (key, offset) in &model {
                prop_assert_eq!(map.latest(key), Some(Offset(*offset)));
            }
            prop_assert_eq!(map.latest(b"absent key"), None);
        }
    }
}
