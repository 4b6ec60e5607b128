//! Tests of the quorum on a real directory.

mod corpus;
mod crash;
mod life;
mod suite;

use crate::quorum::{Quorum, QuorumOptions, Started};
use crate::{QuorumError, files};
use flumen_controller::command::{CreateTopics, NewTopic, RegisterBroker, TopicDefaults};
use flumen_controller::configs::KafkaConfigRules;
use flumen_controller::{Command, CommandResponse, MetadataImage};
use flumen_log::{BrokerId, TopicId};
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

/// A directory in memory where there is one: thousands of syncs wait for no disk there.
fn directory() -> (TempDir, PathBuf) {
    let guard = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary directory");
    let path = guard.path().join("metadata");
    (guard, path)
}

async fn start_as(node: i32, directory: &Path) -> Result<Started, QuorumError> {
    let options = QuorumOptions {
        directory: directory.to_path_buf(),
        node: BrokerId(node),
        cluster_id: "the-cluster".into(),
        rules: Box::new(KafkaConfigRules),
    };
    Quorum::start(options).await
}

async fn start(directory: &Path) -> Started {
    start_as(1, directory).await.expect("the quorum starts")
}

fn registration() -> Command {
    Command::RegisterBroker(RegisterBroker {
        broker: BrokerId(1),
        endpoints: Vec::new(),
        rack: None,
        boot_id: "boot".into(),
        clean_stop: false,
        offline: Vec::new(),
    })
}

fn topic(number: u8) -> Command {
    let topic = NewTopic {
        name: format!("topic-{number}"),
        id: TopicId([number; 16]),
        partitions: 2,
        replication_factor: 1,
        assignments: Vec::new(),
        configs: vec![("retention.ms".into(), Some("1000".into()))],
    };
    let defaults = TopicDefaults { partitions: 1, replication_factor: 1 };
    Command::CreateTopics(CreateTopics { topics: vec![topic], defaults, validate_only: false })
}

async fn make_topic(quorum: &Quorum, number: u8) {
    let response = quorum.propose(topic(number)).await.expect("committed");
    let CommandResponse::TopicsCreated(outcomes) = response else { panic!("another command's answer") };
    assert!(outcomes[0].outcome.is_ok(), "{outcomes:?}");
}

fn topics(image: &MetadataImage) -> usize {
    image.topics.len()
}

fn log_file(directory: &Path) -> PathBuf {
    directory.join(files::LOG)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}
