//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs: A04, A05.

use crate::harness::client::{Client, Topic, fresh, until};
use flumen_protocol::alter_configs::{AlterConfigsRequest, AlterConfigsResource, AlterableConfig};
use flumen_protocol::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult,
};
use flumen_protocol::{ErrorCode, Text, incremental_alter_configs as incremental};
use std::collections::BTreeMap;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Where a value comes from.
const DYNAMIC_TOPIC: i8 = 1;
const DEFAULT: i8 = 5;
/// What an incremental change does.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn describe(client: &mut Client, kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
    let configuration_keys = keys.map(|keys| keys.iter().map(|key| Text::from(*key)).collect());
    let resources = vec![DescribeConfigsResource { resource_type: kind, resource_name: name.into(), configuration_keys }];
    client.ask(4, DescribeConfigsRequest { resources, include_synonyms: true, include_documentation: true }).results.remove(0)
}

fn entry(client: &mut Client, topic: &Topic, key: &str) -> DescribeConfigsResourceResult {
    let mut result = describe(client, TOPIC, &topic.name, Some(&[key]));
    assert_eq!((result.error_code, result.configs.len()), (ErrorCode::None, 1));
    result.configs.remove(0)
}

/// The value once it is this one: Kafka applies a change after answering.
fn await_value(client: &mut Client, topic: &Topic, key: &str, value: &str) {
    until(&format!("{key}={value}"), || (entry(client, topic, key).value.as_deref() == Some(value)).then_some(()));
}

fn change(client: &mut Client, topic: &Topic, changes: &[(&str, i8, Option<&str>)]) -> ErrorCode {
    let config = |(name, operation, value): &(&str, i8, Option<&str>)| incremental::AlterableConfig {
        name: (*name).into(),
        config_operation: *operation,
        value: value.map(Into::into),
    };
    let resource = incremental::AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.name.clone(),
        configs: changes.iter().map(config).collect(),
    };
    let request = incremental::IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    client.ask(1, request).responses[0].error_code
}

pub fn replace(client: &mut Client, topic: &Topic, configs: &[(&str, &str)], validate_only: bool) -> ErrorCode {
    let config = |(name, value): &(&str, &str)| AlterableConfig { name: (*name).into(), value: Some((*value).into()) };
    let resource = AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.name.clone(),
        configs: configs.iter().map(config).collect(),
    };
    client.ask(2, AlterConfigsRequest { resources: vec![resource], validate_only }).responses[0].error_code
}

#[test]
fn a04_a_topic_is_described_in_full() {
    let mut client = Client::shared();
    let topic = client.topic_with("described", 1, &[("retention.ms", "12345")]);
    let result = describe(&mut client, TOPIC, &topic.name, None);
    assert_eq!(result.error_code, ErrorCode::None);
    let configs: BTreeMap<&str, &DescribeConfigsResourceResult> =
        result.configs.iter().map(|config| (config.name.as_str(), config)).collect();
    for key in ["cleanup.policy", "compression.type", "max.message.bytes", "segment.bytes", "retention.bytes"] {
        let config = configs[key];
        assert!(config.value.is_some() && !config.is_sensitive && !config.read_only, "{config:?}");
        assert!(config.documentation.as_deref().is_some_and(|text| !text.is_empty()), "{key}");
        assert_eq!(config.config_source, DEFAULT, "{key}");
    }
    let retention = configs["retention.ms"];
    assert_eq!((retention.value.as_deref(), retention.config_source, retention.config_type), (Some("12345"), DYNAMIC_TOPIC, 5));
    let synonyms: Vec<(&str, i8)> = retention.synonyms.iter().map(|synonym| (synonym.name.as_str(), synonym.source)).collect();
    assert_eq!(synonyms[0], ("retention.ms", DYNAMIC_TOPIC));
    let segment: Vec<(&str, i8)> =
        configs["segment.bytes"].synonyms.iter().map(|synonym| (synonym.name.as_str(), synonym.source)).collect();
    assert_eq!(segment, [("log.segment.bytes", DEFAULT)]);
}

#[test]
fn a04_a_broker_is_described_in_full() {
    let mut client = Client::shared();
    let result = describe(&mut client, BROKER, "1", None);
    assert_eq!(result.error_code, ErrorCode::None);
    let value = |key: &str| {
        let config = result.configs.iter().find(|config| config.name.as_str() == key).unwrap_or_else(|| panic!("no {key}"));
        config.value.clone()
    };
    assert_eq!(value("num.partitions").as_deref(), Some("1"));
    assert_eq!(value("message.max.bytes").as_deref(), Some("1048588"));
    assert_eq!(value("auto.create.topics.enable").as_deref(), Some("true"));
    assert!(result.configs.iter().all(|config| !config.is_sensitive || config.value.is_none()));
}

#[test]
fn a04_what_is_unknown_is_said() {
    let mut client = Client::shared();
    let result = describe(&mut client, TOPIC, &fresh("unknown"), None);
    assert_eq!(result.error_code, ErrorCode::UnknownTopicOrPartition);
    let topic = client.topic("keys");
    let some = describe(&mut client, TOPIC, &topic.name, Some(&["retention.ms", "no.such.key"]));
    assert_eq!(some.configs.iter().map(|config| config.name.as_str()).collect::<Vec<_>>(), ["retention.ms"]);
    assert_eq!(describe(&mut client, TOPIC, "no/name", None).error_code, ErrorCode::InvalidTopicException);
    assert_ne!(describe(&mut client, BROKER, "77", None).error_code, ErrorCode::None);
}

#[test]
fn a05_single_values_are_set_and_deleted() {
    let mut client = Client::shared();
    let topic = client.topic_with("single", 1, &[("segment.bytes", "2097152")]);
    assert_eq!(change(&mut client, &topic, &[("retention.ms", SET, Some("777"))]), ErrorCode::None);
    await_value(&mut client, &topic, "retention.ms", "777");
    assert_eq!(entry(&mut client, &topic, "segment.bytes").value.as_deref(), Some("2097152"), "others stay");
    assert_eq!(change(&mut client, &topic, &[("retention.ms", DELETE, None)]), ErrorCode::None);
    await_value(&mut client, &topic, "retention.ms", "604800000");
    assert_eq!(entry(&mut client, &topic, "retention.ms").config_source, DEFAULT);
}

#[test]
fn a05_lists_are_appended_to_and_subtracted_from() {
    let mut client = Client::shared();
    let topic = client.topic("lists");
    assert_eq!(change(&mut client, &topic, &[("cleanup.policy", APPEND, Some("compact"))]), ErrorCode::None);
    await_value(&mut client, &topic, "cleanup.policy", "delete,compact");
    assert_eq!(change(&mut client, &topic, &[("cleanup.policy", SUBTRACT, Some("delete"))]), ErrorCode::None);
    await_value(&mut client, &topic, "cleanup.policy", "compact");
    assert_eq!(change(&mut client, &topic, &[("retention.ms", APPEND, Some("1"))]), ErrorCode::InvalidConfig);
}

#[test]
fn a05_senseless_changes_are_refused() {
    let mut client = Client::shared();
    let topic = client.topic("senseless");
    let twice = [("retention.ms", SET, Some("1")), ("retention.ms", SET, Some("2"))];
    assert_eq!(change(&mut client, &topic, &twice), ErrorCode::InvalidRequest);
    assert_eq!(change(&mut client, &topic, &[("no.such.key", SET, Some("1"))]), ErrorCode::InvalidConfig);
    assert_eq!(change(&mut client, &topic, &[("retention.ms", SET, Some("soon"))]), ErrorCode::InvalidConfig);
    assert_eq!(change(&mut client, &topic, &[("cleanup.policy", SET, Some("burn"))]), ErrorCode::InvalidConfig);
    assert_eq!(change(&mut client, &topic, &[("retention.ms", SET, None)]), ErrorCode::InvalidRequest);
    let unknown = Topic { name: fresh("unknown"), id: Default::default() };
    assert_eq!(change(&mut client, &unknown, &[("retention.ms", SET, Some("1"))]), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(entry(&mut client, &topic, "retention.ms").config_source, DEFAULT, "nothing was changed");
}

/// Where a request is wrong in two ways.
#[test]
fn a05_what_is_asked_for_is_judged_before_whom_it_is_asked_of() {
    let mut client = Client::shared();
    let topic = client.topic("judged");
    let unknown = Topic { name: fresh("unknown"), id: Default::default() };
    let illegal = Topic { name: "no/name".into(), id: Default::default() };
    let append = [("retention.ms", APPEND, Some("5"))];
    let bad_value = [("retention.ms", SET, Some("soon"))];
    let good = [("retention.ms", SET, Some("5"))];
    for (topic, change_of, expected) in [
        (&unknown, &append, ErrorCode::InvalidConfig),
        (&unknown, &bad_value, ErrorCode::InvalidConfig),
        (&unknown, &good, ErrorCode::UnknownTopicOrPartition),
        (&illegal, &append, ErrorCode::InvalidConfig),
        (&illegal, &bad_value, ErrorCode::InvalidTopicException),
        (&illegal, &good, ErrorCode::InvalidTopicException),
    ] {
        assert_eq!(change(&mut client, topic, change_of), expected, "{} {change_of:?}", topic.name);
    }
    let twice = [("retention.ms", APPEND, Some("1")), ("retention.ms", SET, Some("2"))];
    assert_eq!(change(&mut client, &topic, &twice), ErrorCode::InvalidRequest);
    assert_eq!(replace(&mut client, &unknown, &[("retention.ms", "soon")], false), ErrorCode::InvalidConfig);
    assert_eq!(replace(&mut client, &unknown, &[("retention.ms", "5")], false), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn a05_a_policy_named_twice_counts_once() {
    let mut client = Client::shared();
    let topic = client.topic("twice");
    assert_eq!(change(&mut client, &topic, &[("cleanup.policy", SET, Some("compact,compact"))]), ErrorCode::None);
    await_value(&mut client, &topic, "cleanup.policy", "compact");
    assert_eq!(change(&mut client, &topic, &[("cleanup.policy", SET, Some("delete,compact,delete"))]), ErrorCode::None);
    await_value(&mut client, &topic, "cleanup.policy", "delete,compact");
    assert_eq!(change(&mut client, &topic, &[("cleanup.policy", SET, Some("compact,,delete"))]), ErrorCode::InvalidConfig);
    assert_eq!(change(&mut client, &topic, &[("cleanup.policy", SUBTRACT, Some("delete"))]), ErrorCode::None);
    await_value(&mut client, &topic, "cleanup.policy", "compact,delete");
}

#[test]
fn a05_alter_configs_replaces_everything() {
    let mut client = Client::shared();
    let topic = client.topic_with("replaced", 1, &[("retention.ms", "1000"), ("segment.bytes", "2097152")]);
    assert_eq!(replace(&mut client, &topic, &[("retention.ms", "2000")], true), ErrorCode::None);
    assert_eq!(entry(&mut client, &topic, "retention.ms").value.as_deref(), Some("1000"), "only validated");
    assert_eq!(replace(&mut client, &topic, &[("retention.ms", "soon")], false), ErrorCode::InvalidConfig);
    assert_eq!(replace(&mut client, &topic, &[("retention.ms", "2000")], false), ErrorCode::None);
    await_value(&mut client, &topic, "retention.ms", "2000");
    assert_eq!(entry(&mut client, &topic, "segment.bytes").config_source, DEFAULT);
}
