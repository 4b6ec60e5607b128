//! Reads that fail: the disk has the bytes no more, or not now.
//!
//! A failed read costs its reader an answer and never takes the log directory offline. Where the bytes can be held against
//! checksums they are read again, in smaller and smaller parts; what cannot be read even so is as good as damaged: a faulty range,
//! told and not served any more, like any other.

use alloc::vec::Vec;
use bytes::Bytes;

use super::{LookupId, Output, PartitionSlot, Store};
use crate::Offset;
use crate::io::Io;
use crate::lookup::{Doubt, Lookup, Request};

/// Bytes of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// The segment's base offset.
    pub segment: Offset,
    /// Where in its file they begin.
    pub position: u64,
    /// How many they are.
    pub length: usize,
}

impl Store {
    /// Somebody who was given these bytes could not read them: check them. What of them cannot be read here either is told as
    /// [`Output::RangeFaulty`].
    pub fn doubt(&mut self, slot: PartitionSlot, stretch: Stretch, io: &mut Io) {
        let can_be_checked = !self.has_failed() && self.log(slot).is_some_and(crate::partition::PartitionLog::is_ready);
        if can_be_checked {
            self.check_stretch(Lookup { doubt: Some(Doubt::about(stretch)), ..Lookup::new(slot, Request::Doubt) }, io);
        }
    }

    /// A lookup's read failed. What was to be checked, or made an index of, is read again in smaller parts. Anything else has to be
    /// checked before it is read again; once.
    pub(super) fn lookup_unreadable(&mut self, id: LookupId, stretch: Stretch, io: &mut Io, outputs: &mut Vec<Output>) {
        let Some(lookup) = self.lookups.get_mut(id) else { return };
        let log = self.partitions.get(lookup.slot.0 as usize).and_then(Option::as_ref);
        if core::mem::take(&mut lookup.outdated) {
            // Of a file that nobody needs any more.
        } else if let Some(scan) = &mut lookup.rebuild {
            scan.advance_unreadable();
        } else if let Some(part) = lookup.check {
            let index = log.and_then(|log| log.segments.get(&stretch.segment)?.index.as_ref());
            let Some(half) = index.and_then(|index| part.half(index)) else {
                return self.lookup_read(id, (stretch.segment, stretch.position, Bytes::new()), io, outputs);
            };
            lookup.check = Some(half);
            if let Request::Scrub(request) = &mut lookup.request {
                request.next = half.to.position;
            }
        } else if lookup.doubt.is_some_and(|doubt| doubt.is_about(stretch)) {
            return self.lookups.fail(id, outputs);
        } else {
            lookup.doubt = Some(Doubt::about(stretch));
        }
        self.advance_lookup(id, io, outputs);
    }
}
