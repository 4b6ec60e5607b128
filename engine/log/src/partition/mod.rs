//! One partition's log: its segments and how far it is assigned, written, journaled and durable.
//!
//! Four ends, each at or behind the one before: `next_offset` is given out at the append; `log_end` follows over a contiguous
//! prefix of completed segment writes; `journaled` over completed journal frames; `durable` is what is on stable storage, never
//! past the log end. Does not ask for I/O itself, except for the writes that [`writes`] gathers: the store does.

pub(crate) mod faults;
pub(crate) mod snapshots;
pub(crate) mod truncation;
pub(crate) mod writes;

use alloc::{
    collections::{BTreeMap, VecDeque},
    format,
    string::String,
    vec::Vec,
};
use bytes::Bytes;

use crate::batch::{Origin, StampedBatch, TimestampType, ValidatedBatch};
use crate::compaction::Manifest;
use crate::epoch::LeaderEpochs;
use crate::mutants::{self, Mutant};
use crate::producer::{ProducerSnapshot, ProducerStates, ProducerVerdict, SnapshotStamp};
use crate::segment::index::{SegmentIndex, Summary};
use crate::segment::{Segment, Stage};
use crate::state::trail::{self, TrailEnd};
use crate::state::{DurablePoint, PartitionState};
use crate::store::{AppendError, Appended, Durability, Durable, LogConfig};
use crate::{LeaderEpoch, Now, Offset, TopicPartition};
use faults::Faults;
use snapshots::Snapshots;
use truncation::{Cut, Truncation};
use writes::Write;

/// Where a partition is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// Another partition's directory of the same name must go first.
    Blocked,
    /// Directory and state are being made.
    Creating,
    /// It takes appends.
    Ready,
    /// It is going away; operations may be outstanding.
    Removing,
    /// Its state says that it is removed; nothing touches its directory any more.
    Removed,
}

/// What the next recorded state should say besides D.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Wants {
    /// Move the log's start here.
    pub(crate) log_start: Option<Offset>,
    /// Mark the partition as removed.
    pub(crate) removed: bool,
    /// Let this durability be in force.
    pub(crate) durability: Option<Durability>,
    /// Record D even if nothing else is wanted.
    pub(crate) point: bool,
    /// Record the D of a log that is being truncated, which lies where it will end.
    pub(crate) truncates: bool,
    /// Its files have followed: either copy says again what the log is like.
    pub(crate) truncated: bool,
}

impl Wants {
    pub(crate) fn any(self) -> bool {
        self != Self::default()
    }

    /// How many copies of the state must say so before it is done. Where files are cut or go, what the other copy says does not hold
    /// any more: whoever fell back on it would miss them.
    pub(crate) const fn copies(self) -> u64 {
        if self.truncates || self.truncated || self.log_start.is_some() { 2 } else { 1 }
    }
}

/// D on its way to the disk.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) point: DurablePoint,
    pub(crate) wants: Wants,
    /// Syncs outstanding; at zero the state is written.
    pub(crate) syncs: usize,
    /// What the index of D's segment sums up to at D.
    pub(crate) summary: Summary,
    /// A step of the trail is being written with its state.
    pub(crate) with_trail: bool,
    /// Sidecars of segments that its syncs cover.
    pub(crate) footers: Vec<(String, Bytes)>,
}

/// The furthest place the log end has passed at which it is known what the index sums up to: D may be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Settled {
    pub(crate) offset: Offset,
    pub(crate) segment_base: Offset,
    pub(crate) position: u64,
    pub(crate) summary: Summary,
}

/// One partition's log.
#[derive(Debug)]
pub struct PartitionLog {
    pub(crate) identity: TopicPartition,
    pub(crate) topic_name: String,
    pub(crate) directory: String,
    pub(crate) config: LogConfig,
    /// Whether the configuration is the broker's, not a default: before that retention does nothing.
    pub(crate) configured: bool,
    pub(crate) life: Life,
    pub(crate) offline: bool,
    /// In force; the configured one follows once D is recorded under it.
    pub(crate) durability: Durability,
    pub(crate) log_start: Offset,
    pub(crate) next_offset: Offset,
    pub(crate) log_end: Offset,
    /// Where the log end lies: segment and position.
    pub(crate) log_end_at: (Offset, u64),
    pub(crate) settled: Settled,
    pub(crate) journaled: Offset,
    /// Every append from this offset on went to the journal.
    pub(crate) journal_from: Offset,
    pub(crate) durable: Durable<Offset>,
    pub(crate) high_watermark: Offset,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) epochs: LeaderEpochs,
    /// Whether the epoch checkpoint file lags behind.
    pub(crate) epochs_changed: bool,
    pub(crate) producers: ProducerStates,
    /// By base offset; the last is active. Never empty.
    pub(crate) segments: BTreeMap<Offset, Segment>,
    /// Segments that grow no more and are not sealed yet.
    pub(crate) sealing: usize,
    /// Sealed segments whose sidecars are not written yet: they say what is on stable storage, so the next checkpoint writes them.
    pub(crate) footers_due: Vec<Offset>,
    pub(crate) writes: VecDeque<Write>,
    /// Bytes of batches that were appended and are not written yet.
    pub(crate) unwritten_bytes: usize,
    pub(crate) next_write: u64,
    /// The last recorded D.
    pub(crate) point: DurablePoint,
    pub(crate) state_counter: u64,
    /// How far the trail in the state's file goes.
    pub(crate) trail: TrailEnd,
    /// What is known to be damaged.
    pub(crate) faults: Faults,
    pub(crate) wants: Wants,
    pub(crate) checkpoint: Option<Checkpoint>,
    /// Names were made in the directory that no sync covers yet.
    pub(crate) names_dirty: bool,
    pub(crate) snapshots: Snapshots,
    /// Where the log is to start once what is known of its producers outlives what goes.
    pub(crate) start_wanted: Option<Offset>,
    /// Files to be written when the turn ends: name and content. All are caches.
    pub(crate) caches: Vec<(String, Bytes)>,
    /// Whether anything was appended since the caches of the active segment were last written.
    pub(crate) caches_stale: bool,
    /// Scripts that write caches.
    pub(crate) scripts: usize,
    /// Whether it is in the store's list of logs to write at the end of the turn.
    pub(crate) in_turn: bool,
    /// What compaction did.
    pub(crate) manifest: Manifest,
    /// It is being cleaned.
    pub(crate) cleaning: bool,
    /// Segments are on their way to being replaced: none is removed meanwhile.
    pub(crate) swapping: bool,
    /// Something in it cannot be read: it is not cleaned again in this run.
    pub(crate) uncleanable: bool,
    /// It is to end earlier: it takes no appends meanwhile.
    pub(crate) truncation: Option<Truncation>,
    /// Whether log end or durable moved since the store last said so.
    pub(crate) advanced: bool,
}

/// What does not belong to a log any more that was truncated.
pub(crate) struct Gone {
    pub(crate) segments: Vec<Segment>,
    /// The offsets of producer snapshots.
    pub(crate) snapshots: Vec<Offset>,
    pub(crate) manifest_changes: bool,
}

/// What an append came to.
pub(crate) enum AppendOutcome {
    Appended(Appended, StampedBatch, Offset),
    Duplicate(Appended),
}

impl PartitionLog {
    /// The log of a partition that is about to be made.
    pub(crate) fn new(identity: TopicPartition, topic_name: &str, config: LogConfig, point: DurablePoint) -> Self {
        let segment = Segment::new(Offset::ZERO, config.index_interval_bytes);
        let summary = SegmentIndex::new(Offset::ZERO, config.index_interval_bytes).summary();
        Self {
            identity,
            topic_name: String::from(topic_name),
            directory: crate::store::directory_name(topic_name, identity.partition),
            durability: config.durability,
            config,
            configured: true,
            life: Life::Creating,
            offline: false,
            log_start: Offset::ZERO,
            next_offset: Offset::ZERO,
            log_end: Offset::ZERO,
            log_end_at: (Offset::ZERO, 0),
            settled: Settled { offset: Offset::ZERO, segment_base: Offset::ZERO, position: 0, summary },
            journaled: Offset::ZERO,
            journal_from: Offset::ZERO,
            durable: Durable::proven(Offset::ZERO),
            high_watermark: Offset::ZERO,
            epoch: LeaderEpoch::NONE,
            epochs: LeaderEpochs::default(),
            epochs_changed: false,
            producers: ProducerStates::new(),
            segments: BTreeMap::from([(Offset::ZERO, segment)]),
            sealing: 0,
            footers_due: Vec::new(),
            writes: VecDeque::new(),
            unwritten_bytes: 0,
            next_write: 0,
            point,
            state_counter: 0,
            trail: TrailEnd::default(),
            faults: Faults::default(),
            wants: Wants::default(),
            checkpoint: None,
            names_dirty: false,
            snapshots: Snapshots::default(),
            start_wanted: None,
            caches: Vec::new(),
            caches_stale: false,
            scripts: 0,
            in_turn: false,
            manifest: Manifest::default(),
            cleaning: false,
            swapping: false,
            uncleanable: false,
            truncation: None,
            advanced: false,
        }
    }

    /// Whether it takes appends.
    pub(crate) const fn is_ready(&self) -> bool {
        matches!(self.life, Life::Ready) && !self.offline
    }

    /// Bytes of all segments.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    /// Whether appends go through the journal. A log that is to become journaled is so from the first append on; one that is to
    /// leave the journal is journaled until D is recorded.
    pub(crate) fn is_journaled(&self) -> bool {
        let coming = self.checkpoint.as_ref().and_then(|checkpoint| checkpoint.wants.durability);
        [Some(self.durability), Some(self.config.durability), coming].contains(&Some(Durability::Journaled))
    }

    /// A path in the partition's directory.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.directory)
    }

    /// The path of one of a segment's files.
    pub(crate) fn segment_path(&self, base: Offset, suffix: &str) -> String {
        self.path(&crate::segment::file_name(base, suffix))
    }

    /// The last segment.
    pub(crate) fn active(&self) -> Option<&Segment> {
        self.segments.last_key_value().map(|(_, segment)| segment)
    }

    /// The segments with batches that no write was asked for yet, oldest first.
    pub(crate) fn unsubmitted(&self) -> Vec<Offset> {
        let waits = |segment: &&Segment| !segment.unsubmitted.is_empty();
        if self.sealing == 0 {
            return self.active().filter(waits).map(|segment| segment.base).into_iter().collect();
        }
        self.segments.values().filter(waits).map(|segment| segment.base).collect()
    }

    /// Append a batch, rolling first if need be. Nothing is written yet.
    pub(crate) fn append(
        &mut self,
        batch: ValidatedBatch,
        epoch: LeaderEpoch,
        origin: Origin,
        now: Now,
    ) -> Result<AppendOutcome, AppendError> {
        if epoch < self.epoch {
            return Err(AppendError::StaleEpoch);
        }
        let header = *batch.header();
        let stamps = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
        if let ProducerVerdict::Duplicate(original) = self.producers.check(&header, origin).map_err(AppendError::Sequence)? {
            let append_time = stamps.then_some(original.timestamp);
            let base_offset = original.base_offset();
            let duplicate = Appended { base_offset, last_offset: original.last_offset, append_time, duplicate: true };
            return Ok(AppendOutcome::Duplicate(duplicate));
        }
        let bytes = batch.total_bytes();
        let bytes_max = usize::try_from(self.config.segment_bytes).unwrap_or(usize::MAX);
        if bytes > bytes_max {
            return Err(AppendError::TooLarge { bytes_max });
        }
        if self.next_offset.0.checked_add(i64::from(header.last_offset_delta) + 1).is_none() {
            return Err(AppendError::OffsetOverflow);
        }
        self.begin_epoch(epoch);
        let stamped = batch.stamp(self.next_offset, epoch);
        let last_offset = stamped.last_offset();
        let config = &self.config;
        let rolls = self
            .segments
            .last_key_value()
            .is_some_and(|(_, active)| active.must_roll(config, bytes as u64, last_offset, header.max_timestamp, now.wall));
        if rolls {
            self.roll();
        }
        self.producers.record(stamped.header(), now.wall);
        let mut active = self.segments.last_entry().expect("a log always has its active segment");
        active.get_mut().append(stamped.clone());
        self.unwritten_bytes += bytes;
        let segment_base = *active.key();
        let append_time = stamps.then_some(header.max_timestamp);
        let appended = Appended { base_offset: self.next_offset, last_offset, append_time, duplicate: false };
        self.next_offset = last_offset.next();
        self.caches_stale = true;
        Ok(AppendOutcome::Appended(appended, stamped, segment_base))
    }

    /// From the next offset on the batches are of this epoch.
    pub(crate) fn begin_epoch(&mut self, epoch: LeaderEpoch) {
        self.epoch = self.epoch.max(epoch);
        if self.epochs.assign(epoch, self.next_offset) {
            self.epochs_changed = true;
        }
    }

    /// Start a new segment at the next offset; the one before is written out and grows no more.
    pub(crate) fn roll(&mut self) {
        if let Some(mut active) = self.segments.last_entry() {
            let active = active.get_mut();
            active.stage = Stage::Sealing;
            self.sealing += 1;
            if let Some(index) = &mut active.index {
                index.seal();
            }
        }
        let next = Segment::new(self.next_offset, self.config.index_interval_bytes);
        self.segments.insert(self.next_offset, next);
        self.snapshot_producers();
    }

    /// Have the producer states of this moment written.
    pub(crate) fn snapshot_producers(&mut self) {
        let stamp = SnapshotStamp::at(self.next_offset, &self.epochs);
        let producers = &self.producers;
        self.snapshots.make(self.next_offset, || Bytes::from(ProducerSnapshot::encode(producers, stamp)));
    }

    /// Whether all that is known of producers outlives what goes when the log starts at `start`; if not, a snapshot that makes it so
    /// is on its way. The last segment counts too: it goes as soon as it has rolled.
    ///
    /// The checkpoint that records the start makes everything durable that is settled by then.
    pub(crate) fn keeps_producers(&mut self, start: Offset) -> bool {
        let gone = self.segments.values().rev().map(|segment| segment.next_offset).find(|end| *end <= start);
        let Some(gone) = gone.filter(|_| !self.producers.is_empty()) else { return true };
        let durable = self.durable.get().max(self.settled.offset);
        if self.snapshots.covers(gone, durable) {
            return true;
        }
        if !self.snapshots.is_coming(gone) {
            self.snapshot_producers();
        }
        false
    }

    /// The state to be recorded with this D.
    pub(crate) fn next_state(&mut self, point: DurablePoint, wants: Wants) -> PartitionState {
        self.state_counter += 1;
        let log_start = wants.log_start.map_or(self.log_start, |offset| offset.max(self.log_start));
        PartitionState {
            counter: self.state_counter,
            partition: self.identity,
            topic_name: self.topic_name.clone(),
            removed: wants.removed,
            cut: wants.truncates,
            cleaned: self.manifest.generation > 0,
            durability: wants.durability.unwrap_or(self.durability),
            point,
            log_start,
            epochs: PartitionState::newest(&self.epochs),
            older_epochs: PartitionState::checksum_of_older(&self.epochs, log_start),
        }
    }

    /// The D that could be recorded now, given what the journal needs.
    pub(crate) fn current_point(&self, position: crate::journal::JournalPosition) -> DurablePoint {
        // At the end of a segment that rolled, the place is the start of the next: the one before may go while this D stands.
        let Settled { offset, segment_base, position: segment_bytes, .. } = self.settled;
        let rolled = self.segments.contains_key(&offset);
        let (segment_base, segment_bytes) = if rolled { (offset, 0) } else { (segment_base, segment_bytes) };
        let epoch = self.epochs.epoch_for_offset(Offset(offset.0 - 1)).unwrap_or(self.point.epoch);
        DurablePoint { offset, position, epoch, segment_base, segment_bytes }
    }

    /// The D of a log that will end at the cut.
    pub(crate) fn point_at(&self, cut: &Cut, position: crate::journal::JournalPosition) -> DurablePoint {
        let before = || self.epochs.epoch_for_offset(Offset(cut.offset.0 - 1));
        let epoch = cut.epoch.or_else(before).unwrap_or(LeaderEpoch::NONE);
        DurablePoint { offset: cut.offset, position, epoch, segment_base: cut.segment_base, segment_bytes: cut.position }
    }

    /// Nothing of the log is under way, so that it can be cut.
    pub(crate) fn is_quiet(&self) -> bool {
        let journaled = !self.is_journaled() || self.journaled.max(self.durable.get()) >= self.next_offset;
        let busy = |segment: &Segment| !segment.unsubmitted.is_empty() || segment.is_opening();
        let written = self.writes.is_empty() && self.sealing == 0 && self.log_end == self.next_offset;
        let idle = self.checkpoint.is_none() && !self.wants.any() && self.scripts == 0 && self.caches.is_empty();
        let alone = !self.cleaning && !self.swapping && self.start_wanted.is_none();
        written && journaled && idle && alone && !self.segments.values().any(busy)
    }

    /// End where the cut says. The segments that are gone, and the files of what does not hold any more.
    pub(crate) fn truncate(&mut self, cut: Cut) -> Gone {
        let Cut { offset, segment_base, position, index, producers, .. } = cut;
        let summary = index.summary();
        let kept = position > 0;
        let from = if kept { segment_base.next() } else { segment_base };
        let gone = self.segments.split_off(&from);
        if kept && let Some(segment) = self.segments.get_mut(&segment_base) {
            segment.cut(offset, position, index);
        } else {
            self.segments.insert(offset, Segment::new(offset, self.config.index_interval_bytes));
        }
        let base = if kept { segment_base } else { offset };
        (self.next_offset, self.log_end, self.log_end_at) = (offset, offset, (base, position));
        self.settled = Settled { offset, segment_base: base, position, summary };
        self.journaled = self.journaled.min(offset);
        if self.is_journaled() {
            self.journal_from = self.journal_from.min(offset);
        }
        self.durable = Durable::proven(offset);
        self.high_watermark = self.high_watermark.min(offset);
        self.epochs_changed |= self.epochs.truncate_from_end(offset);
        self.producers.truncate_to(offset, producers);
        self.faults.truncate_from_end(offset);
        self.start_wanted = self.start_wanted.map(|start| start.min(offset));
        self.footers_due.retain(|base| *base < from);
        self.caches_stale = true;
        let snapshots = self.snapshots.truncate_from_end(offset);
        let manifest_changes = self.manifest.truncate_from_end(offset, position, summary.chain);
        Gone { segments: gone.into_values().collect(), snapshots, manifest_changes }
    }

    /// What the trail is to tell of the way to this D.
    pub(crate) fn trail_step(&mut self, point: &DurablePoint, summary: &Summary) -> Option<trail::Step> {
        let segment = self.segments.get(&point.segment_base).filter(|segment| !segment.unsound)?;
        let (epochs, next_offset, producers) = (&self.epochs, self.next_offset, &self.producers);
        let snapshot = || ProducerSnapshot::encode(producers, SnapshotStamp::at(next_offset, epochs));
        let snapshot = (ProducerSnapshot::estimate_bytes(producers), snapshot);
        self.trail.step(point, segment.index.as_ref()?, summary, segment.first_timestamp, snapshot)
    }

    /// The journal has everything below `end` on stable storage.
    pub(crate) fn note_journaled(&mut self, end: Offset) {
        self.journaled = self.journaled.max(end);
        self.settle_durable(Offset::ZERO);
    }

    /// `synced`: what a sync, completed just now, proves beyond the journal.
    pub(crate) fn settle_durable(&mut self, synced: Offset) {
        let by_sync = self.durable.get().max(synced);
        // What the journal has counts only if nothing is missing between it and what syncs have proven.
        let reached = if by_sync >= self.journal_from { by_sync.max(self.journaled) } else { by_sync };
        let reached = if mutants::is(Mutant::B14) { self.log_end } else { reached.min(self.log_end) };
        if reached > self.durable.get() {
            self.durable = Durable::proven(reached);
            self.advanced = true;
        }
    }
}
