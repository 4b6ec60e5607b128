//! One shard's journal and every partition log it owns, as one machine.
//!
//! A store asks for file operations and is told how they ended; it has no files, no clock and no thread. Its rules:
//! - offsets are given out at the append; the log end moves only over a contiguous prefix of completed segment writes;
//! - durable moves only over a contiguous prefix of completed journal frames (or a completed sync) and never past the log end;
//! - everything but an append waits for D to be recorded, synced, before it touches a file or is answered;
//! - a write or sync that fails, fails the log directory: nothing is retried, nothing more is acknowledged.
//!
//! The caller hands every completion with the store's owner to [`Store::complete`], calls [`Store::end_turn`] once a turn, and
//! [`Store::tick`] when [`Store::next_deadline`] has passed.

mod append;
mod checkpoint;
mod clock;
mod compact;
mod completion;
mod directory;
mod durable;
mod files;
mod operations;
mod output;
mod reading;
mod repair;
mod script;
mod scrub;
mod settings;
mod space;
mod stop;
mod truncate;
mod turn;
mod unreadable;
mod view;

pub use crate::partition::faults::FaultyRange;
pub use durable::Durable;
pub use output::{
    AppendError, Appended, DeleteRecords, Located, LookupId, Output, PartitionSlot, TimestampLookup, TimestampOffset,
};
pub use repair::RepairError;
pub(crate) use settings::directory_name;
pub use settings::{Durability, LogConfig, StoreSettings};
pub use space::Space;
pub use truncate::TruncateError;
pub use unreadable::Stretch;
pub use view::LogView;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::{string::String, sync::Arc, vec::Vec};

use crate::io::{IoError, Owner, SegmentFile};
use crate::journal::{Journal, JournalFileName};
use crate::lookup::Lookups;
use crate::partition::PartitionLog;
use crate::recovery::ShardRecovery;
use crate::{Monotonic, ShardId, SteadyWall, Timestamp, TopicPartition};
pub(crate) use clock::ClockRecord;
use compact::Compactor;
use directory::Grave;
pub(crate) use directory::{METADATA_FILE_NAME, is_removed_name};
use operations::{Operations, Then};
use script::Scripts;
use stop::Stop;
pub(crate) use stop::{CLEAN_MARK_PREFIX, CleanMark};

pub(crate) use operations::Pending;

/// The shard that owns a partition: consecutive partitions of a topic land on consecutive shards.
#[must_use]
pub fn owner_of(partition: TopicPartition, shards: u16) -> ShardId {
    let hash = u64::from(crc32c::crc32c(&partition.topic.0));
    let index = u64::from(partition.partition.0.unsigned_abs());
    let shard = (hash + index) % u64::from(shards.max(1));
    ShardId(u16::try_from(shard).expect("less than the number of shards"))
}

/// One shard's logs.
#[derive(Debug)]
pub struct Store {
    settings: StoreSettings,
    operations: Operations,
    scripts: Scripts<Then>,
    journal: Journal,
    generation: u64,
    /// Journal files that are there but not open yet.
    journal_files: VecDeque<JournalFileName>,
    journal_file_coming: bool,
    partitions: Vec<Option<PartitionLog>>,
    by_identity: BTreeMap<TopicPartition, PartitionSlot>,
    /// Those that have or want a directory of this name, in the order in which they came.
    by_directory: BTreeMap<String, Vec<PartitionSlot>>,
    /// Directories that look like a partition's and whose state could not be read: never written to.
    occupied: BTreeSet<String>,
    /// Partitions with something to write when the turn ends.
    turn: Vec<PartitionSlot>,
    /// Partitions whose logs are to start further on.
    starts_wanted: BTreeSet<PartitionSlot>,
    /// Bytes of all logs that were appended and are not written yet: what the logs say, summed up.
    unwritten_bytes: usize,
    checkpoints_due: BTreeSet<PartitionSlot>,
    checkpoints_running: usize,
    lookups: Lookups,
    compactor: Compactor,
    /// Files of segments that are gone, until nobody reads them any more.
    doomed: Vec<Arc<SegmentFile>>,
    /// Segments with an open file, in the order in which closing looks at them.
    open: VecDeque<(PartitionSlot, crate::Offset)>,
    graves: Vec<Grave>,
    /// Partitions that are to be removed once nothing of theirs is outstanding.
    removing: Vec<PartitionSlot>,
    /// Logs that are to end earlier and are to be gone on with: not while their new D or their files are on their way to the disk.
    truncations: Vec<PartitionSlot>,
    /// Partitions that wait for a directory of their name to go.
    blocked: usize,
    /// Partitions that will not be made: their directory is not to be touched, or the store has failed.
    refused: Vec<PartitionSlot>,
    room: space::Room,
    direct_journal: bool,
    failed: Option<IoError>,
    failure_told: bool,
    stop: Stop,
    next_retention: Monotonic,
    /// What retention, expiry and compaction go by.
    steady_wall: SteadyWall,
    /// What was written down of it last.
    clock_recorded: Option<Timestamp>,
    next_free_space: Monotonic,
    scrub: scrub::Scrub,
}

impl Store {
    /// A store over what recovery left. `owner` names its operations; completions with that owner go to [`Store::complete`].
    #[must_use]
    pub fn new(settings: StoreSettings, recovered: ShardRecovery, owner: Owner) -> Self {
        let shard = settings.shard;
        let file_name = |number: &u32| JournalFileName { shard, number: *number };
        let mut store = Self {
            operations: Operations::new(owner),
            scripts: Scripts::new(owner),
            journal: Journal::new(&settings, &recovered.journal),
            generation: recovered.journal.generation,
            journal_files: recovered.journal.files.iter().map(file_name).collect(),
            journal_file_coming: false,
            partitions: Vec::new(),
            by_identity: BTreeMap::new(),
            by_directory: BTreeMap::new(),
            occupied: recovered.occupied,
            turn: Vec::new(),
            starts_wanted: BTreeSet::new(),
            unwritten_bytes: 0,
            checkpoints_due: BTreeSet::new(),
            checkpoints_running: 0,
            lookups: Lookups::new(settings.index_cache_bytes),
            compactor: Compactor::new(settings.compaction, recovered.journal.id),
            doomed: Vec::new(),
            open: VecDeque::new(),
            graves: Vec::new(),
            removing: Vec::new(),
            truncations: Vec::new(),
            blocked: 0,
            refused: Vec::new(),
            room: space::Room::new(),
            direct_journal: true,
            failed: None,
            failure_told: false,
            stop: Stop::Running,
            next_retention: Monotonic(0),
            steady_wall: recovered.steady_wall,
            clock_recorded: None,
            next_free_space: Monotonic(0),
            scrub: scrub::Scrub::new(settings.scrub_bytes_per_second, settings.scrub_pass_ms),
            settings,
        };
        for log in recovered.partitions {
            store.insert(log);
        }
        store
    }

    fn insert(&mut self, log: PartitionLog) -> PartitionSlot {
        let slot = PartitionSlot(u32::try_from(self.partitions.len()).expect("partitions are limited far below 2^32"));
        self.by_identity.insert(log.identity, slot);
        self.by_directory.entry(log.directory.clone()).or_default().push(slot);
        self.partitions.push(Some(log));
        slot
    }

    /// The partitions here, recovered or created since.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionSlot, LogView<'_>)> {
        self.by_identity.values().filter_map(|slot| self.view(*slot).map(|view| (*slot, view)))
    }

    /// Where a partition is, if it is here.
    #[must_use]
    pub fn slot_of(&self, partition: TopicPartition) -> Option<PartitionSlot> {
        self.by_identity.get(&partition).copied()
    }

    /// A partition's log as it is now. `None` once it was removed.
    #[must_use]
    pub fn view(&self, slot: PartitionSlot) -> Option<LogView<'_>> {
        self.log(slot).map(|log| LogView { log })
    }

    fn log(&self, slot: PartitionSlot) -> Option<&PartitionLog> {
        self.partitions.get(slot.0 as usize)?.as_ref()
    }

    fn log_mut(&mut self, slot: PartitionSlot) -> Option<&mut PartitionLog> {
        self.partitions.get_mut(slot.0 as usize)?.as_mut()
    }

    fn slots(&self) -> Vec<PartitionSlot> {
        self.by_identity.values().copied().collect()
    }

    /// Whether the disk is behind: stop appending for a while. What is appended all the same waits in memory.
    #[must_use]
    pub const fn is_congested(&self) -> bool {
        self.waiting_bytes() > self.settings.waiting_bytes_max
    }

    /// Bytes that were appended and wait for the disk, in the journal's queue or for their segments, whichever are more.
    #[must_use]
    pub const fn waiting_bytes(&self) -> usize {
        let (queued, unwritten) = (self.journal.queue_bytes(), self.unwritten_bytes);
        if queued > unwritten { queued } else { unwritten }
    }

    /// Change a log by what its disk has done, or will not do any more.
    fn log_written<R>(&mut self, slot: PartitionSlot, change: impl FnOnce(&mut PartitionLog) -> R) -> Option<R> {
        let log = self.partitions.get_mut(slot.0 as usize)?.as_mut()?;
        let before = log.unwritten_bytes;
        let result = change(log);
        self.unwritten_bytes -= before - log.unwritten_bytes;
        Some(result)
    }

    /// Whether a write or sync failed: everything here is offline.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Bytes of batches from `from` up to `below`, if that is known without reading: both lie in the active segment, among the
    /// batches remembered. Otherwise there is more than anybody waits for.
    #[must_use]
    pub fn bytes_between(&self, slot: PartitionSlot, from: crate::Offset, below: crate::Offset) -> Option<u64> {
        let tail = self.log(slot)?.active()?.tail.as_ref()?;
        let (start, _) = tail.batch_at(from)?;
        let end = tail.floor(u64::MAX, below)?;
        Some(end.position.saturating_sub(start.position))
    }

    /// Why the log directory failed, if it did.
    #[must_use]
    pub const fn failure(&self) -> Option<IoError> {
        self.failed
    }

    /// The log directory failed elsewhere, in another shard: it is offline here too.
    pub fn take_offline(&mut self, error: IoError) {
        self.fail(error);
    }

    /// A write or sync failed: from now on nothing is acknowledged.
    fn fail(&mut self, error: IoError) {
        if self.failed.is_none() {
            self.failed = Some(error);
            self.scripts.drop_waiting();
            for log in self.partitions.iter_mut().flatten() {
                log.offline = true;
            }
        }
    }

    /// Put the failure and what became of lookups among the outputs, once.
    fn tell_failure(&mut self, outputs: &mut Vec<Output>) {
        if let Some(error) = self.failed
            && !self.failure_told
        {
            self.failure_told = true;
            outputs.push(Output::DirectoryFailed { error });
            self.lookups.fail_all(outputs);
            self.fail_changes(outputs);
        }
    }
}
