//! Test builds only: random values that a version can carry.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::{ErrorCode, Records, Text, Uuid};

/// A value that can be made up.
pub(crate) trait Generate {
    fn generate(source: &mut Source) -> Self;
}

/// Numbers from a seed (splitmix64), and the version that the values are for.
pub(crate) struct Source {
    state: u64,
    version: i16,
}

impl Source {
    pub(crate) fn new(seed: u64, version: i16) -> Self {
        Self { state: seed, version }
    }

    pub(crate) fn version(&self) -> i16 {
        self.version
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound as u64)).unwrap()
    }
}

macro_rules! number {
    ($($kind:ty),*) => {$(
        impl Generate for $kind {
            fn generate(source: &mut Source) -> Self {
                // The edges come up often enough to be met.
                match source.below(8) {
                    0 => Self::MIN,
                    1 => Self::MAX,
                    2 => 0,
                    _ => source.next() as Self,
                }
            }
        }
    )*};
}

number!(i8, i16, i32, i64);

impl Generate for bool {
    fn generate(source: &mut Source) -> Self {
        source.below(2) == 1
    }
}

impl Generate for Uuid {
    fn generate(source: &mut Source) -> Self {
        let halves = [source.next(), source.next()];
        Self(std::array::from_fn(|at| halves[at / 8].to_be_bytes()[at % 8]))
    }
}

impl Generate for ErrorCode {
    fn generate(source: &mut Source) -> Self {
        Self::ALL[source.below(Self::ALL.len())]
    }
}

impl Generate for Text {
    fn generate(source: &mut Source) -> Self {
        // A length of 127 and more takes two bytes in its compact form.
        let length = if source.below(16) == 0 { 120 + source.below(20) } else { source.below(12) };
        let text: String = (0..length).map(|_| ['a', 'Z', '0', '-', 'é', '漢', '🦀'][source.below(7)]).collect();
        Self::from(text)
    }
}

impl Generate for Records {
    fn generate(source: &mut Source) -> Self {
        let length = if source.below(8) == 0 { 16_380 + source.below(20) } else { source.below(200) };
        Self::Inline((0..length).map(|_| source.next() as u8).collect::<Bytes>())
    }
}

impl<T: Generate> Generate for Option<T> {
    fn generate(source: &mut Source) -> Self {
        (source.below(4) != 0).then(|| T::generate(source))
    }
}

impl<T: Generate> Generate for Vec<T> {
    fn generate(source: &mut Source) -> Self {
        (0..source.below(4)).map(|_| T::generate(source)).collect()
    }
}
