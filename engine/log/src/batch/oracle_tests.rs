//! Batches against other people's code: `kafka-protocol`, both ways, and batches that kafka-clients 4.4.0 wrote.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

extern crate std;

use alloc::{vec, vec::Vec};
use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{self as oracle, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions};
use proptest::prelude::*;

use super::*;
use crate::compression::Codec;
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

const LIMIT_BYTES: usize = 16 << 20;
const NOW: Timestamp = Timestamp(1_700_000_000_000);

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
        validate_compressed: true,
        decompressed_limit_bytes: LIMIT_BYTES,
        zstd_allowed: true,
        origin: Origin::Client,
    }
}

const fn oracle_codec(codec: Codec) -> oracle::Compression {
    match codec {
        Codec::None => oracle::Compression::None,
        Codec::Gzip => oracle::Compression::Gzip,
        Codec::Snappy => oracle::Compression::Snappy,
        Codec::Lz4 => oracle::Compression::Lz4,
        Codec::Zstd => oracle::Compression::Zstd,
    }
}

type Fields = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(std::string::String, Option<Vec<u8>>)>);

fn fields() -> impl Strategy<Value = Vec<Fields>> {
    let field = || prop::option::of(prop::collection::vec(any::<u8>(), 0..300));
    // The oracle keeps headers in a map: names must differ.
    let headers = prop::collection::btree_map("[a-z]{0,5}", field(), 0..4);
    let headers = headers.prop_map(|headers| headers.into_iter().collect());
    prop::collection::vec((NOW.0 - 1000..NOW.0, field(), field(), headers), 1..10)
}

fn theirs(records: &[Fields], codec: Codec) -> Bytes {
    let records: Vec<oracle::Record> = (0..)
        .zip(records)
        .map(|(index, (timestamp, key, value, headers))| oracle::Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: 5,
            producer_epoch: 1,
            timestamp_type: oracle::TimestampType::Creation,
            offset: index,
            sequence: 40 + index as i32,
            timestamp: *timestamp,
            key: key.clone().map(Bytes::from),
            value: value.clone().map(Bytes::from),
            headers: headers
                .iter()
                .map(|(key, value)| (StrBytes::from_string(key.clone()), value.clone().map(Bytes::from)))
                .collect::<IndexMap<_, _>>(),
        })
        .collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: oracle_codec(codec) };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    bytes.freeze()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn ours_is_read_by_the_oracle(fields in fields(), codec in prop::sample::select(Codec::ALL.to_vec())) {
        let mut builder = BatchBuilder::new();
        for (timestamp, key, value, headers) in &fields {
            let headers: Vec<_> = headers.iter().map(|(key, value)| (key.as_bytes(), value.as_deref())).collect();
            builder.append(Timestamp(*timestamp), key.as_deref(), value.as_deref(), &headers);
        }
        let producer =
            ProducerInfo { id: ProducerId(5), epoch: ProducerEpoch(1), base_sequence: 40, is_transactional: false };
        let bytes = builder.build(codec, None, producer).unwrap();
        let stamped = RecordBatch::validate(bytes, &rules()).unwrap().stamp(Offset(300), LeaderEpoch(2));
        let mut bytes = Bytes::from(stamped.pieces().concat());
        let set = RecordBatchDecoder::decode(&mut bytes).unwrap();
        prop_assert_eq!(set.records.len(), fields.len());
        for (index, (record, (timestamp, key, value, headers))) in set.records.iter().zip(&fields).enumerate() {
            prop_assert_eq!(record.offset, 300 + index as i64);
            prop_assert_eq!(record.partition_leader_epoch, 2);
            prop_assert_eq!((record.producer_id, record.producer_epoch), (5, 1));
            prop_assert_eq!(record.timestamp, *timestamp);
            prop_assert_eq!(record.key.as_deref(), key.as_deref());
            prop_assert_eq!(record.value.as_deref(), value.as_deref());
            let read: Vec<_> = record.headers.iter().map(|(key, value)| (&**key, value.as_deref())).collect();
            let written: Vec<_> = headers.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
            prop_assert_eq!(read, written);
        }
    }

    #[test]
    fn the_oracles_is_read_by_us(fields in fields(), codec in prop::sample::select(Codec::ALL.to_vec())) {
        let batch = RecordBatch::validate(theirs(&fields, codec), &rules()).unwrap();
        let header = *batch.header();
        prop_assert_eq!((header.producer_id, header.producer_epoch), (ProducerId(5), ProducerEpoch(1)));
        prop_assert_eq!(header.base_sequence, 40);
        prop_assert_eq!(header.attributes.compression(), Some(codec));
        let bytes = Bytes::from(batch.stamp(Offset(9), LeaderEpoch(0)).pieces().concat());
        let records: Result<Vec<_>, _> = RecordBatch::records(&bytes, LIMIT_BYTES).unwrap().collect();
        let records = records.unwrap();
        prop_assert_eq!(records.len(), fields.len());
        for (record, (timestamp, key, value, headers)) in records.iter().zip(&fields) {
            prop_assert_eq!(record.timestamp.0, *timestamp);
            prop_assert_eq!(record.key.as_deref(), key.as_deref());
            prop_assert_eq!(record.value.as_deref(), value.as_deref());
            prop_assert_eq!(record.headers.len(), headers.len());
            for (read, (key, value)) in record.headers.iter().zip(headers) {
                prop_assert_eq!(&read.key[..], key.as_bytes());
                prop_assert_eq!(read.value.as_deref(), value.as_deref());
            }
        }
    }
}

/// Four records of kafka-clients 4.4.0 per codec: with headers, all null, all empty, and one large (without compression: small).
#[test]
fn kafkas_own_batches() {
    let golden = include_str!("golden/kafka-clients-4.4.0.txt");
    let mut seen = vec![];
    for line in golden.lines() {
        let (name, hex) = line.split_once(' ').unwrap();
        let bytes: Vec<u8> =
            (0..hex.len() / 2).map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap()).collect();
        let bytes = Bytes::from(bytes);
        let codec = Codec::from_name(name).unwrap();
        seen.push(codec);
        let batch = RecordBatch::validate(bytes.clone(), &rules()).unwrap();
        let header = *batch.header();
        assert_eq!(header.encode(), bytes[..BATCH_OVERHEAD_BYTES]);
        assert_eq!(header.attributes.compression(), Some(codec));
        assert_eq!((header.producer_id, header.producer_epoch), (ProducerId(77), ProducerEpoch(3)));
        assert_eq!((header.base_sequence, header.last_sequence()), (i32::MAX - 1, 1));
        assert_eq!(header.max_timestamp, Timestamp(NOW.0 + 7));
        let records: Result<Vec<_>, _> = RecordBatch::records(&bytes, LIMIT_BYTES).unwrap().collect();
        let records = records.unwrap();
        assert_eq!(records[0].key.as_deref(), Some(b"k".as_slice()));
        assert_eq!(records[0].value.as_deref(), Some(b"value".as_slice()));
        let expected = [
            RecordHeader { key: Bytes::from_static(b"h"), value: None },
            RecordHeader { key: Bytes::new(), value: Some(Bytes::new()) },
        ];
        assert_eq!(records[0].headers, expected);
        assert_eq!((&records[1].key, &records[1].value), (&None, &None));
        assert_eq!((&records[2].key, &records[2].value), (&Some(Bytes::new()), &Some(Bytes::new())));
        let large: Vec<u8> = if codec == Codec::None { vec![9] } else { (0..100_000).map(|index| (index % 7) as u8).collect() };
        assert_eq!(records[3].value.as_deref(), Some(large.as_slice()));
        assert_eq!(records[3].offset, Offset(3));
        if codec == Codec::None {
            // The same records, written by us, are the same bytes.
            let mut builder = BatchBuilder::new();
            for record in &records {
                let headers: Vec<_> = record.headers.iter().map(|header| (&header.key[..], header.value.as_deref())).collect();
                builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &headers);
            }
            let producer = ProducerInfo {
                id: ProducerId(77),
                epoch: ProducerEpoch(3),
                base_sequence: i32::MAX - 1,
                is_transactional: false,
            };
            assert_eq!(builder.build(Codec::None, None, producer).unwrap(), bytes);
        }
    }
    assert_eq!(seen, Codec::ALL);
}
