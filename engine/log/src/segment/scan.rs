//! A segment read from one end to the other without an index: the index is made, and what is damaged is found and stepped over.
//!
//! Told bytes, it says which to read next. Every batch's CRC is checked, and offsets must follow each other; where they do not,
//! the next batch that can be one of this log's is looked for, byte by byte. The leader epoch, which no CRC covers, is held
//! against the list that the partition's state keeps under a checksum of its own. Invariant: what it passed is either noted in the
//! index or part of a faulty range.

use alloc::vec::Vec;

use super::index::{Mark, SegmentIndex};
use super::tail::Boundary;
use crate::Offset;
use crate::batch::header::MAGIC;
use crate::batch::{BATCH_OVERHEAD_BYTES, BatchHeader, StoredRead, read_stored};
use crate::epoch::LeaderEpochs;
use crate::partition::faults::FaultyRange;

/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 20;
const MAGIC_POSITION: usize = 16;
/// What a disk fails to read as one.
const PAGE_BYTES: usize = 4096;

/// How far it is.
#[derive(Debug)]
pub(crate) struct Scan {
    at: Boundary,
    /// Where the segment should end.
    end: Boundary,
    index: SegmentIndex,
    faults: Vec<FaultyRange>,
    /// Where the damage begins that is being stepped over.
    lost: Option<Boundary>,
    /// Where the last batch begins that was noted.
    last: Boundary,
    /// The last one was the first behind damage.
    doubt: Option<Doubt>,
    wanted: usize,
    /// So many bytes must be had to go on from where it is.
    needed: usize,
    /// A read of more has failed: it goes on in small steps, up to what cannot be read.
    creeps: bool,
    /// Offsets may be missing between batches: compaction wrote it.
    sparse: bool,
    /// Who wrote which offsets, as far as that is known for certain.
    epochs: LeaderEpochs,
    /// And as the batches say.
    found_epochs: LeaderEpochs,
}

/// A batch behind missing offsets may be one that is not where it belongs. Then what follows it has offsets from before it, and counts
/// instead: this is how it was without it.
#[derive(Debug)]
struct Doubt {
    offset: Offset,
    lost: Boundary,
    last: Boundary,
    index: SegmentIndex,
    found_epochs: LeaderEpochs,
}

/// What came of a scan.
pub(crate) struct Scanned {
    pub(crate) index: SegmentIndex,
    pub(crate) faults: Vec<FaultyRange>,
    /// The epochs of the batches.
    pub(crate) epochs: LeaderEpochs,
}

impl Scanned {
    /// The chain value is known at the end of the segment, which was read from its start. Where every batch is whole and they are not
    /// what leads to that value all the same, all of it is faulty: which of them it is, nobody can say.
    pub(crate) fn hold_against(&mut self, end: Mark) {
        if self.faults.is_empty() && self.index.chain != end.chain {
            let base = self.index.base();
            self.faults.push(FaultyRange::between(base, Mark { offset: base, position: 0, chain: 0 }, end));
        }
    }
}

impl Scan {
    /// Of a whole segment that should end at `end`.
    pub(crate) fn new(base: Offset, interval_bytes: u32, end: Boundary) -> Self {
        Self::resumed(SegmentIndex::new(base, interval_bytes), Boundary { offset: base, position: 0 }, end)
    }

    /// Of what follows `at`; `index` has what lies before.
    pub(crate) fn resumed(index: SegmentIndex, at: Boundary, end: Boundary) -> Self {
        Self {
            at,
            end,
            index,
            faults: Vec::new(),
            lost: None,
            last: at,
            doubt: None,
            wanted: CHUNK_BYTES,
            needed: 0,
            creeps: false,
            sparse: false,
            epochs: LeaderEpochs::default(),
            found_epochs: LeaderEpochs::default(),
        }
    }

    /// These epochs are known to have written the log. What the list does not reach is believed.
    pub(crate) fn with_epochs(mut self, epochs: LeaderEpochs) -> Self {
        self.epochs = epochs;
        self
    }

    /// Offsets may be missing between batches.
    pub(crate) const fn with_holes(mut self, sparse: bool) -> Self {
        self.sparse = sparse;
        self
    }

    /// Which bytes to read next; `None` when it is done.
    pub(crate) fn need(&self) -> Option<(u64, usize)> {
        let left = usize::try_from(self.end.position.saturating_sub(self.at.position)).unwrap_or(usize::MAX);
        (left > 0).then(|| (self.at.position, self.wanted.min(left)))
    }

    /// Which segment it is about.
    pub(crate) const fn base(&self) -> Offset {
        self.index.base()
    }

    /// Take the bytes that were needed; fewer than that, if the file has no more.
    pub(crate) fn advance(&mut self, bytes: &[u8]) {
        let short = self.need().is_some_and(|(_, length)| bytes.len() < length);
        (self.wanted, self.needed) = (CHUNK_BYTES, 0);
        let mut rest = bytes;
        while self.at.position < self.end.position {
            match read_stored(rest) {
                StoredRead::Batch(batch) if self.follows(&batch.header) => {
                    rest = &rest[batch.bytes.len()..];
                    self.take(&batch.header);
                }
                // Then it follows what is left.
                StoredRead::Batch(batch) if self.belongs_before(&batch.header) => self.take_back(),
                StoredRead::Incomplete { needed_bytes } if self.may_need(rest, needed_bytes) => {
                    if !short {
                        self.needed = needed_bytes;
                        self.wanted = if self.creeps { needed_bytes } else { needed_bytes.max(CHUNK_BYTES) };
                        return;
                    }
                    rest = self.lose(rest);
                }
                _ if rest.is_empty() => break,
                // Too few bytes to tell.
                StoredRead::End if rest.len() < BATCH_OVERHEAD_BYTES && !short && self.goes_on_behind(rest) => return,
                _ => rest = self.lose(rest),
            }
        }
        if short {
            self.lost.get_or_insert(self.at);
            self.at.position = self.end.position;
        }
        if self.at.position >= self.end.position {
            self.finish();
        }
    }

    /// The bytes that were needed cannot be read: fewer of them perhaps can. Where it goes on for no less, the page is stepped over.
    pub(crate) fn advance_unreadable(&mut self) {
        let Some((position, length)) = self.need() else { return };
        let least = self.needed.max(PAGE_BYTES);
        self.creeps = length > least;
        if self.creeps {
            self.wanted = (length / 2).max(least);
            return;
        }
        self.lost.get_or_insert(self.at);
        self.at.position = (position + 1).next_multiple_of(PAGE_BYTES as u64).min(self.end.position);
        (self.wanted, self.needed) = (CHUNK_BYTES, 0);
        if self.at.position >= self.end.position {
            self.finish();
        }
    }

    fn follows(&self, header: &BatchHeader) -> bool {
        let begins = match self.lost {
            None if self.sparse => header.base_offset >= self.at.offset,
            None => header.base_offset == self.at.offset,
            Some(lost) => header.base_offset >= lost.offset,
        };
        begins && self.may_be_here(header)
    }

    /// Whether the batch belongs before the last one that was taken, and into what was lost.
    fn belongs_before(&self, header: &BatchHeader) -> bool {
        let fits = |doubt: &Doubt| doubt.lost.offset <= header.base_offset && header.next_offset() <= doubt.offset;
        self.doubt.as_ref().is_some_and(fits) && self.may_be_here(header)
    }

    /// The batch that was taken last is part of the damage before it.
    fn take_back(&mut self) {
        if let Some(doubt) = self.doubt.take() {
            (self.index, self.found_epochs, self.last) = (doubt.index, doubt.found_epochs, doubt.last);
            self.lost = Some(doubt.lost);
            self.faults.pop();
        }
    }

    fn may_be_here(&self, header: &BatchHeader) -> bool {
        let epoch = self.epochs.epoch_for_offset(header.base_offset);
        let is_of_epoch = epoch.is_none_or(|epoch| epoch == header.partition_leader_epoch);
        is_of_epoch
            && header.next_offset() <= self.end.offset
            && self.at.position + header.total_bytes() as u64 <= self.end.position
    }

    fn goes_on_behind(&self, rest: &[u8]) -> bool {
        self.at.position + (rest.len() as u64) < self.end.position
    }

    /// Whether what may be a batch is worth reading more for.
    fn may_need(&self, rest: &[u8], needed_bytes: usize) -> bool {
        if self.at.position + needed_bytes as u64 > self.end.position {
            return false;
        }
        match BatchHeader::parse(rest) {
            Ok(header) => header.last_offset_delta >= 0 && (self.follows(&header) || self.belongs_before(&header)),
            // Not even a header yet.
            Err(_) => rest.len() < BATCH_OVERHEAD_BYTES,
        }
    }

    fn take(&mut self, header: &BatchHeader) {
        let here = Boundary { offset: header.base_offset, position: self.at.position };
        let behind = Boundary { offset: header.next_offset(), position: self.at.position + header.total_bytes() as u64 };
        self.at = behind;
        self.doubt = None;
        if let Some(lost) = self.lost.take() {
            // Where bytes are too many and no offset is missing, nobody may come upon them all the same: nor upon this batch, then.
            let is_between = lost.offset < here.offset;
            self.faults.push(fault(self.index.base(), lost, if is_between { here } else { behind }));
            if !is_between {
                return;
            }
            let (index, found_epochs) = (self.index.clone(), self.found_epochs.clone());
            self.doubt = Some(Doubt { offset: here.offset, lost, last: self.last, index, found_epochs });
        }
        self.index.note(header, here.position);
        self.found_epochs.assign(header.partition_leader_epoch, here.offset);
        self.last = here;
    }

    /// Step over what is no batch that may be here, to the next place where a later one may be: this place first. What is left behind it.
    fn lose<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        if self.lost.is_none() {
            self.lost = Some(self.at);
            return rest;
        }
        let candidate =
            (1..rest.len()).find(|at| rest.get(at + MAGIC_POSITION).is_none_or(|magic| *magic == MAGIC.cast_unsigned()));
        let skip = candidate.unwrap_or(rest.len());
        self.at.position += skip as u64;
        &rest[skip..]
    }

    fn finish(&mut self) {
        if self.lost.is_some() || self.at.offset < self.end.offset {
            let from = self.lost.take().unwrap_or(self.at);
            // The same at the end: nobody may come upon what is too much there.
            let from = if from.offset < self.end.offset { from } else { self.last };
            self.faults.push(fault(self.index.base(), from, self.end));
            self.at.offset = self.end.offset;
        }
    }

    /// The index and the damage.
    pub(crate) fn into_result(mut self) -> Scanned {
        self.finish();
        Scanned { index: self.index, faults: self.faults, epochs: self.found_epochs }
    }
}

const fn fault(segment: Offset, from: Boundary, to: Boundary) -> FaultyRange {
    FaultyRange { segment, from: from.offset, position: from.position, to: to.offset, end_position: to.position, chain: None }
}
