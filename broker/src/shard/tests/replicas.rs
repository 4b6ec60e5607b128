//! A partition with a second replica, which is in the metadata only: it never confirms anything.

use alloc::{vec, vec::Vec};
use flumen_controller::command::{AlterPartition, Command};
use flumen_log::{BrokerId, PartitionIndex, TopicId, TopicPartition};
use flumen_protocol::{
    ApiKey, ErrorCode, Response, Text,
    list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic},
    produce::ProduceRequest,
};

use super::{
    World,
    client::{Line, PRODUCE, produce},
};

/// A topic whose one partition is led here and replicated to a broker that is silent.
fn replicated() -> (World, TopicId, Line) {
    let mut world = World::new();
    world.register_other(2);
    let topic = world.topic_of("topic", &[&[1, 2]], &[("min.insync.replicas", "2")]);
    let line = world.connect(0);
    (world, topic, line)
}

impl World {
    fn produce(&mut self, line: Line, acks: i16, timeout_ms: i32) {
        self.send(line, PRODUCE, ProduceRequest { acks, timeout_ms, ..produce("topic", &[0], 10) });
        self.settle();
    }

    fn outcome(&mut self, line: Line) -> Option<(ErrorCode, i64)> {
        let response = self.produced(line)?;
        let partition = &response.responses[0].partition_responses[0];
        Some((partition.error_code, partition.base_offset))
    }

    /// The latest offset, as ListOffsets says it.
    fn latest(&mut self, line: Line, version: i16) -> (ErrorCode, i64) {
        let partition = ListOffsetsPartition { current_leader_epoch: -1, timestamp: -1, ..ListOffsetsPartition::default() };
        let topics = vec![ListOffsetsTopic { name: Text::from("topic"), partitions: vec![partition] }];
        self.send(line, version, ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() });
        self.settle();
        match self.reply(line, ApiKey::ListOffsets, version) {
            Some(Response::ListOffsets(response)) => {
                let partition = &response.topics[0].partitions[0];
                (partition.error_code, partition.offset)
            }
            other => panic!("{other:?}"),
        }
    }

    /// The leader has the in-sync set reduced to itself.
    fn shrink(&mut self, topic: TopicId) {
        let partition = TopicPartition { topic, partition: PartitionIndex(0) };
        let record = self.image().topics[&topic].partition(partition.partition).expect("it has one").clone();
        let broker_epoch = self.image().brokers[&BrokerId(1)].epoch;
        self.decide(Command::AlterPartition(AlterPartition {
            broker: BrokerId(1),
            broker_epoch,
            partition,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            new_isr: Vec::from([BrokerId(1)]),
        }));
        self.settle();
    }
}

#[test]
fn p13_p27_an_append_that_nobody_confirms_is_answered_when_its_time_is_up_and_stays() {
    let (mut world, _, line) = replicated();
    world.produce(line, -1, 1000);
    world.pass(999);
    assert_eq!(world.outcome(line), None);
    world.pass(1);
    assert_eq!(world.outcome(line), Some((ErrorCode::RequestTimedOut, -1)));
    world.produce(line, 1, 1000);
    assert_eq!(world.outcome(line), Some((ErrorCode::None, 1)), "it has its offset, and the next one follows");
}

#[test]
fn p13_with_too_few_in_sync_nothing_is_written() {
    let (mut world, topic, line) = replicated();
    world.shrink(topic);
    world.produce(line, -1, 1000);
    assert_eq!(world.outcome(line), Some((ErrorCode::NotEnoughReplicas, -1)));
    world.produce(line, 1, 1000);
    assert_eq!(world.outcome(line), Some((ErrorCode::None, 0)), "the leader alone is enough for acks=1");
}

#[test]
fn l04_a_new_leader_says_that_it_does_not_know_yet() {
    let (mut world, topic, line) = replicated();
    world.produce(line, 1, 1000);
    assert_eq!(world.outcome(line), Some((ErrorCode::None, 0)));
    assert_eq!(world.latest(line, 7), (ErrorCode::None, 0), "nothing is committed, and nothing was before this reign");
    let mut world = world.restarted();
    let line = world.connect(0);
    assert_eq!(world.latest(line, 7), (ErrorCode::OffsetNotAvailable, -1));
    assert_eq!(world.latest(line, 4), (ErrorCode::LeaderNotAvailable, -1), "the other code was not known then");
    world.shrink(topic);
    assert_eq!(world.latest(line, 7), (ErrorCode::OffsetNotAvailable, -1), "too few are in sync to commit anything");
}
