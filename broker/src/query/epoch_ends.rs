//! OffsetForLeaderEpoch (kafka.md E01).

use alloc::vec::Vec;
use flumen_log::LeaderEpoch;
use flumen_protocol::{
    ErrorCode,
    offset_for_leader_epoch::{
        EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
    },
};

use super::{Asked, Routed, answer};
use crate::{
    mail::{Answer, Question},
    shard::{Return, Shard, Turn},
};

impl Shard {
    pub(crate) fn start_epoch_ends(&mut self, turn: &mut Turn<'_>, way: Return, request: OffsetForLeaderEpochRequest) {
        let mut questions = Vec::<Routed>::new();
        for topic in &request.topics {
            let found = self.metadata.by_name(&topic.topic).ok_or(ErrorCode::UnknownTopicOrPartition);
            for partition in &topic.partitions {
                let routed = found.and_then(|found| self.metadata.led(found, partition.partition));
                questions.push(routed.map(|(id, owner)| {
                    let question = Question::EpochEnd {
                        partition: id,
                        current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
                        epoch: LeaderEpoch(partition.leader_epoch),
                    };
                    (owner, question)
                }));
            }
        }
        let deadline = turn.now.monotonic.after_ms(30_000);
        self.ask(turn, way, Asked::EpochEnds(request), questions, deadline);
    }
}

/// The answers in their places.
pub(super) fn response(
    request: OffsetForLeaderEpochRequest,
    answers: &mut dyn Iterator<Item = Answer>,
) -> OffsetForLeaderEpochResponse {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| OffsetForLeaderTopicResult {
            partitions: topic
                .partitions
                .iter()
                .map(|partition| {
                    let mut end = EpochEndOffset { partition: partition.partition, ..EpochEndOffset::default() };
                    match answer::next(answers) {
                        Answer::EpochEnd { epoch, end: offset } => {
                            end.leader_epoch = epoch.0;
                            end.end_offset = offset.0;
                        }
                        Answer::Refused { error } => end.error_code = error,
                        _ => end.error_code = ErrorCode::UnknownServerError,
                    }
                    end
                })
                .collect(),
            topic: topic.topic,
        })
        .collect();
    OffsetForLeaderEpochResponse { topics, ..OffsetForLeaderEpochResponse::default() }
}
