//! One to five members, any order of events, crashes and elections among them: nothing committed is ever lost.

use super::cluster::Cluster;
use crate::Durability;
use proptest::collection::vec;
use proptest::prelude::*;
use std::cell::Cell;

/// Something that happens. Members are taken modulo their number.
#[derive(Clone, Debug)]
enum Event {
    Append(usize),
    Sync(usize),
    Replicate(usize, usize),
    Report(usize),
    Ask(usize, usize, bool),
    Decide(bool),
    Elect(usize),
    Tell(usize),
    Crash(usize, usize, bool),
    Configure(Durability, usize),
}

fn durabilities() -> impl Strategy<Value = Durability> {
    prop_oneof![Just(Durability::Journaled), Just(Durability::Replicated)]
}

fn events() -> impl Strategy<Value = Event> {
    let member = || 0..5_usize;
    prop_oneof![
        8 => member().prop_map(Event::Append),
        8 => member().prop_map(Event::Sync),
        8 => (member(), 1..4_usize).prop_map(|(member, count)| Event::Replicate(member, count)),
        8 => member().prop_map(Event::Report),
        10 => (member(), member(), any::<bool>()).prop_map(|(leader, other, join)| Event::Ask(leader, other, join)),
        4 => proptest::bool::weighted(0.8).prop_map(Event::Decide),
        2 => member().prop_map(Event::Elect),
        6 => member().prop_map(Event::Tell),
        1 => (member(), 0..8_usize, any::<bool>()).prop_map(|(member, kept, lost)| Event::Crash(member, kept, lost)),
        1 => (durabilities(), 0..4_usize).prop_map(|(durability, min)| Event::Configure(durability, min)),
    ]
}

fn happen(cluster: &mut Cluster, event: &Event) {
    let size = cluster.members.len();
    match *event {
        Event::Append(member) => cluster.append(member % size),
        Event::Sync(member) => cluster.sync(member % size),
        Event::Replicate(member, count) => cluster.replicate(member % size, count),
        Event::Report(member) => cluster.report(member % size),
        Event::Ask(leader, other, join) => cluster.ask(leader % size, other % size, join),
        Event::Decide(grant) => cluster.decide(grant),
        Event::Elect(choice) => cluster.elect(choice),
        Event::Tell(member) => cluster.tell(member % size),
        Event::Crash(member, kept, lost) => cluster.crash(member % size, kept, lost),
        Event::Configure(durability, min) => cluster.configure(durability, min),
    }
}

#[test]
fn nothing_committed_is_lost() {
    let committed = Cell::new(0);
    let elections = Cell::new(0);
    let cases = 3_000;
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let sequences = (1..6_usize, durabilities(), 0..4_usize, vec(events(), 50..400));
    let outcome = runner.run(&sequences, |(size, durability, min_insync, sequence)| {
        let mut cluster = Cluster::new(size, durability, min_insync);
        for event in &sequence {
            happen(&mut cluster, event);
        }
        cluster.configure(cluster.durability, 1);
        cluster.settle();
        prop_assert_eq!(cluster.leaders_log(), &cluster.committed, "what the leader has gets committed in the end");
        committed.set(committed.get() + cluster.committed.len());
        elections.set(elections.get() + cluster.record.leader_epoch.0);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    // A run in which hardly anything happened proves nothing.
    assert!(committed.get() > 2 * usize::try_from(cases).expect("small"), "{} committed", committed.get());
    assert!(elections.get() > i32::try_from(cases).expect("small"), "{} elections", elections.get());
}
