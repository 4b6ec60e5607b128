//! The room of a mailbox: enough for everything that can be unread at once.

use alloc::vec::Vec;
use flumen_log::ShardId;

use super::{
    World,
    client::{FETCH, Line, PRODUCE, fetch, produce},
};
use crate::{limits::Limits, metadata::Random};

fn small(limits: &mut Limits) {
    limits.connections = 6;
    (limits.produce_credits, limits.fetch_credits, limits.control_credits) = (2, 2, 2);
}

/// Everything that one shard can write without a credit, at once, to one that does not read.
#[test]
fn the_worst_that_parked_fetches_can_write_fits_and_is_more_than_two_for_each_connection() {
    let mut world = World::with(small);
    let topic = world.topic("topic", 4);
    let at =
        |world: &World, shard| (0..4).filter(|partition| world.owner(topic, *partition) == ShardId(shard)).collect::<Vec<_>>();
    let (here, there) = (at(&world, 0), at(&world, 1));
    // Five readers and a writer on each shard; each reader waits on a partition of either shard, besides one of its own.
    let readers = |world: &mut World, shard: u16| (0..5).map(|_| world.connect(shard)).collect::<Vec<Line>>();
    let (ours, theirs) = (readers(&mut world, 0), readers(&mut world, 1));
    let (writer, other_writer) = (world.connect(0), world.connect(1));
    for line in ours.iter().chain(&theirs) {
        world.send(*line, FETCH, fetch("topic", &[(here[0], 0), (there[0], 0)], 400, 600_000));
        world.settle();
    }
    // From here on shard 1 reads nothing of shard 0.
    world.unread.insert((ShardId(0), ShardId(1)));
    assert_eq!(world.in_mailbox(0, 1), 0);
    // Their partition has a little: five reports come, five words to wait on go. Ours has a little: five reports go.
    world.append(other_writer, "topic", &[there[0]], 50);
    world.append(writer, "topic", &[here[0]], 50);
    let before = world.in_mailbox(0, 1);
    assert!(before >= 10, "{before}");
    // Ours has enough: our own fetches are collected, and theirs are answered.
    world.append(writer, "topic", &[here[0]], 500);
    // And our readers go away.
    for line in &ours {
        world.hang_up(*line);
    }
    world.settle();
    let unread = world.in_mailbox(0, 1);
    let mut limits = Limits::for_shard(64 << 20, 2);
    small(&mut limits);
    assert!(unread >= 5 * 5, "{unread}");
    assert!(unread <= limits.unread_mail_max());
    world.unread.clear();
    world.settle();
}

/// Whatever clients do, and however long a shard does not read.
#[test]
fn no_mailbox_is_ever_fuller_than_its_bound() {
    let mut bound = Limits::for_shard(64 << 20, 2);
    small(&mut bound);
    let mut fullest = 0;
    for seed in 0..200 {
        let mut world = World::with(small);
        let mut random = Random::seeded(seed);
        world.topic("topic", 4);
        let mut lines: Vec<Line> = Vec::new();
        for _ in 0..300 {
            let mut pick = |below: u64| usize::try_from(random.draw() % below).expect("small");
            match pick(10) {
                0 | 1 if lines.len() < 12 => lines.push(world.connect(u16::from(lines.len() % 2 == 1))),
                0..=2 => {
                    // The shard may not hear of it for a while.
                    if let Some(line) = (!lines.is_empty()).then(|| lines.swap_remove(pick(12) % lines.len())) {
                        world.hang_up(line);
                    }
                }
                3..=6 => {
                    if let Some(line) = lines.get(pick(12)) {
                        let partitions = [(pick(4) as i32, 0), (pick(4) as i32, 0)];
                        world.send(*line, FETCH, fetch("topic", &partitions, pick(1000) as i32, 60_000));
                    }
                }
                7 => {
                    if let Some(line) = lines.get(pick(12)) {
                        world.send(*line, PRODUCE, produce("topic", &[pick(4) as i32], pick(300)));
                    }
                }
                8 => {
                    let pair = if pick(2) == 0 { (ShardId(0), ShardId(1)) } else { (ShardId(1), ShardId(0)) };
                    if !world.unread.remove(&pair) {
                        world.unread.insert(pair);
                    }
                }
                _ => world.pass(pick(20_000) as u64),
            }
            world.settle();
        }
        fullest = fullest.max(world.fullest);
        assert!(world.fullest <= bound.unread_mail_max(), "seed {seed}: {}", world.fullest);
    }
    assert!(fullest > 12, "the run is worth something: {fullest}");
}
