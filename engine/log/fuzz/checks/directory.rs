//! Any bytes in the place of one of the files of a directory: recovery does not fail, doing it again changes nothing, and whatever log
//! is there afterwards can be asked for any offset without a panic.
//!
//! The first byte chooses the directory and whether checksums are put right, the second the file, the third what becomes of it.

use flumen_log::store::PartitionSlot;

use super::lookup::look_up;
use super::mending::mend;
use super::template::{FIRST_COMPACTED, directories};
use super::{disk_of, recovered_twice};

pub(crate) fn check(input: &[u8]) {
    let [choice, which, how, bytes @ ..] = input else { return };
    let directories = directories();
    let number = usize::from((choice & 1) | (choice >> 1 & !1)) % directories.len();
    let original = &directories[number];
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
    // Where nothing tells what compaction did, holes are taken for its work: damage to a state or a manifest may say that it was at
    // work where it never was.
    let may_have_holes = number >= FIRST_COMPACTED || path.ends_with("state");
    let slots: Vec<PartitionSlot> = store.partitions().map(|(slot, _)| slot).collect();
    for slot in slots {
        look_up(&mut disk, &mut store, slot, may_have_holes);
    }
}
