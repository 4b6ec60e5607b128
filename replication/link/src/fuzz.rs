//! Any bytes as the quorum's files: what the fuzz target checks, and what the tests replay its corpus through.
//!
//! The first byte chooses whether frames are made of the rest (no fuzzer guesses checksums) and the second whether it all goes into
//! the log or begins with a snapshot. What opens is opened again and is the same; what is refused is not touched.

use crate::frame::{self, Kind};
use crate::log_store::LogStore;
use crate::machine::Machine;
use crate::{QuorumError, files, opening};
use flumen_controller::configs::KafkaConfigRules;
use openraft::RaftLogReader;
use openraft::storage::RaftLogStorage;
use std::path::Path;

const NODE: u64 = 1;
const KINDS: [Kind; 7] =
    [Kind::Opening, Kind::Vote, Kind::Committed, Kind::Entries, Kind::Purged, Kind::SnapshotPlace, Kind::Image];

/// A file of frames, each made of a kind, a length of two bytes, and that many bytes.
fn framed(mut input: &[u8]) -> Vec<u8> {
    let opening = opening::encode(NODE).unwrap_or_default();
    let mut bytes = frame::encode(0, Kind::Opening, &opening).unwrap_or_default();
    let mut sequence = 1;
    while let [kind, high, low, rest @ ..] = input {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (payload, left) = rest.split_at(length);
        bytes.extend(frame::encode(sequence, KINDS[usize::from(*kind) % KINDS.len()], payload).unwrap_or_default());
        sequence += 1;
        input = left;
    }
    bytes
}

/// What the files say: the last entry, how many there are, and what counts as committed.
async fn open(directory: &Path) -> Result<String, QuorumError> {
    let mut log = LogStore::open(directory, NODE)?;
    let machine = Machine::open(directory, NODE, Box::new(KafkaConfigRules))?;
    let entries = log.try_get_log_entries(..).await.map_err(|fault| QuorumError::Stopped(fault.to_string()))?;
    let committed = log.read_committed().await.map_err(|fault| QuorumError::Stopped(fault.to_string()))?;
    Ok(format!("{:?} {} {committed:?} {:?}", log.last(), entries.len(), machine.last_applied()))
}

/// Check one input, in a directory of which nothing is kept.
///
/// # Panics
/// If something does not hold.
pub async fn check(directory: &Path, input: &[u8]) {
    let [choice, split, rest @ ..] = input else { return };
    let (snapshot, log) = rest.split_at(if choice & 2 == 0 { 0 } else { usize::from(*split).min(rest.len()) });
    let made = |bytes: &[u8]| if choice & 1 == 0 { framed(bytes) } else { bytes.to_vec() };
    let log = made(log);
    let place = |name: &str| directory.join(name);
    std::fs::write(place(files::LOG), &log).expect("a directory to write to");
    let _ = std::fs::remove_file(place(files::SNAPSHOT));
    if choice & 2 != 0 {
        std::fs::write(place(files::SNAPSHOT), made(snapshot)).expect("a directory to write to");
    }
    let first = open(directory).await;
    let left = std::fs::read(place(files::LOG)).expect("the log is there");
    match first {
        Ok(first) => {
            assert!(log.starts_with(&left), "a log is only ever cut");
            let second = open(directory).await.expect("what was opened opens again");
            assert_eq!(first, second, "opening twice is opening once");
        }
        // The log may have been cut before the snapshot was refused; what was cut was never finished.
        Err(_) => assert!(log.starts_with(&left), "what is refused is not touched"),
    }
}
