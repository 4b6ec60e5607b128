//! One batch without the records that later ones have made void.
//!
//! A batch is decompressed, walked, perhaps rebased, and compressed again with its codec, each in steps of a bounded size.
//! Invariants: base offset, last offset, leader epoch and everything of the producer stay as they are; records that stay keep
//! offset, timestamp and bytes; the greatest timestamp is that of what stays, or the append time. A batch that loses nothing
//! and needs no delete horizon is passed on byte for byte.

use alloc::vec::Vec;
use bytes::Bytes;

use super::KeyMap;
use crate::batch::record::{RecordView, RecordWalk};
use crate::batch::{BATCH_OVERHEAD_BYTES, BatchHeader, TimestampType, builder};
use crate::compression::Codec;
use crate::compression::stepwise::{Deflation, Inflation};
use crate::producer::ProducerStates;
use crate::{Offset, Timestamp};

/// Most bytes a batch may become when it is decompressed.
const DECOMPRESSED_BYTES_MAX: usize = 256 << 20;

/// The batch cannot be read or made: the log is left as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unreadable;

/// A batch's payload, unpacked in steps and walked in steps.
#[derive(Debug)]
pub(crate) struct Unpacking {
    inflation: Option<Inflation>,
    payload: Bytes,
    at: usize,
    left: i32,
}

impl Unpacking {
    pub(crate) fn begin(header: &BatchHeader, batch: &Bytes) -> Result<Self, Unreadable> {
        let body = batch.slice(BATCH_OVERHEAD_BYTES..);
        let codec = header.attributes.compression().ok_or(Unreadable)?;
        let (inflation, payload) = if codec == Codec::None || header.record_count == 0 {
            (None, body)
        } else {
            let inflation = Inflation::begin(codec, body, DECOMPRESSED_BYTES_MAX).map_err(|_| Unreadable)?;
            (Some(inflation), Bytes::new())
        };
        Ok(Self { inflation, payload, at: 0, left: header.record_count })
    }

    /// Whether the payload is unpacked.
    pub(crate) fn unpack(&mut self, budget: &mut usize) -> Result<bool, Unreadable> {
        let Some(inflation) = &mut self.inflation else { return Ok(true) };
        let done = inflation.step(*budget).map_err(|_| Unreadable)?;
        *budget = if done { *budget / 2 } else { 0 };
        if done && let Some(inflation) = self.inflation.take() {
            self.payload = inflation.finish();
        }
        Ok(done)
    }

    /// The next record and its bytes.
    pub(crate) fn next(&mut self, budget: &mut usize) -> Result<Option<(RecordView<'_>, &[u8])>, Unreadable> {
        let rest = &self.payload[self.at..];
        let mut walk = RecordWalk::new(rest, self.left);
        let Some(record) = walk.next() else { return Ok(None) };
        let record = record.map_err(|_| Unreadable)?;
        let length = rest.len() - walk.rest_bytes();
        self.at += length;
        self.left -= 1;
        *budget = budget.saturating_sub(length);
        Ok(Some((record, &rest[..length])))
    }
}

/// What decides about a record.
pub(crate) struct Rules<'a> {
    pub(crate) map: &'a KeyMap,
    /// Records from here on are not in the map.
    pub(crate) map_end: Offset,
    /// The batch that ends here stays, empty if need be.
    pub(crate) group_end: Offset,
    pub(crate) producers: &'a ProducerStates,
    pub(crate) now: Timestamp,
    /// The latest that it may be, by a clock that is perhaps not to be believed: what is to be kept for a while is kept from then on.
    pub(crate) latest: Timestamp,
    pub(crate) delete_retention_ms: i64,
}

impl Rules<'_> {
    fn keeps(&self, header: &BatchHeader, record: &RecordView<'_>) -> bool {
        let offset = record.offset(header);
        if offset >= self.map_end {
            return true;
        }
        let Some(key) = record.key else { return false };
        let is_latest = self.map.latest(key).is_none_or(|latest| offset >= latest);
        let horizon_passed = header.attributes.has_delete_horizon() && self.now >= header.base_timestamp;
        is_latest && (record.value.is_some() || !horizon_passed)
    }

    /// Whether the batch must stay even without records.
    fn needs_batch(&self, header: &BatchHeader) -> bool {
        let next = header.next_offset();
        next == self.group_end || next == self.map_end || self.producers.remembers(header)
    }
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) enum Filtered {
    /// Nothing is left of it.
    Dropped,
    /// It stays, or another one in its place: header and records.
    Kept(BatchHeader, Bytes),
}

/// A batch on its way.
#[derive(Debug)]
pub(crate) struct Filter {
    header: BatchHeader,
    batch: Bytes,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Selecting(Unpacking, Selection),
    /// Timestamps count from the delete horizon.
    Rebasing(Unpacking, Selection, Vec<u8>),
    Packing(Deflation, Selection),
    Done,
}

#[derive(Clone, Debug)]
struct Selection {
    /// The records that stay, as they are encoded.
    kept: Vec<u8>,
    count: i32,
    max_timestamp: Timestamp,
    has_tombstone: bool,
    /// The new base timestamp, if the batch gets a delete horizon.
    horizon: Option<Timestamp>,
}

impl Filter {
    pub(crate) fn begin(header: BatchHeader, batch: Bytes) -> Result<Self, Unreadable> {
        let selection =
            Selection { kept: Vec::new(), count: 0, max_timestamp: Timestamp::NONE, has_tombstone: false, horizon: None };
        let stage = Stage::Selecting(Unpacking::begin(&header, &batch)?, selection);
        Ok(Self { header, batch, stage })
    }

    /// Go on until the budget is spent or the batch is done.
    pub(crate) fn step(&mut self, rules: &Rules<'_>, budget: &mut usize) -> Result<Option<Filtered>, Unreadable> {
        let attributes = self.header.attributes;
        if attributes.is_control() || attributes.is_transactional() {
            return Ok(Some(self.original()));
        }
        while *budget > 0 {
            match core::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Selecting(mut unpacking, mut selection) => {
                    if unpacking.unpack(budget)? && self.select(&mut unpacking, &mut selection, rules, budget)? {
                        if let Some(filtered) = self.selected(selection, rules)? {
                            return Ok(Some(filtered));
                        }
                    } else {
                        self.stage = Stage::Selecting(unpacking, selection);
                    }
                }
                Stage::Rebasing(mut unpacking, mut selection, mut rebased) => {
                    if self.rebase(&mut unpacking, &selection, &mut rebased, budget)? {
                        selection.kept = rebased;
                        self.pack(selection)?;
                    } else {
                        self.stage = Stage::Rebasing(unpacking, selection, rebased);
                    }
                }
                Stage::Packing(mut deflation, selection) => {
                    let done = deflation.step(*budget).map_err(|_| Unreadable)?;
                    *budget = if done { *budget / 2 } else { 0 };
                    if done {
                        let body = deflation.finish().map_err(|_| Unreadable)?;
                        return self.rewritten(&selection, body).map(Some);
                    }
                    self.stage = Stage::Packing(deflation, selection);
                }
                Stage::Done => return Err(Unreadable),
            }
        }
        Ok(None)
    }

    fn original(&self) -> Filtered {
        Filtered::Kept(self.header, self.batch.slice(BATCH_OVERHEAD_BYTES..))
    }

    /// Choose the records that stay. Whether all were looked at.
    fn select(
        &self,
        unpacking: &mut Unpacking,
        selection: &mut Selection,
        rules: &Rules<'_>,
        budget: &mut usize,
    ) -> Result<bool, Unreadable> {
        while *budget > 0 {
            let Some((record, bytes)) = unpacking.next(budget)? else { return Ok(true) };
            if rules.keeps(&self.header, &record) {
                selection.kept.extend_from_slice(bytes);
                selection.count += 1;
                selection.max_timestamp = selection.max_timestamp.max(record.timestamp(&self.header));
                selection.has_tombstone |= record.value.is_none();
            }
        }
        Ok(false)
    }

    /// All records were looked at.
    fn selected(&mut self, mut selection: Selection, rules: &Rules<'_>) -> Result<Option<Filtered>, Unreadable> {
        let header = &self.header;
        if selection.count == 0 {
            return Ok(Some(if !rules.needs_batch(header) {
                Filtered::Dropped
            } else if header.record_count == 0 {
                self.original()
            } else {
                self.emptied()
            }));
        }
        let horizon_due =
            selection.has_tombstone && !header.attributes.has_delete_horizon() && header.next_offset() <= rules.map_end;
        if selection.count == header.record_count && !horizon_due {
            return Ok(Some(self.original()));
        }
        if horizon_due {
            selection.horizon = Some(Timestamp(rules.latest.0.saturating_add(rules.delete_retention_ms)));
            let payload = Bytes::from(core::mem::take(&mut selection.kept));
            let unpacking = Unpacking { inflation: None, payload, at: 0, left: selection.count };
            self.stage = Stage::Rebasing(unpacking, selection, Vec::new());
        } else {
            self.pack(selection)?;
        }
        Ok(None)
    }

    fn rebase(
        &self,
        unpacking: &mut Unpacking,
        selection: &Selection,
        rebased: &mut Vec<u8>,
        budget: &mut usize,
    ) -> Result<bool, Unreadable> {
        let base = selection.horizon.unwrap_or(self.header.base_timestamp);
        while *budget > 0 {
            let Some((record, _)) = unpacking.next(budget)? else { return Ok(true) };
            let delta = self.header.base_timestamp.0.wrapping_add(record.timestamp_delta).wrapping_sub(base.0);
            builder::write_record(rebased, record.attributes, delta, record.offset_delta, record.content);
        }
        Ok(false)
    }

    fn pack(&mut self, mut selection: Selection) -> Result<(), Unreadable> {
        let codec = self.header.attributes.compression().ok_or(Unreadable)?;
        let payload = Bytes::from(core::mem::take(&mut selection.kept));
        let deflation = Deflation::begin(codec, payload).map_err(|_| Unreadable)?;
        self.stage = Stage::Packing(deflation, selection);
        Ok(())
    }

    /// The batch with these records.
    fn rewritten(&self, selection: &Selection, body: Bytes) -> Result<Filtered, Unreadable> {
        let attributes = match selection.horizon {
            Some(_) => self.header.attributes.with_delete_horizon(),
            None => self.header.attributes,
        };
        let max_timestamp = match attributes.timestamp_type() {
            TimestampType::CreateTime => selection.max_timestamp,
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        let header = BatchHeader {
            attributes,
            max_timestamp,
            base_timestamp: selection.horizon.unwrap_or(self.header.base_timestamp),
            record_count: selection.count,
            ..self.header
        };
        builder::sealed(header, &body).map(|header| Filtered::Kept(header, body)).ok_or(Unreadable)
    }

    /// The batch without records: it says which offsets and sequences there were.
    fn emptied(&self) -> Filtered {
        let attributes = self.header.attributes.with_compression(Codec::None).without_delete_horizon();
        let header = BatchHeader { attributes, base_timestamp: Timestamp::NONE, record_count: 0, ..self.header };
        let body = Bytes::new();
        Filtered::Kept(builder::sealed(header, &body).expect("a header alone is not too long"), body)
    }
}
