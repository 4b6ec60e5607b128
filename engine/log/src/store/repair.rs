//! A faulty range put back, byte by byte: the hook by which a replica, or an operator's copy, mends what a disk has lost.
//!
//! Invariants: bytes are written only where all of them are proven to be what the range held, and only below the recorded D; the
//! range is served again when they are on stable storage. Doing it twice, or again after a crash in the middle, is the same as once.

use alloc::vec::Vec;
use bytes::Bytes;

use super::operations::Then;
use super::script::{Step, write_file};
use super::{FaultyRange, Output, PartitionSlot, Store};
use crate::io::{Io, IoError, OpenMode};
use crate::segment::check::restores;

/// Why a repair was not begun. Nothing was touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RepairError {
    /// No faulty range of this log is that one.
    UnknownRange,
    /// It is not wholly below the recorded durable point.
    NotDurable,
    /// The bytes are not what the range held.
    OtherBytes,
    /// The partition or its log directory is offline.
    Offline,
    /// The log is being made to end earlier: what is damaged may go.
    Truncating,
    /// Segments give way to one that was compacted: what is damaged may go.
    Replacing,
}

impl Store {
    /// Put the bytes of a faulty range back; [`Output::RangeRepaired`] follows.
    ///
    /// # Errors
    /// It was not begun.
    pub fn repair(&mut self, slot: PartitionSlot, range: &FaultyRange, bytes: Bytes, io: &mut Io) -> Result<(), RepairError> {
        let failed = self.failed.is_some();
        let log = self.log_mut(slot).filter(|log| log.is_ready() && !failed).ok_or(RepairError::Offline)?;
        if log.truncation.is_some() {
            return Err(RepairError::Truncating);
        }
        if log.swapping {
            return Err(RepairError::Replacing);
        }
        if !log.faults.ranges().contains(range) {
            return Err(RepairError::UnknownRange);
        }
        if range.to > log.point.offset {
            return Err(RepairError::NotDurable);
        }
        if !restores(range, &bytes) {
            return Err(RepairError::OtherBytes);
        }
        log.scripts += 1;
        let path = log.segment_path(range.segment, "log");
        let steps = write_file(path, OpenMode::ReadWrite, range.position, bytes, true);
        self.scripts.start(steps.collect::<Vec<Step>>(), Then::Repaired { slot, range: *range }, io);
        Ok(())
    }

    /// The bytes are on stable storage, or are not.
    pub(super) fn repaired(
        &mut self,
        slot: PartitionSlot,
        range: FaultyRange,
        result: Result<(), IoError>,
        outputs: &mut Vec<Output>,
    ) {
        let Some(log) = self.log_mut(slot) else { return };
        log.scripts -= 1;
        let gone = !log.segments.contains_key(&range.segment);
        match result {
            Ok(()) => {
                if log.faults.remove(range.from, range.to) {
                    outputs.push(Output::RangeRepaired { slot, range });
                }
            }
            // Retention was faster.
            Err(IoError::NOT_FOUND) if gone => {}
            Err(error) => self.fail(error),
        }
    }
}
