//! One log being cleaned: passes of two halves, until all that was planned is clean.
//!
//! The machine asks for one operation at a time and is told what came of it. What it cannot do itself, putting a group's new
//! segment in place, it asks its store to do ([`Step::Replace`]).

use alloc::{boxed::Box, vec::Vec};

use super::filter::{Filter, Filtered, Rules, Unpacking};
use super::key_hash::HashKey;
use super::plan::{Plan, SourceSegment};
use super::source::{Next, Source};
use super::target::Target;
use super::{CompactionSettings, KeyMap};
use crate::io::{FileHandle, FileOperation, IoError, Outcome};
use crate::partition::PartitionLog;
use crate::store::PartitionSlot;
use crate::{Offset, Timestamp};

/// What a step came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// This is to be done; [`Cleaning::complete`] follows.
    Ask(FileOperation),
    /// There is more to do.
    Busy,
    /// The group's new segment is whole and synced: it is to take the place of those segments. [`Cleaning::replaced`] follows.
    Replace,
    /// It is over. Handles that are still open are in [`Cleaning::handles`].
    Finished(Finished),
}

/// How a cleaning ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Finished {
    /// All that was planned is clean.
    Clean,
    /// It cannot go on now; another time perhaps.
    GivenUp,
    /// What this segment holds cannot be read, or is not what was written: the log is not to be cleaned any more.
    Uncleanable(Offset),
    /// A write or sync failed.
    Failed(IoError),
}

/// Whom the operation outstanding is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Source,
    Target,
}

#[derive(Debug)]
enum Phase {
    /// Noting the keys of the segment of this number; where the map is full, only reading it to its end, for only there it is known
    /// whether it was whole.
    Mapping { segment: usize, work: Option<(Offset, i32, Unpacking)>, full: bool },
    /// Writing the group of this number again, at its segment of that number.
    Writing { group: usize, segment: usize, work: Option<Box<Filter>>, target: Target },
    /// The target is whole.
    Replacing { group: usize, target: Target },
}

/// A log being cleaned.
#[derive(Debug)]
pub(crate) struct Cleaning {
    pub(crate) slot: PartitionSlot,
    settings: CompactionSettings,
    hash_key: HashKey,
    plan: Plan,
    map: KeyMap,
    /// The pass is about records below this offset.
    map_end: Offset,
    phase: Phase,
    source: Option<Source>,
    asked: Option<Asked>,
    finished: Option<Finished>,
    /// Memory of a map that is of no use any more.
    pub(crate) retired: Vec<KeyMap>,
}

impl Cleaning {
    pub(crate) fn new(slot: PartitionSlot, settings: CompactionSettings, hash_key: HashKey, plan: Plan) -> Self {
        let map = map_for(&settings, hash_key, &plan);
        let segment = first_dirty_segment(&plan);
        Self {
            slot,
            settings,
            hash_key,
            map,
            map_end: plan.first_dirty,
            plan,
            phase: Phase::Mapping { segment, work: None, full: false },
            source: None,
            asked: None,
            finished: None,
            retired: Vec::new(),
        }
    }

    /// Whether an operation is outstanding.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.asked.is_some()
    }

    /// Do a bounded amount of work. It is `now` as far as the clock is to be believed, and `latest` by what it shows.
    pub(crate) fn step(&mut self, log: &PartitionLog, now: Timestamp, latest: Timestamp) -> Step {
        if let Some(finished) = self.finished {
            return Step::Finished(finished);
        }
        let mut budget = self.settings.step_bytes.max(1);
        while budget > 0 {
            let step = match &self.phase {
                Phase::Mapping { .. } => self.map_on(log, &mut budget),
                Phase::Writing { .. } => self.write_on(log, (now, latest), &mut budget),
                Phase::Replacing { .. } => Some(Step::Replace),
            };
            match step {
                Some(Step::Finished(finished)) => {
                    self.finished = Some(finished);
                    return Step::Finished(finished);
                }
                Some(step) => return step,
                None => {}
            }
        }
        Step::Busy
    }

    /// Take the end of the operation outstanding.
    pub(crate) fn complete(&mut self, result: Result<Outcome, IoError>) {
        let Some(asked) = self.asked.take() else { return };
        let good = match (asked, result) {
            (Asked::Target, Err(error)) if error.is_no_space() => return self.finished = Some(Finished::GivenUp),
            // It says nothing of the file.
            (Asked::Target | Asked::Source, Err(error)) if error.is_no_file_left() => {
                return self.finished = Some(Finished::GivenUp);
            }
            (Asked::Target, Err(error)) => return self.finished = Some(Finished::Failed(error)),
            (Asked::Source, Err(_)) => false,
            (Asked::Source, Ok(outcome)) => match &mut self.source {
                Some(source) => source.take(outcome),
                None => true,
            },
            (Asked::Target, Ok(outcome)) => match &mut self.phase {
                Phase::Writing { target, .. } => {
                    if !target.take(&outcome) {
                        return self.finished = Some(Finished::Failed(IoError::INPUT_OUTPUT));
                    }
                    true
                }
                Phase::Mapping { .. } | Phase::Replacing { .. } => true,
            },
        };
        if !good {
            self.finished = Some(Finished::Uncleanable(self.source_base()));
        }
    }

    /// Give up as soon as nothing is outstanding.
    pub(crate) fn cancel(&mut self) {
        self.finished.get_or_insert(Finished::GivenUp);
    }

    /// The handles that are open, to be closed by the caller; and the target's unfinished file.
    pub(crate) fn take_handles(&mut self) -> Vec<FileHandle> {
        let target = match &mut self.phase {
            Phase::Writing { target, .. } | Phase::Replacing { target, .. } => target.handle.take(),
            Phase::Mapping { .. } => None,
        };
        let source = self.source.as_mut().and_then(Source::close);
        [source, target].into_iter().flatten().collect()
    }

    /// Its memory, to be given back.
    pub(crate) fn into_maps(mut self) -> Vec<KeyMap> {
        self.retired.push(self.map);
        self.retired
    }

    /// The segment that is being written or waits to be put in place.
    pub(crate) fn unfinished(&self) -> Option<(Offset, u64)> {
        match &self.phase {
            Phase::Writing { target, .. } | Phase::Replacing { target, .. } => Some((target.base, target.generation)),
            Phase::Mapping { .. } => None,
        }
    }

    /// What is to be put in place of what; and the offset below which the log is clean once that is done, if it is the pass's
    /// last group.
    pub(crate) fn replacement(&mut self) -> Option<(&mut Target, &[SourceSegment], Option<Offset>)> {
        let Phase::Replacing { group, target } = &mut self.phase else { return None };
        let is_last = *group + 1 == groups_of_pass(&self.plan, self.map_end);
        Some((target, self.plan.groups.get(*group)?.as_slice(), is_last.then_some(self.map_end)))
    }

    /// The group's new segment is in its place.
    pub(crate) fn replaced(&mut self, new: SourceSegment, log: &PartitionLog) {
        let Phase::Replacing { group, .. } = self.phase else { return };
        let Some(place) = self.plan.groups.get_mut(group) else { return };
        *place = Vec::from([new]);
        if group + 1 < groups_of_pass(&self.plan, self.map_end) {
            return self.begin_group(group + 1, log);
        }
        // The next pass takes the log as this one leaves it.
        self.plan.segments = self.plan.groups.iter().flatten().copied().collect();
        self.plan.first_dirty = self.map_end;
        let map = map_for(&self.settings, self.hash_key, &self.plan);
        self.retired.push(core::mem::replace(&mut self.map, map));
        let segment = first_dirty_segment(&self.plan);
        self.phase = Phase::Mapping { segment, work: None, full: false };
        if segment >= self.plan.segments.len() {
            self.finished = Some(Finished::Clean);
        }
    }

    /// The segment that is being read.
    fn source_base(&self) -> Offset {
        self.source.as_ref().map_or(self.plan.first_dirty, |source| source.segment().base)
    }

    fn uncleanable(&self) -> Option<Step> {
        Some(Step::Finished(Finished::Uncleanable(self.source_base())))
    }

    fn map_on(&mut self, log: &PartitionLog, budget: &mut usize) -> Option<Step> {
        let Phase::Mapping { segment, work, full } = &mut self.phase else { return None };
        if let Some((base, record_end, unpacking)) = work {
            let end = Offset(base.0 + i64::from(*record_end));
            match note_keys(unpacking, *base, &mut self.map, self.plan.first_dirty, budget) {
                Ok(Noted::More) => {}
                Ok(Noted::All) => {
                    self.map_end = end;
                    *work = None;
                }
                Ok(Noted::FullAt(offset)) => {
                    self.map_end = offset;
                    *work = None;
                    *full = true;
                }
                Err(_) => return self.uncleanable(),
            }
            return None;
        }
        let Some(place) = self.plan.segments.get(*segment).copied() else { return self.end_mapping(log) };
        let source = self.source.get_or_insert_with(|| open_source(log, &place, &self.settings));
        match source.next() {
            Next::Batch(header, batch) => {
                *budget = budget.saturating_sub(crate::batch::BATCH_OVERHEAD_BYTES);
                if *full {
                    return None;
                }
                if header.last_offset() < self.plan.first_dirty || header.record_count == 0 || header.attributes.is_control() {
                    self.map_end = self.map_end.max(header.next_offset());
                    return None;
                }
                match Unpacking::begin(&header, &batch) {
                    Ok(unpacking) => *work = Some((header.base_offset, header.last_offset_delta + 1, unpacking)),
                    Err(_) => return self.uncleanable(),
                }
                None
            }
            Next::Ask(operation) => {
                self.asked = Some(Asked::Source);
                Some(Step::Ask(operation))
            }
            Next::Damaged => self.uncleanable(),
            Next::End if *full => self.end_mapping(log),
            Next::End => {
                *segment += 1;
                self.map_end = place.next_offset;
                self.close_source()
            }
        }
    }

    fn end_mapping(&mut self, log: &PartitionLog) -> Option<Step> {
        self.begin_group(0, log);
        self.close_source()
    }

    fn begin_group(&mut self, group: usize, log: &PartitionLog) {
        let Some(first) = self.plan.groups.get(group).and_then(|group| group.first()) else { return };
        let generation = log.manifest.generation + 1;
        let interval_bytes = log.config.index_interval_bytes;
        let target = Target::new(&log.directory, first.base, generation, interval_bytes, self.settings.buffer_bytes);
        self.phase = Phase::Writing { group, segment: 0, work: None, target };
    }

    fn write_on(&mut self, log: &PartitionLog, (now, latest): (Timestamp, Timestamp), budget: &mut usize) -> Option<Step> {
        let Phase::Writing { group, segment, work, target } = &mut self.phase else { return None };
        let sources = self.plan.groups.get(*group).map(Vec::as_slice).unwrap_or_default();
        if let Some(filter) = work {
            let rules = Rules {
                map: &self.map,
                map_end: self.map_end,
                group_end: sources.last().map_or(Offset::ZERO, |last| last.next_offset),
                producers: &log.producers,
                now,
                latest,
                delete_retention_ms: log.config.delete_retention_ms,
            };
            match filter.step(&rules, budget) {
                Ok(None) => {}
                Ok(Some(Filtered::Dropped)) => *work = None,
                Ok(Some(Filtered::Kept(header, body))) => {
                    target.append(&header, &body);
                    *work = None;
                }
                Err(_) => return self.uncleanable(),
            }
            return None;
        }
        if let Some(operation) = target.flush() {
            self.asked = Some(Asked::Target);
            return Some(Step::Ask(operation));
        }
        let Some(place) = sources.get(*segment) else {
            if let Some(operation) = target.finish() {
                self.asked = Some(Asked::Target);
                return Some(Step::Ask(operation));
            }
            let group = *group;
            let none = Target::new("", Offset::ZERO, 0, 1, 0);
            let target = core::mem::replace(target, none);
            self.phase = Phase::Replacing { group, target };
            return None;
        };
        let source = self.source.get_or_insert_with(|| open_source(log, place, &self.settings));
        match source.next() {
            Next::Batch(header, batch) => {
                *budget = budget.saturating_sub(crate::batch::BATCH_OVERHEAD_BYTES);
                match Filter::begin(header, batch) {
                    Ok(filter) => *work = Some(Box::new(filter)),
                    Err(_) => return self.uncleanable(),
                }
                None
            }
            Next::Ask(operation) => {
                self.asked = Some(Asked::Source);
                Some(Step::Ask(operation))
            }
            Next::Damaged => self.uncleanable(),
            Next::End => {
                *segment += 1;
                self.close_source()
            }
        }
    }

    fn close_source(&mut self) -> Option<Step> {
        let file = self.source.take().and_then(|mut source| source.close())?;
        self.asked = Some(Asked::Source);
        Some(Step::Ask(FileOperation::Close { file }))
    }
}

enum Noted {
    More,
    All,
    /// The record at this offset has no room.
    FullAt(Offset),
}

fn note_keys(
    unpacking: &mut Unpacking,
    base: Offset,
    map: &mut KeyMap,
    from: Offset,
    budget: &mut usize,
) -> Result<Noted, super::filter::Unreadable> {
    if !unpacking.unpack(budget)? {
        return Ok(Noted::More);
    }
    while *budget > 0 {
        let Some((record, _)) = unpacking.next(budget)? else { return Ok(Noted::All) };
        let offset = base.plus(i64::from(record.offset_delta));
        if offset >= from
            && let Some(key) = record.key
            && !map.put(key, offset)
        {
            return Ok(Noted::FullAt(offset));
        }
    }
    Ok(Noted::More)
}

/// The groups that hold something below the map's end.
fn groups_of_pass(plan: &Plan, map_end: Offset) -> usize {
    plan.groups.iter().take_while(|group| group.first().is_some_and(|first| first.base < map_end)).count()
}

fn first_dirty_segment(plan: &Plan) -> usize {
    plan.segments.partition_point(|segment| segment.next_offset <= plan.first_dirty)
}

/// A map with room for the records that are still dirty, as far as memory goes.
fn map_for(settings: &CompactionSettings, hash_key: HashKey, plan: &Plan) -> KeyMap {
    let end = plan.segments.last().map_or(plan.first_dirty, |last| last.next_offset);
    let records = u64::try_from(end.0 - plan.first_dirty.0).unwrap_or_default();
    KeyMap::new(hash_key, settings.key_map_bytes, settings.load_factor_ppm, records)
}

fn open_source(log: &PartitionLog, place: &SourceSegment, settings: &CompactionSettings) -> Source {
    Source::new(log.segment_path(place.base, "log"), *place, settings.buffer_bytes)
}
