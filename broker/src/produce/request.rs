//! A produce request on the connection's shard: what goes where, and what comes back.

use alloc::{boxed::Box, collections::BTreeMap, string::ToString, vec::Vec};
use flumen_log::{ShardId, batch::RecordBatch};
use flumen_protocol::{
    ErrorCode, Records, Text, Uuid,
    produce::{
        BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, ProduceRequest, ProduceResponse,
        TopicProduceData, TopicProduceResponse,
    },
};

use super::batch_refusal;
use crate::{
    connection::Reply,
    mail::{Acks, Mail, ProduceEntry, ProduceMail, ProduceResult, ProducedMail},
    metadata::Metadata,
    shard::{Class, Return, Running, Shard, Turn},
    topic_rules::validation_rules,
};

/// The version that names topics by id.
const BY_ID_VERSION: i16 = 13;
/// The first version that may carry zstd.
const ZSTD_VERSION: i16 = 7;
/// Clients of this name may write internal topics.
const ADMIN_CLIENT: &str = "__admin_client";

/// A topic of the request, to be echoed.
#[derive(Debug)]
struct TopicPart {
    name: Text,
    id: Uuid,
    partitions: Vec<i32>,
}

/// A produce request under way.
#[derive(Debug)]
pub(crate) struct ProduceGather {
    topics: Vec<TopicPart>,
    results: Vec<Option<ProduceResult>>,
    owners_outstanding: usize,
    acks: Option<Acks>,
}

impl Shard {
    pub(crate) fn start_produce(&mut self, turn: &mut Turn<'_>, way: Return, client: Option<&str>, request: ProduceRequest) {
        let acks = match request.acks {
            0 => Some(Acks::None),
            1 => Some(Acks::Leader),
            -1 => Some(Acks::All),
            _ => None,
        };
        let refusal = if request.transactional_id.is_some() {
            let message = "transactions are not supported by this broker yet".to_string();
            Some(ProduceResult::refused(ErrorCode::TransactionalIdAuthorizationFailed, message))
        } else if acks.is_none() {
            let message = "acks must be -1, 0 or 1".to_string();
            Some(ProduceResult::refused(ErrorCode::InvalidRequiredAcks, message))
        } else {
            None
        };
        let mut gather = ProduceGather { topics: Vec::new(), results: Vec::new(), owners_outstanding: 0, acks };
        let mut per_owner = BTreeMap::<ShardId, Vec<ProduceEntry>>::new();
        let mut unpacked_bytes = 0;
        for topic in request.topic_data {
            unpacked_bytes += self.split_topic(turn, way.version, client, &mut gather, refusal.as_ref(), topic, &mut per_owner);
        }
        if unpacked_bytes > 0 {
            self.fairness.unpack(way.ticket.connection, unpacked_bytes);
        }
        gather.owners_outstanding = per_owner.len();
        if per_owner.is_empty() {
            self.finish_produce(&way, gather);
            return;
        }
        let deadline = turn.now.monotonic.after_ms(self.settings.limits.wait_ms(request.timeout_ms));
        self.running.insert(way.ticket, way.running(Running::Produce(gather)));
        for (owner, entries) in per_owner {
            self.credits.take(owner, Class::Produce);
            let acks = acks.unwrap_or(Acks::None);
            let mail = ProduceMail { ticket: way.ticket, acks, deadline, entries };
            self.post(turn, owner, Mail::Produce(Box::new(mail)));
        }
    }

    /// Check a topic's batches and sort them by owner. What had to be decompressed, in bytes.
    #[expect(clippy::too_many_arguments, reason = "one step of start_produce, taken out for its length")]
    fn split_topic(
        &mut self,
        turn: &Turn<'_>,
        version: i16,
        client: Option<&str>,
        gather: &mut ProduceGather,
        refusal: Option<&ProduceResult>,
        data: TopicProduceData,
        per_owner: &mut BTreeMap<ShardId, Vec<ProduceEntry>>,
    ) -> usize {
        let mut unpacked_bytes = 0;
        let mut part =
            TopicPart { name: data.name, id: data.topic_id, partitions: Vec::with_capacity(data.partition_data.len()) };
        let topic = self.metadata.resolve(&part.name, part.id, version >= BY_ID_VERSION).cloned();
        let rules = topic
            .as_ref()
            .map(|topic| validation_rules(&topic.config, &self.settings.limits, turn.now.wall, version >= ZSTD_VERSION));
        for partition in data.partition_data {
            let index = u32::try_from(gather.results.len()).unwrap_or(u32::MAX);
            part.partitions.push(partition.index);
            gather.results.push(None);
            let checked = (|| {
                if let Some(refusal) = refusal {
                    return Err(refusal.clone());
                }
                let (Ok(topic), Ok(rules)) = (&topic, &rules) else {
                    let error = topic.as_ref().err().copied().unwrap_or(ErrorCode::UnknownTopicOrPartition);
                    return Err(ProduceResult::refused(error, None));
                };
                if topic.is_internal() && client != Some(ADMIN_CLIENT) {
                    let message = "the topic is the broker's own: clients cannot write to it".to_string();
                    return Err(ProduceResult::refused(ErrorCode::InvalidTopicException, message));
                }
                let led = self.metadata.led(topic, partition.index);
                let (id, owner) = led.map_err(|error| ProduceResult::refused(error, None))?;
                let bytes = match partition.records {
                    Some(Records::Inline(bytes)) => bytes,
                    Some(Records::Remote { .. }) | None => bytes::Bytes::new(),
                };
                let validated = RecordBatch::validate(bytes, rules);
                unpacked_bytes += validated
                    .as_ref()
                    .map_or_else(|error| error.unpacked_bytes, flumen_log::batch::ValidatedBatch::unpacked_bytes);
                let batch = validated.map_err(batch_refusal)?;
                if batch.header().attributes.is_transactional() {
                    let message = "transactions are not supported by this broker yet".to_string();
                    return Err(ProduceResult::refused(ErrorCode::TransactionalIdAuthorizationFailed, message));
                }
                Ok((owner, ProduceEntry { index, partition: id, batch }))
            })();
            match checked {
                Ok((owner, entry)) => per_owner.entry(owner).or_default().push(entry),
                Err(result) => gather.put(index, result),
            }
        }
        gather.topics.push(part);
        unpacked_bytes
    }

    /// An owner has answered.
    pub(crate) fn produced(&mut self, _turn: &mut Turn<'_>, mail: ProducedMail) {
        // The frames are freed here, on the shard that allocated them.
        drop(mail.frames);
        let Some(running) = self.running.get_mut(&mail.ticket) else { return };
        let Running::Produce(gather) = &mut running.waits else { return };
        for (index, result) in mail.results {
            gather.put(index, result);
        }
        gather.owners_outstanding -= 1;
        if gather.owners_outstanding == 0
            && let Some(running) = self.running.remove(&mail.ticket)
        {
            let way = running.way_home(mail.ticket);
            if let Running::Produce(gather) = running.waits {
                self.finish_produce(&way, gather);
            }
        }
    }

    fn finish_produce(&mut self, way: &Return, gather: ProduceGather) {
        if gather.acks == Some(Acks::None) {
            let failed = gather.results.iter().flatten().any(|result| result.error != ErrorCode::None);
            let reply = if failed { Reply::Close } else { Reply::Silence };
            self.finish(way.ticket, way.overlap, reply);
            return;
        }
        let response = self.produce_response(gather);
        self.answer(way, response);
    }

    fn produce_response(&self, gather: ProduceGather) -> ProduceResponse {
        let mut results = gather.results.into_iter();
        let mut moved = false;
        let responses = gather
            .topics
            .into_iter()
            .map(|topic| TopicProduceResponse {
                partition_responses: topic
                    .partitions
                    .iter()
                    .map(|index| {
                        let result = results.next().flatten();
                        let result = result.unwrap_or_else(|| ProduceResult::refused(ErrorCode::UnknownServerError, None));
                        let mut response = partition_response(*index, result);
                        if response.error_code == ErrorCode::NotLeaderOrFollower {
                            moved = true;
                            response.current_leader = self.current_leader(&topic.name, topic.id, *index);
                        }
                        response
                    })
                    .collect(),
                name: topic.name,
                topic_id: topic.id,
            })
            .collect();
        let node_endpoints = if moved { self.node_endpoints() } else { Vec::new() };
        ProduceResponse { responses, node_endpoints, ..ProduceResponse::default() }
    }

    /// Who leads the partition now (KIP-951).
    fn current_leader(&self, name: &str, id: Uuid, partition: i32) -> LeaderIdAndEpoch {
        let by_id = id != Uuid::default();
        let topic = self.metadata.resolve(name, id, by_id).ok();
        Metadata::leader_hint(topic, partition)
            .map_or_else(LeaderIdAndEpoch::default, |(leader_id, leader_epoch)| LeaderIdAndEpoch { leader_id, leader_epoch })
    }

    /// Where the brokers are (KIP-951).
    fn node_endpoints(&self) -> Vec<NodeEndpoint> {
        let endpoints = self.metadata.endpoints();
        endpoints
            .map(|(node_id, endpoint, rack)| NodeEndpoint {
                node_id,
                host: Text::from(endpoint.host.as_str()),
                port: i32::from(endpoint.port),
                rack,
            })
            .collect()
    }
}

impl ProduceGather {
    fn put(&mut self, index: u32, result: ProduceResult) {
        if let Some(place) = self.results.get_mut(index as usize) {
            *place = Some(result);
        }
    }
}

fn partition_response(index: i32, result: ProduceResult) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: result.error,
        base_offset: result.base_offset.0,
        log_append_time_ms: result.append_time.0,
        log_start_offset: result.log_start.0,
        record_errors: result
            .record_errors
            .into_iter()
            .map(|(batch_index, message)| BatchIndexAndErrorMessage {
                batch_index,
                batch_index_error_message: Some(Text::from(message.as_str())),
            })
            .collect(),
        error_message: result.message.as_deref().map(Text::from),
        current_leader: LeaderIdAndEpoch::default(),
    }
}
