//! Any bytes as a batch, under rules that the first two bytes choose: no panic, and what is accepted can be read back whole.
//!
//! Length, magic and checksum are put right in most inputs, because no fuzzer guesses them.
#![no_main]

use bytes::Bytes;
use flumen_log::batch::{BatchHeader, Origin, RecordBatch, TargetCompression, TimestampType, ValidationRules};
use flumen_log::compression::Codec;
use flumen_log::{LeaderEpoch, Offset, Timestamp};
use libfuzzer_sys::fuzz_target;

/// Most bytes a body may become here.
const LIMIT_BYTES: usize = 1 << 20;

fn rules(choice: u8, target: u8) -> ValidationRules {
    let bit = |bit: u8| choice & (1 << bit) != 0;
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    let compression = match codecs.get(usize::from(target % 8)) {
        Some(codec) => TargetCompression::Codec { codec: *codec, level: None },
        None => TargetCompression::Producer,
    };
    ValidationRules {
        now: Timestamp(1_700_000_000_000),
        timestamp_type: if bit(0) { TimestampType::LogAppendTime } else { TimestampType::CreateTime },
        timestamp_before_max_ms: if bit(1) { 1000 } else { i64::MAX },
        timestamp_after_max_ms: if bit(2) { 1000 } else { i64::MAX },
        max_message_bytes: LIMIT_BYTES,
        segment_bytes: LIMIT_BYTES,
        key_required: bit(3),
        compression,
        validate_compressed: bit(4),
        decompressed_limit_bytes: LIMIT_BYTES,
        zstd_allowed: bit(5),
        origin: Origin::Client,
    }
}

fuzz_target!(|input: &[u8]| {
    let [choice, target, batch @ ..] = input else { return };
    let mut batch = batch.to_vec();
    if choice & 0x80 == 0 && batch.len() > 61 {
        let length = i32::try_from(batch.len() - 12).unwrap_or(i32::MAX);
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[16] = 2;
        let crc = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    let rules = rules(*choice, *target);
    let Ok(accepted) = RecordBatch::validate(Bytes::from(batch), &rules) else { return };
    assert!(accepted.total_bytes() <= LIMIT_BYTES);
    let stamped = accepted.stamp(Offset(7), LeaderEpoch(3));
    let bytes = Bytes::from(stamped.pieces().concat());
    let header = BatchHeader::parse(&bytes).expect("what is stored has a header");
    assert_eq!((header.base_offset, header.total_bytes()), (Offset(7), bytes.len()));
    assert_eq!(header.crc, crc32c::crc32c(&bytes[21..]), "the checksum of what is stored holds");
    // Compressed bodies that nothing asked to see may be anything.
    if header.attributes.compression() == Some(Codec::None) || rules.validate_compressed || rules.key_required {
        let records = RecordBatch::records(&bytes, LIMIT_BYTES).expect("what was walked can be walked again");
        let count = records.map(|record| record.expect("a good record")).count();
        assert_eq!(i32::try_from(count), Ok(header.record_count));
    }
});
