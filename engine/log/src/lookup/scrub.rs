//! A part of a segment read to be checked, and for nothing else.

use super::{Need, Step};
use crate::Offset;
use crate::partition::PartitionLog;
use crate::segment::check::Part;

/// Which part.
#[derive(Clone, Debug)]
pub(crate) struct ScrubRequest {
    pub(crate) segment: Offset,
    pub(crate) position: u64,
    /// Where the part ends, once that is known.
    pub(crate) next: u64,
    /// Its bytes were asked for.
    pub(crate) asked: bool,
}

/// Take a step. What the check finds is noted where every check's findings are.
pub(crate) fn scrub(log: &PartitionLog, request: &mut ScrubRequest) -> Step<()> {
    let Some(segment) = log.segments.get(&request.segment).filter(|_| !request.asked && !log.offline) else {
        request.next = request.next.max(request.position + 1);
        return Step::Done(());
    };
    let Some(index) = &segment.index else { return Step::Need(Need::Index(request.segment)) };
    // First of all: a segment that holds nothing may have no file, and is not given one for this.
    let Some(end) = segment.end_mark().filter(|end| request.position < end.position) else {
        request.next = u64::MAX;
        return Step::Done(());
    };
    if segment.file().is_none() {
        return Step::Need(Need::Open(request.segment));
    }
    let part = Part::of(index, request.position, end);
    request.asked = true;
    request.next = part.to.position;
    Step::Need(Need::Check(part))
}
