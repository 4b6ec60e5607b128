//! Validation line by line of kafka.md §4.3, and against hostile bytes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

extern crate std;

use alloc::{string::ToString, vec, vec::Vec};
use bytes::Bytes;
use proptest::prelude::*;

use super::super::header::{Attributes, LENGTH_OVERHEAD_BYTES};
use super::super::{BatchBuilder, ProducerInfo, StampedBatch, StoredRead, read_stored};
use super::*;
use crate::{LeaderEpoch, ProducerEpoch, ProducerId};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const LIMIT_BYTES: usize = 64 << 20;

fn rules() -> ValidationRules {
    ValidationRules {
        now: NOW,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        max_message_bytes: 1_048_588,
        segment_bytes: 1 << 30,
        key_required: false,
        compression: TargetCompression::Producer,
        validate_compressed: false,
        decompressed_limit_bytes: LIMIT_BYTES,
        zstd_allowed: true,
        origin: Origin::Client,
    }
}

/// A record as tests think of it.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn sample(timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Sample {
    Sample { timestamp, key: key.map(Vec::from), value: value.map(Vec::from), headers: vec![] }
}

fn three() -> Vec<Sample> {
    vec![
        sample(NOW.0 - 5, Some(b"a"), Some(b"first")),
        sample(NOW.0, Some(b""), None),
        Sample { headers: vec![(b"h".to_vec(), None), (b"".to_vec(), Some(vec![]))], ..sample(NOW.0 - 9, None, Some(b"")) },
    ]
}

fn built(samples: &[Sample], codec: Codec, producer: ProducerInfo) -> Bytes {
    let mut builder = BatchBuilder::new();
    for sample in samples {
        let headers: Vec<_> = sample.headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
        let before = builder.size_bytes();
        builder.append(Timestamp(sample.timestamp), sample.key.as_deref(), sample.value.as_deref(), &headers);
        let most = BatchBuilder::record_bytes_max(sample.key.as_deref(), sample.value.as_deref(), &headers);
        assert!(builder.size_bytes() - before <= most);
    }
    let size_bytes = builder.size_bytes();
    let bytes = builder.build(codec, None, producer).unwrap();
    assert!(codec != Codec::None || bytes.len() == size_bytes);
    bytes
}

fn plain(samples: &[Sample]) -> Bytes {
    built(samples, Codec::None, ProducerInfo::NONE)
}

/// The samples under an altered header, with the CRC to go with it.
fn with_header(bytes: &Bytes, change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader::parse(bytes).unwrap();
    change(&mut header);
    let body = &bytes[BATCH_OVERHEAD_BYTES..];
    header.crc = crc_of(&header, body);
    [header.encode().as_slice(), body].concat().into()
}

/// A batch with this body and the CRC to go with it.
fn with_body(bytes: &Bytes, body: &[u8]) -> Bytes {
    let mut header = BatchHeader::parse(bytes).unwrap();
    header.length = (BATCH_OVERHEAD_BYTES - LENGTH_OVERHEAD_BYTES + body.len()) as i32;
    header.crc = crc_of(&header, body);
    [header.encode().as_slice(), body].concat().into()
}

fn stamped(batch: ValidatedBatch) -> StampedBatch {
    batch.stamp(Offset(1000), LeaderEpoch(7))
}

fn joined(batch: &StampedBatch) -> Bytes {
    batch.pieces().concat().into()
}

/// What is stored, read back; its CRC and offsets checked on the way.
fn read_back(batch: ValidatedBatch) -> Vec<Sample> {
    let batch = stamped(batch);
    let bytes = joined(&batch);
    assert_eq!(bytes.len(), batch.total_bytes());
    let StoredRead::Batch(stored) = read_stored(&bytes) else { panic!("{:?}", read_stored(&bytes)) };
    assert_eq!(stored.header, *batch.header());
    assert_eq!(stored.header.partition_leader_epoch, LeaderEpoch(7));
    let records = RecordBatch::records(&bytes, LIMIT_BYTES).unwrap();
    let mut samples = vec![];
    for (index, record) in records.enumerate() {
        let record = record.unwrap();
        assert_eq!(record.offset, Offset(1000 + index as i64));
        samples.push(Sample {
            timestamp: record.timestamp.0,
            key: record.key.map(Vec::from),
            value: record.value.map(Vec::from),
            headers: record.headers.into_iter().map(|header| (header.key.into(), header.value.map(Vec::from))).collect(),
        });
    }
    assert_eq!(samples.len(), batch.header().record_count as usize);
    assert_eq!(batch.last_offset(), Offset(999 + samples.len() as i64));
    samples
}

fn refused(bytes: Bytes, rules: &ValidationRules) -> BatchErrorKind {
    let error = RecordBatch::validate(bytes, rules).expect_err("must be refused");
    assert!(!error.message.is_empty());
    error.kind
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let field = || prop::option::of(prop::collection::vec(any::<u8>(), 0..40));
    let header = (prop::collection::vec(any::<u8>(), 0..9), field());
    let timestamp = prop_oneof![Just(-1i64), NOW.0 - 100_000..NOW.0 + 1000, Just(0)];
    let record = (timestamp, field(), field(), prop::collection::vec(header, 0..4));
    let record = record.prop_map(|(timestamp, key, value, headers)| Sample { timestamp, key, value, headers });
    prop::collection::vec(record, 1..20)
}

fn codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(Codec::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn p26_every_codec_into_every_codec(samples in samples(), from in codec(), to in codec(), walks: bool) {
        let bytes = built(&samples, from, ProducerInfo::NONE);
        let compression = TargetCompression::Codec { codec: to, level: None };
        let rules = ValidationRules { compression, validate_compressed: walks, ..rules() };
        let batch = RecordBatch::validate(bytes.clone(), &rules).unwrap();
        prop_assert_eq!(batch.header().attributes.compression(), Some(to));
        let max_timestamp = samples.iter().map(|sample| sample.timestamp).max();
        prop_assert_eq!(Some(batch.max_timestamp().0), max_timestamp);
        if from == to {
            prop_assert_eq!(&bytes[BATCH_OVERHEAD_BYTES..], &batch.body()[..]);
            // Shared, not copied.
            prop_assert_eq!(bytes[BATCH_OVERHEAD_BYTES..].as_ptr(), batch.body().as_ptr());
        }
        prop_assert_eq!(read_back(batch), samples);
    }

    #[test]
    fn p04_any_flipped_byte_is_refused(samples in samples(), codec in codec(), at: prop::sample::Index, flip in 1u8..) {
        let mut bytes = Vec::from(built(&samples, codec, ProducerInfo::NONE));
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let result = RecordBatch::validate(bytes.into(), &rules());
        // The leader epoch is the broker's to set; of everything else a change shows.
        prop_assert_eq!(result.is_ok(), (12..16).contains(&at));
    }

    #[test]
    fn anything_with_a_right_crc_is_refused_or_sound(
        samples in samples(),
        codec in codec(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        log_append: bool,
        key_required: bool,
    ) {
        let mut bytes = Vec::from(built(&samples, codec, ProducerInfo::NONE));
        for (at, byte) in edits {
            let at = at.index(bytes.len() - CRC_START_BYTES) + CRC_START_BYTES;
            bytes[at] = byte;
        }
        let end = cut.map_or(bytes.len(), |cut| cut.index(bytes.len() - BATCH_OVERHEAD_BYTES + 1) + BATCH_OVERHEAD_BYTES);
        let bytes = with_body(&bytes.clone().into(), &bytes[BATCH_OVERHEAD_BYTES..end]);
        let timestamp_type = if log_append { TimestampType::LogAppendTime } else { TimestampType::CreateTime };
        let rules = ValidationRules { timestamp_type, key_required, validate_compressed: true, ..rules() };
        if let Ok(batch) = RecordBatch::validate(bytes, &rules) {
            let max_timestamp = batch.max_timestamp();
            let samples = read_back(batch);
            let greatest = samples.iter().map(|sample| sample.timestamp).max();
            prop_assert_eq!(greatest.map(|timestamp| timestamp.max(-1)), Some(max_timestamp.0));
            prop_assert!(!key_required || samples.iter().all(|sample| sample.key.is_some()));
        }
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        prop_assert!(RecordBatch::validate(bytes.clone(), &rules()).is_err());
        if let Ok(records) = RecordBatch::records(&bytes, 1000) {
            records.count();
        }
        for record in RecordWalk::new(&bytes, i32::MAX).flatten() {
            record.headers().count();
        }
        let _ = read_stored(&bytes);
    }
}

#[test]
fn a_good_batch_passes_unchanged_and_shared() {
    for codec in Codec::ALL {
        let bytes = built(&three(), codec, ProducerInfo::NONE);
        let batch = RecordBatch::validate(bytes.clone(), &rules()).unwrap();
        assert_eq!(batch.body().as_ptr(), bytes[BATCH_OVERHEAD_BYTES..].as_ptr());
        assert_eq!(batch.header().encode(), bytes[..BATCH_OVERHEAD_BYTES]);
        assert_eq!(batch.total_bytes(), bytes.len());
        assert_eq!(read_back(batch), three());
    }
}

#[test]
fn p03_exactly_one_batch_of_magic_2() {
    let bytes = plain(&three());
    assert_eq!(refused(Bytes::new(), &rules()), BatchErrorKind::InvalidRecord);
    let twice = [&bytes[..], &bytes[..]].concat();
    assert_eq!(refused(twice.into(), &rules()), BatchErrorKind::InvalidRecord);
    let trailing = [&bytes[..], &[0]].concat();
    assert_eq!(refused(trailing.into(), &rules()), BatchErrorKind::InvalidRecord);
    for magic in [0, 1, 3, 255] {
        let mut other = bytes.to_vec();
        other[16] = magic;
        assert_eq!(refused(other.into(), &rules()), BatchErrorKind::InvalidRecord);
    }
    for length in 1..bytes.len() {
        assert_eq!(refused(bytes.slice(..length), &rules()), BatchErrorKind::InvalidRecord, "{length}");
    }
}

#[test]
fn p03_zstd_needs_a_version_that_has_it() {
    let rules = ValidationRules { zstd_allowed: false, ..rules() };
    let bytes = built(&three(), Codec::Zstd, ProducerInfo::NONE);
    assert_eq!(refused(bytes, &rules), BatchErrorKind::UnsupportedCompression);
    assert!(RecordBatch::validate(built(&three(), Codec::Lz4, ProducerInfo::NONE), &rules).is_ok());
    let unknown = with_header(&plain(&three()), |header| header.attributes = Attributes(5));
    assert_eq!(refused(unknown, &rules), BatchErrorKind::UnsupportedCompression);
}

#[test]
fn p04_crc_and_impossible_length_are_corrupt() {
    let bytes = plain(&three());
    let mut flipped = bytes.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(refused(flipped.into(), &rules()), BatchErrorKind::Corrupt);
    for length in [-1i32, 0, 48] {
        let mut wrong = bytes.to_vec();
        wrong[8..12].copy_from_slice(&length.to_be_bytes());
        assert_eq!(refused(wrong.into(), &rules()), BatchErrorKind::Corrupt);
    }
}

#[test]
fn p05_base_offset_and_counts() {
    let bytes = plain(&three());
    let kind = |change: fn(&mut BatchHeader)| refused(with_header(&bytes, change), &rules());
    assert_eq!(kind(|header| header.base_offset = Offset(1)), BatchErrorKind::InvalidRecord);
    assert_eq!(kind(|header| header.last_offset_delta = 3), BatchErrorKind::InvalidRecord);
    assert_eq!(kind(|header| header.last_offset_delta = -1), BatchErrorKind::InvalidRecord);
    assert_eq!(kind(|header| header.record_count = 0), BatchErrorKind::InvalidRecord);
    let shifted = |count: i32| {
        with_header(&bytes, |header| {
            header.record_count = count;
            header.last_offset_delta = count.wrapping_sub(1);
        })
    };
    // Header and records disagree, though the header agrees with itself.
    for count in [i32::MIN, -1, 0, 1, 2, 4, i32::MAX] {
        assert_eq!(refused(shifted(count), &rules()), BatchErrorKind::InvalidRecord, "{count}");
    }
    assert!(RecordBatch::validate(shifted(3), &rules()).is_ok());
}

#[test]
fn p05_inner_deltas_are_renumbered() {
    for codec in Codec::ALL {
        let mut payload = vec![];
        let source = plain(&three());
        for (record, delta) in RecordWalk::new(&source[BATCH_OVERHEAD_BYTES..], 3).zip([0, 500_000, 7]) {
            let record = record.unwrap();
            write_record(&mut payload, 0, record.timestamp_delta, delta, record.content);
        }
        let body = compression::compress(codec, None, &payload).unwrap();
        let bytes =
            with_body(&with_header(&source, |header| header.attributes = header.attributes.with_compression(codec)), &body);
        let rules = ValidationRules { validate_compressed: true, ..rules() };
        let batch = RecordBatch::validate(bytes, &rules).unwrap();
        assert_eq!(batch.header().attributes.compression(), Some(codec));
        assert_eq!(read_back(batch), three());
    }
}

#[test]
fn p05_malformed_records_are_refused() {
    let source = plain(&[sample(NOW.0, Some(b"key"), Some(b"value"))]);
    let body = source[BATCH_OVERHEAD_BYTES..].to_vec();
    let kind = |body: &[u8]| refused(with_body(&source, body), &rules());
    assert_eq!(kind(&[]), BatchErrorKind::InvalidRecord);
    for length in 1..body.len() {
        assert_eq!(kind(&body[..length]), BatchErrorKind::InvalidRecord);
    }
    for at in 0..body.len() {
        for byte in [0x01, 0x7f, 0x80, 0xff] {
            let mut altered = body.clone();
            altered[at] = byte;
            let _ = RecordBatch::validate(with_body(&source, &altered), &rules());
        }
    }
    // A record that claims two milliard headers.
    let mut bomb = vec![];
    write_record(&mut bomb, 0, 0, 0, &[1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f]);
    assert_eq!(kind(&bomb), BatchErrorKind::InvalidRecord);
    // A header without a key.
    let mut keyless = vec![];
    write_record(&mut keyless, 0, 0, 0, &[1, 1, 2, 1, 1]);
    assert_eq!(kind(&keyless), BatchErrorKind::InvalidRecord);
}

#[test]
fn p06_a_wrong_max_timestamp_is_mended() {
    for (codec, walks) in [(Codec::None, false), (Codec::Lz4, true)] {
        let bytes = built(&three(), codec, ProducerInfo::NONE);
        let bytes = with_header(&bytes, |header| header.max_timestamp = Timestamp(NOW.0 - 1_000));
        let rules = ValidationRules { validate_compressed: walks, ..rules() };
        let batch = RecordBatch::validate(bytes.clone(), &rules).unwrap();
        assert_eq!(batch.max_timestamp(), NOW);
        assert_eq!(batch.body().as_ptr(), bytes[BATCH_OVERHEAD_BYTES..].as_ptr());
        assert_eq!(read_back(batch), three());
    }
}

#[test]
fn p07_log_append_time_patches_header_and_crc() {
    let large = sample(5, Some(b"k"), Some(&vec![7; 300_000]));
    for codec in Codec::ALL {
        for samples in [three(), vec![large.clone()]] {
            let bytes = built(&samples, codec, ProducerInfo::NONE);
            let rules = ValidationRules { timestamp_type: TimestampType::LogAppendTime, ..rules() };
            let batch = RecordBatch::validate(bytes.clone(), &rules).unwrap();
            assert_eq!(batch.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
            assert_eq!(batch.max_timestamp(), NOW);
            assert_eq!(batch.body().as_ptr(), bytes[BATCH_OVERHEAD_BYTES..].as_ptr());
            let expected: Vec<_> = samples.iter().map(|sample| Sample { timestamp: NOW.0, ..sample.clone() }).collect();
            assert_eq!(read_back(batch), expected);
        }
    }
}

#[test]
fn p07_a_producer_may_not_claim_the_brokers_clock() {
    let bytes = with_header(&plain(&three()), |header| {
        header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
    });
    assert_eq!(refused(bytes, &rules()), BatchErrorKind::InvalidTimestamp);
}

#[test]
fn p08_timestamps_outside_the_window_are_named() {
    let old = NOW.0 - 60_001;
    let new = NOW.0 + 3_600_001;
    let samples = [
        sample(NOW.0 - 60_000, None, None),
        sample(old, None, None),
        sample(-1, None, None),
        sample(new, None, None),
        sample(NOW.0 + 3_600_000, None, None),
    ];
    let rules = ValidationRules { timestamp_before_max_ms: 60_000, ..rules() };
    for codec in Codec::ALL {
        let error = RecordBatch::validate(built(&samples, codec, ProducerInfo::NONE), &rules).unwrap_err();
        assert_eq!(error.kind, BatchErrorKind::InvalidTimestamp);
        let indexes: Vec<_> = error.record_errors.iter().map(|record| record.batch_index).collect();
        assert_eq!(indexes, [1, 3]);
        assert!(error.record_errors[0].message.contains(&old.to_string()));
        assert!(RecordBatch::validate(built(&[sample(-1, None, None)], codec, ProducerInfo::NONE), &rules).is_ok());
        let append_time = ValidationRules { timestamp_type: TimestampType::LogAppendTime, ..rules.clone() };
        assert!(RecordBatch::validate(built(&samples, codec, ProducerInfo::NONE), &append_time).is_ok());
    }
}

#[test]
fn p08_errors_are_bounded() {
    let samples = vec![sample(i64::MAX, None, None); 3000];
    let error = RecordBatch::validate(plain(&samples), &rules()).unwrap_err();
    assert_eq!(error.record_errors.len(), BatchError::RECORD_ERRORS_LIMIT);
    assert!(error.message.starts_with("3000 records"));
}

#[test]
fn p09_sizes() {
    let bytes = plain(&three());
    let exact = ValidationRules { max_message_bytes: bytes.len(), segment_bytes: bytes.len(), ..rules() };
    assert!(RecordBatch::validate(bytes.clone(), &exact).is_ok());
    let message = ValidationRules { max_message_bytes: bytes.len() - 1, ..rules() };
    assert_eq!(refused(bytes.clone(), &message), BatchErrorKind::MessageTooLarge);
    let segment = ValidationRules { segment_bytes: bytes.len() - 1, ..rules() };
    assert_eq!(refused(bytes, &segment), BatchErrorKind::RecordListTooLarge);
}

#[test]
fn p10_compacted_topics_want_keys() {
    let rules = ValidationRules { key_required: true, ..rules() };
    for codec in Codec::ALL {
        let error = RecordBatch::validate(built(&three(), codec, ProducerInfo::NONE), &rules).unwrap_err();
        assert_eq!(error.kind, BatchErrorKind::InvalidRecord);
        let indexes: Vec<_> = error.record_errors.iter().map(|record| record.batch_index).collect();
        assert_eq!(indexes, [2]);
        assert!(RecordBatch::validate(built(&three()[..2], codec, ProducerInfo::NONE), &rules).is_ok());
    }
}

#[test]
fn p11_control_batches_and_negative_sequences_of_clients() {
    let control = with_header(&plain(&three()), |header| header.attributes = Attributes(1 << 5));
    assert_eq!(refused(control.clone(), &rules()), BatchErrorKind::InvalidRecord);
    let coordinator = ValidationRules {
        origin: Origin::Coordinator,
        compression: TargetCompression::Codec { codec: Codec::Zstd, level: None },
        ..rules()
    };
    let batch = RecordBatch::validate(control, &coordinator).unwrap();
    assert_eq!(batch.header().attributes.compression(), Some(Codec::None));
    let producer =
        |base_sequence| ProducerInfo { id: ProducerId(0), epoch: ProducerEpoch(0), base_sequence, is_transactional: false };
    let negative = built(&three(), Codec::None, producer(-1));
    assert_eq!(refused(negative, &rules()), BatchErrorKind::InvalidRecord);
    assert!(RecordBatch::validate(built(&three(), Codec::None, producer(0)), &rules()).is_ok());
}

#[test]
fn p25_size_is_checked_again_after_recompression() {
    let bytes = built(&[sample(NOW.0, None, Some(&vec![1; 100_000]))], Codec::Gzip, ProducerInfo::NONE);
    let compression = TargetCompression::Codec { codec: Codec::None, level: None };
    let rules = ValidationRules { compression, max_message_bytes: 50_000, ..rules() };
    assert!(bytes.len() < 50_000);
    assert_eq!(refused(bytes, &rules), BatchErrorKind::MessageTooLarge);
}

#[test]
fn bodies_that_do_not_decompress() {
    for codec in Codec::ALL.into_iter().skip(1) {
        let bytes = built(&[sample(NOW.0, None, Some(&vec![0; 1_000_000]))], codec, ProducerInfo::NONE);
        let bomb = ValidationRules { validate_compressed: true, decompressed_limit_bytes: 999_999, ..rules() };
        assert_eq!(refused(bytes.clone(), &bomb), BatchErrorKind::MessageTooLarge, "{codec:?}");
        let broken = with_body(&bytes, &bytes[BATCH_OVERHEAD_BYTES..bytes.len() - 20]);
        let walking = ValidationRules { validate_compressed: true, ..rules() };
        assert_eq!(refused(broken.clone(), &walking), BatchErrorKind::InvalidRecord, "{codec:?}");
        // Without a reason to look inside, the body passes through untouched.
        assert!(RecordBatch::validate(broken, &rules()).is_ok());
    }
}
