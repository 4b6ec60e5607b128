//! Where in a segment's file its batches lie.

use alloc::vec::Vec;
use flumen_log::batch::{BatchHeader, StoredRead, read_stored};

/// A batch's place.
pub(crate) struct Place {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) header: BatchHeader,
}

/// The batches of a segment's file, as far as they are whole one behind the other.
pub(crate) fn places_in(file: &[u8]) -> Vec<Place> {
    let (mut places, mut from) = (Vec::new(), 0);
    while let StoredRead::Batch(batch) = read_stored(&file[from..]) {
        let to = from + batch.bytes.len();
        places.push(Place { from, to, header: batch.header });
        from = to;
    }
    places
}
