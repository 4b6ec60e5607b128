//! OffsetCommit of a consumer that is in no group (kafka.md O01, O02, O05, O06), and expiry.

use alloc::{string::ToString, vec::Vec};
use flumen_log::{Monotonic, TopicPartition};
use flumen_protocol::{
    ErrorCode,
    offset_commit::{OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic},
};

use super::{
    OFFSETS_TOPIC,
    coordinator::{Commit, CommitKey, Replay, Uncommitted},
    records,
};
use crate::{
    admin::coordinator_partition,
    mail::{Answer, CommitOffsets, CommittedOffset, Question},
    query::{Answered, Asked},
    shard::{Return, Shard, Timer, Turn},
};

/// The first version that names topics by id.
const BY_ID_VERSION: i16 = 10;
/// The first version that knows [`ErrorCode::GroupIdNotFound`].
const GROUP_NOT_FOUND_VERSION: i16 = 9;
/// A question group that nobody waits for: removals of what has expired.
const NOBODY: u64 = 0;

/// A commit under way: what was wrong with a partition before the coordinator was asked, in the order of the request.
#[derive(Debug)]
pub(crate) struct CommitAsked {
    pub(crate) request: OffsetCommitRequest,
    pub(crate) refused: Vec<Option<ErrorCode>>,
}

impl Shard {
    pub(crate) fn start_offset_commit(&mut self, turn: &mut Turn<'_>, way: Return, request: OffsetCommitRequest) {
        let mut offsets = Vec::new();
        let mut refused = Vec::new();
        for topic in &request.topics {
            let found = self.metadata.resolve(&topic.name, topic.topic_id, way.version >= BY_ID_VERSION);
            for partition in &topic.partitions {
                let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
                let checked = match found {
                    Err(error) => Err(error),
                    Ok(topic) if topic.partition(partition.partition_index).is_none() => Err(ErrorCode::UnknownTopicOrPartition),
                    Ok(_) if metadata.len() > self.settings.offsets.metadata_max_bytes => Err(ErrorCode::OffsetMetadataTooLarge),
                    Ok(topic) => Ok(CommittedOffset {
                        topic: topic.name().to_string(),
                        partition: partition.partition_index,
                        offset: partition.committed_offset,
                        leader_epoch: partition.committed_leader_epoch,
                        metadata: metadata.to_string(),
                    }),
                };
                refused.push(checked.as_ref().err().copied());
                offsets.extend(checked);
            }
        }
        let commit = CommitOffsets {
            group: request.group_id.as_str().into(),
            offsets,
            retention_ms: (request.retention_time_ms >= 0).then_some(request.retention_time_ms),
            joined: request.generation_id_or_member_epoch >= 0 || !request.member_id.is_empty(),
            unknown_group: if way.version >= GROUP_NOT_FOUND_VERSION {
                ErrorCode::GroupIdNotFound
            } else {
                ErrorCode::IllegalGeneration
            },
        };
        let routed = self
            .coordinator_of(&commit.group)
            .map(|(coordinator, owner)| (owner, Question::CommitOffsets { coordinator, commit: alloc::boxed::Box::new(commit) }));
        let deadline = turn.now.monotonic.after_ms(self.settings.offsets.commit_timeout_ms);
        let asked = Asked::CommitOffsets(CommitAsked { request, refused });
        self.ask(turn, way, asked, [routed], deadline);
    }

    /// The partition of `__consumer_offsets` that a group is coordinated on, and the shard that owns it.
    pub(super) fn coordinator_of(&self, group: &str) -> Result<(TopicPartition, flumen_log::ShardId), ErrorCode> {
        let topic = self.metadata.by_name(OFFSETS_TOPIC).ok_or(ErrorCode::NotCoordinator)?;
        let partition = coordinator_partition(group, topic.image.partitions.len()).ok_or(ErrorCode::NotCoordinator)?;
        self.metadata.led(topic, partition.0).map_err(|_| ErrorCode::NotCoordinator)
    }

    /// At the coordinator: record a commit.
    pub(crate) fn commit_offsets(
        &mut self,
        turn: &mut Turn<'_>,
        place: (u64, u32),
        partition: TopicPartition,
        commit: CommitOffsets,
        deadline: Monotonic,
    ) -> Answered {
        let coordinator = match self.coordinators.ready(partition) {
            Ok(coordinator) => coordinator,
            Err(error) => return Some(Answer::Refused { error }),
        };
        if commit.joined {
            // Nobody has joined any group here (O01).
            let known = coordinator.knows(&commit.group);
            let error = if known { ErrorCode::UnknownMemberId } else { commit.unknown_group };
            return Some(Answer::Refused { error });
        }
        if commit.offsets.is_empty() {
            return Some(Answer::Committed);
        }
        let now_ms = turn.now.wall.0;
        let records: Vec<(CommitKey, Option<Commit>)> = commit
            .offsets
            .into_iter()
            .map(|offset| {
                let key = CommitKey { group: commit.group.clone(), topic: offset.topic, partition: offset.partition };
                let commit = Commit {
                    offset: offset.offset,
                    leader_epoch: offset.leader_epoch,
                    metadata: offset.metadata,
                    committed_at_ms: now_ms,
                    expires_at_ms: commit.retention_ms.map(|retention_ms| now_ms.saturating_add(retention_ms)),
                };
                (key, Some(commit))
            })
            .collect();
        self.record(turn, place, (partition, records), deadline);
        None
    }

    /// Append a coordinator's records; they are taken up when they are committed.
    fn record(&mut self, turn: &mut Turn<'_>, place: (u64, u32), uncommitted: Uncommitted, deadline: Monotonic) {
        let partition = uncommitted.0;
        let records = uncommitted.1.iter().map(|(key, commit)| (key, commit.as_ref()));
        let Ok(batch) = records::batch(records, turn.now.wall) else {
            self.answer_question(turn, place.0, place.1, Answer::Refused { error: ErrorCode::InvalidCommitOffsetSize });
            return;
        };
        let max_bytes = self.metadata.by_name(OFFSETS_TOPIC).map_or(0, |topic| topic.config.max_message_bytes as usize);
        if batch.total_bytes() > max_bytes {
            // As Kafka answers it.
            self.answer_question(turn, place.0, place.1, Answer::Refused { error: ErrorCode::UnknownServerError });
            return;
        }
        self.coordinators.uncommitted.insert(place, uncommitted);
        self.append_for_question(turn, partition, batch, deadline, place);
    }

    /// What a coordinator appended is committed, or will never be known to be.
    pub(crate) fn coordinator_appended(&mut self, turn: &mut Turn<'_>, group: u64, index: u32, error: ErrorCode) {
        let uncommitted = self.coordinators.uncommitted.remove(&(group, index));
        let answer = match error {
            ErrorCode::None => {
                if let Some(uncommitted) = uncommitted {
                    self.coordinators.take_up(uncommitted);
                }
                Answer::Committed
            }
            error => Answer::Refused { error: commit_error(error) },
        };
        self.answer_question(turn, group, index, answer);
    }

    /// An append takes too long for whoever asked for it. It is under way all the same, and counts once it is committed.
    pub(crate) fn coordinator_late(&mut self, turn: &mut Turn<'_>, group: u64, index: u32) {
        let error = commit_error(ErrorCode::RequestTimedOut);
        self.answer_question(turn, group, index, Answer::Refused { error });
    }

    /// See to it that commits expire while there are coordinators here.
    pub(super) fn arm_offset_expiry(&mut self, turn: &Turn<'_>) {
        if !self.coordinators.expiry_armed {
            self.coordinators.expiry_armed = true;
            let interval_ms = self.settings.offsets.retention_check_interval_ms;
            self.timers.arm(turn.now.monotonic.after_ms(interval_ms), Timer::OffsetExpiry);
        }
    }

    /// Remove what has expired (O05): so long after the last commit, or when the client said.
    ///
    /// Only where that commit is known to be the last one: not while the partition is still being read, nor while a newer one
    /// is on its way, behind which the removal would be written.
    pub(crate) fn expire_offsets(&mut self, turn: &mut Turn<'_>) {
        let now_ms = self.coordinators.steady_wall.observe(turn.now).0;
        let retention_ms = self.settings.offsets.retention_ms;
        let expired = |commit: &Commit| {
            let expires_at_ms = commit.expires_at_ms.unwrap_or_else(|| commit.committed_at_ms.saturating_add(retention_ms));
            expires_at_ms <= now_ms
        };
        let mut removals = Vec::<Uncommitted>::new();
        for (partition, coordinator) in self.coordinators.loaded() {
            let under_way = self.coordinators.keys_under_way(partition);
            let keys = coordinator.commits.iter().filter(|(key, commit)| expired(commit) && !under_way.contains(key));
            removals.push((partition, keys.map(|(key, _)| (key.clone(), None)).collect()));
        }
        self.record_removals(turn, removals);
        self.coordinators.expiry_armed = false;
        if !self.coordinators.of.is_empty() {
            self.arm_offset_expiry(turn);
        }
    }

    /// A topic is gone, and with it all that was committed for it, what is on its way included. A coordinator that still reads
    /// its partition removes it when it has.
    pub(crate) fn forget_commits_of(&mut self, turn: &mut Turn<'_>, topic: &str) {
        for coordinator in self.coordinators.of.values_mut() {
            if matches!(coordinator.replay, Replay::At { .. }) {
                coordinator.gone_topics.insert(topic.to_string());
            }
        }
        let loaded: Vec<TopicPartition> = self.coordinators.loaded().map(|(partition, _)| partition).collect();
        for partition in loaded {
            self.forget_commits_in(turn, partition, |key| key.topic == topic);
        }
    }

    /// Remove every commit of such a key from a partition that was read to its end.
    pub(super) fn forget_commits_in(
        &mut self,
        turn: &mut Turn<'_>,
        partition: TopicPartition,
        gone: impl Fn(&CommitKey) -> bool,
    ) {
        let Some(coordinator) = self.coordinators.of.get(&partition) else { return };
        let mut keys = self.coordinators.keys_under_way(partition);
        keys.extend(coordinator.commits.keys());
        let keys = keys.into_iter().filter(|key| gone(key)).map(|key| (key.clone(), None)).collect();
        self.record_removals(turn, Vec::from([(partition, keys)]));
    }

    fn record_removals(&mut self, turn: &mut Turn<'_>, removals: Vec<Uncommitted>) {
        let deadline = turn.now.monotonic.after_ms(self.settings.offsets.commit_timeout_ms);
        for removal in removals.into_iter().filter(|(_, keys)| !keys.is_empty()) {
            self.coordinators.expiries = self.coordinators.expiries.wrapping_add(1);
            let place = (NOBODY, self.coordinators.expiries);
            self.record(turn, place, removal, deadline);
        }
    }
}

/// What a failed append is to somebody who commits, as in Kafka.
const fn commit_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => ErrorCode::InvalidCommitOffsetSize,
        error => error,
    }
}

/// The answer, partition by partition.
pub(crate) fn commit_response(asked: CommitAsked, answers: &mut dyn Iterator<Item = Answer>) -> OffsetCommitResponse {
    let committed = match answers.next() {
        Some(Answer::Committed) => ErrorCode::None,
        Some(Answer::Refused { error }) => error,
        _ => ErrorCode::UnknownServerError,
    };
    let mut refused = asked.refused.into_iter();
    let topics = asked
        .request
        .topics
        .into_iter()
        .map(|topic| OffsetCommitResponseTopic {
            partitions: topic
                .partitions
                .iter()
                .map(|partition| OffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: refused.next().flatten().unwrap_or(committed),
                })
                .collect(),
            name: topic.name,
            topic_id: topic.topic_id,
        })
        .collect();
    OffsetCommitResponse { topics, ..OffsetCommitResponse::default() }
}
