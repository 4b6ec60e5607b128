//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.

use super::{World, owned, texts};
use alloc::string::String;
use alloc::vec::Vec;
use flumen_protocol::alter_configs::{self, AlterConfigsRequest, AlterConfigsResponse};
use flumen_protocol::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult,
};
use flumen_protocol::incremental_alter_configs::{self, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use flumen_protocol::{ErrorCode, Text};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn describe(world: &mut World, resource_type: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource { resource_type, resource_name: name.into(), configuration_keys: keys.map(texts) };
    let request =
        DescribeConfigsRequest { resources: Vec::from([resource]), include_synonyms: true, include_documentation: true };
    let response: DescribeConfigsResponse = world.ask(request, 4);
    response.results.into_iter().next().expect("one answer")
}

fn value(world: &mut World, name: &str) -> (String, i8) {
    let result = describe(world, TOPIC, "a", Some(&[name]));
    (owned(&result.configs[0].value), result.configs[0].config_source)
}

fn alter(world: &mut World, resource_type: i8, name: &str, operations: &[(&str, i8, Option<&str>)]) -> ErrorCode {
    let operation = |(name, config_operation, value): &(&str, i8, Option<&str>)| incremental_alter_configs::AlterableConfig {
        name: (*name).into(),
        config_operation: *config_operation,
        value: value.map(Text::from),
    };
    let resource = incremental_alter_configs::AlterConfigsResource {
        resource_type,
        resource_name: name.into(),
        configs: operations.iter().map(operation).collect(),
    };
    let request = IncrementalAlterConfigsRequest { resources: Vec::from([resource]), validate_only: false };
    let response: IncrementalAlterConfigsResponse = world.ask(request, 1);
    let [answer] = &response.responses[..] else { panic!("one answer: {response:?}") };
    assert_eq!((answer.resource_type, answer.resource_name.as_str()), (resource_type, name));
    assert_eq!(answer.error_code.is_none(), answer.error_message.is_none());
    answer.error_code
}

fn replace(world: &mut World, resource_type: i8, name: &str, values: &[(&str, Option<&str>)]) -> ErrorCode {
    let config = |(name, value): &(&str, Option<&str>)| alter_configs::AlterableConfig {
        name: (*name).into(),
        value: value.map(Text::from),
    };
    let resource = alter_configs::AlterConfigsResource {
        resource_type,
        resource_name: name.into(),
        configs: values.iter().map(config).collect(),
    };
    let request = AlterConfigsRequest { resources: Vec::from([resource]), validate_only: false };
    let response: AlterConfigsResponse = world.ask(request, 2);
    assert_eq!(response.responses.len(), 1);
    response.responses[0].error_code
}

fn world() -> World {
    let mut world = World::new();
    world.create("a", 1);
    world
}

#[test]
fn a04_all_keys_are_told_unless_some_are_named() {
    let mut world = world();
    let all = describe(&mut world, TOPIC, "a", None);
    assert_eq!(all.configs.len(), 37 + 2, "Kafka's and ours");
    assert_eq!(describe(&mut world, TOPIC, "a", Some(&[])).configs.len(), all.configs.len(), "an empty list is all too");
    let some = describe(&mut world, TOPIC, "a", Some(&["segment.ms", "nope"]));
    assert_eq!(some.configs.iter().map(|config| config.name.as_str()).collect::<Vec<_>>(), ["segment.ms"]);
    assert_eq!((some.configs[0].config_type, some.configs[0].read_only), (5, false));
    assert!(some.configs[0].documentation.is_some());
}

#[test]
fn a04_synonyms_and_documentation_are_told_to_those_who_ask() {
    let mut world = world();
    let resource = DescribeConfigsResource { resource_type: TOPIC, resource_name: "a".into(), configuration_keys: None };
    let request = DescribeConfigsRequest { resources: Vec::from([resource]), ..Default::default() };
    for version in 1..=4 {
        let response: DescribeConfigsResponse = world.ask(request.clone(), version);
        let plain = |config: &DescribeConfigsResourceResult| config.synonyms.is_empty() && config.documentation.is_none();
        assert!(response.results[0].configs.iter().all(plain));
    }
}

#[test]
fn a04_every_source_is_told() {
    let mut world = World::with(&[("log.retention.ms", "1"), ("log.segment.bytes", "3000000")]);
    world.create("a", 1);
    assert_eq!(value(&mut world, "segment.ms"), ("604800000".into(), 5));
    assert_eq!(value(&mut world, "retention.ms"), ("1".into(), 4));
    assert!(alter(&mut world, BROKER, "", &[("log.retention.ms", SET, Some("2"))]).is_none());
    assert_eq!(value(&mut world, "retention.ms"), ("2".into(), 3));
    assert!(alter(&mut world, BROKER, "1", &[("log.retention.ms", SET, Some("3"))]).is_none());
    assert_eq!(value(&mut world, "retention.ms"), ("3".into(), 2));
    assert!(alter(&mut world, TOPIC, "a", &[("retention.ms", SET, Some("4"))]).is_none());
    let result = describe(&mut world, TOPIC, "a", Some(&["retention.ms"]));
    let synonyms: Vec<_> =
        result.configs[0].synonyms.iter().map(|synonym| (synonym.name.as_str(), owned(&synonym.value), synonym.source)).collect();
    assert_eq!(
        synonyms,
        [
            ("retention.ms", "4".into(), 1),
            ("log.retention.ms", "3".into(), 2),
            ("log.retention.ms", "2".into(), 3),
            ("log.retention.ms", "1".into(), 4),
            ("log.retention.hours", "168".into(), 5),
        ]
    );
    assert_eq!(world.settings.topic_config(world.image(), "a").retention_ms, Some(4));
}

#[test]
fn a04_this_broker_and_the_default_of_all_are_told() {
    let mut world = World::with(&[("node.id", "1"), ("ssl.key.password", "secret")]);
    let broker = describe(&mut world, BROKER, "1", None);
    assert!(broker.error_code.is_none() && broker.configs.len() > 350);
    let find = |name: &str| broker.configs.iter().find(|config| config.name == name).expect("told");
    assert_eq!((find("node.id").read_only, find("node.id").config_source), (true, 4));
    assert!(!find("log.retention.ms").read_only);
    assert!(find("ssl.key.password").is_sensitive && find("ssl.key.password").value.is_none());
    assert!(describe(&mut world, BROKER, "", None).configs.is_empty());
    assert!(alter(&mut world, BROKER, "", &[("log.retention.ms", SET, Some("2"))]).is_none());
    assert_eq!(describe(&mut world, BROKER, "", None).configs.len(), 1);
}

#[test]
fn a04_what_is_not_there_has_an_error() {
    let mut world = world();
    for (resource_type, name, expected) in [
        (TOPIC, "nono", ErrorCode::UnknownTopicOrPartition),
        (TOPIC, "a b", ErrorCode::InvalidTopicException),
        (TOPIC, "", ErrorCode::InvalidTopicException),
        (BROKER, "7", ErrorCode::InvalidRequest),
        (BROKER, "abc", ErrorCode::InvalidRequest),
        (8, "1", ErrorCode::InvalidRequest),
        (16, "m", ErrorCode::InvalidRequest),
        (32, "g", ErrorCode::InvalidRequest),
        (0, "x", ErrorCode::InvalidRequest),
        (99, "x", ErrorCode::InvalidRequest),
    ] {
        let result = describe(&mut world, resource_type, name, None);
        assert_eq!((result.error_code, result.configs.len()), (expected, 0), "{resource_type} {name}");
        assert!(!owned(&result.error_message).is_empty());
        assert_eq!((result.resource_type, result.resource_name.as_str()), (resource_type, name));
    }
}

#[test]
fn a05_values_are_set_deleted_appended_and_subtracted() {
    let mut world = world();
    assert!(alter(&mut world, TOPIC, "a", &[("retention.ms", SET, Some("77"))]).is_none());
    assert_eq!(value(&mut world, "retention.ms"), ("77".into(), 1));
    assert!(
        alter(&mut world, TOPIC, "a", &[("retention.ms", DELETE, None), ("segment.ms", DELETE, None), ("nope", DELETE, None)])
            .is_none()
    );
    assert_eq!(value(&mut world, "retention.ms"), ("604800000".into(), 5));
    assert!(alter(&mut world, TOPIC, "a", &[("cleanup.policy", APPEND, Some("compact"))]).is_none());
    assert_eq!(value(&mut world, "cleanup.policy"), ("delete,compact".into(), 1), "the default has one item");
    assert!(alter(&mut world, TOPIC, "a", &[("cleanup.policy", APPEND, Some("compact"))]).is_none());
    assert!(alter(&mut world, TOPIC, "a", &[("cleanup.policy", SUBTRACT, Some("delete"))]).is_none());
    assert_eq!(value(&mut world, "cleanup.policy"), ("compact".into(), 1));
}

#[test]
fn a05_what_is_wrong_with_a_topics_settings_has_its_error() {
    let mut world = world();
    for (name, operation, value, expected) in [
        ("retention.ms", APPEND, Some("7"), ErrorCode::InvalidConfig),
        ("nope", APPEND, Some("7"), ErrorCode::InvalidConfig),
        ("nope", SET, Some("7"), ErrorCode::InvalidConfig),
        ("retention.ms", SET, Some("x"), ErrorCode::InvalidConfig),
        ("cleanup.policy", APPEND, Some("none"), ErrorCode::InvalidConfig),
        ("retention.ms", SET, None, ErrorCode::InvalidRequest),
        ("cleanup.policy", APPEND, None, ErrorCode::InvalidRequest),
        ("retention.ms", 9, Some("7"), ErrorCode::InvalidRequest),
    ] {
        assert_eq!(alter(&mut world, TOPIC, "a", &[(name, operation, value)]), expected, "{name} {operation} {value:?}");
    }
    let twice = [("retention.ms", SET, Some("5")), ("retention.ms", SET, Some("6"))];
    assert_eq!(alter(&mut world, TOPIC, "a", &twice), ErrorCode::InvalidRequest);
    assert!(world.image().topic_configs("a").is_none(), "nothing was changed");
}

#[test]
fn a05_resources_that_cannot_be_changed_have_their_errors() {
    let mut world = world();
    for (resource_type, name, expected) in [
        (TOPIC, "nono", ErrorCode::UnknownTopicOrPartition),
        (TOPIC, "a b", ErrorCode::InvalidTopicException),
        (TOPIC, "", ErrorCode::InvalidRequest),
        (BROKER, "7", ErrorCode::InvalidRequest),
        (BROKER, "abc", ErrorCode::InvalidRequest),
        (8, "1", ErrorCode::InvalidRequest),
        (0, "x", ErrorCode::InvalidRequest),
        (99, "x", ErrorCode::InvalidRequest),
    ] {
        let set = [("retention.ms", SET, Some("5"))];
        assert_eq!(alter(&mut world, resource_type, name, &set), expected, "{resource_type} {name}");
        assert_eq!(replace(&mut world, resource_type, name, &[("retention.ms", Some("5"))]), expected, "{resource_type} {name}");
    }
}

#[test]
fn a05_a_brokers_settings_change_where_they_may() {
    let mut world = world();
    for (name, key, value, expected) in [
        ("1", "log.retention.ms", "5", ErrorCode::None),
        ("1", "num.partitions", "5", ErrorCode::InvalidRequest),
        ("1", "log.retention.ms", "x", ErrorCode::InvalidRequest),
        ("1", "foo.bar", "x", ErrorCode::InvalidRequest),
        ("", "ssl.keystore.type", "JKS", ErrorCode::InvalidRequest),
        ("", "log.cleanup.policy", "compact", ErrorCode::None),
    ] {
        assert_eq!(alter(&mut world, BROKER, name, &[(key, SET, Some(value))]), expected, "{name} {key}");
    }
    assert!(world.settings.topic_config(world.image(), "a").cleanup.compact);
}

#[test]
fn a05_a_resource_twice_in_one_request_is_refused_each_time_and_others_are_changed() {
    let mut world = world();
    world.create("b", 1);
    let resource = |name: &str| incremental_alter_configs::AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: name.into(),
        configs: Vec::from([incremental_alter_configs::AlterableConfig {
            name: "retention.ms".into(),
            config_operation: SET,
            value: Some("5".into()),
        }]),
    };
    let resources = Vec::from([resource("a"), resource("b"), resource("a")]);
    let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
    let response: IncrementalAlterConfigsResponse = world.ask(request, 1);
    let told: Vec<_> = response.responses.iter().map(|answer| (answer.resource_name.as_str(), answer.error_code)).collect();
    assert_eq!(told, [("a", ErrorCode::InvalidRequest), ("b", ErrorCode::None), ("a", ErrorCode::InvalidRequest)]);
}

#[test]
fn a05_alter_configs_replaces_all_that_was_set() {
    let mut world = world();
    assert!(replace(&mut world, TOPIC, "a", &[("retention.ms", Some("99"))]).is_none());
    assert!(replace(&mut world, TOPIC, "a", &[("segment.ms", Some("99"))]).is_none());
    assert_eq!(value(&mut world, "retention.ms"), ("604800000".into(), 5));
    assert_eq!(value(&mut world, "segment.ms"), ("99".into(), 1));
    assert_eq!(replace(&mut world, TOPIC, "a", &[("segment.ms", None)]), ErrorCode::InvalidRequest);
    assert_eq!(replace(&mut world, TOPIC, "a", &[("segment.ms", Some("x"))]), ErrorCode::InvalidConfig);
    assert_eq!(replace(&mut world, TOPIC, "a", &[("nope", Some("x"))]), ErrorCode::InvalidConfig);
    assert_eq!(value(&mut world, "segment.ms"), ("99".into(), 1));
    assert!(replace(&mut world, TOPIC, "a", &[]).is_none());
    assert_eq!(value(&mut world, "segment.ms"), ("604800000".into(), 5));
}

#[test]
fn a05_asking_only_whether_it_would_work_changes_nothing() {
    let mut world = world();
    let resource = alter_configs::AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: "a".into(),
        configs: Vec::from([alter_configs::AlterableConfig { name: "retention.ms".into(), value: Some("5".into()) }]),
    };
    let request = AlterConfigsRequest { resources: Vec::from([resource]), validate_only: true };
    let response: AlterConfigsResponse = world.ask(request, 0);
    assert!(response.responses[0].error_code.is_none());
    assert_eq!(value(&mut world, "retention.ms"), ("604800000".into(), 5));
}
