//! One store, the disk under it, and what the oracle knows.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use flumen_log::batch::{Origin, RecordBatch, StoredRead, read_stored};
use flumen_log::compaction::CompactionSettings;
use flumen_log::io::{Disk, Io, Owner};
use flumen_log::recovery::{RecoverySettings, recover};
use flumen_log::state::STATE_FILE_NAME;
use flumen_log::store::{Durability, Located, LogConfig, Output, PartitionSlot, Store, StoreSettings};
use flumen_log::{LeaderEpoch, Monotonic, Now, Offset, PartitionIndex, ShardId, Timestamp, TopicId, TopicPartition};

use super::model::Model;
use super::{Control, Verdict};
use crate::disk::SimDisk;
use crate::random::Random;

const PARTITION: TopicPartition = TopicPartition { topic: TopicId([9; 16]), partition: PartitionIndex(0) };
const JOURNAL_FILE_BYTES: u64 = 16 * 4096;
const DELETE_RETENTION_MS: i64 = 3000;
/// Turns in which nothing happens before a log counts as clean.
const QUIET_TURNS: u32 = 60;
/// Turns in which a cleaning, or a lookup, must have come a step further.
const PATIENCE: u32 = 50_000;
/// Where all that is left to complete is held up, it goes on once in so many tries.
const HELD_UP_TURNS: u64 = 200;
/// Bytes of a key map's slot.
const SLOT_BYTES: usize = 24;

pub(super) struct World {
    random: Random,
    control: Control,
    disk: SimDisk,
    now: Now,
    store: Option<(Store, Io)>,
    model: Model,
    config: LogConfig,
    compaction: CompactionSettings,
    lives: i32,
    located: BTreeMap<u64, Located>,
    verdict: Verdict,
}

impl World {
    pub(super) fn new(mut random: Random, control: Control) -> Self {
        let mut disk = SimDisk::new();
        disk.faults.rates.short_write = if random.one_in(2) { 6 } else { 0 };
        disk.faults.rates.stall = if random.one_in(3) { 4 + random.below(60) } else { 0 };
        // D is not recorded for long while the cleaner could go on.
        disk.faults.slow_file = random.one_in(3).then_some(STATE_FILE_NAME);
        let kept_ms = if control == Control::TombstonesGoAtOnce { 0 } else { DELETE_RETENTION_MS };
        let config = LogConfig {
            segment_bytes: 700 + u32::try_from(random.below(3000)).unwrap_or_default(),
            index_interval_bytes: 100 + u32::try_from(random.below(500)).unwrap_or_default(),
            retention_ms: -1,
            cleanup_delete: false,
            cleanup_compact: true,
            min_cleanable_dirty_ppm: u32::try_from(random.below(400_000)).unwrap_or_default(),
            delete_retention_ms: kept_ms,
            durability: if random.one_in(3) { Durability::Replicated } else { Durability::Journaled },
            ..LogConfig::default()
        };
        let compaction = CompactionSettings {
            // With two or three keys a pass, a log takes as many passes as it has records.
            key_map_bytes: SLOT_BYTES * if random.one_in(20) { 2 + random.index(4) } else { 8 + random.index(40) },
            buffer_bytes: 300 + random.index(2000),
            backoff_ms: 5,
            step_bytes: 60 + random.index(3000),
            step_interval_ns: 0,
            ..CompactionSettings::new()
        };
        Self {
            random,
            control,
            disk,
            now: Now { monotonic: Monotonic(1), wall: Timestamp(1_000_000) },
            store: None,
            model: Model::default(),
            config,
            compaction,
            lives: 0,
            located: BTreeMap::new(),
            verdict: Verdict::default(),
        }
    }

    pub(super) fn into_verdict(self) -> Verdict {
        self.verdict
    }

    fn violation(&mut self, text: String) {
        self.verdict.violations.push(text);
    }

    fn slot(&self) -> Option<PartitionSlot> {
        self.store.as_ref()?.0.slot_of(PARTITION)
    }

    /// Recover, check, and lead the partition in a new epoch.
    pub(super) fn start(&mut self) {
        if self.control == Control::NoManifest {
            let _ = Disk::unlink(&mut self.disk, "topic-0/compaction.manifest");
        }
        self.lives += 1;
        let settings = RecoverySettings {
            journal_id: u128::from(self.lives.unsigned_abs()).to_be_bytes(),
            journal_file_bytes: JOURNAL_FILE_BYTES,
            quarantine_bytes: 1 << 20,
            index_interval_bytes: self.config.index_interval_bytes,
        };
        let interrupted = self.random.one_in(3);
        self.disk.faults.calls_left = interrupted.then(|| self.random.below(120));
        let first = recover(&mut self.disk, 1, &settings, self.now);
        self.disk.faults.calls_left = None;
        let recovered = if interrupted {
            drop(first);
            self.disk.crash_power(&mut self.random);
            recover(&mut self.disk, 1, &settings, self.now)
        } else {
            first
        };
        let Ok(mut recovery) = recovered else { return self.violation(String::from("recovery failed")) };
        let report = &recovery.report;
        let clean = report.damaged.is_empty() && report.manifests_lost.is_empty() && report.cleanings_undone == 0;
        if !clean || report.corrupt_frames > 0 || !report.suspect_tails.is_empty() || !report.states_rebuilt.is_empty() {
            self.violation(format!("a crash alone must not look like corruption: {report:?}"));
        }
        let settings = StoreSettings {
            journal_bytes: JOURNAL_FILE_BYTES * 4,
            journal_bytes_at_start: JOURNAL_FILE_BYTES * 2,
            journal_file_bytes: JOURNAL_FILE_BYTES,
            open_files_max: 3,
            index_cache_bytes: 512,
            compaction: self.compaction,
            ..StoreSettings::of_shard(ShardId(0), 1)
        };
        let mut store = Store::new(settings, recovery.shards.remove(0), Owner(0));
        let mut io = Io::default();
        match store.slot_of(PARTITION) {
            Some(slot) => {
                store.configure(slot, self.config.clone());
                store.begin_epoch(slot, LeaderEpoch(self.lives));
                self.store = Some((store, io));
                self.compare();
            }
            None => {
                store.create(PARTITION, "topic", self.config.clone(), &mut io);
                self.store = Some((store, io));
            }
        }
    }

    /// Whatever was called durable is there.
    fn compare(&mut self) {
        let Some(slot) = self.slot() else { return };
        let Some(view) = self.store.as_ref().and_then(|(store, _)| store.view(slot)) else { return };
        let (end, durable) = (view.log_end(), self.model.durable);
        if end < durable {
            return self.violation(format!("the log ends at {end}, though {durable} was durable"));
        }
        self.model.truncate(end);
        self.check();
        self.check_duplicates();
    }

    /// A power failure, or the death of the process.
    pub(super) fn crash(&mut self) {
        self.store = None;
        self.verdict.work.crashes += 1;
        if self.random.one_in(3) {
            self.disk.crash_process(&mut self.random);
        } else {
            self.disk.crash_power(&mut self.random);
        }
        let names = Disk::list(&mut self.disk, "topic-0").unwrap_or_default();
        if names.iter().any(|entry| entry.name.ends_with(".cleaned")) {
            self.verdict.work.unfinished += 1;
        }
    }

    pub(super) fn live(&mut self, steps: u32) {
        for _ in 0..steps {
            match self.random.below(12) {
                0..=2 => self.append(),
                3..=5 => self.turn(),
                6..=10 => {
                    self.complete_one();
                }
                _ if self.random.one_in(10) => self.check(),
                _ => self.turn(),
            }
            if !self.verdict.violations.is_empty() {
                return;
            }
        }
    }

    /// Go on without appends until nothing is left to be cleaned, then check.
    pub(super) fn settle(&mut self) {
        self.compact_until(u64::MAX);
        self.check();
        self.check_duplicates();
    }

    /// Go on without appends for so many operations.
    pub(super) fn compact_until(&mut self, operations: u64) {
        let end = self.verdict.work.operations.saturating_add(operations);
        // Every pass makes a record or more clean, and puts as many segments in their place as there can be, at most.
        let manifests_max = (self.model.records.len() as u64 + 1).saturating_mul(self.model.sent.len() as u64 + 1);
        let before = self.verdict.work.manifests;
        let (mut quiet, mut patience, mut reached) = (0, PATIENCE, before);
        while patience > 0 && reached - before <= manifests_max {
            if quiet > QUIET_TURNS || self.verdict.work.operations >= end || self.store.is_none() {
                return;
            }
            quiet = if self.complete_one() || self.disk.outstanding() > 0 { 0 } else { quiet + 1 };
            self.turn();
            let manifests = self.verdict.work.manifests;
            patience = if manifests == reached { patience - 1 } else { PATIENCE };
            reached = manifests;
        }
        self.violation(format!("cleaning does not come to an end: {} manifests", reached - before));
    }

    fn append(&mut self) {
        let Some(slot) = self.slot() else { return };
        let sent = self.model.draw(&mut self.random, self.now.wall);
        let Some((machine, _)) = &mut self.store else { return };
        let epoch = LeaderEpoch(self.lives);
        if let Ok(appended) = machine.append(slot, sent.build(), epoch, Origin::Client, self.now) {
            if appended.duplicate {
                return self.violation(format!("a new batch is called a duplicate of {}", appended.base_offset));
            }
            self.verdict.work.appended += sent.records.len() as u64;
            self.model.append(appended.base_offset, sent);
        }
    }

    fn check_duplicates(&mut self) {
        let Some(slot) = self.slot() else { return };
        for id in self.model.producers() {
            let Some(sent) = self.model.last_of(id).cloned() else { continue };
            let Some((machine, _)) = &mut self.store else { return };
            let answer = machine.append(slot, sent.build(), LeaderEpoch(self.lives), Origin::Client, self.now);
            if !matches!(&answer, Ok(appended) if appended.duplicate && appended.base_offset == sent.base) {
                self.violation(format!("the batch at {} sent again gave {answer:?}", sent.base));
            }
        }
    }

    /// Nothing happens for as long as tombstones must be kept.
    pub(super) fn rest(&mut self) {
        self.pass(DELETE_RETENTION_MS.unsigned_abs());
    }

    fn pass(&mut self, passed_ms: u64) {
        self.now.monotonic = self.now.monotonic.after_ms(passed_ms);
        self.now.wall = Timestamp(self.now.wall.0 + i64::try_from(passed_ms).unwrap_or_default());
    }

    fn turn(&mut self) {
        let passed_ms = self.random.below(20);
        self.pass(passed_ms);
        let slot = self.slot();
        let Some((store, io)) = &mut self.store else { return };
        if let Some((slot, durable)) = slot.and_then(|slot| Some((slot, store.view(slot)?.durable().get()))) {
            store.set_high_watermark(slot, durable);
        }
        let mut outputs = Vec::new();
        store.tick(self.now, io, &mut outputs);
        self.take(outputs);
    }

    fn complete_one(&mut self) -> bool {
        if self.disk.is_held_up() && !self.random.one_in(HELD_UP_TURNS) {
            return false;
        }
        let Some(completion) = self.disk.step(&mut self.random) else { return false };
        self.verdict.work.operations += 1;
        let Some((store, io)) = &mut self.store else { return false };
        let mut outputs = Vec::new();
        store.complete(completion, self.now, io, &mut outputs);
        self.take(outputs);
        true
    }

    fn take(&mut self, outputs: Vec<Output>) {
        let Some((store, io)) = &mut self.store else { return };
        for operation in io.drain() {
            if let flumen_log::io::FileOperation::Rename { to, .. } = &operation.kind
                && to.ends_with("compaction.manifest")
            {
                self.verdict.work.manifests += 1;
            }
            self.disk.submit(operation, &mut self.random);
        }
        for output in outputs {
            match output {
                Output::Created { slot, .. } => store.begin_epoch(slot, LeaderEpoch(self.lives)),
                Output::Advanced { slot } => {
                    let Some(view) = store.view(slot) else { continue };
                    self.model.durable = self.model.durable.max(view.durable().get());
                    self.model.written = self.model.written.max(view.log_end());
                }
                Output::Located { lookup, result } => {
                    self.located.insert(lookup.0, result);
                }
                Output::DirectoryFailed { error } => {
                    self.verdict.violations.push(format!("the directory failed: {error}"));
                }
                _ => {}
            }
        }
    }

    /// What a fetch from here gives: bytes and where to go on.
    fn fetch(&mut self, from: Offset, end: Offset) -> Option<(bytes::Bytes, Offset)> {
        let slot = self.slot()?;
        let max_bytes = u32::try_from(self.random.below(1500)).unwrap_or_default();
        let (store, io) = self.store.as_mut()?;
        let mut located = store.locate(slot, from, end, max_bytes, true, io);
        if let Located::Pending(lookup) = located {
            self.take(Vec::new());
            for _ in 0..PATIENCE {
                if self.located.contains_key(&lookup.0) {
                    break;
                }
                if !self.complete_one() || self.random.one_in(8) {
                    self.turn();
                }
            }
            located = self.located.remove(&lookup.0).unwrap_or(Located::Failed);
        }
        let Located::Slice { slice, next_offset, .. } = located else {
            self.violation(format!("{from} of {end} located as {located:?}"));
            return None;
        };
        // What is being sent may be replaced meanwhile.
        if self.random.one_in(3) {
            self.complete_one();
            self.turn();
        }
        let length = usize::try_from(slice.length).unwrap_or_default();
        Some((self.disk.read_handle(slice.file.handle, slice.position, length)?, next_offset))
    }

    /// Read the whole log and hold it against the model.
    pub(super) fn check(&mut self) {
        let Some(slot) = self.slot() else { return };
        let Some(view) = self.store.as_ref().and_then(|(store, _)| store.view(slot)) else { return };
        let (mut from, end) = (view.log_start(), view.log_end());
        let mut found: BTreeMap<Offset, bool> = BTreeMap::new();
        let mut reached = from;
        while from < end && self.verdict.violations.is_empty() {
            let Some((mut bytes, next)) = self.fetch(from, end) else { return };
            while let StoredRead::Batch(batch) = read_stored(&bytes) {
                let (header, length) = (batch.header, batch.bytes.len());
                if header.base_offset < reached || header.last_offset() < header.base_offset {
                    self.violation(format!("a batch at {} behind {reached}", header.base_offset));
                }
                reached = header.next_offset();
                self.check_batch(&bytes.split_to(length), &mut found);
            }
            if !bytes.is_empty() || next <= from {
                self.violation(format!("{} bytes left of a slice from {from} to {next}", bytes.len()));
            }
            from = next;
        }
        if reached != end && end > Offset::ZERO {
            self.violation(format!("the last batch ends at {reached}, the log at {end}"));
        }
        self.check_keys(&found, end);
    }

    fn check_batch(&mut self, bytes: &bytes::Bytes, found: &mut BTreeMap<Offset, bool>) {
        let Ok(records) = RecordBatch::records(bytes, 1 << 20) else {
            return self.violation(String::from("a batch cannot be unpacked"));
        };
        let header = *records.header();
        let horizon = header.attributes.has_delete_horizon().then_some(header.base_timestamp);
        let mut latest = Timestamp::NONE;
        self.verdict.work.empty_batches += u64::from(header.record_count == 0);
        for record in records {
            let Ok(record) = record else { return self.violation(String::from("a record cannot be read")) };
            latest = latest.max(record.timestamp);
            let as_appended = self.model.records.get(&record.offset).is_some_and(|appended| {
                record.key.as_deref() == Some(&appended.key)
                    && record.value.as_deref() == appended.value.as_deref()
                    && record.timestamp == appended.timestamp
            });
            if !as_appended {
                self.violation(format!("{record:?} was not appended there"));
            }
            found.insert(record.offset, true);
            self.verdict.work.read += 1;
            let Some(horizon) = horizon.filter(|_| record.value.is_none()) else { continue };
            let seen = *self.model.horizons.entry(record.offset).or_insert(horizon);
            if seen != horizon || horizon.0 < record.timestamp.0 + DELETE_RETENTION_MS {
                self.violation(format!("the horizon of {} was {seen} and is {horizon}", record.offset));
            }
        }
        if header.record_count > 0 && header.max_timestamp != latest {
            self.violation(format!("max timestamp {} of records up to {latest}", header.max_timestamp));
        }
    }

    fn check_keys(&mut self, found: &BTreeMap<Offset, bool>, end: Offset) {
        let mut last_found: BTreeMap<&[u8], Offset> = BTreeMap::new();
        for offset in found.keys() {
            if let Some(record) = self.model.records.get(offset) {
                last_found.insert(&record.key, *offset);
            }
        }
        let mut violations = Vec::new();
        for (key, latest) in self.model.latest() {
            if latest >= end {
                continue;
            }
            let there = last_found.get(key);
            if there == Some(&latest) {
                continue;
            }
            let Some(record) = self.model.records.get(&latest) else { continue };
            // No pass can have set an earlier horizon than this.
            let earliest = Timestamp(record.timestamp.0 + DELETE_RETENTION_MS);
            let horizon = self.model.horizons.get(&latest).copied().unwrap_or(earliest);
            if there.is_some() || record.value.is_some() || self.now.wall < horizon {
                violations.push(format!("{latest} is the last of its key, and {there:?} is there at {}", self.now.wall));
            } else {
                self.verdict.work.tombstones_gone += 1;
            }
        }
        self.verdict.violations.append(&mut violations);
    }
}
