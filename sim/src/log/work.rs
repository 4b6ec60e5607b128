//! What clients and operators do to the stores, one step at a time.

use alloc::format;
use flumen_log::store::PartitionSlot;
use flumen_log::store::{AppendError, DeleteRecords, Durability, Store, TruncateError, owner_of};
use flumen_log::{LeaderEpoch, Offset, TopicPartition};

use super::Control;
use super::model::{ORIGIN, Recipe, Stored};
use super::world::World;

/// A write of a dead process that nobody waits for lands in one of so many steps.
const LATE: u64 = 12;

impl World {
    /// Lead a partition, making it if it is not there.
    pub(super) fn open_partition(&mut self, index: usize) {
        let placed = self.place(index);
        if self.models[index].removing {
            if let Some((store, slot)) = placed {
                self.stores[store].0.remove(slot);
            }
            return;
        }
        let model = &mut self.models[index];
        model.epoch = LeaderEpoch(model.epoch.0 + 1);
        let (identity, config, epoch) = (model.identity, model.config.clone(), model.epoch);
        match placed {
            Some((store, slot)) => {
                self.stores[store].0.configure(slot, config);
                self.stores[store].0.begin_epoch(slot, epoch);
            }
            None => {
                let store = usize::from(owner_of(identity, self.shards).0);
                let (machine, io) = &mut self.stores[store];
                machine.create(identity, "topic", config, io);
            }
        }
    }

    /// One step.
    pub(super) fn act(&mut self) {
        if self.control == Control::IgnoredLock && self.random.one_in(LATE) {
            self.disk.land_late_write(&mut self.random);
        }
        let mix = self.swarm.mix;
        let weights = [
            mix.append,
            mix.turn,
            mix.complete,
            mix.tick,
            mix.shorten,
            mix.remove,
            mix.switch,
            mix.read,
            mix.roll_space,
            mix.truncate,
        ];
        // What is done rarely is done once in several of its turns.
        let mut drawn = self.random.below(weights.iter().sum());
        let chosen = weights.iter().position(|weight| {
            let here = drawn < *weight;
            drawn = drawn.saturating_sub(if here { 0 } else { *weight });
            here
        });
        let index = self.random.index(self.models.len());
        match chosen {
            Some(0) => self.append(index),
            Some(1) => self.end_turns(),
            Some(2) => {
                self.complete_one();
            }
            Some(3) => {
                let passed_ms = self.random.below(3000);
                self.pass_time(passed_ms);
            }
            Some(4) => self.shorten(index),
            Some(5) if self.random.one_in(12) => self.remove(index),
            Some(6) if self.random.one_in(3) => self.switch_durability(index),
            Some(7) if self.random.one_in(3) => self.read_back(index),
            Some(8) if self.random.one_in(3) => self.change_space(),
            Some(9) if self.random.one_in(8) => self.truncate(index),
            _ => {}
        }
    }

    fn draw_recipe(&mut self, index: usize) -> Recipe {
        let records = 1 + self.random.below(3);
        let bytes_max = if self.random.one_in(10) { self.swarm.batch_bytes } else { self.swarm.batch_bytes / 4 };
        let bytes = self.random.index(bytes_max);
        let fill = u8::try_from(self.random.below(256)).unwrap_or_default();
        let number = self.random.below(self.swarm.producers);
        let idempotent = !self.random.one_in(5);
        let producer = idempotent.then(|| (number, self.models[index].next_sequence(number)));
        Recipe { producer, records, bytes, fill }
    }

    fn append(&mut self, index: usize) {
        if self.models[index].removing {
            return;
        }
        let Some((store, _)) = self.place(index) else { return };
        match self.try_append(index) {
            Ok(()) | Err(AppendError::NotReady | AppendError::JournalGrows) => {}
            Err(AppendError::DirectoryFailed | AppendError::Offline) if self.failed.contains(&store) => {}
            Err(AppendError::NoSpace) if self.was_full || self.was_refused_space() => {}
            Err(AppendError::Sequence(_)) if self.may_have_forgotten_producers(index) => {}
            Err(error) => self.violation(format!("partition {index}: append refused: {error:?}")),
        }
    }

    /// An append that nothing may refuse.
    pub(super) fn append_must(&mut self, index: usize) {
        if self.models[index].removing || self.place(index).is_none() {
            return;
        }
        let recipe = self.draw_recipe(index);
        let result = match self.append_as(index, recipe) {
            Err(AppendError::Sequence(_)) if self.may_have_forgotten_producers(index) => {
                self.append_as(index, Recipe { producer: None, ..recipe })
            }
            result => result,
        };
        if let Err(error) = result {
            self.violation(format!("partition {index}: append refused after all was healed: {error:?}"));
        }
    }

    /// Who wrote what cannot be read is not known from it: what such a producer sends next does not follow.
    fn may_have_forgotten_producers(&self, index: usize) -> bool {
        self.allowed.is_damaged(self.models[index].identity)
    }

    fn try_append(&mut self, index: usize) -> Result<(), AppendError> {
        let recipe = self.draw_recipe(index);
        self.append_as(index, recipe)
    }

    fn append_as(&mut self, index: usize, recipe: Recipe) -> Result<(), AppendError> {
        let Some((store, slot)) = self.place(index) else { return Err(AppendError::NotReady) };
        let model = &self.models[index];
        let batch = model.make_batch(recipe, self.now.wall);
        let (epoch, expected) = (model.epoch, model.end().max(model.log_start));
        let appended = self.stores[store].0.append(slot, batch.clone(), epoch, ORIGIN, self.now)?;
        self.trace.note(format_args!("append to {index}: {} records at {}", recipe.records, appended.base_offset));
        if appended.base_offset != expected || appended.duplicate {
            self.violation(format!("partition {index}: appended at {} instead of {expected}", appended.base_offset));
        }
        let stamped = batch.stamp(appended.base_offset, epoch);
        let bytes = stamped.pieces().concat();
        let (base, next) = (appended.base_offset, appended.last_offset.next());
        let model = &mut self.models[index];
        model.batches.push(Stored { base, next, bytes, producer: recipe.producer });
        if self.control == Control::EarlyAck {
            model.durable = next;
        }
        self.verdict.work.appends += 1;
        self.verdict.work.records += recipe.records;
        Ok(())
    }

    fn shorten(&mut self, index: usize) {
        let Some((store, slot)) = self.place(index) else { return };
        let machine = &mut self.stores[store].0;
        let Some(view) = machine.view(slot) else { return };
        let reach = view.durable().get();
        machine.set_high_watermark(slot, reach);
        if self.random.one_in(2) && reach > view_start(machine, slot) {
            let span = u64::try_from(reach.0 - view_start(machine, slot).0).unwrap_or_default();
            let to = view_start(machine, slot).plus(i64::try_from(self.random.below(span + 1)).unwrap_or_default());
            self.trace.note(format_args!("delete records of {index} below {to}"));
            let answer = machine.delete_records(slot, to);
            if matches!(answer, DeleteRecords::OutOfRange) {
                self.violation(format!("partition {index}: {to} is below the watermark {reach}"));
            }
        }
    }

    /// Remove a partition; where it is gone, one of the same name and another topic id follows.
    fn remove(&mut self, index: usize) {
        let Some((store, slot)) = self.place(index) else { return };
        if self.models[index].created {
            self.trace.note(format_args!("remove {index}"));
            self.stores[store].0.remove(slot);
            self.models[index].removing = true;
        }
    }

    pub(super) fn removed(&mut self, store: usize, partition: TopicPartition) {
        if self.failed.contains(&store) || self.stores[store].0.has_failed() {
            // A store that failed has let go of the partition and touches no file any more: the next start finds out what is there.
            return;
        }
        let Some(index) = self.models.iter().position(|model| model.identity == partition) else { return };
        self.models[index] = self.models[index].successor();
        self.verdict.work.removed += 1;
        self.open_partition(index);
    }

    /// Another leader has less: the log is to end earlier. Somewhere near its end, mostly.
    fn truncate(&mut self, index: usize) {
        let Some((store, slot)) = self.place(index) else { return };
        let model = &self.models[index];
        if model.removing || !model.created || model.cut.is_some() {
            return;
        }
        let (start, end) = (model.log_start, model.end().max(model.log_start));
        let span = u64::try_from(end.0 - start.0).unwrap_or_default();
        let reach = if self.random.one_in(3) { span } else { span.min(12) };
        let to = Offset(end.0 - i64::try_from(self.random.below(reach + 1)).unwrap_or_default());
        if self.stores[store].0.truncate_to(slot, to).is_ok() {
            self.trace.note(format_args!("truncate {index} to {to}"));
            self.models[index].cut = Some(to);
        }
    }

    /// A log ends earlier, or does not.
    pub(super) fn truncated(&mut self, store: usize, identity: TopicPartition, result: Result<Offset, TruncateError>) {
        let Some(index) = self.models.iter().position(|model| model.identity == identity) else { return };
        let Some(asked) = self.models[index].cut.take() else { return };
        match result {
            Ok(end) => {
                let expected = self.models[index].boundary(asked);
                if end != expected && !self.failed.contains(&store) {
                    self.violation(format!("partition {index}: cut at {asked} ends at {end} instead of {expected}"));
                }
                let (durable, written) = (self.models[index].durable.min(end), self.models[index].written.min(end));
                self.models[index].truncate(end);
                (self.models[index].durable, self.models[index].written) = (durable, written);
                self.verdict.work.truncations += 1;
                if self.has_failed_reads(index) {
                    self.models[index].producers_from = end;
                }
            }
            Err(TruncateError::Damaged) if self.allowed.is_damaged(identity) || self.has_failed_reads(index) => {}
            // It is given up where the log goes, or its store stops or has failed.
            Err(TruncateError::NotReady)
                if self.models[index].removing || self.stores[store].0.is_stopping() || self.failed.contains(&store) => {}
            // The batch that holds the start cannot be cut.
            Err(TruncateError::BelowStart { .. }) => {}
            Err(error) => self.violation(format!("partition {index}: not cut at {asked}: {error:?}")),
        }
    }

    fn switch_durability(&mut self, index: usize) {
        let Some((store, slot)) = self.place(index) else { return };
        let model = &mut self.models[index];
        model.config.durability = match model.config.durability {
            Durability::Journaled => Durability::Replicated,
            Durability::Replicated => Durability::Journaled,
        };
        self.trace.note(format_args!("{index} becomes {:?}", model.config.durability));
        self.stores[store].0.configure(slot, model.config.clone());
    }

    /// The disk is nearly full, or no longer.
    fn change_space(&mut self) {
        let full = self.disk.faults.free_bytes.is_none();
        self.trace.note(format_args!("{}", if full { "the disk is nearly full" } else { "there is space again" }));
        self.disk.faults.free_bytes = full.then_some(1 << 20);
        self.was_full = true;
    }
}

fn view_start(store: &Store, slot: PartitionSlot) -> Offset {
    store.view(slot).map_or(Offset::ZERO, |view| view.log_start())
}
