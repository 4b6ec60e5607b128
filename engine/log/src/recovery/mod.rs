//! From what is on disk to what a store starts with.
//!
//! The order is what makes it safe to crash anywhere in between: read every journal, whatever the number of shards was; replay
//! into the segments; sync; record every new D; only then make the journals' frames void and delete what was waiting for that.
//! Nothing is ever deleted because something else is missing. Runs once, before the shards, through [`Disk`].

mod base;
mod directory;
mod journals;
mod partition;
mod reader;
mod swap;
mod tail;

use alloc::collections::BTreeSet;
use alloc::{format, string::String, vec::Vec};

use crate::io::{Disk, IoError};
use crate::journal::{FileHeader, JournalId, JournalSetup};
use crate::partition::PartitionLog;
use crate::state::{COPY_BYTES, STATE_FILE_NAME};
use crate::store::{CLEAN_MARK_PREFIX, CleanMark, ClockRecord, owner_of};
use crate::{LeaderEpoch, Now, Offset, ShardId, SteadyWall, Timestamp, TopicPartition};
use directory::{Directory, Found};
use journals::{Journals, Located};
use partition::{Context, Renewed};

/// What recovery is told from outside.
#[derive(Clone, Debug)]
pub struct RecoverySettings {
    /// Random, new for each start: frames written under another id are void.
    pub journal_id: JournalId,
    /// Journal files of another size are not used again.
    pub journal_file_bytes: u64,
    /// Most bytes of torn tails kept in `quarantine/`.
    pub quarantine_bytes: u64,
    /// Entries of rebuilt indexes are at least this far apart.
    pub index_interval_bytes: u32,
}

/// What one shard's store starts with. Opaque; handed to [`crate::store::Store::new`].
#[derive(Debug)]
pub struct ShardRecovery {
    pub(crate) journal: JournalSetup,
    pub(crate) partitions: Vec<PartitionLog>,
    /// Directories that look like a partition's and whose owner is not known: never to be written to.
    pub(crate) occupied: BTreeSet<String>,
    pub(crate) steady_wall: SteadyWall,
}

impl ShardRecovery {
    /// The wall clock as the last run believed it, which what deletes by age goes on from.
    #[must_use]
    pub const fn steady_wall(&self) -> SteadyWall {
        self.steady_wall
    }
}

/// What is wrong with a log before its durable point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// A segment that holds this offset is missing.
    Missing {
        /// The offset.
        segment: Offset,
    },
    /// No valid batch where one should be, or the file ends there.
    Bytes {
        /// The segment's base offset.
        segment: Offset,
        /// Where in its file.
        position: u64,
    },
}

/// Bytes that are no part of a log any more: torn by the crash, or entries of the journal that do not follow it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tail {
    /// Whose they were.
    pub partition: TopicPartition,
    /// Where the log ended without them.
    pub end: Offset,
    /// The epoch of its last batch.
    pub epoch: LeaderEpoch,
    /// Up to where it was known to be durable.
    pub durable: Offset,
    /// How many. Where all of them are zeros nothing is told.
    pub bytes: u64,
    /// So many of them were copied to `quarantine/`, the first ones.
    pub quarantined_bytes: u64,
}

/// What was found and done, for the log and for operators.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecoveryReport {
    /// Every shard of the last run had stopped cleanly.
    pub clean: bool,
    /// Partitions found.
    pub partitions: usize,
    /// Journal frames that count.
    pub frames: u64,
    /// Frames that had been written and are bad or missing now: corruption.
    pub corrupt_frames: u64,
    /// Batches written from the journal into segments.
    pub replayed_batches: u64,
    /// Batches past D that the journal does not have and the segments do.
    pub kept_batches: u64,
    /// What was cut off behind the ends of logs, or could not be put there.
    pub tails: Vec<Tail>,
    /// Journal entries that belong to no log that could take them; kept in quarantine, offered again at the next start.
    pub unclaimed_entries: u64,
    /// Damage before a durable point: nothing was cut, what is damaged is not served, everything else is.
    pub damaged: Vec<(TopicPartition, Damage)>,
    /// Bytes before durable points that had to be read because nothing vouched for them.
    pub scanned_bytes: u64,
    /// Partitions whose journal entries did not follow their log: something that was durable is missing. Possible loss.
    pub suspect_tails: Vec<TopicPartition>,
    /// Partitions of which both copies of the state were bad.
    pub states_rebuilt: Vec<TopicPartition>,
    /// Partitions of which it cannot be read any more what compaction did: holes in their logs are taken for its work.
    pub manifests_lost: Vec<TopicPartition>,
    /// Segments written by compaction that were not whole when they should have been put in place: the old ones stayed.
    pub cleanings_undone: u64,
    /// Partitions of which one copy of the state was bad, torn by the crash or damaged, and the other was used.
    pub states_fallen_back: Vec<TopicPartition>,
    /// Directories with segments that do not say whose they are; left alone.
    pub unknown_directories: Vec<String>,
    /// Directories of partitions of which something cannot be read that nothing stands in for: left alone, offline for this run.
    pub unreadable_directories: Vec<(String, IoError)>,
}

/// Everything recovered.
#[derive(Debug)]
pub struct Recovery {
    /// One for each shard, in order.
    pub shards: Vec<ShardRecovery>,
    /// What was done.
    pub report: RecoveryReport,
}

impl Recovery {
    /// The partitions that were found.
    pub fn partitions(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        self.shards.iter().flat_map(|shard| shard.partitions.iter().map(|log| log.identity))
    }
}

/// Why the log directory cannot be used now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecoveryError {
    /// The kernel refused something. With [`IoError::is_no_space`] the directory can be tried again once there is room.
    Io(IoError),
}

impl From<IoError> for RecoveryError {
    fn from(error: IoError) -> Self {
        Self::Io(error)
    }
}

/// Why one log cannot be recovered now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LogError {
    /// Something of it cannot be read, and may be there all the same: it is neither believed to be gone nor cut.
    Unreadable(IoError),
    /// What costs the whole log directory.
    Directory(IoError),
}

impl From<IoError> for LogError {
    fn from(error: IoError) -> Self {
        Self::Directory(error)
    }
}

impl core::fmt::Display for RecoveryError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self::Io(error) = self;
        write!(formatter, "the log directory cannot be recovered: {error}")
    }
}

impl core::error::Error for RecoveryError {}

/// Recover a log directory. Doing it twice, or again after a crash in the middle, gives the same logs.
///
/// # Errors
/// The disk failed, or is full; nothing that is needed for another attempt was touched.
pub fn recover(disk: &mut dyn Disk, shards: u16, settings: &RecoverySettings, now: Now) -> Result<Recovery, RecoveryError> {
    let marks = read_marks(disk)?;
    let clean_generation = clean_generation(&marks);
    let mut report = RecoveryReport { clean: clean_generation.is_some(), ..RecoveryReport::default() };
    let mut found = directory::find(disk)?;
    let journals = journals::read(disk, shards, report.clean, &mut report)?;
    let generation = next_generation(&marks, &found, journals.generation);
    // Before anything is written: a start that ends here is no clean stop, and the next one may not believe what this one wrote.
    remove_marks(disk, &marks)?;
    let context = Context { settings, clean: report.clean, generation, now };
    let (logs, left) = recover_logs(disk, &context, &mut found, &journals, &mut report)?;
    let claimed: BTreeSet<TopicPartition> = logs.iter().map(|log| log.identity).collect();
    let removed: BTreeSet<TopicPartition> = found.iter().filter_map(removed_identity).collect();
    let unclaimed: Vec<TopicPartition> = journals
        .entries
        .keys()
        .copied()
        .filter(|partition| !claimed.contains(partition) && !removed.contains(partition))
        .collect();
    report.unclaimed_entries = journals.quarantine_unclaimed(disk, &unclaimed, &left, generation)?;
    let header = FileHeader { id: settings.journal_id, generation, dead_below: 0 };
    let usable = journals.renew(disk, shards, settings.journal_file_bytes, &header)?;
    journals.drop_old_quarantine(disk, generation)?;
    bury(disk, &found)?;
    let occupied = occupied(&found, &mut report);
    // The first reading is this one, for all that go by it, whenever they look for the first time: a clock that is set wrong
    // before that has leapt.
    let recorded = read_clocks(disk)?.unwrap_or(now.wall);
    let steady_wall = SteadyWall::resumed(recorded, now.monotonic);
    let mut parts: Vec<ShardRecovery> = (0..shards)
        .map(|shard| {
            let files = usable.iter().filter(|name| name.shard == ShardId(shard)).map(|name| name.number).collect();
            let journal = JournalSetup { id: settings.journal_id, generation, files };
            ShardRecovery { journal, partitions: Vec::new(), occupied: occupied.clone(), steady_wall }
        })
        .collect();
    for log in logs {
        let owner = owner_of(log.identity, shards);
        if let Some(part) = parts.get_mut(usize::from(owner.0)) {
            part.partitions.push(log);
        }
    }
    Ok(Recovery { shards: parts, report })
}

/// The logs, with every new D recorded. One of which something cannot be read costs itself alone, for this run: it stands as after a
/// crash in the middle of this, and what the journals have of it is kept with what nobody claims. So is what was kept of a log and
/// does not lie in the one that has its identity now: that was made anew after it had been lost.
fn recover_logs(
    disk: &mut dyn Disk,
    context: &Context<'_>,
    found: &mut [Found],
    journals: &Journals,
    report: &mut RecoveryReport,
) -> Result<(Vec<PartitionLog>, Vec<Located>), IoError> {
    let mut logs = Vec::new();
    let mut left = Vec::new();
    let mut states = Vec::new();
    for entry in found {
        let Found::Partition(directory) = entry else { continue };
        let entries = journals.entries.get(&directory.identity).map(Vec::as_slice).unwrap_or_default();
        let recovered =
            swap::finish(disk, directory, report).and_then(|()| partition::recover(disk, context, directory, entries, report));
        match recovered {
            Ok((log, renewed)) => {
                report.partitions += 1;
                left.extend(entries.iter().filter(|entry| entry.quarantined && is_of_earlier(directory, &log, entry)).cloned());
                states.extend(renewed);
                logs.push(log);
            }
            Err(LogError::Unreadable(error)) => *entry = Found::Unreadable(core::mem::take(&mut directory.name), error),
            Err(LogError::Directory(error)) => return Err(error),
        }
    }
    record_points(disk, &states)?;
    Ok((logs, left))
}

/// Whether the entry is of a log that had this identity before: this one began behind it, and has something else at its offset.
fn is_of_earlier(found: &Directory, log: &PartitionLog, entry: &Located) -> bool {
    let began_behind = found.state.as_ref().is_some_and(|state| entry.position < state.point.position);
    let has_it = entry.base_offset < log.log_end && log.epochs.epoch_for_offset(entry.base_offset) == Some(entry.epoch);
    began_behind && entry.base_offset >= log.log_start && !has_it
}

/// The names that are taken by what is no partition of this run.
fn occupied(found: &[Found], report: &mut RecoveryReport) -> BTreeSet<String> {
    let mut occupied = BTreeSet::new();
    for entry in found {
        match entry {
            Found::Unknown(name) => {
                occupied.insert(name.clone());
                report.unknown_directories.push(name.clone());
            }
            Found::Unreadable(name, error) => {
                occupied.insert(name.clone());
                report.unreadable_directories.push((name.clone(), *error));
            }
            Found::Partition(_) | Found::Removed(..) => {}
        }
    }
    occupied
}

fn partition_directory(found: &Found) -> Option<&Directory> {
    if let Found::Partition(directory) = found { Some(directory) } else { None }
}

fn removed_identity(found: &Found) -> Option<TopicPartition> {
    if let Found::Removed(_, identity) = found { *identity } else { None }
}

/// The marks of clean stops: name and, if it is whole, content.
fn read_marks(disk: &mut dyn Disk) -> Result<Vec<(String, Option<CleanMark>)>, IoError> {
    let mut marks = Vec::new();
    for entry in journals::list_or_empty(disk, "")? {
        if !entry.is_directory && entry.name.starts_with(CLEAN_MARK_PREFIX) {
            // One that cannot be read is none: the stop counts as unclean.
            let bytes = disk.read(&entry.name, 0, 64).unwrap_or_default();
            marks.push((entry.name, CleanMark::decode(&bytes)));
        }
    }
    Ok(marks)
}

/// The latest time that any shard of an earlier run believed in.
fn read_clocks(disk: &mut dyn Disk) -> Result<Option<Timestamp>, IoError> {
    let mut latest = None;
    for entry in journals::list_or_empty(disk, "")? {
        if !entry.is_directory && ClockRecord::is_name(&entry.name) {
            latest = latest.max(ClockRecord::decode(&disk.read(&entry.name, 0, 64).unwrap_or_default()));
        }
    }
    Ok(latest)
}

/// The generation of the last run, if every one of its shards left its mark.
fn clean_generation(marks: &[(String, Option<CleanMark>)]) -> Option<u64> {
    let first = marks.iter().find_map(|(_, mark)| *mark)?;
    let of_that_run = |mark: &CleanMark| mark.generation == first.generation && mark.shards == first.shards;
    let all_agree = marks.iter().all(|(_, mark)| mark.as_ref().is_some_and(of_that_run));
    let shards: BTreeSet<ShardId> = marks.iter().filter_map(|(_, mark)| mark.map(|mark| mark.shard)).collect();
    (all_agree && shards.len() == usize::from(first.shards)).then_some(first.generation)
}

/// Above any that was found, wherever.
fn next_generation(marks: &[(String, Option<CleanMark>)], found: &[Found], journals: u64) -> u64 {
    let by_marks = marks.iter().filter_map(|(_, mark)| mark.map(|mark| mark.generation));
    let by_states = found
        .iter()
        .filter_map(partition_directory)
        .filter_map(|directory| directory.state.as_ref().map(|state| state.point.position.generation));
    by_marks.chain(by_states).max().unwrap_or_default().max(journals) + 1
}

/// Synced, or an old mark could come back.
fn remove_marks(disk: &mut dyn Disk, marks: &[(String, Option<CleanMark>)]) -> Result<(), IoError> {
    for (name, _) in marks {
        disk.unlink(name)?;
    }
    if marks.is_empty() { Ok(()) } else { disk.sync_directory("") }
}

fn record_points(disk: &mut dyn Disk, states: &[Renewed]) -> Result<(), IoError> {
    for renewed in states {
        partition::record(disk, renewed)?;
    }
    Ok(())
}

/// No journal holds anything of removed partitions any more: what they have left goes, the state last.
fn bury(disk: &mut dyn Disk, found: &[Found]) -> Result<(), IoError> {
    for entry in found {
        let Found::Removed(name, identity) = entry else { continue };
        if identity.is_some() {
            // The mark was perhaps never on disk, not even where it was synced: without it the rest must not go.
            let state = format!("{name}/{STATE_FILE_NAME}");
            let content = disk.read(&state, 0, 2 * COPY_BYTES)?;
            partition::make_stable(disk, &state, &content)?;
        }
        for file in disk.list(name)?.into_iter().filter(|file| file.name != STATE_FILE_NAME) {
            disk.unlink(&format!("{name}/{}", file.name))?;
        }
        // While anything else is there, the state must be: it alone says that the rest is not wanted.
        disk.sync_directory(name)?;
        disk.unlink(&format!("{name}/{STATE_FILE_NAME}"))?;
        disk.remove_directory(name)?;
        disk.sync_directory("")?;
    }
    Ok(())
}
