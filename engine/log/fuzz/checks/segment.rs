//! Any bytes as a log's segments: recovery keeps a prefix of them, unchanged, and finds the same when it is done again.
//!
//! The first byte chooses: whether checksums are put right (no fuzzer guesses them), whether the log is in the journal, and where its
//! known-durable point lies.

use flumen_log::epoch::LeaderEpochs;
use flumen_log::journal::JournalPosition;
use flumen_log::state::{DurablePoint, PartitionState};
use flumen_log::store::Durability;
use flumen_log::{Offset, PartitionIndex, TopicId, TopicPartition};

use super::{disk_of, logs, recovered_twice};

const HEADER_BYTES: usize = 61;

/// Make batches of the bytes: contiguous, of small epochs, with their checksums. Where each ends, and the offset there.
fn mend(bytes: &mut [u8]) -> Vec<(usize, i64)> {
    let mut ends = Vec::new();
    let (mut at, mut offset) = (0, 0_i64);
    while at + HEADER_BYTES <= bytes.len() {
        let total = (HEADER_BYTES + usize::from(bytes[at + 11])).min(bytes.len() - at);
        let batch = &mut bytes[at..at + total];
        if batch[0] == 0xff {
            break;
        }
        batch[..8].copy_from_slice(&offset.to_be_bytes());
        batch[8..12].copy_from_slice(&i32::try_from(total - 12).unwrap_or_default().to_be_bytes());
        batch[12..15].fill(0);
        batch[15] &= 3;
        batch[16] = 2;
        batch[23..26].fill(0);
        batch[26] &= 7;
        let crc = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        offset += i64::from(batch[26]) + 1;
        at += total;
        ends.push((at, offset));
    }
    ends
}

pub(crate) fn check(input: &[u8]) {
    let [choice, second, bytes @ ..] = input else { return };
    let mut bytes = bytes.to_vec();
    let ends = if choice & 1 == 0 { mend(&mut bytes) } else { Vec::new() };
    let journaled = choice & 2 == 0;
    // D behind one of the first batches, or at the start.
    let (point_bytes, point) = if choice & 4 == 0 { ends.get(usize::from(*second) % 8) } else { None }.copied().unwrap_or((0, 0));
    // The log goes on in another segment behind one of the batches.
    let split = if choice & 8 == 0 { None } else { ends.iter().find(|(end, _)| *end >= point_bytes + usize::from(*second)) };
    let partition = TopicPartition { topic: TopicId([5; 16]), partition: PartitionIndex(0) };
    let state = PartitionState {
        counter: 2,
        partition,
        topic_name: "topic".into(),
        removed: false,
        cut: false,
        cleaned: false,
        durability: if journaled { Durability::Journaled } else { Durability::Replicated },
        point: DurablePoint {
            offset: Offset(point),
            segment_bytes: point_bytes as u64,
            ..DurablePoint::of_empty_log(JournalPosition::default())
        },
        log_start: Offset::ZERO,
        epochs: PartitionState::newest(&LeaderEpochs::default()),
        older_epochs: 0,
    };
    let older = PartitionState { counter: 1, ..state.clone() };
    let state = [state.encode(), older.encode()].concat();
    let (cut, base) = split.copied().unwrap_or((bytes.len(), 0));
    let (first, rest) = bytes.split_at(cut);
    let second_name = format!("topic-0/{base:020}.log");
    let mut files = vec![("topic-0/partition.state", &state[..]), ("topic-0/00000000000000000000.log", first)];
    if split.is_some() {
        files.push((&second_name, rest));
    }
    let mut disk = disk_of(files);
    let store = recovered_twice(&mut disk);
    let found = logs(&disk, &store);
    let log = &found[&partition];
    let kept: Vec<u8> = log.segments.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    assert!(bytes.starts_with(&kept), "nothing is altered");
    let Some((_, end)) = log.span else {
        assert_eq!(kept, bytes, "what is damaged before D is left as it is");
        return;
    };
    assert!(end.0 >= point, "nothing before D is cut: {end} of {point}");
    if let Some((whole, offset)) = ends.iter().rfind(|(whole, _)| *whole <= kept.len()) {
        assert!(*whole == kept.len() || choice & 1 == 1, "only whole batches are kept");
        assert!(end == Offset(*offset) || kept.is_empty(), "{end} is where they end");
    }
}
