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

use super::append_refusal;
use crate::{
    hash::Map,
    mail::{Acks, Mail, ProduceEntry, ProduceMail, ProduceResult, ProducedMail, Ticket},
    partition::Waiter,
    shard::{Shard, Timer, Turn},
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
    /// Entries that wait, each with its partition and what it will answer.
    waiting: Vec<(u32, TopicPartition, ProduceResult)>,
    frames: Vec<Bytes>,
}

/// Groups of appends that wait to be acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Appends {
    groups: Map<u64, Group>,
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
enum Until {
    Now,
    LogEnd(Offset),
    Replicated(Offset),
}

impl Shard {
    /// Append what another shard, or this one, has checked.
    pub(crate) fn append_batches(&mut self, turn: &mut Turn<'_>, from: ShardId, mail: ProduceMail) {
        let id = self.appends.next_id();
        let origin = Origins::Request { from, ticket: mail.ticket };
        let mut group = Group {
            origin,
            deadline: mail.deadline,
            results: Vec::with_capacity(mail.entries.len()),
            waiting: Vec::new(),
            frames: Vec::with_capacity(mail.entries.len()),
        };
        for ProduceEntry { index, partition, batch } in mail.entries {
            group.frames.push(batch.body().clone());
            self.append_one(turn, (id, index), &mut group, partition, batch, mail.acks, Origin::Client);
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
        let mut group = Group { origin, deadline, results: Vec::new(), waiting: Vec::new(), frames: Vec::new() };
        self.append_one(turn, (id, 0), &mut group, partition, batch, Acks::All, Origin::Coordinator);
        self.let_wait(turn, id, group);
    }

    fn let_wait(&mut self, turn: &mut Turn<'_>, id: u64, group: Group) {
        if group.waiting.is_empty() {
            self.answer_group(turn, group);
        } else {
            self.timers.arm(group.deadline, Timer::Append(id));
            self.appends.groups.insert(id, group);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what one append needs")]
    fn append_one(
        &mut self,
        turn: &Turn<'_>,
        (id, index): (u64, u32),
        group: &mut Group,
        partition: TopicPartition,
        batch: ValidatedBatch,
        acks: Acks,
        origin: Origin,
    ) {
        match self.try_append(turn, partition, batch, acks, origin) {
            Err(refused) => group.results.push((index, refused)),
            Ok((result, until)) => {
                let waiter = Waiter { group: id, index };
                let waits = self.partitions.get_mut(partition).map(|hosted| &mut hosted.waits);
                match (until, waits) {
                    (Until::LogEnd(end), Some(waits)) => waits.for_log_end(end, waiter),
                    (Until::Replicated(end), Some(waits)) => waits.for_replication(end, waiter),
                    (Until::Now, _) | (_, None) => {
                        group.results.push((index, result));
                        return;
                    }
                }
                group.waiting.push((index, partition, result));
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
        let Some(group) = self.appends.groups.get_mut(&waiter.group) else { return };
        if let Some(position) = group.waiting.iter().position(|(index, ..)| *index == waiter.index) {
            let (index, _, result) = group.waiting.swap_remove(position);
            group.results.push((index, result));
        }
        self.answer_if_decided(turn, waiter.group);
    }

    /// An entry waits in vain.
    pub(crate) fn append_failed(&mut self, turn: &mut Turn<'_>, waiter: Waiter, error: ErrorCode) {
        let Some(group) = self.appends.groups.get_mut(&waiter.group) else { return };
        if let Some(position) = group.waiting.iter().position(|(index, ..)| *index == waiter.index) {
            let (index, ..) = group.waiting.swap_remove(position);
            group.results.push((index, ProduceResult::refused(error, None)));
        }
        self.answer_if_decided(turn, waiter.group);
    }

    /// Time is up (P13: 7, whatever was appended stays).
    pub(crate) fn append_deadline(&mut self, turn: &mut Turn<'_>, id: u64) {
        if let Some(Origins::Question { group, index }) = self.appends.groups.get(&id).map(|group| &group.origin) {
            // The coordinator has to know when it is committed, whoever asked for it is told that it is not yet.
            let (question, index) = (*group, *index);
            self.coordinator_late(turn, question, index);
            return;
        }
        let Some(mut group) = self.appends.groups.remove(&id) else { return };
        for (index, partition, _) in core::mem::take(&mut group.waiting) {
            if let Some(hosted) = self.partitions.get_mut(partition) {
                hosted.waits.cancel(Waiter { group: id, index });
            }
            group.results.push((index, ProduceResult::refused(ErrorCode::RequestTimedOut, None)));
        }
        self.answer_group(turn, group);
    }

    fn answer_if_decided(&mut self, turn: &mut Turn<'_>, id: u64) {
        if self.appends.groups.get(&id).is_some_and(|group| group.waiting.is_empty())
            && let Some(group) = self.appends.groups.remove(&id)
        {
            self.timers.disarm(group.deadline, Timer::Append(id));
            self.answer_group(turn, group);
        }
    }

    fn answer_group(&mut self, turn: &mut Turn<'_>, group: Group) {
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
