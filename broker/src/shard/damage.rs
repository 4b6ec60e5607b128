//! What the store finds damaged, on its way to the control thread, which says so.
//!
//! Invariant: one such mail is outstanding at a time, so that a disk that falls to pieces fills no mailbox; what is found meanwhile
//! goes with the next, the first ranges in full and the rest as a number.

use alloc::vec::Vec;
use flumen_log::{
    Offset, TopicPartition,
    io::{FileSlice, Thread},
    store::{FaultyRange, Stretch, owner_of},
};

use super::{Place, Shard, Turn};
use crate::mail::Mail;

/// Ranges told in full at once.
const RANGES_TOLD: usize = 16;

/// What is to be told.
#[derive(Debug, Default)]
pub(crate) struct Damages {
    ranges: Vec<(TopicPartition, FaultyRange)>,
    uncleanable: Vec<(TopicPartition, Offset)>,
    more: u64,
    outstanding: bool,
}

impl Shard {
    /// Bytes of a segment could not be read here: its owner is to look at them.
    pub(crate) fn tell_unreadable(&mut self, turn: &mut Turn<'_>, slice: &FileSlice) {
        let (partition, segment) = slice.file.segment;
        let stretch = Stretch { segment, position: slice.position, length: slice.length as usize };
        let owner = owner_of(partition, self.settings.shards);
        self.post(turn, owner, Mail::Unreadable { partition, stretch });
    }

    /// Bytes of a segment could not be read elsewhere: where they cannot be read here either, they are damaged.
    pub(super) fn check_unreadable(&mut self, turn: &mut Turn<'_>, partition: TopicPartition, stretch: Stretch) {
        let Some(place) = self.partitions.get(partition).map(|hosted| hosted.place) else { return };
        self.directories.store_mut(place).doubt(place.slot, stretch, &mut turn.effects.files);
    }

    /// A range of a log turned out to be damaged.
    pub(super) fn range_faulty(&mut self, turn: &mut Turn<'_>, place: Place, range: FaultyRange) {
        let Some(partition) = self.partitions.at(place) else { return };
        if self.damages.ranges.len() < RANGES_TOLD {
            self.damages.ranges.push((partition, range));
        } else {
            self.damages.more += 1;
        }
        self.tell_damages(turn);
    }

    /// A log is not cleaned any more. That happens to each once.
    pub(super) fn log_uncleanable(&mut self, turn: &mut Turn<'_>, place: Place, segment: Offset) {
        let Some(partition) = self.partitions.at(place) else { return };
        self.damages.uncleanable.push((partition, segment));
        self.tell_damages(turn);
    }

    /// The control thread has heard of what was told last.
    pub(super) fn damages_told(&mut self, turn: &mut Turn<'_>) {
        self.damages.outstanding = false;
        self.tell_damages(turn);
    }

    fn tell_damages(&mut self, turn: &mut Turn<'_>) {
        if self.damages.outstanding || (self.damages.ranges.is_empty() && self.damages.uncleanable.is_empty()) {
            return;
        }
        self.damages.outstanding = true;
        let (ranges, more) = (core::mem::take(&mut self.damages.ranges), core::mem::take(&mut self.damages.more));
        let uncleanable = core::mem::take(&mut self.damages.uncleanable);
        turn.effects.mail.push((Thread::Control, Mail::DamageFound { ranges, more, uncleanable }));
    }
}
