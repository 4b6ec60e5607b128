//! A segment file read batch by batch.

use alloc::string::String;
use bytes::Bytes;

use super::LogError;
use crate::batch::{BATCH_OVERHEAD_BYTES, BatchHeader, StoredRead, read_stored};
use crate::io::Disk;
use crate::segment::scan::{Scan, Scanned};

/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Reads one file, in chunks.
#[derive(Debug)]
pub(super) struct SegmentReader {
    path: String,
    pub(super) length: u64,
    chunk_at: u64,
    chunk: Bytes,
}

impl SegmentReader {
    pub(super) const fn new(path: String, length: u64) -> Self {
        Self { path, length, chunk_at: 0, chunk: Bytes::new() }
    }

    fn bytes(&mut self, disk: &mut dyn Disk, position: u64, length: usize) -> Result<Bytes, LogError> {
        if position >= self.length {
            // The file may not even be there.
            return Ok(Bytes::new());
        }
        let inside = usize::try_from(position.wrapping_sub(self.chunk_at)).ok().filter(|skip| *skip <= self.chunk.len());
        if let Some(skip) = inside
            && self.chunk.len() - skip >= length
        {
            return Ok(self.chunk.slice(skip..));
        }
        let left = usize::try_from(self.length.saturating_sub(position)).unwrap_or(usize::MAX);
        self.chunk = disk.read(&self.path, position, length.max(CHUNK_BYTES).min(left)).map_err(LogError::Unreadable)?;
        self.chunk_at = position;
        Ok(self.chunk.clone())
    }

    /// The whole batch at `position`, its CRC checked. `None` where there is none.
    pub(super) fn batch(&mut self, disk: &mut dyn Disk, position: u64) -> Result<Option<(BatchHeader, Bytes)>, LogError> {
        let mut wanted = BATCH_OVERHEAD_BYTES;
        loop {
            let bytes = self.bytes(disk, position, wanted)?;
            match read_stored(&bytes) {
                StoredRead::Batch(batch) => {
                    let length = batch.bytes.len();
                    return Ok(Some((batch.header, bytes.slice(..length))));
                }
                StoredRead::Incomplete { needed_bytes }
                    if needed_bytes > bytes.len() && position + needed_bytes as u64 <= self.length && needed_bytes > wanted =>
                {
                    wanted = needed_bytes;
                }
                StoredRead::Incomplete { .. } | StoredRead::End | StoredRead::Corrupt(_) => return Ok(None),
            }
        }
    }

    /// Read on with a scan until it is done. Bytes that cannot be read are damage.
    pub(super) fn scan(&mut self, disk: &mut dyn Disk, mut scan: Scan) -> Scanned {
        while let Some((position, length)) = scan.need() {
            let length = length.min(usize::try_from(self.length.saturating_sub(position)).unwrap_or(usize::MAX));
            let bytes = self.bytes(disk, position, length).unwrap_or_default();
            scan.advance(&bytes[..length.min(bytes.len())]);
        }
        scan.into_result()
    }

    /// The header of the batch at `position`, nothing checked. `None` where there is none.
    pub(super) fn header(&mut self, disk: &mut dyn Disk, position: u64) -> Result<Option<BatchHeader>, LogError> {
        let bytes = self.bytes(disk, position, BATCH_OVERHEAD_BYTES)?;
        let header = BatchHeader::parse(&bytes).ok();
        Ok(header.filter(|header| position + header.total_bytes() as u64 <= self.length))
    }
}
