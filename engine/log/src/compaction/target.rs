//! The new segment of a group while it is being written, under a name of its own.

use alloc::{string::String, vec::Vec};
use bytes::Bytes;

use super::cleaned_file_name;
use crate::Offset;
use crate::batch::BatchHeader;
use crate::io::{FileHandle, FileOperation, FilePath, OpenMode, Outcome, SyncScope, WriteData, WriteMode};
use crate::segment::index::SegmentIndex;

/// Write-back starts whenever so much was written, so that the sync at the end finds little to do.
const WRITE_OUT_BYTES: u64 = 4 << 20;

/// A segment in the making.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) base: Offset,
    pub(crate) generation: u64,
    path: FilePath,
    buffer_bytes: usize,
    pub(crate) handle: Option<FileHandle>,
    /// Batches that no write was asked for yet.
    pending: Vec<u8>,
    /// What the write outstanding was asked to write, or what it left over.
    in_flight: Bytes,
    written: u64,
    written_out: u64,
    synced: bool,
    pub(crate) length: u64,
    pub(crate) index: SegmentIndex,
}

impl Target {
    pub(crate) fn new(directory: &str, base: Offset, generation: u64, index_interval_bytes: u32, buffer_bytes: usize) -> Self {
        let mut path = String::from(directory);
        path.push('/');
        path.push_str(&cleaned_file_name(base, "log", generation));
        Self {
            base,
            generation,
            path,
            buffer_bytes,
            handle: None,
            pending: Vec::new(),
            in_flight: Bytes::new(),
            written: 0,
            written_out: 0,
            synced: false,
            length: 0,
            index: SegmentIndex::new(base, index_interval_bytes),
        }
    }

    /// Put a batch at the end.
    pub(crate) fn append(&mut self, header: &BatchHeader, body: &Bytes) {
        self.index.note(header, self.length);
        self.pending.extend_from_slice(&header.encode());
        self.pending.extend_from_slice(body);
        self.length += header.total_bytes() as u64;
    }

    /// What must be done before more is put at the end.
    pub(crate) fn flush(&mut self) -> Option<FileOperation> {
        if self.pending.len() >= self.buffer_bytes.max(1) { self.write() } else { None }
    }

    /// What must be done before the file is whole and on stable storage.
    pub(crate) fn finish(&mut self) -> Option<FileOperation> {
        let operation = self.write();
        if operation.is_some() || self.synced {
            return operation;
        }
        self.handle.map(|file| FileOperation::Sync { file, scope: SyncScope::All })
    }

    fn write(&mut self) -> Option<FileOperation> {
        let Some(file) = self.handle else {
            return Some(FileOperation::Open { path: self.path.clone(), mode: OpenMode::CreateEmpty });
        };
        if self.written - self.written_out >= WRITE_OUT_BYTES {
            let offset = core::mem::replace(&mut self.written_out, self.written);
            return Some(FileOperation::WriteOut { file, offset, length: self.written - offset });
        }
        if self.in_flight.is_empty() {
            self.in_flight = Bytes::from(core::mem::take(&mut self.pending));
        }
        if self.in_flight.is_empty() {
            return None;
        }
        let data = WriteData::Gathered(Vec::from([self.in_flight.clone()]));
        Some(FileOperation::Write { file, offset: self.written, data, mode: WriteMode::Queued })
    }

    /// Take what came of the operation asked for last. Whether it can be that.
    pub(crate) fn take(&mut self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Opened { file, .. } => self.handle = Some(*file),
            Outcome::Written { bytes } if *bytes > 0 && *bytes <= self.in_flight.len() as u64 => {
                self.written += bytes;
                let _ = self.in_flight.split_to(usize::try_from(*bytes).unwrap_or_default());
            }
            // A sync is asked for only when all is written.
            Outcome::Done => self.synced = self.written == self.length && self.pending.is_empty() && self.in_flight.is_empty(),
            _ => return false,
        }
        true
    }
}
