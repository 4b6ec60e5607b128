//! A clean stop: everything durable, every D at its log's end, the caches written, and last of all a mark that says so.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

use super::operations::Then;
use super::script::{Step, write_file};
use super::{PartitionSlot, Store};
use crate::codec::{Fields, begin_sealed, seal};
use crate::io::{Io, IoError, OpenMode};
use crate::segment::{Segment, SegmentHandle};
use crate::{Now, ShardId};

/// How far the stop is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    Running,
    /// What was appended becomes durable, and D follows.
    Draining,
    /// Caches are being written.
    Caching,
    /// The mark is being written.
    Marking,
    /// Files are being closed.
    Closing,
}

impl Store {
    /// Take no more appends, make everything durable and leave the mark of a clean stop.
    pub fn stop(&mut self, now: Now, io: &mut Io) {
        if self.stop == Stop::Running {
            self.stop = Stop::Draining;
            if !self.room.holds_nothing_back() {
                // There is no waiting for space any more; what was acknowledged is in the journal.
                self.fail(IoError::NO_SPACE);
            }
            self.advance_stop(now, io);
        }
    }

    /// After [`Store::stop`]: whether all is done and nothing is outstanding.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        let quiet = self.operations.is_empty() && self.scripts.is_empty();
        quiet && (self.stop == Stop::Closing || (self.failed.is_some() && self.is_stopping()))
    }

    /// Whether it was told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop != Stop::Running
    }

    pub(super) fn advance_stop(&mut self, _now: Now, io: &mut Io) {
        if self.failed.is_some() || !self.is_stopping() {
            return;
        }
        // Time does nothing any more; files may have become free.
        self.scripts.resume(io);
        if self.stop == Stop::Draining && self.is_drained() {
            let behind: Vec<PartitionSlot> = self.slots().into_iter().filter(|slot| self.is_behind(*slot)).collect();
            if behind.is_empty() {
                self.stop = Stop::Caching;
                self.write_last_caches(io);
            } else {
                self.checkpoints_due.extend(behind);
                self.start_checkpoints(io);
            }
        } else if self.stop == Stop::Draining && self.is_stuck() {
            return self.fail(IoError::NO_SPACE);
        }
        if self.stop == Stop::Caching && self.scripts.is_empty() {
            self.stop = Stop::Marking;
            let mark = CleanMark { shard: self.settings.shard, shards: self.settings.shards, generation: self.generation };
            let content = Bytes::from(mark.encode());
            let steps = write_file(mark.path(), OpenMode::CreateEmpty, 0, content, true);
            self.scripts.start(steps.chain([Step::SyncDirectory(String::new())]), Then::Marked, io);
        }
        if self.stop == Stop::Closing {
            self.close_everything(io);
        }
    }

    pub(super) fn marked(&mut self) {
        self.stop = Stop::Closing;
    }

    /// Whether nothing of what was asked for before the stop is left to do.
    fn is_drained(&self) -> bool {
        let quiet = |log: &crate::partition::PartitionLog| {
            log.truncation.is_none() && log.writes.is_empty() && !log.segments.values().any(Segment::is_opening)
        };
        self.turn.is_empty()
            && self.journal.is_idle()
            && self.checkpoints_running == 0
            && self.checkpoints_due.is_empty()
            && self.starts_wanted.is_empty()
            && self.removing.is_empty()
            && self.truncations.is_empty()
            && self.compactor.is_idle()
            && self.scripts.is_empty()
            && self.partitions.iter().flatten().all(quiet)
    }

    /// Whether the journal has no room, and nothing is under way that could make any: nobody looks for it now.
    fn is_stuck(&self) -> bool {
        self.room.journal_waits() && self.operations.is_empty() && self.scripts.is_empty()
    }

    fn is_behind(&self, slot: PartitionSlot) -> bool {
        self.log(slot)
            .is_some_and(|log| !log.offline && (log.point.offset < log.log_end || log.wants.any() || !log.footers_due.is_empty()))
    }

    /// The caches of the active segments, and the producer states.
    fn write_last_caches(&mut self, io: &mut Io) {
        for slot in self.slots() {
            let Some(log) = self.log_mut(slot).filter(|log| !log.offline) else { continue };
            if !core::mem::take(&mut log.caches_stale) {
                continue;
            }
            log.snapshot_producers();
            let active = log.active();
            let caches = active.map(super::turn::index_files).unwrap_or_default();
            let checks = active.and_then(super::turn::checks_file);
            log.caches.extend(caches.into_iter().chain(checks));
            self.write_caches(slot, io);
        }
    }

    fn close_everything(&mut self, io: &mut Io) {
        let mut handles = self.journal.take_handles();
        for log in self.partitions.iter_mut().flatten() {
            for segment in log.segments.values_mut() {
                if segment.may_close()
                    && let SegmentHandle::Open(file) = core::mem::replace(&mut segment.handle, SegmentHandle::Closed)
                {
                    handles.push(file.handle);
                }
            }
        }
        for handle in handles {
            self.close(handle, io);
        }
        self.close_doomed(io);
    }
}

/// The mark of a clean stop. It counts only if every shard of that run left one; start-up removes it before the first write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CleanMark {
    pub(crate) shard: ShardId,
    pub(crate) shards: u16,
    pub(crate) generation: u64,
}

/// What the names of clean-stop marks start with. No directory of a partition is called so: those end with a dash and a number.
pub(crate) const CLEAN_MARK_PREFIX: &str = "clean-stop.";

const MAGIC: [u8; 8] = *b"flumenCS";
const BYTES: usize = 24;

impl CleanMark {
    pub(crate) fn path(&self) -> String {
        alloc::format!("{CLEAN_MARK_PREFIX}{}", self.shard)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = begin_sealed(MAGIC, BYTES);
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.shard.0.to_be_bytes());
        bytes.extend_from_slice(&self.shards.to_be_bytes());
        seal(&mut bytes);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::sealed(bytes.get(..BYTES)?, MAGIC)?;
        let generation = fields.counted()?;
        let shard = ShardId(u16::from_be_bytes(fields.array()?));
        Some(Self { shard, shards: u16::from_be_bytes(fields.array()?), generation })
    }
}
