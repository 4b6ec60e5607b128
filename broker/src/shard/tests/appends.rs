//! Appends that the log does not take at once.

use flumen_protocol::ErrorCode;

use super::{
    World,
    client::{Line, PRODUCE, produce},
    files::TOTAL_BYTES,
};

/// Larger than a journal file of this world, smaller than `max.message.bytes`.
const LARGE_BYTES: usize = 600_000;

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
