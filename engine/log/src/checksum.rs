//! CRC-32C of two pieces together, from the CRCs of each.
//!
//! A CRC is the remainder of a polynomial over GF(2), so the first piece's, moved past the second, is multiplied by x to the number
//! of the second's bits. That power comes from a table of x to the powers of two in one multiplication for each bit set in the
//! length: about a microsecond for a megabyte.

/// From here on, moving a CRC past a piece costs less than summing the piece up again.
pub(crate) const COMBINE_BYTES_MIN: usize = 32 << 10;

/// CRC-32C's polynomial, the lowest power in the highest bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// x to the power of zero.
const ONE: u32 = 1 << 31;
/// x to the power of eight: one byte.
const BYTE: u32 = ONE >> 8;
/// x to the power of eight times 2^n, at n: n as far as a length has bits.
const POWERS: [u32; usize::BITS as usize] = powers();

const fn powers() -> [u32; usize::BITS as usize] {
    let mut powers = [BYTE; usize::BITS as usize];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = multiply(powers[n - 1], powers[n - 1]);
        n += 1;
    }
    powers
}

/// The product of two polynomials, modulo the CRC's.
const fn multiply(left: u32, mut right: u32) -> u32 {
    let mut product = 0;
    let mut power = ONE;
    while power != 0 {
        // Without branches: which bits are set nobody can guess.
        product ^= right & 0u32.wrapping_sub((left & power != 0) as u32);
        right = (right >> 1) ^ (POLYNOMIAL & 0u32.wrapping_sub(right & 1));
        power >>= 1;
    }
    product
}

/// The CRC of two pieces, one behind the other, from each one's own and the second's length.
#[must_use]
pub(crate) fn combine(first: u32, second: u32, second_bytes: usize) -> u32 {
    let mut moved = first;
    let mut left = second_bytes;
    while left != 0 {
        let bit = left.trailing_zeros() as usize;
        moved = multiply(POWERS[bit], moved);
        left &= left - 1;
    }
    moved ^ second
}

#[cfg(test)]
mod tests {
    use super::combine;
    use proptest::prelude::*;

    #[test]
    fn nothing_behind_changes_nothing() {
        assert_eq!(combine(0x1234_5678, 0, 0), 0x1234_5678);
    }

    #[test]
    fn a_long_piece_is_moved_past() {
        let (first, second) = ([7; 300], alloc::vec![9; (3 << 20) + 5]);
        let whole = crc32c::crc32c_append(crc32c::crc32c(&first), &second);
        assert_eq!(combine(crc32c::crc32c(&first), crc32c::crc32c(&second), second.len()), whole);
    }

    proptest! {
        #[test]
        fn two_pieces_are_as_one(bytes in proptest::collection::vec(any::<u8>(), 0..2000), cut in 0..2000_usize) {
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(combine(crc32c::crc32c(first), crc32c::crc32c(second), second.len()), crc32c::crc32c(&bytes));
        }
    }
}
