//! Any bytes in the place of one of the files of a directory: recovery does not fail, doing it again changes nothing, and whatever log
//! is there afterwards can be asked for any offset without a panic.
//!
//! The first byte chooses the directory, whether checksums are put right and how much of the file changes; the second the file; the
//! third what becomes of it.

use flumen_log::state::PartitionState;
use flumen_log::store::PartitionSlot;

use super::lookup::look_up;
use super::mending::mend;
use super::template::{FIRST_COMPACTED, directories};
use super::{disk_of, recovered_twice};

const LENGTH_MAX: u64 = 1 << 24;

pub(crate) fn check(input: &[u8]) {
    let [choice, which, how, bytes @ ..] = input else { return };
    let directories = directories();
    let number = usize::from((choice & 1) | (choice >> 1 & !1)) % directories.len();
    let original = &directories[number];
    let (path, before) = &original[usize::from(*which) % original.len()];
    let mut after = if choice & 16 == 0 { replaced(before, *how, bytes) } else { touched(before, *how, bytes) };
    if choice & 2 == 0 {
        mend(path, &mut after);
    }
    if path.ends_with("state") && PartitionState::decode(&after).is_some_and(|state| state.point.segment_bytes > LENGTH_MAX) {
        // The segment would be made as long, and this disk lies in memory.
        return;
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

/// The bytes in the place of all that was there, of some of it, or behind it.
fn replaced(before: &[u8], how: u8, bytes: &[u8]) -> Vec<u8> {
    match how % 3 {
        0 => bytes.to_vec(),
        1 => {
            let at = usize::from(how / 3) * 64 % before.len().max(1);
            let mut after = before.to_vec();
            after.resize(before.len().max(at + bytes.len()), 0);
            after[at..at + bytes.len()].copy_from_slice(bytes);
            after
        }
        _ => [before, bytes].concat(),
    }
}

/// Single bytes, wherever they are, in blocks of 4096 that the first one says; three say which and what becomes of it.
fn touched(before: &[u8], how: u8, bytes: &[u8]) -> Vec<u8> {
    let mut after = before.to_vec();
    for change in bytes.chunks_exact(3) {
        let at = usize::from(how % 4) * 4096 + usize::from(u16::from_be_bytes([change[0], change[1]]) % 4096);
        let length = after.len().max(1);
        if let Some(byte) = after.get_mut(at % length) {
            *byte ^= change[2];
        }
    }
    after
}
