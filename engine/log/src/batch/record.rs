//! The records of a batch, decompressed.
//!
//! [`RecordView`] borrows and is what checking, lookup and replay walk; [`Record`] shares the payload and can be kept. Invariants:
//! a walk ends with the bytes or with the first [`RecordFault`], never panics, and never yields more records than the header's
//! count; what a record claims of lengths and counts is held against the bytes that are there before anything is reserved.

use alloc::{format, vec::Vec};
use bytes::Bytes;

use super::header::{BATCH_OVERHEAD_BYTES, BatchHeader, TimestampType};
use super::varint::{read_varint, read_varlong};
use super::{BatchError, BatchErrorKind, RecordBatch};
use crate::compression::{self, Codec};
use crate::{Offset, Timestamp};

/// The fewest bytes of a record's header: two lengths.
const RECORD_HEADER_BYTES_MIN: usize = 2;

/// What is wrong with a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordFault {
    /// The bytes end before it does.
    CutShort,
    /// A field reaches beyond the record, or the record is longer than its fields.
    Size,
    /// A header without a key, or a negative or impossible number of headers.
    Headers,
    /// Bytes follow the last record.
    TrailingBytes,
}

impl RecordFault {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CutShort => "the batch ends within the record",
            Self::Size => "a field of the record reaches beyond it, or bytes follow its last field",
            Self::Headers => "the record's headers are invalid",
            Self::TrailingBytes => "bytes follow the last record",
        }
    }
}

/// A record as it lies in a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordView<'a> {
    /// Attribute bits; none is in use.
    pub attributes: u8,
    /// Counts from the batch's base timestamp.
    pub timestamp_delta: i64,
    /// Counts from the batch's base offset.
    pub offset_delta: i32,
    /// The key; absent and empty differ (P26).
    pub key: Option<&'a [u8]>,
    /// The value; absent is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Key, value and headers as they are encoded: all of the record behind the offset delta.
    pub(crate) content: &'a [u8],
    header_count: i32,
    header_bytes: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// Take a record off the front of `payload`.
    fn read(payload: &mut &'a [u8]) -> Result<Self, RecordFault> {
        let length = read_varint(payload).ok_or(RecordFault::CutShort)?;
        let length = usize::try_from(length).map_err(|_| RecordFault::Size)?;
        let (mut body, rest) = payload.split_at_checked(length).ok_or(RecordFault::CutShort)?;
        *payload = rest;
        let (attributes, fields) = body.split_first().ok_or(RecordFault::Size)?;
        body = fields;
        let timestamp_delta = read_varlong(&mut body).ok_or(RecordFault::Size)?;
        let offset_delta = read_varint(&mut body).ok_or(RecordFault::Size)?;
        let content = body;
        let key = read_nullable(&mut body)?;
        let value = read_nullable(&mut body)?;
        let header_count = read_varint(&mut body).ok_or(RecordFault::Size)?;
        let header_bytes = body;
        let fits = usize::try_from(header_count).is_ok_and(|count| count <= body.len() / RECORD_HEADER_BYTES_MIN);
        if !fits {
            return Err(RecordFault::Headers);
        }
        for _ in 0..header_count {
            read_nullable(&mut body)?.ok_or(RecordFault::Headers)?;
            read_nullable(&mut body)?;
        }
        if !body.is_empty() {
            return Err(RecordFault::Size);
        }
        Ok(Self { attributes: *attributes, timestamp_delta, offset_delta, key, value, content, header_count, header_bytes })
    }

    /// The record's headers in order: key and value.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.header_bytes;
        (0..self.header_count).map_while(move |_| {
            let key = read_nullable(&mut rest).ok()??;
            Some((key, read_nullable(&mut rest).ok()?))
        })
    }

    /// Its offset in a batch with this header.
    #[must_use]
    pub const fn offset(&self, header: &BatchHeader) -> Offset {
        Offset(header.base_offset.0.saturating_add(self.offset_delta as i64))
    }

    /// Its timestamp in a batch with this header.
    #[must_use]
    pub const fn timestamp(&self, header: &BatchHeader) -> Timestamp {
        match header.attributes.timestamp_type() {
            TimestampType::CreateTime => Timestamp(header.base_timestamp.0.wrapping_add(self.timestamp_delta)),
            TimestampType::LogAppendTime => header.max_timestamp,
        }
    }
}

fn read_nullable<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordFault> {
    let length = read_varint(bytes).ok_or(RecordFault::Size)?;
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| RecordFault::Size)?;
    let (field, rest) = bytes.split_at_checked(length).ok_or(RecordFault::Size)?;
    *bytes = rest;
    Ok(Some(field))
}

/// Walks the records of a decompressed payload.
#[derive(Clone, Debug)]
pub struct RecordWalk<'a> {
    rest: &'a [u8],
    left: i32,
}

impl<'a> RecordWalk<'a> {
    /// The records of a batch with so many.
    #[must_use]
    pub const fn new(payload: &'a [u8], record_count: i32) -> Self {
        Self { rest: payload, left: record_count }
    }

    /// Bytes of the payload that were not walked over yet.
    pub(crate) const fn rest_bytes(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for RecordWalk<'a> {
    type Item = Result<RecordView<'a>, RecordFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            let surplus = !self.rest.is_empty();
            self.rest = &[];
            return surplus.then_some(Err(RecordFault::TrailingBytes));
        }
        let record = RecordView::read(&mut self.rest);
        self.left -= 1;
        if record.is_err() {
            self.left = 0;
            self.rest = &[];
        }
        Some(record)
    }
}

/// One header of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordHeader {
    /// UTF-8 by convention; kept as it came.
    pub key: Bytes,
    /// The value, if any.
    pub value: Option<Bytes>,
}

/// A record that can be kept: it shares the payload it was read from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp, by the batch's clock.
    pub timestamp: Timestamp,
    /// The key, if any.
    pub key: Option<Bytes>,
    /// The value, if any.
    pub value: Option<Bytes>,
    /// The headers in order.
    pub headers: Vec<RecordHeader>,
}

/// The records of one batch.
#[derive(Clone, Debug)]
pub struct Records {
    header: BatchHeader,
    payload: Bytes,
    position: usize,
    left: i32,
}

impl Records {
    /// The batch's header.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The records where they lie, from the first.
    #[must_use]
    pub fn views(&self) -> RecordWalk<'_> {
        RecordWalk::new(&self.payload, self.header.record_count)
    }
}

impl Iterator for Records {
    type Item = Result<Record, RecordFault>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut walk = RecordWalk { rest: &self.payload[self.position..], left: self.left };
        let next = walk.next();
        self.left = walk.left;
        self.position = self.payload.len() - walk.rest.len();
        let view = match next? {
            Ok(view) => view,
            Err(fault) => return Some(Err(fault)),
        };
        let share = |field: &[u8]| self.payload.slice_ref(field);
        Some(Ok(Record {
            offset: view.offset(&self.header),
            timestamp: view.timestamp(&self.header),
            key: view.key.map(share),
            value: view.value.map(share),
            headers: view.headers().map(|(key, value)| RecordHeader { key: share(key), value: value.map(share) }).collect(),
        }))
    }
}

impl RecordBatch {
    /// The records of the batch in front of `bytes`, decompressed under a cap. Its CRC is not checked.
    ///
    /// # Errors
    /// No batch, one that is cut short, a codec that is not known, or a body that cannot be decompressed within the limit.
    pub fn records(bytes: &Bytes, limit_bytes: usize) -> Result<Records, BatchError> {
        let refuse = |message| BatchError::new(BatchErrorKind::Corrupt, message);
        let header = BatchHeader::parse(bytes).map_err(|error| refuse(format!("{error}")))?;
        if bytes.len() < header.total_bytes() {
            return Err(refuse(format!("the batch has {} bytes and only {} are there", header.total_bytes(), bytes.len())));
        }
        let body = bytes.slice(BATCH_OVERHEAD_BYTES..header.total_bytes());
        let payload = match header.attributes.compression() {
            Some(Codec::None) => body,
            Some(codec) => compression::decompress(codec, &body, limit_bytes)
                .map_err(|error| refuse(format!("the batch cannot be decompressed: {error}")))?
                .into(),
            None => return Err(BatchError::new(BatchErrorKind::UnsupportedCompression, "the batch's codec is not known")),
        };
        Ok(Records { header, payload, position: 0, left: header.record_count })
    }
}
