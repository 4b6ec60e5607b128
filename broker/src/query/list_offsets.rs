//! ListOffsets (kafka.md L01–L06).

use alloc::{collections::BTreeSet, vec::Vec};
use flumen_log::{LeaderEpoch, Offset, Timestamp};
use flumen_protocol::{
    ErrorCode,
    list_offsets::{ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse},
};

use super::{Asked, Routed, answer};
use crate::{
    mail::{Answer, Position, Question},
    shard::{Return, Shard, Turn},
};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;
/// How long a lookup may take where the version has no timeout.
const DEFAULT_TIMEOUT_MS: u64 = 30_000;

impl Shard {
    pub(crate) fn start_list_offsets(&mut self, turn: &mut Turn<'_>, way: Return, request: ListOffsetsRequest) {
        let timeout_ms = u64::try_from(request.timeout_ms).ok().filter(|timeout_ms| *timeout_ms > 0);
        let deadline = turn.now.monotonic.after_ms(timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS));
        let twice = duplicates(&request);
        let mut questions = Vec::<Routed>::new();
        for topic in &request.topics {
            let found = self.metadata.by_name(&topic.name);
            for partition in &topic.partitions {
                questions.push((|| {
                    if twice.contains(&(&*topic.name, partition.partition_index)) {
                        return Err(ErrorCode::InvalidRequest);
                    }
                    let position = position(partition.timestamp, way.version)?;
                    let found = found.ok_or(ErrorCode::UnknownTopicOrPartition)?;
                    let (id, owner) = self.metadata.led(found, partition.partition_index)?;
                    let question = Question::Offset {
                        partition: id,
                        current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
                        position,
                        read_committed: request.isolation_level != 0,
                    };
                    Ok((owner, question))
                })());
            }
        }
        drop(twice);
        self.ask(turn, way, Asked::ListOffsets(request), questions, deadline);
    }
}

/// What a special timestamp means in this version (L01, L05).
const fn position(timestamp: i64, version: i16) -> Result<Position, ErrorCode> {
    match timestamp {
        LATEST => Ok(Position::Latest),
        EARLIEST => Ok(Position::Earliest),
        MAX_TIMESTAMP if version >= 7 => Ok(Position::MaxTimestamp),
        // Everything is local here.
        EARLIEST_LOCAL if version >= 8 => Ok(Position::Earliest),
        LATEST_TIERED if version >= 9 => Ok(Position::Tiered),
        EARLIEST_PENDING_UPLOAD if version >= 11 => Ok(Position::Tiered),
        timestamp if timestamp >= 0 => Ok(Position::At(Timestamp(timestamp))),
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}

/// Partitions that the request names more than once (L05).
fn duplicates(request: &ListOffsetsRequest) -> BTreeSet<(&str, i32)> {
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = (&*topic.name, partition.partition_index);
            if !seen.insert(key) {
                twice.insert(key);
            }
        }
    }
    twice
}

/// The answers in their places.
pub(super) fn response(
    request: ListOffsetsRequest,
    version: i16,
    answers: &mut dyn Iterator<Item = Answer>,
) -> ListOffsetsResponse {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| ListOffsetsTopicResponse {
            partitions: topic
                .partitions
                .iter()
                .map(|partition| partition_response(partition.partition_index, version, answer::next(answers)))
                .collect(),
            name: topic.name,
        })
        .collect();
    ListOffsetsResponse { topics, ..ListOffsetsResponse::default() }
}

fn partition_response(partition_index: i32, version: i16, answer: Answer) -> ListOffsetsPartitionResponse {
    let (error_code, offset, timestamp, leader_epoch) = match answer {
        Answer::Offset { offset, timestamp, leader_epoch } => (ErrorCode::None, offset, timestamp, leader_epoch),
        Answer::Refused { error: ErrorCode::OffsetNotAvailable } if version <= 4 => {
            (ErrorCode::LeaderNotAvailable, Offset(-1), Timestamp::NONE, LeaderEpoch::NONE)
        }
        Answer::Refused { error } => (error, Offset(-1), Timestamp::NONE, LeaderEpoch::NONE),
        _ => (ErrorCode::UnknownServerError, Offset(-1), Timestamp::NONE, LeaderEpoch::NONE),
    };
    ListOffsetsPartitionResponse {
        partition_index,
        error_code,
        timestamp: timestamp.0,
        offset: offset.0,
        leader_epoch: leader_epoch.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l05_a_special_timestamp_the_version_does_not_have_is_refused() {
        assert_eq!(position(MAX_TIMESTAMP, 7), Ok(Position::MaxTimestamp));
        assert_eq!(position(MAX_TIMESTAMP, 6), Err(ErrorCode::UnsupportedVersion));
        assert_eq!(position(EARLIEST_PENDING_UPLOAD, 10), Err(ErrorCode::UnsupportedVersion));
        assert_eq!(position(-7, 11), Err(ErrorCode::UnsupportedVersion));
    }
}
