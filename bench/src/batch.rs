//! The batch that is sent over and over, and the produce request around it.
//!
//! Made once: while a load runs nothing is encoded, and only the four bytes of the correlation id differ from request to
//! request. Without idempotence the same batch may be appended any number of times.

use crate::Outcome;
use bytes::Bytes;
use flumen_log::Timestamp;
use flumen_log::batch::{BatchBuilder, ProducerInfo};
use flumen_log::compression::Codec;
use flumen_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use flumen_protocol::{Records, Request, Text};
use std::time::{SystemTime, UNIX_EPOCH};

/// The version of Produce that is spoken: the last that names topics.
pub(crate) const PRODUCE_VERSION: i16 = 12;
/// What the load calls itself.
pub(crate) const CLIENT: &str = "flumen-bench";
/// Where a request has its correlation id, the four bytes of size included.
const CORRELATION_AT: usize = 8;
/// The part of a frame that differs from request to request ends here.
pub(crate) const HEAD_BYTES: usize = CORRELATION_AT + 4;

/// A batch without compression whose records all have values of one size.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) bytes: Bytes,
    pub(crate) records: u32,
    /// What the records' values have together: what throughput counts.
    pub(crate) payload_bytes: u64,
}

impl Batch {
    /// As many records as fit into `batch_bytes`, and at least one.
    pub(crate) fn filled(record_bytes: usize, batch_bytes: usize) -> Outcome<Self> {
        Self::with_keys(record_bytes, batch_bytes, None)
    }

    /// The same; each record has a key of its own, counted from this one on.
    pub(crate) fn with_keys(record_bytes: usize, batch_bytes: usize, first_key: Option<u64>) -> Outcome<Self> {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        // Not all the same byte: nothing on the way may be able to tell that there is little to keep.
        let value: Vec<u8> = (0..record_bytes).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mut builder = BatchBuilder::new();
        let mut key = first_key;
        loop {
            let bytes = key.map(u64::to_be_bytes);
            let bytes = bytes.as_ref().map(<[u8; 8]>::as_slice);
            let bound = BatchBuilder::record_bytes_max(bytes, Some(&value), &[]);
            if !builder.is_empty() && builder.size_bytes() + bound > batch_bytes {
                break;
            }
            builder.append(Timestamp(now), bytes, Some(&value), &[]);
            key = key.map(|key| key + 1);
        }
        let records = u32::try_from(builder.record_count())?;
        let bytes = builder.build(Codec::None, None, ProducerInfo::NONE).map_err(|error| format!("no batch: {error}"))?;
        Ok(Self { bytes, records, payload_bytes: u64::from(records) * record_bytes as u64 })
    }

    /// A produce request with `acks=all` that carries this batch to one partition.
    pub(crate) fn produce_frame(&self, topic: &str, partition: i32) -> Outcome<Bytes> {
        let records = Some(Records::Inline(self.bytes.clone()));
        let partition_data = vec![PartitionProduceData { index: partition, records }];
        let topic_data = vec![TopicProduceData { name: Text::from(topic), partition_data, ..TopicProduceData::default() }];
        let request = Request::Produce(ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data, ..ProduceRequest::default() });
        request.encode(PRODUCE_VERSION, 0, Some(CLIENT)).map_err(|error| format!("no request: {error}").into())
    }
}

/// The head of a frame with this correlation id.
pub(crate) fn head(frame: &[u8], correlation: i32) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head.copy_from_slice(&frame[..HEAD_BYTES]);
    head[CORRELATION_AT..].copy_from_slice(&correlation.to_be_bytes());
    head
}
