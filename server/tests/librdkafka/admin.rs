//! librdkafka's admin client.

use crate::harness::broker::shared;
use crate::harness::client::fresh;
use crate::{LIMIT, config};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;

fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    config(bootstrap).create().expect("an admin client")
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// How many partitions the topic has, as its metadata says; 0 where there is no such topic.
fn partitions(bootstrap: &str, topic: &str) -> usize {
    let consumer: BaseConsumer =
        config(bootstrap).set("group.id", "none").set("allow.auto.create.topics", "false").create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), LIMIT).expect("metadata");
    metadata
        .topics()
        .iter()
        .find(|found| found.name() == topic && found.error().is_none())
        .map_or(0, |found| found.partitions().len())
}

#[test]
fn topics_are_made_grown_and_deleted() {
    let broker = shared();
    let (admin, name) = (admin(&broker.bootstrap()), fresh("admin"));
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let wanted = NewTopic::new(&name, 2, TopicReplication::Fixed(1)).set("retention.ms", "60000");
    assert_eq!(run(admin.create_topics([&wanted], &options)).unwrap(), [Ok(name.to_string())]);
    let again = run(admin.create_topics([&wanted], &options)).unwrap();
    assert_eq!(again, [Err((name.to_string(), RDKafkaErrorCode::TopicAlreadyExists))]);
    let more = run(admin.create_partitions([&NewPartitions::new(&name, 5)], &options)).unwrap();
    assert_eq!(more, [Ok(name.to_string())]);
    let fewer = run(admin.create_partitions([&NewPartitions::new(&name, 3)], &options)).unwrap();
    assert_eq!(fewer, [Err((name.to_string(), RDKafkaErrorCode::InvalidPartitions))]);
    crate::harness::client::until("five partitions", || (partitions(&broker.bootstrap(), &name) == 5).then_some(()));
    assert_eq!(run(admin.delete_topics(&[&name], &options)).unwrap(), [Ok(name.to_string())]);
    crate::harness::client::until("no topic", || (partitions(&broker.bootstrap(), &name) == 0).then_some(()));
    let gone = run(admin.delete_topics(&[&name], &options)).unwrap();
    assert_eq!(gone, [Err((name.to_string(), RDKafkaErrorCode::UnknownTopicOrPartition))]);
}

#[test]
fn a_topic_can_be_validated_only() {
    let broker = shared();
    let (admin, name) = (admin(&broker.bootstrap()), fresh("validated"));
    let options = AdminOptions::new().validate_only(true);
    let good = NewTopic::new(&name, 1, TopicReplication::Fixed(1));
    assert_eq!(run(admin.create_topics([&good], &options)).unwrap(), [Ok(name.to_string())]);
    assert_eq!(partitions(&broker.bootstrap(), &name), 0);
    let bad = NewTopic::new(&name, 1, TopicReplication::Fixed(1)).set("no.such.key", "1");
    assert_eq!(run(admin.create_topics([&bad], &options)).unwrap(), [Err((name.to_string(), RDKafkaErrorCode::InvalidConfig))]);
}

#[test]
fn configurations_are_described_and_altered() {
    let broker = shared();
    let (admin, name) = (admin(&broker.bootstrap()), fresh("configured"));
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let wanted = NewTopic::new(&name, 1, TopicReplication::Fixed(1)).set("segment.bytes", "2097152");
    run(admin.create_topics([&wanted], &options)).unwrap().remove(0).unwrap();
    let described = || {
        let resources = run(admin.describe_configs([&ResourceSpecifier::Topic(&name)], &options)).unwrap();
        resources.into_iter().next().unwrap().unwrap()
    };
    let first = crate::harness::client::until("the topic is known", || {
        Some(described()).filter(|found| found.get("segment.bytes").is_some())
    });
    assert_eq!(first.get("segment.bytes").unwrap().value.as_deref(), Some("2097152"));
    assert_eq!(first.get("segment.bytes").unwrap().source, ConfigSource::DynamicTopic);
    assert_eq!(first.get("retention.ms").unwrap().source, ConfigSource::Default);
    // The old AlterConfigs: everything not said goes back to its default.
    let change = AlterConfig::new(ResourceSpecifier::Topic(&name)).set("retention.ms", "12345");
    run(admin.alter_configs([&change], &options)).unwrap().remove(0).unwrap();
    crate::harness::client::until("the change", || {
        (described().get("retention.ms").unwrap().value.as_deref() == Some("12345")).then_some(())
    });
    assert_eq!(described().get("segment.bytes").unwrap().source, ConfigSource::Default);
}
