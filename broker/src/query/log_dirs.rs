//! DescribeLogDirs: every shard says how large its partitions are, directory by directory.

use alloc::{collections::BTreeMap, vec::Vec};
use flumen_log::{ShardId, TopicPartition, store::Space};
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
        let mut directories: Vec<Described> = self.settings.log_directories.iter().map(|_| Described::default()).collect();
        for answer in answers {
            match answer {
                Answer::Sizes { directories: told } => {
                    for (described, told) in directories.iter_mut().zip(told) {
                        for (partition, bytes) in told.sizes {
                            self.put_size(&mut described.topics, partition, bytes);
                        }
                        described.space = told.space.or(described.space);
                        if told.failed {
                            described.error = ErrorCode::KafkaStorageError;
                        }
                    }
                }
                Answer::Refused { error } => directories.iter_mut().for_each(|described| described.error = error),
                _ => directories.iter_mut().for_each(|described| described.error = ErrorCode::UnknownServerError),
            }
        }
        let paths = self.settings.log_directories.iter();
        let online = paths.zip(directories).map(|(path, described)| described.result(path));
        let offline = self.settings.log_directories_offline.iter();
        let offline = offline.map(|path| Described { error: ErrorCode::KafkaStorageError, ..Described::default() }.result(path));
        DescribeLogDirsResponse { results: online.chain(offline).collect(), ..DescribeLogDirsResponse::default() }
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

/// One log directory, as the shards tell of it.
#[derive(Debug, Default)]
struct Described {
    error: ErrorCode,
    topics: BTreeMap<Text, Vec<DescribeLogDirsPartition>>,
    space: Option<Space>,
}

impl Described {
    /// Of one that is offline nothing is told but that.
    fn result(self, path: &str) -> DescribeLogDirsResult {
        let mut result = DescribeLogDirsResult {
            error_code: self.error,
            log_dir: Text::from(path),
            total_bytes: UNKNOWN_BYTES,
            usable_bytes: UNKNOWN_BYTES,
            ..DescribeLogDirsResult::default()
        };
        if self.error == ErrorCode::None {
            let topics = self.topics.into_iter();
            result.topics = topics.map(|(name, partitions)| DescribeLogDirsTopic { name, partitions }).collect();
            if let Some(space) = self.space {
                result.total_bytes = i64::try_from(space.total_bytes).unwrap_or(i64::MAX);
                result.usable_bytes = i64::try_from(space.free_bytes).unwrap_or(i64::MAX);
            }
        }
        result
    }
}
