//! Every ring full of parked fetches must still let a produce through.
//!
//! More clients than there are credits towards any shard park a fetch on every partition, so that each of them waits at every
//! owner; then a producer comes. A parked fetch has given its credit back and holds nothing but its place in the purgatory: all of
//! them park, whatever the number of credits, and batches are appended and acknowledged across shards while they wait.

use alloc::{collections::BTreeSet, string::String, vec::Vec};
use flumen_log::{PartitionIndex, TopicPartition, store::owner_of};

use super::{
    Control,
    client::{Admin, Client, Parker, Producer, Role},
    ledger::Policy,
    swarm::Swarm,
    world::World,
};
use crate::random::Random;

const SHARDS: u16 = 3;
const PARKERS: u64 = 40;
const PARTITIONS: usize = 9;
/// Batches that must be acknowledged while all fetches wait.
const BATCHES: u64 = 30;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// What should not have happened.
    pub violations: Vec<String>,
    /// Fetches that waited, at all owners together, when the last batch was acknowledged.
    pub parked: usize,
    /// How many should have.
    pub expected: usize,
    /// Batches acknowledged meanwhile.
    pub acked_batches: u64,
}

/// Park fetches everywhere, then produce.
#[must_use]
pub fn crowd(seed: u64) -> Crowd {
    let mut random = Random::new(seed);
    let swarm = Swarm::crowded(&mut random, u64::from(SHARDS));
    let roles = Vec::from([Role::Admin(Admin::default())]);
    let mut world = World::with(random, swarm, roles, Control::None, None);
    let topic = world.ledger.want_topic("topic".into(), PARTITIONS, true, Policy::default());
    world.start();
    world.until("the topic is there", |world| world.ledger.is_living(topic));
    let id = world.ledger.topics[topic].id;
    let owner = |partition| owner_of(TopicPartition { topic: id, partition: PartitionIndex(partition) }, SHARDS);
    let owners: BTreeSet<_> = (0..).take(PARTITIONS).map(owner).collect();
    let expected = owners.len() * usize::try_from(PARKERS).unwrap_or_default();
    world.clients.extend((100..100 + PARKERS).map(|number| Client::new(number, Role::Parker(Parker))));
    let parked = |world: &World<'_>| world.holdings().iter().map(|holdings| holdings.fetches).sum::<usize>();
    world.until("every fetch is parked at every owner", |world| parked(world) == expected);
    let before = world.work.acked_batches;
    world.clients.push(Client::new(200, Role::Producer(Producer::new(true))));
    world.until("batches are acknowledged", |world| world.work.acked_batches >= before + BATCHES);
    let parked = parked(&world);
    Crowd { parked, expected, acked_batches: world.work.acked_batches - before, violations: world.ledger.violations }
}
