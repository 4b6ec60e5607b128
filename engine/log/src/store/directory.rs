//! Partitions made, configured and removed.
//!
//! A removed partition's directory is renamed as Kafka does it and emptied later; its state stays, marked, until no journal file
//! holds its entries, so that replay knows what they were.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

use super::operations::Then;
use super::script::Step;
use super::{Durability, LogConfig, Output, PartitionSlot, Store};
use crate::compaction::{MANIFEST_FILE_NAME, MANIFEST_PARTIAL_NAME};
use crate::epoch::LeaderEpochs;
use crate::io::{Io, IoError, OpenMode, SyncScope};
use crate::journal::JournalPosition;
use crate::mutants::{self, Mutant};
use crate::partition::truncation::Truncation;
use crate::partition::{Life, PartitionLog, Wants};
use crate::producer::ProducerSnapshot;
use crate::segment::{SUFFIXES, Segment};
use crate::state::{COPY_BYTES, DurablePoint, PartitionState, STATE_FILE_NAME, partition_metadata};
use crate::{Monotonic, Now, Offset, TopicPartition};

/// What Kafka's tools find a directory's topic id in.
pub(crate) const METADATA_FILE_NAME: &str = "partition.metadata";
/// What a removed partition's directory ends with.
const REMOVED_SUFFIX: &str = "-delete";
/// Digits of a topic id in such a name.
const ID_DIGITS: usize = 32;

const NAME_BYTES_MAX: usize = 255;
/// Steps of a creation that make no file.
const STEPS_BEFORE_FIRST_FILE: usize = 2;

/// A removed partition whose files are still there.
#[derive(Debug)]
pub(super) struct Grave {
    directory: String,
    files: Vec<String>,
    due: Monotonic,
    emptied: bool,
    /// Frames below this sequence may hold its entries.
    sequence: u64,
}

impl Grave {
    /// When it needs attention, if time decides that.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        (!self.emptied).then_some(self.due)
    }
}

impl Store {
    /// Make a partition's directory and state; [`Output::Created`] follows.
    pub fn create(&mut self, partition: TopicPartition, topic_name: &str, config: LogConfig, io: &mut Io) -> PartitionSlot {
        let position = self.journal.next_position();
        let mut log = PartitionLog::new(partition, topic_name, config, DurablePoint::of_empty_log(position));
        let directory = log.directory.clone();
        let (standing, leaving) = self.others_in(&directory);
        if standing || self.failed.is_some() {
            // Another topic's log, of which nobody has said that it may go: it is not touched, and cannot be waited for.
            log.life = Life::Creating;
            let slot = self.insert(log);
            self.refused.push(slot);
            return slot;
        }
        if leaving {
            log.life = Life::Blocked;
            self.blocked += 1;
            return self.insert(log);
        }
        let slot = self.insert(log);
        self.start_creation(slot, io);
        slot
    }

    /// Whether other partitions have a directory of this name: one that stays, and one that is on its way out.
    fn others_in(&self, directory: &str) -> (bool, bool) {
        let mut found = (false, false);
        for (slot, log) in self.logs_of(directory) {
            let leaving = matches!(log.life, Life::Blocked | Life::Removing | Life::Removed);
            if leaving || self.removing.contains(&slot) { found.1 = true } else { found.0 = true }
        }
        found
    }

    fn logs_of(&self, directory: &str) -> impl Iterator<Item = (PartitionSlot, &PartitionLog)> {
        let slots = self.by_directory.get(directory).into_iter().flatten();
        slots.filter_map(|slot| self.log(*slot).map(|log| (*slot, log)))
    }

    fn start_creation(&mut self, slot: PartitionSlot, io: &mut Io) {
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        log.life = Life::Creating;
        let state = log.next_state(log.point, Wants::default());
        let directory = log.directory.clone();
        if self.occupied.contains(&directory) || directory.contains(['/', '\0']) {
            return self.refused.push(slot);
        }
        let steps = [
            Step::CreateDirectory(directory.clone()),
            // Another topic's, of another shard: nobody has said that it may go.
            Step::Absent(log.path(STATE_FILE_NAME)),
            Step::Open(log.path(METADATA_FILE_NAME), OpenMode::CreateEmpty),
            Step::Write(0, Bytes::from(partition_metadata(log.identity.topic))),
            Step::Sync(SyncScope::All),
            Step::Close,
            Step::Open(log.path(STATE_FILE_NAME), OpenMode::CreateEmpty),
            // Both copies take their room now: later ones are written over them, which a full disk does not refuse.
            Step::Write(0, Bytes::from(both_copies(&state))),
            Step::Sync(SyncScope::All),
            Step::Close,
            Step::SyncDirectory(directory),
            Step::SyncDirectory(String::new()),
        ];
        self.scripts.start(steps, Then::Created { slot }, io);
    }

    /// There was no room for it: what was made of it goes, so that it can be made another time. Nothing goes before it was seen that
    /// nobody else has a state there.
    pub(super) fn undo_creation(&mut self, slot: PartitionSlot, steps_done: usize, io: &mut Io) {
        self.space_is_out();
        let Some(log) = self.log(slot) else { return };
        let mut steps = Vec::new();
        if steps_done >= STEPS_BEFORE_FIRST_FILE {
            steps.extend([STATE_FILE_NAME, METADATA_FILE_NAME].map(|name| Step::Unlink(log.path(name))));
        }
        // One that holds anything stays.
        steps.push(Step::RemoveDirectory(log.directory.clone()));
        self.scripts.start(steps, Then::CreationUndone { slot }, io);
    }

    /// Directories that are not to be touched.
    pub(super) fn refuse_creations(&mut self, outputs: &mut Vec<Output>) {
        for slot in core::mem::take(&mut self.refused) {
            self.created(slot, Err(IoError::EXISTS), outputs);
        }
    }

    /// The store has failed: nothing is made or removed any more, and whoever waits for that is told so now. A partition that
    /// was to be removed keeps its files.
    pub(super) fn fail_changes(&mut self, outputs: &mut Vec<Output>) {
        let Some(error) = self.failed else { return };
        let removing: BTreeSet<PartitionSlot> = core::mem::take(&mut self.removing).into_iter().collect();
        self.refused.clear();
        self.blocked = 0;
        for number in (0u32..).take(self.partitions.len()) {
            let slot = PartitionSlot(number);
            let Some(log) = self.log(slot) else { continue };
            match log.life {
                Life::Removing | Life::Removed => self.drop_removed(slot, outputs),
                Life::Creating | Life::Blocked if removing.contains(&slot) => self.drop_removed(slot, outputs),
                Life::Creating | Life::Blocked => self.created(slot, Err(error), outputs),
                Life::Ready => {}
            }
        }
    }

    fn drop_removed(&mut self, slot: PartitionSlot, outputs: &mut Vec<Output>) {
        let Some(log) = self.log(slot) else { return };
        outputs.push(Output::Removed { partition: log.identity });
        let open: Vec<_> = log.segments.values().filter_map(|segment| segment.file().cloned()).collect();
        self.doomed.extend(open);
        self.forget(slot);
    }

    /// Directory and state are made, or not.
    pub(super) fn created(&mut self, slot: PartitionSlot, result: Result<(), IoError>, outputs: &mut Vec<Output>) {
        let removing = self.removing.contains(&slot);
        let Some(log) = self.log_mut(slot) else { return };
        let partition = log.identity;
        if result.is_ok() {
            log.life = if removing { Life::Removing } else { Life::Ready };
        } else {
            self.forget(slot);
        }
        if result.is_err() && removing {
            // Whoever waits for it to go has what was wanted.
            outputs.push(Output::Removed { partition });
        }
        outputs.push(Output::Created { slot, result });
    }

    /// Give a partition its configuration. A recovered partition must get one before retention looks at it.
    pub fn configure(&mut self, slot: PartitionSlot, config: LogConfig) {
        let Some(log) = self.log_mut(slot) else { return };
        let journaled_before = log.is_journaled();
        log.config = config;
        log.configured = true;
        if log.config.durability == Durability::Journaled && !journaled_before {
            log.journal_from = log.next_offset;
        }
        if mutants::is(Mutant::B39) {
            log.durability = log.config.durability;
            log.journal_from = Offset::ZERO;
        }
        if log.config.durability == log.durability {
            log.wants.durability = None;
        } else {
            log.wants.durability = Some(log.config.durability);
            self.checkpoints_due.insert(slot);
        }
    }

    /// Remove a partition; [`Output::Removed`] follows. Its slot means nothing from then on.
    pub fn remove(&mut self, slot: PartitionSlot) {
        let Some(log) = self.log_mut(slot) else { return };
        log.wants = Wants::default();
        let on_its_way = log.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.wants.truncates)
            || log.truncation.as_ref().is_some_and(Truncation::is_recorded);
        if !on_its_way && log.truncation.as_ref().is_some_and(|truncation| truncation.cut().is_some()) {
            log.truncation = None;
        }
        if log.life == Life::Ready {
            log.life = Life::Removing;
        }
        log.start_wanted = None;
        log.caches.clear();
        log.snapshots.clear_due();
        let identity = log.identity;
        self.log_written(slot, PartitionLog::drop_unsubmitted);
        self.by_identity.remove(&identity);
        self.checkpoints_due.remove(&slot);
        self.forget_refused(slot);
        self.journal.forget(slot);
        self.removing.push(slot);
    }

    /// Go on with removals for which nothing is outstanding any more.
    pub(super) fn advance_removals(&mut self, io: &mut Io, outputs: &mut Vec<Output>) {
        for slot in core::mem::take(&mut self.removing) {
            let Some(log) = self.log(slot) else { continue };
            let opening = log.segments.values().any(Segment::is_opening);
            let quiet = log.truncation.is_none()
                && log.has_no_write_outstanding()
                && log.checkpoint.is_none()
                && log.scripts == 0
                && !opening
                && !log.cleaning;
            match log.life {
                Life::Blocked => {
                    outputs.push(Output::Removed { partition: log.identity });
                    self.blocked -= 1;
                    self.forget(slot);
                }
                Life::Removing if quiet => {
                    if let Some(log) = self.log_mut(slot) {
                        log.wants = Wants { removed: true, ..Wants::default() };
                    }
                    self.lookups.fail_of(slot, outputs);
                    self.checkpoints_due.insert(slot);
                }
                Life::Creating | Life::Ready | Life::Removing => self.removing.push(slot),
                Life::Removed => {}
            }
        }
        self.start_blocked(io);
    }

    /// The state says that the partition is removed: its directory gets the name that says so too.
    pub(super) fn rename_removed(&mut self, slot: PartitionSlot, io: &mut Io) {
        self.journal.release(slot, Offset(i64::MAX), self.journal.next_position());
        let Some(log) = self.log_mut(slot) else { return };
        log.life = Life::Removed;
        log.offline = true;
        let to = removed_name(log);
        let steps = [Step::Rename(log.directory.clone(), to.clone()), Step::SyncDirectory(String::new())];
        self.scripts.start(steps, Then::Renamed { slot, to }, io);
    }

    pub(super) fn renamed(&mut self, slot: PartitionSlot, to: String, now: Now, outputs: &mut Vec<Output>) {
        let JournalPosition { sequence, .. } = self.journal.next_position();
        self.lookups.fail_of(slot, outputs);
        let Some(log) = self.log(slot) else { return };
        let mut files = Vec::from([METADATA_FILE_NAME, LeaderEpochs::FILE_NAME, MANIFEST_FILE_NAME].map(String::from));
        files.push(String::from(MANIFEST_PARTIAL_NAME));
        files.extend(log.snapshots.offsets().map(ProducerSnapshot::file_name));
        for base in log.segments.keys() {
            files.extend(SUFFIXES.map(|suffix| crate::segment::file_name(*base, suffix)));
        }
        let due = now.monotonic.after_ms(log.config.file_delete_delay_ms);
        self.graves.push(Grave { directory: to, files, due, emptied: false, sequence });
        self.drop_removed(slot, outputs);
    }

    /// The slot means nothing from now on.
    fn forget(&mut self, slot: PartitionSlot) {
        self.checkpoints_due.remove(&slot);
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::take) else { return };
        self.unwritten_bytes -= log.unwritten_bytes;
        if self.by_identity.get(&log.identity) == Some(&slot) {
            self.by_identity.remove(&log.identity);
        }
        if let Some(slots) = self.by_directory.get_mut(&log.directory) {
            slots.retain(|other| *other != slot);
            if slots.is_empty() {
                self.by_directory.remove(&log.directory);
            }
        }
    }

    /// Make the partitions whose name has become free.
    fn start_blocked(&mut self, io: &mut Io) {
        if self.blocked == 0 {
            return;
        }
        // The first of those that want a name nobody has; one that is on its way out again does not come any more.
        let first = |directory: &String| {
            let mut logs = self.logs_of(directory);
            if logs.any(|(_, log)| log.life != Life::Blocked) {
                return None;
            }
            self.logs_of(directory).map(|(_, log)| log.identity).find_map(|wanted| self.by_identity.get(&wanted).copied())
        };
        let ready: Vec<_> = self.by_directory.keys().filter_map(first).collect();
        for slot in ready {
            self.blocked -= 1;
            self.start_creation(slot, io);
        }
    }

    /// Delete what removed partitions have left, when it is time and as far as the journal allows.
    pub(super) fn advance_graves(&mut self, now: Now, io: &mut Io) {
        let oldest = self.journal.oldest_on_disk();
        let unlinks = |grave: &Grave| -> Vec<Step> {
            grave.files.iter().map(|name| Step::Unlink(format!("{}/{name}", grave.directory))).collect()
        };
        for grave in self.graves.iter_mut().filter(|grave| !grave.emptied && grave.due <= now.monotonic) {
            self.scripts.start(unlinks(grave), Then::Unlinked, io);
            grave.emptied = true;
        }
        self.graves.retain(|grave| {
            let goes = grave.emptied && oldest >= grave.sequence;
            if goes {
                // While anything else is there, the state must be: it alone says that the rest is not wanted.
                let mut steps = unlinks(grave);
                steps.push(Step::SyncDirectory(grave.directory.clone()));
                steps.push(Step::Unlink(format!("{}/{STATE_FILE_NAME}", grave.directory)));
                steps.push(Step::RemoveDirectory(grave.directory.clone()));
                self.scripts.start(steps, Then::Unlinked, io);
            }
            !goes
        });
    }
}

/// The file of a new partition's state. From the first moment on there are two copies: were one the only one, its loss would be
/// the partition's.
fn both_copies(state: &PartitionState) -> Vec<u8> {
    let before = PartitionState { counter: state.counter.saturating_sub(1), ..state.clone() };
    let mut bytes = alloc::vec![0; 2 * COPY_BYTES];
    for state in [&before, state] {
        let at = usize::try_from(state.copy_offset()).unwrap_or_default();
        let copy = state.encode();
        if let Some(place) = bytes.get_mut(at..at + copy.len()) {
            place.copy_from_slice(&copy);
        }
    }
    bytes
}

/// Whether the broker gave a directory this name because its partition was removed. People call what they set aside much the same.
pub(crate) fn is_removed_name(name: &str) -> bool {
    let parts = name.strip_suffix(REMOVED_SUFFIX).and_then(|name| name.rsplit_once('.'));
    let Some((partition, id)) = parts.and_then(|(name, id)| Some((name.rsplit_once('-')?.1, id))) else { return false };
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    partition.parse::<i32>().is_ok() && id.len() == ID_DIGITS && id.bytes().all(is_digit)
}

/// Kafka's name for the directory of a removed partition: `<topic>-<partition>.<id>-delete`, the topic cut to what a name may
/// have. The id is the topic's: a topic has one life.
fn removed_name(log: &PartitionLog) -> String {
    let id = u128::from_be_bytes(log.identity.topic.0);
    let suffix = format!("-{}.{id:0ID_DIGITS$x}{REMOVED_SUFFIX}", log.identity.partition);
    let topic_bytes = log.topic_name.len().min(NAME_BYTES_MAX.saturating_sub(suffix.len()));
    let topic = log.topic_name.get(..topic_bytes).unwrap_or_default();
    format!("{topic}{suffix}")
}
