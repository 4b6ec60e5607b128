//! Everything that a store answers about a recovered directory: the ends of its logs, epochs, producers, and what lookups by offset
//! and by time find, bytes included. Two directories that are served alike are the same to every client.

use super::disk::ImageDisk;
use super::load::{INDEX_INTERVAL_BYTES, store_settings};
use flumen_log::io::{Completion, Disk, FileHandle, FileOperation, Io, IoError, Outcome, Owner};
use flumen_log::producer::AppendedBatch;
use flumen_log::recovery::Recovery;
use flumen_log::store::{Located, LogConfig, LogView, Output, PartitionSlot, Store, TimestampLookup, TimestampOffset};
use flumen_log::{LeaderEpoch, Monotonic, Now, Offset, ProducerEpoch, ProducerId, ShardId, Timestamp, TopicPartition};
use std::collections::BTreeMap;

/// Lookups by offset, and by time, into each log.
const LOOKUPS: i64 = 12;
const NOW: Now = Now { monotonic: Monotonic(1), wall: Timestamp(1_000_000) };

/// A producer without the moment at which it was last heard of, which a log does not tell. A snapshot has that moment in the place
/// of its last batch's time (Kafka's format has room for one), so the times of its batches are not told for certain either.
type Producer = (ProducerId, ProducerEpoch, Vec<ProducerBatch>, i32, Option<Offset>);

/// A batch of a producer's: last sequence, last offset, and how many offsets before it there are.
type ProducerBatch = (i32, Offset, i32);

/// What a lookup by offset finds.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Slice {
    asked: Offset,
    base: Offset,
    next: Offset,
    bytes: Vec<u8>,
}

/// One log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ServedLog {
    pub(super) start: Offset,
    pub(super) end: Offset,
    pub(super) epochs: Vec<(LeaderEpoch, Offset)>,
    pub(super) producers: Vec<Producer>,
    slices: Vec<Slice>,
    times: Vec<Option<TimestampOffset>>,
}

/// All logs.
pub(super) type Served = BTreeMap<TopicPartition, ServedLog>;

/// A store with files that answer at once.
struct Desk<'a> {
    disk: &'a mut ImageDisk,
    store: Store,
    io: Io,
    paths: Vec<String>,
    outputs: Vec<Output>,
}

impl ServedLog {
    /// Whether all that another is served with is here too; this one may start earlier.
    pub(super) fn holds(&self, other: &Self) -> bool {
        let latest = |log: &Self| log.epochs.last().map(|(epoch, _)| *epoch);
        self.end == other.end && latest(self) == latest(other) && other.slices.iter().all(|slice| self.slices.contains(slice))
    }

    /// What another is served with in another way.
    pub(super) fn other_answers(&self, now: &Self) -> String {
        let slice = |slice: &Slice| format!("{}: {} to {}, {} bytes", slice.asked, slice.base, slice.next, slice.bytes.len());
        let slices = self.slices.iter().zip(&now.slices).filter(|(before, now)| before != now);
        let slices: Vec<String> = slices.map(|(before, now)| format!("[{}] -> [{}]", slice(before), slice(now))).collect();
        let times = self.times.iter().zip(&now.times).filter(|(before, now)| before != now);
        let times: Vec<String> = times.map(|(before, now)| format!("{before:?} -> {now:?}")).collect();
        let ends = |log: &Self| format!("{} to {}, epochs {:?}", log.start, log.end, log.epochs);
        format!("{} -> {}; {slices:?} {times:?}", ends(self), ends(now))
    }
}

/// Ask a store about everything that recovery gave it.
pub(super) fn serve(disk: &mut ImageDisk, recovery: Recovery, file_bytes: u64) -> Result<Served, String> {
    let shards = u16::try_from(recovery.shards.len()).unwrap_or(1);
    let mut served = Served::new();
    for (number, shard) in (0..).zip(recovery.shards) {
        let store = Store::new(store_settings(ShardId(number), shards, file_bytes), shard, Owner(0));
        let slots: Vec<PartitionSlot> = store.partitions().map(|(slot, _)| slot).collect();
        let mut desk = Desk { disk, store, io: Io::default(), paths: Vec::new(), outputs: Vec::new() };
        for slot in slots {
            let config = LogConfig { index_interval_bytes: INDEX_INTERVAL_BYTES, retention_ms: -1, ..LogConfig::default() };
            desk.store.configure(slot, config);
            let (partition, log) = desk.log(slot)?;
            served.insert(partition, log);
        }
    }
    Ok(served)
}

fn producers(view: &LogView<'_>) -> Vec<Producer> {
    let mut all: Vec<Producer> = view
        .producers()
        .iter()
        .map(|(id, entry)| {
            let batch = |batch: &AppendedBatch| (batch.last_sequence, batch.last_offset, batch.offset_delta);
            let batches = entry.batches().iter().map(batch).collect();
            (id, entry.epoch(), batches, entry.coordinator_epoch(), entry.current_transaction_start())
        })
        .collect();
    all.sort_by_key(|(id, ..)| *id);
    all
}

impl Desk<'_> {
    fn log(&mut self, slot: PartitionSlot) -> Result<(TopicPartition, ServedLog), String> {
        let view = self.store.view(slot).ok_or("a partition without a log")?;
        let partition = view.partition();
        if view.is_offline() {
            return Err(format!("{partition:?} is offline"));
        }
        let (start, end) = (view.log_start(), view.log_end());
        let mut log = ServedLog {
            start,
            end,
            epochs: view.epochs().entries().iter().map(|entry| (entry.epoch, entry.start_offset)).collect(),
            producers: producers(&view),
            slices: Vec::new(),
            times: Vec::new(),
        };
        for step in 0..LOOKUPS {
            // Counted from the end, which damage to a state does not move.
            let asked = Offset(end.0 - 1 - (end.0 - 1) * step / LOOKUPS);
            if asked >= start && asked < end {
                log.slices.push(self.slice(slot, asked, end)?);
            }
        }
        let newest = self.timestamp(slot, None, end)?;
        log.times.push(newest);
        let oldest = self.timestamp(slot, Some(Timestamp(0)), end)?;
        if let (Some(oldest), Some(newest)) = (oldest, newest) {
            let span = newest.timestamp.0 - oldest.timestamp.0;
            for step in 0..LOOKUPS {
                let asked = Timestamp(newest.timestamp.0 - span * step / LOOKUPS);
                log.times.push(self.timestamp(slot, Some(asked), end)?);
            }
        }
        Ok((partition, log))
    }

    fn slice(&mut self, slot: PartitionSlot, asked: Offset, below: Offset) -> Result<Slice, String> {
        let mut located = self.store.locate(slot, asked, below, 3000, true, &mut self.io);
        if let Located::Pending(id) = located {
            self.work();
            let answer = self.outputs.drain(..).find_map(|output| match output {
                Output::Located { lookup, result } if lookup == id => Some(result),
                _ => None,
            });
            located = answer.ok_or("a lookup that never ends")?;
        }
        let Located::Slice { slice, base_offset, next_offset } = located else {
            return Err(format!("offset {asked} is answered with {located:?}"));
        };
        let path = self.path(slice.file.handle).ok_or("a slice of a file that was never opened")?;
        let length = usize::try_from(slice.length).unwrap_or(usize::MAX);
        let bytes = self.disk.read(&path, slice.position, length).map_err(|error| error.to_string())?.to_vec();
        Ok(Slice { asked, base: base_offset, next: next_offset, bytes })
    }

    /// By time, or the newest.
    fn timestamp(
        &mut self,
        slot: PartitionSlot,
        asked: Option<Timestamp>,
        below: Offset,
    ) -> Result<Option<TimestampOffset>, String> {
        let mut found = match asked {
            Some(asked) => self.store.offset_for_timestamp(slot, asked, below, &mut self.io),
            None => self.store.max_timestamp(slot, below, &mut self.io),
        };
        if let TimestampLookup::Pending(id) = found {
            self.work();
            let answer = self.outputs.drain(..).find_map(|output| match output {
                Output::Timestamp { lookup, result } if lookup == id => Some(result),
                _ => None,
            });
            found = answer.ok_or("a lookup that never ends")?;
        }
        match found {
            TimestampLookup::Found(found) => Ok(Some(found)),
            TimestampLookup::None => Ok(None),
            other => Err(format!("time {asked:?} is answered with {other:?}")),
        }
    }

    fn path(&self, handle: FileHandle) -> Option<String> {
        self.paths.get(usize::try_from(handle.0).unwrap_or(usize::MAX)).cloned()
    }

    /// Answer what the store asks for until it asks for nothing more.
    fn work(&mut self) {
        loop {
            let operations: Vec<_> = self.io.drain().collect();
            if operations.is_empty() {
                return;
            }
            for operation in operations {
                let result = self.answer(&operation.kind);
                let completion = Completion { id: operation.id, result, buffer: None };
                self.store.complete(completion, NOW, &mut self.io, &mut self.outputs);
            }
        }
    }

    fn answer(&mut self, operation: &FileOperation) -> Result<Outcome, IoError> {
        match operation {
            FileOperation::Open { path, .. } => {
                let length = self.disk.length(path).ok_or(IoError::NOT_FOUND)?;
                let file = FileHandle(u32::try_from(self.paths.len()).unwrap_or(u32::MAX));
                self.paths.push(path.clone());
                Ok(Outcome::Opened { file, length })
            }
            FileOperation::Read { file, offset, length } => {
                let path = self.path(*file).ok_or(IoError::INVALID)?;
                self.disk.read(&path, *offset, *length).map(|data| Outcome::Read { data })
            }
            _ => Ok(Outcome::Done),
        }
    }
}
