//! What rots while the process is down, and what must hold all the same.
//!
//! One stretch of one file at a time: a bit is turned, bytes of another place of the file are in the place of others (a write that
//! went astray), or zeros are (a write that was lost). In a sealed segment wholly below D the damaged stretch is kept from its
//! readers and nothing else is; it is said; the cleaner does not take the segment over; and the file stays byte for byte as it is,
//! so that when the bytes are turned back all is served again. While a cleaning was unfinished another file may hold the same
//! offsets, and what is damaged may be the one that goes or the one that counts: then only what is served must be right, and all
//! must be served once the bytes are back.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use flumen_log::io::Disk;
use flumen_log::recovery::{Damage, RecoveryReport};
use flumen_log::segment::parse_file_name;
use flumen_log::state::{DurablePoint, PartitionState, STATE_FILE_NAME};
use flumen_log::store::FaultyRange;
use flumen_log::{Offset, ProducerId};

use super::world::{DIRECTORY, World};
use crate::disk::Spoiled;
use crate::places::{Place, places_in};

/// Most bytes that go astray, or are lost.
const SPOILED_BYTES_MAX: usize = 600;
/// What the names of files end with that compaction has not put in their place.
const UNFINISHED_SUFFIX: &str = ".cleaned";

/// What is rotten now.
#[derive(Debug)]
pub(super) struct Rot {
    path: String,
    segment: Offset,
    spoiled: Spoiled,
    /// No cleaning was unfinished: the file is the only one that holds its offsets.
    is_alone: bool,
    /// Offsets that may be kept from readers.
    stretch: (Offset, Offset),
    /// Those of all batches of the file; between them are the holes that compaction left.
    batches: Vec<(Offset, Offset)>,
    /// Those of the batches that are not as they were: nobody may be given them.
    damaged: Vec<(Offset, Offset)>,
    /// What was said to be damaged, since the last start.
    told: Vec<(Offset, Offset)>,
}

/// A file that could rot.
struct Candidate {
    path: String,
    base: Offset,
    /// The offset behind the last that it can hold.
    next: Offset,
}

impl Rot {
    /// Whether readers may be kept from here: it is in the stretch, or in a hole before it, and that was said.
    pub(super) fn explains_corrupt(&self, offset: Offset) -> bool {
        let is_told = |(from, to): &(Offset, Offset)| offset < *to && self.is_hole(offset, *from);
        self.is_hole(offset, self.stretch.0) && offset < self.stretch.1 && self.told.iter().any(is_told)
    }

    /// Whether no batch has an offset in `[from, to)`.
    fn is_hole(&self, from: Offset, to: Offset) -> bool {
        from >= to || !self.is_alone || !self.batches.iter().any(|(base, next)| *base < to && *next > from)
    }

    /// The cleaner gave up for the sake of this segment.
    pub(super) fn explains_end(&self, segment: Offset) -> bool {
        !self.is_alone || segment == self.segment
    }

    /// A range was found to be damaged. Whether it can be.
    pub(super) fn tell(&mut self, range: &FaultyRange) -> bool {
        self.told.push((range.from, range.to));
        range.from >= self.stretch.0 && range.to <= self.stretch.1
    }

    /// Whether a recovery calls nothing damaged that is not.
    pub(super) fn explains(&self, report: &RecoveryReport) -> bool {
        let is_here = |damage: &Damage| match damage {
            Damage::Missing { .. } => false,
            Damage::Bytes { segment, .. } => *segment == self.segment,
        };
        report.damaged.iter().all(|(_, damage)| !self.is_alone || is_here(damage))
    }

    /// Whether a cleaning that was unfinished may come to nothing for it.
    pub(super) const fn may_undo(&self) -> bool {
        !self.is_alone
    }

    /// What is damaged and was found among what readers were not kept from.
    pub(super) fn served(&self, kept_back: &BTreeSet<Offset>) -> Option<Offset> {
        let damaged = self.damaged.iter().flat_map(|(from, to)| (from.0..to.0).map(Offset));
        damaged.into_iter().find(|offset| !kept_back.contains(offset))
    }

    /// A new start knows nothing of what an earlier one has found.
    pub(super) fn forget_told(&mut self) {
        self.told.clear();
    }
}

impl World {
    /// The process is down: something rots, or what was rotten is turned back; `must_end` leaves nothing rotten.
    pub(super) fn let_rot(&mut self, must_end: bool) {
        if !self.rots || !self.verdict.violations.is_empty() {
            return;
        }
        match &self.rot {
            Some(_) if must_end || self.chance.one_in(2) => self.turn_back(),
            None if !must_end && !self.chance.one_in(3) => self.rot_something(),
            _ => {}
        }
    }

    fn turn_back(&mut self) {
        let Some(rot) = self.rot.take() else { return };
        self.trace.note(format_args!("{} is turned back", rot.path));
        if rot.is_alone && !self.disk.is_as_spoiled(&rot.path, &rot.spoiled) {
            self.violation(format!("{} was touched though it was damaged", rot.path));
        }
        self.disk.turn_back(&rot.spoiled);
    }

    fn rot_something(&mut self) {
        let state_path = format!("{DIRECTORY}/{STATE_FILE_NAME}");
        // A D that is not on stable storage may be lost, and the damage would lie past the one that counts.
        if !self.disk.is_stable(&state_path) {
            return;
        }
        let Some(point) = self.disk.peek(&state_path).and_then(PartitionState::decode).map(|state| state.point) else { return };
        let (mut candidates, unfinished) = self.candidates(&point);
        let is_alone = unfinished.is_empty() && self.disk.has_stable_names(DIRECTORY) && self.follow_each_other(&candidates);
        if !unfinished.is_empty() && self.chance.one_in(2) {
            candidates = unfinished;
        }
        candidates.retain(|candidate| self.disk.is_stable(&candidate.path));
        if candidates.is_empty() {
            return;
        }
        let candidate = candidates.swap_remove(self.chance.index(candidates.len()));
        self.rot_in(candidate, is_alone, &point);
    }

    /// The sealed segments wholly below D; and the files that compaction has not put in their place.
    fn candidates(&mut self, point: &DurablePoint) -> (Vec<Candidate>, Vec<Candidate>) {
        let entries = Disk::list(&mut self.disk, DIRECTORY).unwrap_or_default();
        let names = entries.into_iter().filter(|entry| entry.length > 0).map(|entry| entry.name);
        let (mut sealed, mut unfinished): (Vec<Candidate>, Vec<Candidate>) = (Vec::new(), Vec::new());
        for name in names {
            let path = format!("{DIRECTORY}/{name}");
            let cleaned = name.strip_suffix(UNFINISHED_SUFFIX).and_then(|name| Some(name.rsplit_once('.')?.0));
            if let Some(base) = cleaned.and_then(|name| parse_file_name(name, "log")) {
                unfinished.push(Candidate { path, base, next: point.segment_base });
            } else if let Some(base) = parse_file_name(&name, "log").filter(|base| *base < point.segment_base) {
                if let Some(before) = sealed.last_mut() {
                    before.next = base;
                }
                sealed.push(Candidate { path, base, next: point.segment_base });
            }
        }
        (sealed, unfinished)
    }

    /// Whether no segment reaches into the next one: else a cleaned one covers it, and it has not gone yet.
    fn follow_each_other(&self, sealed: &[Candidate]) -> bool {
        let ends_before = |candidate: &Candidate| {
            let places = places_in(self.disk.peek(&candidate.path).unwrap_or_default());
            places.last().is_none_or(|last| last.header.next_offset() <= candidate.next)
        };
        sealed.iter().all(ends_before)
    }

    fn rot_in(&mut self, candidate: Candidate, is_alone: bool, point: &DurablePoint) {
        let file = self.disk.peek(&candidate.path).unwrap_or_default().to_vec();
        let places = places_in(&file);
        let (kind, at, bytes) = self.draw_damage(&file, &places);
        let Some(spoiled) = self.disk.spoil(&candidate.path, at as u64, &bytes) else { return };
        self.trace.note(format_args!("{kind}: {} bytes of {} at {at}; alone {is_alone}", bytes.len(), candidate.path));
        *self.disk.faults.counts.entry(kind).or_default() += 1;
        let is_damaged = |place: &&Place| {
            let (from, to) = (place.from.max(at), place.to.min(at + bytes.len()));
            from < to && file[from..to] != bytes[from - at..to - at]
        };
        let offsets = |place: &Place| (place.header.base_offset, place.header.next_offset());
        let damaged: Vec<(Offset, Offset)> = places.iter().filter(is_damaged).map(offsets).collect();
        let batches = places.iter().map(offsets).collect();
        let stretch = if is_alone && self.errors.have_struck {
            // Where there was no room for a sidecar the index is made from what can still be read, and has its entries elsewhere.
            (candidate.base, candidate.next)
        } else if is_alone {
            let marks = marks_of(&places, self.config.index_interval_bytes, &candidate);
            stretch_around(&marks, &damaged)
        } else {
            (Offset::ZERO, point.offset)
        };
        // Of whom the last batch cannot be read, nobody knows what they sent last.
        let unread = places.iter().filter(|place| stretch.0 <= place.header.base_offset && place.header.base_offset < stretch.1);
        let unread: BTreeSet<ProducerId> = unread.map(|place| place.header.producer_id).collect();
        self.forgotten.extend(if is_alone { unread } else { self.model.producers().into_iter().collect() });
        // Without a sidecar a batch may be found in its own copy that went astray: what is served is held against what was appended.
        let damaged = if is_alone && !self.errors.have_struck { damaged } else { Vec::new() };
        let Candidate { path, base: segment, .. } = candidate;
        self.rot = Some(Rot { path, segment, spoiled, is_alone, stretch, batches, damaged, told: Vec::new() });
    }

    /// Of which kind, where, and what is there from now on.
    fn draw_damage(&mut self, file: &[u8], places: &[Place]) -> (&'static str, usize, Vec<u8>) {
        let chance = &mut self.chance;
        let length = 1 + chance.index(file.len().min(SPOILED_BYTES_MAX));
        let at = chance.index(file.len() - length + 1);
        match chance.below(5) {
            0 | 1 => {
                let at = chance.index(file.len());
                ("rot below D", at, Vec::from([file[at] ^ (1 << chance.below(8))]))
            }
            2 => {
                let from = chance.index(file.len() - length + 1);
                ("misdirected write", at, file[from..from + length].to_vec())
            }
            3 if !places.is_empty() => {
                // Whole batches, where others begin.
                let (from, to) = (&places[chance.index(places.len())], &places[chance.index(places.len())]);
                let bytes = &file[from.from..from.to];
                ("misdirected batch", to.from, bytes[..bytes.len().min(file.len() - to.from)].to_vec())
            }
            _ => ("lost write", at, alloc::vec![0; length]),
        }
    }
}

/// The offsets at which an index has its entries, from the segment's first to its last: what lies between two neighbours is checked
/// as one.
fn marks_of(places: &[Place], interval_bytes: u32, candidate: &Candidate) -> Vec<Offset> {
    let mut marks = Vec::from([candidate.base]);
    let mut since = 0;
    for place in places {
        if since > interval_bytes as usize {
            marks.push(place.header.base_offset);
            since = 0;
        }
        since += place.to - place.from;
    }
    marks.push(candidate.next);
    marks
}

/// From the mark before what is damaged to the one behind it.
fn stretch_around(marks: &[Offset], damaged: &[(Offset, Offset)]) -> (Offset, Offset) {
    let (Some((first, _)), Some((_, end))) = (damaged.first(), damaged.last()) else { return (Offset::ZERO, Offset::ZERO) };
    let from = marks.iter().rev().find(|mark| *mark <= first).copied();
    let to = marks.iter().find(|mark| *mark >= end).copied();
    (from.unwrap_or(Offset::ZERO), to.unwrap_or(*end))
}
