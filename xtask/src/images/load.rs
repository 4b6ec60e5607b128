//! A machine that runs stores on a reactor and gives them work: appends to several partitions, logs shortened, durability switched,
//! partitions removed and made again, until it stops them or dies.
//!
//! Its pace is that of the completions: work comes while the disk is at work, and not all of it before the first sync.

use super::recording::{self, Recorder, Word};
use flumen_log::batch::{BatchBuilder, Origin, ProducerInfo, ValidatedBatch};
use flumen_log::compaction::CompactionSettings;
use flumen_log::compression::Codec;
use flumen_log::io::{Effects, Event, Io, Machine, OperationId, Owner};
use flumen_log::recovery::ShardRecovery;
use flumen_log::store::{AppendError, Durability, LogConfig, Output, PartitionSlot, Store, StoreSettings, owner_of};
use flumen_log::{LeaderEpoch, Monotonic, Now, PartitionIndex, ProducerEpoch, ProducerId, ShardId, TopicId, TopicPartition};
use flumen_sim::random::Random;
use std::collections::BTreeMap;

/// Operations outstanding above which nothing new is begun.
const OUTSTANDING_MAX: usize = 24;
/// As recovery is told, so that an index that it makes is the one that was there.
pub(super) const INDEX_INTERVAL_BYTES: u32 = 1024;
/// Turns in a row without anything outstanding, after which a stop that does not come is a fault.
const PATIENCE_TURNS: u32 = 1_000_000;
/// Completions in one life, above which stores that go on and on are at fault; a hundred times what a life takes.
const COMPLETIONS_MAX: u32 = 1_000_000;
/// After one act in so many there is a rest, of so many completions at most.
const RESTS_ONE_IN: u64 = 25;
const REST_MAX: u64 = 300;
const CLEANER_BACKOFF_MS: u64 = 1;
/// Keys of a compacted log's records.
const KEYS: u64 = 12;
/// Longer than any recording takes.
const TOMBSTONES_KEPT_MS: i64 = 86_400_000;
/// Bytes of a slot in the cleaner's map of keys.
const KEY_SLOT_BYTES: usize = 24;

/// What a lane's log may lose on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Policy {
    Delete,
    /// Its tombstones are kept for good.
    Compact,
    /// Its tombstones may go at once.
    CompactDelete,
}

/// A partition that the load writes to.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    policy: Policy,
    partition: TopicPartition,
    config: LogConfig,
    epoch: LeaderEpoch,
    next_sequence: i32,
    ready: bool,
    removing: bool,
}

impl Lane {
    pub(super) fn new(number: u8, policy: Policy, random: &mut Random) -> Self {
        let (segment_bytes_min, segment_bytes_span) = if policy == Policy::Delete { (17_000, 80_000) } else { (3000, 9000) };
        let config = LogConfig {
            segment_bytes: segment_bytes_min + u32::try_from(random.below(segment_bytes_span)).unwrap_or_default(),
            index_interval_bytes: INDEX_INTERVAL_BYTES,
            retention_bytes: if policy != Policy::Compact && random.one_in(3) { 40_000 } else { -1 },
            retention_ms: -1,
            cleanup_delete: policy != Policy::Compact,
            cleanup_compact: policy != Policy::Delete,
            min_cleanable_dirty_ppm: u32::try_from(random.below(300_000)).unwrap_or_default(),
            delete_retention_ms: if policy == Policy::CompactDelete { 0 } else { TOMBSTONES_KEPT_MS },
            file_delete_delay_ms: 0,
            durability: if random.one_in(5) { Durability::Replicated } else { Durability::Journaled },
            ..LogConfig::default()
        };
        let partition = TopicPartition { topic: TopicId([7; 16]), partition: PartitionIndex(i32::from(number)) };
        Self { policy, partition, config, epoch: LeaderEpoch::NONE, next_sequence: 0, ready: false, removing: false }
    }

    /// Another partition of the same name.
    fn renew(&mut self) {
        self.partition.topic.0[0] = self.partition.topic.0[0].wrapping_add(1);
        self.epoch = LeaderEpoch::NONE;
        self.next_sequence = 0;
        self.ready = false;
        self.removing = false;
    }
}

/// Sizes of the journal, small enough for its files to be used again and again.
pub(super) fn store_settings(shard: ShardId, shards: u16, journal_file_bytes: u64) -> StoreSettings {
    StoreSettings {
        journal_bytes: journal_file_bytes * 3,
        journal_bytes_at_start: journal_file_bytes * 2,
        journal_file_bytes,
        journal_frame_bytes: 16 << 10,
        journal_writes_in_flight: 3,
        free_space_floor_bytes: 0,
        open_files_max: 6,
        index_cache_bytes: 4096,
        checkpoints_in_flight: 2,
        retention_check_ms: 3,
        compaction: CompactionSettings {
            // A log takes several passes, and a pass many steps.
            key_map_bytes: KEY_SLOT_BYTES * 10,
            buffer_bytes: 2000,
            backoff_ms: CLEANER_BACKOFF_MS,
            step_bytes: 2000,
            step_interval_ns: 0,
            ..CompactionSettings::new()
        },
        ..StoreSettings::of_shard(shard, shards)
    }
}

/// How work comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pace {
    /// As completions do.
    Steady,
    /// With rests, in which the cleaner gets somewhere.
    WithRests,
}

/// How a life ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    Stop,
    Death,
}

/// The machine.
pub(super) struct Load {
    stores: Vec<(Store, Io)>,
    pub(super) lanes: Vec<Lane>,
    recorder: Recorder,
    random: Random,
    /// The stores' own names of what is outstanding, by ours.
    names: BTreeMap<u64, OperationId>,
    acts_left: u64,
    acts_due: u64,
    /// Completions for which no work comes, unless nothing is outstanding for a while: the cleaner has time to get somewhere.
    rest: u64,
    /// When something was outstanding last.
    busy_at: Monotonic,
    pace: Pace,
    end: End,
    stopping: bool,
    finished: bool,
    idle_turns: u32,
    completions: u32,
    now: Now,
    pub(super) faults: Vec<String>,
}

impl Load {
    pub(super) fn new(
        recovered: Vec<ShardRecovery>,
        lanes: Vec<Lane>,
        journal_file_bytes: u64,
        acts: u64,
        (pace, end): (Pace, End),
        recorder: Recorder,
        random: Random,
    ) -> Self {
        let shards = u16::try_from(recovered.len()).expect("a few shards");
        let store = |(number, shard): (u16, ShardRecovery)| {
            let settings = store_settings(ShardId(number), shards, journal_file_bytes);
            (Store::new(settings, shard, Owner(u32::from(number))), Io::default())
        };
        Self {
            stores: (0..).zip(recovered).map(store).collect(),
            lanes,
            recorder,
            random,
            names: BTreeMap::new(),
            acts_left: acts,
            acts_due: 0,
            rest: 0,
            busy_at: Monotonic(0),
            pace,
            end,
            stopping: false,
            finished: false,
            idle_turns: 0,
            completions: 0,
            now: Now { monotonic: Monotonic(0), wall: flumen_log::Timestamp(0) },
            faults: Vec::new(),
        }
    }

    /// Say what recovery found. What it lacks was never appended, as far as the lanes are concerned.
    pub(super) fn say_found(&mut self) {
        for lane in &mut self.lanes {
            lane.ready = false;
            lane.next_sequence = 0;
        }
        for (_, view) in self.stores.iter().flat_map(|(store, _)| store.partitions()) {
            let (partition, start, end) = (view.partition(), view.log_start(), view.log_end());
            self.recorder.say(Word::Found { partition, start, end });
            if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.partition == partition) {
                // One producer, from the first offset on.
                lane.next_sequence = i32::try_from(end.0).unwrap_or_default();
            }
        }
    }

    fn place(&self, lane: usize) -> (usize, Option<PartitionSlot>) {
        let partition = self.lanes[lane].partition;
        let store = usize::from(owner_of(partition, u16::try_from(self.stores.len()).expect("a few shards")).0);
        (store, self.stores[store].0.slot_of(partition))
    }

    fn open(&mut self, lane: usize) {
        if self.lanes[lane].removing {
            if let (store, Some(slot)) = self.place(lane) {
                // The life before did not get to the end of it.
                self.recorder.say(Word::Removing { partition: self.lanes[lane].partition });
                return self.stores[store].0.remove(slot);
            }
            self.lanes[lane].renew();
        }
        let (store, slot) = self.place(lane);
        let found = &mut self.lanes[lane];
        found.epoch = LeaderEpoch(found.epoch.0 + 1);
        if found.policy != Policy::Delete {
            let (partition, tombstones_go) = (found.partition, found.policy == Policy::CompactDelete);
            self.recorder.say(Word::Compacted { partition, tombstones_go });
        }
        let (machine, io) = &mut self.stores[store];
        match slot {
            Some(slot) => {
                machine.configure(slot, found.config.clone());
                machine.begin_epoch(slot, found.epoch);
                found.ready = true;
            }
            None => {
                machine.create(found.partition, "topic", found.config.clone(), io);
            }
        }
    }

    fn act(&mut self) {
        let lane = self.random.index(self.lanes.len());
        if !self.lanes[lane].ready || self.lanes[lane].removing {
            return;
        }
        let (store, Some(slot)) = self.place(lane) else { return };
        match self.random.below(24) {
            0..=19 => self.append(lane, store, slot),
            20..=21 if self.lanes[lane].policy == Policy::Compact => {}
            20..=21 => self.shorten(store, slot),
            22 if self.random.one_in(4) => {
                self.recorder.say(Word::Removing { partition: self.lanes[lane].partition });
                self.lanes[lane].removing = true;
                self.stores[store].0.remove(slot);
            }
            22 => {}
            _ => {
                let config = &mut self.lanes[lane].config;
                config.durability = match config.durability {
                    Durability::Journaled if self.random.one_in(2) => Durability::Replicated,
                    _ => Durability::Journaled,
                };
                self.stores[store].0.configure(slot, config.clone());
            }
        }
    }

    fn append(&mut self, lane: usize, store: usize, slot: PartitionSlot) {
        let records = 1 + self.random.below(3);
        let bytes = match self.random.below(48) {
            // Large enough to be written from where it lies.
            0 => 64_000 + self.random.index(20_000),
            1..=8 => self.random.index(5000),
            _ => self.random.index(700),
        };
        let values = (0..records).map(|record| {
            let fill = u8::try_from(self.random.below(256)).unwrap_or_default();
            let mut value = vec![fill; bytes];
            value.extend_from_slice(&record.to_be_bytes());
            value
        });
        let values: Vec<Vec<u8>> = values.collect();
        let found = &self.lanes[lane];
        let batch = if found.policy == Policy::Delete {
            batch(found, values.iter().map(|value| (None, Some(value.as_slice()))), self.now)
        } else {
            let keys: Vec<[u8; 8]> = values.iter().map(|_| self.random.below(KEYS).to_be_bytes()).collect();
            let tombstones: Vec<bool> = values.iter().map(|_| self.random.one_in(6)).collect();
            let values = values.iter().zip(&tombstones).map(|(value, gone)| (!gone).then_some(value.as_slice()));
            batch(found, keys.iter().map(|key| Some(key.as_slice())).zip(values), self.now)
        };
        let (partition, epoch) = (found.partition, found.epoch);
        match self.stores[store].0.append(slot, batch.clone(), epoch, Origin::Client, self.now) {
            Ok(appended) => {
                if appended.duplicate {
                    self.faults.push(format!("{partition:?}: a new batch was taken for a duplicate"));
                }
                let bytes = batch.stamp(appended.base_offset, epoch).pieces().concat().into();
                let (base, next) = (appended.base_offset, appended.last_offset.next());
                self.recorder.say(Word::Appended { partition, base, next, bytes });
                self.lanes[lane].next_sequence += i32::try_from(records).unwrap_or_default();
            }
            Err(AppendError::NotReady | AppendError::NoSpace | AppendError::JournalGrows) => {}
            Err(AppendError::TooLarge { bytes_max }) if bytes_max < batch.total_bytes() => {}
            Err(error) => self.faults.push(format!("{partition:?}: append refused: {error:?}")),
        }
    }

    fn shorten(&mut self, store: usize, slot: PartitionSlot) {
        let machine = &mut self.stores[store].0;
        let Some(view) = machine.view(slot) else { return };
        let (start, reach) = (view.log_start(), view.durable().get());
        machine.set_high_watermark(slot, reach);
        if reach > start && self.random.one_in(2) {
            let span = u64::try_from(reach.0 - start.0).unwrap_or_default();
            let _ = machine.delete_records(slot, start.plus(i64::try_from(self.random.below(span + 1)).unwrap_or_default()));
        }
    }

    fn note(&mut self, store: usize, outputs: Vec<Output>) {
        for output in outputs {
            let machine = &mut self.stores[store].0;
            let identity = |slot| machine.view(slot).map(|view| view.partition());
            match output {
                Output::Created { slot, result } => {
                    let Some(partition) = identity(slot) else { continue };
                    if result.is_err() {
                        self.faults.push(format!("{partition:?}: not created: {result:?}"));
                        continue;
                    }
                    self.recorder.say(Word::Created { partition });
                    if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.partition == partition) {
                        lane.ready = true;
                        machine.begin_epoch(slot, lane.epoch);
                    }
                }
                Output::Advanced { slot } => {
                    if let Some(view) = machine.view(slot) {
                        let (partition, offset) = (view.partition(), view.durable().get());
                        self.recorder.say(Word::Durable { partition, offset });
                        if self.lanes.iter().any(|lane| lane.partition == partition && lane.policy != Policy::Delete) {
                            // The cleaner goes no further than this.
                            machine.set_high_watermark(slot, offset);
                        }
                    }
                }
                Output::LogStartMoved { slot, log_start } => {
                    if let Some(partition) = identity(slot) {
                        self.recorder.say(Word::LogStart { partition, offset: log_start });
                    }
                }
                Output::Removed { partition } => {
                    self.recorder.say(Word::Removed { partition });
                    if let Some(lane) = self.lanes.iter().position(|lane| lane.partition == partition) {
                        self.lanes[lane].renew();
                        if !self.stopping {
                            self.open(lane);
                        }
                    }
                }
                Output::Uncleanable { segment, .. } => self.faults.push(format!("the segment at {segment} cannot be cleaned")),
                Output::DirectoryFailed { error } => self.faults.push(format!("the directory failed: {error}")),
                _ => {}
            }
        }
    }

    /// Pass on what the stores ask for.
    fn forward(&mut self, files: &mut Io) {
        for (_, io) in &mut self.stores {
            for operation in io.drain() {
                let inner = operation.id;
                let deed = recording::deed(&operation.kind);
                let id = files.ask(inner.owner, operation.kind);
                self.recorder.submitted(id, deed);
                self.names.insert(id.sequence, inner);
            }
        }
    }

    fn work(&mut self) {
        let mut acts = self.acts_due;
        if !self.names.is_empty() {
            self.busy_at = self.now.monotonic;
        } else if self.rest == 0 || self.now.monotonic.ms_since(self.busy_at) > CLEANER_BACKOFF_MS {
            self.rest = 0;
            acts += 1;
        }
        self.acts_due = 0;
        while acts > 0 && self.acts_left > 0 && self.names.len() < OUTSTANDING_MAX {
            acts -= 1;
            self.acts_left -= 1;
            self.act();
            if self.pace == Pace::WithRests && self.random.one_in(RESTS_ONE_IN) {
                self.rest = self.random.below(REST_MAX);
                break;
            }
        }
        if self.acts_left == 0 && !self.stopping {
            self.stopping = true;
            if self.end == End::Death {
                self.finished = true;
            } else {
                for (store, io) in &mut self.stores {
                    store.stop(self.now, io);
                }
            }
        }
    }
}

/// A batch of the lane's producer, of keys and values.
fn batch<'a>(lane: &Lane, records: impl Iterator<Item = (Option<&'a [u8]>, Option<&'a [u8]>)>, now: Now) -> ValidatedBatch {
    let mut builder = BatchBuilder::new();
    for (key, value) in records {
        builder.append(now.wall, key, value, &[]);
    }
    let id = ProducerId(i64::from(lane.partition.partition.0) + 100);
    let producer = ProducerInfo { id, epoch: ProducerEpoch(0), base_sequence: lane.next_sequence, is_transactional: false };
    let built = builder.build_validated(Codec::None, None, producer);
    built.expect("no codec, nothing to give up on").expect("there is at least one record")
}

impl Machine for Load {
    type Mail = ();

    fn handle(&mut self, event: Event<()>, now: Now, effects: &mut Effects<()>) {
        self.now = now;
        let Event::Completed(mut completion) = event else { return };
        self.completions += 1;
        self.recorder.completed(&completion);
        let Some(inner) = self.names.remove(&completion.id.sequence) else { return };
        completion.id = inner;
        let store = usize::try_from(inner.owner.0).unwrap_or_default();
        let mut outputs = Vec::new();
        let (machine, io) = &mut self.stores[store];
        machine.complete(completion, now, io, &mut outputs);
        self.note(store, outputs);
        if self.rest > 0 {
            self.rest -= 1;
        } else {
            self.acts_due += self.random.below(3);
        }
        self.forward(&mut effects.files);
    }

    fn end_turn(&mut self, now: Now, effects: &mut Effects<()>) {
        if self.now.monotonic == Monotonic(0) {
            self.now = now;
            for lane in 0..self.lanes.len() {
                self.open(lane);
            }
        }
        self.now = now;
        if self.finished {
            return;
        }
        self.work();
        if self.finished {
            return;
        }
        for store in 0..self.stores.len() {
            let mut outputs = Vec::new();
            let (machine, io) = &mut self.stores[store];
            if machine.next_deadline().is_some_and(|deadline| deadline <= now.monotonic) {
                machine.tick(now, io, &mut outputs);
            } else {
                machine.end_turn(now, io, &mut outputs);
            }
            self.note(store, outputs);
        }
        self.forward(&mut effects.files);
        self.idle_turns = if self.names.is_empty() { self.idle_turns + 1 } else { 0 };
        if self.stopping && self.stores.iter().all(|(store, _)| store.is_stopped()) {
            self.finished = true;
        } else if self.idle_turns > PATIENCE_TURNS || self.completions > COMPLETIONS_MAX {
            self.faults.push("the stores get nowhere".to_owned());
            self.finished = true;
        }
    }

    fn next_deadline(&self) -> Option<Monotonic> {
        // Always at once: there is work, or a completion to wait for that is a moment away.
        Some(self.now.monotonic)
    }

    fn is_finished(&self) -> bool {
        self.finished
    }
}
