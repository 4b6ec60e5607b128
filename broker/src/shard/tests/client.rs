//! The other end of a connection.

use alloc::{collections::VecDeque, vec, vec::Vec};
use bytes::{Buf, Bytes, BytesMut};
use flumen_log::{
    ShardId, Timestamp,
    batch::{BatchBuilder, ProducerInfo},
    compression::Codec,
    io::{ConnectionId, Event, NetEffect},
};
use flumen_protocol::{
    ApiKey, Records, Request, Response, Text, decode_response,
    fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic},
    produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData},
};

use super::{
    World,
    files::{Files, gathered},
};

/// Versions of the requests used here: the last with topic names.
pub(super) const PRODUCE: i16 = 12;
pub(super) const FETCH: i16 = 12;

/// Which connection, and on which shard.
pub(super) type Line = (ShardId, ConnectionId);

/// A client's end.
#[derive(Default)]
pub(super) struct Client {
    /// What it has sent and the shard has not received.
    to_shard: BytesMut,
    /// What it was sent.
    from_shard: BytesMut,
    /// A receive that waits: what it begins with, and how much it wants.
    receiving: Option<(Bytes, usize)>,
    /// Sends that the kernel has not taken.
    unsent: VecDeque<Vec<u8>>,
    /// The kernel takes nothing.
    pub(super) is_stuck: bool,
    /// It was told that nothing more comes.
    pub(super) is_finished: bool,
    /// It hung up, and the shard has yet to hear of it.
    hangs_up: bool,
    closing: bool,
    pub(super) is_closed: bool,
    next: i32,
}

impl Client {
    pub(super) fn take(&mut self, effect: NetEffect, files: &mut Files) {
        match effect {
            NetEffect::Receive { prefix, at_least, .. } => {
                assert!(self.receiving.is_none(), "one receive at a time");
                self.receiving = Some((prefix, at_least));
            }
            NetEffect::Send { parts, .. } => self.unsent.push_back(gathered(parts, files)),
            NetEffect::Finish { .. } => {
                assert!(self.unsent.is_empty(), "nothing more is sent, and something was not");
                self.is_finished = true;
            }
            NetEffect::Close { .. } => self.closing = true,
            NetEffect::Accept { .. } => {}
        }
    }

    /// What happens on the shard's end.
    pub(super) fn events(&mut self, connection: ConnectionId) -> Vec<Event<crate::Mail>> {
        let mut events = vec![];
        if self.is_closed {
            return events;
        }
        if self.closing {
            self.is_closed = true;
            return vec![Event::Closed { connection }];
        }
        while !self.is_stuck
            && let Some(bytes) = self.unsent.pop_front()
        {
            self.from_shard.extend_from_slice(&bytes);
            events.push(Event::Sent { connection });
        }
        if let Some((prefix, at_least)) = self.receiving.take() {
            if !self.to_shard.is_empty() && prefix.len() + self.to_shard.len() >= at_least {
                let data = [&prefix[..], &self.to_shard.split()[..]].concat();
                events.push(Event::Received { connection, data: data.into() });
            } else {
                self.receiving = Some((prefix, at_least));
            }
        }
        if core::mem::take(&mut self.hangs_up) {
            events.push(Event::Hangup { connection });
        }
        events
    }

    /// The next reply, without its size.
    fn frame(&mut self) -> Option<Bytes> {
        let size = self.from_shard.first_chunk::<4>().map(|size| i32::from_be_bytes(*size))?;
        self.from_shard.advance(4);
        Some(self.from_shard.split_to(usize::try_from(size).expect("a size")).freeze())
    }
}

impl World {
    /// A client connects to this shard.
    pub(super) fn connect(&mut self, shard: u16) -> Line {
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        let line = (ShardId(shard), connection);
        self.clients.insert(line, Client::default());
        self.tell(usize::from(shard), Event::Accepted { connection, listener: 0, peer: "peer".into() });
        self.settle();
        line
    }

    /// A client sends a request; nothing is done about it yet.
    pub(super) fn send(&mut self, line: Line, version: i16, request: impl Into<Request>) -> i32 {
        let client = self.client(line);
        client.next += 1;
        let frame = request.into().encode(version, client.next, Some("test")).expect("a request that can be said");
        client.to_shard.extend_from_slice(&frame);
        client.next
    }

    /// A client goes away.
    pub(super) fn hang_up(&mut self, line: Line) {
        self.client(line).hangs_up = true;
    }

    pub(super) fn client(&mut self, line: Line) -> &mut Client {
        self.clients.get_mut(&line).expect("it connected")
    }

    /// The next reply to a client, if it is there.
    pub(super) fn reply(&mut self, line: Line, key: ApiKey, version: i16) -> Option<Response> {
        let frame = self.client(line).frame()?;
        Some(decode_response(key, version, frame).expect("a reply that can be read").1)
    }

    /// Whether no reply waits for a client.
    pub(super) fn is_silent(&mut self, line: Line) -> bool {
        self.client(line).from_shard.is_empty()
    }

    pub(super) fn produced(&mut self, line: Line) -> Option<ProduceResponse> {
        self.reply(line, ApiKey::Produce, PRODUCE).map(|response| match response {
            Response::Produce(response) => response,
            other => panic!("{other:?}"),
        })
    }

    pub(super) fn fetched(&mut self, line: Line) -> Option<FetchResponse> {
        self.reply(line, ApiKey::Fetch, FETCH).map(|response| match response {
            Response::Fetch(response) => response,
            other => panic!("{other:?}"),
        })
    }

    /// Append a batch of one record of so many bytes, and wait until it is durable.
    pub(super) fn append(&mut self, line: Line, topic: &str, partitions: &[i32], value_bytes: usize) {
        self.send(line, PRODUCE, produce(topic, partitions, value_bytes));
        self.settle();
        let response = self.produced(line).expect("it is answered");
        for partition in response.responses.iter().flat_map(|topic| &topic.partition_responses) {
            assert_eq!(partition.error_code, flumen_protocol::ErrorCode::None);
        }
    }
}

/// A batch of one record.
pub(super) fn one_record(value_bytes: usize, producer: ProducerInfo) -> Bytes {
    let mut batch = BatchBuilder::new();
    batch.append(Timestamp(super::BEGIN.wall.0), None, Some(&vec![7; value_bytes]), &[]);
    batch.build(Codec::None, None, producer).expect("no codec")
}

/// One batch of one record for each partition, with acks=all.
pub(super) fn produce(topic: &str, partitions: &[i32], value_bytes: usize) -> ProduceRequest {
    let batch = || one_record(value_bytes, ProducerInfo::NONE);
    let data = |index: &i32| PartitionProduceData { index: *index, records: Some(Records::Inline(batch())) };
    let topic = TopicProduceData {
        name: Text::from(topic),
        partition_data: partitions.iter().map(data).collect(),
        ..TopicProduceData::default()
    };
    ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..ProduceRequest::default() }
}

/// A fetch of these partitions from these offsets, without a session.
pub(super) fn fetch(topic: &str, partitions: &[(i32, i64)], min_bytes: i32, max_wait_ms: i32) -> FetchRequest {
    let partition = |(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition: *partition,
        fetch_offset: *fetch_offset,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic =
        FetchTopic { topic: Text::from(topic), partitions: partitions.iter().map(partition).collect(), ..FetchTopic::default() };
    FetchRequest {
        replica_id: -1,
        session_epoch: -1,
        max_wait_ms,
        min_bytes,
        max_bytes: 50 << 20,
        topics: vec![topic],
        ..Default::default()
    }
}
