//! Any bytes as each of the log's small files: no panic, and what is accepted is written again as it was.
//!
//! The first byte chooses the file and whether its checksum is put right.

use bytes::Bytes;
use flumen_log::epoch::LeaderEpochs;
use flumen_log::journal::{Frame, JournalFileName};
use flumen_log::producer::ProducerSnapshot;
use flumen_log::segment::sidecar;
use flumen_log::state::{COPY_BYTES, PartitionState};
use flumen_log::{Offset, ShardId};

/// Put a checksum over `over` at `at`, if the bytes reach that far.
fn seal(bytes: &mut [u8], at: usize, over: std::ops::Range<usize>) {
    if let Some(covered) = bytes.get(over) {
        let checksum = crc32c::crc32c(covered).to_be_bytes();
        if let Some(place) = bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&checksum);
        }
    }
}

/// Put the magic where it belongs.
fn begin(bytes: &mut [u8], magic: &[u8]) {
    if let Some(place) = bytes.get_mut(..magic.len()) {
        place.copy_from_slice(magic);
    }
}

/// Put right what no fuzzer guesses, by the name's end.
pub(super) fn mend(name: &str, bytes: &mut [u8]) {
    let end = bytes.len();
    match name.rsplit_once(['.', '/']).map_or(name, |(_, suffix)| suffix) {
        "state" => {
            for copy in bytes.chunks_mut(COPY_BYTES) {
                begin(copy, b"flumenPS");
                seal(copy, 8, 12..COPY_BYTES);
            }
        }
        "snapshot" => {
            begin(bytes, &[0, 1]);
            seal(bytes, 2, 6..end);
        }
        "checks" => {
            begin(bytes, b"flumenCK");
            seal(bytes, 12, 72..end);
            seal(bytes, 8, 12..72);
        }
        "journal" => {
            begin(bytes, b"flumenJ1");
            seal(bytes, 8, 12..64);
            mend_frames(bytes, 4096);
        }
        "frames" => mend_frames(bytes, 0),
        _ if name.starts_with("clean-stop") => {
            begin(bytes, b"flumenCS");
            seal(bytes, 8, 12..24);
        }
        _ => {}
    }
}

/// The frames that are there, by their magic.
fn mend_frames(bytes: &mut [u8], from: usize) {
    for at in (from..bytes.len()).step_by(4096) {
        let frame = &mut bytes[at..];
        if !frame.starts_with(b"flumenJF") || frame.len() < 64 {
            continue;
        }
        let length = u32::from_be_bytes([frame[12], frame[13], frame[14], frame[15]]);
        seal(frame, 8, 12..usize::try_from(length).unwrap_or(usize::MAX).max(12));
    }
}

pub(crate) fn check(input: &[u8]) {
    let [choice, bytes @ ..] = input else { return };
    let mut bytes = bytes.to_vec();
    let names = ["partition.state", "0.snapshot", "0.checks", "0.journal", "0.frames", "leader-epoch-checkpoint"];
    let name = names[usize::from(choice >> 1) % names.len()];
    if choice & 1 == 0 {
        mend(name, &mut bytes);
    }
    match name {
        "partition.state" => {
            if let Some(state) = PartitionState::decode(&bytes) {
                assert_eq!(PartitionState::decode_copy(&state.encode()), Some(state.clone()), "a state is written as it is read");
                let _ = (state.leader_epochs(), state.copy_offset(), PartitionState::is_whole(&bytes));
            }
        }
        "0.snapshot" => {
            if let Ok(snapshot) = ProducerSnapshot::decode(&bytes)
                && let Some(stamp) = snapshot.stamp
            {
                let again = ProducerSnapshot::decode(&ProducerSnapshot::encode(&snapshot.states, stamp));
                assert_eq!(again, Ok(snapshot), "a snapshot is written as it is read");
            }
        }
        "0.checks" => {
            let length = bytes.get(24..32).map_or(0, |field| u64::from_be_bytes(field.try_into().unwrap_or_default()));
            let base = bytes.get(16..24).map_or(0, |field| i64::from_be_bytes(field.try_into().unwrap_or_default()));
            if let Some((footer, index)) = sidecar::decode(&bytes, Offset(base), length, 1024) {
                let again = sidecar::encode(&index, length, footer.next_offset);
                assert_eq!(sidecar::decode(&again, Offset(base), length, 1024).map(|(_, index)| index), Some(index.clone()));
                for offset in [0, 1, base, base.saturating_add(7), i64::MAX] {
                    let _ = (index.floor(Offset(offset)), index.floor_position(7, Offset(offset)));
                }
            }
        }
        "0.journal" => {
            let name = JournalFileName { shard: ShardId(0), number: 0 };
            if let Some(header) = name.read_header(&bytes) {
                assert_eq!(name.read_header(&name.header(&header)), Some(header));
            }
        }
        "0.frames" => {
            let id = bytes.get(16..32).and_then(|id| id.try_into().ok()).unwrap_or_default();
            let _ = Frame::length_hint(&bytes, &id);
            if let Some(frame) = Frame::parse(&Bytes::from(bytes), &id) {
                assert!(frame.padded_bytes.is_multiple_of(4096));
            }
        }
        _ => {
            if let Ok(text) = core::str::from_utf8(&bytes)
                && let Ok(epochs) = LeaderEpochs::decode(text)
            {
                assert_eq!(LeaderEpochs::decode(&epochs.encode()), Ok(epochs));
            }
        }
    }
}
