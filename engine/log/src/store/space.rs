//! Free space: no append is taken below the floor, and what the disk refused for want of room is asked for again once there is some.
//!
//! Invariants: what is taken between two looks is never more than the last look left, and little beside the floor, in case that
//! somebody else takes room, too; a refused write has changed nothing, so asking again is no retry of something that may be half
//! done. A sync that fails for want of space fails the directory like any other.

use alloc::collections::BTreeSet;

use super::operations::Then;
use super::script::Step;
use super::{PartitionSlot, Pending, Store};
use crate::Offset;
use crate::io::{FileOperation, Io, IoError};
use crate::journal::JournalFileName;
use crate::partition::Life;

/// So many times as much as the shards take together before one looks again is the floor.
const LOOKS_A_FLOOR: u64 = 8;
/// With a low floor one does not look after less than this.
const UNSEEN_BYTES_MIN: u64 = 16 << 20;

/// The file system of the log directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// Its size.
    pub total_bytes: u64,
    /// What of it is free for us.
    pub free_bytes: u64,
}

/// What was refused for want of space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Refused {
    /// A segment's file could not be made.
    Segment(PartitionSlot, Offset),
    /// A write to a segment.
    Write(PartitionSlot, u64),
    /// The new name of a removed partition's directory.
    Rename(PartitionSlot),
}

/// What a store knows of the room it has.
#[derive(Debug)]
pub(super) struct Room {
    space: Option<Space>,
    /// Bytes of batches that may still be taken.
    left_bytes: u64,
    /// Bytes of batches that may be taken before the next look.
    unseen_bytes: u64,
    refused: BTreeSet<Refused>,
    /// The journal found no room to grow.
    journal_waits: bool,
}

impl Room {
    pub(super) const fn new() -> Self {
        // The first look comes with the first tick.
        Self { space: None, left_bytes: u64::MAX, unseen_bytes: u64::MAX, refused: BTreeSet::new(), journal_waits: false }
    }

    /// An append was taken. Whether it is time to look, because it was the last for which there is room, as far as is known, or
    /// much was taken since.
    pub(super) const fn take(&mut self, bytes: usize) -> bool {
        self.left_bytes = self.left_bytes.saturating_sub(bytes as u64);
        self.unseen_bytes = self.unseen_bytes.saturating_sub(bytes as u64);
        self.left_bytes == 0 || self.unseen_bytes == 0
    }

    /// Whether the journal needs a file for which there was no room.
    pub(super) const fn journal_waits(&self) -> bool {
        self.journal_waits
    }

    /// Whether what is written is written.
    pub(super) fn holds_nothing_back(&self) -> bool {
        self.refused.is_empty()
    }
}

impl Store {
    /// What the file system had when it was last asked.
    #[must_use]
    pub const fn space(&self) -> Option<Space> {
        self.room.space
    }

    /// Whether free space is over its floor.
    #[must_use]
    pub const fn has_space(&self) -> bool {
        self.room.left_bytes > 0
    }

    /// Whether the journal may take another file's worth.
    pub(super) const fn has_space_for_journal(&self) -> bool {
        self.room.left_bytes >= self.settings.journal_file_bytes
    }

    /// What may be taken yet.
    pub(super) const fn left_bytes(&self) -> u64 {
        self.room.left_bytes
    }

    /// Ask what is free.
    pub(super) fn look_at_space(&mut self, io: &mut Io) {
        let shards = u64::from(self.settings.shards.max(1));
        self.room.unseen_bytes = (self.settings.free_space_floor_bytes / shards / LOOKS_A_FLOOR).max(UNSEEN_BYTES_MIN);
        self.operations.ask(FileOperation::FreeSpace, Pending::FreeSpace, io);
    }

    /// So much is free. The floor covers what a start would write again: the live bytes of all shards' journals here.
    pub(super) fn space_is(&mut self, free_bytes: u64, total_bytes: u64, io: &mut Io) {
        // A file system that has no size (a ramfs) says nothing about its room: what is refused then is found out by writing.
        let says = total_bytes > 0;
        self.room.space = says.then_some(Space { total_bytes, free_bytes });
        let shards = u64::from(self.settings.shards.max(1));
        let floor_bytes = self.settings.free_space_floor_bytes.saturating_add(self.journal.used_bytes().saturating_mul(shards));
        self.room.left_bytes = if says { free_bytes.saturating_sub(floor_bytes) / shards } else { u64::MAX };
        if core::mem::take(&mut self.room.journal_waits) {
            self.journal.grow_again();
        }
        // What was taken before may use what is kept in reserve.
        if free_bytes > 0 || !says {
            self.ask_again(io);
        }
    }

    /// The disk is full, whatever it said before.
    pub(super) fn space_is_out(&mut self) {
        self.room.left_bytes = 0;
    }

    /// An operation was refused for want of space, and will be asked for again. False if that cannot be.
    pub(super) fn hold_back(&mut self, pending: &Pending, error: IoError) -> bool {
        let refused = match *pending {
            Pending::SegmentWrite { slot, write } => Refused::Write(slot, write),
            _ => return false,
        };
        error.is_no_space() && self.refuse_for_space(refused)
    }

    fn refuse_for_space(&mut self, refused: Refused) -> bool {
        let is_held = self.refuse(refused);
        if is_held {
            self.space_is_out();
        }
        is_held
    }

    fn refuse(&mut self, refused: Refused) -> bool {
        if self.is_stopping() {
            return false;
        }
        match refused {
            // Nobody wants the bytes of a partition that goes.
            Refused::Write(slot, write) if self.log(slot).is_none_or(|log| log.life != Life::Ready) => {
                self.log_written(slot, |log| log.abandon_write(write));
            }
            refused => {
                self.room.refused.insert(refused);
            }
        }
        true
    }

    /// As [`Store::hold_back`], of a segment's file that could not be made or opened; that there are too many open files passes, too.
    pub(super) fn hold_segment_back(&mut self, slot: PartitionSlot, base: Offset, error: IoError) -> bool {
        if error.is_no_file_left() {
            return self.refuse(Refused::Segment(slot, base));
        }
        error.is_no_space() && self.refuse_for_space(Refused::Segment(slot, base))
    }

    /// As [`Store::hold_back`], of the new name of a removed partition.
    pub(super) fn hold_rename_back(&mut self, slot: PartitionSlot) -> bool {
        self.refuse_for_space(Refused::Rename(slot))
    }

    /// A journal file could not be made: what there is of it goes. False if there is no journal without it, and never will be.
    pub(super) fn journal_file_not_made(&mut self, name: JournalFileName, refused_for_space: bool, io: &mut Io) -> bool {
        self.scripts.start([Step::Unlink(name.path())], Then::Unlinked, io);
        self.room.journal_waits = refused_for_space;
        self.journal.stop_growing() || self.room.journal_waits
    }

    /// The partition is to be removed: what was refused of it is not asked for again.
    pub(super) fn forget_refused(&mut self, slot: PartitionSlot) {
        let of_slot = |refused: &Refused| match refused {
            Refused::Write(other, _) | Refused::Segment(other, _) | Refused::Rename(other) => *other == slot,
        };
        for refused in self.room.refused.extract_if(.., of_slot).collect::<BTreeSet<_>>() {
            if let Refused::Write(_, write) = refused {
                self.log_written(slot, |log| log.abandon_write(write));
            }
        }
    }

    fn ask_again(&mut self, io: &mut Io) {
        for refused in core::mem::take(&mut self.room.refused) {
            match refused {
                Refused::Segment(slot, base) => self.submit_writes(slot, base, io),
                Refused::Write(slot, write) => {
                    let rest = self.log(slot).and_then(|log| log.write_again(write));
                    if let Some(rest) = rest {
                        self.operations.ask_on(rest.file, rest.operation, Pending::SegmentWrite { slot, write }, io);
                    }
                }
                Refused::Rename(slot) => self.rename_removed(slot, io),
            }
        }
    }
}
