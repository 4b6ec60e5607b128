//! One partition's log recovered: left as it is up to D, continued from the journal, then from what its files still hold.
//!
//! Invariants: nothing before D is changed, whatever is wrong with it; everything kept past D is written again and synced before
//! a later D is recorded; doing it again, with the same journals, gives the same log.

use alloc::collections::BTreeMap;
use alloc::{format, string::String, vec::Vec};
use bytes::Bytes;

use super::base::{self, Base};
use super::directory::Directory;
use super::journals::Located;
use super::reader::SegmentReader;
use super::swap;
use super::tail::TailWriter;
use super::{LogError, RecoveryReport, RecoverySettings};
use crate::batch::BATCH_OVERHEAD_BYTES;
use crate::compaction::{CleanedSegment, Manifest};
use crate::epoch::LeaderEpochs;
use crate::io::{Disk, IoError};
use crate::journal::JournalPosition;
use crate::mutants::{self, Mutant};
use crate::partition::snapshots::Snapshots;
use crate::partition::{Life, PartitionLog, Settled, Wants};
use crate::producer::{ProducerSnapshot, ProducerStates, SnapshotStamp};
use crate::segment::check::Unchecked;
use crate::segment::index::SegmentIndex;
use crate::segment::scan::Scan;
use crate::segment::tail::Boundary;
use crate::segment::{Segment, Stage, file_name};
use crate::state::trail::{self, Trail};
use crate::state::{COPY_BYTES, DurablePoint, EPOCHS_KEPT, PartitionState, STATE_FILE_NAME};
use crate::store::METADATA_FILE_NAME;
use crate::store::{Durability, Durable, LogConfig};
use crate::{LeaderEpoch, Now, Offset};

/// What every partition's recovery is told.
pub(super) struct Context<'a> {
    pub(super) settings: &'a RecoverySettings,
    pub(super) clean: bool,
    /// The generation of the run that is about to start.
    pub(super) generation: u64,
    pub(super) now: Now,
}

/// Recover a partition: its log; and its state, with the next step of its trail, if a new D must be recorded.
pub(super) fn recover(
    disk: &mut dyn Disk,
    context: &Context<'_>,
    found: &Directory,
    entries: &[Located],
    report: &mut RecoveryReport,
) -> Result<(PartitionLog, Option<Renewed>), LogError> {
    let mut state = starting_state(disk, found, report);
    let context = &Context { clean: context.clean && ends_at_point(found, entries, &state.point), ..*context };
    if mutants::is(Mutant::B15) && !context.clean {
        // As if D were not known: the log is what can be read, up to the first bad batch.
        state.point.offset = state.point.segment_base;
        state.point.segment_bytes = 0;
        state.point.epoch = LeaderEpoch::NONE;
    }
    let (mut epochs, rewrites_epochs) = read_epochs(disk, found, &state);
    if !context.clean {
        sync_doubtful(disk, found, &state)?;
    }
    let Base { sealed, index, found_end, trail, faults, unsound } = base::read(disk, context, found, &state, report)?;
    let caches_good = base::has_caches(disk, found, &state.point);
    epochs.forget_unwritten(state.point.offset, state.point.epoch);
    let mut writer = TailWriter::new(context, found, &state, sealed, index, epochs);
    writer.unsound = unsound;
    writer.reach_point(disk)?;
    if !context.clean {
        writer.replay(disk, entries, report)?;
        writer.keep_tail(disk, report)?;
    }
    let manifest = swap::truncate_from_end(disk, found, (writer.end, writer.position, writer.index.chain))?;
    writer.cut(disk, report)?;
    if state.cut && !context.clean {
        writer.settle_end();
    }
    let changed = writer.finish(disk)?;
    let TailWriter { mut sealed, mut epochs, segment_base, position, end, index, made, epoch, unsound, .. } = writer;
    epochs.truncate_from_start(state.log_start);
    let active = Segment::found(segment_base, end, position, index.max_timestamp, index.chain);
    let mut active = active.with_holes(found.is_sparse(segment_base));
    active.made = made;
    active.unsound = unsound;
    active.activate(index);
    if active.first_timestamp.is_none() && position > 0 {
        let mut reader = SegmentReader::new(path(found, segment_base, "log"), position);
        // Retention by age does without it.
        active.first_timestamp = reader.header(disk, 0).unwrap_or_default().map(|header| header.max_timestamp);
    }
    sealed.push(active);
    let mut segments: BTreeMap<Offset, Segment> = sealed.into_iter().map(|segment| (segment.base, segment)).collect();
    if let Some(segment) = segments.get_mut(&state.point.segment_base) {
        segment.unchecked = found_end.map(Unchecked::up_to);
    }
    let (producers, snapshots) = read_producers(disk, context, found, &epochs, &segments, state.log_start, &trail.producers)?;
    let mut log = assemble(found, &state, epochs, producers, segments, changed || !caches_good);
    log.snapshots = snapshots;
    log.manifest = if found.manifest_lost { manifest_of_any(&log) } else { manifest };
    log.trail = trail.end;
    log.faults = faults;
    log.epochs_changed = rewrites_epochs;
    // Of the last batch: where the log's start is its end, the list does not tell.
    log.point.epoch = epoch;
    let renewed = !context.clean && (changed || !entries.is_empty() || found.state.is_none() || found.has_lost_copy);
    let point = if renewed { renewed_point(context, &log) } else { DurablePoint { offset: end, ..state.point } };
    log.point = point;
    if !renewed {
        return Ok((log, None));
    }
    let renewed = renew(found, &mut log, point);
    Ok((log, Some(renewed)))
}

/// The state of a recovered log, and its trail from there on.
fn renew(found: &Directory, log: &mut PartitionLog, point: DurablePoint) -> Renewed {
    let summary = log.settled.summary;
    // Where the trail does not go on, nothing may stand behind it that was written before the log was recovered.
    let step = log.trail_step(&point, &summary).or_else(|| log.trail.blank());
    let state = log.next_state(point, Wants::default());
    Renewed { directory: found.name.clone(), state, step }
}

/// Whether the stop, if it was a clean one, recorded the last D of this log: nothing lies behind it. Where that copy may be the one
/// that is gone, the log goes on behind the D that is left; and so it does where the log was not part of the run that stopped, for
/// its state could not be read then.
fn ends_at_point(found: &Directory, entries: &[Located], point: &DurablePoint) -> bool {
    let past = |(base, length): &(Offset, u64)| match base.cmp(&point.segment_base) {
        core::cmp::Ordering::Less => false,
        core::cmp::Ordering::Equal => *length > point.segment_bytes,
        core::cmp::Ordering::Greater => *length > 0,
    };
    found.state_is_whole && entries.is_empty() && !found.logs.iter().any(past)
}

/// A state that is to be recorded, and the way to its D.
pub(super) struct Renewed {
    directory: String,
    state: PartitionState,
    step: Option<trail::Step>,
}

/// The state to recover from: the one on disk, or what the segments say if both copies are bad. Where a newer one may be gone, D is
/// no earlier than what else was written down says.
fn starting_state(disk: &mut dyn Disk, found: &Directory, report: &mut RecoveryReport) -> PartitionState {
    let mut state = match &found.state {
        Some(state) => state.clone(),
        None => {
            report.states_rebuilt.push(found.identity);
            state_of_first_segment(found)
        }
    };
    if found.state.is_none() || found.has_lost_copy {
        if found.state.is_some() {
            report.states_fallen_back.push(found.identity);
        }
        if !state.cut {
            // Of a log that is being cut nothing counts that was written down before.
            advance_point(disk, found, &mut state);
        }
        start_with_first_segment(found, &mut state);
    }
    let holds_point = found.logs.iter().any(|(base, _)| *base == state.point.segment_base);
    if !holds_point && state.log_start >= state.point.offset {
        // All before D was deleted, its segment with it: the log goes on with a new one.
        state.point.segment_base = state.point.offset;
        state.point.segment_bytes = 0;
    }
    state
}

/// Move D to where it was, by all that is written only once what lies before it is durable: the trail, the manifest of what was
/// cleaned, and where there is no state at all the sidecars of the first segments. The epochs on the way are read from the batches.
fn advance_point(disk: &mut dyn Disk, found: &Directory, state: &mut PartitionState) {
    let before = state.point;
    let path = format!("{}/{STATE_FILE_NAME}", found.name);
    let trail = disk.read(&path, trail::TRAIL_AT, base::CACHE_BYTES_MAX).ok().and_then(|bytes| Trail::newest(&bytes));
    if let Some((segment_base, reached)) = trail.filter(|(_, reached)| reached.offset > state.point.offset) {
        state.point = DurablePoint { offset: reached.offset, segment_base, segment_bytes: reached.position, ..before };
    }
    let cleaned = found.manifest.segments.values().map(|segment| segment.end).max();
    if let Some(end) = cleaned.filter(|end| *end >= state.point.offset) {
        state.point = DurablePoint { offset: end, segment_base: end, segment_bytes: 0, ..before };
    }
    if found.state.is_none() {
        for (base, length) in &found.logs {
            let footer = base::read_footer(disk, found, *base).filter(|footer| footer.base == *base && footer.length == *length);
            let Some(footer) = footer.filter(|_| *base <= state.point.offset) else { break };
            if footer.next_offset > state.point.offset {
                let (offset, segment_bytes) = (footer.next_offset, *length);
                state.point = DurablePoint { offset, segment_base: *base, segment_bytes, ..before };
            }
        }
    }
    let mut epochs = state.leader_epochs();
    for segment in found.logs.iter().filter(|(base, _)| *base >= before.segment_base && *base <= state.point.segment_base) {
        note_epochs(disk, found, *segment, state.point.offset, &mut epochs);
    }
    let last = epochs.epoch_for_offset(Offset(state.point.offset.0 - 1));
    state.point.epoch = last.unwrap_or(before.epoch).max(before.epoch);
    state.epochs = PartitionState::newest(&epochs);
    state.older_epochs = PartitionState::checksum_of_older(&epochs, state.log_start);
}

/// The newest start of the log was perhaps in the copy of the state that is gone, and the segments before it are gone under it.
fn start_with_first_segment(found: &Directory, state: &mut PartitionState) {
    let Some((first, _)) = found.logs.first().filter(|(first, _)| *first > state.log_start) else { return };
    state.log_start = *first;
    if state.point.segment_base < *first {
        state.point = DurablePoint { offset: *first, segment_base: *first, segment_bytes: 0, ..state.point };
    }
}

/// After an unclean stop: make stable what is about to be believed.
fn sync_doubtful(disk: &mut dyn Disk, found: &Directory, state: &PartitionState) -> Result<(), LogError> {
    // The process may have died while it made the partition or recorded a D: what is there was perhaps never synced.
    for name in &found.small_files {
        let path = format!("{}/{name}", found.name);
        match disk.read(&path, 0, 2 * COPY_BYTES) {
            Ok(content) => make_stable(disk, &path, &content)?,
            // The state was read, and says all that the metadata does.
            Err(_) if *name == METADATA_FILE_NAME => {}
            Err(error) => return Err(LogError::Unreadable(error)),
        }
    }
    disk.sync_directory(&found.name)?;
    if state.durability == Durability::Replicated {
        // What the page cache shows was perhaps never on disk.
        for (base, _) in found.logs.iter().filter(|(base, _)| *base >= state.point.segment_base) {
            disk.sync(&path(found, *base, "log"))?;
        }
    }
    Ok(())
}

fn renewed_point(context: &Context<'_>, log: &PartitionLog) -> DurablePoint {
    log.current_point(JournalPosition { generation: context.generation, sequence: 0 })
}

pub(super) fn path(found: &Directory, base: Offset, suffix: &str) -> String {
    format!("{}/{}", found.name, file_name(base, suffix))
}

/// Both copies of the state are bad: the log starts with its first segment, and nothing is known of its D.
fn state_of_first_segment(found: &Directory) -> PartitionState {
    let first = found.logs.first().map_or(Offset::ZERO, |(base, _)| *base);
    PartitionState {
        counter: 0,
        partition: found.identity,
        topic_name: found.topic_name.clone(),
        removed: false,
        cut: false,
        cleaned: found.has_manifest,
        durability: Durability::Journaled,
        point: DurablePoint { segment_base: first, offset: first, ..DurablePoint::of_empty_log(JournalPosition::default()) },
        log_start: first,
        epochs: Vec::new(),
        older_epochs: 0,
    }
}

/// Which epochs wrote a segment's batches before this offset, as far as they are whole.
fn note_epochs(disk: &mut dyn Disk, found: &Directory, (base, length): (Offset, u64), end: Offset, epochs: &mut LeaderEpochs) {
    let next = found.logs.iter().map(|(base, _)| *base).find(|next| *next > base).unwrap_or(Offset(i64::MAX));
    let end = Boundary { offset: next.min(end), position: length };
    let scan = Scan::new(base, u32::MAX, end).with_holes(found.is_sparse(base));
    let scanned = SegmentReader::new(path(found, base, "log"), length).scan(disk, scan);
    for entry in scanned.epochs.entries() {
        epochs.assign(entry.epoch, entry.start_offset);
    }
}

/// The state's epochs, and before them what only Kafka's checkpoint still has, or the batches, where it is not as the state knows it.
/// Whether it has to be written anew.
fn read_epochs(disk: &mut dyn Disk, found: &Directory, state: &PartitionState) -> (LeaderEpochs, bool) {
    let newest = state.leader_epochs();
    let first = newest.entries().first().copied();
    let Some(first) = first.filter(|first| state.epochs.len() == EPOCHS_KEPT && first.start_offset > state.log_start) else {
        // It has them all, and under a checksum.
        return (newest, false);
    };
    let text = disk.read(&format!("{}/{}", found.name, LeaderEpochs::FILE_NAME), 0, 1 << 20).unwrap_or_default();
    let checkpoint = core::str::from_utf8(&text).ok().and_then(|text| LeaderEpochs::decode(text).ok()).unwrap_or_default();
    let mut epochs = LeaderEpochs::default();
    for entry in checkpoint.entries().iter().take_while(|entry| entry.start_offset < first.start_offset).chain(newest.entries()) {
        epochs.assign(entry.epoch, entry.start_offset);
    }
    if PartitionState::checksum_of_older(&epochs, state.log_start) == state.older_epochs {
        return (epochs, false);
    }
    let mut epochs = LeaderEpochs::default();
    for segment in found.logs.iter().filter(|(base, _)| *base < first.start_offset) {
        note_epochs(disk, found, *segment, first.start_offset, &mut epochs);
    }
    for entry in newest.entries() {
        epochs.assign(entry.epoch, entry.start_offset);
    }
    (epochs, true)
}

/// Write a cache anew.
pub(super) fn rewrite(disk: &mut dyn Disk, path: &str, content: &[u8]) -> Result<(), IoError> {
    disk.write(path, 0, content)?;
    disk.truncate(path, content.len() as u64)
}

/// What reads back after an unclean stop may never have been on disk: a failed sync leaves pages clean that were never there, and
/// only writing them again brings them to it.
pub(super) fn make_stable(disk: &mut dyn Disk, path: &str, content: &[u8]) -> Result<(), IoError> {
    disk.write(path, 0, content)?;
    disk.sync(path)
}

/// The producers: from the newest snapshot that agrees with the log, and the batches since.
fn read_producers(
    disk: &mut dyn Disk,
    context: &Context<'_>,
    found: &Directory,
    epochs: &LeaderEpochs,
    segments: &BTreeMap<Offset, Segment>,
    log_start: Offset,
    of_trail: &[Bytes],
) -> Result<(ProducerStates, Snapshots), IoError> {
    let first = segments.keys().next().copied().unwrap_or(Offset::ZERO);
    let end = segments.values().next_back().map_or(Offset::ZERO, |active| active.next_offset);
    let usable = |bytes: &[u8]| {
        let snapshot = ProducerSnapshot::decode(bytes).ok()?;
        let agrees = |stamp: &SnapshotStamp| stamp.agrees_with(epochs, log_start) || mutants::is(Mutant::B44);
        let stamp = snapshot.stamp.filter(|stamp| stamp.offset >= first && stamp.offset <= end && agrees(stamp))?;
        Some((stamp.offset, snapshot.states))
    };
    // A step may tell of what a power failure took back, for it is written with the states of then and not with those of its D; and
    // below the log's start no epoch is left to say so.
    let holds = |(stamped, _): &(Offset, _)| *stamped > log_start;
    let mut best = of_trail.iter().rev().find_map(|bytes| usable(bytes).filter(holds));
    let mut stable = None;
    let mut snapshots: Vec<Offset> = found.snapshots.clone();
    snapshots.sort_unstable();
    let kept = snapshots.partition_point(|offset| *offset <= end);
    let gone = snapshots.split_off(kept);
    if !gone.is_empty() && !mutants::is(Mutant::B44) {
        for offset in gone {
            disk.unlink(&format!("{}/{}", found.name, ProducerSnapshot::file_name(offset)))?;
        }
        // Were one back when the log has grown past it and starts behind it, nothing would tell that it is of records that were lost.
        disk.sync_directory(&found.name)?;
    }
    for offset in snapshots.iter().rev() {
        if best.as_ref().is_some_and(|(known, _)| *known >= *offset) {
            break;
        }
        let name = format!("{}/{}", found.name, ProducerSnapshot::file_name(*offset));
        let bytes = disk.read(&name, 0, 256 << 20).unwrap_or_default();
        if let Some(read) = usable(&bytes).filter(|(stamped, _)| stamped == offset) {
            best = Some(read);
            stable = Some(*offset);
            if !context.clean {
                make_stable(disk, &name, &bytes)?;
            }
        }
    }
    let kept = Snapshots::found(snapshots.into_iter(), stable);
    let (from, mut producers) = best.unwrap_or((first, ProducerStates::new()));
    record_batches(disk, context, found, segments, from, &mut producers);
    if mutants::is(Mutant::B11) {
        producers = ProducerStates::new();
    }
    Ok((producers, kept))
}

/// The batches from `from` on are known, too.
fn record_batches(
    disk: &mut dyn Disk,
    context: &Context<'_>,
    found: &Directory,
    segments: &BTreeMap<Offset, Segment>,
    from: Offset,
    producers: &mut ProducerStates,
) {
    for segment in segments.values().filter(|segment| segment.next_offset > from && segment.bytes > 0) {
        let mut reader = SegmentReader::new(path(found, segment.base, "log"), segment.bytes);
        let cached = match &segment.index {
            Some(_) => None,
            None => base::read_index(disk, context, found, segment.base, segment.bytes),
        };
        let index = segment.index.as_ref().or(cached.as_ref());
        let entry = index.and_then(|index| index.floor(from));
        let mut position = entry.map_or(0, |entry| u64::from(entry.position));
        while position + BATCH_OVERHEAD_BYTES as u64 <= segment.bytes {
            match reader.batch(disk, position).unwrap_or_default() {
                Some((header, _)) => {
                    if header.base_offset >= from {
                        producers.record(&header, context.now.wall);
                    }
                    position += header.total_bytes() as u64;
                }
                // Damage is stepped over: whoever wrote there is known as far as its other batches tell.
                None => match index.and_then(|index| index.marks_after(position).next()) {
                    Some(mark) => position = mark.position,
                    None => break,
                },
            }
        }
    }
}

fn assemble(
    found: &Directory,
    state: &PartitionState,
    epochs: LeaderEpochs,
    producers: ProducerStates,
    segments: BTreeMap<Offset, Segment>,
    caches_stale: bool,
) -> PartitionLog {
    let config = LogConfig { durability: state.durability, ..LogConfig::default() };
    let mut log = PartitionLog::new(found.identity, &state.topic_name, config, state.point);
    if let Some((base, active)) = segments.last_key_value() {
        log.next_offset = active.next_offset;
        log.log_end = active.next_offset;
        log.log_end_at = (*base, active.bytes);
        let summary = active.index.as_ref().map_or(log.settled.summary, SegmentIndex::summary);
        log.settled = Settled { offset: active.next_offset, segment_base: *base, position: active.bytes, summary };
    }
    log.segments = segments;
    log.directory = found.name.clone();
    log.configured = false;
    log.life = Life::Ready;
    log.log_start = state.log_start;
    // A file may be there whose name was never synced.
    log.names_dirty = true;
    log.journaled = log.log_end;
    log.journal_from = log.log_end;
    log.durable = Durable::proven(log.log_end);
    log.epoch = epochs.latest().unwrap_or(LeaderEpoch::NONE);
    log.epochs = epochs;
    log.producers = producers;
    log.state_counter = state.counter;
    log.caches_stale = caches_stale;
    log
}

/// What stands for a manifest that is lost: any segment may have holes, and later manifests go on saying so until it is cleaned again.
fn manifest_of_any(log: &PartitionLog) -> Manifest {
    let sealed = log.segments.values().filter(|segment| segment.stage == Stage::Sealed && !segment.unsound);
    let cleaned = sealed.map(|segment| {
        let Segment { base, next_offset: end, bytes: length, chain, .. } = *segment;
        (base, CleanedSegment { end, length, generation: 1, chain })
    });
    Manifest { generation: 1, cleaned_to: Offset::ZERO, segments: cleaned.collect() }
}

/// Record a state, synced.
pub(super) fn record(disk: &mut dyn Disk, renewed: &Renewed) -> Result<(), IoError> {
    let path = format!("{}/{STATE_FILE_NAME}", renewed.directory);
    if let Some(step) = &renewed.step {
        disk.write(&path, step.at, &step.bytes)?;
    }
    disk.write(&path, renewed.state.copy_offset(), &renewed.state.encode())?;
    disk.sync(&path)
}
