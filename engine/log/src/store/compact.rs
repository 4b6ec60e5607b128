//! Compaction as the store runs it: when, how fast, and how a new segment takes the place of old ones.
//!
//! A replacement is three scripts, one behind the other: the new segment's caches and the manifest are written beside and synced;
//! the manifest is renamed and the directory synced, which is when the new segment counts, here and for whoever starts after a
//! crash; then the files are renamed to their place and the replaced ones removed. Readers keep the files they have; lookups
//! under way begin anew.

use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

use super::operations::Then;
use super::script::Step as ScriptStep;
use super::{Output, PartitionSlot, Pending, Store};
use crate::compaction::{
    CleanedSegment, Cleaning, CompactionSettings, Finished, HashKey, KeyMap, MANIFEST_FILE_NAME, MANIFEST_PARTIAL_NAME, Manifest,
    Pace, SourceSegment, Step, cleaned_file_name, judge,
};
use crate::io::{FileOperation, Io, IoError, OpenMode, Outcome, SegmentFile, SyncScope};
use crate::partition::PartitionLog;
use crate::segment::index::SegmentIndex;
use crate::segment::{SUFFIXES, Segment, SegmentHandle};
use crate::{Monotonic, Now, Offset};

/// Pieces of a key map given back in one turn.
const PIECES_FREED: usize = 2;

/// The store's one cleaning, and when to look for another.
#[derive(Debug)]
pub(super) struct Compactor {
    settings: CompactionSettings,
    hash_key: HashKey,
    pace: Pace,
    running: Option<Cleaning>,
    swap: Option<Swap>,
    /// Memory that is given back little by little.
    retired: Vec<KeyMap>,
    next_look: Monotonic,
    /// Logs that are not cleaned any more, for the sake of a segment: to be told.
    given_up: Vec<(PartitionSlot, Offset)>,
}

/// A new segment on its way to its place.
#[derive(Debug)]
struct Swap {
    slot: PartitionSlot,
    new: SourceSegment,
    generation: u64,
    index: SegmentIndex,
    file: Arc<SegmentFile>,
    replaced: Vec<Offset>,
    manifest: Manifest,
    /// The manifest is recorded; readers are still to be told.
    recorded: bool,
}

impl Compactor {
    /// `hash_key` is random, new for each start.
    pub(super) const fn new(settings: CompactionSettings, hash_key: HashKey) -> Self {
        let pace = Pace::new(&settings);
        Self {
            settings,
            hash_key,
            pace,
            running: None,
            swap: None,
            retired: Vec::new(),
            next_look: Monotonic(0),
            given_up: Vec::new(),
        }
    }

    /// Whether nothing is being cleaned.
    pub(super) const fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    /// When there is something to do, unless an operation has to complete first.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        let cleaning = match &self.running {
            Some(running) => (self.swap.is_none() && !running.is_waiting()).then(|| self.pace.next()),
            None => self.settings.enabled.then_some(self.next_look),
        };
        let freeing = (!self.retired.is_empty()).then(|| self.pace.next());
        [cleaning, freeing].into_iter().flatten().min()
    }
}

impl Store {
    /// Take a step, if it is time for one.
    pub(super) fn compact(&mut self, now: Now, io: &mut Io) {
        if self.compactor.swap.as_ref().is_some_and(|swap| swap.recorded) {
            self.swap_in(io);
        }
        if now.monotonic < self.compactor.pace.next() {
            return;
        }
        if let Some(map) = self.compactor.retired.last_mut()
            && map.free_some(PIECES_FREED)
        {
            self.compactor.retired.pop();
        }
        let Some(running) = &mut self.compactor.running else { return self.look_for_dirt(now) };
        if self.compactor.swap.is_some() || running.is_waiting() {
            return;
        }
        let slot = running.slot;
        let log = self
            .partitions
            .get(slot.0 as usize)
            .and_then(Option::as_ref)
            .filter(|log| log.is_ready() && log.truncation.is_none());
        let Some(log) = log.filter(|_| self.stop == super::Stop::Running) else {
            running.cancel();
            return self.end_cleaning(Finished::GivenUp, now, io);
        };
        self.compactor.pace.stepped(now.monotonic);
        let steady = self.steady_wall.observe(now);
        match running.step(log, steady, self.steady_wall.latest().max(now.wall)) {
            Step::Busy => {}
            Step::Ask(operation) => {
                self.compactor.pace.moved(now.monotonic, moved_bytes(&operation));
                self.operations.ask(operation, Pending::Compaction, io);
            }
            Step::Replace => self.begin_swap(slot, now, io),
            Step::Finished(finished) => self.end_cleaning(finished, now, io),
        }
        if let Some(running) = &mut self.compactor.running {
            self.compactor.retired.append(&mut running.retired);
        }
    }

    /// Say which logs are not cleaned any more.
    pub(super) fn tell_uncleanable(&mut self, outputs: &mut Vec<Output>) {
        let told = self.compactor.given_up.drain(..).map(|(slot, segment)| Output::Uncleanable { slot, segment });
        outputs.extend(told);
    }

    /// An operation of the cleaning's completed.
    pub(super) fn compaction_completed(&mut self, result: Result<Outcome, IoError>) {
        if let Some(running) = &mut self.compactor.running {
            running.complete(result);
        }
    }

    /// Choose the log with the largest share of dirty bytes, among those that are due.
    fn look_for_dirt(&mut self, now: Now) {
        let rests = now.monotonic < self.compactor.next_look || self.stop != super::Stop::Running;
        if rests || !self.compactor.settings.enabled {
            return;
        }
        // What is kept in reserve is not for this: the new segment takes its room before the old ones give theirs.
        let room_bytes = self.left_bytes();
        self.compactor.next_look = now.monotonic.after_ms(self.compactor.settings.backoff_ms);
        let wall = self.steady_wall.observe(now);
        let mut best = None;
        for slot in self.slots() {
            let Some(log) = self.log_mut(slot) else { continue };
            let judgement = judge(log, wall);
            if judgement.wants_point && log.checkpoint.is_none() {
                log.wants.point = true;
                self.checkpoints_due.insert(slot);
            }
            if let Some(plan) = judgement.plan.filter(|plan| plan.room_bytes() <= room_bytes)
                && best.as_ref().is_none_or(|(dirty_ppm, _, _)| judgement.dirty_ppm > *dirty_ppm)
            {
                best = Some((judgement.dirty_ppm, slot, plan));
            }
        }
        if let Some((_, slot, plan)) = best
            && let Some(log) = self.log_mut(slot)
        {
            log.cleaning = true;
            let (settings, hash_key) = (self.compactor.settings, self.compactor.hash_key);
            self.compactor.running = Some(Cleaning::new(slot, settings, hash_key, plan));
        }
    }

    fn end_cleaning(&mut self, finished: Finished, now: Now, io: &mut Io) {
        let Some(mut running) = self.compactor.running.take() else { return };
        let slot = running.slot;
        for file in running.take_handles() {
            self.close(file, io);
        }
        let unfinished = running.unfinished();
        self.compactor.retired.extend(running.into_maps());
        if let Finished::Failed(error) = finished {
            return self.fail(error);
        }
        if finished == Finished::Clean {
            self.compactor.next_look = now.monotonic;
        }
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        // Not cleaned again while files of an unfinished one are being removed: the next one's have the same names.
        log.cleaning = unfinished.is_some();
        // Where the segment is not the log's any more its file went while it was being read: nothing is wrong with the log.
        if let Finished::Uncleanable(base) = finished
            && let Some(segment) = log.segments.get_mut(&base)
        {
            segment.doubt();
            log.uncleanable = true;
            self.compactor.given_up.push((slot, base));
            self.compactor.next_look = now.monotonic;
        }
        if let Some((base, generation)) = unfinished {
            let names = SUFFIXES.map(|suffix| cleaned_file_name(base, suffix, generation));
            let steps = names.map(|name| ScriptStep::Unlink(log.path(&name)));
            log.scripts += 1;
            self.scripts.start_first(steps, Then::CleaningUndone { slot }, io);
        }
    }

    /// Nothing is left of a cleaning that was given up.
    pub(super) fn cleaning_undone(&mut self, slot: PartitionSlot) {
        if let Some(log) = self.log_mut(slot) {
            log.scripts -= 1;
            log.cleaning = false;
        }
    }

    /// A group's new segment is whole: write down that it counts.
    fn begin_swap(&mut self, slot: PartitionSlot, now: Now, io: &mut Io) {
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        let Some((target, sources, clean_to)) = self.compactor.running.as_mut().and_then(Cleaning::replacement) else { return };
        let as_planned = |source: &SourceSegment| {
            log.segments.get(&source.base).is_some_and(|segment| segment.next_offset == source.next_offset)
        };
        if !sources.iter().all(as_planned) {
            // Retention was here meanwhile.
            return self.end_cleaning(Finished::GivenUp, now, io);
        }
        let (Some(handle), Some(last)) = (target.handle.take(), sources.last()) else { return };
        target.index.seal();
        let chain = target.index.chain;
        let new = SourceSegment { base: target.base, next_offset: last.next_offset, bytes: target.length, chain };
        let index = target.index.clone();
        let replaced: Vec<Offset> = sources.iter().map(|source| source.base).collect();
        let manifest = next_manifest(log, &new, &index, target.generation, &replaced, clean_to);
        let steps = manifest_steps(log, &new, &index, target.generation, &manifest);
        let file = Arc::new(SegmentFile { handle, segment: (log.identity, new.base) });
        self.compactor.swap =
            Some(Swap { slot, new, generation: target.generation, index, file, replaced, manifest, recorded: false });
        log.swapping = true;
        self.scripts.start(steps, Then::ManifestWritten, io);
    }

    /// The manifest is whole under another name.
    pub(super) fn manifest_written(&mut self, io: &mut Io) {
        let Some(swap) = &self.compactor.swap else { return };
        let Some(log) = self.partitions.get(swap.slot.0 as usize).and_then(Option::as_ref) else { return };
        let rename = ScriptStep::Rename(log.path(MANIFEST_PARTIAL_NAME), log.path(MANIFEST_FILE_NAME));
        let steps = [rename, ScriptStep::SyncDirectory(log.directory.clone())];
        self.scripts.start(steps, Then::ManifestRecorded, io);
    }

    /// There is no room for it.
    pub(super) fn manifest_not_written(&mut self, now: Now, io: &mut Io) {
        let Some(swap) = self.compactor.swap.take() else { return };
        self.close(swap.file.handle, io);
        if let Some(log) = self.log_mut(swap.slot) {
            log.swapping = false;
        }
        self.end_cleaning(Finished::GivenUp, now, io);
    }

    /// The new segment counts.
    pub(super) fn manifest_recorded(&mut self, io: &mut Io) {
        if let Some(swap) = &mut self.compactor.swap {
            swap.recorded = true;
            self.swap_in(io);
        }
    }

    /// Readers get the new segment from now on, and the files are put in their place. Not while one of the old ones is being
    /// opened: who waits for that must have it first. Nor while caches are being written, or will be when syncs are done: those of
    /// an old segment would take the place of the new one's, and the next start would find the file shorter than its sidecar says.
    fn swap_in(&mut self, io: &mut Io) {
        let Some(swap) = &mut self.compactor.swap else { return };
        let slot = swap.slot;
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        let opening = |base: &Offset| log.segments.get(base).is_some_and(Segment::is_opening);
        let footers_coming = log.checkpoint.as_ref().is_some_and(|checkpoint| !checkpoint.footers.is_empty());
        let caches_coming = log.scripts > 0 || !log.caches.is_empty() || footers_coming;
        if caches_coming || swap.replaced.iter().any(opening) {
            return;
        }
        swap.recorded = false;
        let base = swap.new.base;
        let was_open = log.segments.get(&base).is_some_and(|segment| segment.file().is_some());
        let first_timestamp = log.segments.get(&base).and_then(|segment| segment.first_timestamp);
        for base in &swap.replaced {
            self.lookups.unloaded(slot, *base);
            let old = log.segments.remove(base);
            self.doomed.extend(old.and_then(|segment| segment.file().cloned()));
        }
        let found = Segment::found(base, swap.new.next_offset, swap.new.bytes, swap.index.max_timestamp, swap.new.chain);
        let mut segment = found.with_holes(true);
        segment.first_timestamp = first_timestamp;
        segment.index = Some(swap.index.clone());
        segment.handle = SegmentHandle::Open(Arc::clone(&swap.file));
        segment.used = true;
        log.segments.insert(base, segment);
        log.manifest = swap.manifest.clone();
        // What went bad when it had been read: the places are those of a file that is gone.
        log.faults.forget_segments(&swap.replaced);
        let waiting: Vec<_> = log.segments.values().flat_map(|segment| segment.waiters.iter().copied()).collect();
        self.lookups.restart(slot, &waiting);
        if !was_open {
            self.open.push_back((slot, base));
        }
        let in_place = |suffix: &str| {
            let from = log.path(&cleaned_file_name(base, suffix, swap.generation));
            ScriptStep::Rename(from, log.segment_path(base, suffix))
        };
        let gone = swap.replaced.iter().filter(|other| **other != base);
        let gone = gone.flat_map(|other| SUFFIXES.map(|suffix| ScriptStep::Unlink(log.segment_path(*other, suffix))));
        let steps = SUFFIXES.map(in_place).into_iter().chain(gone).chain([ScriptStep::SyncDirectory(log.directory.clone())]);
        let steps: Vec<ScriptStep> = steps.collect();
        self.scripts.start(steps, Then::Replaced, io);
    }

    /// The files are in their place.
    pub(super) fn replaced(&mut self, io: &mut Io, outputs: &mut Vec<Output>) {
        let Some(Swap { slot, new, index, .. }) = self.compactor.swap.take() else { return };
        self.lookups.loaded(slot, new.base, index.memory_bytes());
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        log.swapping = false;
        if let Some(running) = &mut self.compactor.running {
            running.replaced(new, log);
        }
        self.drop_segments(slot, io, outputs);
    }
}

/// What counts against the limit of bytes a second.
fn moved_bytes(operation: &FileOperation) -> u64 {
    match operation {
        FileOperation::Read { length, .. } => *length as u64,
        FileOperation::Write { data, .. } => data.len() as u64,
        _ => 0,
    }
}

/// The manifest by which a new segment counts.
fn next_manifest(
    log: &PartitionLog,
    new: &SourceSegment,
    index: &SegmentIndex,
    generation: u64,
    replaced: &[Offset],
    clean_to: Option<Offset>,
) -> Manifest {
    let mut manifest = log.manifest.clone();
    manifest.generation = generation;
    manifest.cleaned_to = clean_to.unwrap_or(manifest.cleaned_to);
    manifest.segments.retain(|base, _| log.segments.contains_key(base) && !replaced.contains(base));
    let cleaned = CleanedSegment { end: new.next_offset, length: new.bytes, generation, chain: index.chain };
    manifest.segments.insert(new.base, cleaned);
    manifest
}

/// Caches and manifest, under names of their own, synced.
fn manifest_steps(
    log: &PartitionLog,
    new: &SourceSegment,
    index: &SegmentIndex,
    generation: u64,
    manifest: &Manifest,
) -> Vec<ScriptStep> {
    let mut steps = Vec::new();
    let mut write = |name: &str, content: Vec<u8>| {
        steps.push(ScriptStep::Open(log.path(name), OpenMode::CreateEmpty));
        if !content.is_empty() {
            steps.push(ScriptStep::Write(0, Bytes::from(content)));
        }
        steps.push(ScriptStep::Sync(SyncScope::All));
        steps.push(ScriptStep::Close);
    };
    for (suffix, content) in crate::segment::cache_files(index, new.bytes, new.next_offset) {
        write(&cleaned_file_name(new.base, suffix, generation), content);
    }
    write(MANIFEST_PARTIAL_NAME, manifest.encode(log.identity));
    steps.push(ScriptStep::SyncDirectory(log.directory.clone()));
    steps
}
