//! Several log directories, and what happens when one is not what it was. Not lines of the checklist.

use crate::harness::batch::Batch;
use crate::harness::broker::{Broker, Stopped, files_ending};
use crate::harness::client::{Client, Topic};
use flumen_protocol::ErrorCode;
use flumen_protocol::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use flumen_protocol::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResult};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What DescribeLogDirs says of each directory, by path.
fn described(client: &mut Client) -> BTreeMap<String, DescribeLogDirsResult> {
    let response = client.ask(4, DescribeLogDirsRequest { topics: None });
    response.results.into_iter().map(|result| (result.log_dir.to_string(), result)).collect()
}

/// The partitions of a topic in a directory, as it is on disk.
fn partitions_in(directory: &Path, topic: &Topic) -> BTreeSet<i32> {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_prefix(topic.name.as_str())?.strip_prefix('-')?.parse().ok()).collect()
}

/// Each partition gets a record of its own.
fn fill(client: &mut Client, topic: &Topic, partitions: i32) {
    for partition in 0..partitions {
        client.append(topic, partition, &Batch::of(&[&format!("of {partition}")]));
    }
}

fn holds(client: &mut Client, topic: &Topic, partition: i32) {
    assert_eq!(client.list_offset(topic, partition, -1).error_code, ErrorCode::None);
    assert_eq!(client.read_values(topic, partition), [format!("of {partition}")]);
}

/// Requests are refused with 56, and the metadata says that nobody leads.
fn is_offline(client: &mut Client, topic: &Topic, partition: i32) {
    assert_eq!(client.produce(topic, partition, &Batch::of(&["refused"])).error_code, ErrorCode::KafkaStorageError);
    assert_eq!(client.fetch(topic, partition, 0).error_code, ErrorCode::KafkaStorageError);
    assert_eq!(client.list_offset(topic, partition, -1).error_code, ErrorCode::KafkaStorageError);
    let described = client.describe(&topic.name);
    let described = described.partitions.iter().find(|described| described.partition_index == partition).unwrap();
    assert_eq!((described.error_code, described.leader_id), (ErrorCode::LeaderNotAvailable, -1));
    assert_eq!(described.offline_replicas, [1]);
}

#[test]
fn partitions_go_where_the_fewest_are() {
    let Some(broker) = Broker::own_with(3, &[]) else { return };
    let mut client = Client::to(&broker);
    let six = client.topic_with("six", 6, &[]);
    let one = client.topic_with("one", 1, &[]);
    let two = client.topic_with("two", 2, &[]);
    fill(&mut client, &six, 6);
    let described = described(&mut client);
    assert_eq!(described.len(), 3);
    for number in 0..3 {
        let path = broker.log_directory(number);
        let count: usize = [&six, &one, &two].map(|topic| partitions_in(&path, topic).len()).iter().sum();
        assert_eq!((partitions_in(&path, &six).len(), count), (2, 3), "{}", path.display());
        let result = &described[path.to_str().unwrap()];
        assert_eq!(result.error_code, ErrorCode::None);
        assert!(result.total_bytes > 0 && result.usable_bytes > 0);
        let told = result.topics.iter().find(|told| told.name == six.name).unwrap();
        let told: BTreeSet<i32> = told.partitions.iter().map(|partition| partition.partition_index).collect();
        assert_eq!(told, partitions_in(&path, &six));
        assert!(!files_ending(&path.join("journal"), ".journal").is_empty(), "each has a journal of its own");
    }
    let broker = broker.kill().start();
    let mut client = Client::to(&broker);
    (0..6).for_each(|partition| holds(&mut client, &six, partition));
    let (stopped, status) = broker.stop();
    assert!(status.success());
    let broker = stopped.start();
    assert!(!broker.said().contains("unclean"));
    (0..6).for_each(|partition| holds(&mut Client::to(&broker), &six, partition));
}

/// A directory is moved away: its partitions are offline and are made nowhere else, whatever stands in its place.
#[test]
fn a_missing_directory_is_waited_for() {
    let Some(broker) = Broker::own_with(2, &[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic_with("four", 4, &[]);
    fill(&mut client, &topic, 4);
    let stopped = broker.stop().0;
    let (there, away) = (stopped.log_directory(1), stopped.log_directory(1).with_extension("away"));
    let gone = partitions_in(&there, &topic);
    let stayed = partitions_in(&stopped.data(), &topic);
    assert_eq!((gone.len(), stayed.len()), (2, 2));
    std::fs::rename(&there, &away).unwrap();
    let stopped = check_missing(stopped, &topic, &gone);
    assert!(!there.exists(), "nothing is made in its place");
    std::fs::create_dir(&there).unwrap();
    let stopped = check_missing(stopped, &topic, &gone);
    assert_eq!(std::fs::read_dir(&there).unwrap().count(), 0, "an empty mount point is left alone");
    std::fs::remove_dir(&there).unwrap();
    std::fs::rename(&away, &there).unwrap();
    let broker = stopped.start();
    let mut client = Client::to(&broker);
    (0..4).for_each(|partition| holds(&mut client, &topic, partition));
    fill(&mut client, &client_topic(&broker), 4);
}

/// A fresh topic of four partitions.
fn client_topic(broker: &Broker) -> Topic {
    Client::to(broker).topic_with("later", 4, &[])
}

/// Starts without the second directory, looks, and kills.
fn check_missing(stopped: Stopped, topic: &Topic, gone: &BTreeSet<i32>) -> Stopped {
    let broker = stopped.start();
    assert!(broker.said().contains("is missing"), "{}", broker.said());
    let mut client = Client::to(&broker);
    for partition in 0..4 {
        if gone.contains(&partition) {
            is_offline(&mut client, topic, partition);
        } else {
            holds(&mut client, topic, partition);
        }
    }
    let described = described(&mut client);
    let missing = &described[broker.log_directory(1).to_str().unwrap()];
    assert_eq!((missing.error_code, missing.topics.len()), (ErrorCode::KafkaStorageError, 0));
    assert_eq!((missing.total_bytes, missing.usable_bytes), (-1, -1));
    assert_eq!(described[broker.data().to_str().unwrap()].error_code, ErrorCode::None);
    // A new topic has nothing to lose: it goes where there is a place.
    let new = client_topic(&broker);
    fill(&mut client, &new, 4);
    assert_eq!(partitions_in(&broker.data(), &new).len(), 4);
    assert!(partitions_in(&broker.data(), topic).is_disjoint(gone), "none is made a second time");
    broker.kill()
}

/// The only way to have them made anew is to say that the directory is lost.
#[test]
fn a_directory_given_up_is_not_waited_for() {
    let Some(broker) = Broker::own_with(2, &[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic_with("four", 4, &[]);
    fill(&mut client, &topic, 4);
    let stopped = broker.stop().0;
    let gone = partitions_in(&stopped.log_directory(1), &topic);
    let list = std::fs::read_to_string(stopped.log_directory(1).join("log-directories")).unwrap();
    let id = list.lines().find_map(|line| line.strip_prefix("self ")).unwrap().to_owned();
    std::fs::remove_dir_all(stopped.log_directory(1)).unwrap();
    let broker = stopped.with_setting("flumen.log.dirs.lost", &id).start();
    let mut client = Client::to(&broker);
    for partition in 0..4 {
        let left: &[&str] = if gone.contains(&partition) { &[] } else { &["value"] };
        assert_eq!(client.read_values(&topic, partition).len(), left.len());
        client.append(&topic, partition, &Batch::of(&["new"]));
    }
}

#[test]
fn without_the_directory_of_the_metadata_nothing_starts() {
    let Some(broker) = Broker::own_with(2, &[]) else { return };
    let stopped = broker.stop().0;
    let away = stopped.data().with_extension("away");
    std::fs::rename(stopped.data(), &away).unwrap();
    assert!(stopped.refused().contains("holds the metadata"));
    assert!(!stopped.data().exists());
    std::fs::rename(away, stopped.data()).unwrap();
    stopped.start();
}

/// All log directories may be away at once, where the metadata has a place of its own: it knows of them, and nothing is made anew.
#[test]
fn without_any_of_its_log_directories_nothing_starts() {
    let metadata = tempfile::tempdir().unwrap();
    let place = metadata.path().to_str().unwrap();
    let Some(broker) = Broker::own_with(1, &[("metadata.log.dir", place)]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic_with("one", 1, &[]);
    fill(&mut client, &topic, 1);
    let stopped = broker.stop().0;
    let (there, away) = (stopped.data(), stopped.data().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    assert!(stopped.refused().contains("is its disk mounted?"));
    assert!(!there.exists(), "nothing is made in its place");
    std::fs::create_dir(&there).unwrap();
    assert!(stopped.refused().contains("is its disk mounted?"));
    assert_eq!(std::fs::read_dir(&there).unwrap().count(), 0, "an empty mount point is left alone");
    std::fs::write(metadata.path().join("log-directories"), "nonsense").unwrap();
    assert!(stopped.refused().contains("are their disks mounted?"));
    std::fs::remove_dir(&there).unwrap();
    std::fs::rename(&away, &there).unwrap();
    let broker = stopped.start();
    holds(&mut Client::to(&broker), &topic, 0);
}

/// A directory that vanishes under a running broker fails at the first thing that needs it; the other goes on.
#[test]
fn a_directory_that_fails_is_offline_and_the_other_goes_on() {
    let Some(broker) = Broker::own_with(2, &[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic_with("four", 4, &[]);
    fill(&mut client, &topic, 4);
    let there = broker.log_directory(1);
    let failing = partitions_in(&there, &topic);
    let names: Vec<_> = failing.iter().map(|partition| there.join(format!("{}-{partition}", topic.name))).collect();
    names.iter().for_each(|name| std::fs::rename(name, name.with_extension("hidden")).unwrap());
    let one = *failing.first().unwrap();
    assert_eq!(client.delete_records(&topic, one, -1).error_code, ErrorCode::KafkaStorageError);
    crate::harness::client::until("the metadata says so", || {
        let described = client.describe(&topic.name);
        let led = described.partitions.iter().filter(|partition| partition.leader_id == 1).count();
        (led == 2).then_some(())
    });
    for partition in 0..4 {
        if failing.contains(&partition) {
            is_offline(&mut client, &topic, partition);
        } else {
            holds(&mut client, &topic, partition);
            client.append(&topic, partition, &Batch::of(&["more"]));
        }
    }
    let described = described(&mut client);
    assert_eq!(described[there.to_str().unwrap()].error_code, ErrorCode::KafkaStorageError);
    assert_eq!(described[broker.data().to_str().unwrap()].error_code, ErrorCode::None);
    let new = client_topic(&broker);
    fill(&mut client, &new, 4);
    assert_eq!(partitions_in(&broker.data(), &new).len(), 4);
    let stopped = broker.kill();
    names.iter().for_each(|name| std::fs::rename(name.with_extension("hidden"), name).unwrap());
    let broker = stopped.start();
    let mut client = Client::to(&broker);
    for partition in 0..4 {
        assert_eq!(client.read_values(&topic, partition)[0], format!("of {partition}"));
    }
}

#[test]
fn when_the_directory_of_the_metadata_fails_the_broker_ends() {
    let Some(broker) = Broker::own_with(2, &[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic_with("two", 2, &[]);
    fill(&mut client, &topic, 2);
    let one = *partitions_in(&broker.data(), &topic).first().unwrap();
    std::fs::rename(broker.data().join(format!("{}-{one}", topic.name)), broker.data().join("hidden")).unwrap();
    let partitions = vec![DeleteRecordsPartition { partition_index: one, offset: -1 }];
    let topics = vec![DeleteRecordsTopic { name: topic.name.clone(), partitions }];
    client.send(2, DeleteRecordsRequest { topics, timeout_ms: 1000 });
    let (stopped, status) = broker.ended();
    assert_eq!(status.code(), Some(1));
    std::fs::rename(stopped.data().join("hidden"), stopped.data().join(format!("{}-{one}", topic.name))).unwrap();
    let broker = stopped.start();
    (0..2).for_each(|partition| holds(&mut Client::to(&broker), &topic, partition));
}

/// The metadata is lost: its logs are nobody's, and stay. With it back, all of them are read again.
#[test]
fn nothing_is_deleted_because_metadata_is_missing() {
    let Some(broker) = Broker::own_with(2, &[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic_with("kept", 4, &[]);
    fill(&mut client, &topic, 4);
    let mut stopped = broker.kill();
    let (metadata, away) = (stopped.data().join("metadata"), stopped.data().with_extension("away"));
    std::fs::rename(&metadata, &away).unwrap();
    for round in 0..3 {
        let broker = stopped.start();
        let mut client = Client::to(&broker);
        assert_eq!(client.describe(&topic.name).error_code, ErrorCode::UnknownTopicOrPartition, "round {round}");
        // Another topic of the name is not made in their place, and nobody waits for it for ever.
        let result = client.create(&topic.name, 4, &[]);
        assert!(matches!(result.error_code, ErrorCode::None | ErrorCode::TopicAlreadyExists), "{result:?}");
        let other = client.topic("other");
        client.append(&other, 0, &Batch::of(&["new"]));
        stopped = if round == 1 { broker.stop().0 } else { broker.kill() };
        std::fs::remove_dir_all(&metadata).unwrap();
    }
    std::fs::rename(&away, &metadata).unwrap();
    let broker = stopped.start();
    (0..4).for_each(|partition| holds(&mut Client::to(&broker), &topic, partition));
}

/// Metadata that is damaged is not read past: the broker does not start, and touches nothing.
#[test]
fn nothing_is_deleted_because_metadata_is_damaged() {
    let Some(broker) = Broker::own_with(2, &[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic_with("kept", 4, &[]);
    fill(&mut client, &topic, 4);
    let stopped = broker.kill();
    let log = stopped.data().join("metadata").join("log");
    let whole = std::fs::read(&log).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x40;
    std::fs::write(&log, &damaged).unwrap();
    stopped.refused();
    assert_eq!(partitions_in(&stopped.data(), &topic).len() + partitions_in(&stopped.log_directory(1), &topic).len(), 4);
    std::fs::write(&log, &whole).unwrap();
    let broker = stopped.start();
    (0..4).for_each(|partition| holds(&mut Client::to(&broker), &topic, partition));
}
