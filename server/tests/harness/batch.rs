//! Record batches (magic 2) by hand: right by default, wrong in any way asked for, and read back.
//!
//! Written from KIP-98's layout, apart from the log's own code.

use bytes::Bytes;
use flumen_log::compression::{Codec, compress, decompress};

/// Bytes before the records.
pub const OVERHEAD: usize = 61;
/// Attribute bit: timestamps are the log's.
pub const LOG_APPEND_TIME: i16 = 1 << 3;
/// Attribute bit: part of a transaction.
pub const TRANSACTIONAL: i16 = 1 << 4;
/// Attribute bit: a control batch.
pub const CONTROL: i16 = 1 << 5;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Record {
    pub offset_delta: i32,
    pub timestamp_delta: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A batch. Fields that follow from others are `None` until they are to be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub base_offset: i64,
    pub leader_epoch: i32,
    pub magic: i8,
    pub attributes: i16,
    pub last_offset_delta: Option<i32>,
    pub base_timestamp: i64,
    pub max_timestamp: Option<i64>,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: Option<i32>,
    pub records: Vec<Record>,
    pub wrong_crc: bool,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            base_offset: 0,
            leader_epoch: -1,
            magic: 2,
            attributes: 0,
            last_offset_delta: None,
            base_timestamp: now_ms(),
            max_timestamp: None,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: None,
            records: Vec::new(),
            wrong_crc: false,
        }
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(now.as_millis()).expect("a clock before the year 292 million")
}

impl Record {
    pub fn new(key: Option<&str>, value: Option<&str>) -> Self {
        let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        Self { key: bytes(key), value: bytes(value), ..Self::default() }
    }
}

impl Batch {
    /// A batch with these values, keyless.
    pub fn of(values: &[&str]) -> Self {
        Self::with(values.iter().map(|value| Record::new(None, Some(value))).collect())
    }

    /// A batch of these records, numbered from zero.
    pub fn with(mut records: Vec<Record>) -> Self {
        for (delta, record) in records.iter_mut().enumerate() {
            record.offset_delta = i32::try_from(delta).expect("a small batch");
        }
        Self { records, ..Self::default() }
    }

    /// One record whose value has so many bytes.
    pub fn sized(bytes: usize) -> Self {
        Self::of(&["x".repeat(bytes).as_str()])
    }

    /// The same from an idempotent producer.
    pub fn by_producer(self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Self {
        Self { producer_id, producer_epoch, base_sequence, ..self }
    }

    /// The same at this time, all records alike.
    pub fn at(self, base_timestamp: i64) -> Self {
        Self { base_timestamp, ..self }
    }

    /// The same compressed.
    pub fn compressed(self, codec: Codec) -> Self {
        Self { attributes: self.attributes | codec_bits(codec), ..self }
    }

    pub fn codec(&self) -> Codec {
        [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd][usize::from(self.attributes.cast_unsigned() & 7)]
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta.expect("a batch that was read"))
    }

    /// Values as text.
    pub fn values(&self) -> Vec<String> {
        let text = |record: &Record| String::from_utf8(record.value.clone().unwrap_or_default()).expect("text");
        self.records.iter().map(text).collect()
    }

    pub fn encode(&self) -> Bytes {
        let mut records = Vec::new();
        for record in &self.records {
            encode_record(record, &mut records);
        }
        let payload = compress(self.codec(), None, &records).expect("records can be compressed");
        let count = i32::try_from(self.records.len()).expect("a small batch");
        let latest = self.records.iter().map(|record| record.timestamp_delta).max().unwrap_or(0);
        let mut checked = Vec::new();
        checked.extend(self.attributes.to_be_bytes());
        checked.extend(self.last_offset_delta.unwrap_or(count - 1).to_be_bytes());
        checked.extend(self.base_timestamp.to_be_bytes());
        checked.extend(self.max_timestamp.unwrap_or(self.base_timestamp + latest).to_be_bytes());
        checked.extend(self.producer_id.to_be_bytes());
        checked.extend(self.producer_epoch.to_be_bytes());
        checked.extend(self.base_sequence.to_be_bytes());
        checked.extend(self.record_count.unwrap_or(count).to_be_bytes());
        checked.extend(payload);
        let crc = crc32c::crc32c(&checked) ^ u32::from(self.wrong_crc);
        let mut bytes = Vec::new();
        bytes.extend(self.base_offset.to_be_bytes());
        bytes.extend(i32::try_from(checked.len() + 9).expect("a small batch").to_be_bytes());
        bytes.extend(self.leader_epoch.to_be_bytes());
        bytes.extend(self.magic.to_be_bytes());
        bytes.extend(crc.to_be_bytes());
        bytes.extend(checked);
        bytes.into()
    }

    /// Reads the first batch of some bytes, its checksum verified, and what is behind it; `None` where it is not complete.
    pub fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let length = usize::try_from(number::<4>(bytes.get(8..12)?)).expect("a length") + 12;
        let (batch, rest) = bytes.split_at_checked(length)?;
        let at = |from: usize, to: usize| number::<8>(&batch[from..to]);
        assert_eq!(at(17, 21), i64::from(crc32c::crc32c(&batch[21..]).cast_signed()), "the checksum of a batch holds");
        let narrow = |from: usize, to: usize| i32::try_from(at(from, to)).expect("four bytes");
        let attributes = i16::try_from(at(21, 23)).expect("two bytes");
        let mut read = Self {
            base_offset: at(0, 8),
            leader_epoch: narrow(12, 16),
            magic: batch[16].cast_signed(),
            attributes,
            last_offset_delta: Some(narrow(23, 27)),
            base_timestamp: at(27, 35),
            max_timestamp: Some(at(35, 43)),
            producer_id: at(43, 51),
            producer_epoch: i16::try_from(at(51, 53)).expect("two bytes"),
            base_sequence: narrow(53, 57),
            record_count: Some(narrow(57, 61)),
            records: Vec::new(),
            wrong_crc: false,
        };
        let payload = decompress(read.codec(), &batch[OVERHEAD..], 1 << 28).expect("records can be decompressed");
        let mut reader = payload.as_slice();
        for _ in 0..narrow(57, 61) {
            read.records.push(read_record(&mut reader));
        }
        assert!(reader.is_empty(), "no bytes are left behind the records");
        Some((read, rest))
    }

    /// Every complete batch of some bytes.
    pub fn read_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut batches = Vec::new();
        while let Some((batch, rest)) = Self::read(bytes) {
            batches.push(batch);
            bytes = rest;
        }
        batches
    }
}

pub fn codec_bits(codec: Codec) -> i16 {
    match codec {
        Codec::None => 0,
        Codec::Gzip => 1,
        Codec::Snappy => 2,
        Codec::Lz4 => 3,
        Codec::Zstd => 4,
    }
}

/// A big-endian number of up to eight bytes, with its sign.
fn number<const N: usize>(bytes: &[u8]) -> i64 {
    let first = i64::from(bytes[0].cast_signed());
    bytes[1..].iter().fold(first, |number, byte| (number << 8) | i64::from(*byte))
}

fn encode_record(record: &Record, to: &mut Vec<u8>) {
    let mut body = vec![0];
    varint(record.timestamp_delta, &mut body);
    varint(i64::from(record.offset_delta), &mut body);
    nullable(record.key.as_deref(), &mut body);
    nullable(record.value.as_deref(), &mut body);
    varint(length(record.headers.len()), &mut body);
    for (key, value) in &record.headers {
        nullable(Some(key.as_bytes()), &mut body);
        nullable(value.as_deref(), &mut body);
    }
    varint(length(body.len()), to);
    to.extend(body);
}

fn read_record(from: &mut &[u8]) -> Record {
    let size = usize::try_from(read_varint(from)).expect("a size");
    let (mut body, rest) = from.split_at(size);
    *from = rest;
    let body = &mut body;
    take(body, 1);
    let (timestamp_delta, offset_delta) = (read_varint(body), i32::try_from(read_varint(body)).expect("a delta"));
    let (key, value) = (read_nullable(body), read_nullable(body));
    let headers = (0..read_varint(body))
        .map(|_| {
            let key = read_nullable(body).expect("a header has a key");
            (String::from_utf8(key).expect("text"), read_nullable(body))
        })
        .collect();
    assert!(body.is_empty(), "no bytes are left behind a record");
    Record { offset_delta, timestamp_delta, key, value, headers }
}

fn length(length: usize) -> i64 {
    i64::try_from(length).expect("a small length")
}

fn varint(value: i64, to: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        to.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

fn read_varint(from: &mut &[u8]) -> i64 {
    let mut value = 0u64;
    for shift in (0..).step_by(7) {
        let byte = take(from, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn nullable(bytes: Option<&[u8]>, to: &mut Vec<u8>) {
    match bytes {
        None => varint(-1, to),
        Some(bytes) => {
            varint(length(bytes.len()), to);
            to.extend(bytes);
        }
    }
}

fn read_nullable(from: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(read_varint(from)).ok()?;
    Some(take(from, length).to_vec())
}

fn take<'a>(from: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = from.split_at(count);
    *from = rest;
    taken
}
