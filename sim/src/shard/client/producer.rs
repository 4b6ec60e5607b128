//! A producer: batches to a few partitions, several requests in flight, idempotent or not.
//!
//! An idempotent one does as Kafka's: at most five batches of a partition are in flight; after an error, or on a new connection,
//! it sends what was not acknowledged again, in order and one by one, and nothing new until all of that is acknowledged. One that
//! is not idempotent never sends twice.

use alloc::{collections::VecDeque, format, vec::Vec};
use bytes::Bytes;
use flumen_log::{ProducerEpoch, ProducerId, batch::ProducerInfo};
use flumen_protocol::{
    ErrorCode, Records, Request, Response, Text, Uuid,
    init_producer_id::InitProducerIdRequest,
    produce::{PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData},
};

use super::{Ask, Context, What};
use crate::shard::ledger::payload;

/// Batches of one partition in flight.
const IN_FLIGHT: usize = 5;
/// The version that names topics by id.
const BY_ID_VERSION: i16 = 13;

/// What a request was for.
#[derive(Debug)]
pub(super) enum Asked {
    ProducerId,
    /// Batches by target and number, and whether they are acknowledged when committed.
    Produce {
        batches: Vec<(usize, usize)>,
        committed: bool,
    },
}

#[derive(Debug)]
struct Batch {
    number: usize,
    bytes: Bytes,
    in_flight: bool,
    /// It was sent before, and nobody said what became of it.
    retried: bool,
    /// It was told to come back later, and what was sent behind it may have been taken: of a producer that is not known, any
    /// sequence is taken for the first (P19). Nothing can be said of the order any more.
    overtaken: bool,
}

#[derive(Debug)]
struct Target {
    topic: usize,
    partition: i32,
    next_sequence: i32,
    /// Not acknowledged, oldest first.
    unacked: VecDeque<Batch>,
}

/// A producer.
#[derive(Debug)]
pub(in crate::shard) struct Producer {
    idempotent: bool,
    id: Option<i64>,
    targets: Vec<Target>,
}

impl Producer {
    pub(in crate::shard) const fn new(idempotent: bool) -> Self {
        Self { idempotent, id: None, targets: Vec::new() }
    }

    /// Nothing waits to be acknowledged.
    pub(super) fn is_settled(&self) -> bool {
        self.targets.iter().all(|target| target.unacked.is_empty())
    }

    pub(super) fn connected(&mut self) {
        for target in &mut self.targets {
            for batch in &mut target.unacked {
                batch.in_flight = false;
            }
        }
    }

    pub(super) fn next(&mut self, outstanding: usize, context: &mut Context<'_, '_>) -> Option<Ask> {
        if outstanding >= IN_FLIGHT {
            return None;
        }
        if self.idempotent && self.id.is_none() {
            return (outstanding == 0).then(ask_for_id);
        }
        self.choose_targets(context);
        let acks = self.choose_acks(context);
        let mut batches = Vec::new();
        let mut topics: Vec<TopicProduceData> = Vec::new();
        let version =
            if context.swarm.reuses_names { BY_ID_VERSION } else { 3 + i16::try_from(context.random.below(11)).unwrap_or(0) };
        let wide = context.random.one_in(3);
        let start = context.random.index(self.targets.len().max(1));
        for step in 0..self.targets.len() {
            let index = (start + step) % self.targets.len();
            let Some((number, bytes)) = self.next_batch(index, context) else { continue };
            context.ledger.sending(number);
            batches.push((index, number));
            let target = &self.targets[index];
            let facts = &context.ledger.topics[target.topic];
            topics.push(TopicProduceData {
                name: if version < BY_ID_VERSION { Text::from(facts.name.as_str()) } else { Text::default() },
                topic_id: if version < BY_ID_VERSION { Uuid::ZERO } else { Uuid(facts.id.0) },
                partition_data: Vec::from([PartitionProduceData {
                    index: target.partition,
                    records: Some(Records::Inline(bytes)),
                }]),
            });
            if !wide {
                break;
            }
        }
        if batches.is_empty() {
            return None;
        }
        let timeout_ms = if context.random.one_in(8) { 5 } else { 30_000 };
        let request = ProduceRequest { transactional_id: None, acks, timeout_ms, topic_data: topics };
        let what = What::Producer(Asked::Produce { batches, committed: acks == -1 });
        Some(Ask { request: Request::from(request), version, what, silent: acks == 0 })
    }

    fn choose_acks(&self, context: &mut Context<'_, '_>) -> i16 {
        match context.random.below(8) {
            _ if self.idempotent => -1,
            0 => 0,
            1..=3 => 1,
            _ => -1,
        }
    }

    /// Partitions of topics that are there, a few; those of topics that are going are dropped.
    fn choose_targets(&mut self, context: &mut Context<'_, '_>) {
        if self.targets.is_empty() && context.settling {
            return;
        }
        if self.targets.len() < context.swarm.targets && !context.settling {
            let living: Vec<usize> = context.ledger.living().collect();
            if living.is_empty() {
                return;
            }
            let topic = living[context.random.index(living.len())];
            let partitions = context.ledger.topics[topic].partitions.len();
            let partition = i32::try_from(context.random.index(partitions)).unwrap_or_default();
            if !self.targets.iter().any(|target| (target.topic, target.partition) == (topic, partition)) {
                self.targets.push(Target { topic, partition, next_sequence: 0, unacked: VecDeque::new() });
            }
        }
        for target in &mut self.targets {
            // Places stay: requests in flight name them. A target without a topic stays empty.
            if !context.ledger.is_living(target.topic) {
                target.unacked.retain(|batch| batch.in_flight);
            }
        }
    }

    /// The batch that a target has to send next, if it may.
    fn next_batch(&mut self, index: usize, context: &mut Context<'_, '_>) -> Option<(usize, Bytes)> {
        let id = self.id;
        let target = &mut self.targets[index];
        if !context.ledger.is_living(target.topic) {
            return None;
        }
        if target.unacked.iter().any(|batch| batch.retried || !batch.in_flight) {
            // What is sent again goes alone, oldest first, and nothing new goes beside it.
            if target.unacked.iter().any(|batch| batch.in_flight) {
                return None;
            }
            let batch = target.unacked.front_mut()?;
            batch.in_flight = true;
            batch.retried = true;
            context.work.resent += 1;
            return Some((batch.number, batch.bytes.clone()));
        }
        if target.unacked.len() >= IN_FLIGHT || context.settling {
            return None;
        }
        let count = 1 + context.random.below(4);
        let size = if context.random.one_in(6) { context.swarm.large_record_bytes } else { 40 };
        let bytes = context.random.index(size);
        let sequence = target.next_sequence;
        let producer = id.map(|id| (id, sequence));
        let (number, first) = context.ledger.new_batch((target.topic, target.partition), count, producer, context.now.wall);
        let info = id.map_or(ProducerInfo::NONE, |id| ProducerInfo {
            id: ProducerId(id),
            epoch: ProducerEpoch(0),
            base_sequence: sequence,
            is_transactional: false,
        });
        let bytes = payload::batch(first, count, bytes, context.now.wall, info);
        target.next_sequence += i32::try_from(count).unwrap_or_default();
        if self.idempotent {
            target.unacked.push_back(Batch { number, bytes: bytes.clone(), in_flight: true, retried: false, overtaken: false });
        }
        Some((number, bytes))
    }

    pub(super) fn answered(&mut self, asked: Asked, version: i16, response: Response, context: &mut Context<'_, '_>) {
        match (asked, response) {
            (Asked::ProducerId, Response::InitProducerId(response)) if response.error_code.is_none() => {
                context.ledger.producer_id(response.producer_id);
                self.id = Some(response.producer_id);
            }
            (Asked::Produce { batches, committed }, Response::Produce(response)) => {
                let results = results(&response);
                if results.len() != batches.len() {
                    let text = format!("{} results for {} batches in Produce v{version}", results.len(), batches.len());
                    return context.ledger.violation(text);
                }
                for ((target, number), result) in batches.into_iter().zip(results) {
                    self.one_answered(target, number, committed, result, context);
                }
            }
            _ => {}
        }
    }

    fn one_answered(
        &mut self,
        index: usize,
        number: usize,
        committed: bool,
        result: &PartitionProduceResponse,
        context: &mut Context<'_, '_>,
    ) {
        let topic = context.ledger.sent[number].topic;
        let living = context.ledger.is_living(topic);
        if result.error_code.is_none() {
            context.ledger.acked(number, result.base_offset, committed);
            context.work.acked_batches += 1;
            if let Some(target) = self.targets.get_mut(index) {
                target.unacked.retain(|batch| batch.number != number);
            }
            return;
        }
        context.work.refused += 1;
        if was_not_appended(result.error_code) {
            context.ledger.refused(number);
        }
        let unexpected = match result.error_code {
            // Retriable, and it passes.
            ErrorCode::NotLeaderOrFollower | ErrorCode::RequestTimedOut | ErrorCode::NotEnoughReplicas => false,
            ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => living,
            ErrorCode::OutOfOrderSequenceNumber => {
                let surprised = self.is_first(index, number) && !self.was_overtaken(index, number);
                living && surprised && context.ledger.topics[topic].always_synced
            }
            // The directory's failure reaches clients before it reaches people. A full disk is said to be one, too.
            ErrorCode::KafkaStorageError => living && !context.swarm.disk_fails() && !context.swarm.fills_disk(),
            _ => living,
        };
        if unexpected {
            let sent = context.ledger.sent[number].clone();
            context.ledger.violation(format!("a producer was told {} for {sent:?}", result.error_code.name()));
        }
        if !self.idempotent {
            return;
        }
        let is_first = self.is_first(index, number);
        let Some(target) = self.targets.get_mut(index) else { return };
        if let Some(batch) = target.unacked.iter_mut().find(|batch| batch.number == number) {
            batch.in_flight = false;
            // A full disk refuses as one does that failed, and before anything is appended.
            let was_refused = result.error_code == ErrorCode::KafkaStorageError && context.swarm.fills_disk();
            batch.overtaken |= was_not_appended(result.error_code) || was_refused;
        }
        if result.error_code == ErrorCode::OutOfOrderSequenceNumber && is_first {
            // What it had been told is there is gone, as it may of a topic that is not synced: a new life.
            self.id = None;
            self.targets.clear();
        }
    }

    /// Whether this is the oldest batch of its target that was not acknowledged.
    fn is_first(&self, index: usize, number: usize) -> bool {
        self.targets.get(index).and_then(|target| target.unacked.front()).is_some_and(|batch| batch.number == number)
    }

    fn was_overtaken(&self, index: usize, number: usize) -> bool {
        let batches = self.targets.get(index).into_iter().flat_map(|target| &target.unacked);
        batches.filter(|batch| batch.number == number).any(|batch| batch.overtaken)
    }

    /// The connection went before the answer came.
    pub(super) fn lost(&mut self, asked: Asked) {
        if let Asked::Produce { batches, .. } = asked {
            for (index, number) in batches {
                if let Some(target) = self.targets.get_mut(index)
                    && let Some(batch) = target.unacked.iter_mut().find(|batch| batch.number == number)
                {
                    batch.in_flight = false;
                }
            }
        }
    }
}

fn ask_for_id() -> Ask {
    let request = InitProducerIdRequest { transactional_id: None, ..InitProducerIdRequest::default() };
    Ask { request: Request::from(request), version: 2, what: What::Producer(Asked::ProducerId), silent: false }
}

fn results(response: &ProduceResponse) -> Vec<&PartitionProduceResponse> {
    response.responses.iter().flat_map(|topic| &topic.partition_responses).collect()
}

/// Errors that are given before anything is appended.
const fn was_not_appended(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::NotLeaderOrFollower
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::OutOfOrderSequenceNumber
            | ErrorCode::InvalidProducerEpoch
            | ErrorCode::CorruptMessage
            | ErrorCode::InvalidRecord
            | ErrorCode::MessageTooLarge
    )
}
