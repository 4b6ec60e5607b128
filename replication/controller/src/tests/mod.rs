//! Tests of whole commands, by what they are about.

mod brokers;
mod configs;
mod partitions;
mod random;
mod topics;

use crate::command::{Command, CreateTopics, NewTopic, RegisterBroker, TopicDefaults};
use crate::response::{CommandResponse, CreatedTopic};
use crate::rules::{ConfigRules, ConfigScope};
use crate::{Delta, MetadataImage, Reason, Refusal, StateMachine, TopicImage};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use flumen_log::{BrokerId, TopicId};

/// Rules of a world with four keys.
struct FewRules;

impl ConfigRules for FewRules {
    fn check(&self, _scope: ConfigScope, values: &BTreeMap<String, String>) -> Result<(), Refusal> {
        for (key, value) in values {
            let good = match key.as_str() {
                "retention.ms" => value.parse::<i64>().is_ok(),
                "cleanup.policy" => value.split(',').all(|item| ["delete", "compact"].contains(&item)),
                "flumen.durability" => ["synced", "replicated"].contains(&value.as_str()),
                "note" => true,
                _ => return Err(Refusal::new(Reason::InvalidConfig, format!("Unknown topic config name: {key}"))),
            };
            if !good {
                let message = format!("Invalid value {value} for configuration {key}");
                return Err(Refusal::new(Reason::InvalidConfig, message));
            }
        }
        Ok(())
    }

    fn is_list(&self, _scope: ConfigScope, key: &str) -> bool {
        key == "cleanup.policy"
    }

    fn default_value(&self, _scope: ConfigScope, key: &str) -> Option<String> {
        (key == "cleanup.policy").then(|| "delete".into())
    }
}

/// A cluster with brokers 1 to `brokers`, all of boot "a".
fn cluster(brokers: i32) -> StateMachine {
    let mut machine = StateMachine::new(Arc::new(MetadataImage::default()), Box::new(FewRules));
    for broker in 1..=brokers {
        machine.apply(registration(broker, "a", true));
    }
    machine
}

fn registration(broker: i32, boot_id: &str, clean_stop: bool) -> Command {
    Command::RegisterBroker(RegisterBroker {
        broker: BrokerId(broker),
        endpoints: Vec::new(),
        rack: None,
        boot_id: boot_id.into(),
        clean_stop,
        offline: Vec::new(),
    })
}

fn topic_id(number: u8) -> TopicId {
    TopicId([number; 16])
}

fn new_topic(name: &str, id: u8, partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic { name: name.into(), id: topic_id(id), partitions, replication_factor, assignments: Vec::new(), configs: Vec::new() }
}

fn creation(topics: Vec<NewTopic>, validate_only: bool) -> Command {
    let defaults = TopicDefaults { partitions: 1, replication_factor: 1 };
    Command::CreateTopics(CreateTopics { topics, defaults, validate_only })
}

/// What came of each topic, by its name.
type Created = Vec<(String, Result<CreatedTopic, Refusal>)>;

/// Creates topics and answers with their outcomes, by name.
fn create(machine: &mut StateMachine, topics: Vec<NewTopic>) -> (Created, Delta) {
    let (response, delta) = machine.apply(creation(topics, false));
    let CommandResponse::TopicsCreated(outcomes) = response else { panic!("another command's answer: {response:?}") };
    (outcomes.into_iter().map(|topic| (topic.name, topic.outcome)).collect(), delta)
}

/// Creates one topic and answers with its outcome.
fn create_one(machine: &mut StateMachine, topic: NewTopic) -> Result<CreatedTopic, Refusal> {
    create(machine, Vec::from([topic])).0.remove(0).1
}

fn topic(machine: &StateMachine, name: &str) -> Arc<TopicImage> {
    machine.image().topic(name).expect("the topic exists").clone()
}

fn reason<T: core::fmt::Debug>(outcome: Result<T, Refusal>) -> (i16, String) {
    let refusal = outcome.expect_err("refused");
    (refusal.reason.code() as i16, refusal.message)
}
