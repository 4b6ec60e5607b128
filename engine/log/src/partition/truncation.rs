//! A log on its way to ending earlier, as a follower's does that has what its leader has not (KIP-101).
//!
//! What must be known before anything is touched: where the batch begins that holds the offset, the index of what stays of its
//! segment, and the producers as they were there. All of it is read from the segment's file, from its start on, as Kafka does; the
//! newest snapshot from before tells the producers, and the batches since; where there is none the log is read from its own start.
//! Damage in the segment refuses the cut; in one before, its batches tell nothing of producers, as after recovery. Asks for one
//! operation at a time and is told what came of it; the store does the rest.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::batch::BatchHeader;
use crate::compaction::{Next, Source, SourceSegment};
use crate::epoch::LeaderEpochs;
use crate::io::{FileHandle, FileOperation, FilePath, IoError, OpenMode, Outcome};
use crate::partition::PartitionLog;
use crate::producer::{ProducerSnapshot, ProducerStates};
use crate::segment::index::{Mark, SegmentIndex};
use crate::{LeaderEpoch, Offset, Timestamp};

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;
/// More than a snapshot has.
const SNAPSHOT_BYTES_MAX: usize = 256 << 20;

/// Where the log will end.
#[derive(Debug)]
pub(crate) struct Cut {
    /// The offset behind the last batch that stays.
    pub(crate) offset: Offset,
    /// The segment it lies in, and where.
    pub(crate) segment_base: Offset,
    pub(crate) position: u64,
    /// Of the last batch that stays.
    pub(crate) epoch: Option<LeaderEpoch>,
    /// Of what stays of the segment.
    pub(crate) index: SegmentIndex,
    pub(crate) producers: ProducerStates,
}

/// How far it is.
#[derive(Debug)]
enum Stage {
    /// What is under way has to end first.
    Waiting,
    /// The snapshot of this offset is being read.
    Snapshot { at: Offset, path: FilePath, file: Option<(FileHandle, u64)>, content: Option<Bytes> },
    /// The segments are being read.
    Reading(Box<Reading>),
    /// The place is known, and on its way to the disk.
    Cutting(Cut),
    /// The files are being cut.
    Done,
}

#[derive(Debug)]
struct Reading {
    left: VecDeque<SourceSegment>,
    source: Option<Source>,
    position: u64,
    end: Offset,
    epoch: Option<LeaderEpoch>,
    index: SegmentIndex,
    /// What the segment's own index knows of chain values from here on: flipped bytes that no CRC covers must not get new ones.
    marks: VecDeque<Mark>,
    producers: ProducerStates,
    /// As they were where the segment begins.
    producers_before: ProducerStates,
    /// Those of batches before this offset are known.
    producers_from: Offset,
    /// Offsets may be missing in the segment.
    sparse: bool,
}

impl Reading {
    /// Begin with a segment.
    fn enter(&mut self, log: &PartitionLog, base: Offset) {
        self.index = SegmentIndex::new(base, log.config.index_interval_bytes);
        (self.position, self.end) = (0, base);
        self.producers_before = self.producers.clone();
        let segment = log.segments.get(&base);
        self.sparse = segment.is_some_and(|segment| segment.sparse);
        let known = segment.and_then(|segment| segment.index.as_ref());
        self.marks = known.into_iter().flat_map(|index| index.marks_after(0)).collect();
    }

    /// Take a batch. Whether it follows the one before, in its epoch, and is as the index knows it: no CRC covers that.
    fn take(&mut self, header: &BatchHeader, epochs: &LeaderEpochs, now: Timestamp) -> bool {
        let follows = self.sparse || header.base_offset == self.end;
        let epoch = epochs.epoch_for_offset(header.base_offset);
        if !follows || epoch.is_some_and(|epoch| epoch != header.partition_leader_epoch) {
            return false;
        }
        if let Some(mark) = self.marks.front()
            && mark.position <= self.position
        {
            if mark.position < self.position || mark.chain != self.index.chain || mark.offset != header.base_offset {
                return false;
            }
            self.marks.pop_front();
        }
        if header.base_offset >= self.producers_from {
            self.producers.record(header, now);
        }
        self.epoch = Some(header.partition_leader_epoch);
        self.index.note(header, self.position);
        self.position += header.total_bytes() as u64;
        self.end = header.next_offset();
        true
    }
}

/// One truncation.
#[derive(Debug)]
pub(crate) struct Truncation {
    offset: Offset,
    stage: Stage,
    /// Snapshots from before the cut that were not looked at yet.
    snapshots: Vec<Offset>,
    /// An operation is outstanding.
    asked: bool,
    failed: bool,
    /// The segment is read for the second time: what was read at first could not be used.
    read_again: bool,
    /// D is recorded where the log will end.
    recorded: bool,
    /// Open, and of no use any more.
    leftover: Option<FileHandle>,
}

/// What a step came to.
pub(crate) enum Step {
    /// This is to be done; [`Truncation::complete`] follows.
    Ask(FileOperation),
    /// The place is known.
    Found,
    /// Something in the way cannot be read, or is not what was written.
    Damaged,
}

impl Truncation {
    pub(crate) const fn to(offset: Offset) -> Self {
        Self {
            offset,
            stage: Stage::Waiting,
            snapshots: Vec::new(),
            asked: false,
            failed: false,
            read_again: false,
            recorded: false,
            leftover: None,
        }
    }

    pub(crate) const fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting)
    }

    /// Whether an operation of its own is outstanding.
    pub(crate) const fn is_asking(&self) -> bool {
        self.asked
    }

    /// Where the log will end, once that is known.
    pub(crate) const fn cut(&self) -> Option<&Cut> {
        if let Stage::Cutting(cut) = &self.stage { Some(cut) } else { None }
    }

    /// D is recorded.
    pub(crate) const fn note_recorded(&mut self) {
        self.recorded = true;
    }

    /// Whether the files are to follow.
    pub(crate) const fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// Where it was asked to end.
    pub(crate) const fn offset(&self) -> Offset {
        self.offset
    }

    /// Give the cut away: the files follow it now.
    pub(crate) fn take_cut(&mut self) -> Option<Cut> {
        match core::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Cutting(cut) => Some(cut),
            _ => None,
        }
    }

    /// A file that is open and not needed any more, to be closed; all of them, if this is given up.
    pub(crate) fn take_handle(&mut self, given_up: bool) -> Option<FileHandle> {
        let leftover = self.leftover.take();
        leftover.or_else(|| match &mut self.stage {
            Stage::Snapshot { file, .. } if given_up => file.take().map(|(file, _)| file),
            Stage::Reading(reading) if given_up => reading.source.as_mut().and_then(Source::close),
            _ => None,
        })
    }

    /// Nothing else is under way in the log.
    pub(crate) fn begin(&mut self, log: &PartitionLog) {
        // What was deleted behind an older one is not told by what is left.
        let first = log.segments.keys().next().copied().unwrap_or(Offset::ZERO);
        self.snapshots = log.snapshots.offsets().filter(|at| (first..=self.offset).contains(at)).collect();
        self.snapshots.sort_unstable();
        self.look_for_producers(log);
    }

    /// Look at the next snapshot, or read on without one.
    fn look_for_producers(&mut self, log: &PartitionLog) {
        self.stage = match self.snapshots.pop() {
            Some(at) => Stage::Snapshot { at, path: log.path(&ProducerSnapshot::file_name(at)), file: None, content: None },
            None => self.read_from(log, None),
        };
    }

    /// The segment in which the log will end.
    fn target(&self, log: &PartitionLog) -> Offset {
        let first = log.segments.keys().next().copied().unwrap_or(Offset::ZERO);
        log.segments.range(..self.offset).next_back().map_or(first, |(base, _)| *base)
    }

    /// Read the segment the log will end in, and those before it from which producers are not known yet.
    fn read_from(&self, log: &PartitionLog, known: Option<(Offset, ProducerStates)>) -> Stage {
        let target = self.target(log);
        let (producers_from, producers) = known.unwrap_or_else(|| (Offset(i64::MIN), ProducerStates::default()));
        let holds = log.segments.range(..=producers_from).next_back().map(|(base, _)| *base);
        let from = holds.unwrap_or(Offset(i64::MIN)).min(target);
        let segment = |(base, segment): (&Offset, &crate::segment::Segment)| SourceSegment {
            base: *base,
            next_offset: segment.next_offset,
            bytes: segment.bytes,
            chain: segment.index.as_ref().map_or(segment.chain, |index| index.chain),
        };
        let left: VecDeque<SourceSegment> = log.segments.range(from..=target).map(segment).collect();
        let first = left.front().map_or(target, |segment| segment.base);
        let mut reading = Reading {
            left,
            source: None,
            position: 0,
            end: first,
            epoch: None,
            index: SegmentIndex::new(first, log.config.index_interval_bytes),
            marks: VecDeque::new(),
            producers,
            producers_before: ProducerStates::default(),
            producers_from,
            sparse: false,
        };
        reading.enter(log, first);
        Stage::Reading(Box::new(reading))
    }

    /// Go on as far as that needs nothing.
    pub(crate) fn step(&mut self, log: &PartitionLog, now: Timestamp) -> Step {
        if let Stage::Snapshot { at, file, content, .. } = &mut self.stage
            && let Some(bytes) = content.take()
        {
            let at = *at;
            self.leftover = file.take().map(|(file, _)| file);
            match usable(&bytes, at, &log.epochs, log.log_start) {
                Some(states) => self.stage = self.read_from(log, Some((at, states))),
                None => self.look_for_producers(log),
            }
        }
        if let Stage::Snapshot { path, file, .. } = &self.stage {
            self.asked = true;
            return Step::Ask(match *file {
                None => FileOperation::Open { path: path.clone(), mode: OpenMode::Read },
                Some((file, length)) => {
                    let length = usize::try_from(length).unwrap_or(usize::MAX).min(SNAPSHOT_BYTES_MAX);
                    FileOperation::Read { file, offset: 0, length }
                }
            });
        }
        self.read_on(log, now)
    }

    fn read_on(&mut self, log: &PartitionLog, now: Timestamp) -> Step {
        let (target, offset) = (self.target(log), self.offset);
        let Stage::Reading(reading) = &mut self.stage else { return Step::Found };
        loop {
            let Some(place) = reading.left.front().copied() else { return Step::Damaged };
            let path = || log.segment_path(place.base, "log");
            let is_target = place.base == target;
            let source = reading.source.get_or_insert_with(|| Source::new(path(), place, READ_BYTES));
            let next = if core::mem::take(&mut self.failed) { Next::Damaged } else { source.next() };
            let is_end = matches!(next, Next::End);
            let ends = match next {
                Next::Ask(operation) => {
                    self.asked = true;
                    return Step::Ask(operation);
                }
                Next::Batch(header, _) if !is_target || header.next_offset() <= offset => {
                    !reading.take(&header, &log.epochs, now)
                }
                Next::Batch(..) | Next::End if is_target => return self.found(target),
                Next::Batch(..) | Next::End | Next::Damaged => true,
            };
            if ends {
                // The disk may have failed, or given something else, for this once.
                let again = !is_end && !core::mem::replace(&mut self.read_again, true);
                if again {
                    // What was taken up of it was perhaps never there.
                    reading.producers = core::mem::take(&mut reading.producers_before);
                } else if is_target {
                    return Step::Damaged;
                } else {
                    if !is_end {
                        // Nobody knows any more what the last of anybody was.
                        reading.producers = ProducerStates::default();
                    }
                    reading.left.pop_front();
                    self.read_again = false;
                }
                let next = reading.left.front().map_or(target, |segment| segment.base);
                reading.enter(log, next);
                if let Some(file) = reading.source.take().and_then(|mut source| source.close()) {
                    self.asked = true;
                    return Step::Ask(FileOperation::Close { file });
                }
            }
        }
    }

    fn found(&mut self, target: Offset) -> Step {
        let stage = core::mem::replace(&mut self.stage, Stage::Waiting);
        let Stage::Reading(mut reading) = stage else { return Step::Damaged };
        self.leftover = reading.source.as_mut().and_then(Source::close);
        let Reading { position, end, epoch, index, producers, .. } = *reading;
        self.stage = Stage::Cutting(Cut { offset: end, segment_base: target, position, epoch, index, producers });
        Step::Found
    }

    /// Take the end of the operation outstanding.
    pub(crate) fn complete(&mut self, result: Result<Outcome, IoError>) {
        self.asked = false;
        match (&mut self.stage, result) {
            (Stage::Snapshot { file, .. }, Ok(Outcome::Opened { file: opened, length })) => *file = Some((opened, length)),
            (Stage::Snapshot { content, .. }, Ok(Outcome::Read { data })) => *content = Some(data),
            // One that cannot be read is like one that is not there.
            (Stage::Snapshot { content, .. }, _) => *content = Some(Bytes::new()),
            (Stage::Reading(reading), Ok(outcome)) => {
                if let Some(source) = &mut reading.source {
                    self.failed |= !source.take(outcome);
                }
            }
            (Stage::Reading(_), Err(_)) => self.failed = true,
            (Stage::Waiting | Stage::Cutting(_) | Stage::Done, _) => {}
        }
    }
}

fn usable(bytes: &[u8], at: Offset, epochs: &LeaderEpochs, log_start: Offset) -> Option<ProducerStates> {
    let snapshot = ProducerSnapshot::decode(bytes).ok()?;
    let stamp = snapshot.stamp?;
    (stamp.offset == at && stamp.agrees_with(epochs, log_start)).then_some(snapshot.states)
}
