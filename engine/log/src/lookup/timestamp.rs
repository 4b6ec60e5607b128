//! The first record with a timestamp of at least so much (L02, L03), exact to the record, also inside compressed batches.

use super::{Chunk, Need, Step, Walk, chunk_at, header_at, readable_bytes};
use crate::batch::{BatchHeader, RecordBatch, StoredRead, read_stored};
use crate::partition::PartitionLog;
use crate::store::{Stretch, TimestampLookup, TimestampOffset};
use crate::{Offset, Timestamp};
use bytes::Bytes;

/// Most bytes a batch may become when it is decompressed to be looked into.
const DECOMPRESSED_BYTES_MAX: usize = 256 << 20;

/// What is looked for, and how far the search is.
#[derive(Clone, Debug)]
pub(crate) struct TimestampRequest {
    pub(crate) timestamp: Timestamp,
    pub(crate) below: Offset,
    /// Segments before this one are done.
    pub(crate) segment_from: Offset,
    /// Batches before this place of it are done.
    pub(crate) walk: Option<Walk>,
}

/// Take a step.
pub(crate) fn find_timestamp(log: &PartitionLog, request: &mut TimestampRequest, chunk: Option<&Chunk>) -> Step<TimestampLookup> {
    if log.offline {
        return Step::Done(TimestampLookup::Failed);
    }
    loop {
        let candidates = log.segments.range(request.segment_from..);
        let mut late_enough = candidates.filter(|(_, segment)| {
            segment.next_offset > log.log_start && segment.max_timestamp >= request.timestamp && segment.bytes > 0
        });
        let Some((base, segment)) = late_enough.next() else { return Step::Done(TimestampLookup::None) };
        if *base != request.segment_from {
            request.walk = None;
        }
        request.segment_from = *base;
        let Some(index) = &segment.index else { return Step::Need(Need::Index(*base)) };
        if segment.file().is_none() {
            return Step::Need(Need::Open(*base));
        }
        let start = match index.floor(index.search_from(request.timestamp)) {
            Some(entry) => Walk { position: u64::from(entry.position), offset: Some(index.absolute(entry.relative_base)) },
            None => Walk { position: 0, offset: Some(*base) },
        };
        let mut walk = request.walk.unwrap_or(start);
        let readable = readable_bytes(log, *base);
        while walk.position < readable {
            request.walk = Some(walk);
            let position = walk.position;
            if let Some(part) = segment.part_to_check(position, position + 1) {
                return Step::Need(Need::Check(part));
            }
            if log.faults.ranges().iter().any(|fault| fault.holds(*base, position)) {
                return Step::Done(TimestampLookup::Corrupt);
            }
            // What is faulty may not even be readable.
            let behind = log.faults.ranges().iter().find(|fault| fault.segment == *base && fault.position > position);
            let readable = behind.map_or(readable, |fault| fault.position);
            let header = match header_at(chunk, *base, position, readable) {
                Some(Ok(header)) => header,
                Some(Err(need)) => return Step::Need(need),
                None => return Step::doubt(*base, position),
            };
            if !walk.meets(&header, segment.sparse) {
                return Step::doubt(*base, position);
            }
            if header.base_offset >= request.below {
                return Step::Done(TimestampLookup::None);
            }
            if header.max_timestamp >= request.timestamp && header.last_offset() >= log.log_start {
                let length = header.total_bytes();
                let Some(batch) = chunk_at(chunk, *base, position).filter(|bytes| bytes.len() >= length) else {
                    let read = chunk.is_some_and(|(_, from, data)| *from == position && data.len() >= length);
                    let need = Need::Read { base: *base, position, length };
                    return if read { Step::Done(TimestampLookup::Failed) } else { Step::Need(need) };
                };
                match find_record(&header, &batch.slice(..length), request, log.log_start) {
                    Some(TimestampLookup::None) => {}
                    Some(found) => return Step::Done(found),
                    None => return Step::Doubt(Stretch { segment: *base, position, length }),
                }
            }
            walk = walk.past(&header);
        }
        request.walk = None;
        request.segment_from = base.next();
    }
}

/// The first record of the batch that will do. `None` if the batch cannot be read.
fn find_record(header: &BatchHeader, batch: &Bytes, request: &TimestampRequest, log_start: Offset) -> Option<TimestampLookup> {
    // Read, but never checked: what was appended in this life is not.
    let StoredRead::Batch(_) = read_stored(batch) else { return None };
    let records = RecordBatch::records(batch, DECOMPRESSED_BYTES_MAX).ok()?;
    for record in records.views() {
        let record = record.ok()?;
        let (timestamp, offset) = (record.timestamp(header), record.offset(header));
        if timestamp >= request.timestamp && offset >= log_start {
            let found = TimestampOffset { timestamp, offset, epoch: header.partition_leader_epoch };
            return Some(if offset < request.below { TimestampLookup::Found(found) } else { TimestampLookup::None });
        }
    }
    Some(TimestampLookup::None)
}
