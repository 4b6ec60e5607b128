//! Operations that fail: which of them a seed draws and how often, and what may come of it.
//!
//! A write or a sync that fails takes the log directory offline; the life ends there, and the next one starts as after a crash. What
//! is only refused for want of room does not: not a cleaning, which is given up and succeeds when there is room again.
//! Everything here follows chances of its own, so that a seed that draws none of it is the run that it was.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use flumen_log::Offset;
use flumen_log::io::{Disk, FileOperation, IoError, OpenMode};
use flumen_log::segment::{file_name, parse_file_name};
use flumen_log::state::STATE_FILE_NAME;
use flumen_log::store::AppendError;

use super::world::{DIRECTORY, PATIENCE, World};
use crate::disk::Rates;
use crate::random::Random;

/// Turns within which a directory goes offline for a write or a sync that failed, once nothing is outstanding: what failed may have a
/// file to close first, and that may stall.
const OFFLINE_TURNS: u32 = 20;
/// Time after which a store has seen that there is room again.
const LOOK_MS: u64 = 1500;
/// What is done on a disk that has just become full, at least.
const FULL_STEPS: u32 = 150;
const FULL_OPERATIONS: u64 = 200;

/// What compaction wrote, and where that says up to which offset the log is clean.
const MANIFEST: &str = "topic-0/compaction.manifest";
const CLEANED_TO: core::ops::Range<usize> = 48..56;

/// What an operation does, as far as it matters when it fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Write,
    Sync,
    /// A name is made, or becomes another.
    Make,
    Rename,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Asked {
    kind: Kind,
    path: String,
}

/// What fails in a run, and what has.
#[derive(Debug)]
pub(super) struct Errors {
    rates: Rates,
    /// The disk becomes full, or has room again, once in so many steps; zero is never.
    spells: u64,
    /// The last process finds the disk full for a while.
    last_is_full: bool,
    chance: Random,
    asked: BTreeMap<u64, Asked>,
    /// What failed in this life that the directory may go offline for.
    may_fail: Option<String>,
    /// What failed in this life that it must go offline for, and the turns since.
    must_fail: Option<(String, u32)>,
    /// Something was refused for want of room in this life.
    refused: bool,
    /// Something was refused or failed in this run: caches may be missing.
    pub(super) have_struck: bool,
    /// The directory is.
    pub(super) offline: bool,
}

impl Errors {
    /// None.
    pub(super) fn none() -> Self {
        Self {
            rates: Rates::default(),
            spells: 0,
            last_is_full: false,
            chance: Random::new(0),
            asked: BTreeMap::new(),
            may_fail: None,
            must_fail: None,
            refused: false,
            have_struck: false,
            offline: false,
        }
    }

    /// Of half of the seeds none, and of the others mostly not all at once.
    fn draw(mut chance: Random) -> Self {
        let mut errors = Self::none();
        if chance.one_in(2) {
            return errors;
        }
        let mut pick = |of: &[u64]| of[chance.index(of.len())];
        errors.rates.write_error = pick(&[0, 0, 0, 100, 400]);
        errors.rates.sync_error = pick(&[0, 0, 0, 30, 120]);
        errors.rates.no_space_at_write = pick(&[0, 0, 10, 40, 200]);
        errors.rates.no_space_at_sync = pick(&[0, 0, 0, 30, 120]);
        errors.spells = pick(&[0, 0, 40, 120]);
        errors.last_is_full = pick(&[0, 1]) > 0;
        errors.rates.read_error = pick(&[0, 0, 0, 60, 400]);
        errors.chance = chance;
        errors
    }

    fn are_none(&self) -> bool {
        self.rates == Rates::default() && self.spells == 0 && !self.last_is_full
    }

    fn begin_life(&mut self) {
        self.asked.clear();
        (self.may_fail, self.must_fail) = (None, None);
        (self.refused, self.offline) = (false, false);
    }

    /// An operation failed.
    fn note(&mut self, asked: &Asked, error: IoError) {
        let Asked { kind, path } = asked;
        self.have_struck = true;
        let text = format!("{kind:?} of {path}: {error}");
        if error == IoError::INPUT_OUTPUT {
            // The journal does without a file that could not be made, if it has another. The log's world watches its frames.
            let is_of_journal = path.is_empty() || path.starts_with("journal");
            if matches!(kind, Kind::Write | Kind::Sync) && !is_of_journal && self.must_fail.is_none() {
                self.must_fail = Some((text.clone(), 0));
            }
            return self.may_fail = Some(text);
        }
        // Nothing else is drawn: it would be the store's fault.
        if !error.is_no_space() {
            return;
        }
        self.refused = true;
        // What is written there has its room from when the file was made: no real disk refuses it.
        let has_its_room = path.starts_with("journal/") || path.ends_with(STATE_FILE_NAME);
        match kind {
            Kind::Sync | Kind::Rename => self.may_fail = Some(text),
            Kind::Write if has_its_room => self.may_fail = Some(text),
            Kind::Write | Kind::Make => {}
        }
    }
}

impl World {
    /// Operations may fail from now on.
    pub(super) fn begin_to_fail(&mut self, chance: Random) {
        self.errors = Errors::draw(chance);
        if self.errors.are_none() {
            return;
        }
        self.trace.note(format_args!("{:?}", self.errors));
        self.disk.draw_errors_from(Random::new(self.errors.chance.next()));
    }

    /// A process starts: what failed before is over, and more may.
    pub(super) fn fail_in_life(&mut self) {
        self.errors.begin_life();
        self.disk.faults.full = false;
        let (rates, drawn) = (&mut self.disk.faults.rates, &self.errors.rates);
        (rates.write_error, rates.sync_error) = (drawn.write_error, drawn.sync_error);
        (rates.no_space_at_write, rates.no_space_at_sync) = (drawn.no_space_at_write, drawn.no_space_at_sync);
        rates.read_error = drawn.read_error;
        self.disk.forget_reads();
    }

    /// Nothing fails from the next start on, but that the disk may be full for a while.
    pub(super) fn fail_no_more(&mut self) {
        (self.errors.rates, self.errors.spells) = (Rates::default(), 0);
    }

    /// Perhaps the disk becomes full, or has room again.
    pub(super) fn change_room(&mut self) {
        let Errors { spells, chance, .. } = &mut self.errors;
        if *spells > 0 && chance.one_in(*spells) {
            let full = !self.disk.faults.full;
            self.set_full(full);
        }
    }

    fn set_full(&mut self, full: bool) {
        self.trace.note(format_args!("the disk {}", if full { "is full" } else { "has room again" }));
        self.disk.faults.full = full;
        // A store that has looked takes nothing more.
        self.errors.refused |= full;
    }

    /// The disk is full while appends come and the cleaner goes on; then the same process has room again, and has to go on with
    /// all of it.
    pub(super) fn live_without_room(&mut self) {
        if !self.errors.last_is_full || !self.verdict.violations.is_empty() {
            return;
        }
        self.live(FULL_STEPS);
        self.set_full(true);
        self.live(FULL_STEPS);
        self.compact_until(FULL_OPERATIONS);
        self.set_full(false);
        for _ in 0..2 {
            self.pass(LOOK_MS);
            self.settle_operations();
        }
        self.errors.refused = false;
        if self.errors.offline || !self.verdict.violations.is_empty() {
            return;
        }
        if self.slot().is_none() {
            return self.make_partition();
        }
        self.append_must();
    }

    /// Complete all that is outstanding, and what it calls for.
    fn settle_operations(&mut self) {
        for _ in 0..PATIENCE {
            self.turn();
            if !self.complete_one() && self.disk.outstanding() == 0 {
                return;
            }
        }
    }

    /// What is to be done, so that it is known should it fail.
    pub(super) fn note_asked(&mut self, sequence: u64, operation: &FileOperation) {
        if self.errors.are_none() {
            return;
        }
        let of_handle = |file| self.disk.path_of(file).map(ToString::to_string).unwrap_or_default();
        let (kind, path) = match operation {
            FileOperation::Write { file, .. } => (Kind::Write, of_handle(*file)),
            FileOperation::Sync { file, .. } => (Kind::Sync, of_handle(*file)),
            FileOperation::SyncDirectory { path } => (Kind::Sync, path.clone()),
            FileOperation::Open { path, mode: OpenMode::CreateEmpty | OpenMode::Create } => (Kind::Make, path.clone()),
            FileOperation::CreateDirectory { path } => (Kind::Make, path.clone()),
            FileOperation::Rename { to, .. } => (Kind::Rename, to.clone()),
            _ => return,
        };
        self.errors.asked.insert(sequence, Asked { kind, path });
    }

    /// How it ended.
    pub(super) fn note_ended(&mut self, sequence: u64, error: Option<IoError>) {
        if let Some(asked) = self.errors.asked.remove(&sequence)
            && let Some(error) = error
        {
            self.errors.note(&asked, error);
        }
    }

    pub(super) fn directory_failed(&mut self, error: IoError) {
        self.errors.offline = true;
        self.verdict.work.failed_directories += 1;
        if self.errors.may_fail.is_none() {
            self.violation(format!("the directory failed though it was to go on: {error}"));
        }
    }

    /// A turn has passed: a directory in which something failed must have gone offline.
    pub(super) fn check_offline(&mut self) {
        let is_undecided = !self.errors.offline && self.disk.outstanding() == 0;
        let Some((what, turns)) = self.errors.must_fail.as_mut().filter(|_| is_undecided) else { return };
        *turns += 1;
        if *turns > OFFLINE_TURNS {
            let text = format!("the directory goes on after {what}");
            self.violation(text);
        }
    }

    /// Whether a read of a segment's file, whatever it was called then, or of one of its caches has failed in this life.
    pub(super) fn was_unreadable(&self, segment: Offset) -> bool {
        let name = format!("{DIRECTORY}/{}", file_name(segment, ""));
        self.disk.failed_reads().iter().any(|(path, _)| path.starts_with(&name))
    }

    /// Nothing fails any more, and there is room: what was given up is clean by now.
    pub(super) fn check_cleaned(&mut self) {
        if self.errors.are_none() || self.is_over() {
            return;
        }
        let manifest = self.disk.peek(MANIFEST).and_then(|bytes| bytes.get(CLEANED_TO)?.try_into().ok());
        let cleaned_to = Offset(manifest.map_or(0, i64::from_be_bytes));
        let entries = Disk::list(&mut self.disk, DIRECTORY).unwrap_or_default();
        let segments = entries.iter().filter_map(|entry| Some((parse_file_name(&entry.name, "log")?, entry.length)));
        let segments: BTreeMap<Offset, u64> = segments.collect();
        let (mut bytes, mut dirty_bytes) = (0, 0);
        for ((_, length), (next, _)) in segments.iter().zip(segments.iter().skip(1)) {
            bytes += length;
            dirty_bytes += if *next > cleaned_to { *length } else { 0 };
        }
        let dirty_ppm = (dirty_bytes * 1_000_000u64).checked_div(bytes).unwrap_or_default();
        if dirty_ppm > u64::from(self.config.min_cleanable_dirty_ppm) {
            self.violation(format!("{dirty_bytes} of {bytes} bytes stay dirty, above {cleaned_to}: {segments:?}"));
        }
    }

    /// Whether an append may be refused, or a batch sent again not be known as one.
    pub(super) fn may_refuse(&self, error: &AppendError) -> bool {
        match error {
            AppendError::NoSpace | AppendError::JournalGrows | AppendError::NotReady => self.errors.refused,
            AppendError::DirectoryFailed | AppendError::Offline => self.errors.offline,
            _ => false,
        }
    }
}
