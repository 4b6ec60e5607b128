//! A clean stop: what was begun is finished, and its replies leave.

use flumen_log::{
    ShardId,
    io::{Event, FileOperation, Machine, WriteData},
};
use flumen_protocol::ErrorCode;

use super::{
    World,
    client::{FETCH, PRODUCE, fetch, produce},
};

impl World {
    fn stop(&mut self, shard: usize) {
        self.tell(shard, Event::Stop);
        self.settle();
    }

    fn is_finished(&self) -> bool {
        self.shards.iter().all(Machine::is_finished)
    }
}

fn is_journal_write(operation: &FileOperation) -> bool {
    matches!(operation, FileOperation::Write { data: WriteData::Aligned(_), .. })
}

#[test]
fn an_append_that_waits_for_the_disk_is_acknowledged_before_its_connection_closes() {
    let mut world = World::new();
    world.topic("topic", 2);
    let line = world.connect(0);
    world.append(line, "topic", &[0, 1], 10);
    world.holds = is_journal_write;
    world.send(line, PRODUCE, produce("topic", &[0, 1], 10));
    world.settle();
    // The other shard has nobody of its own to wait for, and is needed all the same.
    world.stop(1);
    world.stop(0);
    assert!(!world.client(line).is_finished && !world.client(line).is_closed);
    // What comes now is not taken any more.
    world.send(line, PRODUCE, produce("topic", &[0, 1], 10));
    world.settle();
    world.release();
    let response = world.produced(line).expect("what was begun is answered");
    for partition in &response.responses[0].partition_responses {
        assert_eq!((partition.error_code, partition.base_offset), (ErrorCode::None, 1));
    }
    assert!(world.is_silent(line), "and what was not begun is not");
    assert!(world.client(line).is_finished && !world.client(line).is_closed, "the peer is told, and closes first");
    assert!(!world.is_finished());
    world.hang_up(line);
    world.settle();
    assert!(world.client(line).is_closed && world.is_finished());
    let world = world.restarted();
    for shard in &world.shards {
        for (_, view) in shard.directories.iter().flat_map(|(_, store)| store.partitions()) {
            assert_eq!(view.log_end().0, 2, "nothing was appended that was not acknowledged");
        }
    }
}

#[test]
fn long_polls_are_answered_at_a_stop() {
    let mut world = World::new();
    world.topic("topic", 2);
    let line = world.connect(0);
    world.send(line, FETCH, fetch("topic", &[(0, 0), (1, 0)], 1, 600_000));
    world.settle();
    assert!(world.is_silent(line));
    world.stop(0);
    let response = world.fetched(line).expect("it is answered with what is there");
    assert_eq!(response.error_code, ErrorCode::None);
    assert!(world.client(line).is_finished);
    world.stop(1);
    // A peer that does not close is closed to.
    world.pass(500);
    assert!(world.client(line).is_closed && world.is_finished());
}

#[test]
fn a_connection_at_rest_is_closed_at_once() {
    let mut world = World::new();
    let line = world.connect(0);
    world.pass(1000);
    world.stop(0);
    world.stop(1);
    assert!(world.client(line).is_closed && !world.client(line).is_finished && world.is_finished());
}

#[test]
fn a_stop_waits_for_nobody_for_ever() {
    let mut world = World::with(|limits| limits.drain_ms = 3000);
    world.topic("topic", 2);
    let (stuck, waiting) = (world.connect(0), world.connect(1));
    world.append(stuck, "topic", &[0, 1], 10);
    world.client(stuck).is_stuck = true;
    world.send(stuck, FETCH, fetch("topic", &[(0, 0), (1, 0)], 1, 600_000));
    world.holds = is_journal_write;
    world.send(waiting, PRODUCE, produce("topic", &[0, 1], 10));
    world.settle();
    world.stop(0);
    world.stop(1);
    world.pass(2999);
    assert!(!world.client(stuck).is_closed && !world.client(waiting).is_closed);
    world.pass(1);
    assert!(world.client(stuck).is_closed && world.client(waiting).is_closed);
    assert!(!world.is_finished(), "the store writes out what it took");
    world.release();
    assert!(world.is_finished());
}

#[test]
fn a_shard_serves_the_others_until_all_have_drained() {
    let mut world = World::new();
    let topic = world.topic("topic", 2);
    let there = (0..2).find(|partition| world.owner(topic, *partition) == ShardId(1)).expect("one of them");
    let line = world.connect(0);
    world.stop(1);
    assert!(!world.shards[1].is_finished());
    world.append(line, "topic", &[there], 10);
    world.pass(1000);
    world.stop(0);
    assert!(world.is_finished());
    assert_eq!((world.carried(0, 1, "Drained"), world.carried(1, 0, "Drained")), (1, 1));
}
