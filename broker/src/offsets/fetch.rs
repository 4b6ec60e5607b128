//! OffsetFetch (kafka.md O03): what groups have committed. A partition without a commit is no error.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};
use flumen_log::TopicPartition;
use flumen_protocol::{
    ErrorCode, Text, Uuid,
    offset_fetch::{
        OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse, OffsetFetchResponseGroup,
        OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
    },
};

use super::coordinator::CommitKey;
use crate::{
    mail::{Answer, CommittedOffset, Question},
    query::{Asked, Routed},
    shard::{Return, Shard, Turn},
};

/// The first version that asks for several groups.
const GROUPS_VERSION: i16 = 8;
/// The first version that names topics by id.
const BY_ID_VERSION: i16 = 10;
/// The first version with an error for the whole group.
const GROUP_ERROR_VERSION: i16 = 2;

/// About what a partition takes beside names and metadata.
const PARTITION_BYTES: usize = 32;
const NO_COMMIT: i64 = -1;
const NO_EPOCH: i32 = -1;

impl Shard {
    pub(crate) fn start_offset_fetch(&mut self, turn: &mut Turn<'_>, way: Return, mut request: OffsetFetchRequest) {
        if way.version < GROUPS_VERSION {
            request.groups = alloc::vec![single_group(&mut request)];
        }
        let by_id = way.version >= BY_ID_VERSION;
        let mut named = BTreeSet::new();
        let questions: Vec<Routed> = request
            .groups
            .iter()
            .map(|group| {
                // What it has committed is told once.
                if !named.insert(&group.group_id) {
                    return Err(ErrorCode::InvalidRequest);
                }
                let (coordinator, owner) = self.coordinator_of(&group.group_id)?;
                let wanted = group.topics.as_ref().map(|topics| self.wanted(topics, by_id));
                Ok((owner, Question::FetchOffsets { coordinator, group: group.group_id.as_str().into(), wanted }))
            })
            .collect();
        let deadline = turn.now.monotonic.after_ms(self.settings.offsets.commit_timeout_ms);
        self.ask(turn, way, Asked::FetchOffsets(request), questions, deadline);
    }

    fn wanted(&self, topics: &[OffsetFetchRequestTopics], by_id: bool) -> BTreeSet<(String, i32)> {
        let mut wanted = BTreeSet::new();
        for topic in topics {
            let Some(name) = self.name_of(topic, by_id) else { continue };
            wanted.extend(topic.partition_indexes.iter().map(|partition| (name.clone(), *partition)));
        }
        wanted
    }

    fn name_of(&self, topic: &OffsetFetchRequestTopics, by_id: bool) -> Option<String> {
        if by_id {
            self.metadata.resolve("", topic.topic_id, true).ok().map(|topic| topic.name().into())
        } else {
            Some(topic.name.as_str().into())
        }
    }

    /// At the coordinator: what a group has committed.
    pub(crate) fn committed_offsets(
        &self,
        partition: TopicPartition,
        group: &str,
        wanted: Option<BTreeSet<(String, i32)>>,
    ) -> Answer {
        let coordinator = match self.coordinators.ready(partition) {
            Ok(coordinator) => coordinator,
            Err(error) => return Answer::Refused { error },
        };
        let offsets = match wanted {
            None => coordinator.of_group(group).map(|(key, commit)| commit.answer(key)).collect(),
            Some(wanted) => wanted
                .into_iter()
                .filter_map(|(topic, partition)| {
                    let key = CommitKey { group: group.into(), topic, partition };
                    coordinator.commits.get(&key).map(|commit| commit.answer(&key))
                })
                .collect(),
        };
        Answer::Offsets { offsets }
    }

    /// The answers in their places.
    pub(crate) fn fetch_offsets_response(
        &self,
        request: OffsetFetchRequest,
        version: i16,
        answers: &mut dyn Iterator<Item = Answer>,
    ) -> OffsetFetchResponse {
        let by_id = version >= BY_ID_VERSION;
        let mut room = Room { bytes: self.settings.limits.reply_bytes };
        let groups = request.groups.into_iter();
        let mut groups: Vec<OffsetFetchResponseGroup> = groups
            .map(|group| {
                let answer = crate::query::next_answer(answers);
                self.group_response(group, by_id, version, answer, &mut room)
            })
            .collect();
        if version >= GROUPS_VERSION {
            return OffsetFetchResponse { groups, ..OffsetFetchResponse::default() };
        }
        let Some(group) = groups.pop() else { return OffsetFetchResponse::default() };
        OffsetFetchResponse {
            error_code: group.error_code,
            topics: group.topics.into_iter().map(single_group_topic).collect(),
            ..OffsetFetchResponse::default()
        }
    }

    fn group_response(
        &self,
        group: OffsetFetchRequestGroup,
        by_id: bool,
        version: i16,
        answer: Answer,
        room: &mut Room,
    ) -> OffsetFetchResponseGroup {
        let mut response = OffsetFetchResponseGroup { group_id: group.group_id.clone(), ..OffsetFetchResponseGroup::default() };
        let offsets = match answer {
            Answer::Offsets { offsets } => offsets,
            Answer::Refused { error } => {
                response.error_code = error;
                if version < GROUP_ERROR_VERSION {
                    response.topics = refused_topics(&group, error);
                }
                return response;
            }
            _ => {
                response.error_code = ErrorCode::UnknownServerError;
                return response;
            }
        };
        let Some(topics) = group.topics else {
            // All of them or none: what is left out would pass for not committed.
            if offsets.iter().all(|offset| room.takes(offset)) {
                response.topics = self.all_topics(offsets, by_id);
            } else {
                response.error_code = ErrorCode::UnknownServerError;
            }
            return response;
        };
        let offsets = offsets.iter().map(|offset| ((offset.topic.as_str(), offset.partition), offset)).collect();
        response.topics = topics.into_iter().map(|topic| self.topic_response(topic, by_id, &offsets, room)).collect();
        response
    }

    fn topic_response(
        &self,
        topic: OffsetFetchRequestTopics,
        by_id: bool,
        offsets: &BTreeMap<(&str, i32), &CommittedOffset>,
        room: &mut Room,
    ) -> OffsetFetchResponseTopics {
        let name = self.name_of(&topic, by_id);
        let partitions = topic
            .partition_indexes
            .iter()
            .map(|index| {
                let found = name.as_deref().and_then(|name| offsets.get(&(name, *index)));
                match found {
                    Some(offset) if room.takes(offset) => partition_response(offset),
                    Some(_) => no_commit(*index, ErrorCode::UnknownServerError),
                    None => {
                        let unknown = if name.is_none() { ErrorCode::UnknownTopicId } else { ErrorCode::None };
                        no_commit(*index, unknown)
                    }
                }
            })
            .collect();
        OffsetFetchResponseTopics { name: topic.name, topic_id: topic.topic_id, partitions }
    }

    fn all_topics(&self, offsets: Vec<CommittedOffset>, by_id: bool) -> Vec<OffsetFetchResponseTopics> {
        let mut topics = Vec::<OffsetFetchResponseTopics>::new();
        for offset in offsets {
            let topic_id = self.metadata.by_name(&offset.topic).map(|topic| Uuid(topic.id().0));
            if by_id && topic_id.is_none() {
                continue;
            }
            match topics.last_mut() {
                Some(last) if *last.name == *offset.topic => last.partitions.push(partition_response(&offset)),
                _ => topics.push(OffsetFetchResponseTopics {
                    name: Text::from(offset.topic.as_str()),
                    topic_id: topic_id.unwrap_or_default(),
                    partitions: alloc::vec![partition_response(&offset)],
                }),
            }
        }
        topics
    }
}

/// What a response may still hold of what was committed.
struct Room {
    bytes: usize,
}

impl Room {
    fn takes(&mut self, offset: &CommittedOffset) -> bool {
        let bytes = PARTITION_BYTES + offset.topic.len() + offset.metadata.len();
        let fits = bytes <= self.bytes;
        self.bytes = self.bytes.saturating_sub(bytes);
        fits
    }
}

/// The request of a version with one group, as one with several.
fn single_group(request: &mut OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.take().map(|topics| {
        let topics = topics.into_iter();
        topics
            .map(|topic| OffsetFetchRequestTopics {
                name: topic.name,
                partition_indexes: topic.partition_indexes,
                ..OffsetFetchRequestTopics::default()
            })
            .collect()
    });
    OffsetFetchRequestGroup { group_id: request.group_id.clone(), topics, ..OffsetFetchRequestGroup::default() }
}

fn single_group_topic(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|partition| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    });
    OffsetFetchResponseTopic { name: topic.name, partitions: partitions.collect() }
}

fn partition_response(offset: &CommittedOffset) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: offset.partition,
        committed_offset: offset.offset,
        committed_leader_epoch: offset.leader_epoch,
        metadata: Some(Text::from(offset.metadata.as_str())),
        error_code: ErrorCode::None,
    }
}

fn no_commit(partition_index: i32, error_code: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: NO_COMMIT,
        committed_leader_epoch: NO_EPOCH,
        metadata: Some(Text::from("")),
        error_code,
    }
}

fn refused_topics(group: &OffsetFetchRequestGroup, error: ErrorCode) -> Vec<OffsetFetchResponseTopics> {
    let topics = group.topics.iter().flatten();
    topics
        .map(|topic| OffsetFetchResponseTopics {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partition_indexes.iter().map(|index| no_commit(*index, error)).collect(),
        })
        .collect()
}
