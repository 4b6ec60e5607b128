//! The window of a producer against a naive model, and the lines P16 to P21 of kafka.md.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

extern crate std;

use alloc::{vec, vec::Vec};
use proptest::prelude::*;

use super::*;
use crate::LeaderEpoch;
use crate::batch::Attributes;
use crate::batch::header::sequence_after;
use crate::epoch::LeaderEpochs;

fn batch(id: i64, epoch: i16, base_sequence: i32, count: i32, base_offset: i64) -> BatchHeader {
    BatchHeader {
        base_offset: Offset(base_offset),
        length: 49,
        partition_leader_epoch: LeaderEpoch(0),
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: count - 1,
        base_timestamp: Timestamp(base_offset),
        max_timestamp: Timestamp(base_offset),
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence,
        record_count: count,
    }
}

/// States after these batches of producer 1: epoch, first sequence, count.
fn after(batches: &[(i16, i32, i32)]) -> ProducerStates {
    let mut states = ProducerStates::new();
    let mut offset = 0;
    for (epoch, sequence, count) in batches {
        let header = batch(1, *epoch, *sequence, *count, offset);
        assert_eq!(states.check(&header, Origin::Client), Ok(ProducerVerdict::Append));
        states.record(&header, Timestamp(1000));
        offset += i64::from(*count);
    }
    states
}

fn out_of_order(states: &ProducerStates, epoch: i16, sequence: i32, count: i32) -> bool {
    let verdict = states.check(&batch(1, epoch, sequence, count, 0), Origin::Client);
    matches!(verdict, Err(ProducerError::OutOfOrderSequence(_)))
}

fn appends(states: &ProducerStates, epoch: i16, sequence: i32, count: i32) -> bool {
    states.check(&batch(1, epoch, sequence, count, 0), Origin::Client) == Ok(ProducerVerdict::Append)
}

#[test]
fn p16_a_duplicate_of_the_last_five_is_found() {
    let states = after(&[(0, 0, 1), (0, 1, 2), (0, 3, 1), (0, 4, 1), (0, 5, 1), (0, 6, 3)]);
    let Ok(ProducerVerdict::Duplicate(original)) = states.check(&batch(1, 0, 1, 2, 999), Origin::Client) else { panic!() };
    assert_eq!((original.base_offset(), original.last_offset), (Offset(1), Offset(2)));
    assert_eq!((original.first_sequence(), original.last_sequence), (1, 2));
    assert_eq!(original.timestamp, Timestamp(1));
    // P17: the sixth last is out of the window; so is a batch of other borders.
    assert!(out_of_order(&states, 0, 0, 1));
    assert!(out_of_order(&states, 0, 1, 3));
    assert!(out_of_order(&states, 0, 2, 1));
}

#[test]
fn p17_a_gap_is_refused() {
    let states = after(&[(0, 0, 3)]);
    assert!(out_of_order(&states, 0, 4, 1));
    assert!(out_of_order(&states, 0, 2, 1));
    assert!(appends(&states, 0, 3, 1));
}

#[test]
fn p18_epochs() {
    let mut states = after(&[(3, 0, 3)]);
    assert!(out_of_order(&states, 4, 3, 1));
    assert!(appends(&states, 4, 0, 1));
    let fenced = |states: &ProducerStates| {
        matches!(states.check(&batch(1, 2, 3, 1, 0), Origin::Client), Err(ProducerError::InvalidProducerEpoch(_)))
    };
    assert!(fenced(&states));
    let header = batch(1, 4, 0, 1, 3);
    states.record(&header, Timestamp(1000));
    // The first batch of the old epoch is no duplicate any more.
    assert!(matches!(states.check(&batch(1, 3, 0, 3, 0), Origin::Client), Err(ProducerError::InvalidProducerEpoch(_))));
    assert!(matches!(states.check(&header, Origin::Client), Ok(ProducerVerdict::Duplicate(_))));
}

#[test]
fn p19_an_unknown_producer_starts_anywhere() {
    let states = after(&[(0, 77, 1)]);
    assert!(appends(&states, 0, 78, 1));
    assert_eq!(states.check(&batch(2, 9, 500, 1, 0), Origin::Client), Ok(ProducerVerdict::Append));
}

#[test]
fn p20_sequences_wrap() {
    let states = after(&[(0, i32::MAX - 1, 2)]);
    assert!(appends(&states, 0, 0, 1));
    assert!(!appends(&states, 0, 1, 1));
    let across = after(&[(0, i32::MAX, 3)]);
    assert!(appends(&across, 0, 2, 1));
    let duplicate = across.check(&batch(1, 0, i32::MAX, 3, 0), Origin::Client);
    let Ok(ProducerVerdict::Duplicate(original)) = duplicate else { panic!() };
    assert_eq!((original.first_sequence(), original.last_sequence), (i32::MAX, 1));
}

#[test]
fn p21_silent_producers_expire_by_the_clock_of_the_append() {
    let mut states = after(&[(0, 0, 1)]);
    // The batch's own timestamp is 0; what counts is that it came at 1000.
    assert!(!states.expire(Timestamp(1000 + 499), 500));
    assert_eq!(states.len(), 1);
    assert!(states.expire(Timestamp(1000 + 500), 500));
    assert!(states.is_empty());
    assert!(appends(&states, 0, 55, 1));
}

#[test]
fn batches_without_a_producer_are_not_remembered() {
    let mut states = ProducerStates::new();
    let header = batch(-1, -1, -1, 1, 0);
    assert_eq!(states.check(&header, Origin::Client), Ok(ProducerVerdict::Append));
    states.record(&header, Timestamp(0));
    assert!(states.is_empty());
}

#[test]
fn a_coordinator_is_held_to_its_epoch_only() {
    let states = after(&[(3, 0, 3)]);
    assert_eq!(states.check(&batch(1, 3, -1, 1, 0), Origin::Coordinator), Ok(ProducerVerdict::Append));
    assert!(states.check(&batch(1, 2, -1, 1, 0), Origin::Coordinator).is_err());
}

#[test]
fn a_marker_changes_the_epoch_and_no_sequence() {
    let marker = |epoch, offset| BatchHeader { attributes: Attributes(1 << 5), ..batch(1, epoch, -1, 1, offset) };
    let mut states = after(&[(3, 0, 3)]);
    states.record(&marker(3, 3), Timestamp(1000));
    assert!(appends(&states, 3, 3, 1));
    states.record(&marker(4, 4), Timestamp(1000));
    assert!(appends(&states, 4, 0, 1));
    assert!(out_of_order(&states, 4, 3, 1));
    let stamp = SnapshotStamp { offset: Offset(5), leader_epoch: LeaderEpoch(0) };
    let snapshot = ProducerSnapshot::decode(&ProducerSnapshot::encode(&states, stamp)).unwrap();
    assert_eq!(snapshot.states, states);
}

#[test]
fn truncation_keeps_what_is_still_there() {
    let full = after(&[(0, 0, 1), (0, 1, 2), (0, 3, 1)]);
    let mut states = full.clone();
    let cut = |states: &mut ProducerStates, to| states.truncate_to(Offset(to), ProducerStates::new());
    cut(&mut states, 4);
    assert_eq!(states, full);
    cut(&mut states, 3);
    assert!(appends(&states, 0, 3, 9));
    // Offset 2 is in the middle of the second batch, which is gone then.
    cut(&mut states, 2);
    assert!(appends(&states, 0, 1, 2));
    cut(&mut states, 0);
    assert!(states.is_empty());
}

#[test]
fn what_the_log_tells_counts_where_nothing_is_left_to_remember() {
    let shortened = |states: &ProducerStates, to, found: &ProducerStates| {
        let mut states = states.clone();
        states.truncate_to(Offset(to), found.clone());
        states
    };
    let batches: Vec<(i16, i32, i32)> = (0..8).map(|sequence| (0, sequence, 1)).collect();
    let (states, older, none) = (after(&batches), after(&batches[..2]), ProducerStates::new());
    // Of the five remembered, from 3 on, none is left; then two, which the log tells more of; then it tells of other times.
    assert_eq!(shortened(&states, 2, &older), older);
    assert_eq!(shortened(&states, 5, &after(&batches[..5])), after(&batches[..5]));
    assert_eq!(shortened(&states, 5, &older), shortened(&states, 5, &none));
    assert!(appends(&shortened(&states, 5, &older), 0, 5, 1) && out_of_order(&shortened(&states, 5, &older), 0, 2, 1));
    assert_eq!(shortened(&none, 5, &older), older, "it was not heard of for long");
    // A snapshot tells of the same batches with other times.
    let stamp = SnapshotStamp { offset: Offset(5), leader_epoch: LeaderEpoch(0) };
    let told = ProducerSnapshot::decode(&ProducerSnapshot::encode(&after(&batches[..5]), stamp)).unwrap().states;
    let (_, entry) = shortened(&states, 5, &told).iter().next().map(|(id, entry)| (id, entry.clone())).unwrap();
    assert_eq!(entry.batches().len(), 5);
}

#[test]
fn a_flood_of_producers_is_bounded() {
    let mut states = ProducerStates::new();
    for id in 0..PRODUCERS_LIMIT as i64 + 1000 {
        states.record(&batch(id, 0, 0, 1, id), Timestamp(id));
        assert!(states.len() <= PRODUCERS_LIMIT);
    }
    // The longest silent went.
    assert_eq!(states.check(&batch(0, 0, 5, 1, 0), Origin::Client), Ok(ProducerVerdict::Append));
    let last = PRODUCERS_LIMIT as i64 + 999;
    assert!(states.check(&batch(last, 0, 5, 1, 0), Origin::Client).is_err());
}

#[test]
fn a_stamp_is_held_against_the_epochs() {
    let mut epochs = LeaderEpochs::default();
    epochs.assign(LeaderEpoch(3), Offset(0));
    epochs.assign(LeaderEpoch(5), Offset(10));
    let stamp = SnapshotStamp::at(Offset(10), &epochs);
    assert_eq!(stamp.leader_epoch, LeaderEpoch(3));
    assert!(stamp.agrees_with(&epochs, Offset(0)));
    let later = SnapshotStamp::at(Offset(11), &epochs);
    assert_eq!(later.leader_epoch, LeaderEpoch(5));
    epochs.truncate_from_end(Offset(10));
    epochs.assign(LeaderEpoch(6), Offset(10));
    assert!(stamp.agrees_with(&epochs, Offset(0)));
    assert!(!later.agrees_with(&epochs, Offset(0)));
    assert_eq!(SnapshotStamp::at(Offset(0), &epochs).leader_epoch, LeaderEpoch::NONE);
}

#[test]
fn a_stamp_from_before_the_logs_start_is_contradicted_by_no_list() {
    let mut epochs = LeaderEpochs::default();
    epochs.assign(LeaderEpoch(3), Offset(0));
    let stamp = SnapshotStamp::at(Offset(46), &epochs);
    // All of the log was deleted: the list starts where the log does, and when nothing is there it is empty.
    epochs.truncate_from_start(Offset(46));
    assert!(stamp.agrees_with(&epochs, Offset(46)));
    epochs.truncate_from_end(Offset(46));
    assert!(stamp.agrees_with(&epochs, Offset(46)));
    epochs.assign(LeaderEpoch(4), Offset(46));
    assert!(stamp.agrees_with(&epochs, Offset(46)));
    // What was written there must have been written before what follows; and what the list does tell of counts as ever.
    let of_later_epoch = SnapshotStamp { leader_epoch: LeaderEpoch(5), ..stamp };
    assert!(!of_later_epoch.agrees_with(&epochs, Offset(46)));
    assert!(!stamp.agrees_with(&epochs, Offset(40)));
}

#[test]
fn golden_snapshot() {
    let mut states = ProducerStates::new();
    states.record(&batch(9, 2, 4, 3, 100), Timestamp(5000));
    let bytes = ProducerSnapshot::encode(&states, SnapshotStamp { offset: Offset(103), leader_epoch: LeaderEpoch(6) });
    let expected: [&[u8]; 13] = [
        &[0, 1],
        &0xffff_ffffu32.to_be_bytes(),
        &1i32.to_be_bytes(),
        &9i64.to_be_bytes(),
        &2i16.to_be_bytes(),
        &6i32.to_be_bytes(),
        &102i64.to_be_bytes(),
        &2i32.to_be_bytes(),
        &5000i64.to_be_bytes(),
        &(-1i32).to_be_bytes(),
        &(-1i64).to_be_bytes(),
        b"FLPS",
        &[0, 0, 0, 0, 0, 0, 0, 103, 0, 0, 0, 6],
    ];
    let mut expected = expected.concat();
    let crc = crc32c::crc32c(&expected[6..]);
    expected[2..6].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(bytes, expected);
    assert_eq!(ProducerSnapshot::file_name(Offset(103)), "00000000000000000103.snapshot");
}

/// One producer as simply as can be said: all that was ever appended.
#[derive(Default)]
struct Model {
    appended: Vec<(i16, i32, i32)>,
}

impl Model {
    fn verdict(&self, epoch: i16, sequence: i32, count: i32) -> Option<bool> {
        let Some(&(last_epoch, last_sequence, last_count)) = self.appended.last() else { return Some(false) };
        let same_epoch = self.appended.iter().rev().take_while(|batch| batch.0 == last_epoch);
        if epoch == last_epoch && same_epoch.take(BATCHES_REMEMBERED).any(|batch| *batch == (epoch, sequence, count)) {
            return Some(true);
        }
        let follows = if epoch == last_epoch { sequence == sequence_after(last_sequence, last_count) } else { sequence == 0 };
        (epoch >= last_epoch && follows).then_some(false)
    }
}

/// What a producer does next.
#[derive(Clone, Debug)]
enum Step {
    Next(i32),
    Again { back: usize },
    Odd { epoch: i16, sequence: i32, count: i32 },
    NewEpoch(i32),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..5i32).prop_map(Step::Next),
        3 => (0..8usize).prop_map(|back| Step::Again { back }),
        2 => (0..4i16, prop_oneof![0..20i32, i32::MAX - 5..i32::MAX], 1..4i32)
            .prop_map(|(epoch, sequence, count)| Step::Odd { epoch, sequence, count }),
        1 => (1..5i32).prop_map(Step::NewEpoch),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn window_as_the_model_has_it(start in prop_oneof![Just(0), Just(i32::MAX - 6)], steps in prop::collection::vec(step(), 1..60)) {
        let mut model = Model::default();
        let mut states = ProducerStates::new();
        let mut offsets = vec![];
        let mut next_offset = 0i64;
        for step in steps {
            let last = model.appended.last().copied();
            let (epoch, sequence, count) = match (step, last) {
                (Step::Next(count), Some((epoch, sequence, last))) => (epoch, sequence_after(sequence, last), count),
                (Step::Next(count) | Step::NewEpoch(count), None) => (0, start, count),
                (Step::NewEpoch(count), Some((epoch, ..))) => (epoch + 1, 0, count),
                (Step::Again { back }, Some(_)) if back < model.appended.len() => {
                    model.appended[model.appended.len() - 1 - back]
                }
                (Step::Again { .. }, _) => continue,
                (Step::Odd { epoch, sequence, count }, _) => (epoch, sequence, count),
                (Step::Restart, _) => {
                    let stamp = SnapshotStamp { offset: Offset(next_offset), leader_epoch: LeaderEpoch(0) };
                    let snapshot = ProducerSnapshot::decode(&ProducerSnapshot::encode(&states, stamp)).unwrap();
                    prop_assert_eq!(snapshot.stamp, Some(stamp));
                    states = snapshot.states;
                    continue;
                }
            };
            let header = batch(1, epoch, sequence, count, next_offset);
            let verdict = states.check(&header, Origin::Client);
            match model.verdict(epoch, sequence, count) {
                Some(false) => {
                    prop_assert_eq!(verdict, Ok(ProducerVerdict::Append));
                    states.record(&header, Timestamp(next_offset));
                    offsets.push(((epoch, sequence, count), next_offset));
                    model.appended.push((epoch, sequence, count));
                    next_offset += i64::from(count);
                }
                Some(true) => {
                    let Ok(ProducerVerdict::Duplicate(original)) = verdict else { panic!("{verdict:?}") };
                    let known = offsets.iter().rev().find(|(batch, _)| *batch == (epoch, sequence, count)).unwrap().1;
                    prop_assert_eq!(original.base_offset(), Offset(known));
                    prop_assert_eq!(original.last_offset, Offset(known + i64::from(count) - 1));
                }
                None => prop_assert!(verdict.is_err()),
            }
        }
    }

    #[test]
    fn a_damaged_snapshot_is_refused(ids in prop::collection::vec(0i64..50, 0..30), at: prop::sample::Index, flip in 1u8..) {
        let mut states = ProducerStates::new();
        for (offset, id) in (0..).zip(ids) {
            states.record(&batch(id, 0, 0, 1, offset), Timestamp(offset));
        }
        let stamp = SnapshotStamp { offset: Offset(99), leader_epoch: LeaderEpoch(1) };
        let mut bytes = ProducerSnapshot::encode(&states, stamp);
        prop_assert_eq!(ProducerSnapshot::decode(&bytes), Ok(ProducerSnapshot { states, stamp: Some(stamp) }));
        let at = at.index(bytes.len());
        prop_assert!(ProducerSnapshot::decode(&bytes[..at]).is_err());
        bytes[at] ^= flip;
        prop_assert!(ProducerSnapshot::decode(&bytes).is_err());
    }

    #[test]
    fn noise_is_no_snapshot(noise in prop::collection::vec(any::<u8>(), 0..200), count: i32) {
        prop_assert!(ProducerSnapshot::decode(&noise).is_err());
        // Behind a right CRC, too.
        let mut bytes = vec![0, 1, 0, 0, 0, 0];
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(&noise);
        let crc = crc32c::crc32c(&bytes[6..]);
        bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        let _ = ProducerSnapshot::decode(&bytes);
    }
}
