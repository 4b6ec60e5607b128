//! One store on one simulated disk, told what to do step by step.

use flumen_log::batch::{BatchBuilder, Origin, ProducerInfo, ValidatedBatch};
use flumen_log::compression::Codec;
use flumen_log::io::{FileOperation, Io, Owner, WriteData};
use flumen_log::recovery::{RecoveryReport, RecoverySettings, recover};
use flumen_log::state::{COPY_BYTES, PartitionState};
use flumen_log::store::{
    AppendError, Appended, DeleteRecords, Located, LogConfig, Output, PartitionSlot, Store, StoreSettings, TimestampLookup,
};
use flumen_log::{LeaderEpoch, Monotonic, Now, Offset, PartitionIndex, ProducerEpoch, ProducerId, ShardId, Timestamp};
use flumen_log::{TopicId, TopicPartition};
use flumen_sim::disk::SimDisk;
use flumen_sim::random::Random;

/// Of the first partition.
pub(crate) const STATE: &str = "topic-0/partition.state";
pub(crate) const JOURNAL_FILE_BYTES: u64 = 256 << 10;
/// Segment files kept open.
pub(crate) const OPEN_FILES_MAX: usize = 6;

pub(crate) struct Bench {
    pub(crate) disk: SimDisk,
    pub(crate) random: Random,
    pub(crate) store: Store,
    pub(crate) io: Io,
    pub(crate) now: Now,
    pub(crate) outputs: Vec<Output>,
    pub(crate) report: RecoveryReport,
    epoch: i32,
}

pub(crate) fn partition(number: i32) -> TopicPartition {
    TopicPartition { topic: TopicId([5; 16]), partition: PartitionIndex(number) }
}

/// A small log that keeps everything.
pub(crate) fn config() -> LogConfig {
    LogConfig { segment_bytes: 20_000, index_interval_bytes: 1000, retention_ms: -1, ..LogConfig::default() }
}

/// A batch of these (timestamp, value size) records.
pub(crate) fn batch_of(records: &[(i64, usize)], codec: Codec) -> ValidatedBatch {
    let mut builder = BatchBuilder::new();
    for (timestamp, bytes) in records {
        let value: Vec<u8> = (0..*bytes).map(|index| (index % 251) as u8).collect();
        builder.append(Timestamp(*timestamp), None, Some(&value), &[]);
    }
    builder.build_validated(codec, None, ProducerInfo::NONE).expect("it compresses").expect("it has records")
}

/// A batch of one record of an idempotent producer.
pub(crate) fn batch_from(producer: i64, sequence: i32) -> ValidatedBatch {
    let mut builder = BatchBuilder::new();
    builder.append(Timestamp(1), None, Some(b"value"), &[]);
    let info =
        ProducerInfo { id: ProducerId(producer), epoch: ProducerEpoch(0), base_sequence: sequence, is_transactional: false };
    builder.build_validated(Codec::None, None, info).expect("no codec").expect("one record")
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::over(SimDisk::new())
    }

    /// Recover what is on a disk, and start a store on it.
    pub(crate) fn over(mut disk: SimDisk) -> Self {
        let now = Now { monotonic: Monotonic(1), wall: Timestamp(1_000_000) };
        let settings = RecoverySettings {
            journal_id: u128::from(Random::new(disk.contents("").len() as u64).next()).to_be_bytes(),
            journal_file_bytes: JOURNAL_FILE_BYTES,
            quarantine_bytes: 1 << 20,
            index_interval_bytes: 1000,
        };
        let mut recovery = recover(&mut disk, 1, &settings, now).expect("the disk is whole");
        let settings = StoreSettings {
            journal_bytes: JOURNAL_FILE_BYTES * 3,
            journal_bytes_at_start: JOURNAL_FILE_BYTES * 2,
            journal_file_bytes: JOURNAL_FILE_BYTES,
            waiting_bytes_max: 10_000,
            free_space_floor_bytes: 1 << 20,
            retention_check_ms: 1000,
            open_files_max: OPEN_FILES_MAX,
            ..StoreSettings::of_shard(ShardId(0), 1)
        };
        let store = Store::new(settings, recovery.shards.remove(0), Owner(0));
        Self {
            disk,
            random: Random::new(1),
            store,
            io: Io::default(),
            now,
            outputs: Vec::new(),
            report: recovery.report,
            epoch: 1,
        }
    }

    /// The power fails; what is left is recovered.
    pub(crate) fn after_power_loss(mut self) -> Self {
        drop(self.store);
        self.disk.crash_power(&mut self.random);
        Self::over(self.disk)
    }

    /// The process dies.
    pub(crate) fn after_kill(mut self) -> Self {
        drop(self.store);
        self.disk.crash_process(&mut self.random);
        Self::over(self.disk)
    }

    /// A clean stop, and another start.
    pub(crate) fn after_stop(mut self) -> Self {
        self.store.stop(self.now, &mut self.io);
        self.settle();
        assert!(self.store.is_stopped(), "the store stops");
        assert_eq!(self.disk.open_files(), 0, "every file is closed");
        Self::over(self.disk)
    }

    pub(crate) fn create(&mut self, number: i32, config: LogConfig) -> PartitionSlot {
        let slot = self.store.create(partition(number), "topic", config, &mut self.io);
        self.settle();
        assert!(self.store.view(slot).expect("it was created").is_ready());
        self.store.begin_epoch(slot, LeaderEpoch(self.epoch));
        slot
    }

    /// Where a recovered partition is; it gets its configuration.
    pub(crate) fn slot(&mut self, number: i32) -> PartitionSlot {
        let slot = self.store.slot_of(partition(number)).expect("it was recovered");
        self.store.configure(slot, config());
        slot
    }

    pub(crate) fn try_append(&mut self, slot: PartitionSlot, batch: ValidatedBatch) -> Result<Appended, AppendError> {
        self.store.append(slot, batch, LeaderEpoch(self.epoch), Origin::Client, self.now)
    }

    /// Append and wait until it is durable.
    pub(crate) fn append(&mut self, slot: PartitionSlot, batch: ValidatedBatch) -> Appended {
        let appended = self.try_append(slot, batch).expect("it is taken");
        self.settle();
        appended
    }

    /// Many small batches, in turns of their own.
    pub(crate) fn fill(&mut self, slot: PartitionSlot, batches: i64) {
        for number in 0..batches {
            self.append(slot, batch_of(&[(number, 300)], Codec::None));
        }
    }

    pub(crate) fn end_turn(&mut self) {
        self.store.end_turn(self.now, &mut self.io, &mut self.outputs);
        self.submit();
    }

    fn submit(&mut self) {
        for operation in self.io.drain() {
            self.disk.submit(operation, &mut self.random);
        }
    }

    /// Complete the operations that `wanted` accepts, and what follows from them.
    pub(crate) fn complete_if(&mut self, wanted: impl Fn(&FileOperation) -> bool) {
        while let Some(completion) = self.disk.step_if(&wanted, &mut self.random) {
            self.store.complete(completion, self.now, &mut self.io, &mut self.outputs);
            self.submit();
        }
    }

    /// Turn until nothing is outstanding, or so many operations are done. Whether nothing is.
    pub(crate) fn run_steps(&mut self, steps: usize) -> bool {
        for _ in 0..steps {
            if self.disk.outstanding() == 0 {
                self.end_turn();
            }
            let Some(completion) = self.disk.step_if(|_| true, &mut self.random) else { return true };
            self.store.complete(completion, self.now, &mut self.io, &mut self.outputs);
            self.end_turn();
        }
        false
    }

    /// Turn until nothing is outstanding.
    pub(crate) fn settle(&mut self) {
        loop {
            self.end_turn();
            if self.disk.outstanding() == 0 {
                return;
            }
            self.complete_if(|_| true);
        }
    }

    pub(crate) fn tick_after(&mut self, ms: u64) {
        self.tick(ms);
        self.settle();
    }

    /// So much later something may begin.
    pub(crate) fn tick(&mut self, ms: u64) {
        self.now.monotonic = self.now.monotonic.after_ms(ms);
        self.now.wall = Timestamp(self.now.wall.0 + i64::try_from(ms).expect("a short time"));
        self.store.tick(self.now, &mut self.io, &mut self.outputs);
        self.submit();
    }

    pub(crate) fn locate(&mut self, slot: PartitionSlot, from: i64, max_bytes: u32, at_least_one: bool) -> Located {
        let below = self.store.view(slot).expect("it is there").log_end();
        let located = self.store.locate(slot, Offset(from), below, max_bytes, at_least_one, &mut self.io);
        self.submit();
        let Located::Pending(lookup) = located else { return located };
        self.settle();
        let answer = self.outputs.iter().position(|output| matches!(output, Output::Located { lookup: id, .. } if *id == lookup));
        match self.outputs.remove(answer.expect("it is answered")) {
            Output::Located { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }

    /// Delete everything before `offset`.
    pub(crate) fn delete_before(&mut self, slot: PartitionSlot, offset: Offset) {
        self.store.set_high_watermark(slot, offset);
        assert_eq!(self.store.delete_records(slot, offset), DeleteRecords::Pending);
        self.settle();
        assert_eq!(self.store.view(slot).expect("there").log_start(), offset);
    }

    /// Look for a batch and do not wait for the answer.
    pub(crate) fn locate_later(&mut self, slot: PartitionSlot, from: i64) {
        let located = self.store.locate(slot, Offset(from), Offset(i64::MAX), 1000, true, &mut self.io);
        self.submit();
        assert!(matches!(located, Located::Pending(_)), "{located:?}");
    }

    /// Lead in this epoch from now on.
    pub(crate) fn begin_epoch(&mut self, slot: PartitionSlot, epoch: i32) {
        self.epoch = epoch;
        self.store.begin_epoch(slot, LeaderEpoch(epoch));
    }

    pub(crate) fn timestamp(&mut self, slot: PartitionSlot, timestamp: Option<i64>) -> TimestampLookup {
        let below = self.store.view(slot).expect("it is there").log_end();
        let found = match timestamp {
            Some(timestamp) => self.store.offset_for_timestamp(slot, Timestamp(timestamp), below, &mut self.io),
            None => self.store.max_timestamp(slot, below, &mut self.io),
        };
        self.submit();
        let TimestampLookup::Pending(lookup) = found else { return found };
        self.settle();
        let answer = self.outputs.iter().find_map(|output| match output {
            Output::Timestamp { lookup: id, result } if *id == lookup => Some(*result),
            _ => None,
        });
        answer.expect("it is answered")
    }

    /// The whole log, read in slices.
    pub(crate) fn read_all(&mut self, slot: PartitionSlot) -> Vec<u8> {
        let view = self.store.view(slot).expect("it is there");
        let (mut from, end) = (view.log_start().0, view.log_end().0);
        let mut bytes = Vec::new();
        while from < end {
            let Located::Slice { slice, next_offset, .. } = self.locate(slot, from, 5000, true) else {
                panic!("{from} of {end} cannot be read: {:?}", self.store.view(slot).map(|v| v.faulty_ranges().to_vec()))
            };
            bytes.extend_from_slice(
                &self.disk.read_handle(slice.file.handle, slice.position, slice.length as usize).expect("open"),
            );
            from = next_offset.0;
        }
        bytes
    }

    pub(crate) fn file(&self, path: &str) -> Vec<u8> {
        let contents = self.disk.contents("");
        contents.into_iter().find(|(name, _)| name == path).map(|(_, content)| content).unwrap_or_default()
    }

    /// Where in the first partition's state the newer copy is.
    pub(crate) fn newest_copy(&self) -> usize {
        let state = self.file(STATE);
        let counter = |at: usize| PartitionState::decode_copy(&state[at..]).expect("whole").counter;
        if counter(0) > counter(COPY_BYTES) { 0 } else { COPY_BYTES }
    }

    /// The offsets that the first partition's files of a kind are called after.
    pub(crate) fn bases(&self, suffix: &str) -> Vec<i64> {
        let base = |name: String| name.strip_prefix("topic-0/")?.strip_suffix(suffix)?.parse().ok();
        self.names().into_iter().filter_map(base).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.disk.contents("").into_iter().map(|(name, _)| name).collect()
    }
}

pub(crate) fn is_journal_write(operation: &FileOperation) -> bool {
    matches!(operation, FileOperation::Write { data: WriteData::Aligned(_), .. })
}
