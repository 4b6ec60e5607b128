//! Which faults happen, how often, and how often they did.

use alloc::collections::BTreeMap;
use core::ops::Range;
use flumen_log::io::IoError;

use crate::random::Random;

/// How often chance strikes: once in so many operations; zero is never.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rates {
    /// A write takes only a part of its bytes.
    pub short_write: u64,
    /// A read fails; the next one of the same bytes may not.
    pub read_error: u64,
    /// A write fails, some of its sectors written.
    pub write_error: u64,
    /// A sync fails and leaves its pages clean.
    pub sync_error: u64,
    /// There is no room for a write, or for a new name.
    pub no_space_at_write: u64,
    /// There was room for the write, and there is none when it is synced.
    pub no_space_at_sync: u64,
    /// An operation completes only after many others.
    pub stall: u64,
    /// A read gives what was there before.
    pub stale_read: u64,
    /// A read gives another place of the file.
    pub misdirected_read: u64,
}

/// What is left of the chance to fail.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// The file system refuses direct writes.
    pub refuses_direct: bool,
    /// How often.
    pub rates: Rates,
    /// So many calls of [`flumen_log::io::Disk`] go through; then all fail, as if the power had gone.
    pub calls_left: Option<u64>,
    /// So many changes by [`flumen_log::io::Disk`] go through; the next one fails, alone.
    pub changes_left: Option<(u64, IoError)>,
    /// Every write and sync fails.
    pub broken: bool,
    /// Reads of files whose name ends so fail, by [`flumen_log::io::Disk`].
    pub unreadable: Option<&'static str>,
    /// Reads of any of these bytes of files of this name fail, through a handle.
    pub bad_bytes: Option<(&'static str, Range<u64>)>,
    /// Syncs of files of this name take so long that all else is done meanwhile.
    pub slow_file: Option<&'static str>,
    /// Nothing is free: what makes a file longer is refused, and so is a new name.
    pub full: bool,
    /// So little is free; plenty if `None`.
    pub free_bytes: Option<u64>,
    /// The file system has no size, and says so.
    pub sizeless: bool,
    /// Writes of a process that dies may land after its death, until the lock is free.
    pub late_writes: bool,
    /// What happened, by kind.
    pub counts: BTreeMap<&'static str, u64>,
}

/// Completions by which a stalled operation is overtaken, at most.
const STALL_MOST: u64 = 200;
/// As much, of a sync of the slow file.
const SLOW_MOST: u64 = 20_000;

impl Faults {
    /// Whether it happens now, at this rate; counted.
    pub(super) fn happens(&mut self, kind: &'static str, one_in: u64, random: &mut Random) -> bool {
        let happens = one_in > 0 && random.one_in(one_in);
        if happens {
            *self.counts.entry(kind).or_default() += 1;
        }
        happens
    }

    /// Whether a read of these bytes of a file of this name fails.
    pub(super) fn read_error(&mut self, name: &str, bytes: &Range<u64>, random: &mut Random) -> Option<IoError> {
        let is_bad = |(of, bad): &(&str, Range<u64>)| *of == name && bytes.start < bad.end && bad.start < bytes.end;
        let fails = self.bad_bytes.as_ref().is_some_and(is_bad) || self.happens("read error", self.rates.read_error, random);
        fails.then_some(IoError::INPUT_OUTPUT)
    }

    pub(super) fn write_error(&mut self, random: &mut Random) -> Option<IoError> {
        if self.broken || self.happens("write error", self.rates.write_error, random) {
            return Some(IoError::INPUT_OUTPUT);
        }
        self.happens("no space at write", self.rates.no_space_at_write, random).then_some(IoError::NO_SPACE)
    }

    pub(super) fn sync_error(&mut self, random: &mut Random) -> Option<IoError> {
        if self.broken || self.happens("sync error", self.rates.sync_error, random) {
            return Some(IoError::INPUT_OUTPUT);
        }
        self.happens("no space at sync", self.rates.no_space_at_sync, random).then_some(IoError::NO_SPACE)
    }

    pub(super) fn name_error(&mut self, random: &mut Random) -> Option<IoError> {
        self.happens("no space for a name", self.rates.no_space_at_write, random).then_some(IoError::NO_SPACE)
    }

    /// A disk that is full refuses what takes room.
    pub(super) fn full_error(&mut self, takes_room: bool) -> Option<IoError> {
        let refuses = self.full && takes_room;
        if refuses {
            *self.counts.entry("full").or_default() += 1;
        }
        refuses.then_some(IoError::NO_SPACE)
    }

    /// By how many others an operation is overtaken.
    pub(super) fn stall(&mut self, random: &mut Random) -> u64 {
        if self.happens("stall", self.rates.stall, random) { random.below(STALL_MOST) } else { 0 }
    }

    /// By how many others a sync of a file of this name is overtaken.
    pub(super) fn slowness(&self, name: &str, random: &mut Random) -> u64 {
        if self.slow_file == Some(name) { random.below(SLOW_MOST) } else { 0 }
    }
}
