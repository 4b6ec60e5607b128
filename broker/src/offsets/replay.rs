//! A coordinator takes over: it reads its partition from the start to the end it found.

use alloc::vec::Vec;
use bytes::Bytes;
use flumen_log::{
    Offset, TopicPartition,
    batch::{RecordBatch, StoredRead, read_stored},
    io::{Completion, FileOperation, Outcome},
    store::Located,
};

use super::{
    OFFSETS_TOPIC,
    coordinator::{Commit, CommitKey, Coordinator, Reading, Replay},
    records,
};
use crate::shard::{COORDINATORS, LookupFor, Shard, Turn};

/// Read at once, in bytes.
const READ_BYTES: u32 = 1024 * 1024;

impl Shard {
    /// This broker leads the partition from now on; if it is one of `__consumer_offsets`, its groups are coordinated here.
    pub(crate) fn coordinators_leads(&mut self, turn: &mut Turn<'_>, partition: TopicPartition) {
        let Some(hosted) = self.partitions.get(partition) else { return };
        if hosted.topic.name() != OFFSETS_TOPIC {
            return;
        }
        let Some(view) = self.directories.view(hosted.place) else { return };
        let coordinator = Coordinator::reading(view.log_start(), view.log_end());
        self.coordinators.of.insert(partition, coordinator);
        self.replay_on(turn, partition);
        self.arm_offset_expiry(turn);
    }

    fn replay_on(&mut self, turn: &mut Turn<'_>, partition: TopicPartition) {
        let Some(coordinator) = self.coordinators.of.get_mut(&partition) else { return };
        let Replay::At { next, end } = coordinator.replay else { return };
        if next >= end {
            coordinator.replay = Replay::Done;
            let gone = core::mem::take(&mut coordinator.gone_topics);
            if !gone.is_empty() {
                self.forget_commits_in(turn, partition, |key| gone.contains(&key.topic));
            }
            return;
        }
        let Some(place) = self.partitions.get(partition).map(|hosted| hosted.place) else { return };
        let store = self.directories.store_mut(place);
        match store.locate(place.slot, next, end, READ_BYTES, true, &mut turn.effects.files) {
            Located::Pending(lookup) => {
                self.lookups.insert((place.directory, lookup), LookupFor::Replay { partition });
            }
            located => self.replay_located(turn, partition, located),
        }
    }

    pub(crate) fn replay_located(&mut self, turn: &mut Turn<'_>, partition: TopicPartition, located: Located) {
        match located {
            Located::Slice { slice, next_offset, .. } => {
                let operation =
                    FileOperation::Read { file: slice.file.handle, offset: slice.position, length: slice.length as usize };
                let id = turn.effects.files.ask(COORDINATORS, operation);
                self.coordinators.reads.insert(id, Reading { partition, next: next_offset, lease: slice });
            }
            Located::Empty => self.replayed_to(turn, partition, None),
            Located::OutOfRange | Located::Corrupt | Located::Failed | Located::Pending(_) => self.replay_failed(partition),
        }
    }

    /// A piece of the partition was read.
    pub(crate) fn coordinator_read(&mut self, turn: &mut Turn<'_>, completion: Completion) {
        let Some(reading) = self.coordinators.reads.remove(&completion.id) else { return };
        let Ok(Outcome::Read { data }) = completion.result else {
            self.tell_unreadable(turn, &reading.lease);
            self.replay_failed(reading.partition);
            return;
        };
        let Some(found) = commits_in(data, self.settings.limits.decompressed_bytes) else {
            // The disk gave something else than was written: a commit passed over would be a commit lost.
            self.tell_unreadable(turn, &reading.lease);
            self.replay_failed(reading.partition);
            return;
        };
        if let Some(coordinator) = self.coordinators.of.get_mut(&reading.partition) {
            for (key, commit) in found {
                coordinator.take_up(key, commit);
            }
        }
        self.replayed_to(turn, reading.partition, Some(reading.next));
    }

    /// Everything up to here, or to the end, is known.
    fn replayed_to(&mut self, turn: &mut Turn<'_>, partition: TopicPartition, reached: Option<Offset>) {
        let Some(coordinator) = self.coordinators.of.get_mut(&partition) else { return };
        if let Replay::At { end, .. } = coordinator.replay {
            coordinator.replay = Replay::At { next: reached.unwrap_or(end), end };
        }
        self.replay_on(turn, partition);
    }

    fn replay_failed(&mut self, partition: TopicPartition) {
        if let Some(coordinator) = self.coordinators.of.get_mut(&partition) {
            coordinator.replay = Replay::Failed;
        }
    }
}

/// The commits and removals that some bytes of the partition record, in order. `None` if they are not whole batches.
fn commits_in(mut bytes: Bytes, decompressed_bytes: usize) -> Option<Vec<(CommitKey, Option<Commit>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let StoredRead::Batch(stored) = read_stored(&bytes) else { return None };
        let batch = bytes.split_to(stored.header.total_bytes());
        let Ok(batch) = RecordBatch::records(&batch, decompressed_bytes) else { continue };
        for record in batch {
            let Ok(record) = record else { break };
            if let Some(key) = &record.key {
                found.extend(records::decode(key, record.value.as_ref()));
            }
        }
    }
    Some(found)
}
