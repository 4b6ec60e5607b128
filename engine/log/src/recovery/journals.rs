//! Every journal on disk, of whatever number of shards, as entries in the order in which they happened.
//!
//! Only where the entries lie is kept, not their bytes. Reading goes on behind a frame that is missing or bad. Below the highest mark
//! through which a later frame says all had completed that is corruption, and reported. Above it the frame was never acknowledged
//! or has rotted since, which nothing tells apart; whatever was in flight beside it and is whole counts, and costs nobody anything.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::{format, string::String, vec::Vec};
use bytes::Bytes;

use super::RecoveryReport;
use crate::io::{BLOCK_BYTES, Disk, IoError};
use crate::journal::{FileHeader, Frame, FrameBuilder, JOURNAL_DIRECTORY, JournalFileName, JournalId, JournalPosition};
use crate::mutants::{self, Mutant};
use crate::{LeaderEpoch, Offset, ShardId, TopicPartition};

/// Where damaged and unclaimed things are kept.
pub(super) const QUARANTINE_DIRECTORY: &str = "quarantine";
/// The id of frames in quarantine: they have left their journal for good.
const QUARANTINE_ID: JournalId = *b"flumenQuarantine";
const QUARANTINE_PREFIX: &str = "entries-";
const QUARANTINE_SUFFIX: &str = ".frames";
/// Bytes looked through at once.
const CHUNK_BYTES: usize = 1 << 20;

/// A journal entry, and where its batches are.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) partition: TopicPartition,
    pub(super) position: JournalPosition,
    pub(super) epoch: LeaderEpoch,
    pub(super) segment_base: Offset,
    pub(super) base_offset: Offset,
    path: Arc<str>,
    at: u64,
    bytes: u32,
    /// Of the batches when they were found, as part of a frame that was whole.
    checksum: u32,
    /// Its number in the frame.
    index: u32,
    /// A frame before it is missing that was perhaps never written: then so was this one, as far as anybody was told.
    pub(super) doubtful: bool,
    /// It was in quarantine: when it was found in its journal, its log could not take it.
    pub(super) quarantined: bool,
}

impl Located {
    /// Read the batches.
    pub(super) fn batches(&self, disk: &mut dyn Disk) -> Result<Bytes, IoError> {
        let bytes = disk.read(&self.path, self.at, self.bytes as usize)?;
        // A disk that now gives other bytes cannot be relied on.
        if crc32c::crc32c(&bytes) == self.checksum { Ok(bytes) } else { Err(IoError::INPUT_OUTPUT) }
    }
}

/// A journal file.
#[derive(Clone, Debug)]
pub(super) struct FileFound {
    pub(super) name: JournalFileName,
    pub(super) length: u64,
}

/// What the journals hold.
#[derive(Debug, Default)]
pub(super) struct Journals {
    pub(super) files: Vec<FileFound>,
    /// By partition, in order.
    pub(super) entries: BTreeMap<TopicPartition, Vec<Located>>,
    /// The highest generation of any file or quarantined frame.
    pub(super) generation: u64,
    quarantine_files: Vec<String>,
}

/// The frames of one journal of one start.
#[derive(Default)]
struct Run {
    frames: Vec<FoundFrame>,
    /// Frames of a lower sequence are not needed, and may be half written over. `None` where no header is left to say it.
    dead_below: Option<u64>,
}

struct FoundFrame {
    position: JournalPosition,
    completed_through: u64,
    entries: Vec<Located>,
}

/// Find the files, and unless every shard stopped cleanly, what is in them. What was quarantined is offered again in any case.
pub(super) fn read(disk: &mut dyn Disk, shards: u16, clean: bool, report: &mut RecoveryReport) -> Result<Journals, IoError> {
    let mut journals = Journals::default();
    read_quarantine(disk, &mut journals)?;
    for entry in list_or_empty(disk, JOURNAL_DIRECTORY)? {
        if let Some(name) = JournalFileName::parse(&entry.name) {
            journals.files.push(FileFound { name, length: entry.length });
        }
    }
    let (readable, generation) = readable_files(disk, &journals.files)?;
    journals.generation = journals.generation.max(generation);
    if !clean {
        let mut runs: BTreeMap<(ShardId, JournalId), Run> = BTreeMap::new();
        for Readable { file, id, dead_below } in readable {
            if mutants::is(Mutant::B36) && file.name.shard.0 >= shards {
                continue;
            }
            let run = runs.entry((file.name.shard, id)).or_default();
            run.dead_below = run.dead_below.max(dead_below);
            run.frames.extend(read_frames(disk, &file.name.path(), file.length, BLOCK_BYTES as u64, &id, true)?);
        }
        for run in runs.into_values() {
            for entry in entries_of(run, report) {
                journals.entries.entry(entry.partition).or_default().push(entry);
            }
        }
    }
    for entries in journals.entries.values_mut() {
        entries.sort_by_key(|entry| (entry.position, entry.index));
    }
    Ok(journals)
}

pub(super) fn list_or_empty(disk: &mut dyn Disk, path: &str) -> Result<Vec<crate::io::DirectoryEntry>, IoError> {
    match disk.list(path) {
        Err(IoError::NOT_FOUND) => Ok(Vec::new()),
        other => other,
    }
}

/// A file that can be read, and under which id.
struct Readable {
    file: FileFound,
    id: JournalId,
    /// What its own header says; one that is bad says nothing.
    dead_below: Option<u64>,
}

/// The files of the last start, and its generation: files of earlier ones are given to the next only when all that they hold was
/// replayed. A file whose own header is bad is read as the others are, and where all are bad by what its frames say of themselves.
fn readable_files(disk: &mut dyn Disk, files: &[FileFound]) -> Result<(Vec<Readable>, u64), IoError> {
    let mut headers = Vec::new();
    for file in files {
        let block = disk.read(&file.name.path(), 0, BLOCK_BYTES)?;
        headers.push((file, file.name.read_header(&block)));
    }
    let mut newest = headers.iter().filter_map(|(_, header)| header.map(|header| (header.generation, header.id))).max();
    if newest.is_none() {
        for file in files {
            newest = newest.max(latest_frame(disk, file)?);
        }
    }
    let Some((generation, id)) = newest else { return Ok((Vec::new(), 0)) };
    let counts = |header: &Option<FileHeader>| header.is_none_or(|header| header.generation == generation);
    let readable = headers.into_iter().filter(|(_, header)| counts(header)).map(|(file, header)| Readable {
        file: file.clone(),
        id: header.map_or(id, |header| header.id),
        dead_below: header.map(|header| header.dead_below),
    });
    Ok((readable.collect(), generation))
}

/// Generation and id of the latest frame in a file.
fn latest_frame(disk: &mut dyn Disk, file: &FileFound) -> Result<Option<(u64, JournalId)>, IoError> {
    let path = file.name.path();
    let mut ids = BTreeSet::new();
    let mut at = BLOCK_BYTES as u64;
    while at + BLOCK_BYTES as u64 <= file.length {
        let chunk = disk.read(&path, at, CHUNK_BYTES)?;
        ids.extend(chunk.chunks(BLOCK_BYTES).filter_map(Frame::id_hint));
        at += CHUNK_BYTES as u64;
    }
    let mut latest = None;
    for id in ids {
        let frames = read_frames(disk, &path, file.length, BLOCK_BYTES as u64, &id, true)?;
        latest = latest.max(frames.iter().map(|frame| (frame.position.generation, id)).max());
    }
    Ok(latest)
}

/// The frames of a file. In a ring's file (`one_round`) those behind the highest position are an older round's, and left out.
fn read_frames(
    disk: &mut dyn Disk,
    path: &str,
    length: u64,
    from: u64,
    id: &JournalId,
    one_round: bool,
) -> Result<Vec<FoundFrame>, IoError> {
    let mut frames = Vec::new();
    let shared_path: Arc<str> = path.into();
    let mut chunk = (0, Bytes::new());
    let mut at = from;
    while at + BLOCK_BYTES as u64 <= length {
        let block_in_chunk = usize::try_from(at - chunk.0).ok().and_then(|skip| chunk.1.get(skip..skip + BLOCK_BYTES));
        let Some(block) = block_in_chunk else {
            chunk = (at, disk.read(path, at, CHUNK_BYTES)?);
            if chunk.1.len() < BLOCK_BYTES {
                break;
            }
            continue;
        };
        let Some(frame_bytes) = Frame::length_hint(block, id) else {
            at += BLOCK_BYTES as u64;
            continue;
        };
        let bytes = disk.read(path, at, frame_bytes)?;
        let Some(frame) = Frame::parse(&bytes, id) else {
            at += BLOCK_BYTES as u64;
            continue;
        };
        let (position, completed_through) = (frame.position, frame.completed_through);
        let entries = (0..).zip(frame.entries).map(|(index, entry)| Located {
            partition: entry.partition,
            position,
            epoch: entry.epoch,
            segment_base: entry.segment_base,
            base_offset: entry.base_offset,
            path: Arc::clone(&shared_path),
            at: at + entry.at as u64,
            bytes: u32::try_from(entry.batches.len()).unwrap_or(u32::MAX),
            checksum: crc32c::crc32c(&entry.batches),
            index,
            doubtful: false,
            quarantined: !one_round,
        });
        frames.push(FoundFrame { position, completed_through, entries: entries.collect() });
        at += frame.padded_bytes as u64;
    }
    if one_round
        && !mutants::is(Mutant::B34)
        && let Some(highest) = frames.iter().map(|frame| frame.position).max()
    {
        let last = frames.iter().position(|frame| frame.position == highest).unwrap_or_default();
        frames.truncate(last + 1);
    }
    Ok(frames)
}

/// The entries of one run's journal.
fn entries_of(run: Run, report: &mut RecoveryReport) -> Vec<Located> {
    let Run { mut frames, dead_below } = run;
    frames.retain(|frame| frame.position.sequence >= dead_below.unwrap_or(0) || mutants::is(Mutant::B34));
    frames.sort_by_key(|frame| frame.position);
    let completed = frames.iter().map(|frame| frame.completed_through).max().unwrap_or_default();
    // Where no header is left to say it, nothing tells what was before the first frame but a later one.
    let first = frames.first().map_or(0, |frame| frame.position.sequence);
    let (mut expected, mut doubtful) = (dead_below.unwrap_or_else(|| first.min(completed)), false);
    let mut entries = Vec::new();
    for frame in frames {
        let sequence = frame.position.sequence;
        if sequence > expected {
            if mutants::is(Mutant::B40) {
                break;
            }
            report.corrupt_frames += sequence.min(completed).saturating_sub(expected);
            doubtful |= sequence > completed;
        }
        expected = sequence + 1;
        report.frames += 1;
        entries.extend(frame.entries.into_iter().map(|entry| Located { doubtful, ..entry }));
    }
    entries
}

fn read_quarantine(disk: &mut dyn Disk, journals: &mut Journals) -> Result<(), IoError> {
    for entry in list_or_empty(disk, QUARANTINE_DIRECTORY)? {
        if !entry.name.ends_with(QUARANTINE_SUFFIX) {
            continue;
        }
        let path = format!("{QUARANTINE_DIRECTORY}/{}", entry.name);
        // The file of this start gets another name: what it holds is read from this one.
        let generation =
            entry.name.strip_prefix(QUARANTINE_PREFIX).and_then(|name| name.strip_suffix(QUARANTINE_SUFFIX)?.parse().ok());
        journals.generation = journals.generation.max(generation.unwrap_or_default());
        for frame in read_frames(disk, &path, entry.length, 0, &QUARANTINE_ID, false)? {
            journals.generation = journals.generation.max(frame.position.generation);
            for entry in frame.entries {
                journals.entries.entry(entry.partition).or_default().push(entry);
            }
        }
        journals.quarantine_files.push(path);
    }
    Ok(())
}

impl Journals {
    /// Keep what nobody claimed, to be offered again at the next start, and what is left of logs that do not go on with it. Synced before
    /// it returns.
    pub(super) fn quarantine_unclaimed(
        &self,
        disk: &mut dyn Disk,
        unclaimed: &[TopicPartition],
        left: &[Located],
        generation: u64,
    ) -> Result<u64, IoError> {
        let mut kept = 0;
        let mut at = 0;
        let path = format!("{QUARANTINE_DIRECTORY}/{QUARANTINE_PREFIX}{generation:020}{QUARANTINE_SUFFIX}");
        for entry in unclaimed.iter().filter_map(|partition| self.entries.get(partition)).flatten().chain(left) {
            let batches = entry.batches(disk)?;
            let mut frame = FrameBuilder::new(crate::io::AlignedBuffer::default());
            frame.put(entry.partition, entry.epoch, entry.segment_base, entry.base_offset, &[&batches]);
            let buffer = frame.finish(&QUARANTINE_ID, entry.position, 0);
            if kept == 0 {
                disk.create_directory(QUARANTINE_DIRECTORY)?;
                disk.write(&path, 0, &[])?;
                disk.truncate(&path, 0)?;
            }
            disk.write(&path, at, buffer.own())?;
            at += buffer.len() as u64;
            kept += 1;
        }
        if kept > 0 {
            disk.sync(&path)?;
            disk.sync_directory(QUARANTINE_DIRECTORY)?;
            disk.sync_directory("")?;
        }
        Ok(kept)
    }

    /// Remove the quarantine files that were read: what is still unclaimed was written again.
    pub(super) fn drop_old_quarantine(&self, disk: &mut dyn Disk, generation: u64) -> Result<(), IoError> {
        let current = format!("{generation:020}");
        for path in self.quarantine_files.iter().filter(|path| !path.contains(&current)) {
            disk.unlink(path)?;
        }
        Ok(())
    }

    /// Make every frame void, and keep the files that this run can use: those of its shards with the right size.
    pub(super) fn renew(
        &self,
        disk: &mut dyn Disk,
        shards: u16,
        file_bytes: u64,
        header: &FileHeader,
    ) -> Result<Vec<JournalFileName>, IoError> {
        disk.create_directory(JOURNAL_DIRECTORY)?;
        // All of them first: were some gone while others still count, their frames would be missed by who starts after a crash here.
        // One that has no room for a frame has none, and the disk perhaps none for its header.
        for file in self.files.iter().filter(|file| file.length > BLOCK_BYTES as u64) {
            let path = file.name.path();
            disk.write(&path, 0, &file.name.header(header))?;
            disk.sync(&path)?;
        }
        let mut usable = Vec::new();
        for file in &self.files {
            if file.name.shard.0 < shards && file.length == file_bytes {
                usable.push(file.name);
            } else {
                disk.unlink(&file.name.path())?;
            }
        }
        disk.sync_directory(JOURNAL_DIRECTORY)?;
        disk.sync_directory("")?;
        Ok(usable)
    }
}
