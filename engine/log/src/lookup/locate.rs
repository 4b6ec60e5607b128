//! Where the bytes for a fetch are.

use alloc::sync::Arc;

use super::{Chunk, Need, Step, Walk, header_at, readable_bytes};
use crate::Offset;
use crate::batch::BatchHeader;
use crate::io::FileSlice;
use crate::partition::PartitionLog;
use crate::segment::Segment;
use crate::segment::tail::Boundary;
use crate::store::Located;

/// Most bytes of one answer, while some of its segment was not checked since the start.
const CHECKED_BYTES_MAX: u32 = 1 << 20;

/// What a fetch asks for.
#[derive(Clone, Debug)]
pub(crate) struct LocateRequest {
    pub(crate) from: Offset,
    pub(crate) below: Offset,
    pub(crate) max_bytes: u32,
    pub(crate) at_least_one: bool,
    /// Where the headers are that are being read for it.
    pub(crate) walk: Option<Walk>,
}

/// The first batch of the answer: where it starts, and where it ends if that is known.
struct First {
    start: Boundary,
    end: Option<Boundary>,
}

/// Take a step.
pub(crate) fn locate(log: &PartitionLog, request: &mut LocateRequest, chunk: Option<&Chunk>) -> Step<Located> {
    let below = request.below.min(log.log_end);
    if log.offline {
        return Step::Done(Located::Failed);
    }
    if request.from < log.log_start || request.from > log.log_end {
        return Step::Done(Located::OutOfRange);
    }
    if request.from >= below {
        return Step::Done(Located::Empty);
    }
    let fault = log.faults.at_or_after(request.from);
    let below = match fault {
        Some(fault) if fault.from <= request.from => return Step::Done(Located::Corrupt),
        Some(fault) => below.min(fault.from),
        None => below,
    };
    let Some((base, segment)) = log.segments.range(..=request.from).next_back() else { return Step::Done(Located::Failed) };
    let Some(index) = &segment.index else { return Step::Need(Need::Index(*base)) };
    let near = index.floor(request.from).map_or(0, |entry| u64::from(entry.position));
    if let Some(part) = segment.part_to_check(near, near + 1) {
        return Step::Need(Need::Check(part));
    }
    // In a hole that compaction left, what follows may be damaged: nobody walks into that, nor waits for it; it may not even be readable.
    let damaged = fault.filter(|fault| fault.segment == *base).map(|fault| fault.position);
    let readable = readable_bytes(log, *base).min(damaged.unwrap_or(u64::MAX));
    let sound = log.faults.last_end(*base, request.from);
    let first = match find_first(segment, request, sound, readable, chunk) {
        Ok(first) => first,
        // Nothing is left of the segment but what is damaged.
        Err(Step::Done(_)) if damaged.is_some() => return Step::Done(Located::Corrupt),
        Err(step) => return open_first(segment, step),
    };
    let mut request = request.clone();
    if segment.unchecked.is_some() {
        // Not more than is good to check for one answer.
        request.max_bytes = request.max_bytes.min(CHECKED_BYTES_MAX);
    }
    let end = match find_end(segment, &first, &request, below, readable, chunk) {
        Ok(Some(end)) => end,
        Ok(None) => return Step::Done(Located::Empty),
        Err(step) => return open_first(segment, step),
    };
    if let Some(part) = segment.part_to_check(first.start.position, end.position) {
        return Step::Need(Need::Check(part));
    }
    let Some(file) = segment.file() else { return Step::Need(Need::Open(*base)) };
    let Ok(length) = u32::try_from(end.position - first.start.position) else { return Step::Done(Located::Failed) };
    let slice = FileSlice { file: Arc::clone(file), position: first.start.position, length };
    Step::Done(Located::Slice { slice, base_offset: first.start.offset, next_offset: end.offset })
}

/// Before bytes can be read, the file must be open.
fn open_first<T>(segment: &Segment, step: Step<T>) -> Step<T> {
    if matches!(step, Step::Need(_)) && segment.file().is_none() { Step::Need(Need::Open(segment.base)) } else { step }
}

/// The header at `position`, if the chunk has it; else what to do about that.
fn header(chunk: Option<&Chunk>, segment: &Segment, position: u64, readable: u64) -> Result<BatchHeader, Step<Located>> {
    match header_at(chunk, segment.base, position, readable) {
        Some(found) => found.map_err(Step::Need),
        None if position >= readable => Err(Step::Done(Located::Failed)),
        None => Err(Step::doubt(segment.base, position)),
    }
}

/// The batch that holds `from`: from memory where it is exact, else by walking the headers from the nearest entry before it, or
/// from behind the last damage before it.
fn find_first(
    segment: &Segment,
    request: &mut LocateRequest,
    sound: Option<Boundary>,
    readable: u64,
    chunk: Option<&Chunk>,
) -> Result<First, Step<Located>> {
    let from = request.from;
    if let Some((start, end)) = segment.tail.as_ref().and_then(|tail| tail.batch_at(from)) {
        return Ok(First { start, end: Some(end) });
    }
    let Some(index) = segment.index.as_ref() else { return Err(Step::Need(Need::Index(segment.base))) };
    let entry = index.floor(from);
    // Also where no entry lies before it: what is damaged cannot be walked through.
    let mut walk = match entry {
        Some(entry) => Walk { position: u64::from(entry.position), offset: Some(index.absolute(entry.relative_base)) },
        None => Walk { position: 0, offset: Some(segment.base) },
    };
    if let Some(sound) = sound.filter(|sound| sound.position > walk.position || Some(sound.offset) > walk.offset) {
        walk = Walk { position: sound.position, offset: Some(sound.offset) };
    } else if let Some(entry) = entry
        && from <= index.absolute(entry.relative_last)
    {
        let start = Boundary { offset: index.absolute(entry.relative_base), position: walk.position };
        return Ok(First { start, end: None });
    } else if entry.is_none() && from == segment.base && !segment.sparse {
        return Ok(First { start: Boundary { offset: from, position: 0 }, end: None });
    }
    // Where an earlier step has got to.
    if let Some((_, at, _)) = chunk.filter(|(base, at, _)| *base == segment.base && *at > walk.position) {
        let reached = request.walk.filter(|walk| walk.position == *at);
        walk = reached.unwrap_or(Walk { position: *at, offset: None });
    }
    let begun_at = walk.position;
    loop {
        request.walk = Some(walk);
        let header = header(chunk, segment, walk.position, readable)?;
        // What lies in a hole is answered with what follows it.
        let is_passed = !segment.sparse && header.base_offset > from;
        if is_passed || !walk.meets(&header, segment.sparse) {
            return Err(Step::doubt(segment.base, begun_at));
        }
        let start = Boundary { offset: header.base_offset, position: walk.position };
        walk = walk.past(&header);
        if from < header.next_offset() {
            return Ok(First { start, end: Some(Boundary { offset: header.next_offset(), position: walk.position }) });
        }
    }
}

/// The furthest known boundary within the bounds; `None` if not even the first batch fits and it need not.
fn find_end(
    segment: &Segment,
    first: &First,
    request: &LocateRequest,
    below: Offset,
    readable: u64,
    chunk: Option<&Chunk>,
) -> Result<Option<Boundary>, Step<Located>> {
    let limit = (first.start.position + u64::from(request.max_bytes)).min(readable);
    let fits = |end: &Boundary| end.position <= limit && end.offset <= below && end.position > first.start.position;
    let Some(index) = segment.index.as_ref() else { return Err(Step::Need(Need::Index(segment.base))) };
    let by_tail = segment.tail.as_ref().and_then(|tail| tail.floor(limit, below));
    let by_index = index
        .floor_position(limit, below)
        .map(|entry| Boundary { offset: index.absolute(entry.relative_base), position: u64::from(entry.position) });
    let by_size = Some(Boundary { offset: segment.next_offset, position: segment.bytes });
    let known = [by_tail, by_index, by_size, first.end].into_iter().flatten().filter(fits);
    if let Some(end) = known.max_by_key(|end| end.position) {
        return Ok(Some(end));
    }
    let end = match first.end {
        Some(end) => end,
        None => {
            let header = header(chunk, segment, first.start.position, readable)?;
            if header.base_offset != first.start.offset || header.last_offset_delta < 0 {
                return Err(Step::doubt(segment.base, first.start.position));
            }
            let position = first.start.position + header.total_bytes() as u64;
            Boundary { offset: header.next_offset(), position }
        }
    };
    let whole = end.offset <= below && (request.at_least_one || end.position <= limit);
    Ok(whole.then_some(end))
}
