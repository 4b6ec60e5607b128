//! Hash maps whose order never depends on chance.
//!
//! Keys are topic ids, connection numbers and offsets that this broker gave out, so no client can choose them to collide.

use core::hash::{BuildHasherDefault, Hasher};

/// A map with the fixed hasher.
pub(crate) type Map<K, V> = hashbrown::HashMap<K, V, BuildHasherDefault<Mix>>;

/// A multiply-and-fold hasher without a seed.
#[derive(Default)]
pub(crate) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }

    fn write_i32(&mut self, value: i32) {
        self.write_u64(value as u64);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
}
