//! A consumer: long polls over a few partitions, with a fetch session, and offsets committed under a group of its own.

use alloc::{format, string::String, vec::Vec};
use flumen_protocol::{
    ErrorCode, Request, Response, Text, Uuid,
    fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData},
    find_coordinator::FindCoordinatorRequest,
    list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic},
    offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic},
};

use super::{Ask, Context, What};
use crate::shard::ledger::{Ledger, payload};

/// The version of Fetch that names topics by id.
const BY_ID_VERSION: i16 = 13;
/// ListOffsets: the log's start.
const EARLIEST: i64 = -2;
/// ListOffsets: the high watermark.
const LATEST: i64 = -1;

/// What a request was for.
#[derive(Debug)]
pub(super) enum Asked {
    Coordinator,
    Committed,
    Fetch { version: i16 },
    Commit { topic: String, partition: i32, offset: i64 },
    Range { place: usize, earliest: bool },
}

#[derive(Debug)]
struct Followed {
    topic: usize,
    partition: i32,
    /// None until it is known where to begin.
    position: Option<i64>,
    /// The epoch of the last record read.
    last_epoch: i32,
    /// The session does not know the position yet.
    changed: bool,
    committed: i64,
}

/// A consumer.
#[derive(Debug)]
pub(in crate::shard) struct Consumer {
    group: String,
    version: i16,
    session_id: i32,
    session_epoch: i32,
    has_coordinator: bool,
    /// The group's offsets have to be looked up before the next commit.
    look_up: bool,
    followed: Vec<Followed>,
}

impl Consumer {
    pub(in crate::shard) fn new(group: String, version: i16) -> Self {
        Self { group, version, session_id: 0, session_epoch: 0, has_coordinator: false, look_up: true, followed: Vec::new() }
    }

    /// It never has to finish anything.
    pub(super) const fn is_settled(&self, _ledger: &Ledger) -> bool {
        true
    }

    pub(super) fn connected(&mut self) {
        self.restart_session();
        self.look_up = true;
    }

    fn restart_session(&mut self) {
        self.session_id = 0;
        self.session_epoch = 0;
    }

    pub(super) fn next(&mut self, outstanding: usize, context: &mut Context<'_, '_>) -> Option<Ask> {
        if outstanding > 0 || context.settling {
            return None;
        }
        self.follow(context);
        if let Some(place) = self.followed.iter().position(|followed| followed.position.is_none()) {
            return Some(self.ask_range(place, true, context));
        }
        match context.random.below(10) {
            0 if !self.has_coordinator => Some(self.find_coordinator()),
            0 | 1 if self.has_coordinator && self.look_up => Some(self.ask_committed(context)),
            0 | 1 if self.has_coordinator => self.commit(context).or_else(|| self.fetch(context)),
            2 if !self.followed.is_empty() && context.random.one_in(3) => {
                let place = context.random.index(self.followed.len());
                Some(self.ask_range(place, false, context))
            }
            _ => self.fetch(context),
        }
    }

    /// Follow more partitions; let go of those that are going.
    fn follow(&mut self, context: &mut Context<'_, '_>) {
        let before = self.followed.len();
        self.followed.retain(|followed| context.ledger.is_living(followed.topic));
        if self.followed.len() != before {
            self.restart_session();
        }
        if self.followed.len() >= context.swarm.followed {
            return;
        }
        let living: Vec<usize> = context.ledger.living().collect();
        if living.is_empty() {
            return;
        }
        let topic = living[context.random.index(living.len())];
        let partitions = context.ledger.topics[topic].partitions.len();
        let partition = i32::try_from(context.random.index(partitions)).unwrap_or_default();
        if !self.followed.iter().any(|followed| (followed.topic, followed.partition) == (topic, partition)) {
            let followed = Followed { topic, partition, position: None, last_epoch: -1, changed: true, committed: -1 };
            self.followed.push(followed);
        }
    }

    fn find_coordinator(&self) -> Ask {
        let request = FindCoordinatorRequest { key: Text::from(self.group.as_str()), ..FindCoordinatorRequest::default() };
        Ask { request: Request::from(request), version: 2, what: What::Consumer(Asked::Coordinator), silent: false }
    }

    fn ask_range(&self, place: usize, earliest: bool, context: &Context<'_, '_>) -> Ask {
        let followed = &self.followed[place];
        let partition = ListOffsetsPartition {
            partition_index: followed.partition,
            current_leader_epoch: -1,
            timestamp: if earliest { EARLIEST } else { LATEST },
        };
        let name = Text::from(context.ledger.topics[followed.topic].name.as_str());
        let topics = Vec::from([ListOffsetsTopic { name, partitions: Vec::from([partition]) }]);
        let request = ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() };
        let what = What::Consumer(Asked::Range { place, earliest });
        Ask { request: Request::from(request), version: 5, what, silent: false }
    }

    fn ask_committed(&self, context: &Context<'_, '_>) -> Ask {
        let topic = |followed: &Followed| OffsetFetchRequestTopic {
            name: Text::from(context.ledger.topics[followed.topic].name.as_str()),
            partition_indexes: Vec::from([followed.partition]),
        };
        let request = OffsetFetchRequest {
            group_id: Text::from(self.group.as_str()),
            topics: Some(self.followed.iter().map(topic).collect()),
            ..OffsetFetchRequest::default()
        };
        Ask { request: Request::from(request), version: 5, what: What::Consumer(Asked::Committed), silent: false }
    }

    fn commit(&mut self, context: &mut Context<'_, '_>) -> Option<Ask> {
        if context.swarm.reuses_names {
            // Commits name topics, and the next of that name has nothing of the last.
            return None;
        }
        let followed = self.followed.iter_mut().find(|followed| followed.position.is_some_and(|at| at > followed.committed))?;
        let offset = followed.position?;
        followed.committed = offset;
        let name = context.ledger.topics[followed.topic].name.clone();
        context.ledger.committing(&self.group, &name, followed.partition, offset);
        let partition = OffsetCommitRequestPartition {
            partition_index: followed.partition,
            committed_offset: offset,
            ..OffsetCommitRequestPartition::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: Text::from(name.as_str()),
            partitions: Vec::from([partition]),
            ..OffsetCommitRequestTopic::default()
        };
        let what = Asked::Commit { topic: name, partition: followed.partition, offset };
        let request = OffsetCommitRequest {
            group_id: Text::from(self.group.as_str()),
            topics: Vec::from([topic]),
            ..OffsetCommitRequest::default()
        };
        Some(Ask { request: Request::from(request), version: 7, what: What::Consumer(what), silent: false })
    }

    fn fetch(&mut self, context: &mut Context<'_, '_>) -> Option<Ask> {
        if self.followed.is_empty() {
            return None;
        }
        let sessions = self.version >= 7;
        let full = self.session_id == 0;
        let by_id = self.version >= BY_ID_VERSION;
        let mut topics = Vec::new();
        for followed in &mut self.followed {
            if !full && !core::mem::take(&mut followed.changed) {
                continue;
            }
            followed.changed = false;
            let facts = &context.ledger.topics[followed.topic];
            topics.push(FetchTopic {
                topic: if by_id { Text::default() } else { Text::from(facts.name.as_str()) },
                topic_id: if by_id { Uuid(facts.id.0) } else { Uuid::ZERO },
                partitions: Vec::from([FetchPartition {
                    partition: followed.partition,
                    fetch_offset: followed.position.unwrap_or_default(),
                    last_fetched_epoch: if self.version >= 12 { followed.last_epoch } else { -1 },
                    partition_max_bytes: 1 + i32::try_from(context.random.below(40_000)).unwrap_or_default(),
                    ..FetchPartition::default()
                }]),
            });
        }
        let request = FetchRequest {
            max_wait_ms: i32::try_from(context.random.below(context.swarm.wait_ms)).unwrap_or_default(),
            min_bytes: 1 + i32::try_from(context.random.below(3)).unwrap_or_default() * 700,
            max_bytes: 1 + i32::try_from(context.random.below(100_000)).unwrap_or_default(),
            session_id: if sessions { self.session_id } else { 0 },
            session_epoch: if sessions { self.session_epoch } else { -1 },
            topics,
            ..FetchRequest::default()
        };
        let what = What::Consumer(Asked::Fetch { version: self.version });
        Some(Ask { request: Request::from(request), version: self.version, what, silent: false })
    }

    pub(super) fn answered(&mut self, asked: Asked, response: Response, context: &mut Context<'_, '_>) {
        match (asked, response) {
            (Asked::Coordinator, Response::FindCoordinator(response)) => {
                self.has_coordinator = response.error_code.is_none();
            }
            (Asked::Committed, Response::OffsetFetch(response)) if response.error_code.is_none() => {
                self.look_up = false;
                for topic in response.topics {
                    for partition in topic.partitions {
                        if partition.error_code.is_none() && self.follows(&topic.name, partition.partition_index, context.ledger)
                        {
                            let offset = partition.committed_offset;
                            context.work.commits_read += 1;
                            context.ledger.found_commit(&self.group, &topic.name, partition.partition_index, offset);
                        }
                    }
                }
            }
            (Asked::Commit { topic, partition, offset }, Response::OffsetCommit(response)) => {
                let result = response.topics.first().and_then(|topic| topic.partitions.first());
                if result.is_some_and(|result| result.error_code.is_none()) {
                    context.work.commits += 1;
                    context.ledger.committed(&self.group, &topic, partition, offset);
                }
            }
            (Asked::Range { place, earliest }, Response::ListOffsets(response)) => {
                let result = response.topics.first().and_then(|topic| topic.partitions.first());
                if let (Some(result), Some(followed)) = (result, self.followed.get_mut(place))
                    && result.error_code.is_none()
                    && earliest
                {
                    followed.position = Some(result.offset);
                    followed.last_epoch = -1;
                    followed.changed = true;
                }
            }
            (Asked::Fetch { version }, Response::Fetch(response)) => self.fetched(version, &response, context),
            _ => {}
        }
    }

    fn follows(&self, topic: &str, partition: i32, ledger: &Ledger) -> bool {
        let same = |followed: &Followed| {
            ledger.is_living(followed.topic) && ledger.topics[followed.topic].name == topic && followed.partition == partition
        };
        self.followed.iter().any(same)
    }

    fn fetched(&mut self, version: i16, response: &FetchResponse, context: &mut Context<'_, '_>) {
        context.work.fetches += 1;
        if !response.error_code.is_none() {
            let known = matches!(response.error_code, ErrorCode::FetchSessionIdNotFound | ErrorCode::InvalidFetchSessionEpoch);
            if !known {
                context.ledger.violation(format!("a fetch was told {}", response.error_code.name()));
            }
            return self.restart_session();
        }
        if version >= 7 {
            self.session_id = response.session_id;
            self.session_epoch = if response.session_id == 0 { 0 } else { self.session_epoch + 1 };
        }
        for topic in &response.responses {
            for result in &topic.partitions {
                let same = |followed: &&mut Followed| {
                    let facts = &context.ledger.topics[followed.topic];
                    let named =
                        if version >= BY_ID_VERSION { facts.id.0 == topic.topic_id.0 } else { topic.topic == *facts.name };
                    named && followed.partition == result.partition_index
                };
                if let Some(followed) = self.followed.iter_mut().find(same) {
                    followed.take(result, context);
                }
            }
        }
    }
}

impl Followed {
    fn take(&mut self, result: &PartitionData, context: &mut Context<'_, '_>) {
        let Some(position) = self.position else { return };
        let living = context.ledger.is_living(self.topic);
        match result.error_code {
            ErrorCode::None => {}
            ErrorCode::OffsetOutOfRange => {
                context.ledger.out_of_range(self.topic, self.partition, position);
                self.position = None;
                return;
            }
            ErrorCode::NotLeaderOrFollower => return,
            ErrorCode::KafkaStorageError if context.swarm.disk_fails() => return,
            ErrorCode::KafkaStorageError if context.ledger.is_not_made(self.topic, self.partition) => return,
            error => {
                self.position = None;
                if living {
                    let (topic, partition) = (self.topic, self.partition);
                    context.ledger.violation(format!("a fetch of topic {topic} partition {partition} was told {}", error.name()));
                }
                return;
            }
        }
        if result.diverging_epoch.epoch >= 0 {
            context.ledger.diverged(self.topic, self.partition, position, self.last_epoch);
            self.position = None;
            return;
        }
        let Some(bytes) = result.records.as_ref().and_then(|records| records.inline()) else { return };
        let batches = match payload::read(bytes) {
            Ok(batches) => batches,
            Err(fault) => {
                let (topic, partition) = (self.topic, self.partition);
                return context.ledger.violation(format!("topic {topic} partition {partition} at {position}: {fault}"));
            }
        };
        if let Some(last) = batches.last() {
            context.work.fetched_records += batches.iter().map(|batch| batch.numbers.len() as u64).sum::<u64>();
            self.last_epoch = last.header.partition_leader_epoch.0;
            let next = context.ledger.fetched(self.topic, self.partition, position, &batches, result.high_watermark);
            self.position = Some(next);
            self.changed = true;
        }
    }
}
