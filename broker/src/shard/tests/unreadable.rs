//! Bytes that a connection's shard could not read when it was sending them.

use alloc::{sync::Arc, vec, vec::Vec};
use flumen_log::{
    Offset, PartitionIndex, ShardId, TopicPartition,
    io::{Event, FileHandle, FileSlice, SegmentFile},
};
use flumen_protocol::ErrorCode;

use super::{
    World,
    client::{FETCH, fetch},
};

/// More than lies between two marks of an index.
const SOME_BYTES: usize = 5000;

/// The connection ends, the partition's owner looks at the bytes, whoever looks after the broker is told, and the next reader gets an
/// error code.
#[test]
fn what_cannot_be_sent_is_checked_by_its_owner_and_the_connection_ends() {
    for bad in [true, false] {
        let mut world = World::new();
        let topic = world.topic("topic", 4);
        let number = (0..4).find(|partition| world.owner(topic, *partition) == ShardId(1)).expect("one of four");
        let partition = TopicPartition { topic, partition: PartitionIndex(number) };
        let (line, other) = (world.connect(0), world.connect(0));
        for _ in 0..4 {
            world.append(other, "topic", &[number], SOME_BYTES);
        }
        world.files.unreadable = bad;
        let file = Arc::new(SegmentFile { handle: FileHandle(0), segment: (partition, Offset(0)) });
        let slice = FileSlice { file, position: 0, length: 100 };
        world.tell(0, Event::Unreadable { connection: line.1, slice });
        world.settle();
        assert!(world.client(line).is_closed && !world.client(other).is_closed);
        assert_eq!(world.carried(0, 1, "Unreadable"), 1);
        let told: Vec<_> = world.damaged.iter().map(|(of, range)| (*of, range.from)).collect();
        assert_eq!(told, if bad { vec![(partition, Offset(0))] } else { vec![] });
        world.send(other, FETCH, fetch("topic", &[(number, 0)], 1, 1000));
        world.settle();
        let answer = world.fetched(other).expect("answered");
        let error = answer.responses[0].partitions[0].error_code;
        assert_eq!(error, if bad { ErrorCode::CorruptMessage } else { ErrorCode::None });
    }
}
