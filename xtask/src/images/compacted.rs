//! What must hold of a compacted log that recovery found, against what was appended to it.
//!
//! A batch that is there is as it was appended, or, below what was acknowledged, what the cleaner left of it: records of it at
//! their offsets. Of every key the last record is there, unless it is a tombstone that may go; an older one in its place would be a
//! value that came back. Segments end where the next ones start.

use super::oracle::Batch;
use bytes::Bytes;
use flumen_log::Offset;
use flumen_log::batch::{BatchHeader, Record, RecordBatch, StoredRead, read_stored};
use std::collections::BTreeMap;
use std::ops::Range;

/// More than a batch has bytes here.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// A compacted log as recovery gives it.
pub(super) struct Found<'a> {
    pub(super) offsets: Range<Offset>,
    /// Its segments' base offsets and bytes.
    pub(super) segments: &'a [(Offset, Bytes)],
    /// All below this offset had been acknowledged, and nothing above it may have been cleaned.
    pub(super) durable: Offset,
    pub(super) tombstones_go: bool,
}

/// Hold a log against what was appended to it, in order and no further than its end.
pub(super) fn check(log: &Found<'_>, appended: &[Batch]) -> Result<(), String> {
    let batches: BTreeMap<Offset, &Batch> =
        appended.iter().filter(|batch| batch.next <= log.offsets.end).map(|batch| (batch.base, batch)).collect();
    let mut there: BTreeMap<Offset, Option<Bytes>> = BTreeMap::new();
    let mut whole: Vec<Offset> = Vec::new();
    for (number, (base, bytes)) in log.segments.iter().enumerate() {
        let mut reached = *base;
        let mut rest = bytes.clone();
        while let StoredRead::Batch(stored) = read_stored(&rest) {
            let (header, length) = (stored.header, stored.bytes.len());
            if header.base_offset < reached {
                return Err(format!("a batch at {} behind one that ends at {reached}", header.base_offset));
            }
            reached = header.next_offset();
            let bytes = rest.split_to(length);
            let batch = batches.get(&header.base_offset).filter(|batch| batch.next == reached);
            let batch = batch.ok_or_else(|| format!("nobody appended a batch from {} to {reached}", header.base_offset))?;
            if bytes == batch.bytes {
                whole.push(batch.base);
            } else {
                is_part_of(&bytes, &batch.bytes).map_err(|what| format!("the cleaned batch at {}: {what}", batch.base))?;
            }
            there.extend(records(&bytes)?.into_iter().map(|record| (record.offset, record.key)));
        }
        let end = log.segments.get(number + 1).map_or(log.offsets.end, |(next, _)| *next);
        // Without batches it may begin wherever the log's start was put.
        if !rest.is_empty() || (reached != end && !bytes.is_empty()) {
            return Err(format!("the segment at {base} has batches up to {reached} instead of {end}, then {} bytes", rest.len()));
        }
    }
    if let Some(cleaned) = batches.values().find(|batch| batch.next > log.durable && !whole.contains(&batch.base)) {
        return Err(format!("the batch at {} was cleaned, and only {} is durable", cleaned.base, log.durable));
    }
    has_last_of_each_key(log, &batches, &there)
}

fn records(batch: &Bytes) -> Result<Vec<Record>, String> {
    let records = RecordBatch::records(batch, BATCH_BYTES_MAX).map_err(|_| "a batch cannot be unpacked")?;
    records.collect::<Result<_, _>>().map_err(|_| "a record cannot be read".to_owned())
}

/// Whether a cleaned batch is what it was, but for the records that are gone and the delete horizon.
fn is_part_of(cleaned: &Bytes, appended: &Bytes) -> Result<(), String> {
    let header = |bytes: &Bytes| BatchHeader::parse(bytes).map_err(|_| "no header".to_owned());
    let (is, was) = (header(cleaned)?, header(appended)?);
    let of_the_batch = |header: &BatchHeader| {
        let producer = (header.producer_id, header.producer_epoch, header.base_sequence);
        (header.partition_leader_epoch, header.last_offset_delta, producer)
    };
    if of_the_batch(&is) != of_the_batch(&was) {
        return Err(format!("{is:?} was {was:?}"));
    }
    let original = records(appended)?;
    let same = |one: &Record, other: &Record| {
        (one.offset, one.timestamp, &one.key, &one.value) == (other.offset, other.timestamp, &other.key, &other.value)
    };
    match records(cleaned)?.iter().find(|record| !original.iter().any(|original| same(original, record))) {
        Some(stranger) => Err(format!("the record at {} was not in it", stranger.offset)),
        None => Ok(()),
    }
}

fn has_last_of_each_key(
    log: &Found<'_>,
    batches: &BTreeMap<Offset, &Batch>,
    there: &BTreeMap<Offset, Option<Bytes>>,
) -> Result<(), String> {
    let mut last: BTreeMap<Bytes, Record> = BTreeMap::new();
    for batch in batches.values().filter(|batch| batch.next > log.offsets.start) {
        for record in records(&batch.bytes)?.into_iter().filter(|record| record.offset >= log.offsets.start) {
            last.insert(record.key.clone().ok_or("a record without a key")?, record);
        }
    }
    for (key, record) in last {
        if there.contains_key(&record.offset) {
            continue;
        }
        let older = there.iter().rev().find(|(offset, of)| **offset >= log.offsets.start && of.as_ref() == Some(&key));
        let may_be_gone = record.value.is_none() && log.tombstones_go;
        if older.is_some() || !may_be_gone {
            let (offset, older) = (record.offset, older.map(|(offset, _)| *offset));
            return Err(format!("{offset} is the last record of its key and is gone, {older:?} is there"));
        }
    }
    Ok(())
}
