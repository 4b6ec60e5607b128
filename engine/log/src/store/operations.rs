//! What each outstanding operation of a store is for.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;

use super::{LookupId, PartitionSlot};
use crate::Offset;
use crate::io::{FileHandle, FileOperation, Io, OperationId, Owner, SegmentFile};
use crate::journal::JournalFileName;

/// What a completion is to be judged as.
#[derive(Debug)]
pub(crate) enum Pending {
    SegmentOpened {
        slot: PartitionSlot,
        base: Offset,
    },
    SegmentWrite {
        slot: PartitionSlot,
        write: u64,
    },
    SegmentRead {
        lookup: LookupId,
        base: Offset,
        position: u64,
        length: usize,
    },
    SidecarOpened {
        lookup: LookupId,
        base: Offset,
    },
    SidecarRead {
        lookup: LookupId,
        base: Offset,
        handle: FileHandle,
    },
    /// One of the syncs of a checkpoint.
    Synced {
        slot: PartitionSlot,
    },
    /// Nothing depends on it, not even on its success.
    Advice,
    /// What was reserved for a segment is given back.
    Trimmed {
        slot: PartitionSlot,
    },
    Journal {
        sequence: u64,
    },
    /// The header of a journal file that is to be used again.
    JournalHeader {
        number: u32,
    },
    FreeSpace,
    /// The cleaning's.
    Compaction,
    /// A log's that is to end earlier.
    Truncation {
        slot: PartitionSlot,
    },
}

/// What a script was for.
#[derive(Debug)]
pub(crate) enum Then {
    Created {
        slot: PartitionSlot,
    },
    /// Nothing is left of what could not be made for want of space.
    CreationUndone {
        slot: PartitionSlot,
    },
    StateRecorded {
        slot: PartitionSlot,
    },
    Renamed {
        slot: PartitionSlot,
        to: String,
    },
    CacheWritten {
        slot: PartitionSlot,
    },
    /// The files of a cleaning that was given up are gone.
    CleaningUndone {
        slot: PartitionSlot,
    },
    /// The sidecars of a checkpoint.
    FootersWritten {
        slot: PartitionSlot,
    },
    /// The states of the producers at an offset.
    SnapshotWritten {
        slot: PartitionSlot,
        offset: Offset,
    },
    SegmentDropped {
        slot: PartitionSlot,
    },
    Unlinked,
    /// The files are as the truncated log is.
    Truncated {
        slot: PartitionSlot,
    },
    ClockRecorded,
    JournalFileMade {
        name: JournalFileName,
    },
    JournalFileOpened {
        name: JournalFileName,
        direct: bool,
    },
    Marked,
    Repaired {
        slot: PartitionSlot,
        range: super::FaultyRange,
    },
    /// A manifest is whole, under another name.
    ManifestWritten,
    /// It has its name.
    ManifestRecorded,
    /// Cleaned segments are in their place.
    Replaced,
}

/// The operations outstanding that are not a script's.
#[derive(Debug)]
pub(crate) struct Operations {
    pub(crate) owner: Owner,
    /// With the file that an operation is on, which is not closed before its completion.
    pending: BTreeMap<u64, (Pending, Option<Arc<SegmentFile>>)>,
}

impl Operations {
    pub(crate) const fn new(owner: Owner) -> Self {
        Self { owner, pending: BTreeMap::new() }
    }

    /// Ask for an operation.
    pub(crate) fn ask(&mut self, kind: FileOperation, pending: Pending, io: &mut Io) {
        let id = io.ask(self.owner, kind);
        self.expect(id, pending);
    }

    /// Ask for an operation on a segment's file.
    pub(crate) fn ask_on(&mut self, file: Arc<SegmentFile>, kind: FileOperation, pending: Pending, io: &mut Io) {
        let id = io.ask(self.owner, kind);
        self.pending.insert(id.sequence, (pending, Some(file)));
    }

    /// An operation was asked for elsewhere.
    pub(crate) fn expect(&mut self, id: OperationId, pending: Pending) {
        self.pending.insert(id.sequence, (pending, None));
    }

    /// What this completion is for.
    pub(crate) fn take(&mut self, sequence: u64) -> Option<Pending> {
        self.pending.remove(&sequence).map(|(pending, _)| pending)
    }

    /// Whether nothing is outstanding.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}
