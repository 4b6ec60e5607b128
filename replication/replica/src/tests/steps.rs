//! Single steps, by hand.

use crate::{
    Divergence, Durability, EpochEnd, EpochRefusal, Follower, IsrChange, Leader, LocalLog, NotEnoughReplicas, Reign, Replica,
    Transition,
};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use flumen_log::{BrokerId, LeaderEpoch, Offset};

const ME: BrokerId = BrokerId(1);
const TWO: BrokerId = BrokerId(2);
const THREE: BrokerId = BrokerId(3);

fn reign(leader: i32, leader_epoch: i32, partition_epoch: i32, isr: &[BrokerId]) -> Reign {
    Reign {
        leader: Some(BrokerId(leader)),
        leader_epoch: LeaderEpoch(leader_epoch),
        partition_epoch,
        replicas: Vec::from([ME, TWO, THREE]),
        isr: isr.to_vec(),
    }
}

fn log(end: i64, durable: i64, high_watermark: i64) -> LocalLog {
    LocalLog { next_offset: Offset(end), log_end: Offset(end), durable: Offset(durable), high_watermark: Offset(high_watermark) }
}

fn lead(isr: &[BrokerId], log: LocalLog, durability: Durability, min_insync: usize) -> Replica {
    let (replica, transition) = Replica::new(ME, &reign(1, 5, 9, isr), log, durability, min_insync);
    let expected = Transition::BecameLeader { leader_epoch: LeaderEpoch(5), epoch_start: log.next_offset };
    assert_eq!(transition, expected);
    replica
}

fn leader(replica: &mut Replica) -> &mut Leader {
    replica.as_leader_mut().expect("it leads")
}

fn progress(leader: &mut Leader, broker: BrokerId, end: i64, durable: i64) -> bool {
    leader.follower_progress(broker, LeaderEpoch(5), Offset(end), Offset(durable)).expect("the same epoch")
}

#[test]
fn alone_the_watermark_follows_what_durability_asks() {
    for (durability, expected) in [(Durability::Journaled, 4), (Durability::Replicated, 7)] {
        let mut replica = lead(&[ME], log(0, 0, 0), durability, 1);
        assert!(leader(&mut replica).local_progress(Offset(7), Offset(4)));
        assert_eq!(replica.high_watermark(), Offset(expected), "{durability:?}");
    }
}

#[test]
fn every_member_in_sync_counts_and_others_do_not() {
    let mut replica = lead(&[ME, TWO], log(10, 10, 3), Durability::Journaled, 1);
    let leader = leader(&mut replica);
    assert_eq!(leader.high_watermark(), Offset(3), "nobody has been heard under this reign");
    assert!(!progress(leader, THREE, 10, 10), "not in sync");
    assert!(progress(leader, TWO, 10, 6));
    assert_eq!(leader.high_watermark(), Offset(6));
    assert!(!progress(leader, TWO, 4, 4), "it never falls");
    assert_eq!(leader.high_watermark(), Offset(6));
}

#[test]
fn a_recovered_watermark_is_never_past_the_log() {
    let replica = lead(&[ME, TWO], log(5, 5, 9), Durability::Journaled, 1);
    assert_eq!(replica.high_watermark(), Offset(5));
}

#[test]
fn a_switch_of_durability_never_takes_anything_back() {
    let mut replica = lead(&[ME], log(0, 0, 0), Durability::Replicated, 1);
    let leader = leader(&mut replica);
    leader.local_progress(Offset(7), Offset(4));
    assert!(!leader.configure(Durability::Journaled, 1));
    assert_eq!(leader.high_watermark(), Offset(7));
    assert!(!leader.local_progress(Offset(9), Offset(6)));
    assert!(leader.local_progress(Offset(9), Offset(9)));
    assert_eq!(leader.high_watermark(), Offset(9));
}

#[test]
fn below_the_minimum_nothing_is_taken_and_nothing_gets_committed() {
    let mut replica = lead(&[ME], log(0, 0, 0), Durability::Journaled, 2);
    let leader = leader(&mut replica);
    let refusal = NotEnoughReplicas { in_sync: Vec::from([ME]), required: 2 };
    assert_eq!(leader.enough_in_sync(), Err(refusal));
    assert!(!leader.local_progress(Offset(3), Offset(3)));
    assert_eq!(leader.high_watermark(), Offset(0));
    assert!(leader.configure(Durability::Journaled, 1), "now one is enough");
    assert_eq!(leader.high_watermark(), Offset(3));
}

#[test]
fn the_minimum_is_at_most_the_number_of_replicas() {
    let alone = Reign { replicas: Vec::from([ME]), ..reign(1, 5, 9, &[ME]) };
    let (replica, _) = Replica::new(ME, &alone, log(2, 2, 0), Durability::Journaled, 3);
    assert_eq!(replica.high_watermark(), Offset(2));
}

#[test]
fn a_member_asked_for_counts_before_the_controller_answers() {
    let mut replica = lead(&[ME], log(5, 5, 5), Durability::Journaled, 1);
    let leading = leader(&mut replica);
    assert_eq!(leading.expand(TWO), None, "nothing heard of it");
    progress(leading, TWO, 4, 4);
    assert_eq!(leading.expand(TWO), None, "it lacks committed records");
    progress(leading, TWO, 5, 4);
    assert_eq!(leading.expand(TWO), None, "it has not synced them");
    progress(leading, TWO, 5, 5);
    let change = leading.expand(TWO).expect("it has all");
    assert_eq!((change.leader_epoch, change.partition_epoch), (LeaderEpoch(5), 9));
    assert_eq!(change.new_isr, BTreeSet::from([ME, TWO]));
    assert_eq!(leading.expand(THREE), None, "one request at a time");
    assert!(!leading.local_progress(Offset(8), Offset(8)), "the controller may have said yes already");
    assert_eq!(leading.enough_in_sync(), Ok(()));
    assert!(!leading.isr_refused(&IsrChange { partition_epoch: 8, ..change.clone() }), "an answer to another request");
    assert!(leading.isr_refused(&change));
    assert_eq!(leading.high_watermark(), Offset(8));
}

#[test]
fn who_joins_has_all_that_the_leader_began_with() {
    // A new leader may not know yet how much was committed before it: at most what it had when it took over.
    let mut replica = lead(&[ME, TWO], log(10, 10, 3), Durability::Journaled, 1);
    let leading = leader(&mut replica);
    progress(leading, THREE, 9, 9);
    assert_eq!(leading.expand(THREE), None);
    progress(leading, THREE, 10, 10);
    assert!(leading.expand(THREE).is_some());
}

#[test]
fn a_member_given_up_counts_until_the_controller_has_said_so() {
    let mut replica = lead(&[ME, TWO], log(5, 5, 0), Durability::Journaled, 1);
    let leading = leader(&mut replica);
    assert_eq!(leading.shrink(&BTreeSet::from([ME])), None, "the leader stays");
    let change = leading.shrink(&BTreeSet::from([ME, TWO])).expect("asked");
    assert_eq!(change.new_isr, BTreeSet::from([ME]));
    assert!(!leading.local_progress(Offset(8), Offset(8)));
    let transition = replica.assign(ME, &reign(1, 5, 10, &[ME]), log(8, 8, 0), Durability::Journaled, 1);
    assert_eq!((transition, replica.high_watermark()), (Transition::Renewed, Offset(8)));
}

#[test]
fn a_follower_that_was_lost_must_be_heard_again() {
    let mut replica = lead(&[ME], log(5, 5, 5), Durability::Replicated, 1);
    let leading = leader(&mut replica);
    progress(leading, TWO, 5, 0);
    leading.follower_lost(TWO);
    assert_eq!(leading.expand(TWO), None);
    leading.follower_lost(ME);
    assert_eq!(leading.log_end(), Offset(5), "nobody loses himself");
}

#[test]
fn records_no_newer_than_what_is_known_change_nothing() {
    let mut replica = lead(&[ME], log(5, 5, 5), Durability::Journaled, 1);
    for stale in [reign(2, 4, 20, &[TWO]), reign(1, 5, 9, &[ME, TWO]), reign(2, 6, 9, &[TWO])] {
        let transition = replica.assign(ME, &stale, log(0, 0, 0), Durability::Journaled, 1);
        assert_eq!(transition, Transition::Stale, "{stale:?}");
    }
    assert!(replica.as_leader().is_some());
}

#[test]
fn leadership_passes_and_comes_back_with_the_watermark_kept() {
    let mut replica = lead(&[ME], log(5, 5, 5), Durability::Journaled, 1);
    let away = replica.assign(ME, &reign(2, 6, 10, &[ME, TWO]), log(5, 5, 0), Durability::Journaled, 1);
    assert_eq!((away, replica.high_watermark()), (Transition::BecameFollower, Offset(5)));
    let back = replica.assign(ME, &reign(1, 7, 11, &[ME, TWO]), log(6, 6, 0), Durability::Journaled, 1);
    assert_eq!(back, Transition::BecameLeader { leader_epoch: LeaderEpoch(7), epoch_start: Offset(6) });
    assert_eq!(replica.high_watermark(), Offset(5));
    replica.take_offline();
    let offline = replica.assign(ME, &reign(1, 8, 12, &[ME]), log(6, 6, 0), Durability::Journaled, 1);
    assert_eq!((offline, replica.epochs()), (Transition::Stale, None));
}

#[test]
fn who_speaks_of_another_reign_is_refused() {
    let mut replica = lead(&[ME, TWO], log(5, 5, 0), Durability::Journaled, 1);
    let leading = leader(&mut replica);
    let told = |leading: &mut Leader, epoch| leading.follower_progress(TWO, LeaderEpoch(epoch), Offset(5), Offset(5));
    assert_eq!(told(leading, 4), Err(EpochRefusal::Fenced));
    assert_eq!(told(leading, 6), Err(EpochRefusal::Unknown));
    assert_eq!(leading.high_watermark(), Offset(0));
    assert_eq!(leading.check_epoch(LeaderEpoch::NONE), Ok(()), "a client that names no epoch is let through");
    assert_eq!(leading.check_epoch(LeaderEpoch(4)), Err(EpochRefusal::Fenced));
}

#[test]
fn a_follower_believes_its_leaders_watermark_as_far_as_its_log_goes() {
    let (mut replica, transition) = Replica::new(ME, &reign(2, 5, 9, &[TWO]), log(3, 3, 1), Durability::Journaled, 1);
    assert_eq!(transition, Transition::BecameFollower);
    let Replica::Follower(follower) = &mut replica else { panic!("it follows") };
    assert_eq!(follower.learn_high_watermark(LeaderEpoch(4), Offset(3), Offset(3)), Err(EpochRefusal::Fenced));
    follower.learn_high_watermark(LeaderEpoch(5), Offset(9), Offset(3)).expect("the same epoch");
    assert_eq!(follower.high_watermark(), Offset(3));
    follower.learn_high_watermark(LeaderEpoch(5), Offset(2), Offset(3)).expect("the same epoch");
    assert_eq!(follower.high_watermark(), Offset(3));
}

#[test]
fn logs_diverge_where_the_epochs_do() {
    let end = |epoch, end| EpochEnd { epoch: LeaderEpoch(epoch), end: Offset(end) };
    let asked = LeaderEpoch(4);
    let cases = [
        // The leader knows the epoch: whoever's ends first.
        (end(4, 8), Some(end(4, 10)), Divergence::CutTo(Offset(8))),
        (end(4, 12), Some(end(4, 10)), Divergence::CutTo(Offset(10))),
        // The leader knows only an earlier one, which is here too.
        (end(2, 6), Some(end(2, 7)), Divergence::CutTo(Offset(6))),
        // The leader's is not here: ask about the one before it.
        (end(3, 6), Some(end(2, 5)), Divergence::AskAgain { cut_to: Offset(5), epoch: LeaderEpoch(2) }),
        (end(3, 6), None, Divergence::CutTo(Offset(6))),
    ];
    for (answer, local, expected) in cases {
        assert_eq!(Follower::diverge(asked, answer, local, Offset(10)), expected, "{answer:?} {local:?}");
    }
}
