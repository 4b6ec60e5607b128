//! What must hold: of a log that was recovered, of what it says while it runs, of what is read from it.

use alloc::format;
use alloc::vec::Vec;
use core::ops::Range;
use flumen_log::batch::StoredRead;
use flumen_log::store::{FaultyRange, Located, PartitionSlot};
use flumen_log::{LeaderEpoch, Offset, TopicPartition};

use super::model::{ORIGIN, Recipe};
use super::world::World;

/// What one bit may keep from readers, at most: what lies between two entries of an index, and the batches that reach into it.
const STRETCH_BYTES: usize = 24 << 10;

impl World {
    /// Hold every recovered log against what the run knows of it.
    pub(super) fn compare_all(&mut self) {
        for index in 0..self.stores.len().min(1) * self.models.len() {
            self.compare(index);
        }
        if self.verdict.violations.is_empty() && self.turn_back() {
            // Nothing was cut for the damage, and nothing else has suffered.
            self.stores.clear();
            self.crash(false);
            self.start();
            for index in 0..self.stores.len().min(1) * self.models.len() {
                self.compare(index);
            }
        }
        self.allowed = core::mem::take(&mut self.allowed).of_next_life();
        self.tails_lost = false;
    }

    fn compare(&mut self, index: usize) {
        let cut = self.models[index].cut.take();
        let model = self.models[index].clone();
        let Some((store, slot)) = self.place(index) else {
            if model.removing {
                self.models[index] = model.successor();
            } else if model.created {
                self.violation(format!("partition {index} is gone"));
            }
            return;
        };
        if model.removing {
            return;
        }
        self.models[index].created = true;
        let Some(view) = self.stores[store].0.view(slot) else { return };
        let (start, end, durable) = (view.log_start(), view.log_end(), view.durable().get());
        let tail_may_go = self.tails_lost || self.allowed.may_lose_tail(model.identity);
        let durable_floor = self.allowed.least_end(model.identity, model.durable);
        let floor = if tail_may_go { durable_floor } else { model.durable.max(model.written) };
        // A cut that was under way may have come to its end or not.
        let floor = cut.map_or(floor, |cut| floor.min(model.boundary(cut)));
        let offline = view.is_offline();
        if end < floor || offline {
            self.violation(format!("partition {index} ends at {end}, though {floor} was reached; offline {offline}"));
            return;
        }
        let started = if self.allowed.may_start_earlier(model.identity) { start.min(model.log_start) } else { model.log_start };
        if durable != end || end > model.end().max(start) || start < started || start > end.max(started) {
            self.violation(format!(
                "partition {index}: start {start}, end {end}, durable {durable}; appended up to {}, started at {started}",
                model.end(),
            ));
            return;
        }
        self.verdict.work.losses += u64::from(end < model.durable);
        self.models[index].truncate(end);
        self.models[index].log_start = start;
        self.read_back(index);
        // Whose batches cannot be read is not known from them.
        if !self.allowed.is_damaged(model.identity) {
            self.check_duplicates(index);
        }
    }

    /// An idempotent producer that sends one of its last batches again must be told where it is.
    pub(super) fn check_duplicates(&mut self, index: usize) {
        let Some((store, slot)) = self.place(index) else { return };
        let epoch = LeaderEpoch(self.models[index].epoch.0 + 1);
        let from = self.allowed.deleted_below(self.models[index].identity).max(self.models[index].producers_from);
        let remembered = self.models[index].remembered(self.swarm.producers);
        for batch in remembered.into_iter().filter(|batch| batch.base >= from) {
            let records = u64::try_from(batch.next.0 - batch.base.0).unwrap_or_default();
            let recipe = Recipe { producer: batch.producer, records, bytes: 10, fill: 0 };
            let again = self.models[index].make_batch(recipe, self.now.wall);
            let answer = self.stores[store].0.append(slot, again, epoch, ORIGIN, self.now);
            if !matches!(&answer, Ok(appended) if appended.duplicate && appended.base_offset == batch.base) {
                return self.violation(format!("partition {index}: the batch at {} sent again gave {answer:?}", batch.base));
            }
            self.verdict.work.duplicates += 1;
        }
    }

    /// A log's ends moved: they must be in order, and what is written must be in the file.
    pub(super) fn advanced(&mut self, store: usize, slot: PartitionSlot) {
        let (machine, io) = &mut self.stores[store];
        let Some(view) = machine.view(slot) else { return };
        let (end, durable, next) = (view.log_end(), view.durable().get(), view.next_offset());
        let identity = view.partition();
        let Some(index) = self.models.iter().position(|model| model.identity == identity) else { return };
        if durable > end || end > next {
            return self.violation(format!("partition {index}: durable {durable}, end {end}, next {next}"));
        }
        let model = &mut self.models[index];
        self.verdict.work.durable += u64::try_from(durable.0 - model.durable.0).unwrap_or_default();
        let written = model.written;
        model.durable = model.durable.max(durable);
        model.written = model.written.max(end);
        // Of a partition that goes, what could not be written is given up.
        let removing = model.removing;
        if written < end
            && !removing
            && let Located::Slice { slice, base_offset, next_offset } =
                machine.locate(slot, written.max(model.log_start), end, u32::MAX, true, io)
        {
            let length = usize::try_from(slice.length).unwrap_or_default();
            let bytes = self.disk.read_handle(slice.file.handle, slice.position, length).unwrap_or_default();
            if bytes != self.models[index].bytes_between(base_offset, next_offset) {
                self.violation(format!("partition {index}: {base_offset}..{next_offset} is called written and is not"));
            }
        }
    }

    /// Whether a read of this partition's has failed in this life.
    pub(super) fn has_failed_reads(&self, index: usize) -> bool {
        let directory = self.models[index].directory();
        self.disk.failed_reads().iter().any(|(path, _)| path.split_once('/').is_some_and(|(within, _)| within == directory))
    }

    /// Whether a read of these bytes has failed in this life.
    pub(super) fn was_unreadable(&self, partition: TopicPartition, range: &FaultyRange) -> bool {
        let Some(model) = self.models.iter().find(|model| model.identity == partition) else { return false };
        let of = format!("{}/{}", model.directory(), flumen_log::segment::file_name(range.segment, "log"));
        let touches = |bytes: &Range<u64>| bytes.start < range.end_position && range.position < bytes.end;
        self.disk.failed_reads().iter().any(|(path, bytes)| *path == of && touches(bytes))
    }

    /// Read a log from its start to its end, as a fetch would, and compare.
    pub(super) fn read_back(&mut self, index: usize) {
        let Some((store, slot)) = self.place(index) else { return };
        let Some(view) = self.stores[store].0.view(slot) else { return };
        let (mut from, end) = (view.log_start(), view.log_end());
        let mut kept_back = 0;
        let truncations = self.verdict.work.truncations;
        while from < end && self.verdict.violations.is_empty() {
            let max_bytes = u32::try_from(self.random.below(20_000)).unwrap_or_default();
            let failed_reads = self.disk.failed_reads().len();
            let (machine, io) = &mut self.stores[store];
            let mut located = machine.locate(slot, from, end, max_bytes, true, io);
            if let Located::Pending(lookup) = located {
                self.awaited = Some((store, lookup.0));
                self.take(store, Vec::new());
                self.drive("a lookup", |world| world.located.is_some());
                located = self.located.take().unwrap_or(Located::Failed);
                if self.verdict.work.truncations != truncations {
                    // What was found may be gone.
                    return;
                }
            }
            let Located::Slice { slice, base_offset, next_offset } = located else {
                if self.failed.contains(&store) {
                    return;
                }
                let identity = self.models[index].identity;
                if matches!(located, Located::Failed) && self.disk.failed_reads().len() > failed_reads {
                    // Refused for this once.
                    continue;
                }
                let was_deleted = from < self.allowed.deleted_below(identity);
                let was_unreadable = self.has_failed_reads(index);
                if matches!(located, Located::Corrupt) && (was_deleted || was_unreadable || self.allowed.is_damaged(identity)) {
                    let Some(batch) = self.models[index].batches.iter().find(|batch| batch.next > from) else { break };
                    (from, kept_back) = (batch.next, kept_back + if was_deleted { 0 } else { batch.bytes.len() });
                    continue;
                }
                let ends = self.stores[store].0.view(slot).map(|view| (view.log_start(), view.log_end()));
                if ends.is_none_or(|(_, now)| now < end) && self.models[index].cut.is_some() {
                    // It ends earlier already, and has not said so yet.
                    return;
                }
                // Retention may have moved the start meanwhile.
                let start = ends.map_or(Offset::ZERO, |(start, _)| start);
                if matches!(located, Located::OutOfRange) && start > from {
                    from = start;
                    continue;
                }
                let ranges = self.stores[store].0.view(slot).map(|view| view.faulty_ranges().to_vec());
                return self.violation(format!("partition {index}: {from} of {end} located as {located:?}; faulty: {ranges:?}"));
            };
            let length = usize::try_from(slice.length).unwrap_or_default();
            let bytes = self.disk.read_handle(slice.file.handle, slice.position, length).unwrap_or_default();
            let expected = self.models[index].bytes_between(base_offset, next_offset);
            let whole = matches!(flumen_log::batch::read_stored(&bytes), StoredRead::Batch(_));
            if base_offset > from || next_offset <= from || bytes != expected || !whole {
                return self.violation(format!(
                    "partition {index}: {from} gave {base_offset}..{next_offset}, {} bytes, not as appended",
                    bytes.len()
                ));
            }
            self.verdict.work.slices += 1;
            from = next_offset;
        }
        if kept_back > STRETCH_BYTES && !self.has_failed_reads(index) {
            self.violation(format!("partition {index}: {kept_back} bytes are kept back for one bit"));
        }
    }

    /// After a clean stop nothing is open, and all that was appended is durable.
    pub(super) fn check_stopped(&mut self) {
        if !self.failed.is_empty() {
            return;
        }
        if self.disk.open_files() > 0 {
            self.violation(format!("{} files left open", self.disk.open_files()));
        }
        for index in 0..self.models.len() {
            let Some((store, slot)) = self.place(index) else { continue };
            let Some(view) = self.stores[store].0.view(slot) else { continue };
            if view.durable().get() != view.next_offset() {
                self.violation(format!("partition {index} stopped at {:?} of {}", view.durable(), view.next_offset()));
            }
        }
    }
}
