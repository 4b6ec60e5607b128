//! Which producer snapshots of a log there are, and which of them must stay.
//!
//! A snapshot is a cache as long as the batches it was made from are there. Of those that were deleted it is all that is left, so
//! before a log's start moves past the end of a segment a snapshot from there, or from further on, must be on stable storage, at an
//! offset that no crash takes back: else the window of a producer goes with its records, and a batch sent again is stored again.
//!
//! Invariant: the newest of those snapshots is never removed. Does not write: the store does.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::Offset;

/// Snapshots kept, at least; older ones are removed when newer ones can take their place.
const KEPT: usize = 2;

/// What is known of one on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// A start found it, or it found no room: nothing says that it is whole.
    Doubtful,
    /// It is being written.
    Coming,
    /// It is on stable storage, its name too.
    Stable,
    /// There was no room for it, when what was deleted was to make some.
    NoRoom,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Snapshot {
    offset: Offset,
    stage: Stage,
}

/// The snapshots of one log.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// On disk or on their way, oldest first.
    known: VecDeque<Snapshot>,
    /// To be written.
    due: Vec<(Offset, Bytes)>,
}

impl Snapshots {
    /// Those that recovery found, in order; one of them is known to be whole and stable.
    pub(crate) fn found(offsets: impl Iterator<Item = Offset>, stable: Option<Offset>) -> Self {
        let stage = |offset| if stable == Some(offset) { Stage::Stable } else { Stage::Doubtful };
        Self { known: offsets.map(|offset| Snapshot { offset, stage: stage(offset) }).collect(), due: Vec::new() }
    }

    /// Have one written, if there is none of this offset: one that is stable must not be torn by being written again.
    pub(crate) fn make(&mut self, offset: Offset, content: impl FnOnce() -> Bytes) {
        if self.is_coming(offset) {
            return;
        }
        if self.known.back().is_some_and(|last| last.offset == offset) {
            self.known.pop_back();
        }
        self.known.push_back(Snapshot { offset, stage: Stage::Coming });
        self.due.push((offset, content()));
    }

    pub(crate) fn take_due(&mut self) -> Vec<(Offset, Bytes)> {
        core::mem::take(&mut self.due)
    }

    /// None is written any more.
    pub(crate) fn clear_due(&mut self) {
        self.due.clear();
    }

    /// One was written, and its name.
    pub(crate) fn written(&mut self, offset: Offset) {
        self.note(offset, Stage::Stable);
    }

    /// There was no room for one. `deletes`: something is to be deleted as soon as it is there.
    pub(crate) fn found_no_room(&mut self, offset: Offset, deletes: bool) {
        self.note(offset, if deletes { Stage::NoRoom } else { Stage::Doubtful });
    }

    fn note(&mut self, offset: Offset, stage: Stage) {
        for snapshot in self.known.iter_mut().filter(|snapshot| snapshot.offset == offset) {
            snapshot.stage = stage;
        }
    }

    /// Whether one from `from` on is there, or on its way.
    pub(crate) fn is_coming(&self, from: Offset) -> bool {
        self.known.back().is_some_and(|last| last.offset >= from && last.stage != Stage::Doubtful)
    }

    /// Whether what lies before `gone` may go, when all up to `durable` stays. Where there is no room for a snapshot it must: what is
    /// deleted makes room. That holds for this once, and the next time it is tried again.
    pub(crate) fn covers(&mut self, gone: Offset, durable: Offset) -> bool {
        let has = |snapshots: &Self, stage| {
            let later = snapshots.known.iter().rev().take_while(|snapshot| snapshot.offset >= gone);
            later.filter(|snapshot| snapshot.offset <= durable).any(|snapshot| snapshot.stage == stage)
        };
        if has(self, Stage::Stable) {
            return true;
        }
        let excused = has(self, Stage::NoRoom);
        for snapshot in self.known.iter_mut().filter(|snapshot| excused && snapshot.stage == Stage::NoRoom) {
            snapshot.stage = Stage::Doubtful;
        }
        excused
    }

    /// One that a newer one has taken the place of; it is to be removed. Not while it is on its way to the disk: nobody would know
    /// whether it or its removal came last.
    pub(crate) fn pop_superseded(&mut self, durable: Offset) -> Option<Offset> {
        let goes = |oldest: &&Snapshot| self.known.len() > KEPT && oldest.stage != Stage::Coming;
        let oldest = self.known.front().filter(goes)?.offset;
        let supersedes = |snapshot: &Snapshot| snapshot.stage == Stage::Stable && snapshot.offset <= durable;
        self.known.iter().skip(1).any(supersedes).then_some(())?;
        self.known.pop_front();
        Some(oldest)
    }

    /// The log ends at `end` now: those from behind it go. Their offsets.
    pub(crate) fn truncate_from_end(&mut self, end: Offset) -> Vec<Offset> {
        let kept = self.known.partition_point(|snapshot| snapshot.offset <= end);
        self.due.retain(|(offset, _)| *offset <= end);
        self.known.drain(kept..).map(|snapshot| snapshot.offset).collect()
    }

    /// Where they are.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = Offset> + '_ {
        self.known.iter().map(|snapshot| snapshot.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(snapshots: &Snapshots) -> Vec<i64> {
        snapshots.offsets().map(|offset| offset.0).collect()
    }

    #[test]
    fn what_was_found_counts_only_if_it_is_known_to_be_whole() {
        let mut snapshots = Snapshots::found([Offset(10), Offset(20)].into_iter(), Some(Offset(10)));
        assert!(snapshots.covers(Offset(10), Offset(30)));
        assert!(!snapshots.covers(Offset(20), Offset(30)) && !snapshots.is_coming(Offset(20)));
        snapshots.make(Offset(20), Bytes::new);
        assert_eq!((snapshots.take_due().len(), offsets(&snapshots)), (1, [10, 20].into()));
        assert!(!snapshots.covers(Offset(20), Offset(30)), "it is being written");
        snapshots.written(Offset(20));
        assert!(snapshots.covers(Offset(20), Offset(30)) && !snapshots.covers(Offset(20), Offset(19)));
        snapshots.make(Offset(20), || unreachable!("a stable one is not written over"));
    }

    #[test]
    fn the_newest_that_no_crash_takes_back_stays() {
        let mut snapshots = Snapshots::default();
        for offset in [10, 20, 30, 40] {
            snapshots.make(Offset(offset), Bytes::new);
        }
        assert_eq!(snapshots.pop_superseded(Offset(99)), None, "none of them is stable");
        snapshots.written(Offset(20));
        assert_eq!(snapshots.pop_superseded(Offset(99)), None, "the first is still on its way");
        snapshots.written(Offset(10));
        snapshots.written(Offset(30));
        snapshots.found_no_room(Offset(40), true);
        assert_eq!(snapshots.pop_superseded(Offset(19)), None, "the log may end at 19");
        assert_eq!(snapshots.pop_superseded(Offset(20)), Some(Offset(10)));
        assert_eq!(snapshots.pop_superseded(Offset(20)), None);
        assert_eq!(snapshots.pop_superseded(Offset(40)), Some(Offset(20)));
        assert_eq!(snapshots.pop_superseded(Offset(40)), None, "two are kept");
        assert!(snapshots.covers(Offset(40), Offset(40)), "there was no room for it");
        assert!(!snapshots.covers(Offset(40), Offset(40)) && !snapshots.is_coming(Offset(40)), "there may be by now");
        snapshots.make(Offset(40), || Bytes::from_static(b"again"));
        assert_eq!(snapshots.take_due().last(), Some(&(Offset(40), Bytes::from_static(b"again"))));
        snapshots.found_no_room(Offset(40), false);
        assert!(!snapshots.covers(Offset(40), Offset(40)), "nothing was to be deleted");
    }
}
