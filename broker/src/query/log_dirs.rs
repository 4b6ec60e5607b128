//! DescribeLogDirs: every shard says how large its partitions are.

use alloc::{collections::BTreeMap, vec::Vec};
use flumen_log::{ShardId, TopicPartition};
use flumen_protocol::{
    ErrorCode, Text,
    describe_log_dirs::{
        DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
    },
};

use super::{Asked, Routed};
use crate::{
    mail::{Answer, Question},
    shard::{Return, Shard, Turn},
};

/// The size that says "not known".
const UNKNOWN_BYTES: i64 = -1;

impl Shard {
    pub(crate) fn start_describe_log_dirs(&mut self, turn: &mut Turn<'_>, way: Return, request: DescribeLogDirsRequest) {
        let wanted = request.topics.as_ref().map(|topics| {
            let mut partitions = Vec::<TopicPartition>::new();
            for topic in topics {
                if let Some(found) = self.metadata.by_name(&topic.topic) {
                    partitions.extend(topic.partitions.iter().filter_map(|partition| found.partition(*partition)));
                }
            }
            partitions
        });
        let ask = |shard| -> Routed { Ok((ShardId(shard), Question::Sizes { partitions: wanted.clone() })) };
        let questions: Vec<Routed> = (0..self.settings.shards).map(ask).collect();
        let deadline = turn.now.monotonic.after_ms(30_000);
        self.ask(turn, way, Asked::LogDirs(request), questions, deadline);
    }

    pub(super) fn log_dirs_response(
        &self,
        _request: &DescribeLogDirsRequest,
        answers: impl Iterator<Item = Answer>,
    ) -> DescribeLogDirsResponse {
        let mut topics = BTreeMap::<Text, Vec<DescribeLogDirsPartition>>::new();
        let mut result = DescribeLogDirsResult {
            log_dir: Text::from(self.settings.log_directory.as_str()),
            total_bytes: UNKNOWN_BYTES,
            usable_bytes: UNKNOWN_BYTES,
            ..DescribeLogDirsResult::default()
        };
        for answer in answers {
            match answer {
                Answer::Sizes { sizes, free_bytes, failed } => {
                    for (partition, bytes) in sizes {
                        self.put_size(&mut topics, partition, bytes);
                    }
                    if let Some((total, usable)) = free_bytes {
                        result.total_bytes = i64::try_from(total).unwrap_or(i64::MAX);
                        result.usable_bytes = i64::try_from(usable).unwrap_or(i64::MAX);
                    }
                    if failed {
                        result.error_code = ErrorCode::KafkaStorageError;
                    }
                }
                Answer::Refused { error } => result.error_code = error,
                _ => result.error_code = ErrorCode::UnknownServerError,
            }
        }
        result.topics = topics.into_iter().map(|(name, partitions)| DescribeLogDirsTopic { name, partitions }).collect();
        DescribeLogDirsResponse { results: alloc::vec![result], ..DescribeLogDirsResponse::default() }
    }

    fn put_size(&self, topics: &mut BTreeMap<Text, Vec<DescribeLogDirsPartition>>, partition: TopicPartition, bytes: u64) {
        let Some(topic) = self.metadata.topics.get(&partition.topic) else { return };
        topics.entry(Text::from(topic.name())).or_default().push(DescribeLogDirsPartition {
            partition_index: partition.partition.0,
            partition_size: i64::try_from(bytes).unwrap_or(i64::MAX),
            offset_lag: 0,
            is_future_key: false,
        });
    }
}
