//! One partition's log recovered: left as it is up to D, continued from the journal, then from what its files still hold.
//!
//! Invariants: nothing before D is changed, whatever is wrong with it; everything kept past D is written again and synced before
//! a later D is recorded; doing it again, with the same journals, gives the same log.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::{format, string::String, vec::Vec};
use bytes::Bytes;

use super::directory::Directory;
use super::journals::Located;
use super::reader::SegmentReader;
use super::tail::TailWriter;
use super::{Damage, RecoveryReport, RecoverySettings};
use crate::batch::{BATCH_OVERHEAD_BYTES, BatchHeader};
use crate::epoch::LeaderEpochs;
use crate::io::{Disk, IoError};
use crate::journal::JournalPosition;
use crate::mutants::{self, Mutant};
use crate::partition::{Life, PartitionLog, Wants};
use crate::producer::{ProducerSnapshot, ProducerStates, SnapshotStamp};
use crate::segment::index::SegmentIndex;
use crate::segment::sidecar::{self, Footer};
use crate::segment::{Segment, cache_files, file_name};
use crate::state::{DurablePoint, PartitionState, STATE_FILE_NAME};
use crate::store::{Durability, Durable, LogConfig};
use crate::{LeaderEpoch, Now, Offset, Timestamp};

/// What every partition's recovery is told.
pub(super) struct Context<'a> {
    pub(super) settings: &'a RecoverySettings,
    pub(super) clean: bool,
    /// The generation of the run that is about to start.
    pub(super) generation: u64,
    pub(super) now: Now,
}

/// What became of a partition.
pub(super) enum Outcome {
    /// Its log; and its state, if a new D must be recorded.
    Log(PartitionLog, Option<PartitionState>),
    /// Damaged before D: offline, nothing touched, its journal entries still wanted.
    Offline(PartitionLog),
}

/// The log up to D.
struct Base {
    sealed: Vec<Segment>,
    /// Of D's segment.
    index: SegmentIndex,
    first_timestamp: Option<Timestamp>,
    /// The active segment's caches are on disk as they should be.
    caches_good: bool,
}

/// Recover a partition.
pub(super) fn recover(
    disk: &mut dyn Disk,
    context: &Context<'_>,
    found: &Directory,
    entries: &[Located],
    report: &mut RecoveryReport,
) -> Result<Outcome, IoError> {
    // A clean stop recorded the last D. Where that copy may be the one that is gone, the log goes on behind the D that is left.
    let context = &Context { clean: context.clean && found.state_is_whole, ..*context };
    let state = starting_state(disk, found, report)?;
    let mut epochs = read_epochs(disk, found, &state)?;
    if !context.clean {
        sync_doubtful(disk, found, &state)?;
    }
    let base = match read_base(disk, context, found, &state)? {
        Ok(base) => base,
        Err(damage) => {
            report.offline.push((found.identity, damage));
            return Ok(Outcome::Offline(offline(context, found, &state, epochs)));
        }
    };
    let mut first_timestamp = base.first_timestamp;
    epochs.truncate_from_end(state.point.offset);
    let mut caches_good = base.caches_good;
    let mut writer = TailWriter::new(context, found, &state, base.sealed, base.index, epochs);
    if !context.clean {
        writer.replay(disk, entries, report)?;
        writer.keep_tail(disk, report)?;
    }
    writer.cut(disk, report)?;
    let changed = writer.finish(disk)?;
    caches_good &= !changed;
    let TailWriter { mut sealed, mut epochs, segment_base, position, end, index, made, .. } = writer;
    epochs.truncate_from_end(end);
    epochs.truncate_from_start(state.log_start);
    let mut active = Segment::found(segment_base, end, position, index.max_timestamp);
    active.made = made;
    active.activate(index);
    if first_timestamp.is_none() && position > 0 {
        let mut reader = SegmentReader::new(path(found, segment_base, "log"), position);
        first_timestamp = reader.header(disk, 0)?.map(|header| header.max_timestamp);
    }
    active.first_timestamp = first_timestamp.filter(|_| position > 0);
    sealed.push(active);
    let segments: BTreeMap<Offset, Segment> = sealed.into_iter().map(|segment| (segment.base, segment)).collect();
    let (producers, snapshots) = read_producers(disk, context, found, &epochs, &segments, end)?;
    let mut log = assemble(found, &state, epochs, producers, segments, !caches_good);
    log.snapshots = snapshots;
    let renewed = !context.clean && (changed || !entries.is_empty() || found.state.is_none());
    let point = if renewed { renewed_point(context, &log) } else { DurablePoint { offset: end, ..state.point } };
    log.point = point;
    let state = renewed.then(|| log.next_state(point, Wants::default()));
    Ok(Outcome::Log(log, state))
}

/// The state to recover from: the one on disk, or what the segments say if both copies are bad.
fn starting_state(disk: &mut dyn Disk, found: &Directory, report: &mut RecoveryReport) -> Result<PartitionState, IoError> {
    let mut state = match &found.state {
        Some(state) => state.clone(),
        None => {
            report.states_rebuilt.push(found.identity);
            rebuilt_state(disk, found)?
        }
    };
    if found.state.is_some() && found.has_lost_copy {
        report.states_fallen_back.push(found.identity);
        start_with_first_segment(found, &mut state);
    }
    let holds_point = found.logs.iter().any(|(base, _)| *base == state.point.segment_base);
    if !holds_point && state.log_start >= state.point.offset {
        // All before D was deleted, its segment with it: the log goes on with a new one.
        state.point.segment_base = state.point.offset;
        state.point.segment_bytes = 0;
    }
    Ok(state)
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
fn sync_doubtful(disk: &mut dyn Disk, found: &Directory, state: &PartitionState) -> Result<(), IoError> {
    // The process may have died while it made the partition: what is there was perhaps never synced.
    for name in &found.small_files {
        disk.sync(&format!("{}/{name}", found.name))?;
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

/// The log of a partition that is left as it was found.
fn offline(context: &Context<'_>, found: &Directory, state: &PartitionState, epochs: LeaderEpochs) -> PartitionLog {
    let mut log = assemble(found, state, epochs, ProducerStates::new(), BTreeMap::new(), false);
    log.offline = true;
    log.segments.insert(Offset::ZERO, Segment::new(Offset::ZERO, context.settings.index_interval_bytes));
    log
}

fn renewed_point(context: &Context<'_>, log: &PartitionLog) -> DurablePoint {
    log.current_point(JournalPosition { generation: context.generation, sequence: 0 })
}

pub(super) fn path(found: &Directory, base: Offset, suffix: &str) -> String {
    format!("{}/{}", found.name, file_name(base, suffix))
}

/// Both copies of the state are bad: the log starts with its first segment, and D is the end of the last segment whose sidecar
/// holds.
fn rebuilt_state(disk: &mut dyn Disk, found: &Directory) -> Result<PartitionState, IoError> {
    let first = found.logs.first().map_or(Offset::ZERO, |(base, _)| *base);
    let mut point = DurablePoint { segment_base: first, offset: first, ..DurablePoint::of_empty_log(JournalPosition::default()) };
    let mut epochs = LeaderEpochs::default();
    for (base, length) in &found.logs {
        let footer = read_footer(disk, found, *base)?.filter(|footer| footer.base == *base && footer.length == *length);
        let Some(footer) = footer.filter(|_| *base == point.offset) else { break };
        note_epochs(disk, found, *base, *length, &mut epochs)?;
        point = DurablePoint { offset: footer.next_offset, segment_base: *base, segment_bytes: *length, ..point };
    }
    Ok(PartitionState {
        counter: 0,
        partition: found.identity,
        topic_name: found.topic_name.clone(),
        removed: false,
        durability: Durability::Journaled,
        point,
        log_start: first,
        epochs: PartitionState::newest(&epochs),
    })
}

/// Which epochs wrote a segment's batches.
fn note_epochs(
    disk: &mut dyn Disk,
    found: &Directory,
    base: Offset,
    length: u64,
    epochs: &mut LeaderEpochs,
) -> Result<(), IoError> {
    let mut reader = SegmentReader::new(path(found, base, "log"), length);
    let mut position = 0;
    while let Some(header) = reader.header(disk, position)? {
        epochs.assign(header.partition_leader_epoch, header.base_offset);
        position += header.total_bytes() as u64;
    }
    Ok(())
}

fn read_footer(disk: &mut dyn Disk, found: &Directory, base: Offset) -> Result<Option<Footer>, IoError> {
    match disk.read(&path(found, base, "checks"), 0, sidecar::HEADER_BYTES) {
        Ok(bytes) => Ok(Footer::parse(&bytes)),
        Err(IoError::NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The state's epochs, and before them what only Kafka's checkpoint still has.
fn read_epochs(disk: &mut dyn Disk, found: &Directory, state: &PartitionState) -> Result<LeaderEpochs, IoError> {
    let newest = state.leader_epochs();
    let text = match disk.read(&format!("{}/{}", found.name, LeaderEpochs::FILE_NAME), 0, 1 << 20) {
        Ok(bytes) => bytes,
        Err(IoError::NOT_FOUND) => Bytes::new(),
        Err(error) => return Err(error),
    };
    let checkpoint = core::str::from_utf8(&text).ok().and_then(|text| LeaderEpochs::decode(text).ok()).unwrap_or_default();
    let first = newest.entries().first().copied();
    let mut epochs = LeaderEpochs::default();
    let older = checkpoint
        .entries()
        .iter()
        .filter(|entry| first.is_none_or(|first| entry.epoch < first.epoch && entry.start_offset < first.start_offset));
    for entry in older.chain(newest.entries()) {
        epochs.assign(entry.epoch, entry.start_offset);
    }
    Ok(epochs)
}

/// Read the log up to D, unless something of it is missing or damaged.
fn read_base(
    disk: &mut dyn Disk,
    context: &Context<'_>,
    found: &Directory,
    state: &PartitionState,
) -> Result<Result<Base, Damage>, IoError> {
    let point = state.point;
    let before: Vec<(Offset, u64)> = found.logs.iter().copied().filter(|(base, _)| *base < point.segment_base).collect();
    let mut sealed: Vec<Segment> = Vec::new();
    for (number, (base, length)) in before.iter().enumerate() {
        let next = before.get(number + 1).map_or(point.segment_base, |(base, _)| *base);
        if next <= state.log_start {
            // Removed before, and its name has come back.
            continue;
        }
        match read_sealed(disk, context, found, *base, *length, next)? {
            Ok(segment) => sealed.push(segment),
            Err(damage) => return Ok(Err(damage)),
        }
    }
    let first = sealed.first().map_or(point.segment_base, |segment| segment.base);
    if first > state.log_start {
        return Ok(Err(Damage::Missing { segment: state.log_start }));
    }
    let length = found.logs.iter().find(|(base, _)| *base == point.segment_base).map(|(_, length)| *length);
    let mut index = SegmentIndex::new(point.segment_base, context.settings.index_interval_bytes);
    if point.segment_bytes == 0 {
        return Ok(Ok(Base { sealed, index, first_timestamp: None, caches_good: false }));
    }
    match length {
        None => return Ok(Err(Damage::Missing { segment: point.segment_base })),
        Some(length) if length < point.segment_bytes => {
            return Ok(Err(Damage::Bytes { segment: point.segment_base, position: length }));
        }
        Some(_) => {}
    }
    if context.clean
        && let Some(cached) = read_index(disk, context, found, point.segment_base, point.segment_bytes)?
    {
        return Ok(Ok(Base { sealed, index: cached, first_timestamp: None, caches_good: true }));
    }
    let mut reader = SegmentReader::new(path(found, point.segment_base, "log"), point.segment_bytes);
    let mut first_timestamp = None;
    let mut position = 0;
    let mut end = point.segment_base;
    while position < point.segment_bytes {
        let Some((header, _)) = reader.batch(disk, position)?.filter(|(header, _)| header.base_offset == end) else {
            return Ok(Err(Damage::Bytes { segment: point.segment_base, position }));
        };
        index.note(&header, position);
        first_timestamp.get_or_insert(header.max_timestamp);
        position += header.total_bytes() as u64;
        end = header.next_offset();
    }
    let whole = position == point.segment_bytes && end == point.offset;
    let base = Base { sealed, index, first_timestamp, caches_good: false };
    Ok(if whole { Ok(base) } else { Err(Damage::Bytes { segment: point.segment_base, position }) })
}

fn read_index(
    disk: &mut dyn Disk,
    context: &Context<'_>,
    found: &Directory,
    base: Offset,
    length: u64,
) -> Result<Option<SegmentIndex>, IoError> {
    let bytes = match disk.read(&path(found, base, "checks"), 0, 256 << 20) {
        Ok(bytes) => bytes,
        Err(IoError::NOT_FOUND) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(sidecar::decode(&bytes, base, length, context.settings.index_interval_bytes).map(|(_, index)| index))
}

/// A segment wholly before D: by its sidecar, or batch by batch.
fn read_sealed(
    disk: &mut dyn Disk,
    context: &Context<'_>,
    found: &Directory,
    base: Offset,
    length: u64,
    next: Offset,
) -> Result<Result<Segment, Damage>, IoError> {
    let sparse = found.is_sparse(base);
    let footer = read_footer(disk, found, base)?;
    if let Some(footer) = footer.filter(|footer| footer.base == base && footer.length == length && footer.next_offset == next) {
        return Ok(Ok(Segment::found(base, next, length, footer.max_timestamp).with_holes(sparse)));
    }
    let mut reader = SegmentReader::new(path(found, base, "log"), length);
    let mut index = SegmentIndex::new(base, context.settings.index_interval_bytes);
    let mut position = 0;
    let mut end = base;
    while end < next {
        // Compaction leaves holes, but none behind the last batch.
        let follows = |header: &BatchHeader| header.base_offset == end || (sparse && header.base_offset > end);
        let Some((header, _)) = reader.batch(disk, position)?.filter(|(header, _)| follows(header)) else {
            return Ok(Err(Damage::Bytes { segment: base, position }));
        };
        index.note(&header, position);
        position += header.total_bytes() as u64;
        end = header.next_offset();
    }
    index.seal();
    for (suffix, content) in cache_files(&index, position, end) {
        rewrite(disk, &path(found, base, suffix), &content)?;
    }
    let whole = end == next;
    let segment = Segment::found(base, next, position, index.max_timestamp).with_holes(sparse);
    Ok(if whole { Ok(segment) } else { Err(Damage::Bytes { segment: base, position }) })
}

/// Write a cache anew.
pub(super) fn rewrite(disk: &mut dyn Disk, path: &str, content: &[u8]) -> Result<(), IoError> {
    disk.write(path, 0, content)?;
    disk.truncate(path, content.len() as u64)
}

/// The producers: from the newest snapshot that agrees with the log, and the batches since.
fn read_producers(
    disk: &mut dyn Disk,
    context: &Context<'_>,
    found: &Directory,
    epochs: &LeaderEpochs,
    segments: &BTreeMap<Offset, Segment>,
    end: Offset,
) -> Result<(ProducerStates, VecDeque<Offset>), IoError> {
    let mut snapshots: Vec<Offset> = found.snapshots.clone();
    snapshots.sort_unstable();
    let mut producers = ProducerStates::new();
    let mut from = segments.keys().next().copied().unwrap_or(Offset::ZERO);
    for offset in snapshots.iter().rev() {
        let name = format!("{}/{}", found.name, ProducerSnapshot::file_name(*offset));
        let decoded = if *offset <= end && *offset >= from {
            let bytes = disk.read(&name, 0, 256 << 20)?;
            ProducerSnapshot::decode(&bytes).ok()
        } else {
            None
        };
        let agrees = |stamp: SnapshotStamp| stamp.offset == *offset && (stamp.agrees_with(epochs) || mutants::is(Mutant::B44));
        let usable = decoded.filter(|snapshot| snapshot.stamp.is_some_and(agrees));
        if let Some(snapshot) = usable {
            producers = snapshot.states;
            from = *offset;
            break;
        }
    }
    let mut kept: VecDeque<Offset> = snapshots.iter().copied().filter(|offset| *offset <= end).collect();
    for offset in snapshots.iter().filter(|offset| **offset > end && !mutants::is(Mutant::B44)) {
        disk.unlink(&format!("{}/{}", found.name, ProducerSnapshot::file_name(*offset)))?;
    }
    kept.make_contiguous();
    for segment in segments.values().filter(|segment| segment.next_offset > from && segment.bytes > 0) {
        let mut reader = SegmentReader::new(path(found, segment.base, "log"), segment.bytes);
        let mut position = 0;
        while position + BATCH_OVERHEAD_BYTES as u64 <= segment.bytes {
            let Some(header) = reader.header(disk, position)? else { break };
            if header.base_offset >= from {
                producers.record(&header, context.now.wall);
            }
            position += header.total_bytes() as u64;
        }
    }
    if mutants::is(Mutant::B11) {
        producers = ProducerStates::new();
    }
    Ok((producers, kept))
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
    log.manifest = found.manifest.clone();
    log
}

/// Record a state, synced.
pub(super) fn record(disk: &mut dyn Disk, directory: &str, state: &PartitionState) -> Result<(), IoError> {
    let path = format!("{directory}/{STATE_FILE_NAME}");
    disk.write(&path, state.copy_offset(), &state.encode())?;
    disk.sync(&path)
}
