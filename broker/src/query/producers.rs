//! DescribeProducers (KIP-664).

use alloc::{collections::BTreeSet, vec::Vec};
use flumen_controller::names;
use flumen_protocol::{
    ErrorCode, Text,
    describe_producers::{DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse},
};

use super::{Asked, Routed, answer};
use crate::{
    mail::{Answer, Question},
    shard::{Return, Shard, Turn},
};

impl Shard {
    pub(crate) fn start_describe_producers(&mut self, turn: &mut Turn<'_>, way: Return, request: DescribeProducersRequest) {
        let mut questions = Vec::<Routed>::new();
        let mut named = BTreeSet::new();
        for topic in &request.topics {
            let found = match names::check(&topic.name) {
                Ok(()) => self.metadata.by_name(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition),
                Err(_) => Err(ErrorCode::InvalidTopicException),
            };
            for partition in &topic.partition_indexes {
                // Their producers are told once.
                if !named.insert((&topic.name, *partition)) {
                    questions.push(Err(ErrorCode::InvalidRequest));
                    continue;
                }
                let routed = found.and_then(|found| self.metadata.led(found, *partition));
                questions.push(routed.map(|(id, owner)| (owner, Question::Producers { partition: id })));
            }
        }
        let deadline = turn.now.monotonic.after_ms(30_000);
        self.ask(turn, way, Asked::Producers(request), questions, deadline);
    }
}

/// The answers in their places.
pub(super) fn response(
    request: DescribeProducersRequest,
    answers: &mut dyn Iterator<Item = Answer>,
) -> DescribeProducersResponse {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| TopicResponse {
            partitions: topic
                .partition_indexes
                .iter()
                .map(|partition| partition_response(*partition, answer::next(answers)))
                .collect(),
            name: topic.name,
        })
        .collect();
    DescribeProducersResponse { topics, ..DescribeProducersResponse::default() }
}

fn partition_response(partition_index: i32, answer: Answer) -> PartitionResponse {
    let mut response = PartitionResponse { partition_index, ..PartitionResponse::default() };
    match answer {
        Answer::Producers { producers } => {
            response.active_producers = producers
                .into_iter()
                .map(|producer| ProducerState {
                    producer_id: producer.id.0,
                    producer_epoch: i32::from(producer.epoch.0),
                    last_sequence: producer.last_sequence,
                    last_timestamp: producer.last_timestamp.0,
                    // No coordinator and no transaction has ever written here.
                    coordinator_epoch: -1,
                    current_txn_start_offset: -1,
                })
                .collect();
        }
        Answer::Refused { error } => {
            response.error_code = error;
            response.error_message = Some(Text::from(error.message()));
        }
        _ => response.error_code = ErrorCode::UnknownServerError,
    }
    response
}
