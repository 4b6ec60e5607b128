//! One store, the disk under it, and what the oracle knows.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use flumen_log::batch::Origin;
use flumen_log::compaction::CompactionSettings;
use flumen_log::io::{Disk, FileOperation, Io, Owner};
use flumen_log::recovery::{Recovery, RecoveryError, RecoverySettings, recover};
use flumen_log::state::STATE_FILE_NAME;
use flumen_log::store::{AppendError, Durability, Located, LogConfig, Output, PartitionSlot, Store, StoreSettings};
use flumen_log::{LeaderEpoch, Monotonic, Now, PartitionIndex, ProducerId, ShardId, Timestamp, TopicId, TopicPartition};

use super::errors::Errors;
use super::model::Model;
use super::rot::Rot;
use super::{Control, Listener, Verdict};
use crate::disk::SimDisk;
use crate::random::Random;
use crate::trace::{Ended, Told, Trace};
use crate::watched::Watched;

pub(super) const DIRECTORY: &str = "topic-0";
const PARTITION: TopicPartition = TopicPartition { topic: TopicId([9; 16]), partition: PartitionIndex(0) };
const JOURNAL_FILE_BYTES: u64 = 16 * 4096;
pub(super) const DELETE_RETENTION_MS: i64 = 3000;
/// Turns in which nothing happens before a log counts as clean.
const QUIET_TURNS: u32 = 60;
/// Turns in which a cleaning, or a lookup, must have come a step further.
pub(super) const PATIENCE: u32 = 50_000;
/// Where all that is left to complete is held up, it goes on once in so many tries.
const HELD_UP_TURNS: u64 = 200;
/// Bytes of a key map's slot.
const SLOT_BYTES: usize = 24;

pub(super) struct World {
    pub(super) random: Random,
    control: Control,
    pub(super) disk: SimDisk,
    pub(super) now: Now,
    pub(super) store: Option<(Store, Io)>,
    pub(super) model: Model,
    pub(super) config: LogConfig,
    compaction: CompactionSettings,
    pub(super) lives: i32,
    pub(super) located: BTreeMap<u64, Located>,
    pub(super) verdict: Verdict,
    pub(super) trace: Trace,
    /// Whether something rots in this run; where the chances of that come from, so that a seed is the same run without it.
    pub(super) rots: bool,
    pub(super) chance: Random,
    pub(super) rot: Option<Rot>,
    /// What rotted has undone a cleaning.
    pub(super) was_undone: bool,
    /// What fails in this run.
    pub(super) errors: Errors,
    /// Producers of whom damage has hidden what they sent last.
    pub(super) forgotten: BTreeSet<ProducerId>,
}

impl World {
    pub(super) fn new(mut random: Random, control: Control, listener: Option<Listener>) -> Self {
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
        let mut trace = Trace::new(listener);
        trace.note(format_args!("{config:?} {compaction:?}"));
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
            trace,
            rots: false,
            chance: Random::new(0),
            rot: None,
            was_undone: false,
            errors: Errors::none(),
            forgotten: BTreeSet::new(),
        }
    }

    /// Something may rot between the lives.
    pub(super) fn begin_to_rot(&mut self, mut chance: Random) {
        self.rots = chance.one_in(2);
        self.chance = chance;
    }

    pub(super) fn into_verdict(mut self) -> Verdict {
        self.verdict.trace = self.trace.hash();
        self.verdict.work.events = self.trace.events();
        self.verdict.faults = self.disk.faults.counts;
        self.verdict
    }

    pub(super) fn violation(&mut self, text: String) {
        self.trace.note(format_args!("VIOLATION: {text}"));
        self.verdict.violations.push(text);
    }

    /// Nothing more can be learnt of this process.
    pub(super) fn is_over(&self) -> bool {
        self.store.is_none() || self.errors.offline || !self.verdict.violations.is_empty()
    }

    pub(super) fn slot(&self) -> Option<PartitionSlot> {
        self.store.as_ref()?.0.slot_of(PARTITION)
    }

    /// Recover, check, and lead the partition in a new epoch.
    pub(super) fn start(&mut self) {
        if !self.verdict.violations.is_empty() {
            return;
        }
        if self.control == Control::NoManifest {
            let _ = Disk::unlink(&mut self.disk, "topic-0/compaction.manifest");
        }
        self.lives += 1;
        if let Some(rot) = &mut self.rot {
            rot.forget_told();
        }
        let interrupted = self.random.one_in(3);
        self.disk.faults.calls_left = interrupted.then(|| self.random.below(120));
        let first = self.recover();
        self.disk.faults.calls_left = None;
        let recovered = if interrupted {
            drop(first);
            self.trace.note(format_args!("the power fails in the middle of it"));
            self.disk.crash_power(&mut self.random);
            self.recover()
        } else {
            first
        };
        let Ok(recovery) = recovered else { return self.violation(String::from("recovery failed")) };
        self.judge_report(&recovery.report);
        self.fail_in_life();
        self.open(recovery);
    }

    fn recover(&mut self) -> Result<Recovery, RecoveryError> {
        let settings = RecoverySettings {
            journal_id: u128::from(self.lives.unsigned_abs()).to_be_bytes(),
            journal_file_bytes: JOURNAL_FILE_BYTES,
            quarantine_bytes: 1 << 20,
            index_interval_bytes: self.config.index_interval_bytes,
        };
        let mut watched = Watched { disk: &mut self.disk, trace: &mut self.trace };
        recover(&mut watched, 1, &settings, self.now)
    }

    /// The store over what was recovered.
    fn open(&mut self, mut recovery: Recovery) {
        let settings = StoreSettings {
            journal_bytes: JOURNAL_FILE_BYTES * 4,
            journal_bytes_at_start: JOURNAL_FILE_BYTES * 2,
            journal_file_bytes: JOURNAL_FILE_BYTES,
            open_files_max: 3,
            index_cache_bytes: 512,
            compaction: self.compaction,
            // Where the disk is slow, days go by.
            producer_expiration_ms: i64::MAX,
            ..StoreSettings::of_shard(ShardId(0), 1)
        };
        let mut store = Store::new(settings, recovery.shards.remove(0), Owner(0));
        let io = Io::default();
        match store.slot_of(PARTITION) {
            Some(slot) => {
                store.configure(slot, self.config.clone());
                store.begin_epoch(slot, LeaderEpoch(self.lives));
                self.store = Some((store, io));
                self.compare();
            }
            None => {
                self.store = Some((store, io));
                self.make_partition();
            }
        }
    }

    pub(super) fn make_partition(&mut self) {
        if let Some((store, io)) = &mut self.store {
            store.create(PARTITION, "topic", self.config.clone(), io);
        }
    }

    /// A power failure, or the death of the process.
    pub(super) fn crash(&mut self) {
        self.store = None;
        self.disk.faults.full = false;
        self.verdict.work.crashes += 1;
        if self.random.one_in(3) {
            self.trace.note(format_args!("the process dies"));
            self.disk.crash_process(&mut self.random);
        } else {
            self.trace.note(format_args!("the power fails"));
            self.disk.crash_power(&mut self.random);
        }
        let names = Disk::list(&mut self.disk, DIRECTORY).unwrap_or_default();
        if names.iter().any(|entry| entry.name.ends_with(".cleaned")) {
            self.verdict.work.unfinished += 1;
        }
    }

    pub(super) fn live(&mut self, steps: u32) {
        for _ in 0..steps {
            self.change_room();
            match self.random.below(12) {
                0..=2 => self.append(),
                3..=5 => self.turn(),
                6..=10 => {
                    self.complete_one();
                }
                _ if self.random.one_in(10) => self.check(),
                _ => self.turn(),
            }
            if self.is_over() {
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
            if quiet > QUIET_TURNS || self.verdict.work.operations >= end || self.is_over() {
                return;
            }
            self.change_room();
            quiet = if self.complete_one() || self.disk.outstanding() > 0 { 0 } else { quiet + 1 };
            self.turn();
            let manifests = self.verdict.work.manifests;
            patience = if manifests == reached { patience - 1 } else { PATIENCE };
            reached = manifests;
        }
        self.violation(format!("cleaning does not come to an end: {} manifests", reached - before));
    }

    fn append(&mut self) {
        let _ = self.try_append();
    }

    /// An append that nothing may refuse.
    pub(super) fn append_must(&mut self) {
        if let Err(error) = self.try_append() {
            // Of whom damage has hidden what they sent last, the next batch does not follow.
            if matches!(error, AppendError::Sequence(_)) && !self.forgotten.is_empty() {
                return;
            }
            self.violation(format!("an append is refused though nothing fails any more: {error:?}"));
        }
    }

    fn try_append(&mut self) -> Result<(), AppendError> {
        let Some(slot) = self.slot() else { return Ok(()) };
        let sent = self.model.draw(&mut self.random, self.now.wall);
        let Some((machine, _)) = &mut self.store else { return Ok(()) };
        let epoch = LeaderEpoch(self.lives);
        let appended = machine.append(slot, sent.build(), epoch, Origin::Client, self.now)?;
        if appended.duplicate {
            self.violation(format!("a new batch is called a duplicate of {}", appended.base_offset));
            return Ok(());
        }
        self.trace.note(format_args!("append {} records at {}", sent.records.len(), appended.base_offset));
        self.forgotten.remove(&sent.producer.id);
        self.verdict.work.appended += sent.records.len() as u64;
        self.model.append(appended.base_offset, sent);
        Ok(())
    }

    /// Nothing happens for as long as tombstones must be kept.
    pub(super) fn rest(&mut self) {
        self.pass(DELETE_RETENTION_MS.unsigned_abs());
    }

    pub(super) fn pass(&mut self, passed_ms: u64) {
        self.now.monotonic = self.now.monotonic.after_ms(passed_ms);
        self.now.wall = Timestamp(self.now.wall.0 + i64::try_from(passed_ms).unwrap_or_default());
    }

    pub(super) fn turn(&mut self) {
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
        self.check_offline();
    }

    pub(super) fn complete_one(&mut self) -> bool {
        if self.disk.is_held_up() && !self.random.one_in(HELD_UP_TURNS) {
            return false;
        }
        let Some(completion) = self.disk.step(&mut self.random) else { return false };
        self.trace.note(format_args!("  {}", Ended(&completion)));
        self.note_ended(completion.id.sequence, completion.result.as_ref().err().copied());
        self.verdict.work.operations += 1;
        let Some((store, io)) = &mut self.store else { return false };
        let mut outputs = Vec::new();
        store.complete(completion, self.now, io, &mut outputs);
        self.take(outputs);
        true
    }

    /// Note what the store said, and hand its operations to the disk.
    pub(super) fn take(&mut self, outputs: Vec<Output>) {
        let Some((_, io)) = &mut self.store else { return };
        let operations: Vec<_> = io.drain().collect();
        for operation in operations {
            self.note_asked(operation.id.sequence, &operation.kind);
            self.trace.note(format_args!("  {}: {}", operation.id.sequence, Told(&operation.kind)));
            if let FileOperation::Rename { to, .. } = &operation.kind
                && to.ends_with("compaction.manifest")
            {
                self.verdict.work.manifests += 1;
            }
            self.disk.submit(operation, &mut self.random);
        }
        for output in outputs {
            self.trace.note(format_args!("  {output:?}"));
            self.hear(output);
        }
    }

    fn hear(&mut self, output: Output) {
        let Some((store, _)) = &mut self.store else { return };
        match output {
            Output::Created { slot, .. } => store.begin_epoch(slot, LeaderEpoch(self.lives)),
            Output::Advanced { slot } => {
                let Some(view) = store.view(slot) else { return };
                let (end, durable) = (view.log_end(), view.durable().get());
                self.verdict.work.durable += u64::try_from(durable.0 - self.model.durable.0).unwrap_or_default();
                self.model.durable = self.model.durable.max(durable);
                self.model.written = self.model.written.max(end);
            }
            Output::Located { lookup, result } => {
                self.located.insert(lookup.0, result);
            }
            Output::DirectoryFailed { error } => self.directory_failed(error),
            Output::Uncleanable { segment, .. } => self.cleaner_stopped(segment),
            Output::RangeFaulty { range, .. } => self.found_faulty(&range),
            _ => {}
        }
    }
}
