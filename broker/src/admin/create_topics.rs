//! CreateTopics.

use super::answers::{Fault, refused, undecided};
use super::{AdminContext, BrokerSettings, Continuation, Pending, Step, internal_topics};
use alloc::string::String;
use alloc::vec::Vec;
use flumen_controller::command::{Command, CreateTopics, ManualAssignment, NewTopic};
use flumen_controller::configs::{ConfigEntry, describe_created_topic};
use flumen_controller::response::{CreatedTopic, TopicOutcome};
use flumen_controller::{CommandResponse, MetadataImage};
use flumen_log::BrokerId;
use flumen_protocol::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use flumen_protocol::{ErrorCode, Text, Uuid};

/// The name Kafka keeps its own metadata under, which nobody may take.
const METADATA: &str = "__cluster_metadata";

/// What is answered once the controller has decided.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Topics refused without asking.
    refused: Vec<CreatableTopicResult>,
    /// The names asked for.
    asked: Vec<Text>,
}

pub(super) fn handle(request: &CreateTopicsRequest, context: &mut AdminContext<'_>) -> Step {
    let (taken, asked): (Vec<_>, Vec<_>) = request.topics.iter().partition(|topic| topic.name == METADATA);
    let refuse = |topic: &&CreatableTopic| {
        let message = Text::from_static("Creation of internal topic __cluster_metadata is prohibited.");
        failed(topic.name.clone(), (ErrorCode::InvalidRequest, message))
    };
    let refused: Vec<_> = taken.iter().map(refuse).collect();
    if asked.is_empty() {
        return Step::Reply(CreateTopicsResponse { topics: refused, ..CreateTopicsResponse::default() }.into());
    }
    let names = asked.iter().map(|topic| topic.name.detached()).collect();
    let topics = asked.iter().map(|topic| new_topic(topic, context)).collect();
    let defaults = internal_topics::defaults(context.image, context.settings);
    let command = Command::CreateTopics(CreateTopics { topics, defaults, validate_only: request.validate_only });
    let then = Continuation(Pending::CreateTopics(Waiting { refused, asked: names }));
    Step::Propose { command, then, timeout_ms: Some(request.timeout_ms) }
}

fn new_topic(topic: &CreatableTopic, context: &mut AdminContext<'_>) -> NewTopic {
    let by_hand = topic.assignments.iter().map(|assignment| ManualAssignment {
        partition: assignment.partition_index,
        brokers: assignment.broker_ids.iter().copied().map(BrokerId).collect(),
    });
    let set = topic.configs.iter().map(|config| (config.name.as_str().into(), config.value.as_deref().map(String::from)));
    NewTopic {
        name: topic.name.as_str().into(),
        id: (context.new_topic_id)(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: by_hand.collect(),
        configs: set.collect(),
    }
}

impl Waiting {
    pub(super) fn finish(
        self,
        decision: Result<CommandResponse, String>,
        image: &MetadataImage,
        settings: &BrokerSettings,
    ) -> CreateTopicsResponse {
        let mut topics = self.refused;
        match decision {
            Ok(CommandResponse::TopicsCreated(outcomes)) => {
                topics.extend(outcomes.into_iter().map(|outcome| answered(outcome, image, settings)));
            }
            other => {
                let fault = undecided(&other);
                topics.extend(self.asked.into_iter().map(|name| failed(name, fault.clone())));
            }
        }
        CreateTopicsResponse { topics, ..CreateTopicsResponse::default() }
    }
}

fn answered(topic: TopicOutcome<CreatedTopic>, image: &MetadataImage, settings: &BrokerSettings) -> CreatableTopicResult {
    let name = Text::from(topic.name);
    match topic.outcome {
        Ok(created) => {
            let entries = describe_created_topic(&created.configs, &settings.layers(image));
            CreatableTopicResult {
                name,
                topic_id: Uuid(created.id.0),
                error_message: None,
                num_partitions: created.partitions,
                replication_factor: created.replication_factor,
                configs: Some(entries.into_iter().map(told).collect()),
                ..CreatableTopicResult::default()
            }
        }
        Err(refusal) => failed(name, refused(&refusal)),
    }
}

fn told(entry: ConfigEntry) -> CreatableTopicConfigs {
    CreatableTopicConfigs {
        name: entry.name.into(),
        value: entry.value.map(Text::from),
        read_only: entry.read_only,
        config_source: entry.source.wire(),
        is_sensitive: entry.sensitive,
    }
}

fn failed(name: Text, (error_code, message): Fault) -> CreatableTopicResult {
    CreatableTopicResult { name, error_code, error_message: Some(message), ..CreatableTopicResult::default() }
}
