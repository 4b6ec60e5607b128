//! Committed offsets while their coordinator still reads its partition, and while a commit is on its way.

use alloc::{string::String, vec, vec::Vec};
use flumen_log::io::FileOperation;
use flumen_protocol::{
    ApiKey, ErrorCode, Response, Text,
    find_coordinator::FindCoordinatorRequest,
    offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic},
};

use super::{World, client::Line, is_journal_write};

const COMMIT: i16 = 8;
/// How long a commit is kept, which is Kafka's default, and well under it.
pub(super) const RETENTION_MS: u64 = 7 * DAY_MS;
const SOME_MS: u64 = 6 * DAY_MS;
const DAY_MS: u64 = 86_400_000;
/// How long a commit may take, which is Kafka's default.
pub(super) const COMMIT_TIMEOUT_MS: u64 = 5000;
/// How often it is looked at what is over, which is Kafka's default too.
pub(super) const CHECK_MS: u64 = 600_000;

impl World {
    fn with_coordinator() -> (Self, Line) {
        Self::new().coordinating()
    }

    fn coordinating(mut self) -> (Self, Line) {
        self.topic("topic", 1);
        self.topic("other", 1);
        let line = self.connect(0);
        self.send(line, 4, FindCoordinatorRequest { coordinator_keys: vec![Text::from("group")], ..Default::default() });
        self.settle();
        assert!(self.reply(line, ApiKey::FindCoordinator, 4).is_some());
        (self, line)
    }

    /// So much later: the connections there were have been idle for too long.
    fn after(&mut self, ms: u64) -> Line {
        self.pass(ms);
        self.connect(0)
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

    /// The offset committed for a topic, as a client is told.
    fn fetched_offset(&mut self, line: Line, topic: &str) -> i64 {
        let topics = vec![OffsetFetchRequestTopic { name: Text::from(topic), partition_indexes: vec![0] }];
        self.send(line, 7, OffsetFetchRequest { group_id: Text::from("group"), topics: Some(topics), ..Default::default() });
        self.settle();
        match self.reply(line, ApiKey::OffsetFetch, 7) {
            Some(Response::OffsetFetch(response)) => response.topics[0].partitions[0].committed_offset,
            other => panic!("{other:?}"),
        }
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

/// An old commit and, so far behind it that they are not read together, a new one.
fn old_and_new() -> World {
    let (mut world, line) = World::with_coordinator();
    world.commit(line, "topic", 1, 0);
    for offset in 0..400 {
        world.commit(line, "other", offset, 4000);
    }
    let line = world.after(SOME_MS);
    world.commit(line, "topic", 2, 0);
    world
}

#[test]
fn o05_a_commit_does_not_expire_before_its_successor_is_read() {
    let mut world = old_and_new().restarted_half_read("topic");
    world.pass(RETENTION_MS - SOME_MS + CHECK_MS);
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
    let line = world.after(SOME_MS);
    world.holds = is_journal_write;
    // It is answered, as failed, before it is committed; it is committed all the same.
    world.send_commit(line, "topic", 2, 0);
    world.pass(RETENTION_MS - SOME_MS + CHECK_MS);
    assert_eq!(world.committed(line), Some(ErrorCode::CoordinatorNotAvailable));
    world.release();
    assert_eq!(world.known("topic"), (vec![2], false), "what is in the log is what is told");
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

/// The clock is wrong when the first coordinator comes to be, right when somebody commits, and wrong again.
#[test]
fn o05_a_clock_that_is_wrong_when_a_coordinator_begins_expires_no_commit() {
    let mut world = World::new();
    let right = world.now.wall;
    world.leap(100 * RETENTION_MS);
    let (mut world, line) = world.coordinating();
    let wrong = core::mem::replace(&mut world.now.wall, right);
    world.commit(line, "topic", 1, 0);
    world.now.wall = wrong;
    world.pass(2 * CHECK_MS);
    assert_eq!(world.known("topic"), (vec![1], false));
}

#[test]
fn o05_a_commit_expires_after_seven_days() {
    let (mut world, line) = World::with_coordinator();
    world.commit(line, "topic", 1, 0);
    let line = world.after(SOME_MS);
    world.commit(line, "other", 2, 0);
    let line = world.after(RETENTION_MS - SOME_MS - CHECK_MS);
    assert_eq!((world.fetched_offset(line, "topic"), world.fetched_offset(line, "other")), (1, 2));
    let line = world.after(2 * CHECK_MS);
    assert_eq!((world.fetched_offset(line, "topic"), world.fetched_offset(line, "other")), (-1, 2));
    let mut world = world.restarted();
    let line = world.connect(1);
    assert_eq!((world.fetched_offset(line, "topic"), world.fetched_offset(line, "other")), (-1, 2));
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

/// Clients that try again and again while the disk does nothing pile up nothing.
#[test]
fn commits_that_a_slow_disk_has_not_taken_are_bounded() {
    let (mut world, line) = World::with_coordinator();
    world.commit(line, "topic", 1, 0);
    world.holds = is_journal_write;
    for _ in 0..100 {
        let line = world.after(0);
        world.send_commit(line, "topic", 2, 4000);
        world.pass(COMMIT_TIMEOUT_MS + 1);
        assert_eq!(world.committed(line), Some(ErrorCode::CoordinatorNotAvailable));
    }
    let under_way: usize = world.shards.iter().map(|shard| shard.coordinators.uncommitted.len()).sum();
    assert!(under_way < 2 * super::appends::WAITING_BYTES / 4000, "{under_way}");
    world.release();
    assert_eq!(world.known("topic"), (vec![2], false));
}
