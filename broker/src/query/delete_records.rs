//! DeleteRecords (kafka.md D04).

use alloc::vec::Vec;
use flumen_log::Offset;
use flumen_protocol::{
    ErrorCode,
    delete_records::{DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult},
};

use super::{Asked, Routed, answer};
use crate::{
    mail::{Answer, Question},
    shard::{Return, Shard, Turn},
};

impl Shard {
    pub(crate) fn start_delete_records(&mut self, turn: &mut Turn<'_>, way: Return, request: DeleteRecordsRequest) {
        let mut questions = Vec::<Routed>::new();
        for topic in &request.topics {
            let found = self.metadata.by_name(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition);
            let found = found.and_then(|found| {
                let forbidden = found.is_internal() || !found.config.cleanup.delete;
                if found.is_internal() {
                    Err(ErrorCode::InvalidTopicException)
                } else if forbidden {
                    Err(ErrorCode::PolicyViolation)
                } else {
                    Ok(found)
                }
            });
            for partition in &topic.partitions {
                let routed = found.and_then(|found| self.metadata.led(found, partition.partition_index));
                questions.push(
                    routed
                        .map(|(id, owner)| (owner, Question::DeleteRecords { partition: id, before: Offset(partition.offset) })),
                );
            }
        }
        let deadline = turn.now.monotonic.after_ms(self.settings.limits.wait_ms(request.timeout_ms));
        self.ask(turn, way, Asked::DeleteRecords(request), questions, deadline);
    }
}

/// The answers in their places.
pub(super) fn response(request: DeleteRecordsRequest, answers: &mut dyn Iterator<Item = Answer>) -> DeleteRecordsResponse {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| DeleteRecordsTopicResult {
            partitions: topic
                .partitions
                .iter()
                .map(|partition| {
                    let (low_watermark, error_code) = match answer::next(answers) {
                        Answer::Deleted { low_watermark } => (low_watermark.0, ErrorCode::None),
                        Answer::Refused { error } => (-1, error),
                        _ => (-1, ErrorCode::UnknownServerError),
                    };
                    DeleteRecordsPartitionResult { partition_index: partition.partition_index, low_watermark, error_code }
                })
                .collect(),
            name: topic.name,
        })
        .collect();
    DeleteRecordsResponse { topics, ..DeleteRecordsResponse::default() }
}
