//! Appends that the log does not take at once.

use alloc::vec::Vec;
use flumen_log::io::{FileOperation, WriteData};
use flumen_protocol::{ErrorCode, produce::ProduceRequest};

use super::{
    World,
    client::{Line, PRODUCE, produce},
    files::TOTAL_BYTES,
    is_journal_write,
};

/// Larger than a journal file of this world, smaller than `max.message.bytes`.
const LARGE_BYTES: usize = 600_000;

/// What may wait for a disk of this world.
pub(super) const WAITING_BYTES: usize = 100_000;
/// A batch of which a few fit.
const SOME_BYTES: usize = 20_000;

/// The answer's code, and whether it says anything in words.
fn produce_of(world: &mut World, line: Line, value_bytes: usize) -> (ErrorCode, bool) {
    world.send(line, PRODUCE, produce("topic", &[0], value_bytes));
    world.settle();
    let response = world.produced(line).expect("answered");
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.error_message.is_some())
}

#[test]
fn p09_a_batch_larger_than_a_journal_file_is_taken_as_soon_as_one_was_made_for_it() {
    let mut world = World::new();
    world.topic("topic", 1);
    let line = world.connect(0);
    world.files.has_no_room = true;
    for _ in 0..3 {
        assert_eq!(
            produce_of(&mut world, line, LARGE_BYTES),
            (ErrorCode::NotEnoughReplicas, true),
            "to be tried again, and it says why"
        );
    }
    world.append(line, "topic", &[0], 10);
    world.files.has_no_room = false;
    assert_eq!(produce_of(&mut world, line, LARGE_BYTES).0, ErrorCode::NotEnoughReplicas);
    assert_eq!(produce_of(&mut world, line, LARGE_BYTES), (ErrorCode::None, false));
}

#[test]
fn p13_without_space_nothing_is_written_and_it_is_to_be_tried_again() {
    let mut world = World::new();
    world.topic("topic", 1);
    let line = world.connect(0);
    world.append(line, "topic", &[0], 10);
    world.files.taken_bytes = TOTAL_BYTES - 1000;
    world.pass(2000);
    assert_eq!(produce_of(&mut world, line, 10), (ErrorCode::KafkaStorageError, true));
    world.files.taken_bytes = 0;
    world.pass(2000);
    world.append(line, "topic", &[0], 10);
    let ends: usize = world
        .shards
        .iter()
        .flat_map(|shard| shard.directories.iter())
        .flat_map(|(_, store)| store.partitions())
        .map(|(_, view)| view.log_end().0 as usize)
        .sum();
    assert_eq!(ends, 2);
}

impl World {
    /// What the stores say waits for their disks.
    fn waiting_bytes(&self) -> usize {
        let stores = self.shards.iter().flat_map(|shard| shard.directories.iter());
        stores.map(|(_, store)| store.waiting_bytes()).sum()
    }

    /// Where the log of the only partition ends.
    fn appended(&self) -> i64 {
        let stores = self.shards.iter().flat_map(|shard| shard.directories.iter());
        stores.flat_map(|(_, store)| store.partitions()).map(|(_, view)| view.next_offset().0).max().unwrap_or_default()
    }
}

fn is_segment_write(operation: &FileOperation) -> bool {
    matches!(operation, FileOperation::Write { data: WriteData::Gathered(_), .. })
}

/// Requests, more than may wait; each in a connection of its own.
fn flood(world: &mut World, acks: i16, count: usize) -> Vec<Line> {
    let lines: Vec<Line> = (0..count).map(|number| world.connect((number % 2) as u16)).collect();
    for line in &lines {
        world.send(*line, PRODUCE, ProduceRequest { acks, timeout_ms: 2000, ..produce("topic", &[0], SOME_BYTES) });
        world.settle();
    }
    lines
}

/// Whatever is acknowledged when, a disk that does nothing has so much waiting for it and no more.
#[test]
fn what_a_slow_disk_has_not_taken_is_bounded() {
    for (acks, holds) in [
        (1, is_journal_write as fn(&FileOperation) -> bool),
        (-1, is_journal_write),
        (1, is_segment_write),
        (-1, is_segment_write),
    ] {
        let mut world = World::new();
        world.topic("topic", 1);
        let line = world.connect(0);
        world.append(line, "topic", &[0], 10);
        world.holds = holds;
        let lines = flood(&mut world, acks, 40);
        assert!((WAITING_BYTES..WAITING_BYTES + 2 * SOME_BYTES).contains(&world.waiting_bytes()), "{}", world.waiting_bytes());
        let appended = world.appended();
        // They are answered in time, and those that were not appended never will be.
        world.pass(2001);
        let mut late = 0;
        for line in lines {
            let answer = world.produced(line).expect("answered in time");
            let code = answer.responses[0].partition_responses[0].error_code;
            late += i64::from(code == ErrorCode::RequestTimedOut);
            assert!(matches!(code, ErrorCode::None | ErrorCode::RequestTimedOut), "{code:?}");
        }
        assert!(late >= 30, "{late}");
        // Again and again: nothing more is taken.
        for _ in 0..3 {
            flood(&mut world, acks, 20);
            world.pass(2001);
        }
        assert_eq!(world.appended(), appended);
        world.release();
        assert_eq!((world.waiting_bytes(), world.appended()), (0, appended));
        let line = world.connect(0);
        world.append(line, "topic", &[0], 10);
    }
}

#[test]
fn what_waits_for_a_slow_disk_is_taken_in_its_order_when_it_has_caught_up() {
    let mut world = World::new();
    world.topic("topic", 1);
    world.holds = is_journal_write;
    let lines = flood(&mut world, -1, 40);
    world.release();
    for (line, offset) in lines.into_iter().zip(0..) {
        let answer = world.produced(line).expect("it is answered");
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (ErrorCode::None, offset));
    }
}
