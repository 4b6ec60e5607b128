//! The one client that makes and removes topics, deletes records and changes what durability means.
//!
//! One request at a time. Of a name that a lost request may still touch no use is made again.

use alloc::{format, string::ToString, vec::Vec};
use flumen_log::TopicId;
use flumen_protocol::{
    ErrorCode, Request, Response, Text, Uuid,
    create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest},
    delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic},
    delete_topics::{DeleteTopicState, DeleteTopicsRequest},
    incremental_alter_configs::{AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest},
    metadata::{MetadataRequest, MetadataRequestTopic},
};

use super::{Ask, Context, What};
use crate::shard::ledger::{Ledger, Life, Policy};

/// The setting that says what `acks=all` means.
const DURABILITY: &str = "flumen.durability";
/// A topic, as a resource of configuration.
const TOPIC_RESOURCE: i8 = 2;
/// IncrementalAlterConfigs: set.
const SET: i8 = 0;

/// What a request was for.
#[derive(Debug)]
pub(super) enum Asked {
    Create { topic: usize },
    Look { topic: usize },
    Delete { topic: usize },
    DeleteRecords { topic: usize, partition: i32 },
    Durability { topic: usize },
}

/// The admin client.
#[derive(Debug, Default)]
pub(in crate::shard) struct Admin {
    /// Topics made so far, for their names.
    names: u64,
}

impl Admin {
    /// No topic is half made.
    pub(super) fn is_settled(&self, ledger: &Ledger) -> bool {
        ledger.topics.iter().all(|topic| !matches!(topic.life, Life::Wanted | Life::Asked | Life::Doomed))
    }

    pub(super) fn next(&mut self, outstanding: usize, context: &mut Context<'_, '_>) -> Option<Ask> {
        if outstanding > 0 {
            return None;
        }
        let mut lives = context.ledger.topics.iter().map(|topic| topic.life).enumerate();
        match lives.find(|(_, life)| matches!(life, Life::Wanted | Life::Asked | Life::Doomed)) {
            Some((topic, Life::Wanted)) => return Some(create(topic, context)),
            Some((topic, Life::Asked)) => return Some(look(topic, context)),
            Some((topic, _)) => return Some(delete(topic, context)),
            None if context.settling => return None,
            None => {}
        }
        let living: Vec<usize> = context.ledger.living().collect();
        if living.len() < context.swarm.topics {
            self.want(context);
            return None;
        }
        let topic = living[context.random.index(living.len())];
        match context.random.below(20) {
            0 if context.swarm.deletes_topics => Some(delete(topic, context)),
            1..=4 if context.swarm.deletes_records => delete_records(topic, context),
            5 | 6 if context.swarm.switches_durability => Some(switch(topic, context)),
            _ => None,
        }
    }

    fn want(&mut self, context: &mut Context<'_, '_>) {
        let free = |ledger: &Ledger, name: &str| {
            let of_name = || ledger.topics.iter().filter(|topic| topic.name == name);
            of_name().all(|topic| topic.life == Life::Gone && !topic.tainted)
        };
        let gone = context.ledger.topics.iter().map(|topic| topic.name.clone()).find(|name| free(context.ledger, name));
        let name = match gone {
            Some(name) if context.swarm.reuses_names => name,
            _ => {
                self.names += 1;
                format!("topic{}", self.names)
            }
        };
        let partitions = 1 + context.random.index(context.swarm.partitions);
        let always_synced = !context.random.one_in(context.swarm.replicated_one_in);
        let policy = Policy::draw(context.swarm, context.random);
        context.ledger.want_topic(name, partitions, always_synced, policy);
    }

    pub(super) fn answered(&mut self, asked: Asked, response: Response, context: &mut Context<'_, '_>) {
        match (asked, response) {
            (Asked::Create { topic }, Response::CreateTopics(response)) => {
                let Some(result) = response.topics.first() else { return };
                match result.error_code {
                    ErrorCode::None => {
                        context.work.topics_made += 1;
                        context.ledger.topic_made(topic, TopicId(result.topic_id.0));
                    }
                    ErrorCode::TopicAlreadyExists | ErrorCode::RequestTimedOut => context.ledger.topics[topic].life = Life::Asked,
                    error => context.ledger.violation(format!("a topic was not made: {}", error.name())),
                }
            }
            (Asked::Look { topic }, Response::Metadata(response)) => {
                let Some(result) = response.topics.first() else { return };
                match result.error_code {
                    ErrorCode::None => context.ledger.topic_made(topic, TopicId(result.topic_id.0)),
                    _ => context.ledger.topics[topic].life = Life::Wanted,
                }
            }
            (Asked::Delete { topic }, Response::DeleteTopics(response)) => {
                let Some(result) = response.responses.first() else { return };
                match result.error_code {
                    ErrorCode::None | ErrorCode::UnknownTopicId => {
                        context.work.topics_removed += 1;
                        context.ledger.topics[topic].life = Life::Gone;
                    }
                    // It is asked for again.
                    ErrorCode::RequestTimedOut => {}
                    error => context.ledger.violation(format!("a topic was not removed: {}", error.name())),
                }
            }
            (Asked::DeleteRecords { topic, partition }, Response::DeleteRecords(response)) => {
                let result = response.topics.first().and_then(|topic| topic.partitions.first());
                let Some(result) = result.filter(|result| result.error_code.is_none()) else { return };
                context.work.starts_moved += 1;
                if let Some(facts) = context.ledger.partition(topic, partition) {
                    facts.deleted = facts.deleted.max(result.low_watermark);
                }
            }
            (Asked::Durability { topic }, Response::IncrementalAlterConfigs(response)) => {
                let failed = response.responses.first().is_none_or(|result| !result.error_code.is_none());
                context.ledger.topics[topic].tainted |= failed;
            }
            _ => {}
        }
    }

    /// What was asked may happen yet.
    pub(super) fn lost(&self, asked: &Asked, ledger: &mut Ledger) {
        match asked {
            Asked::Create { topic } => ledger.topics[*topic].life = Life::Asked,
            Asked::DeleteRecords { topic, .. } | Asked::Durability { topic } => ledger.topics[*topic].tainted = true,
            Asked::Delete { .. } | Asked::Look { .. } => {}
        }
    }
}

fn ask(request: Request, version: i16, what: Asked) -> Ask {
    Ask { request, version, what: What::Admin(what), silent: false }
}

fn create(topic: usize, context: &mut Context<'_, '_>) -> Ask {
    let facts = &context.ledger.topics[topic];
    let mut configs = Vec::new();
    if !facts.always_synced {
        configs.push(CreatableTopicConfig { name: Text::from(DURABILITY), value: Some(Text::from("replicated")) });
    }
    for (name, value) in facts.policy.configs() {
        configs.push(CreatableTopicConfig { name: Text::from(name), value: Some(Text::from(value.as_str())) });
    }
    let topics = Vec::from([CreatableTopic {
        name: Text::from(facts.name.as_str()),
        num_partitions: i32::try_from(facts.partitions.len()).unwrap_or_default(),
        replication_factor: 1,
        assignments: Vec::new(),
        configs,
    }]);
    context.ledger.topics[topic].life = Life::Asked;
    ask(Request::from(CreateTopicsRequest { topics, ..CreateTopicsRequest::default() }), 7, Asked::Create { topic })
}

fn look(topic: usize, context: &Context<'_, '_>) -> Ask {
    let name = Text::from(context.ledger.topics[topic].name.as_str());
    let topics = Vec::from([MetadataRequestTopic { topic_id: Uuid::ZERO, name: Some(name) }]);
    let request = MetadataRequest { topics: Some(topics), allow_auto_topic_creation: false, ..MetadataRequest::default() };
    ask(Request::from(request), 12, Asked::Look { topic })
}

fn delete(topic: usize, context: &mut Context<'_, '_>) -> Ask {
    context.ledger.topics[topic].life = Life::Doomed;
    let state = DeleteTopicState { name: None, topic_id: Uuid(context.ledger.topics[topic].id.0) };
    let request = DeleteTopicsRequest { topics: Vec::from([state]), timeout_ms: 10_000, ..DeleteTopicsRequest::default() };
    ask(Request::from(request), 6, Asked::Delete { topic })
}

fn delete_records(topic: usize, context: &mut Context<'_, '_>) -> Option<Ask> {
    let index = context.random.index(context.ledger.topics[topic].partitions.len());
    let facts = &mut context.ledger.topics[topic].partitions[index];
    let before = match context.random.below(3) {
        0 => i64::try_from(context.random.below(u64::try_from(facts.strong_end).unwrap_or_default() + 1)).unwrap_or_default(),
        // To the high watermark, wherever that is by then.
        1 if context.random.one_in(3) => -1,
        _ => facts.strong_end / 2,
    };
    facts.deletable = if before < 0 { i64::MAX } else { facts.deletable.max(before) };
    let partition = i32::try_from(index).unwrap_or_default();
    let partitions = Vec::from([DeleteRecordsPartition { partition_index: partition, offset: before }]);
    let name = Text::from(context.ledger.topics[topic].name.as_str());
    let topics = Vec::from([DeleteRecordsTopic { name, partitions }]);
    let request = DeleteRecordsRequest { topics, timeout_ms: 10_000 };
    Some(ask(Request::from(request), 2, Asked::DeleteRecords { topic, partition }))
}

fn switch(topic: usize, context: &mut Context<'_, '_>) -> Ask {
    let facts = &mut context.ledger.topics[topic];
    facts.always_synced = false;
    let value = if context.random.one_in(2) { "replicated" } else { "synced" };
    let config = AlterableConfig { name: Text::from(DURABILITY), config_operation: SET, value: Some(Text::from(value)) };
    let resources = Vec::from([AlterConfigsResource {
        resource_type: TOPIC_RESOURCE,
        resource_name: Text::from(facts.name.to_string().as_str()),
        configs: Vec::from([config]),
    }]);
    let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
    ask(Request::from(request), 1, Asked::Durability { topic })
}
