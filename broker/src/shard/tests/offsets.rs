//! Committed offsets while their coordinator still reads its partition, and while a commit is on its way.

use alloc::{string::String, vec, vec::Vec};
use flumen_log::io::{FileOperation, WriteData};
use flumen_protocol::{
    ApiKey, ErrorCode, Response, Text,
    find_coordinator::FindCoordinatorRequest,
    offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_fetch::OffsetFetchRequest,
};

use super::{World, client::Line};

const COMMIT: i16 = 8;
/// How long a commit is kept, and well under it.
const RETENTION_MS: u64 = 60_000;
const SOME_MS: u64 = 50_000;

impl World {
    fn with_coordinator() -> (Self, Line) {
        let mut world = Self::new();
        world.topic("topic", 1);
        world.topic("other", 1);
        let line = world.connect(0);
        world.send(line, 4, FindCoordinatorRequest { coordinator_keys: vec![Text::from("group")], ..Default::default() });
        world.settle();
        assert!(world.reply(line, ApiKey::FindCoordinator, 4).is_some());
        (world, line)
    }

    fn send_commit(&mut self, line: Line, topic: &str, offset: i64, metadata_bytes: usize) {
        let partition = OffsetCommitRequestPartition {
            partition_index: 0,
            committed_offset: offset,
            committed_metadata: Some(Text::from("m".repeat(metadata_bytes))),
            ..OffsetCommitRequestPartition::default()
        };
        let topic = OffsetCommitRequestTopic { name: Text::from(topic), partitions: vec![partition], ..Default::default() };
        let request = OffsetCommitRequest {
            group_id: Text::from("group"),
            generation_id_or_member_epoch: -1,
            topics: vec![topic],
            ..OffsetCommitRequest::default()
        };
        self.send(line, COMMIT, request);
        self.settle();
    }

    fn committed(&mut self, line: Line) -> Option<ErrorCode> {
        match self.reply(line, ApiKey::OffsetCommit, COMMIT)? {
            Response::OffsetCommit(response) => Some(response.topics[0].partitions[0].error_code),
            other => panic!("{other:?}"),
        }
    }

    fn commit(&mut self, line: Line, topic: &str, offset: i64, metadata_bytes: usize) {
        self.send_commit(line, topic, offset, metadata_bytes);
        assert_eq!(self.committed(line), Some(ErrorCode::None));
    }

    /// What coordinators know of a topic, and whether one still reads.
    fn known(&self, topic: &str) -> (Vec<i64>, bool) {
        let coordinators = || self.shards.iter().flat_map(|shard| shard.coordinators.of.values());
        let commits = coordinators().flat_map(|coordinator| &coordinator.commits);
        let of_topic = commits.filter(|(key, _)| key.topic == topic).map(|(_, commit)| commit.offset);
        let loaded: usize = self.shards.iter().map(|shard| shard.coordinators.loaded().count()).sum();
        (of_topic.collect(), coordinators().count() > loaded)
    }

    /// Start again, with a coordinator that has read the first commit of this topic and not the last.
    fn restarted_half_read(self, topic: &str) -> Self {
        let mut world = self.restarted_holding(|operation| matches!(operation, FileOperation::Read { .. }));
        for _ in 0..100 {
            if !world.known(topic).0.is_empty() {
                break;
            }
            world.release_one();
        }
        assert_eq!(world.known(topic), (vec![1], true), "the first is read, the second is not");
        world
    }
}

fn is_journal_write(operation: &FileOperation) -> bool {
    matches!(operation, FileOperation::Write { data: WriteData::Aligned(_), .. })
}

/// An old commit and, so far behind it that they are not read together, a new one.
fn old_and_new() -> World {
    let (mut world, line) = World::with_coordinator();
    world.commit(line, "topic", 1, 0);
    for offset in 0..400 {
        world.commit(line, "other", offset, 4000);
    }
    world.pass(SOME_MS);
    world.commit(line, "topic", 2, 0);
    world
}

#[test]
fn o05_a_commit_does_not_expire_before_its_successor_is_read() {
    let mut world = old_and_new().restarted_half_read("topic");
    world.pass(RETENTION_MS - SOME_MS + 1000);
    world.release();
    assert_eq!(world.known("topic"), (vec![2], false));
    let mut world = world.restarted();
    assert_eq!(world.known("topic"), (vec![2], false), "no removal was written behind it");
    world.pass(RETENTION_MS);
    assert_eq!(world.known("topic").0, [0; 0], "it expires in its own time");
}

#[test]
fn o05_a_commit_does_not_expire_while_its_successor_is_on_its_way() {
    let (mut world, line) = World::with_coordinator();
    world.commit(line, "topic", 1, 0);
    world.pass(SOME_MS);
    world.holds = is_journal_write;
    // It is answered, as failed, before it is committed; it is committed all the same.
    world.send_commit(line, "topic", 2, 0);
    world.pass(RETENTION_MS - SOME_MS + 1000);
    world.release();
    let world = world.restarted();
    assert_eq!(world.known("topic"), (vec![2], false));
}

/// The leap comes before expiry has looked at the clock for the first time.
#[test]
fn o05_a_clock_that_leaps_ahead_expires_no_commit() {
    let (mut world, line) = World::with_coordinator();
    world.commit(line, "topic", 1, 0);
    world.leap(100 * RETENTION_MS);
    world.pass(SOME_MS);
    assert_eq!(world.known("topic"), (vec![1], false));
    world.pass(RETENTION_MS);
    assert_eq!(world.known("topic").0, [0; 0], "it expires in its own time");
}

#[test]
fn commits_of_a_topic_deleted_while_they_are_read_are_gone_when_they_have_been() {
    let mut world = old_and_new().restarted_half_read("topic");
    world.delete_topic("topic");
    world.release();
    assert_eq!((world.known("topic"), world.known("other").0), ((vec![], false), vec![399]));
    assert_eq!(world.restarted().known("topic").0, [0; 0]);
}

#[test]
fn a_commit_on_its_way_goes_with_its_topic() {
    let (mut world, line) = World::with_coordinator();
    world.holds = is_journal_write;
    world.send_commit(line, "topic", 1, 0);
    world.delete_topic("topic");
    world.release();
    assert_eq!(world.committed(line), Some(ErrorCode::None));
    assert_eq!(world.known("topic").0, [0; 0]);
    let names: Vec<String> = world.carried.iter().map(|(.., name)| name.clone()).collect();
    assert_eq!(world.restarted().known("topic").0, [0; 0], "{names:?}");
}

#[test]
fn g17_a_coordinator_that_still_reads_says_so() {
    let mut world = old_and_new().restarted_half_read("topic");
    let line = world.connect(0);
    let fetch = OffsetFetchRequest { group_id: Text::from("group"), ..OffsetFetchRequest::default() };
    let fetched = |world: &mut World| {
        world.send(line, 7, fetch.clone());
        world.settle();
        match world.reply(line, ApiKey::OffsetFetch, 7) {
            Some(Response::OffsetFetch(response)) => response.error_code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fetched(&mut world), ErrorCode::CoordinatorLoadInProgress);
    world.send_commit(line, "topic", 3, 0);
    assert_eq!(world.committed(line), Some(ErrorCode::CoordinatorLoadInProgress));
    world.release();
    assert_eq!(fetched(&mut world), ErrorCode::None);
}
