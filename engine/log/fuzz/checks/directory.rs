//! Any bytes in the place of one of the files of a directory: recovery does not fail, doing it again changes nothing, and whatever log
//! is there afterwards can be asked for any offset without a panic.
//!
//! The first byte chooses the directory and whether checksums are put right, the second the file, the third what becomes of it.

use flumen_log::io::Io;
use flumen_log::store::{Located, PartitionSlot, Store};
use flumen_sim::disk::SimDisk;
use flumen_sim::random::Random;

use super::files::mend;
use super::template::directories;
use super::{NOW, disk_of, recovered_twice};

/// Offsets looked for.
const LOOKUPS: i64 = 5;

pub(crate) fn check(input: &[u8]) {
    let [choice, which, how, bytes @ ..] = input else { return };
    let original = &directories()[usize::from(choice & 1)];
    let (path, before) = &original[usize::from(*which) % original.len()];
    let mut after = match how % 3 {
        0 => bytes.to_vec(),
        1 => {
            // In the middle of what was there.
            let at = usize::from(how / 3) * 64 % before.len().max(1);
            let mut after = before.clone();
            after.resize(before.len().max(at + bytes.len()), 0);
            after[at..at + bytes.len()].copy_from_slice(bytes);
            after
        }
        _ => [before.as_slice(), bytes].concat(),
    };
    if choice & 2 == 0 {
        mend(path, &mut after);
    }
    let others = original.iter().filter(|(other, _)| other != path).map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
    let mut disk = disk_of(others.chain([(path.as_str(), after.as_slice())]));
    let mut store = recovered_twice(&mut disk);
    let slots: Vec<PartitionSlot> = store.partitions().map(|(slot, _)| slot).collect();
    for slot in slots {
        look_up(&mut disk, &mut store, slot);
    }
}

fn look_up(disk: &mut SimDisk, store: &mut Store, slot: PartitionSlot) {
    let Some(view) = store.view(slot) else { return };
    let (start, end) = (view.log_start(), view.log_end());
    let span = end.0.saturating_sub(start.0);
    for step in 0..LOOKUPS {
        let (mut io, mut random, mut outputs) = (Io::default(), Random::new(1), Vec::new());
        let from = start.plus(span / LOOKUPS * step);
        let located = store.locate(slot, from, end, 2000, true, &mut io);
        store.offset_for_timestamp(slot, NOW.wall, end, &mut io);
        while !io.is_empty() || disk.outstanding() > 0 {
            for operation in io.drain() {
                disk.submit(operation, &mut random);
            }
            if let Some(completion) = disk.step(&mut random) {
                store.complete(completion, NOW, &mut io, &mut outputs);
            }
        }
        if let Located::Slice { base_offset, next_offset, .. } = located {
            assert!(base_offset <= from && next_offset > from, "{from} was given {base_offset} to {next_offset}");
        }
    }
}
