//! Decoding of what a fetch brought.

use flumen_log::batch::{BatchBuilder, ProducerInfo};
use flumen_log::compression::Codec;
use flumen_log::{ProducerEpoch, ProducerId, Timestamp};

use super::*;

const BATCH_MAX: usize = 1 << 20;

/// A batch of three records at `base_offset`.
fn batch(base_offset: i64, codec: Codec, producer: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for number in 0..3u8 {
        builder.append(Timestamp(100 + i64::from(number)), Some(&[number]), Some(b"value"), &[(b"h", None)]);
    }
    build(builder, base_offset, codec, producer)
}

fn build(builder: BatchBuilder, base_offset: i64, codec: Codec, producer: i64) -> Vec<u8> {
    let transactional =
        ProducerInfo { id: ProducerId(producer), epoch: ProducerEpoch(0), base_sequence: 0, is_transactional: true };
    let info = if producer < 0 { ProducerInfo::NONE } else { transactional };
    let mut bytes = builder.build(codec, None, info).unwrap().to_vec();
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes
}

/// A transaction marker, which is a control batch of one record.
fn marker(base_offset: i64, producer: i64, kind: u8) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.append(Timestamp(1), Some(&[0, 0, 0, kind]), Some(&[0; 6]), &[]);
    let mut bytes = build(builder, base_offset, Codec::None, producer);
    bytes[22] |= 0x20;
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn filter(position: i64) -> Filter<'static> {
    Filter { position, aborted: None, include_control: false, batch_bytes_max: BATCH_MAX }
}

fn offsets(bytes: &[u8], filter: &Filter<'_>) -> (Vec<i64>, i64) {
    let decoded = decode(&Bytes::copy_from_slice(bytes), filter).unwrap_or_else(|problem| panic!("{problem:?}"));
    (decoded.records.iter().map(|record| record.offset).collect(), decoded.next_offset)
}

#[test]
fn starts_in_the_middle_of_a_batch_and_ends_before_a_cut_one() {
    for codec in Codec::ALL {
        let mut bytes = batch(10, codec, -1);
        bytes.extend(batch(13, codec, -1));
        let whole = bytes.len();
        bytes.extend(&batch(16, codec, -1)[..80]);
        assert_eq!(offsets(&bytes, &filter(11)), (vec![11, 12, 13, 14, 15], 16), "{codec:?}");
        assert_eq!(offsets(&bytes[..whole], &filter(13)), (vec![13, 14, 15], 16));
        assert_eq!(offsets(&[], &filter(13)), (vec![], 13));
    }
}

#[test]
fn records_come_whole() {
    let bytes = Bytes::from(batch(10, Codec::Lz4, -1));
    let decoded = decode(&bytes, &filter(0)).unwrap();
    let record = &decoded.records[1];
    assert_eq!((record.offset, record.timestamp), (11, 101));
    assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&[1u8][..]), Some(&b"value"[..])));
    assert_eq!(record.headers, [Header { key: String::from("h"), value: None }]);
    assert_eq!((record.attributes, record.producer_id), (3, -1));
}

#[test]
fn aborted_transactions_are_left_out_for_readers_of_committed_data() {
    let mut bytes = batch(0, Codec::None, 7);
    bytes.extend(batch(3, Codec::None, 8));
    bytes.extend(marker(6, 7, 0));
    bytes.extend(batch(7, Codec::None, 7));
    bytes.extend(marker(10, 8, 1));
    bytes.extend(marker(11, 7, 1));
    let aborted = [AbortedTransaction { producer_id: 7, first_offset: 0 }];
    let committed = Filter { aborted: Some(&aborted), ..filter(0) };
    assert_eq!(offsets(&bytes, &committed), (vec![3, 4, 5, 7, 8, 9], 12));
    assert_eq!(offsets(&bytes, &filter(0)), ((0..6).chain(7..10).collect(), 12));
    let everything = Filter { include_control: true, ..filter(0) };
    assert_eq!(offsets(&bytes, &everything), ((0..12).collect(), 12));
}

#[test]
fn damage_is_named_by_offset() {
    let mut bytes = batch(10, Codec::None, -1);
    let mut damaged = batch(13, Codec::None, -1);
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    bytes.extend(damaged);
    let (offset, reason) = decode(&Bytes::from(bytes), &filter(10)).unwrap_err();
    assert_eq!(offset, 13);
    assert!(reason.contains("CRC"), "{reason}");
}

#[test]
fn a_batch_that_holds_too_much_is_refused() {
    let bytes = Bytes::from(batch(0, Codec::Zstd, -1));
    assert!(decode(&bytes, &Filter { batch_bytes_max: 10, ..filter(0) }).is_err());
}
