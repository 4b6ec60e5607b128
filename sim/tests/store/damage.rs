//! Damage: before the durable point nothing is touched, past it what was torn is cut.

use flumen_log::batch::{BatchBuilder, BatchHeader, ProducerInfo, ValidatedBatch};
use flumen_log::compression::Codec;
use flumen_log::io::Disk;
use flumen_log::recovery::Damage;
use flumen_log::state::{COPY_BYTES, PartitionState};
use flumen_log::store::{FaultyRange, Located, LogConfig, Output, PartitionSlot, RepairError};
use flumen_log::{Offset, Timestamp};

use crate::bench::{Bench, JOURNAL_FILE_BYTES, STATE, batch_from, batch_of, config, partition};

pub(crate) const LOG: &str = "topic-0/00000000000000000000.log";

/// Where a batch has it.
const LAST_OFFSET_DELTA: u64 = 23;

pub(crate) fn flip(bench: &mut Bench, path: &str, at: u64) {
    let byte = bench.disk.read(path, at, 1).expect("there")[0];
    bench.disk.write(path, at, &[byte ^ 0x40]).expect("there");
    bench.disk.sync(path).expect("there");
}

/// Two partitions, the first with D in the middle of its log.
pub(crate) fn filled() -> Bench {
    let mut bench = Bench::new();
    let first = bench.create(0, config());
    let second = bench.create(1, config());
    bench.fill(first, 20);
    bench.store.set_high_watermark(first, Offset(20));
    bench.store.delete_records(first, Offset(1));
    bench.settle();
    bench.fill(first, 10);
    bench.fill(second, 10);
    bench
}

/// A log of which all is below D, in several segments, stopped in order.
pub(crate) fn stopped(batches: i64) -> (Bench, Vec<u8>) {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, batches);
    let whole = bench.read_all(slot);
    (bench.after_stop(), whole)
}

/// The batch of offset `offset`, of those that [`Bench::fill`] makes: where it starts in the whole log, and where it ends.
pub(crate) fn batch_at(whole: &[u8], offset: i64) -> (usize, usize) {
    let mut at = 0;
    loop {
        let header = BatchHeader::parse(&whole[at..]).expect("a batch");
        if header.base_offset == Offset(offset) {
            return (at, at + header.total_bytes());
        }
        at += header.total_bytes();
    }
}

/// Read everything, stepping over what is said to be damaged: the bytes, and the offsets stepped over.
pub(crate) fn read_around(bench: &mut Bench, slot: PartitionSlot) -> (Vec<u8>, Vec<i64>) {
    let view = bench.store.view(slot).expect("there");
    let (mut from, end) = (view.log_start().0, view.log_end().0);
    let (mut bytes, mut passed) = (Vec::new(), Vec::new());
    while from < end {
        match bench.locate(slot, from, 5000, true) {
            Located::Slice { slice, next_offset, .. } => {
                let read = bench.disk.read_handle(slice.file.handle, slice.position, slice.length as usize);
                bytes.extend_from_slice(&read.expect("open"));
                from = next_offset.0;
            }
            Located::Corrupt => {
                passed.push(from);
                from += 1;
            }
            other => panic!("{from}: {other:?}"),
        }
    }
    (bytes, passed)
}

pub(crate) fn ranges(bench: &Bench, slot: PartitionSlot) -> Vec<(i64, i64)> {
    let view = bench.store.view(slot).expect("there");
    view.faulty_ranges().iter().map(|range| (range.from.0, range.to.0)).collect()
}

/// Damage in the records of one batch below D: that batch is not served, every other one is, and appends go on.
#[test]
fn damage_below_the_durable_point_costs_the_damaged_batch_alone() {
    for clean in [true, false] {
        let (mut bench, whole) = stopped(100);
        let (from, to) = batch_at(&whole, 7);
        flip(&mut bench, LOG, from as u64 + 100);
        let before = bench.file(LOG);
        let mut bench = if clean { bench.after_stop() } else { bench.after_power_loss() };
        assert_eq!((&bench.report.damaged[..], bench.report.scanned_bytes), (&[][..], 0), "nothing is read before it is needed");
        let slot = bench.slot(0);
        let (read, passed) = read_around(&mut bench, slot);
        assert_eq!(passed, [7]);
        assert!(read == [&whole[..from], &whole[to..]].concat());
        assert_eq!(ranges(&bench, slot), [(7, 8)]);
        let told: Vec<_> = bench.outputs.iter().filter(|output| matches!(output, Output::RangeFaulty { .. })).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(bench.file(LOG), before, "nothing is cut or mended");
        assert_eq!(bench.append(slot, batch_of(&[(1, 1)], Codec::None)).base_offset, Offset(100));
        let mut bench = bench.after_power_loss();
        let slot = bench.slot(0);
        assert_eq!(read_around(&mut bench, slot).1, [7], "and so it stays");
    }
}

/// Damage that hides where the first batch ends: no index entry lies before the second, and it is found all the same.
#[test]
fn what_follows_a_damaged_first_batch_is_served() {
    let (mut bench, whole) = stopped(100);
    flip(&mut bench, LOG, 9);
    let mut bench = bench.after_power_loss();
    let slot = bench.slot(0);
    let (read, passed) = read_around(&mut bench, slot);
    assert!(passed.starts_with(&[0]) && passed.len() <= 5, "{passed:?}");
    let (from, _) = batch_at(&whole, i64::try_from(passed.len()).expect("few"));
    assert!(read == whole[from..]);
}

/// What a batch's CRC leaves out, and its order among the others: a flipped epoch, a flipped offset, a batch that is another's.
#[test]
fn what_no_crc_covers_is_found_by_the_chain() {
    let (_, whole) = stopped(100);
    let (from, to) = batch_at(&whole, 9);
    let (other, other_to) = batch_at(&whole, 10);
    assert_eq!(to - from, other_to - other);
    let epoch = vec![(from + 15, whole[from + 15] ^ 1)];
    let offset = vec![(from + 7, whole[from + 7] ^ 1)];
    let misdirected: Vec<_> = (from..to).map(|at| (at, whole[other + at - from])).collect();
    for damage in [epoch, offset, misdirected] {
        let (mut bench, _) = stopped(100);
        for (at, byte) in damage {
            bench.disk.write(LOG, at as u64, &[byte]).expect("there");
        }
        let mut bench = bench.after_kill();
        let slot = bench.slot(0);
        let (read, passed) = read_around(&mut bench, slot);
        assert!(passed.contains(&9) && passed.len() <= 5, "{passed:?}");
        let left: Vec<u8> = (0..100)
            .filter(|offset| !passed.contains(offset))
            .flat_map(|offset| {
                let (from, to) = batch_at(&whole, offset);
                whole[from..to].to_vec()
            })
            .collect();
        assert!(read == left);
    }
}

/// Where the sidecar is gone, too, the epochs that the state keeps are what a flipped one is held against.
#[test]
fn a_flipped_epoch_is_found_without_a_sidecar() {
    for clean in [true, false] {
        let (mut bench, whole) = stopped(100);
        let (from, to) = batch_at(&whole, 9);
        bench.disk.unlink(&LOG.replace(".log", ".checks")).expect("there");
        flip(&mut bench, LOG, from as u64 + 15);
        let mut bench = if clean { bench.after_stop() } else { bench.after_kill() };
        assert_eq!(bench.report.damaged, [(partition(0), Damage::Bytes { segment: Offset(0), position: from as u64 })]);
        let slot = bench.slot(0);
        let (read, passed) = read_around(&mut bench, slot);
        assert_eq!(passed, [9]);
        assert!(read == [&whole[..from], &whole[to..]].concat());
    }
}

/// One that belongs far behind hides nothing of what lies between, for what follows it tells that it is in the wrong place.
#[test]
fn a_batch_in_the_place_of_another_costs_that_one_alone_without_a_sidecar() {
    for (other, torn) in [(11, false), (30, false), (49, false), (30, true)] {
        let (mut bench, whole) = stopped(100);
        let ((from, to), (other, other_to)) = (batch_at(&whole, 9), batch_at(&whole, other));
        bench.disk.unlink(&LOG.replace(".log", ".checks")).expect("there");
        // Or somewhat behind it, so that of the next one an end is left.
        let at = if torn { from + 1 } else { from };
        bench.disk.write(LOG, at as u64, &whole[other..other_to]).expect("there");
        let mut bench = bench.after_kill();
        let slot = bench.slot(0);
        let (read, passed) = read_around(&mut bench, slot);
        let (passed_too, to) = if torn { (&[9, 10][..], batch_at(&whole, 11).0) } else { (&[9][..], to) };
        assert_eq!(passed, passed_too, "{:?}", bench.report);
        assert!(read == [&whole[..from], &whole[to..]].concat());
    }
}

/// Batches that lie there twice, where no sidecar tells where they belong: readers must not come upon what lies between.
#[test]
fn batches_in_the_place_of_others_are_not_read_together_with_what_follows() {
    let (mut bench, whole) = stopped(100);
    bench.disk.unlink(&LOG.replace(".log", ".checks")).expect("there");
    let (tenth, twentieth) = (batch_at(&whole, 10).0, batch_at(&whole, 20).0);
    bench.disk.write(LOG, 0, &whole[tenth..twentieth]).expect("there");
    let mut bench = bench.after_kill();
    let slot = bench.slot(0);
    let (read, passed) = read_around(&mut bench, slot);
    assert_eq!(passed, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20], "what is there, and the batch behind what is there twice");
    assert!(read == [&whole[tenth..twentieth], &whole[batch_at(&whole, 20).1..]].concat());
    let mut bench = bench.after_kill();
    let slot = bench.slot(0);
    assert_eq!(read_around(&mut bench, slot).1, passed, "and nothing has called it sound");
}

/// More epochs than the state keeps: the older ones are in a file without a checksum of its own. Where it is not as the state knows it,
/// they are read from the batches.
#[test]
fn older_epochs_are_read_from_the_batches_where_their_checkpoint_is_not_as_it_was() {
    let checkpoint = "topic-0/leader-epoch-checkpoint";
    for ruin in 0..4 {
        let mut bench = Bench::new();
        let slot = bench.create(0, config());
        for epoch in 2..402 {
            bench.begin_epoch(slot, epoch);
            bench.fill(slot, 1);
        }
        bench.store.set_high_watermark(slot, Offset(40));
        bench.store.delete_records(slot, Offset(30));
        bench.settle();
        let epochs = bench.store.view(slot).expect("there").epochs().clone();
        assert_eq!(epochs.entries().len(), 370);
        let mut bench = if ruin % 2 == 0 { bench.after_stop() } else { bench.after_kill() };
        let text = String::from_utf8(bench.file(checkpoint).to_vec()).expect("text");
        match ruin {
            // Still a list that rises.
            0 | 1 => bench.disk.write(checkpoint, 0, text.replace("\n52 50\n", "\n52 51\n").as_bytes()).expect("there"),
            2 => bench.disk.unlink(checkpoint).expect("there"),
            _ => flip(&mut bench, checkpoint, 100),
        }
        let mut bench = bench.after_kill();
        let slot = bench.slot(0);
        assert!(*bench.store.view(slot).expect("there").epochs() == epochs, "{ruin}");
        assert!(bench.report.damaged.is_empty());
        bench.begin_epoch(slot, 402);
        bench.fill(slot, 1);
        let bench = bench.after_stop();
        let text = String::from_utf8(bench.file(checkpoint).to_vec()).expect("text");
        assert!(text.contains("\n52 50\n"), "written anew: {text}");
    }
}

/// A segment that is gone, one that was cut short, and one without a sidecar and with a hole in it.
#[test]
fn whole_segments_can_be_damaged_too() {
    let (bench, whole) = stopped(200);
    let logs: Vec<String> =
        bench.names().into_iter().filter(|name| name.starts_with("topic-0/") && name.ends_with(".log")).collect();
    assert!(logs.len() >= 4, "{logs:?}");
    for ruin in 0..3 {
        let (mut bench, _) = stopped(200);
        let log = &logs[1];
        match ruin {
            0 => bench.disk.unlink(log).expect("there"),
            1 => bench.disk.truncate(log, 9000).expect("there"),
            _ => {
                bench.disk.unlink(&log.replace(".log", ".checks")).expect("there");
                bench.disk.write(log, 5000, &[0; 2000]).expect("there");
            }
        }
        bench.disk.sync_directory("topic-0").expect("there");
        if ruin > 0 {
            bench.disk.sync(log).expect("there");
        }
        let mut bench = bench.after_power_loss();
        assert_eq!(bench.report.damaged.len(), 1, "{:?}", bench.report);
        let slot = bench.slot(0);
        let (read, passed) = read_around(&mut bench, slot);
        let left: Vec<u8> = (0..200)
            .filter(|offset| !passed.contains(offset))
            .flat_map(|offset| {
                let (from, to) = batch_at(&whole, offset);
                whole[from..to].to_vec()
            })
            .collect();
        assert!(read == left, "{passed:?}");
        assert!(passed.len() < 60 && !passed.is_empty(), "{passed:?}");
        assert!(passed.windows(2).all(|pair| pair[0] + 1 == pair[1]), "one run: {passed:?}");
        bench.fill(slot, 3);
        assert_eq!(bench.store.view(slot).expect("there").log_end(), Offset(203));
    }
}

/// The segment that D lies in cut short below D: what is missing is not served, appends go on where they should.
#[test]
fn an_active_segment_cut_short_keeps_its_end() {
    for left in [0, 1, 5000] {
        let (mut bench, whole) = stopped(40);
        bench.disk.truncate(LOG, left).expect("there");
        bench.disk.sync(LOG).expect("there");
        let mut bench = bench.after_power_loss();
        assert!(
            matches!(bench.report.damaged[..], [(found, Damage::Bytes { .. })] if found == partition(0)),
            "{:?}",
            bench.report
        );
        let slot = bench.slot(0);
        assert_eq!(bench.append(slot, batch_of(&[(1, 1)], Codec::None)).base_offset, Offset(40));
        for _ in 0..2 {
            let (read, passed) = read_around(&mut bench, slot);
            let kept = usize::try_from(left).expect("small");
            let sound = (0..40).take_while(|offset| batch_at(&whole, *offset).1 <= kept).count();
            assert_eq!(passed.len(), 40 - sound);
            assert!(read[..batch_at(&whole, 0).1 * sound] == whole[..batch_at(&whole, 0).1 * sound]);
            bench = bench.after_power_loss();
            let again = bench.slot(0);
            assert_eq!(again, slot);
        }
    }
}

/// A start reads what lies past D and nothing before it, however long the segment, the producers' states included.
#[test]
fn a_start_reads_only_what_lies_past_the_durable_point() {
    let mut bench = Bench::new();
    let slot = bench.create(0, LogConfig { segment_bytes: 100 << 20, ..config() });
    for sequence in 0..20_000 {
        bench.try_append(slot, batch_from(9, sequence)).expect("taken");
        if sequence % 50 == 0 {
            bench.settle();
        }
    }
    bench.settle();
    let length = bench.file(LOG).len() as u64;
    let mut bench = bench.after_kill();
    bench.disk.forget_reads();
    let mut bench = bench.after_kill();
    assert_eq!(bench.report.scanned_bytes, 0);
    let read = bench.disk.bytes_read(LOG);
    assert!(length > 4 * JOURNAL_FILE_BYTES && read < length / 4, "{read} of {length}");
    let slot = bench.slot(0);
    let again = bench.try_append(slot, batch_from(9, 19_998)).expect("within the window");
    assert!(again.duplicate && again.base_offset == Offset(19_998));
}

/// What a disk lost is put back where it was, if it is that; and then it is served again.
#[test]
fn a_faulty_range_is_repaired_byte_by_byte() {
    let (mut bench, whole) = stopped(100);
    let (from, to) = batch_at(&whole, 7);
    bench.disk.write(LOG, from as u64, &vec![0; to - from]).expect("there");
    let mut bench = bench.after_kill();
    let slot = bench.slot(0);
    read_around(&mut bench, slot);
    let range = bench.store.view(slot).expect("there").faulty_ranges()[0];
    let lost = &whole[usize::try_from(range.position).expect("small")..usize::try_from(range.end_position).expect("small")];
    let mut other = lost.to_vec();
    other[15] ^= 1;
    let repair = |bench: &mut Bench, range: &FaultyRange, bytes: &[u8]| {
        let result = bench.store.repair(slot, range, bytes.to_vec().into(), &mut bench.io);
        bench.settle();
        result
    };
    assert_eq!(repair(&mut bench, &range, &other), Err(RepairError::OtherBytes), "of another epoch");
    assert_eq!(repair(&mut bench, &range, &lost[..lost.len() - 1]), Err(RepairError::OtherBytes));
    assert_eq!(repair(&mut bench, &FaultyRange { to: Offset(10), ..range }, lost), Err(RepairError::UnknownRange));
    assert_eq!(read_around(&mut bench, slot).1.len(), usize::try_from(range.to.0 - range.from.0).expect("few"));
    assert_eq!(repair(&mut bench, &range, lost), Ok(()));
    assert!(bench.outputs.iter().any(|output| matches!(output, Output::RangeRepaired { range: done, .. } if *done == range)));
    assert!(bench.read_all(slot) == whole);
    let mut bench = bench.after_power_loss();
    let slot = bench.slot(0);
    assert!(bench.read_all(slot) == whole, "it is on stable storage");
}

/// Where a batch ends is under its CRC: one that claims to end earlier is damaged as a whole, and can be put back as a whole.
#[test]
fn a_damaged_batch_does_not_tell_where_it_ends() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 20);
    bench.append(slot, batch_of(&[(1, 10), (1, 10), (1, 10)], Codec::None));
    bench.fill(slot, 60);
    let whole = bench.read_all(slot);
    let mut bench = bench.after_stop();
    let (from, to) = batch_at(&whole, 20);
    bench.disk.write(LOG, from as u64 + LAST_OFFSET_DELTA, &[0; 4]).expect("there");
    let mut bench = bench.after_kill();
    let slot = bench.slot(0);
    let (read, passed) = read_around(&mut bench, slot);
    assert_eq!(passed, [20, 21, 22]);
    assert!(read == [&whole[..from], &whole[to..]].concat());
    assert_eq!(ranges(&bench, slot), [(20, 23)]);
    let range = bench.store.view(slot).expect("there").faulty_ranges()[0];
    assert_eq!(bench.store.repair(slot, &range, whole[from..to].to_vec().into(), &mut bench.io), Ok(()));
    bench.settle();
    assert!(bench.read_all(slot) == whole);
}

/// The scrubber finds what nobody reads, in its own time.
#[test]
fn the_scrubber_finds_what_nobody_reads() {
    let (mut bench, whole) = stopped(200);
    let log = "topic-0/00000000000000000054.log";
    let (from, _) = batch_at(&whole, 60);
    let (base, _) = batch_at(&whole, 54);
    flip(&mut bench, log, (from - base) as u64 + 100);
    let mut bench = bench.after_kill();
    let slot = bench.slot(0);
    bench.tick_after(1);
    let begun = bench.store.scrubbed_bytes();
    assert!(begun < whole.len() as u64, "not all at once");
    for _ in 0..2000 {
        bench.tick_after(1);
    }
    assert_eq!(bench.store.scrubbed_bytes(), whole.len() as u64, "all of it, once");
    assert_eq!(ranges(&bench, slot), [(60, 61)]);
    assert_eq!(bench.outputs.iter().filter(|output| matches!(output, Output::RangeFaulty { .. })).count(), 1);
}

/// What is kept aside of logs.
pub(crate) fn quarantined(bench: &Bench) -> Vec<Vec<u8>> {
    let names = bench.names().into_iter().filter(|name| name.starts_with("quarantine/topic-0-"));
    names.map(|name| bench.file(&name).to_vec()).collect()
}

#[test]
fn damage_past_the_durable_point_is_repaired_from_the_journal() {
    let mut bench = filled();
    let slot = bench.slot(0);
    let whole = bench.read_all(slot);
    let length = bench.file(LOG).len() as u64;
    flip(&mut bench, LOG, length - 100);
    let mut bench = bench.after_kill();
    let slot = bench.slot(0);
    assert!(bench.read_all(slot) == whole);
    assert!(bench.report.damaged.is_empty());
}

/// D07: a torn tail that nobody was promised is cut, kept in quarantine, and never served.
#[test]
fn a_torn_tail_is_cut_and_kept_aside() {
    let mut bench = filled();
    let length = bench.file(LOG).len() as u64;
    bench.disk.write(LOG, length, &[1, 2, 3, 4, 5]).expect("there");
    bench.disk.sync(LOG).expect("there");
    let bench = bench.after_kill();
    assert_eq!(bench.file(LOG).len() as u64, length);
    let [tail] = bench.report.tails[..] else { panic!("{:?}", bench.report) };
    assert_eq!((tail.partition, tail.end, tail.bytes, tail.quarantined_bytes), (partition(0), Offset(30), 5, 5));
    // Also when the power fails right then.
    let bench = bench.after_power_loss();
    assert_eq!(quarantined(&bench), [[1, 2, 3, 4, 5]]);
}

#[test]
fn one_bad_copy_of_the_state_is_nothing_and_two_are_rebuilt() {
    let bench = filled();
    let mut bench = bench.after_stop();
    let state = "topic-0/partition.state";
    flip(&mut bench, state, 100);
    let mut bench = bench.after_kill();
    assert!(bench.report.states_rebuilt.is_empty());
    flip(&mut bench, state, 100 + 4096);
    flip(&mut bench, state, 100);
    flip(&mut bench, state, 200);
    let mut bench = bench.after_kill();
    assert_eq!(bench.report.states_rebuilt, [partition(0)]);
    let slot = bench.slot(0);
    assert_eq!(bench.store.view(slot).expect("there").log_end(), Offset(30));
    bench.fill(slot, 1);
    let mut bench = bench.after_power_loss();
    assert!(bench.report.states_rebuilt.is_empty(), "it was recorded anew");
    let slot = bench.slot(0);
    assert_eq!(bench.store.view(slot).expect("there").log_end(), Offset(31));
}

#[test]
fn a_directory_that_does_not_say_whose_it_is_is_left_alone() {
    let mut bench = filled();
    for file in ["topic-0/partition.state", "topic-0/partition.metadata"] {
        bench.disk.unlink(file).expect("there");
    }
    bench.disk.sync_directory("topic-0").expect("there");
    let before = bench.file(LOG);
    let mut bench = bench.after_kill();
    assert_eq!(bench.report.unknown_directories, ["topic-0"]);
    assert!(bench.report.unclaimed_entries > 0);
    bench.store.create(partition(0), "topic", config(), &mut bench.io);
    bench.settle();
    assert!(bench.store.slot_of(partition(0)).is_none(), "its name is taken");
    assert_eq!(bench.file(LOG), before);
}

/// Where the newest state is gone, the older one's D is not where the log was durable: the trail says more, and what lies behind
/// damage below it stays, as if nothing had become of the state.
#[test]
fn without_the_newest_state_damage_below_its_point_costs_the_damaged_batch_alone() {
    for copies in [1, 2] {
        let mut bench = filled();
        let slot = bench.slot(0);
        let whole = bench.read_all(slot);
        let mut bench = bench.after_stop();
        let lost = if copies == 1 { vec![bench.newest_copy()] } else { vec![0, COPY_BYTES] };
        for copy in lost {
            flip(&mut bench, STATE, copy as u64 + 200);
        }
        let (from, to) = batch_at(&whole, 25);
        // The log starts at offset 1, its segment at 0.
        let skipped = bench.file(LOG).len() - whole.len();
        flip(&mut bench, LOG, (skipped + from) as u64 + 100);
        let mut bench = bench.after_kill();
        let slot = bench.slot(0);
        let (read, passed) = read_around(&mut bench, slot);
        assert_eq!((passed, bench.report.tails.len()), (vec![25], 0), "{copies}: {:?}", bench.report);
        assert!(read.ends_with(&[&whole[..from], &whole[to..]].concat()), "{copies}");
        assert!(PartitionState::is_whole(&bench.file(STATE)) == (copies == 1), "what was fallen back on is recorded");
    }
}

/// Before the first file goes, both copies of the state say where the log starts: either is as good as the other.
#[test]
fn no_segment_goes_before_both_copies_of_the_state_know() {
    for copy in [0, 1] {
        let mut bench = Bench::new();
        let slot = bench.create(0, config());
        bench.fill(slot, 120);
        bench.delete_before(slot, Offset(100));
        let end = bench.store.view(slot).expect("there").log_end();
        flip(&mut bench, STATE, copy * COPY_BYTES as u64 + 200);
        let mut bench = bench.after_kill();
        let slot = bench.slot(0);
        let view = bench.store.view(slot).expect("there");
        assert_eq!((view.log_start(), view.log_end()), (Offset(100), end), "without copy {copy}");
        assert_eq!(read_around(&mut bench, slot).1, []);
        assert!(bench.report.damaged.is_empty(), "{:?}", bench.report);
    }
}

fn unreadable(bench: &Bench) -> Vec<&str> {
    bench.report.unreadable_directories.iter().map(|(name, _)| name.as_str()).collect()
}

/// A log that could not be told whose it was comes back with all it had, whatever happened meanwhile: its journal entries were kept,
/// and a stop in order of the others says nothing of it.
#[test]
fn a_log_that_was_away_comes_back_with_what_the_journal_had_of_it() {
    let mut bench = filled();
    let slot = bench.slot(0);
    let (end, whole) = (bench.store.view(slot).expect("there").log_end(), bench.read_all(slot));
    bench.disk.faults.unreadable = Some("topic-0/partition.state");
    let mut bench = bench.after_power_loss();
    assert_eq!(unreadable(&bench), ["topic-0"]);
    assert!(bench.report.unclaimed_entries > 0);
    for _ in 0..2 {
        bench = bench.after_stop();
        assert!(bench.report.clean && bench.report.unclaimed_entries > 0, "{:?}", bench.report);
    }
    bench.disk.faults.unreadable = None;
    let mut bench = bench.after_stop();
    assert!(bench.report.clean && bench.report.replayed_batches > 0, "{:?}", bench.report);
    let slot = bench.slot(0);
    assert_eq!(bench.store.view(slot).expect("there").log_end(), end);
    assert!(bench.read_all(slot) == whole);
    let bench = bench.after_stop();
    assert_eq!((bench.report.unclaimed_entries, bench.report.replayed_batches), (0, 0));
}

/// What lies behind D and cannot be read is neither cut nor believed to be gone: the log is away, the directory is not.
#[test]
fn a_tail_or_a_manifest_that_cannot_be_read_costs_its_log_alone() {
    for suffix in ["topic-0/00000000000000000000.log", "topic-0/compaction.manifest"] {
        let mut bench = filled();
        let slot = bench.slot(0);
        let manifest = suffix.ends_with("manifest");
        let (at, bytes) = if manifest { (0, self::manifest(10)) } else { (bench.file(LOG).len(), vec![7; 100]) };
        bench.disk.write(suffix, at as u64, &bytes).expect("room");
        bench.disk.sync(suffix).expect("there");
        bench.disk.sync_directory("topic-0").expect("there");
        let (end, whole) = (bench.store.view(slot).expect("there").log_end(), bench.read_all(slot));
        bench.disk.faults.unreadable = Some(suffix);
        let mut bench = bench.after_power_loss();
        assert_eq!((unreadable(&bench), bench.report.partitions), (vec!["topic-0"], 1), "{suffix}");
        assert!(bench.report.unclaimed_entries > 0 && bench.store.slot_of(partition(0)).is_none());
        let other = bench.slot(1);
        assert_eq!(bench.store.view(other).expect("there").log_end(), Offset(10));
        bench.fill(other, 1);
        bench.disk.faults.unreadable = None;
        let mut bench = bench.after_power_loss();
        let slot = bench.slot(0);
        assert_eq!((unreadable(&bench), bench.report.damaged.len()), (vec![], 0), "{suffix}");
        assert_eq!(bench.store.view(slot).expect("there").log_end(), end, "{suffix}");
        assert!(bench.read_all(slot) == whole, "{suffix}");
    }
}

/// Files that can be made again need not be readable.
#[test]
fn a_cache_that_cannot_be_read_is_like_one_that_is_not_there() {
    for suffix in
        [".checks", ".snapshot", "leader-epoch-checkpoint", ".index", ".timeindex", "partition.metadata", "clean-stop.0"]
    {
        let (mut bench, whole) = stopped(100);
        bench.disk.faults.unreadable = Some(suffix);
        let mut bench = bench.after_kill();
        assert_eq!((&bench.report.damaged[..], bench.report.partitions), (&[][..], 1), "{suffix}");
        let slot = bench.slot(0);
        assert!(bench.read_all(slot) == whole, "{suffix}");
    }
}

#[test]
fn recovery_twice_is_recovery_once() {
    let bench = filled().after_kill();
    let once = bench.disk.contents("topic-0");
    let bench = bench.after_kill();
    let logs = |contents: Vec<(String, Vec<u8>)>| -> Vec<_> {
        contents.into_iter().filter(|(name, _)| name.ends_with(".log")).collect()
    };
    assert_eq!(logs(once), logs(bench.disk.contents("topic-0")));
}

#[test]
fn an_emptied_log_keeps_its_last_epoch_through_every_recovery() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 10);
    bench.delete_before(slot, Offset(10));
    for recoveries in 1..=3 {
        // The first finds entries in the journal, all before D, and records the state anew.
        bench = bench.after_power_loss();
        let slot = bench.slot(0);
        let view = bench.store.view(slot).expect("there");
        assert_eq!((view.log_start(), view.log_end()), (Offset(10), Offset(10)));
        let epochs: Vec<_> = view.epochs().entries().iter().map(|entry| (entry.epoch.0, entry.start_offset.0)).collect();
        assert_eq!(epochs, [(1, 10)], "after {recoveries}");
    }
}

/// A manifest that names one segment of the first partition's, up to `end`, with a chain value that nothing has.
fn manifest(end: i64) -> Vec<u8> {
    let mut bytes = b"flumenCM".to_vec();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&1u32.to_be_bytes());
    bytes.extend_from_slice(&partition(0).topic.0);
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&1u64.to_be_bytes());
    for (offset, length) in [(end, None), (0, None), (end, Some(300u64))] {
        bytes.extend_from_slice(&offset.to_be_bytes());
        bytes.extend(length.into_iter().flat_map(u64::to_be_bytes));
    }
    bytes.extend_from_slice(&1u64.to_be_bytes());
    bytes.extend_from_slice(&[7, 7, 7, 7, 0, 0, 0, 0]);
    let checksum = crc32c::crc32c(&bytes[12..]);
    bytes[8..12].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// A segment that is to take the place of the first two, and is not whole.
fn leave_half_a_cleaning(bench: &mut Bench) {
    let logs: Vec<String> = bench.names().into_iter().filter(|name| name.ends_with(".log")).collect();
    let third = logs[2].trim_start_matches("topic-0/").trim_end_matches(".log").parse().expect("a base offset");
    for (name, content) in [("compaction.manifest", manifest(third)), ("00000000000000000000.log.1.cleaned", vec![1; 300])] {
        let path = format!("topic-0/{name}");
        bench.disk.write(&path, 0, &content).expect("there is room");
        bench.disk.sync(&path).expect("there");
    }
    bench.disk.sync_directory("topic-0").expect("there");
}

#[test]
fn a_cleaned_segment_that_is_not_whole_replaces_nothing_at_any_start() {
    let (mut bench, whole) = stopped(200);
    leave_half_a_cleaning(&mut bench);
    for start in 1..=3 {
        bench = bench.after_kill();
        assert!(bench.report.damaged.is_empty(), "start {start}: {:?}", bench.report.damaged);
        let slot = bench.slot(0);
        assert_eq!(bench.read_all(slot), whole, "start {start}");
        assert_eq!(bench.report.cleanings_undone, 1, "start {start}");
    }
}

/// A batch of one record of a key.
fn of_key(key: i64) -> ValidatedBatch {
    keyed(key, Some(&[7; 300]))
}

fn keyed(key: i64, value: Option<&[u8]>) -> ValidatedBatch {
    let mut builder = BatchBuilder::new();
    builder.append(Timestamp(1), Some(&key.to_be_bytes()), value, &[]);
    builder.build_validated(Codec::None, None, ProducerInfo::NONE).expect("no codec").expect("one record")
}

/// A log of 200 batches of ten keys, stopped in order.
pub(crate) fn of_ten_keys(config: &LogConfig) -> Bench {
    let mut bench = Bench::new();
    let slot = bench.create(0, config.clone());
    for number in 0..200 {
        bench.append(slot, of_key(number % 10));
    }
    bench.after_stop()
}

/// What no CRC covers is not taken over by compaction: neither a flipped offset nor a flipped epoch gets a new checksum.
#[test]
fn compaction_writes_nothing_again_that_is_not_as_it_was_written() {
    for flipped in [None, Some(7), Some(0), Some(15)] {
        let compacted = LogConfig { cleanup_compact: true, ..config() };
        let mut bench = of_ten_keys(&compacted);
        let before = bench.file(LOG);
        if let Some(byte) = flipped {
            let (from, _) = batch_at(&before, 20);
            flip(&mut bench, LOG, (from + byte) as u64);
        }
        let damaged = bench.file(LOG);
        let mut bench = bench.after_kill();
        let slot = bench.slot(0);
        compact(&mut bench, slot, &compacted);
        let told = |output: &Output| matches!(output, Output::Uncleanable { slot: of, segment: Offset(0) } if *of == slot);
        assert_eq!(bench.outputs.iter().any(told), flipped.is_some(), "{flipped:?}: {:?}", bench.outputs);
        if flipped.is_none() {
            assert_ne!(bench.file(LOG), before, "the cleaner was here");
            continue;
        }
        assert_eq!(bench.file(LOG), damaged, "{flipped:?}");
        let (_, passed) = read_around(&mut bench, slot);
        assert!(passed.contains(&20) && passed.len() <= 6, "{flipped:?}: {passed:?}");
    }
}

/// Clean the log, as far as it may be.
pub(crate) fn compact(bench: &mut Bench, slot: PartitionSlot, config: &LogConfig) {
    bench.store.configure(slot, config.clone());
    let end = bench.store.view(slot).expect("there").log_end();
    bench.store.set_high_watermark(slot, end);
    for _ in 0..400 {
        bench.tick_after(100);
    }
}

/// Who asks for an offset that compaction has removed is given what follows; where that is damaged, it is said, and nobody waits.
#[test]
fn a_hole_before_damage_is_no_end_of_the_log() {
    let compacted = LogConfig { cleanup_compact: true, ..config() };
    let mut bench = Bench::new();
    let slot = bench.create(0, compacted.clone());
    for number in 0..200 {
        bench.append(slot, of_key(if number % 10 == 0 { number } else { -1 }));
    }
    let mut bench = bench.after_stop();
    let slot = bench.slot(0);
    compact(&mut bench, slot, &compacted);
    let mut bench = bench.after_stop();
    // The fourth batch is the first that the index has an entry of.
    let (from, _) = batch_at(&bench.file(LOG), 30);
    flip(&mut bench, LOG, from as u64 + 100);
    let mut bench = bench.after_kill();
    let slot = bench.slot(0);
    for asked in 21..=30 {
        let located = bench.locate(slot, asked, 5000, true);
        assert!(matches!(located, Located::Corrupt), "{asked}: {located:?}");
    }
    let (_, passed) = read_around(&mut bench, slot);
    assert!(passed.iter().copied().eq(30..40), "{passed:?}: where a damaged batch ends, nobody can say");
}

/// A cleaning that a start has undone counts for nothing: a tombstone goes only after what it deletes.
#[test]
fn what_a_cleaning_removed_is_not_gone_once_that_was_undone() {
    let compacted = LogConfig { cleanup_compact: true, delete_retention_ms: 0, min_cleanable_dirty_ppm: 0, ..config() };
    let mut bench = Bench::new();
    let slot = bench.create(0, compacted.clone());
    bench.append(slot, of_key(0));
    bench.append(slot, keyed(0, None));
    for number in 2..200 {
        bench.append(slot, of_key(number));
    }
    let mut bench = bench.after_stop();
    leave_half_a_cleaning(&mut bench);
    let mut bench = bench.after_kill();
    assert_eq!(bench.report.cleanings_undone, 1);
    for round in 0..2 {
        let slot = bench.slot(0);
        compact(&mut bench, slot, &compacted);
        for number in 0..200 {
            bench.append(slot, of_key(1000 + round * 200 + number));
        }
        bench = bench.after_stop();
    }
    let slot = bench.slot(0);
    compact(&mut bench, slot, &compacted);
    let Located::Slice { base_offset, .. } = bench.locate(slot, 0, 100, true) else { panic!("there is something") };
    assert_ne!(base_offset, Offset(0), "the value that the tombstone deleted is back");
}
