//! Damage in the journal: what a bad frame costs, and what is said of it.

use flumen_log::Offset;
use flumen_log::compression::Codec;
use flumen_log::io::Disk;

use crate::bench::{Bench, batch_of, config, partition};
use crate::damage::{LOG, batch_at, filled, flip, quarantined};

/// A bit is another in a frame, counted from the last.
fn spoil_frame(bench: &mut Bench, from_last: usize) {
    const JOURNAL: &str = "journal/00000-00000.journal";
    let journal = bench.file(JOURNAL);
    let frames: Vec<usize> = (4096..journal.len()).step_by(4096).filter(|at| journal[*at..].starts_with(b"flumenJF")).collect();
    flip(bench, JOURNAL, frames[frames.len() - from_last] as u64 + 80);
}

/// A frame that had been written and is bad: reported, and the segment has what it held.
#[test]
fn a_bad_frame_in_the_middle_of_the_journal_is_reported_and_made_good() {
    let mut bench = filled();
    let slot = bench.slot(0);
    let whole = bench.read_all(slot);
    // The frame of an append past D that is not the last.
    spoil_frame(&mut bench, 15);
    let mut bench = bench.after_kill();
    assert_eq!(bench.report.corrupt_frames, 1);
    let slot = bench.slot(0);
    assert!(bench.read_all(slot) == whole, "taken from the segment");
    assert!(bench.report.suspect_tails.is_empty());
}

#[test]
fn a_gap_that_nothing_fills_is_a_suspect_tail() {
    let mut bench = filled();
    let slot = bench.slot(0);
    let whole = bench.read_all(slot);
    // The appends to the first partition past D; the segment loses them too.
    spoil_frame(&mut bench, 15);
    let length = bench.file(LOG).len() as u64;
    bench.disk.truncate(LOG, length * 21 / 30).expect("there");
    bench.disk.sync(LOG).expect("there");
    let mut bench = bench.after_kill();
    assert_eq!(bench.report.suspect_tails, [partition(0)]);
    let slot = bench.slot(0);
    assert_eq!(bench.store.view(slot).expect("there").log_end(), Offset(25), "up to the gap it serves");
    let behind = &whole[batch_at(&whole, 26).0..];
    assert!(quarantined(&bench).contains(&behind.to_vec()), "what the journal has behind the gap");
    assert!(
        bench.report.tails.iter().any(|tail| (tail.end, tail.bytes) == (Offset(25), behind.len() as u64)),
        "{:?}",
        bench.report
    );
}

/// Whose the frames of a journal are, they say themselves.
#[test]
fn a_journal_of_which_no_header_is_left_is_read_all_the_same() {
    let mut bench = filled();
    let slot = bench.slot(0);
    let whole = bench.read_all(slot);
    // Files of an earlier life are behind the frames of this one.
    let mut bench = bench.after_kill();
    let slot = bench.slot(0);
    bench.fill(slot, 3);
    let end = bench.store.view(slot).expect("there").log_end();
    let journals: Vec<String> = bench.disk.list("journal").expect("there").into_iter().map(|entry| entry.name).collect();
    for name in journals {
        flip(&mut bench, &format!("journal/{name}"), 30);
    }
    let mut bench = bench.after_power_loss();
    let slot = bench.slot(0);
    assert_eq!(bench.store.view(slot).expect("there").log_end(), end, "{:?}", bench.report);
    assert!(bench.read_all(slot).starts_with(&whole));
    assert!(bench.report.corrupt_frames == 0 && bench.report.suspect_tails.is_empty(), "{:?}", bench.report);
    assert!(bench.report.frames > 0);
}

/// Frames that were in flight together: where the first is bad, no later one says that it had been written. The others count all the same.
#[test]
fn a_bad_frame_costs_what_it_held_and_no_other() {
    let mut bench = Bench::new();
    let slots = [0, 1].map(|number| bench.create(number, config()));
    for slot in slots {
        bench.try_append(slot, batch_of(&[(1, 100)], Codec::None)).expect("it is taken");
        bench.end_turn();
    }
    bench.settle();
    let ends = |bench: &Bench| {
        [0, 1].map(|number| {
            let slot = bench.store.slot_of(partition(number)).expect("there");
            bench.store.view(slot).expect("there").durable().get().0
        })
    };
    assert_eq!(ends(&bench), [1, 1], "both were acknowledged");
    spoil_frame(&mut bench, 2);
    for log in [LOG.to_owned(), LOG.replace("topic-0", "topic-1")] {
        bench.disk.truncate(&log, 0).expect("there");
        bench.disk.sync(&log).expect("there");
    }
    let bench = bench.after_power_loss();
    assert_eq!(ends(&bench), [0, 1]);
    assert!(bench.report.corrupt_frames == 0 && bench.report.suspect_tails.is_empty(), "{:?}", bench.report);
}
