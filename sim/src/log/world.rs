//! The stores of one process, the disk under them, and what the oracle knows.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use flumen_log::batch::StoredRead;
use flumen_log::io::{Disk, Io, Owner};
use flumen_log::recovery::{Recovery, RecoverySettings, recover};
use flumen_log::store::{AppendError, DeleteRecords, Durability, Located, Output, PartitionSlot, Store, StoreSettings, owner_of};
use flumen_log::{LeaderEpoch, Monotonic, Now, Offset, PartitionIndex, ShardId, Timestamp, TopicId, TopicPartition};

use super::model::{Model, ORIGIN, Stored, small_config};
use super::{Control, Verdict};
use crate::disk::SimDisk;
use crate::random::Random;

const STEPS_PER_LIFE: u64 = 250;
/// More completions than a run that makes progress can need.
const PATIENCE: usize = 100_000;

pub(super) struct World {
    random: Random,
    control: Control,
    disk: SimDisk,
    now: Now,
    shards: u16,
    stores: Vec<(Store, Io)>,
    models: Vec<Model>,
    journal_file_bytes: u64,
    located: BTreeMap<u64, Located>,
    journal_id: u64,
    verdict: Verdict,
    died_of_power: bool,
}

impl World {
    pub(super) fn new(mut random: Random, control: Control) -> Self {
        let mut disk = SimDisk::new();
        disk.faults.refuses_direct = random.one_in(4);
        disk.faults.rates.short_write = if random.one_in(2) { 8 } else { 0 };
        let partitions = 1 + random.below(5);
        let models = (0..partitions).map(|number| {
            let partition = PartitionIndex(i32::try_from(number).unwrap_or_default());
            let mut config = small_config(&mut random);
            config.durability = if random.one_in(4) { Durability::Replicated } else { Durability::Journaled };
            Model::new(TopicPartition { topic: TopicId([7; 16]), partition }, config)
        });
        Self {
            models: models.collect(),
            journal_file_bytes: 4096 * (8 + random.below(24)),
            random,
            control,
            disk,
            now: Now { monotonic: Monotonic(1), wall: Timestamp(1_000_000) },
            shards: 1,
            stores: Vec::new(),
            located: BTreeMap::new(),
            journal_id: 0,
            verdict: Verdict::default(),
            died_of_power: false,
        }
    }

    pub(super) fn violations(&self) -> &[String] {
        &self.verdict.violations
    }

    pub(super) fn into_verdict(self) -> Verdict {
        self.verdict
    }

    fn violation(&mut self, text: String) {
        self.verdict.violations.push(text);
    }

    /// Recover, compare, and go on for a while.
    pub(super) fn live(&mut self) {
        self.start();
        for index in 0..self.stores.len().min(1) * self.models.len() {
            self.compare(index);
        }
        if !self.verdict.violations.is_empty() {
            return;
        }
        for index in 0..self.models.len() {
            self.open_partition(index);
        }
        if self.verdict.work.recoveries > 1 || !self.random.one_in(4) {
            self.end_turns();
            self.drive("creation", |world| world.models.iter().all(|model| model.created || model.removing));
        }
        for _ in 0..STEPS_PER_LIFE {
            self.act();
        }
        for index in 0..self.models.len() {
            if self.random.one_in(3) {
                self.read_back(index);
            }
        }
    }

    /// Crash, or stop as one should. After the last life the logs are recovered and compared once more.
    pub(super) fn end_life(&mut self, last: bool) {
        if self.random.one_in(4) {
            self.stop();
            self.died_of_power = self.random.one_in(2);
            self.verdict.work.stops += 1;
        } else {
            self.died_of_power = self.random.one_in(2);
            self.verdict.work.crashes += 1;
        }
        self.stores.clear();
        self.crash();
        if last && self.verdict.violations.is_empty() {
            self.start();
            for index in 0..self.stores.len().min(1) * self.models.len() {
                self.compare(index);
            }
        }
    }

    fn crash(&mut self) {
        if self.died_of_power {
            self.disk.crash_power(&mut self.random);
        } else {
            self.disk.crash_process(&mut self.random);
        }
    }

    fn start(&mut self) {
        if self.control == Control::NoReplay {
            for entry in Disk::list(&mut self.disk, "journal").unwrap_or_default() {
                let _ = Disk::unlink(&mut self.disk, &format!("journal/{}", entry.name));
            }
        }
        self.shards = 1 + u16::try_from(self.random.below(3)).unwrap_or_default();
        let Some(recovery) = self.recover() else { return };
        self.verdict.work.recoveries += 1;
        self.verdict.work.replayed += recovery.report.replayed_batches;
        let report = &recovery.report;
        if self.control == Control::None
            && (report.corrupt_frames > 0
                || !report.offline.is_empty()
                || !report.suspect_tails.is_empty()
                || !report.states_rebuilt.is_empty()
                || report.unclaimed_entries > 0)
        {
            self.violation(format!("a crash alone must not look like corruption: {report:?}"));
        }
        self.stores = recovery
            .shards
            .into_iter()
            .enumerate()
            .map(|(number, shard)| {
                let number = u16::try_from(number).unwrap_or_default();
                let settings = StoreSettings {
                    journal_bytes: self.journal_file_bytes * 4,
                    journal_bytes_at_start: self.journal_file_bytes * 2,
                    journal_file_bytes: self.journal_file_bytes,
                    journal_frame_bytes: 16 << 10,
                    journal_writes_in_flight: 3,
                    open_files_max: 4,
                    index_cache_bytes: 2048,
                    checkpoints_in_flight: 2,
                    retention_check_ms: 2000,
                    ..StoreSettings::of_shard(ShardId(number), self.shards)
                };
                (Store::new(settings, shard, Owner(u32::from(number))), Io::default())
            })
            .collect();
    }

    /// Recover, perhaps in several attempts, perhaps twice.
    fn recover(&mut self) -> Option<Recovery> {
        loop {
            self.journal_id += 1;
            let settings = RecoverySettings {
                journal_id: u128::from(self.journal_id).to_be_bytes(),
                journal_file_bytes: self.journal_file_bytes,
                quarantine_bytes: 1 << 20,
                index_interval_bytes: 1024,
            };
            let interrupted = self.random.one_in(3);
            self.disk.faults.calls_left = interrupted.then(|| self.random.below(200));
            let result = recover(&mut self.disk, self.shards, &settings, self.now);
            self.disk.faults.calls_left = None;
            match result {
                Ok(recovery) if self.random.one_in(8) => {
                    drop(recovery);
                    if self.random.one_in(2) {
                        self.died_of_power = true;
                        self.disk.crash_power(&mut self.random);
                    }
                }
                Ok(recovery) => return Some(recovery),
                Err(error) => {
                    if !interrupted {
                        self.violation(format!("recovery failed: {error}"));
                        return None;
                    }
                    self.verdict.work.interrupted += 1;
                    self.died_of_power = true;
                    self.disk.crash_power(&mut self.random);
                }
            }
        }
    }

    fn place(&self, index: usize) -> Option<(usize, PartitionSlot)> {
        let identity = self.models[index].identity;
        let store = usize::from(owner_of(identity, self.shards).0);
        self.stores[store].0.slot_of(identity).map(|slot| (store, slot))
    }

    /// Hold a recovered log against what the run knows of it.
    fn compare(&mut self, index: usize) {
        let model = self.models[index].clone();
        let Some((store, slot)) = self.place(index) else {
            if model.removing {
                self.models[index] = model.successor();
            } else if model.created {
                self.violation(format!("partition {index} is gone"));
            }
            return;
        };
        if model.removing {
            return;
        }
        self.models[index].created = true;
        let Some(view) = self.stores[store].0.view(slot) else { return };
        let (start, end, durable) = (view.log_start(), view.log_end(), view.durable().get());
        let floor = if self.died_of_power { model.durable } else { model.durable.max(model.written) };
        if end < floor || view.is_offline() {
            self.violation(format!("partition {index} ends at {end}, though {floor} was reached; offline {}", view.is_offline()));
            return;
        }
        if durable != end || end > model.end().max(start) || start < model.log_start || start > end.max(model.log_start) {
            self.violation(format!(
                "partition {index}: start {start}, end {end}, durable {durable}; appended up to {}, started at {}",
                model.end(),
                model.log_start
            ));
            return;
        }
        self.models[index].truncate(end);
        self.models[index].log_start = start;
        self.read_back(index);
        self.check_duplicate(index);
    }

    /// An idempotent producer that sends its last batch again must be told where it is.
    fn check_duplicate(&mut self, index: usize) {
        let Some((store, slot)) = self.place(index) else { return };
        let model = &self.models[index];
        let Some(last) = model.batches.last().filter(|batch| batch.base >= model.log_start).cloned() else { return };
        let records = u64::try_from(last.next.0 - last.base.0).unwrap_or_default();
        let batch = model.make_batch(last.sequence, records, 10, 0, self.now.wall);
        let epoch = LeaderEpoch(model.epoch.0 + 1);
        let answer = self.stores[store].0.append(slot, batch, epoch, ORIGIN, self.now);
        if !matches!(&answer, Ok(appended) if appended.duplicate && appended.base_offset == last.base) {
            self.violation(format!("partition {index}: the batch at {} sent again gave {answer:?}", last.base));
        }
    }

    fn open_partition(&mut self, index: usize) {
        let placed = self.place(index);
        if self.models[index].removing {
            if let Some((store, slot)) = placed {
                self.stores[store].0.remove(slot);
            }
            return;
        }
        let model = &mut self.models[index];
        model.epoch = LeaderEpoch(model.epoch.0 + 1);
        let (identity, config, epoch) = (model.identity, model.config.clone(), model.epoch);
        match placed {
            Some((store, slot)) => {
                self.stores[store].0.configure(slot, config);
                self.stores[store].0.begin_epoch(slot, epoch);
            }
            None => {
                let store = usize::from(owner_of(identity, self.shards).0);
                let (machine, io) = &mut self.stores[store];
                machine.create(identity, "topic", config, io);
            }
        }
    }

    fn act(&mut self) {
        match self.random.below(20) {
            0..=7 => self.append(),
            8..=10 => self.end_turns(),
            11..=16 => {
                self.complete_one();
            }
            17 => {
                let passed_ms = self.random.below(3000);
                self.now.monotonic = self.now.monotonic.after_ms(passed_ms);
                self.now.wall = Timestamp(self.now.wall.0 + i64::try_from(passed_ms).unwrap_or_default());
                for store in 0..self.stores.len() {
                    let mut outputs = Vec::new();
                    let (machine, io) = &mut self.stores[store];
                    machine.tick(self.now, io, &mut outputs);
                    self.take(store, outputs);
                }
            }
            18 if self.random.one_in(12) => self.remove(),
            18 => self.shorten(),
            _ => {
                let index = self.random.index(self.models.len());
                if self.random.one_in(6) {
                    self.switch_durability(index);
                } else if self.random.one_in(6) {
                    self.read_back(index);
                }
            }
        }
    }

    fn append(&mut self) {
        let index = self.random.index(self.models.len());
        if self.models[index].removing {
            return;
        }
        let Some((store, slot)) = self.place(index) else { return };
        let records = 1 + self.random.below(3);
        let bytes_max = if self.random.one_in(10) { 3000 } else { 600 };
        let bytes = self.random.index(bytes_max);
        let model = &self.models[index];
        let sequence = model.next_sequence();
        let fill = u8::try_from(self.random.below(256)).unwrap_or_default();
        let batch = model.make_batch(sequence, records, bytes, fill, self.now.wall);
        let (epoch, expected) = (model.epoch, model.end().max(model.log_start));
        match self.stores[store].0.append(slot, batch.clone(), epoch, ORIGIN, self.now) {
            Ok(appended) => {
                if appended.base_offset != expected || appended.duplicate {
                    self.violation(format!("partition {index}: appended at {} instead of {expected}", appended.base_offset));
                }
                let stamped = batch.stamp(appended.base_offset, epoch);
                let stored = Stored {
                    base: appended.base_offset,
                    next: appended.last_offset.next(),
                    bytes: stamped.pieces().concat(),
                    sequence,
                };
                let model = &mut self.models[index];
                model.batches.push(stored);
                if self.control == Control::EarlyAck {
                    model.durable = appended.last_offset.next();
                }
                self.verdict.work.appends += 1;
            }
            Err(AppendError::NotReady) => {}
            Err(error) => self.violation(format!("partition {index}: append refused: {error:?}")),
        }
    }

    fn shorten(&mut self) {
        let index = self.random.index(self.models.len());
        let Some((store, slot)) = self.place(index) else { return };
        let machine = &mut self.stores[store].0;
        let Some(view) = machine.view(slot) else { return };
        let reach = view.durable().get();
        machine.set_high_watermark(slot, reach);
        if self.random.one_in(2) && reach > view_start(machine, slot) {
            let span = u64::try_from(reach.0 - view_start(machine, slot).0).unwrap_or_default();
            let to = view_start(machine, slot).plus(i64::try_from(self.random.below(span + 1)).unwrap_or_default());
            let answer = machine.delete_records(slot, to);
            if matches!(answer, DeleteRecords::OutOfRange) {
                self.violation(format!("partition {index}: {to} is below the watermark {reach}"));
            }
        }
    }

    /// Remove a partition; where it is gone, one of the same name and another topic id follows.
    fn remove(&mut self) {
        let index = self.random.index(self.models.len());
        let Some((store, slot)) = self.place(index) else { return };
        if self.models[index].created {
            self.stores[store].0.remove(slot);
            self.models[index].removing = true;
        }
    }

    fn removed(&mut self, partition: TopicPartition) {
        let Some(index) = self.models.iter().position(|model| model.identity == partition) else { return };
        self.models[index] = self.models[index].successor();
        self.verdict.work.removed += 1;
        self.open_partition(index);
    }

    fn switch_durability(&mut self, index: usize) {
        let Some((store, slot)) = self.place(index) else { return };
        let model = &mut self.models[index];
        model.config.durability = match model.config.durability {
            Durability::Journaled => Durability::Replicated,
            Durability::Replicated => Durability::Journaled,
        };
        self.stores[store].0.configure(slot, model.config.clone());
    }

    fn end_turns(&mut self) {
        for store in 0..self.stores.len() {
            let mut outputs = Vec::new();
            let (machine, io) = &mut self.stores[store];
            machine.end_turn(self.now, io, &mut outputs);
            self.take(store, outputs);
        }
    }

    /// Complete one operation. Whether there was one.
    fn complete_one(&mut self) -> bool {
        let Some(completion) = self.disk.step(&mut self.random) else { return false };
        let store = usize::try_from(completion.id.owner.0).unwrap_or_default();
        let mut outputs = Vec::new();
        let (machine, io) = &mut self.stores[store];
        machine.complete(completion, self.now, io, &mut outputs);
        self.take(store, outputs);
        true
    }

    /// Hand a store's operations to the disk, and note what it said.
    fn take(&mut self, store: usize, outputs: Vec<Output>) {
        let (machine, io) = &mut self.stores[store];
        for operation in io.drain() {
            self.disk.submit(operation, &mut self.random);
        }
        let mut violations = Vec::new();
        let mut removed = Vec::new();
        for output in outputs {
            match output {
                Output::Created { slot, result } => {
                    let identity = machine.view(slot).map(|view| view.partition());
                    if result.is_err() {
                        violations.push(format!("creation failed: {result:?}"));
                    }
                    if let Some(model) = self.models.iter_mut().find(|model| Some(model.identity) == identity) {
                        model.created = true;
                        machine.begin_epoch(slot, model.epoch);
                    }
                }
                Output::Advanced { slot } => {
                    let Some(view) = machine.view(slot) else { continue };
                    let (end, durable) = (view.log_end(), view.durable().get());
                    if durable > end || end > view.next_offset() {
                        violations.push(format!("durable {durable}, end {end}, next {}", view.next_offset()));
                    }
                    let identity = view.partition();
                    if let Some(model) = self.models.iter_mut().find(|model| model.identity == identity) {
                        self.verdict.work.durable += u64::try_from(durable.0 - model.durable.0).unwrap_or_default();
                        model.durable = model.durable.max(durable);
                        model.written = model.written.max(end);
                    }
                }
                Output::LogStartMoved { slot, log_start } => {
                    let identity = machine.view(slot).map(|view| view.partition());
                    if let Some(model) = self.models.iter_mut().find(|model| Some(model.identity) == identity) {
                        model.log_start = log_start;
                    }
                    self.verdict.work.starts_moved += 1;
                }
                Output::Located { lookup, result } => {
                    self.located.insert(lookup.0, result);
                }
                Output::DirectoryFailed { error } => violations.push(format!("the directory failed: {error}")),
                Output::Removed { partition } => removed.push(partition),
                Output::Timestamp { .. } | Output::DurabilityChanged { .. } => {}
            }
        }
        self.verdict.violations.extend(violations);
        for partition in removed {
            self.removed(partition);
        }
    }

    /// Complete operations until `done` says so.
    fn drive(&mut self, what: &str, done: impl Fn(&mut Self) -> bool) {
        for _ in 0..PATIENCE {
            if done(self) {
                return;
            }
            if !self.complete_one() {
                self.end_turns();
                if self.disk.outstanding() == 0 && !done(self) {
                    self.end_turns();
                    if self.disk.outstanding() == 0 {
                        break;
                    }
                }
            }
        }
        if !done(self) {
            self.violation(format!("no progress: {what}"));
        }
    }

    /// Read a log from its start to its end, as a fetch would, and compare.
    fn read_back(&mut self, index: usize) {
        let Some((store, slot)) = self.place(index) else { return };
        let Some(view) = self.stores[store].0.view(slot) else { return };
        let (mut from, end) = (view.log_start(), view.log_end());
        while from < end && self.verdict.violations.is_empty() {
            let max_bytes = u32::try_from(self.random.below(20_000)).unwrap_or_default();
            let (machine, io) = &mut self.stores[store];
            let mut located = machine.locate(slot, from, end, max_bytes, true, io);
            if let Located::Pending(lookup) = located {
                self.take(store, Vec::new());
                self.drive("a lookup", |world| world.located.contains_key(&lookup.0));
                located = self.located.remove(&lookup.0).unwrap_or(Located::Failed);
            }
            let Located::Slice { slice, base_offset, next_offset } = located else {
                // Retention may have moved the start meanwhile.
                let start = self.stores[store].0.view(slot).map_or(Offset::ZERO, |view| view.log_start());
                if matches!(located, Located::OutOfRange) && start > from {
                    from = start;
                    continue;
                }
                return self.violation(format!("partition {index}: {from} of {end} located as {located:?}"));
            };
            let length = usize::try_from(slice.length).unwrap_or_default();
            let bytes = self.disk.read_handle(slice.file.handle, slice.position, length).unwrap_or_default();
            let expected = self.models[index].bytes_between(base_offset, next_offset);
            let whole = matches!(flumen_log::batch::read_stored(&bytes), StoredRead::Batch(_));
            if base_offset > from || next_offset <= from || bytes != expected || !whole {
                return self.violation(format!(
                    "partition {index}: {from} gave {base_offset}..{next_offset}, {} bytes, not as appended",
                    bytes.len()
                ));
            }
            self.verdict.work.slices += 1;
            from = next_offset;
        }
    }

    fn stop(&mut self) {
        for store in 0..self.stores.len() {
            let (machine, io) = &mut self.stores[store];
            machine.stop(self.now, io);
            self.take(store, Vec::new());
        }
        self.drive("a stop", |world| {
            world.end_turns();
            world.stores.iter().all(|(store, _)| store.is_stopped())
        });
        if self.disk.open_files() > 0 {
            self.violation(format!("{} files left open", self.disk.open_files()));
        }
        for index in 0..self.models.len() {
            let Some((store, slot)) = self.place(index) else { continue };
            let Some(view) = self.stores[store].0.view(slot) else { continue };
            if view.durable().get() != view.next_offset() {
                self.violation(format!("partition {index} stopped at {:?} of {}", view.durable(), view.next_offset()));
            }
        }
    }
}

fn view_start(store: &Store, slot: PartitionSlot) -> Offset {
    store.view(slot).map_or(Offset::ZERO, |view| view.log_start())
}
