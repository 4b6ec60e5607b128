//! Round trips, bombs and noise for every codec.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use alloc::{vec, vec::Vec};
use proptest::prelude::*;

use super::*;

fn codecs() -> impl Strategy<Value = Codec> {
    prop::sample::select(Codec::ALL.to_vec())
}

/// Bytes that repeat themselves, as records do.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(any::<u8>(), 0..200), 0usize..2000).prop_map(|(piece, times)| piece.repeat(times))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn round_trip(codec in codecs(), payload in payloads(), level in prop::option::of(-5i32..30)) {
        let compressed = compress(codec, level, &payload).unwrap();
        let output = decompress(codec, &compressed, payload.len()).unwrap();
        prop_assert_eq!(&output, &payload);
        if let Some(limit_bytes) = payload.len().checked_sub(1) {
            prop_assert_eq!(decompress(codec, &compressed, limit_bytes), Err(CompressionError::TooLarge { limit_bytes }));
        }
    }

    #[test]
    fn noise_stays_within_the_limit(codec in codecs(), noise in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(output) = decompress(codec, &noise, 5000) {
            prop_assert!(output.len() <= 5000);
        }
    }

    #[test]
    fn damage_stays_within_the_limit(
        codec in codecs(),
        payload in payloads(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut compressed = compress(codec, None, &payload).unwrap();
        for (at, byte) in edits {
            let count = compressed.len();
            if count > 0 {
                compressed[at.index(count)] = byte;
            }
        }
        if let Ok(output) = decompress(codec, &compressed, 50_000) {
            prop_assert!(output.len() <= 50_000);
        }
    }
}

#[test]
fn both_forms_of_snappy_are_read() {
    let payload: Vec<u8> = (0..100_000u32).map(|index| (index % 11) as u8).collect();
    let raw = snap::raw::Encoder::new().compress_vec(&payload).unwrap();
    assert_eq!(decompress(Codec::Snappy, &raw, payload.len()).unwrap(), payload);
    let framed = compress(Codec::Snappy, None, &payload).unwrap();
    assert!(framed.starts_with(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"));
    assert_eq!(decompress(Codec::Snappy, &framed, payload.len()).unwrap(), payload);
    let twice = [framed.as_slice(), &framed].concat();
    assert_eq!(decompress(Codec::Snappy, &twice, 2 * payload.len()).unwrap(), payload.repeat(2));
}

#[test]
fn a_snappy_block_that_lies_about_its_size_reserves_nothing() {
    // The length says 4 GiB - 1, within the limit handed in; there are eight bytes.
    let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
    assert_eq!(decompress(Codec::Snappy, &lie, usize::MAX), Err(CompressionError::Invalid));
}

#[test]
fn gzip_members_in_a_row_are_one_stream() {
    let one = compress(Codec::Gzip, Some(9), b"one").unwrap();
    let two = compress(Codec::Gzip, Some(-1), b"two").unwrap();
    assert_eq!(decompress(Codec::Gzip, &[one, two].concat(), 6).unwrap(), b"onetwo");
}

#[test]
fn a_zstd_window_beyond_the_limit_is_refused() {
    // Magic; a frame with such a window and no size; one raw block of one byte, the last.
    let frame = |window_log: u8| [0x28, 0xb5, 0x2f, 0xfd, 0x00, (window_log - 10) << 3, 0x09, 0x00, 0x00, b'x'];
    assert_eq!(decompress(Codec::Zstd, &frame(27), 1).unwrap(), b"x");
    assert_eq!(decompress(Codec::Zstd, &frame(28), 1), Err(CompressionError::Invalid));
}

#[test]
fn output_ends_where_the_limit_is() {
    let zeros = vec![0; 10_000_000];
    for codec in Codec::ALL.into_iter().skip(1) {
        let bomb = compress(codec, None, &zeros).unwrap();
        assert_eq!(decompress(codec, &bomb, 1000), Err(CompressionError::TooLarge { limit_bytes: 1000 }), "{codec:?}");
    }
}

#[test]
fn names_and_bits() {
    for codec in Codec::ALL {
        assert_eq!(Codec::from_name(codec.name()), Some(codec));
        assert_eq!(Codec::from_id(codec.id()), Some(codec));
    }
    assert_eq!(Codec::from_name("uncompressed"), Some(Codec::None));
    assert_eq!(Codec::from_id(5), None);
}
