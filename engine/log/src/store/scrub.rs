//! The scrubber: segments read in the background and held against their checksums, a little at a time.
//!
//! It goes through all partitions in order, segment by segment, part by part, no faster than it is told, and when it is through
//! waits until a new pass is due. A part is read as a lookup of its own, through the ring, one at a time. What it finds damaged is
//! not served any more and told as [`super::Output::RangeFaulty`], as when a reader comes upon it.

use super::{LookupId, PartitionSlot, Store};
use crate::io::Io;
use crate::lookup::ScrubRequest;
use crate::{Monotonic, Now, Offset};

/// How far the scrubber is.
#[derive(Debug)]
pub(super) struct Scrub {
    bytes_per_second: u64,
    pass_ms: u64,
    /// Where it goes on: partition, segment, position.
    at: (PartitionSlot, Offset, u64),
    /// The part that is being read.
    reading: Option<LookupId>,
    due: Monotonic,
    part_begun: Monotonic,
    pass_begun: Monotonic,
    scrubbed_bytes: u64,
}

const START: (PartitionSlot, Offset, u64) = (PartitionSlot(0), Offset(i64::MIN), 0);

impl Scrub {
    pub(super) const fn new(bytes_per_second: u64, pass_ms: u64) -> Self {
        Self {
            bytes_per_second,
            pass_ms,
            at: START,
            reading: None,
            due: Monotonic(0),
            part_begun: Monotonic(0),
            pass_begun: Monotonic(0),
            scrubbed_bytes: 0,
        }
    }

    /// When it goes on, if time decides that.
    pub(super) const fn deadline(&self) -> Option<Monotonic> {
        if self.bytes_per_second == 0 || self.reading.is_some() { None } else { Some(self.due) }
    }

    /// A part was read and checked.
    pub(super) fn done(&mut self, request: &ScrubRequest) {
        self.reading = None;
        // Where nothing was asked for, the segment has no more, and nothing was read.
        let bytes = if request.asked { request.next.saturating_sub(request.position) } else { 0 };
        self.at.2 = request.next;
        self.scrubbed_bytes += bytes;
        let wait_ms = bytes.saturating_mul(1000).checked_div(self.bytes_per_second).unwrap_or_default();
        self.due = self.part_begun.after_ms(wait_ms);
    }
}

/// Where the store has more urgent things to do, the scrubber looks again after so long.
const WAIT_MS: u64 = 100;

impl Store {
    /// Bytes that the scrubber has checked since the start.
    #[must_use]
    pub const fn scrubbed_bytes(&self) -> u64 {
        self.scrub.scrubbed_bytes
    }

    /// Read the next part, if it is time for it and the store has nothing more urgent to do.
    pub(super) fn scrub(&mut self, now: Now, io: &mut Io) {
        if self.scrub.reading.is_some_and(|lookup| !self.lookups.is_running(lookup)) {
            // It could not be read: on with the next segment.
            self.scrub.reading = None;
            self.scrub.at.2 = u64::MAX;
        }
        if self.scrub.deadline().is_none_or(|due| due > now.monotonic) {
            return;
        }
        if self.is_congested() {
            self.scrub.due = now.monotonic.after_ms(WAIT_MS);
            return;
        }
        let Some((slot, segment, position)) = self.next_to_scrub() else {
            let next_pass = self.scrub.pass_begun.after_ms(self.scrub.pass_ms);
            self.scrub.due = next_pass.max(now.monotonic.after_ms(1000));
            self.scrub.pass_begun = self.scrub.due;
            self.scrub.at = START;
            return;
        };
        self.scrub.at = (slot, segment, position);
        self.scrub.part_begun = now.monotonic;
        let request = ScrubRequest { segment, position, next: position, asked: false };
        self.scrub.reading = self.begin_scrub(slot, request, io);
        if self.scrub.reading.is_none() {
            // There was nothing to read.
            self.scrub.at.2 = u64::MAX;
        }
    }

    /// The next place at or behind where it is that has something to check.
    fn next_to_scrub(&self) -> Option<(PartitionSlot, Offset, u64)> {
        let (slot, segment, position) = self.scrub.at;
        let slots = (slot.0..).map(PartitionSlot).take_while(|slot| (slot.0 as usize) < self.partitions.len());
        for candidate in slots {
            let Some(log) = self.log(candidate).filter(|log| log.is_ready()) else { continue };
            let from = if candidate == slot { segment } else { Offset(i64::MIN) };
            for (base, found) in log.segments.range(from..) {
                let start = if (candidate, *base) == (slot, segment) { position } else { 0 };
                if start < found.scrubbable_bytes() {
                    return Some((candidate, *base, start));
                }
            }
        }
        None
    }
}
