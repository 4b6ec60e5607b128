//! Metadata: brokers, topics, partition leaders, and the automatic creation of topics.

use super::cluster_view::{CLUSTER_OPERATIONS, ClusterView, Leadership, TOPIC_OPERATIONS};
use super::{AdminContext, Step, internal_topics};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use flumen_controller::{TopicImage, names};
use flumen_log::TopicId;
use flumen_protocol::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use flumen_protocol::{ErrorCode, Text, Uuid};

/// The first version that asks by topic id.
const BY_ID_FROM: i16 = 12;
/// The first version that tells a missing listener from a missing leader (M07).
const LISTENER_ERROR_FROM: i16 = 6;
/// The only version in which an empty list means all topics (M01).
const EMPTY_MEANS_ALL: i16 = 0;

pub(super) fn handle(request: &MetadataRequest, version: i16, context: &mut AdminContext<'_>) -> Step {
    let asked = request.topics.as_deref().filter(|topics| version != EMPTY_MEANS_ALL || !topics.is_empty());
    if let Some(topics) = asked
        && topics.iter().any(|topic| !is_askable(topic, version))
    {
        return Step::Reply(refuse_all(topics).into());
    }
    let mut writer =
        Writer { context, version, with_operations: request.include_topic_authorized_operations, missing: Vec::new() };
    let topics = match asked {
        Some(topics) => writer.asked(topics),
        None => writer.all(),
    };
    let missing = writer.missing;
    let response = response(request, topics, context);
    let allowed = request.allow_auto_topic_creation && context.settings.layers(context.image).switch("auto.create.topics.enable");
    let new: Vec<_> =
        if allowed { missing.iter().filter_map(|name| internal_topics::automatic(name, context)).collect() } else { Vec::new() };
    if new.is_empty() {
        return Step::Reply(response.into());
    }
    let command = internal_topics::create(new, context.image, context.settings);
    Step::ReplyAndPropose { response: response.into(), command }
}

/// Before version 12 a topic is asked by name only, since then by either (M05).
fn is_askable(topic: &MetadataRequestTopic, version: i16) -> bool {
    if version < BY_ID_FROM {
        topic.name.is_some() && topic.topic_id == Uuid::default()
    } else {
        topic.name.is_some() || topic.topic_id != Uuid::default()
    }
}

fn refuse_all(topics: &[MetadataRequestTopic]) -> MetadataResponse {
    let refuse = |topic: &MetadataRequestTopic| MetadataResponseTopic {
        error_code: ErrorCode::InvalidRequest,
        name: Some(topic.name.clone().unwrap_or_default()),
        topic_id: topic.topic_id,
        ..MetadataResponseTopic::default()
    };
    MetadataResponse {
        topics: topics.iter().map(refuse).collect(),
        error_code: ErrorCode::InvalidRequest,
        ..MetadataResponse::default()
    }
}

fn response(request: &MetadataRequest, topics: Vec<MetadataResponseTopic>, context: &AdminContext<'_>) -> MetadataResponse {
    let view = ClusterView { image: context.image, listener: context.settings.listener(context.listener) };
    let brokers = view.live_brokers().map(|(broker, endpoint)| MetadataResponseBroker {
        node_id: broker.id.0,
        host: endpoint.host.as_str().into(),
        port: endpoint.port.into(),
        rack: broker.rack.as_deref().map(Text::from),
    });
    let operations = request.include_cluster_authorized_operations;
    MetadataResponse {
        throttle_time_ms: 0,
        brokers: brokers.collect(),
        cluster_id: Some(Text::from(&*context.image.cluster_id)),
        // Any live broker takes changes; the one that answers is live (C15).
        controller_id: context.settings.broker.0,
        topics,
        cluster_authorized_operations: if operations { CLUSTER_OPERATIONS } else { i32::MIN },
        error_code: ErrorCode::None,
    }
}

/// Writes the topics of one response.
struct Writer<'a, 'b> {
    context: &'a AdminContext<'b>,
    version: i16,
    with_operations: bool,
    /// Legal names nobody has.
    missing: Vec<Text>,
}

impl Writer<'_, '_> {
    fn all(&self) -> Vec<MetadataResponseTopic> {
        let image = self.context.image;
        let listed = image.topics_by_name.values().filter_map(|id| image.topics.get(id));
        listed.filter(|topic| !topic.partitions.is_empty()).map(|topic| self.found(topic)).collect()
    }

    fn asked(&mut self, topics: &[MetadataRequestTopic]) -> Vec<MetadataResponseTopic> {
        let mut answered = BTreeSet::new();
        let mut found = Vec::with_capacity(topics.len());
        for topic in topics {
            let by_id = topic.topic_id != Uuid::default();
            let name = topic.name.as_deref().filter(|_| !by_id);
            if answered.insert((topic.topic_id.0, name)) {
                found.push(if let Some(name) = name { self.by_name(name) } else { self.by_id(topic.topic_id) });
            }
        }
        found
    }

    fn by_id(&self, id: Uuid) -> MetadataResponseTopic {
        let known = self.context.image.topics.get(&TopicId(id.0)).filter(|topic| !topic.partitions.is_empty());
        known.map_or_else(
            || MetadataResponseTopic {
                error_code: ErrorCode::UnknownTopicId,
                name: None,
                topic_id: id,
                ..MetadataResponseTopic::default()
            },
            |topic| self.found(topic),
        )
    }

    fn by_name(&mut self, name: &str) -> MetadataResponseTopic {
        if let Some(topic) = self.context.image.topic(name).filter(|topic| !topic.partitions.is_empty()) {
            return self.found(topic);
        }
        let error_code = if names::check(name).is_ok() {
            self.missing.push(name.into());
            ErrorCode::UnknownTopicOrPartition
        } else {
            ErrorCode::InvalidTopicException
        };
        MetadataResponseTopic {
            error_code,
            name: Some(name.into()),
            is_internal: names::is_internal(name),
            ..MetadataResponseTopic::default()
        }
    }

    fn found(&self, topic: &TopicImage) -> MetadataResponseTopic {
        let view = ClusterView { image: self.context.image, listener: self.context.settings.listener(self.context.listener) };
        let partitions = topic.numbered().map(|(index, partition)| {
            let leadership = view.leadership(partition, self.version >= LISTENER_ERROR_FROM);
            written(index.0, leadership)
        });
        MetadataResponseTopic {
            error_code: ErrorCode::None,
            name: Some(Text::from(&*topic.name)),
            topic_id: Uuid(topic.id.0),
            is_internal: names::is_internal(&topic.name),
            partitions: partitions.collect(),
            topic_authorized_operations: if self.with_operations { TOPIC_OPERATIONS } else { i32::MIN },
        }
    }
}

fn written(partition_index: i32, leadership: Leadership) -> MetadataResponsePartition {
    MetadataResponsePartition {
        error_code: leadership.error,
        partition_index,
        leader_id: leadership.leader_id,
        leader_epoch: leadership.leader_epoch,
        replica_nodes: leadership.replicas,
        isr_nodes: leadership.isr,
        offline_replicas: leadership.offline,
    }
}
