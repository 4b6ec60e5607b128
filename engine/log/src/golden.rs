//! The formats of `docs/on-disk.md`, byte for byte. A change here is a change of what is on people's disks.

extern crate std;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use std::format;

use crate::batch::{BatchBuilder, BatchHeader, ProducerInfo};
use crate::codec::decode_topic_id;
use crate::compaction::{CleanedSegment, Manifest, cleaned_file_name};
use crate::compression::Codec;
use crate::directories::{DirectoryId, DirectoryList};
use crate::io::AlignedBuffer;
use crate::journal::{FileHeader, Frame, FrameBuilder, JournalFileName, JournalPosition};
use crate::segment::index::SegmentIndex;
use crate::segment::sidecar;
use crate::state::trail::{TRAIL_AT, Trail, TrailEnd};
use crate::state::{COPY_BYTES, DurablePoint, PartitionState, partition_metadata};
use crate::store::{CleanMark, Durability};
use crate::{LeaderEpoch, Offset, PartitionIndex, ShardId, Timestamp, TopicId, TopicPartition};

const ID: [u8; 16] = *b"0123456789abcdef";
const PARTITION: TopicPartition = TopicPartition { topic: TopicId([0xA5; 16]), partition: PartitionIndex(3) };

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn frame() -> AlignedBuffer {
    let mut builder = FrameBuilder::new(AlignedBuffer::default());
    builder.put(PARTITION, LeaderEpoch(7), Offset(100), Offset(105), &[b"bat", b"ches"]);
    builder.finish(&ID, JournalPosition { generation: 2, sequence: 9 }, 8)
}

#[test]
fn a_journal_frame() {
    let frame = frame();
    let bytes = frame.own();
    assert_eq!(bytes.len(), 4096);
    assert_eq!(
        hex(&bytes[..119]),
        concat!(
            "666c756d656e4a46",
            "4cbdd0d8",
            "00000077",
            "30313233343536373839616263646566",
            "0000000000000002",
            "0000000000000009",
            "0000000000000008",
            "00000001",
            "00000000",
            "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5",
            "00000003",
            "00000007",
            "0000000000000064",
            "0000000000000069",
            "00000007",
            "00000000",
            "62617463686573",
        )
    );
    assert!(bytes[119..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_frame_reads_back_and_any_flipped_bit_is_noticed() {
    let frame = frame();
    let whole = Bytes::copy_from_slice(frame.own());
    let read = Frame::parse(&whole, &ID).expect("as written");
    assert_eq!((read.position.sequence, read.completed_through, read.padded_bytes), (9, 8, 4096));
    assert_eq!(read.entries[0].batches, &b"batches"[..]);
    assert_eq!(Frame::parse(&whole, &[0; 16]), None, "another journal's");
    assert_eq!(Frame::length_hint(&whole, &ID), Some(119));
    for bit in 0..119 * 8 {
        let mut flipped = whole.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Frame::parse(&flipped.into(), &ID), None, "bit {bit}");
    }
    for length in 0..119 {
        assert_eq!(Frame::parse(&whole.slice(..length), &ID), None, "cut to {length}");
    }
}

#[test]
fn a_journal_file_header() {
    let name = JournalFileName { shard: ShardId(2), number: 5 };
    assert_eq!(name.path(), "journal/00002-00005.journal");
    assert_eq!(JournalFileName::parse("00002-00005.journal"), Some(name));
    let header = FileHeader { id: ID, generation: 4, dead_below: 77 };
    let block = name.header(&header);
    assert_eq!(block.len(), 4096);
    assert_eq!(
        hex(&block[..64]),
        concat!(
            "666c756d656e4a31",
            "c6c550a0",
            "00000002",
            "00000005",
            "000000000000000000000000",
            "30313233343536373839616263646566",
            "0000000000000004",
            "000000000000004d",
        )
    );
    assert_eq!(name.read_header(&block), Some(header));
    assert_eq!(JournalFileName { number: 6, ..name }.read_header(&block), None, "another file's");
}

fn state() -> PartitionState {
    PartitionState {
        counter: 5,
        partition: PARTITION,
        topic_name: "orders".to_string(),
        removed: false,
        cut: false,
        cleaned: false,
        durability: Durability::Replicated,
        point: DurablePoint {
            offset: Offset(1000),
            position: JournalPosition { generation: 2, sequence: 9 },
            epoch: LeaderEpoch(7),
            segment_base: Offset(900),
            segment_bytes: 4321,
        },
        log_start: Offset(10),
        epochs: vec![(LeaderEpoch(6), Offset(10)), (LeaderEpoch(7), Offset(600))],
        older_epochs: 0xabcd_ef01,
    }
}

#[test]
fn a_partition_state() {
    let state = state();
    let bytes = state.encode();
    assert_eq!((bytes.len(), state.copy_offset()), (COPY_BYTES, 4096));
    assert_eq!(
        hex(&bytes[..134]),
        concat!(
            "666c756d656e5053",
            "d9977cdf",
            "00000002",
            "0000000000000005",
            "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5",
            "00000003",
            "00000007",
            "00000000000003e8",
            "0000000000000002",
            "0000000000000009",
            "0000000000000384",
            "00000000000010e1",
            "000000000000000a",
            "0006",
            "6f7264657273",
            "0002",
            "00000006",
            "000000000000000a",
            "00000007",
            "0000000000000258",
            "abcdef01",
        )
    );
    assert!(bytes[134..].iter().all(|byte| *byte == 0));
    assert_eq!(PartitionState::decode_copy(&bytes), Some(state));
}

#[test]
fn the_newer_valid_copy_of_a_state_counts() {
    let newer = state();
    let older = PartitionState { counter: 4, log_start: Offset(1), ..state() };
    let file = [older.encode(), newer.encode()].concat();
    assert_eq!(PartitionState::decode(&file), Some(newer.clone()));
    let mut torn = file.clone();
    torn[COPY_BYTES + 60] ^= 1;
    assert_eq!(PartitionState::decode(&torn), Some(older), "the other is used");
    torn[60] ^= 1;
    assert_eq!(PartitionState::decode(&torn), None);
    let alone = [vec![0; COPY_BYTES], newer.encode()].concat();
    assert_eq!(PartitionState::decode(&alone), Some(newer));
}

#[test]
fn a_state_keeps_the_newest_epochs() {
    let epochs: Vec<_> = (0..400).map(|epoch| (LeaderEpoch(epoch), Offset(i64::from(epoch) * 10))).collect();
    let long = PartitionState { epochs, topic_name: "x".repeat(249), ..state() };
    let read = PartitionState::decode_copy(&long.encode()).expect("it fits");
    assert_eq!(read.epochs.len(), 256);
    assert_eq!(read.epochs[255], (LeaderEpoch(399), Offset(3990)));
}

/// Four batches of 71 bytes in a segment that starts at 50, an entry after every 100 bytes.
fn index() -> SegmentIndex {
    let mut index = SegmentIndex::new(Offset(50), 100);
    for number in 0..4 {
        let mut builder = BatchBuilder::new();
        builder.append(Timestamp([5, 9, 7, 8][number]), None, Some(b"abc"), &[]);
        let bytes = builder.build(Codec::None, None, ProducerInfo::NONE).expect("no codec");
        let header = BatchHeader::parse(&bytes).expect("a batch");
        let header = BatchHeader { base_offset: Offset(50 + number as i64), ..header };
        assert_eq!(header.total_bytes(), 71);
        index.note(&header, 71 * number as u64);
    }
    index.seal();
    index
}

/// Kafka's own files: the batch at position 142 is the first behind more than 100 bytes; its last offset is relative 2. The greatest
/// timestamp so far, 9, is the batch's before it.
#[test]
fn kafkas_indexes() {
    let index = index();
    assert_eq!(hex(&index.encode_offsets()), "000000020000008e");
    assert_eq!(hex(&index.encode_times()), "000000000000000900000001");
}

#[test]
fn a_sidecar() {
    let index = index();
    let bytes = sidecar::encode(&index, 284, Offset(54));
    assert_eq!(
        hex(&bytes),
        concat!(
            "666c756d656e434b",
            "c20b1a97",
            "da880d4b",
            "0000000000000032",
            "000000000000011c",
            "0000000000000036",
            "0000000000000009",
            "00000001",
            "29e20fbf",
            "00000001",
            "00000001",
            "0000000000000005",
            "00000002",
            "00000002",
            "0000008e",
            "e0ac707f",
            "000000000000000900000001",
        )
    );
    let (footer, read) = sidecar::decode(&bytes, Offset(50), 284, 100).expect("as written");
    assert_eq!((footer.next_offset, footer.max_timestamp), (Offset(54), Timestamp(9)));
    assert_eq!(read, index, "where the segment goes on, it does so as if nothing had been written down");
    assert!(sidecar::decode(&bytes, Offset(50), 285, 100).is_none(), "of a segment of another length");
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(sidecar::decode(&flipped, Offset(50), 284, 100).is_none(), "bit {bit}");
    }
}

#[test]
fn a_step_of_a_trail() {
    let index = index();
    let point = DurablePoint {
        offset: Offset(54),
        segment_base: Offset(50),
        segment_bytes: 284,
        ..DurablePoint::of_empty_log(JournalPosition::default())
    };
    let mut end = TrailEnd::default();
    let step = end
        .step(&point, &index, &index.summary(), Some(Timestamp(5)), (4, || b"snap".to_vec()))
        .expect("there is something to say");
    assert_eq!(step.at, TRAIL_AT);
    assert_eq!(
        hex(&step.bytes[..128]),
        concat!(
            "666c756d656e5452",
            "d40b9a67",
            "00000080",
            "0000000000000032",
            "0000000000000000",
            "000000000000011c",
            "0000000000000036",
            "00000000",
            "29e20fbf",
            "0000000000000009",
            "00000001",
            "0000008e",
            "0000000000000005",
            "00000001",
            "00000001",
            "00000004",
            "00000000",
            "00000002000000020000008ee0ac707f",
            "000000000000000900000001",
            "736e6170",
        )
    );
    assert!(step.bytes.len() == 8192 && step.bytes[128..].iter().all(|byte| *byte == 0), "the file grows in larger pieces");
    let trail = Trail::read(&step.bytes.clone().into(), &point, 100);
    assert_eq!((trail.reached.offset, trail.reached.position), (Offset(54), 284));
    assert_eq!(
        (&trail.index.entries, &trail.index.times, trail.index.summary()),
        (&index.entries, &index.times, index.summary())
    );
    assert_eq!((&trail.producers[..], trail.index.first_timestamp), (&[Bytes::from_static(b"snap")][..], Some(Timestamp(5))));
    assert_eq!(trail.end, end, "the next step follows");
    for bit in 0..128 * 8 {
        let mut flipped = step.bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Trail::read(&flipped.into(), &point, 100).reached.position, 0, "bit {bit}");
    }
    let before = DurablePoint { segment_bytes: 283, ..point };
    assert_eq!(Trail::read(&step.bytes.into(), &before, 100).reached.position, 0, "past D it says nothing");
}

#[test]
fn the_chain_sees_what_a_batchs_crc_leaves_out() {
    let mut builder = BatchBuilder::new();
    builder.append(Timestamp(1), None, Some(b"v"), &[]);
    let bytes = builder.build(Codec::None, None, ProducerInfo::NONE).expect("no codec");
    let header = BatchHeader::parse(&bytes).expect("a batch");
    let moved = BatchHeader { base_offset: Offset(1), ..header };
    let of_epoch = BatchHeader { partition_leader_epoch: LeaderEpoch(9), ..header };
    let chain = |header: &BatchHeader| crate::segment::index::chain(0, header);
    assert_ne!(chain(&header), chain(&moved));
    assert_ne!(chain(&header), chain(&of_epoch));
}

#[test]
fn a_compaction_manifest() {
    let cleaned = CleanedSegment { end: Offset(300), length: 4321, generation: 7, chain: 0xabcd_ef01 };
    let manifest = Manifest { generation: 8, cleaned_to: Offset(290), segments: BTreeMap::from([(Offset(100), cleaned)]) };
    let bytes = manifest.encode(PARTITION);
    assert_eq!(
        hex(&bytes),
        concat!(
            "666c756d656e434d",
            "fb3e503f",
            "00000001",
            "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5",
            "00000003",
            "00000000",
            "0000000000000008",
            "0000000000000122",
            "0000000000000064",
            "000000000000012c",
            "00000000000010e1",
            "0000000000000007",
            "abcdef01",
            "00000000",
        )
    );
    assert_eq!(Manifest::decode(&bytes, PARTITION), Some(manifest));
    let other = TopicPartition { partition: PartitionIndex(4), ..PARTITION };
    assert_eq!(Manifest::decode(&bytes, other), None, "another partition's");
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Manifest::decode(&flipped, PARTITION), None, "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert_eq!(Manifest::decode(&bytes[..length], PARTITION), None, "cut to {length}");
    }
    assert_eq!(cleaned_file_name(Offset(100), "log", 7), "00000000000000000100.log.7.cleaned");
}

#[test]
fn a_clean_stop() {
    let mark = CleanMark { shard: ShardId(1), shards: 4, generation: 6 };
    assert_eq!(mark.path(), "clean-stop.1");
    let bytes = mark.encode();
    assert_eq!(hex(&bytes), concat!("666c756d656e4353", "d9dcd1d4", "0000000000000006", "0001", "0004"));
    assert_eq!(CleanMark::decode(&bytes), Some(mark));
    assert_eq!(CleanMark::decode(&bytes[..23]), None);
}

#[test]
fn the_list_of_directories() {
    let (one, two) = (DirectoryId(1), DirectoryId(2));
    let known = BTreeMap::from([(one, "/a b".to_string()), (two, "/2".to_string())]);
    let text = DirectoryList { own: two, known }.encode();
    assert_eq!(
        text,
        "flumen log directories 1\nself 00000000000000000000000000000002\nknows 00000000000000000000000000000001 /a b\n\
             knows 00000000000000000000000000000002 /2\ncrc 052d4ff3\n"
    );
}

#[test]
fn kafkas_partition_metadata() {
    let text = partition_metadata(TopicId([0xA5; 16]));
    assert_eq!(text, "version: 0\ntopic_id: paWlpaWlpaWlpaWlpaWlpQ");
    assert_eq!(decode_topic_id(text.as_bytes()), Some(TopicId([0xA5; 16])));
    assert_eq!(decode_topic_id(b"version: 0\ntopic_id: short"), None);
}
