//! What is in a record: bytes that follow from who sent it and as which, so that any change of them is seen.
//!
//! Also the run's randomness (SplitMix64): a seed repeats a run's choices, though not its timing.

use std::ops::Range;

/// Who sent a record, and as which of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Identity {
    pub(super) worker: u32,
    pub(super) number: u32,
}

impl Identity {
    /// The record's value.
    pub(super) fn value(self) -> Vec<u8> {
        let mut random = Random::new((u64::from(self.worker) << 32) | u64::from(self.number));
        // Mostly small, some large enough to cross what is gathered by copy.
        let length = if random.within(0..200) == 0 { random.within(20_000..200_000) } else { random.within(8..1500) };
        let mut value = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 16);
        value.extend(self.worker.to_be_bytes());
        value.extend(self.number.to_be_bytes());
        while u64::try_from(value.len()).unwrap_or(u64::MAX) < length {
            value.extend(random.next().to_be_bytes());
        }
        value
    }

    /// The identity a value claims.
    pub(super) fn of(value: &[u8]) -> Option<Self> {
        let worker = u32::from_be_bytes(value.get(..4)?.try_into().ok()?);
        let number = u32::from_be_bytes(value.get(4..8)?.try_into().ok()?);
        Some(Self { worker, number })
    }
}

/// A seed nobody chose.
pub(crate) fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |now| u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap_or(1))
}

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_says_whose_it_is_and_repeats() {
        let identity = Identity { worker: 7, number: 9 };
        assert_eq!(Identity::of(&identity.value()), Some(identity));
        assert_eq!(identity.value(), identity.value());
        assert_ne!(identity.value()[8..], Identity { worker: 7, number: 10 }.value()[8..]);
    }
}
