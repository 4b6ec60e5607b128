//! The stores of one process, the disk under them, and what the run knows; lives, and how operations go to the disk and back.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use flumen_log::io::{Io, IoError};
use flumen_log::store::{Durability, Located, Output, PartitionSlot, Store, owner_of};
use flumen_log::{Monotonic, Now, PartitionIndex, Timestamp, TopicId, TopicPartition};

use super::atlas::Allowed;
use super::model::{Model, small_config};
use super::swarm::Swarm;
use super::{Control, Verdict};
use crate::disk::{Rates, SimDisk};
use crate::random::Random;
use crate::trace::{Ended, Listener, Told, Trace};

/// More completions than a run that makes progress can need.
const PATIENCE: usize = 100_000;
/// Seconds that pass, where nothing is outstanding, before there is no progress.
const WAITS: usize = 10;
/// Faults after which a log directory may fail.
const FAILURES: [&str; 5] = ["write error", "sync error", "no space at write", "no space at sync", "no space for a name"];
/// Faults after which a store takes nothing until it has looked at the space again.
const REFUSALS: [&str; 3] = ["no space at write", "no space for a name", "no space at sync"];

pub(super) struct World {
    pub(super) random: Random,
    pub(super) control: Control,
    pub(super) swarm: Swarm,
    pub(super) disk: SimDisk,
    pub(super) now: Now,
    pub(super) shards: u16,
    pub(super) stores: Vec<(Store, Io)>,
    pub(super) models: Vec<Model>,
    /// The lookup of which the answer is wanted, by store and lookup, and its answer. Others' are dropped, and their leases with them.
    pub(super) awaited: Option<(usize, u64)>,
    pub(super) located: Option<Located>,
    pub(super) journal_id: u64,
    pub(super) verdict: Verdict,
    pub(super) trace: Trace,
    /// What was written and not durable may be gone.
    pub(super) tails_lost: bool,
    /// What the next recovery may find, beyond what a crash leaves.
    pub(super) allowed: Allowed,
    /// Stores whose directory failed in this life.
    pub(super) failed: BTreeSet<usize>,
    /// Something rots before the next start.
    pub(super) rot_due: bool,
    failures_before: u64,
    refusals_before: u64,
    /// Space was short in this life.
    pub(super) was_full: bool,
}

impl World {
    pub(super) fn new(mut random: Random, control: Control, listener: Option<Listener>) -> Self {
        let mut swarm = Swarm::draw(&mut random);
        if control == Control::IgnoredLock {
            swarm.leave_writes_behind();
        }
        let mut disk = SimDisk::new();
        disk.seed(random.next());
        disk.faults = swarm.faults.clone();
        let models = (0..swarm.partitions).map(|number| {
            let partition = PartitionIndex(i32::try_from(number).unwrap_or_default());
            let mut config = small_config(&mut random);
            let outside = swarm.replicated > 0 && random.one_in(swarm.replicated);
            config.durability = if outside { Durability::Replicated } else { Durability::Journaled };
            Model::new(TopicPartition { topic: TopicId([7; 16]), partition }, config)
        });
        let models = models.collect();
        let mut trace = Trace::new(listener);
        trace.note(format_args!("{swarm:?}"));
        Self {
            models,
            random,
            control,
            swarm,
            disk,
            now: Now { monotonic: Monotonic(1), wall: Timestamp(1_000_000) },
            shards: 1,
            stores: Vec::new(),
            awaited: None,
            located: None,
            journal_id: 0,
            verdict: Verdict::default(),
            trace,
            tails_lost: false,
            allowed: Allowed::default(),
            failed: BTreeSet::new(),
            rot_due: false,
            failures_before: 0,
            refusals_before: 0,
            was_full: false,
        }
    }

    pub(super) const fn lives(&self) -> u64 {
        self.swarm.lives
    }

    pub(super) fn violations(&self) -> &[String] {
        &self.verdict.violations
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

    /// Whether the disk said in this life that it is full, though it did not last.
    pub(super) fn was_refused_space(&self) -> bool {
        self.refusals() > self.refusals_before
    }

    fn refusals(&self) -> u64 {
        REFUSALS.iter().filter_map(|kind| self.disk.faults.counts.get(kind)).sum()
    }

    fn failures(&self) -> u64 {
        FAILURES.iter().filter_map(|kind| self.disk.faults.counts.get(kind)).sum()
    }

    /// Recover, compare, and go on for a while.
    pub(super) fn live(&mut self) {
        self.begin_life();
        if !self.verdict.violations.is_empty() || self.stores.is_empty() {
            return;
        }
        if self.verdict.work.recoveries > 1 || !self.random.one_in(4) {
            self.end_turns();
            let gone = |world: &Self, index: usize| !world.models[index].created && world.place(index).is_none();
            self.drive("creation", |world| {
                let waits = |index| !gone(world, index) && !world.models[index].created && !world.models[index].removing;
                !world.failed.is_empty() || !(0..world.models.len()).any(waits)
            });
        }
        for _ in 0..self.swarm.steps {
            self.act();
            if !self.verdict.violations.is_empty() {
                return;
            }
        }
        for index in 0..self.models.len() {
            if self.random.one_in(3) {
                self.read_back(index);
            }
        }
    }

    /// Start, hold what was recovered against the models, and lead every partition.
    pub(super) fn begin_life(&mut self) {
        self.failed.clear();
        self.disk.forget_reads();
        self.was_full = self.disk.faults.free_bytes.is_some();
        self.failures_before = self.failures();
        self.refusals_before = self.refusals();
        self.start();
        self.compare_all();
        if !self.verdict.violations.is_empty() || self.stores.is_empty() {
            return;
        }
        for index in 0..self.models.len() {
            self.open_partition(index);
        }
    }

    pub(super) fn everything_is_made(&self) -> bool {
        self.models.iter().all(|model| model.created || model.removing)
    }

    /// Crash, or stop as one should; then something may rot.
    pub(super) fn end_life(&mut self) {
        if self.random.below(10) < self.swarm.stops && self.failed.is_empty() {
            self.stop();
            self.verdict.work.stops += 1;
        } else {
            self.verdict.work.crashes += 1;
        }
        self.stores.clear();
        let power = self.random.below(10) < self.swarm.power;
        self.crash(power);
        self.check_journal();
        self.rot_due = self.swarm.rot > 0 && self.random.one_in(self.swarm.rot);
    }

    /// The process dies, or the power fails.
    pub(super) fn crash(&mut self, power: bool) {
        self.tails_lost |= power;
        self.trace.note(format_args!("{}", if power { "the power fails" } else { "the process dies" }));
        if power {
            self.disk.crash_power(&mut self.random);
        } else {
            // What a sync failed on may be gone as if the power had failed.
            self.tails_lost |= self.disk.crash_process(&mut self.random);
        }
    }

    /// Nothing fails any more: everything must come to rest, be durable and readable, and take what is appended.
    pub(super) fn heal(&mut self) {
        self.trace.note(format_args!("all is well from now on"));
        self.disk.faults.rates = Rates::default();
        self.disk.faults.free_bytes = None;
        (self.swarm.cut, self.swarm.refuse) = (0, 0);
        self.begin_life();
        if !self.verdict.violations.is_empty() || self.stores.is_empty() {
            return;
        }
        self.pass_time(2000);
        self.end_turns();
        self.drive("creation after all was healed", |world| world.everything_is_made());
        self.drive("truncation after all was healed", |world| world.models.iter().all(|model| model.cut.is_none()));
        for index in 0..self.models.len() {
            self.append_must(index);
        }
        self.drive("durability after all was healed", |world| {
            world.end_turns();
            (0..world.models.len()).all(|index| world.is_settled(index))
        });
        for index in 0..self.models.len() {
            self.read_back(index);
        }
        if self.verdict.violations.is_empty() {
            self.stop();
        }
        self.stores.clear();
        if self.verdict.violations.is_empty() {
            self.crash(false);
            self.start();
            self.compare_all();
        }
    }

    /// Whether all that was appended to a partition is as durable as it gets.
    fn is_settled(&self, index: usize) -> bool {
        let Some((store, slot)) = self.place(index) else { return true };
        let Some(view) = self.stores[store].0.view(slot) else { return true };
        let settled = view.log_end() == view.next_offset();
        settled && (view.durability() == Durability::Replicated || view.durable().get() == view.next_offset())
    }

    pub(super) fn place(&self, index: usize) -> Option<(usize, PartitionSlot)> {
        let identity = self.models[index].identity;
        let store = usize::from(owner_of(identity, self.shards).0);
        self.stores.get(store)?.0.slot_of(identity).map(|slot| (store, slot))
    }

    pub(super) fn end_turns(&mut self) {
        for store in 0..self.stores.len() {
            let mut outputs = Vec::new();
            let (machine, io) = &mut self.stores[store];
            machine.end_turn(self.now, io, &mut outputs);
            self.take(store, outputs);
        }
    }

    /// Time passes, and brings what it brings.
    pub(super) fn pass_time(&mut self, passed_ms: u64) {
        self.now.monotonic = self.now.monotonic.after_ms(passed_ms);
        self.now.wall = Timestamp(self.now.wall.0 + i64::try_from(passed_ms).unwrap_or_default());
        for store in 0..self.stores.len() {
            let mut outputs = Vec::new();
            let (machine, io) = &mut self.stores[store];
            machine.tick(self.now, io, &mut outputs);
            self.take(store, outputs);
        }
    }

    /// Complete one operation. Whether there was one.
    pub(super) fn complete_one(&mut self) -> bool {
        let Some(completion) = self.disk.step(&mut self.random) else { return false };
        self.trace.note(format_args!("  {}", Ended(&completion)));
        let store = usize::try_from(completion.id.owner.0).unwrap_or_default();
        let mut outputs = Vec::new();
        let (machine, io) = &mut self.stores[store];
        machine.complete(completion, self.now, io, &mut outputs);
        self.take(store, outputs);
        true
    }

    /// Note what a store said, and hand its operations to the disk.
    pub(super) fn take(&mut self, store: usize, outputs: Vec<Output>) {
        for output in outputs {
            self.trace.note(format_args!("  store {store}: {output:?}"));
            self.hear(store, output);
        }
        let (_, io) = &mut self.stores[store];
        for operation in io.drain() {
            let id = operation.id;
            self.trace.note(format_args!("  {}/{}: {}", id.owner.0, id.sequence, Told(&operation.kind)));
            self.disk.submit(operation, &mut self.random);
        }
    }

    fn hear(&mut self, store: usize, output: Output) {
        let machine = &mut self.stores[store].0;
        match output {
            Output::Created { slot, result } => {
                let identity = machine.view(slot).map(|view| view.partition());
                if let Some(model) = self.models.iter_mut().find(|model| Some(model.identity) == identity) {
                    model.created = result.is_ok();
                    machine.begin_epoch(slot, model.epoch);
                }
                if result.is_err() && self.failures() == self.failures_before {
                    self.violation(alloc::format!("creation failed: {result:?}"));
                }
            }
            Output::Advanced { slot } => self.advanced(store, slot),
            Output::LogStartMoved { slot, log_start } => {
                let identity = machine.view(slot).map(|view| view.partition());
                if let Some(model) = self.models.iter_mut().find(|model| Some(model.identity) == identity) {
                    model.log_start = log_start;
                }
                self.verdict.work.starts_moved += 1;
            }
            Output::Located { lookup, result } if self.awaited == Some((store, lookup.0)) => {
                (self.awaited, self.located) = (None, Some(result));
            }
            Output::RangeFaulty { slot, range } => {
                let identity = machine.view(slot).map(|view| view.partition());
                let is_known = |identity| self.allowed.is_damaged(identity) || range.to <= self.allowed.deleted_below(identity);
                if !identity.is_some_and(|identity| is_known(identity) || self.was_unreadable(identity, &range)) {
                    self.violation(alloc::format!("nothing was damaged, and this was found: {range:?}"));
                }
            }
            Output::DirectoryFailed { error } => self.directory_failed(store, error),
            Output::Removed { partition } => self.removed(store, partition),
            Output::Truncated { slot, result } => {
                if let Some(identity) = machine.view(slot).map(|view| view.partition()) {
                    self.truncated(store, identity, result);
                }
            }
            _ => {}
        }
    }

    fn directory_failed(&mut self, store: usize, error: IoError) {
        self.failed.insert(store);
        self.verdict.work.failed_directories += 1;
        if self.failures() == self.failures_before {
            self.violation(alloc::format!("the directory failed though the disk did not: {error}"));
        }
    }

    /// Complete operations until `done` says so. What waits for space is asked for again when time passes.
    pub(super) fn drive(&mut self, what: &str, done: impl Fn(&mut Self) -> bool) {
        let mut waits = 0;
        for _ in 0..PATIENCE {
            if done(self) {
                return;
            }
            if self.complete_one() {
                continue;
            }
            self.end_turns();
            if self.disk.outstanding() == 0 && !done(self) {
                if waits == WAITS {
                    break;
                }
                waits += 1;
                self.pass_time(1000);
                self.end_turns();
            }
        }
        if !done(self) {
            self.violation(alloc::format!("no progress: {what}"));
        }
    }

    fn stop(&mut self) {
        self.trace.note(format_args!("stop"));
        for store in 0..self.stores.len() {
            let (machine, io) = &mut self.stores[store];
            machine.stop(self.now, io);
            self.take(store, Vec::new());
        }
        self.drive("a stop", |world| {
            world.end_turns();
            world.stores.iter().all(|(store, _)| store.is_stopped())
        });
        self.check_stopped();
    }
}
