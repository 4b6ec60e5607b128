//! A produce request at the owner: appended at once, acknowledged when the log end or the high watermark says so.
//!
//! Coordinators append the same way, as a question's answer.
//!
//! Invariant: a group is answered once, when its last entry is decided or its time is up. A coordinator's is decided later than
//! that, if need be: what is committed is what counts.

use alloc::{boxed::Box, vec::Vec};
use bytes::Bytes;
use flumen_log::{
    Monotonic, Offset, ShardId, Timestamp, TopicPartition,
    batch::{Origin, ValidatedBatch},
    mutants::{self, Mutant},
};
use flumen_protocol::ErrorCode;
use flumen_replica::Replica;

use super::{
    append_refusal,
    held::{Held, HeldAppend, HeldKey},
};
use crate::{
    hash::Map,
    mail::{Acks, Mail, ProduceEntry, ProduceMail, ProduceResult, ProducedMail, Ticket},
    partition::Waiter,
    shard::{Place, Shard, Timer, Turn},
};

/// Whom a group of appends answers.
#[derive(Debug)]
enum Origins {
    /// A produce request.
    Request { from: ShardId, ticket: Ticket },
    /// A question to a coordinator.
    Question { group: u64, index: u32 },
}

#[derive(Debug)]
struct Group {
    origin: Origins,
    deadline: Monotonic,
    results: Vec<(u32, ProduceResult)>,
    /// Entries that had to wait, by their index.
    entries: Vec<Entry>,
    /// How many of them still wait.
    waiting: usize,
    frames: Vec<Bytes>,
}

/// An entry that had to wait.
#[derive(Debug)]
struct Entry {
    index: u32,
    partition: TopicPartition,
    /// What it answers, if it waited for that.
    result: ProduceResult,
    /// What it waits for; nothing more, once it is decided.
    until: Until,
}

impl Group {
    fn new(origin: Origins, deadline: Monotonic, entries: usize) -> Self {
        let (results, frames) = (Vec::with_capacity(entries), Vec::with_capacity(entries));
        Self { origin, deadline, results, entries: Vec::new(), waiting: 0, frames }
    }

    /// Take an entry's result, or let it wait. Entries come in the order of their index.
    fn put(&mut self, index: u32, partition: TopicPartition, (result, until): (ProduceResult, Until)) {
        if until == Until::Now {
            self.results.push((index, result));
        } else {
            self.entries.push(Entry { index, partition, result, until });
            self.waiting += 1;
        }
    }

    fn entry(&mut self, index: u32) -> Option<&mut Entry> {
        let place = self.entries.binary_search_by_key(&index, |entry| entry.index).ok()?;
        self.entries.get_mut(place)
    }

    /// An entry waits no longer.
    fn decide(&mut self, index: u32, refused: Option<ProduceResult>) {
        let Some(entry) = self.entry(index).filter(|entry| entry.until != Until::Now) else { return };
        entry.until = Until::Now;
        if let Some(refused) = refused {
            entry.result = refused;
        }
        self.waiting -= 1;
    }
}

/// Groups of appends that wait to be acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Appends {
    groups: Map<u64, Group>,
    held: Held,
    next: u64,
}

impl Appends {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    fn next_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// What an append waits for before it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Until {
    Now,
    /// Until the disk has caught up: it is not appended yet.
    Room(HeldKey),
    LogEnd(Offset),
    Replicated(Offset),
}

impl Shard {
    /// Append what another shard, or this one, has checked.
    pub(crate) fn append_batches(&mut self, turn: &mut Turn<'_>, from: ShardId, mail: ProduceMail) {
        let id = self.appends.next_id();
        let origin = Origins::Request { from, ticket: mail.ticket };
        let mut group = Group::new(origin, mail.deadline, mail.entries.len());
        for ProduceEntry { index, partition, batch } in mail.entries {
            group.frames.push(batch.body().clone());
            let append =
                HeldAppend { waiter: Waiter { group: id, index }, partition, batch, acks: mail.acks, origin: Origin::Client };
            group.put(index, partition, self.append_or_hold(turn, append));
        }
        self.let_wait(turn, id, group);
    }

    /// Append a coordinator's batch; the question is told when it is committed.
    pub(crate) fn append_for_question(
        &mut self,
        turn: &mut Turn<'_>,
        partition: TopicPartition,
        batch: ValidatedBatch,
        deadline: Monotonic,
        question: (u64, u32),
    ) {
        let id = self.appends.next_id();
        let origin = Origins::Question { group: question.0, index: question.1 };
        let mut group = Group::new(origin, deadline, 0);
        let waiter = Waiter { group: id, index: 0 };
        let append = HeldAppend { waiter, partition, batch, acks: Acks::All, origin: Origin::Coordinator };
        group.put(0, partition, self.append_or_hold(turn, append));
        self.let_wait(turn, id, group);
    }

    fn let_wait(&mut self, turn: &mut Turn<'_>, id: u64, group: Group) {
        if group.waiting == 0 {
            self.answer_group(turn, group);
        } else {
            self.timers.arm(group.deadline, Timer::Append(id));
            self.appends.groups.insert(id, group);
        }
    }

    /// Append it, or let it wait where the disk is behind.
    fn append_or_hold(&mut self, turn: &Turn<'_>, append: HeldAppend) -> (ProduceResult, Until) {
        let Some(directory) = self.directory_behind(append.partition) else { return self.append_now(turn, append) };
        let key = self.appends.held.put(directory, append);
        (ProduceResult::refused(ErrorCode::RequestTimedOut, None), Until::Room(key))
    }

    /// The log directory of a partition, if nothing more may be appended there for now.
    fn directory_behind(&self, partition: TopicPartition) -> Option<u32> {
        let Place { directory, .. } = self.partitions.get(partition)?.place;
        (self.directories.is_behind(directory) || self.appends.held.has(directory)).then_some(directory)
    }

    fn append_now(&mut self, turn: &Turn<'_>, append: HeldAppend) -> (ProduceResult, Until) {
        let HeldAppend { waiter, partition, batch, acks, origin } = append;
        let (result, until) = match self.try_append(turn, partition, batch, acks, origin) {
            Err(refused) => return (refused, Until::Now),
            Ok(appended) => appended,
        };
        let Some(hosted) = self.partitions.get_mut(partition) else { return (result, Until::Now) };
        match until {
            Until::LogEnd(end) => hosted.waits.for_log_end(end, waiter),
            Until::Replicated(end) => hosted.waits.for_replication(end, waiter),
            Until::Now | Until::Room(_) => {}
        }
        (result, until)
    }

    /// Append what was held, as far as the disk has caught up.
    pub(crate) fn release_held(&mut self, turn: &mut Turn<'_>) {
        for directory in self.appends.held.directories() {
            while !self.directories.is_behind(directory)
                && let Some(append) = self.appends.held.take_first(directory)
            {
                let waiter = append.waiter;
                let (result, until) = self.append_now(turn, append);
                let Some(group) = self.appends.groups.get_mut(&waiter.group) else { continue };
                if until == Until::Now {
                    group.decide(waiter.index, Some(result));
                } else if let Some(entry) = group.entry(waiter.index) {
                    (entry.result, entry.until) = (result, until);
                }
                self.answer_if_decided(turn, waiter.group);
            }
        }
    }

    fn try_append(
        &mut self,
        turn: &Turn<'_>,
        partition: TopicPartition,
        batch: ValidatedBatch,
        acks: Acks,
        origin: Origin,
    ) -> Result<(ProduceResult, Until), ProduceResult> {
        let refused = |error| ProduceResult::refused(error, None);
        let hosted = self.partitions.get_mut(partition).ok_or_else(|| refused(ErrorCode::NotLeaderOrFollower))?;
        hosted.leader().map_err(refused)?;
        let place = hosted.place;
        let leader = hosted.replica.as_mut().and_then(Replica::as_leader_mut);
        let leader = leader.ok_or_else(|| refused(ErrorCode::NotLeaderOrFollower))?;
        if acks == Acks::All && leader.enough_in_sync().is_err() {
            return Err(refused(ErrorCode::NotEnoughReplicas));
        }
        let store = self.directories.store_mut(place);
        let appended = leader.append(store, place.slot, batch, origin, turn.now);
        let log_start = self.directories.view(place).map(|view| view.log_start());
        let appended = appended.map_err(|error| append_refusal(&error, log_start))?;
        let end = appended.last_offset.next();
        let view = self.directories.view(place).ok_or_else(|| refused(ErrorCode::KafkaStorageError))?;
        let result = ProduceResult {
            base_offset: appended.base_offset,
            append_time: appended.append_time.unwrap_or(Timestamp::NONE),
            log_start: view.log_start(),
            ..refused(ErrorCode::None)
        };
        let until = match acks {
            Acks::None => Until::Now,
            _ if cfg!(control_early_ack) => Until::Now,
            _ if appended.duplicate && mutants::is(Mutant::B31) => Until::Now,
            Acks::Leader if view.log_end() >= end => Until::Now,
            Acks::Leader => Until::LogEnd(end),
            // The proof that it is committed is the leader's to give.
            Acks::All if leader.replicated(end).is_some() => Until::Now,
            Acks::All => Until::Replicated(end),
        };
        Ok((result, until))
    }

    /// An entry has what it waited for.
    pub(crate) fn append_done(&mut self, turn: &mut Turn<'_>, waiter: Waiter) {
        self.decide(turn, waiter, None);
    }

    /// An entry waits in vain.
    pub(crate) fn append_failed(&mut self, turn: &mut Turn<'_>, waiter: Waiter, error: ErrorCode) {
        self.decide(turn, waiter, Some(ProduceResult::refused(error, None)));
    }

    fn decide(&mut self, turn: &mut Turn<'_>, waiter: Waiter, refused: Option<ProduceResult>) {
        if let Some(group) = self.appends.groups.get_mut(&waiter.group) {
            group.decide(waiter.index, refused);
            self.answer_if_decided(turn, waiter.group);
        }
    }

    /// Time is up (P13: 7, whatever was appended stays; what was not is not).
    pub(crate) fn append_deadline(&mut self, turn: &mut Turn<'_>, id: u64) {
        let Some(group) = self.appends.groups.get_mut(&id) else { return };
        let is_appended = |entry: &Entry| matches!(entry.until, Until::LogEnd(_) | Until::Replicated(_));
        if let Origins::Question { group: question, index } = group.origin
            && group.entries.iter().any(is_appended)
        {
            // The coordinator has to know when it is committed; whoever asked for it is told that it is not yet.
            self.coordinator_late(turn, question, index);
            return;
        }
        for entry in &mut group.entries {
            let waiter = Waiter { group: id, index: entry.index };
            let waits = self.partitions.get_mut(entry.partition).map(|hosted| &mut hosted.waits);
            match (entry.until, waits) {
                (Until::Now, _) => continue,
                (Until::Room(key), _) => self.appends.held.forget(key),
                (Until::LogEnd(end), Some(waits)) => waits.cancel_log_end(end, waiter),
                (Until::Replicated(end), Some(waits)) => waits.cancel_replication(end, waiter),
                (_, None) => {}
            }
            entry.until = Until::Now;
            entry.result = ProduceResult::refused(ErrorCode::RequestTimedOut, None);
        }
        group.waiting = 0;
        self.answer_if_decided(turn, id);
    }

    fn answer_if_decided(&mut self, turn: &mut Turn<'_>, id: u64) {
        if self.appends.groups.get(&id).is_some_and(|group| group.waiting == 0)
            && let Some(group) = self.appends.groups.remove(&id)
        {
            self.timers.disarm(group.deadline, Timer::Append(id));
            self.answer_group(turn, group);
        }
    }

    fn answer_group(&mut self, turn: &mut Turn<'_>, mut group: Group) {
        group.results.extend(group.entries.into_iter().map(|entry| (entry.index, entry.result)));
        match group.origin {
            Origins::Request { from, ticket } => {
                let mail = ProducedMail { ticket, results: group.results, frames: group.frames };
                self.post(turn, from, Mail::Produced(Box::new(mail)));
            }
            Origins::Question { group: question, index } => {
                let error = group.results.first().map_or(ErrorCode::UnknownServerError, |(_, result)| result.error);
                self.coordinator_appended(turn, question, index, error);
            }
        }
    }
}
