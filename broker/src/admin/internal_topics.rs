//! The topics the broker makes for itself, with the settings Kafka gives them.

use super::{AdminContext, BrokerSettings};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use flumen_controller::MetadataImage;
use flumen_controller::command::{Command, CreateTopics, NewTopic, TopicDefaults};
use flumen_log::TopicId;

/// Committed offsets.
pub(super) const OFFSETS: &str = crate::offsets::OFFSETS_TOPIC;

/// A command that makes topics with the broker's defaults.
pub(super) fn create(topics: Vec<NewTopic>, image: &MetadataImage, settings: &BrokerSettings) -> Command {
    Command::CreateTopics(CreateTopics { topics, defaults: defaults(image, settings), validate_only: false })
}

/// What −1 means.
pub(super) fn defaults(image: &MetadataImage, settings: &BrokerSettings) -> TopicDefaults {
    let layers = settings.layers(image);
    TopicDefaults {
        partitions: number(layers.number("num.partitions"), 1),
        replication_factor: number(layers.number("default.replication.factor"), 1),
    }
}

/// A topic as an automatic creation makes it (M03). Nobody makes the broker's own topics by asking for them, but for the one
/// that clients do ask for.
pub(super) fn automatic(name: &str, context: &mut AdminContext<'_>) -> Option<NewTopic> {
    if name == OFFSETS {
        return Some(offsets(context));
    }
    if flumen_controller::names::is_internal(name) {
        return None;
    }
    Some(plain(name, (context.new_topic_id)()))
}

fn plain(name: &str, id: TopicId) -> NewTopic {
    NewTopic { name: name.into(), id, partitions: -1, replication_factor: -1, assignments: Vec::new(), configs: Vec::new() }
}

/// The topic of committed offsets (G17). It has no more replicas than there are brokers, so that a single broker can make it
/// without a setting.
pub(super) fn offsets(context: &mut AdminContext<'_>) -> NewTopic {
    let layers = context.settings.layers(context.image);
    let live = context.image.brokers.values().filter(|broker| !broker.fenced).count();
    let wanted = number(layers.number("offsets.topic.replication.factor"), 3);
    let segment_bytes = layers.number("offsets.topic.segment.bytes").unwrap_or(100 << 20);
    let set = |name: &str, value: String| (String::from(name), Some(value));
    NewTopic {
        partitions: number(layers.number("offsets.topic.num.partitions"), 50),
        replication_factor: i16::try_from(live).unwrap_or(i16::MAX).clamp(1, wanted),
        configs: Vec::from([
            set("cleanup.policy", "compact".into()),
            set("compression.type", "producer".into()),
            set("segment.bytes", segment_bytes.to_string()),
        ]),
        ..plain(OFFSETS, (context.new_topic_id)())
    }
}

/// A number of the tables in the width of a command; the tables' rules keep it there.
fn number<N: TryFrom<i64>>(value: Option<i64>, otherwise: N) -> N {
    value.and_then(|value| N::try_from(value).ok()).unwrap_or(otherwise)
}
