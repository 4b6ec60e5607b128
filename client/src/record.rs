//! Records as an application gives and gets them.

use std::sync::Arc;

use bytes::Bytes;

/// A header: a name and a value that may be absent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Header {
    /// The name; may repeat within a record.
    pub key: String,
    /// The value.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header with a value.
    pub fn new(key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: Some(value.into()) }
    }
}

/// A record on its way to a broker.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProducerRecord {
    /// Where it goes.
    pub topic: Arc<str>,
    /// The partition, if the application chooses it; otherwise the partitioner does.
    pub partition: Option<i32>,
    /// Decides the partition and what compaction keeps. An empty key is a key.
    pub key: Option<Bytes>,
    /// Absent in a tombstone.
    pub value: Option<Bytes>,
    /// In the order given.
    pub headers: Vec<Header>,
    /// Milliseconds since 1970; the present where absent.
    pub timestamp: Option<i64>,
}

impl ProducerRecord {
    /// A record with a value alone.
    pub fn new(topic: impl Into<Arc<str>>, value: impl Into<Bytes>) -> Self {
        Self { topic: topic.into(), value: Some(value.into()), ..Self::default() }
    }

    /// The same with a key.
    #[must_use]
    pub fn keyed(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same for one partition.
    #[must_use]
    pub fn to_partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }
}

/// A record as a broker keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsumerRecord {
    /// Its position in the partition.
    pub offset: i64,
    /// Milliseconds since 1970, −1 where unknown.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; absent in a tombstone.
    pub value: Option<Bytes>,
    /// Its headers, in order.
    pub headers: Vec<Header>,
    /// The attributes of its batch, as on the wire: compression, timestamp type, transactional, control.
    pub attributes: i16,
    /// The leader epoch its batch was appended in.
    pub leader_epoch: i32,
    /// The idempotent producer it came from, −1 without.
    pub producer_id: i64,
    /// Its epoch, −1 without.
    pub producer_epoch: i16,
}

impl ConsumerRecord {
    /// Whether this is a transaction marker rather than data.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }
}
