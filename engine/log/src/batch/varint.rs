//! Zigzag varints, as the fields of a record are written.

use alloc::vec::Vec;

/// Most bytes of a 32-bit varint.
const VARINT_BYTES_MAX: u32 = 5;
/// Most bytes of a 64-bit varint.
const VARLONG_BYTES_MAX: u32 = 10;

fn read_unsigned(bytes: &mut &[u8], bytes_max: u32) -> Option<u64> {
    let mut value = 0u64;
    for index in 0..bytes_max {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Nearly all have one byte.
#[inline]
fn read_one_byte(bytes: &mut &[u8]) -> Option<u64> {
    let (byte, rest) = bytes.split_first().filter(|(byte, _)| **byte < 0x80)?;
    *bytes = rest;
    Some(u64::from(*byte))
}

/// Take a 32-bit varint off the front. `None` for one that is cut short or too long.
#[inline]
pub(super) fn read_varint(bytes: &mut &[u8]) -> Option<i32> {
    // Of the fifth byte only four bits count, as in Kafka.
    let value = read_one_byte(bytes).or_else(|| read_unsigned(bytes, VARINT_BYTES_MAX))? as u32;
    Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

/// Take a 64-bit varint off the front. `None` for one that is cut short or too long.
#[inline]
pub(super) fn read_varlong(bytes: &mut &[u8]) -> Option<i64> {
    let value = read_one_byte(bytes).or_else(|| read_unsigned(bytes, VARLONG_BYTES_MAX))?;
    Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

/// Append a varint; a 32-bit one looks the same as a 64-bit one of its value.
pub(super) fn write_varlong(bytes: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// Bytes that [`write_varlong`] appends.
pub(super) const fn varlong_bytes(value: i64) -> usize {
    let bits = 64 - ((value << 1) ^ (value >> 63)).leading_zeros();
    if bits == 0 { 1 } else { bits.div_ceil(7) as usize }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(value: i64, shift in 0u32..64) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            write_varlong(&mut bytes, value);
            prop_assert_eq!(bytes.len(), varlong_bytes(value));
            let mut rest = bytes.as_slice();
            prop_assert_eq!(read_varlong(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
            if let Ok(small) = i32::try_from(value) {
                prop_assert_eq!(read_varint(&mut bytes.as_slice()), Some(small));
            }
        }
    }

    #[test]
    fn known_bytes() {
        let mut bytes = Vec::new();
        for value in [0, -1, 1, 63, -64, 64, i64::from(i32::MAX), i64::MIN] {
            write_varlong(&mut bytes, value);
        }
        let expected = [
            0, 1, 2, 0x7e, 0x7f, 0x80, 0x01, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0x01,
        ];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn cut_short_or_too_long() {
        assert_eq!(read_varint(&mut [0x80].as_slice()), None);
        assert_eq!(read_varint(&mut [0xff, 0xff, 0xff, 0xff, 0xff, 0x00].as_slice()), None);
        assert_eq!(read_varlong(&mut [0xff; 11].as_slice()), None);
    }
}
