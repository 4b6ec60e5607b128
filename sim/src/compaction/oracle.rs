//! What must hold: of a log that was recovered, and of what is read from it at any time.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use flumen_log::batch::{Origin, RecordBatch, StoredRead, read_stored};
use flumen_log::recovery::RecoveryReport;
use flumen_log::store::{FaultyRange, Located};
use flumen_log::{LeaderEpoch, Offset, Timestamp};

use super::rot::Rot;
use super::world::{DELETE_RETENTION_MS, PATIENCE, World};

impl World {
    /// What a recovery says of the disk.
    pub(super) fn judge_report(&mut self, report: &RecoveryReport) {
        self.trace.note(format_args!("recovered: {report:?}"));
        let as_damaged = match &self.rot {
            Some(rot) => rot.explains(report),
            None => report.damaged.is_empty(),
        };
        // The manifest is as it was until the next one: each start says it again.
        let may_be_undone = self.was_undone || self.rot.as_ref().is_some_and(Rot::may_undo);
        let as_damaged = as_damaged && report.cleanings_undone <= u64::from(may_be_undone);
        self.was_undone |= report.cleanings_undone > 0;
        let clean = as_damaged && report.manifests_lost.is_empty();
        if !clean || report.corrupt_frames > 0 || !report.suspect_tails.is_empty() || !report.states_rebuilt.is_empty() {
            self.violation(format!("this is not what was done to the disk: {report:?}"));
        }
    }

    /// Whatever was called durable is there.
    pub(super) fn compare(&mut self) {
        let Some(slot) = self.slot() else { return };
        let Some(view) = self.store.as_ref().and_then(|(store, _)| store.view(slot)) else { return };
        let (end, durable) = (view.log_end(), self.model.durable);
        if end < durable {
            return self.violation(format!("the log ends at {end}, though {durable} was durable"));
        }
        let known: Vec<FaultyRange> = view.faulty_ranges().to_vec();
        known.iter().for_each(|range| self.found_faulty(range));
        self.model.truncate(end);
        self.check();
        self.check_duplicates();
    }

    /// A range is said to be damaged.
    pub(super) fn found_faulty(&mut self, range: &FaultyRange) {
        let is_rotten = self.rot.as_mut().is_some_and(|rot| rot.tell(range));
        if !is_rotten && !self.was_unreadable(range.segment) {
            self.violation(format!("this was not damaged: {range:?}; {:?}", self.rot));
        }
    }

    /// The cleaner says that it leaves a segment as it is.
    pub(super) fn cleaner_stopped(&mut self, segment: Offset) {
        self.verdict.work.stopped += 1;
        if !self.rot.as_ref().is_some_and(|rot| rot.explains_end(segment)) && !self.was_unreadable(segment) {
            self.violation(format!("{segment} is not cleaned, and nothing is wrong with it"));
        }
    }

    pub(super) fn check_duplicates(&mut self) {
        let Some(slot) = self.slot() else { return };
        for id in self.model.producers() {
            if self.forgotten.contains(&id) {
                continue;
            }
            let Some(sent) = self.model.last_of(id).cloned() else { continue };
            let Some((machine, _)) = &mut self.store else { return };
            let answer = machine.append(slot, sent.build(), LeaderEpoch(self.lives), Origin::Client, self.now);
            if answer.as_ref().is_err_and(|error| self.may_refuse(error)) {
                continue;
            }
            if !matches!(&answer, Ok(appended) if appended.duplicate && appended.base_offset == sent.base) {
                self.violation(format!("the batch at {} sent again gave {answer:?}", sent.base));
            }
        }
    }

    /// What a fetch from here gives: bytes, none where they are damaged, and where to go on.
    fn fetch(&mut self, from: Offset, end: Offset) -> Option<(bytes::Bytes, Offset)> {
        let slot = self.slot()?;
        let failed_reads = self.disk.failed_reads().len();
        let max_bytes = u32::try_from(self.random.below(1500)).unwrap_or_default();
        let (store, io) = self.store.as_mut()?;
        let mut located = store.locate(slot, from, end, max_bytes, true, io);
        if let Located::Pending(lookup) = located {
            self.take(Vec::new());
            for _ in 0..PATIENCE {
                if self.located.contains_key(&lookup.0) {
                    break;
                }
                if self.errors.offline {
                    return None;
                }
                if !self.complete_one() || self.random.one_in(8) {
                    self.turn();
                }
            }
            located = self.located.remove(&lookup.0).unwrap_or(Located::Failed);
        }
        if matches!(located, Located::Corrupt) {
            return Some((bytes::Bytes::new(), from));
        }
        let Located::Slice { slice, next_offset, .. } = located else {
            if self.errors.offline {
                return None;
            }
            if matches!(located, Located::Failed) && self.disk.failed_reads().len() > failed_reads {
                // Refused for this once.
                return self.fetch(from, end);
            }
            self.violation(format!("{from} of {end} located as {located:?}"));
            return None;
        };
        // What is being sent may be replaced meanwhile.
        if self.random.one_in(3) {
            self.complete_one();
            self.turn();
        }
        let length = usize::try_from(slice.length).unwrap_or_default();
        Some((self.disk.read_handle(slice.file.handle, slice.position, length)?, next_offset))
    }

    /// Read the whole log and hold it against the model.
    pub(super) fn check(&mut self) {
        let Some(slot) = self.slot().filter(|_| !self.is_over()) else { return };
        let Some(view) = self.store.as_ref().and_then(|(store, _)| store.view(slot)) else { return };
        let (mut from, end) = (view.log_start(), view.log_end());
        let mut found: BTreeMap<Offset, bool> = BTreeMap::new();
        let mut kept_back = BTreeSet::new();
        let mut reached = from;
        while from < end && self.verdict.violations.is_empty() {
            let Some((mut bytes, next)) = self.fetch(from, end) else { return };
            if bytes.is_empty() && next == from {
                self.check_kept_back(from);
                kept_back.insert(from);
                from = from.plus(1);
                reached = reached.max(from);
                continue;
            }
            while let StoredRead::Batch(batch) = read_stored(&bytes) {
                let (header, length) = (batch.header, batch.bytes.len());
                if header.base_offset < reached || header.last_offset() < header.base_offset {
                    self.violation(format!("a batch at {} behind {reached}", header.base_offset));
                }
                reached = header.next_offset();
                self.check_batch(&bytes.split_to(length), &mut found);
            }
            if !bytes.is_empty() || next <= from {
                self.violation(format!("{} bytes left of a slice from {from} to {next}", bytes.len()));
            }
            from = next;
        }
        if reached != end && end > Offset::ZERO && self.verdict.violations.is_empty() {
            self.violation(format!("the last batch ends at {reached}, the log at {end}"));
        }
        if let Some(offset) = self.rot.as_ref().and_then(|rot| rot.served(&kept_back)) {
            self.violation(format!("{offset} is damaged and was not kept back"));
        }
        self.verdict.work.kept_back += kept_back.len() as u64;
        if self.verdict.violations.is_empty() {
            self.check_keys(&found, &kept_back, end);
        }
    }

    /// An offset is kept from its readers: it must be one that may be, and it must have been said.
    fn check_kept_back(&mut self, offset: Offset) {
        // What could not be read here is refused, until the next start; where that may be was judged when it was said.
        if !self.disk.failed_reads().is_empty() {
            return;
        }
        let Some(rot) = &self.rot else { return self.violation(format!("{offset} is kept back, and nothing is damaged")) };
        if !rot.explains_corrupt(offset) {
            self.violation(format!("{offset} is kept back for {rot:?}"));
        }
    }

    fn check_batch(&mut self, bytes: &bytes::Bytes, found: &mut BTreeMap<Offset, bool>) {
        let Ok(records) = RecordBatch::records(bytes, 1 << 20) else {
            return self.violation(String::from("a batch cannot be unpacked"));
        };
        let header = *records.header();
        let horizon = header.attributes.has_delete_horizon().then_some(header.base_timestamp);
        let mut latest = Timestamp::NONE;
        self.verdict.work.empty_batches += u64::from(header.record_count == 0);
        for record in records {
            let Ok(record) = record else { return self.violation(String::from("a record cannot be read")) };
            latest = latest.max(record.timestamp);
            let as_appended = self.model.records.get(&record.offset).is_some_and(|appended| {
                record.key.as_deref() == Some(&appended.key)
                    && record.value.as_deref() == appended.value.as_deref()
                    && record.timestamp == appended.timestamp
            });
            if !as_appended {
                self.violation(format!("{record:?} was not appended there"));
            }
            found.insert(record.offset, true);
            self.verdict.work.read += 1;
            let Some(horizon) = horizon.filter(|_| record.value.is_none()) else { continue };
            let seen = *self.model.horizons.entry(record.offset).or_insert(horizon);
            if seen != horizon || horizon.0 < record.timestamp.0 + DELETE_RETENTION_MS {
                self.violation(format!("the horizon of {} was {seen} and is {horizon}", record.offset));
            }
        }
        if header.record_count > 0 && header.max_timestamp != latest {
            self.violation(format!("max timestamp {} of records up to {latest}", header.max_timestamp));
        }
    }

    fn check_keys(&mut self, found: &BTreeMap<Offset, bool>, kept_back: &BTreeSet<Offset>, end: Offset) {
        let mut last_found: BTreeMap<&[u8], Offset> = BTreeMap::new();
        for offset in found.keys() {
            if let Some(record) = self.model.records.get(offset) {
                last_found.insert(&record.key, *offset);
            }
        }
        let mut violations = Vec::new();
        for (key, latest) in self.model.latest() {
            if latest >= end || kept_back.contains(&latest) {
                continue;
            }
            let there = last_found.get(key);
            if there == Some(&latest) {
                continue;
            }
            let Some(record) = self.model.records.get(&latest) else { continue };
            // No pass can have set an earlier horizon than this.
            let earliest = Timestamp(record.timestamp.0 + DELETE_RETENTION_MS);
            let horizon = self.model.horizons.get(&latest).copied().unwrap_or(earliest);
            if there.is_some() || record.value.is_some() || self.now.wall < horizon {
                violations.push(format!("{latest} is the last of its key, and {there:?} is there at {}", self.now.wall));
            } else {
                self.verdict.work.tombstones_gone += 1;
            }
        }
        violations.into_iter().for_each(|text| self.violation(text));
    }
}
