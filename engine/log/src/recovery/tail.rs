//! A log past D: what the journal says, then what the files still hold, written again batch by batch.

use alloc::collections::BTreeSet;
use alloc::{format, string::String, vec::Vec};
use bytes::Bytes;

use super::directory::Directory;
use super::journals::{Located, QUARANTINE_DIRECTORY, list_or_empty};
use super::partition::{Context, path, rewrite};
use super::reader::SegmentReader;
use super::{LogError, RecoveryReport, Tail};
use crate::batch::{BatchHeader, StoredRead, read_stored};
use crate::epoch::LeaderEpochs;
use crate::io::{Disk, IoError};
use crate::mutants::{self, Mutant};
use crate::segment::index::SegmentIndex;
use crate::segment::{Segment, cache_files};
use crate::state::PartitionState;
use crate::store::Durability;
use crate::{LeaderEpoch, Offset};

/// What the names of torn tails in quarantine end with.
const TAIL_SUFFIX: &str = ".tail";

/// Where the log has got to.
pub(super) struct TailWriter<'a> {
    context: &'a Context<'a>,
    found: &'a Directory,
    durability: Durability,
    log_start: Offset,
    /// D.
    durable: Offset,
    pub(super) sealed: Vec<Segment>,
    pub(super) epochs: LeaderEpochs,
    pub(super) segment_base: Offset,
    pub(super) position: u64,
    pub(super) end: Offset,
    pub(super) index: SegmentIndex,
    /// Whether the file of the segment exists.
    pub(super) made: bool,
    /// That of the last batch.
    pub(super) epoch: LeaderEpoch,
    /// The segment gets no checksums: see [`Segment::unsound`].
    pub(super) unsound: bool,
    reader: SegmentReader,
    touched: BTreeSet<String>,
    names_changed: bool,
    moved: bool,
}

/// What became of a journal entry.
enum Placed {
    Yes,
    /// Something before it is missing.
    Gap,
}

impl<'a> TailWriter<'a> {
    /// Continue at D.
    pub(super) fn new(
        context: &'a Context<'a>,
        found: &'a Directory,
        state: &PartitionState,
        sealed: Vec<Segment>,
        index: SegmentIndex,
        epochs: LeaderEpochs,
    ) -> Self {
        let point = state.point;
        let length = length_of(found, point.segment_base);
        Self {
            context,
            found,
            durability: state.durability,
            log_start: state.log_start,
            durable: point.offset,
            sealed,
            epochs,
            segment_base: point.segment_base,
            position: point.segment_bytes,
            end: point.offset,
            index,
            made: length.is_some(),
            epoch: point.epoch,
            unsound: false,
            reader: SegmentReader::new(path(found, point.segment_base, "log"), length.unwrap_or_default()),
            touched: BTreeSet::new(),
            names_changed: false,
            moved: false,
        }
    }

    /// D lies where it was recorded, whatever became of the file: what is missing before it reads as zeros and may be put back.
    pub(super) fn reach_point(&mut self, disk: &mut dyn Disk) -> Result<(), IoError> {
        if self.reader.length < self.position {
            let path = path(self.found, self.segment_base, "log");
            disk.write(&path, 0, &[])?;
            disk.truncate(&path, self.position)?;
            self.names_changed |= !self.made;
            self.made = true;
            self.touched.insert(path);
        }
        Ok(())
    }

    /// Put the journal's entries behind D, in order.
    pub(super) fn replay(
        &mut self,
        disk: &mut dyn Disk,
        entries: &[Located],
        report: &mut RecoveryReport,
    ) -> Result<(), LogError> {
        let position = self.found.state.as_ref().map(|state| state.point.position).unwrap_or_default();
        // From the first entry on that does not follow the log: what is to be kept aside.
        let mut aside: Option<(Offset, Vec<u8>)> = None;
        let counts = |entry: &Located| entry.position >= position || mutants::is(Mutant::B38);
        for (entry, below) in entries.iter().zip(self.bounds(entries)).filter(|(entry, _)| counts(entry)) {
            let batches = entry.batches(disk)?;
            if let Some((_, kept)) = &mut aside {
                if kept.len() as u64 <= self.context.settings.quarantine_bytes {
                    kept.extend_from_slice(&batches);
                }
            } else if let Placed::Gap = self.place(disk, entry, &batches, below, report)? {
                aside = Some((entry.base_offset, batches.to_vec()));
                // A topic outside the journal promised nothing; elsewhere this is possible loss, and said to be.
                if self.durability == Durability::Journaled && !entry.doubtful {
                    report.suspect_tails.push(self.found.identity);
                }
            }
        }
        if let Some((base, kept)) = aside {
            let of_bytes = kept.len() as u64;
            self.quarantine(disk, (base, 0), &Bytes::from(kept), of_bytes, report)?;
        }
        Ok(())
    }

    /// Up to where each entry counts. Without a state nothing tells where the log was cut, but that a later entry begins below the end
    /// of an earlier one.
    fn bounds(&self, entries: &[Located]) -> Vec<Offset> {
        let mut below = Offset(i64::MAX);
        let mut bounds = alloc::vec![below; entries.len()];
        if self.found.state.is_none() {
            for (bound, entry) in bounds.iter_mut().zip(entries).rev() {
                *bound = below;
                below = below.min(entry.base_offset);
            }
        }
        bounds
    }

    fn place(
        &mut self,
        disk: &mut dyn Disk,
        entry: &Located,
        batches: &Bytes,
        below: Offset,
        report: &mut RecoveryReport,
    ) -> Result<Placed, LogError> {
        let mut at = 0;
        while let StoredRead::Batch(batch) = read_stored(&batches[at..]) {
            let header = batch.header;
            if header.base_offset >= below {
                break;
            }
            let bytes = batches.slice(at..at + batch.bytes.len());
            at += batch.bytes.len();
            if header.last_offset() < self.end {
                continue;
            }
            while self.end < header.base_offset {
                let Some((found, bytes)) = self.next_in_files(disk)? else { return Ok(Placed::Gap) };
                report.kept_batches += 1;
                self.put(disk, &found, &bytes)?;
            }
            if header.base_offset != self.end {
                return Ok(Placed::Gap);
            }
            if entry.segment_base == self.end && self.segment_base != self.end && !mutants::is(Mutant::B45) {
                self.roll(disk)?;
            }
            report.replayed_batches += 1;
            self.put(disk, &header, &bytes)?;
        }
        Ok(Placed::Yes)
    }

    /// Keep what follows in the files, as far as it is whole, contiguous, and of no older epoch.
    pub(super) fn keep_tail(&mut self, disk: &mut dyn Disk, report: &mut RecoveryReport) -> Result<(), LogError> {
        while let Some((header, bytes)) = self.next_in_files(disk)? {
            report.kept_batches += 1;
            self.put(disk, &header, &bytes)?;
        }
        Ok(())
    }

    /// The batch that follows in the files; goes on to the next segment where this one ends.
    fn next_in_files(&mut self, disk: &mut dyn Disk) -> Result<Option<(BatchHeader, Bytes)>, LogError> {
        loop {
            let follows = |header: &BatchHeader| header.base_offset == self.end && header.partition_leader_epoch >= self.epoch;
            if let Some(batch) = self.reader.batch(disk, self.position)?.filter(|(header, _)| follows(header)) {
                return Ok(Some(batch));
            }
            if self.segment_base == self.end || length_of(self.found, self.end).is_none() {
                return Ok(None);
            }
            // Go on only if the next one has something: an empty one is not worth ending this one for.
            let mut next = SegmentReader::new(path(self.found, self.end, "log"), length_of(self.found, self.end).unwrap_or(0));
            let follows = |header: &BatchHeader| header.base_offset == self.end && header.partition_leader_epoch >= self.epoch;
            if !next.batch(disk, 0)?.is_some_and(|(header, _)| follows(&header)) {
                return Ok(None);
            }
            self.roll(disk)?;
        }
    }

    /// Write a batch where the log ends, even where it reads back equal, and whatever the durability: a failed sync leaves pages clean
    /// that were never on disk, and no later sync brings them there.
    fn put(&mut self, disk: &mut dyn Disk, header: &BatchHeader, bytes: &Bytes) -> Result<(), IoError> {
        let path = path(self.found, self.segment_base, "log");
        if mutants::is(Mutant::B43) && self.made && disk.read(&path, self.position, bytes.len())? == *bytes {
            self.touched.insert(path);
            self.note(header);
            return Ok(());
        }
        disk.write(&path, self.position, bytes)?;
        self.names_changed |= !self.made;
        self.made = true;
        self.touched.insert(path);
        self.note(header);
        Ok(())
    }

    fn note(&mut self, header: &BatchHeader) {
        self.moved = true;
        self.index.note(header, self.position);
        self.epochs.assign(header.partition_leader_epoch, header.base_offset);
        self.epoch = self.epoch.max(header.partition_leader_epoch);
        self.position += header.total_bytes() as u64;
        self.end = header.next_offset();
    }

    /// The segment is complete; the next one starts where the log ends.
    fn roll(&mut self, disk: &mut dyn Disk) -> Result<(), IoError> {
        let log = path(self.found, self.segment_base, "log");
        if self.made {
            disk.truncate(&log, self.position)?;
            self.touched.insert(log);
        }
        self.index.seal();
        if self.position > 0 {
            for (suffix, content) in cache_files(&self.index, self.position, self.end) {
                if suffix != "checks" || !self.unsound {
                    rewrite(disk, &path(self.found, self.segment_base, suffix), &content)?;
                }
            }
            let mut sealed =
                Segment::found(self.segment_base, self.end, self.position, self.index.max_timestamp, self.index.chain)
                    .with_holes(self.found.is_sparse(self.segment_base));
            sealed.first_timestamp = self.index.first_timestamp;
            sealed.unsound = core::mem::take(&mut self.unsound);
            if !sealed.unsound {
                // Once D lies in the next segment no trail vouches for this one: its checksums must be as stable as that D.
                self.touched.insert(path(self.found, self.segment_base, "checks"));
            }
            self.sealed.push(sealed);
        }
        self.segment_base = self.end;
        self.position = 0;
        self.index = SegmentIndex::new(self.end, self.context.settings.index_interval_bytes);
        let length = length_of(self.found, self.end);
        self.made = length.is_some();
        self.reader = SegmentReader::new(path(self.found, self.end, "log"), length.unwrap_or_default());
        Ok(())
    }

    /// Cut what lies behind the end, after a copy of it went to quarantine.
    pub(super) fn cut(&mut self, disk: &mut dyn Disk, report: &mut RecoveryReport) -> Result<(), LogError> {
        let found = self.found;
        for (base, length) in &found.logs {
            let log = path(found, *base, "log");
            if *base == self.segment_base && *length > self.position {
                self.quarantine_file(disk, *base, self.position, *length, report)?;
                disk.truncate(&log, self.position)?;
                self.touched.insert(log);
            } else if *base > self.segment_base {
                let was_sealed = self.sealed.iter().any(|segment| segment.base == *base);
                if !was_sealed {
                    self.quarantine_file(disk, *base, 0, *length, report)?;
                    self.unlink_segment(disk, *base)?;
                }
            } else if *base < self.segment_base && !self.sealed.iter().any(|segment| segment.base == *base) {
                // Wholly before the recorded start, or an empty one that was passed over.
                if *base < self.log_start || *length == 0 {
                    self.unlink_segment(disk, *base)?;
                }
            }
        }
        Ok(())
    }

    /// Where the log ends, its files end: what was cut off behind it may not come back under what is appended from now on.
    pub(super) fn settle_end(&mut self) {
        if self.made {
            self.touched.insert(path(self.found, self.segment_base, "log"));
        }
        self.names_changed = true;
    }

    fn unlink_segment(&mut self, disk: &mut dyn Disk, base: Offset) -> Result<(), IoError> {
        for suffix in crate::segment::SUFFIXES {
            disk.unlink(&path(self.found, base, suffix))?;
        }
        self.names_changed = true;
        Ok(())
    }

    /// Make it all stable. Whether anything was changed.
    pub(super) fn finish(&mut self, disk: &mut dyn Disk) -> Result<bool, IoError> {
        for path in &self.touched {
            disk.sync(path)?;
        }
        let changed = self.moved || self.names_changed || !self.touched.is_empty();
        if changed {
            disk.sync_directory(&self.found.name)?;
        }
        Ok(changed)
    }

    fn quarantine_file(
        &mut self,
        disk: &mut dyn Disk,
        base: Offset,
        from: u64,
        to: u64,
        report: &mut RecoveryReport,
    ) -> Result<(), LogError> {
        let limit = usize::try_from(self.context.settings.quarantine_bytes).unwrap_or(usize::MAX);
        let length = usize::try_from(to - from).unwrap_or(usize::MAX).min(limit);
        // What cannot be copied is not cut.
        let bytes = disk.read(&path(self.found, base, "log"), from, length).map_err(LogError::Unreadable)?;
        Ok(self.quarantine(disk, (base, from), &bytes, to - from, report)?)
    }

    /// Copy bytes that are about to be cut, as long as there is room in quarantine: the first of so many. Zeros are not worth it.
    fn quarantine(
        &mut self,
        disk: &mut dyn Disk,
        (base, position): (Offset, u64),
        bytes: &Bytes,
        of_bytes: u64,
        report: &mut RecoveryReport,
    ) -> Result<(), IoError> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let kept = list_or_empty(disk, QUARANTINE_DIRECTORY)?.into_iter().filter(|entry| entry.name.ends_with(TAIL_SUFFIX));
        let taken: u64 = kept.map(|entry| entry.length).sum();
        let room = self.context.settings.quarantine_bytes.saturating_sub(taken);
        let length = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        let (name, generation) = (&self.found.name, self.context.generation);
        let path = format!("{QUARANTINE_DIRECTORY}/{name}-{base}-{position}-{generation}{TAIL_SUFFIX}");
        if length > 0 {
            disk.create_directory(QUARANTINE_DIRECTORY)?;
            rewrite(disk, &path, &bytes[..length])?;
            disk.sync(&path)?;
            // It must be there, too, once the cut is.
            disk.sync_directory(QUARANTINE_DIRECTORY)?;
            disk.sync_directory("")?;
        }
        report.tails.push(Tail {
            partition: self.found.identity,
            end: self.end,
            epoch: self.epoch,
            durable: self.durable,
            bytes: of_bytes,
            quarantined_bytes: length as u64,
        });
        Ok(())
    }
}

fn length_of(found: &Directory, base: Offset) -> Option<u64> {
    found.logs.iter().find(|(candidate, _)| *candidate == base).map(|(_, length)| *length)
}
