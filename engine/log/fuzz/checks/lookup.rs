//! A recovered log is asked for some of its offsets: no panic, and what is given holds the one that was asked for, or follows it where
//! compaction left nothing.

use flumen_log::Offset;
use flumen_log::batch::{StoredRead, read_stored};
use flumen_log::io::Io;
use flumen_log::store::{Located, Output, PartitionSlot, Store};
use flumen_sim::disk::SimDisk;
use flumen_sim::random::Random;

use super::NOW;

/// Offsets looked for.
const LOOKUPS: i64 = 5;
const SLICE_BYTES: u32 = 2000;

pub(super) fn look_up(disk: &mut SimDisk, store: &mut Store, slot: PartitionSlot, may_have_holes: bool) {
    let Some(view) = store.view(slot) else { return };
    let (start, end) = (view.log_start(), view.log_end());
    let span = end.0.saturating_sub(start.0);
    for step in 0..LOOKUPS {
        let from = start.plus(span / LOOKUPS * step);
        let mut io = Io::default();
        let mut located = store.locate(slot, from, end, SLICE_BYTES, true, &mut io);
        for output in work(disk, store, &mut io) {
            if let Output::Located { lookup, result } = output
                && matches!(located, Located::Pending(pending) if pending == lookup)
            {
                located = result;
            }
        }
        judge(disk, &located, from, may_have_holes);
        store.offset_for_timestamp(slot, NOW.wall, end, &mut io);
        work(disk, store, &mut io);
    }
}

/// Until nothing is outstanding.
fn work(disk: &mut SimDisk, store: &mut Store, io: &mut Io) -> Vec<Output> {
    let (mut random, mut outputs) = (Random::new(1), Vec::new());
    while !io.is_empty() || disk.outstanding() > 0 {
        for operation in io.drain() {
            disk.submit(operation, &mut random);
        }
        if let Some(completion) = disk.step(&mut random) {
            store.complete(completion, NOW, io, &mut outputs);
        }
    }
    outputs
}

fn judge(disk: &SimDisk, located: &Located, from: Offset, may_have_holes: bool) {
    match located {
        Located::Slice { slice, base_offset, next_offset } => {
            assert!(*base_offset <= from || may_have_holes, "{from} was given what begins at {base_offset}");
            assert!(*next_offset > from, "{from} was given what ends at {next_offset}");
            let length = usize::try_from(slice.length).unwrap_or_default();
            let bytes = disk.read_handle(slice.file.handle, slice.position, length).unwrap_or_default();
            assert_eq!(bytes.len(), length, "{from} was given what is not there");
            let StoredRead::Batch(batch) = read_stored(&bytes) else { panic!("{from} was given what is no batch") };
            assert_eq!(batch.header.base_offset, *base_offset, "{from} was given another batch than was said");
            assert!(batch.header.last_offset() >= from, "{from} was given a batch that lies before it");
        }
        Located::Pending(_) => panic!("the lookup of {from} never ends"),
        Located::Empty | Located::OutOfRange | Located::Corrupt | Located::Failed => {}
    }
}
