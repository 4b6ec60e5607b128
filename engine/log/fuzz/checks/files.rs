//! Any bytes as each of the log's small files: no panic, and what is accepted is written again as it was.
//!
//! The first byte chooses the file and whether its checksum is put right.

use bytes::Bytes;
use flumen_log::directories::{DirectoryList, LIST_FILE_NAME};
use flumen_log::epoch::LeaderEpochs;
use flumen_log::fuzz;
use flumen_log::journal::{Frame, JournalFileName};
use flumen_log::producer::ProducerSnapshot;
use flumen_log::segment::sidecar;
use flumen_log::state::PartitionState;
use flumen_log::{Offset, ShardId};

use super::mending::mend;

/// Their order is that of the corpus.
const NAMES: [&str; 12] = [
    "partition.state",
    "0.snapshot",
    "0.checks",
    "0.journal",
    "0.frames",
    "leader-epoch-checkpoint",
    "compaction.manifest",
    "clean-stop.0",
    "steady-clock.0",
    "partition.metadata",
    LIST_FILE_NAME,
    "trail",
];

pub(crate) fn check(input: &[u8]) {
    let [choice, bytes @ ..] = input else { return };
    let mut bytes = bytes.to_vec();
    let name = NAMES[usize::from(choice >> 1) % NAMES.len()];
    if choice & 1 == 0 {
        mend(name, &mut bytes);
    }
    match name {
        "partition.state" => state(&bytes),
        "0.snapshot" => snapshot(&bytes),
        "0.checks" => checks(&bytes),
        "0.journal" => journal(&bytes),
        "0.frames" => frames(bytes),
        "leader-epoch-checkpoint" => epochs(&bytes),
        "compaction.manifest" => written_again(&bytes, fuzz::manifest),
        "clean-stop.0" => written_again(&bytes, fuzz::clean_stop),
        "steady-clock.0" => written_again(&bytes, fuzz::steady_clock),
        "partition.metadata" => written_again(&bytes, fuzz::partition_metadata),
        "trail" => written_again(&bytes, fuzz::trail),
        _ => list(&bytes),
    }
}

/// What is written for the bytes is read as they were. It need not be them: some have room for what nobody looks at.
fn written_again(bytes: &[u8], read: fn(&[u8]) -> Option<Vec<u8>>) {
    if let Some(written) = read(bytes) {
        assert_eq!(read(&written), Some(written), "it is written as it is read");
    }
}

fn list(bytes: &[u8]) {
    if let Some(list) = DirectoryList::decode(bytes) {
        assert_eq!(DirectoryList::decode(list.encode().as_bytes()), Some(list), "a list is written as it is read");
    }
}

fn state(bytes: &[u8]) {
    if let Some(state) = PartitionState::decode(bytes) {
        assert_eq!(PartitionState::decode_copy(&state.encode()), Some(state.clone()), "a state is written as it is read");
        let _ = (state.leader_epochs(), state.copy_offset(), PartitionState::is_whole(bytes));
    }
}

fn snapshot(bytes: &[u8]) {
    if let Ok(snapshot) = ProducerSnapshot::decode(bytes)
        && let Some(stamp) = snapshot.stamp
    {
        let again = ProducerSnapshot::decode(&ProducerSnapshot::encode(&snapshot.states, stamp));
        assert_eq!(again, Ok(snapshot), "a snapshot is written as it is read");
    }
}

fn checks(bytes: &[u8]) {
    let length = bytes.get(24..32).map_or(0, |field| u64::from_be_bytes(field.try_into().unwrap_or_default()));
    let base = bytes.get(16..24).map_or(0, |field| i64::from_be_bytes(field.try_into().unwrap_or_default()));
    if let Some((footer, index)) = sidecar::decode(bytes, Offset(base), length, 1024) {
        let again = sidecar::encode(&index, length, footer.next_offset);
        assert_eq!(sidecar::decode(&again, Offset(base), length, 1024).map(|(_, index)| index), Some(index.clone()));
        for offset in [0, 1, base, base.saturating_add(7), i64::MAX] {
            let _ = (index.floor(Offset(offset)), index.floor_position(7, Offset(offset)));
        }
    }
}

fn journal(bytes: &[u8]) {
    let name = JournalFileName { shard: ShardId(0), number: 0 };
    if let Some(header) = name.read_header(bytes) {
        assert_eq!(name.read_header(&name.header(&header)), Some(header));
    }
}

fn frames(bytes: Vec<u8>) {
    let id = bytes.get(16..32).and_then(|id| id.try_into().ok()).unwrap_or_default();
    let _ = Frame::length_hint(&bytes, &id);
    if let Some(frame) = Frame::parse(&Bytes::from(bytes), &id) {
        assert!(frame.padded_bytes.is_multiple_of(4096));
    }
}

fn epochs(bytes: &[u8]) {
    if let Ok(text) = core::str::from_utf8(bytes)
        && let Ok(epochs) = LeaderEpochs::decode(text)
    {
        assert_eq!(LeaderEpochs::decode(&epochs.encode()), Ok(epochs));
    }
}
