//! Questions at the partitions' owner. Some are answered on the spot, some when a lookup or a sync is done.
//!
//! Invariant: every question of a group has one answer, and the group is sent home once, at the latest at its deadline.

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};
use flumen_log::{
    LeaderEpoch, Monotonic, Offset, ShardId, Timestamp, TopicPartition,
    store::{DeleteRecords, Located, LookupId, Store, TimestampLookup},
};
use flumen_protocol::ErrorCode;
use flumen_replica::Leader;

use crate::{
    fetch::epoch_error,
    hash::Map,
    mail::{ActiveProducer, Answer, AnsweredMail, AskMail, DirectorySizes, Mail, Position, Question, Ticket},
    partition::Hosted,
    shard::{LookupFor, Shard, Timer, Turn},
};

#[derive(Debug)]
struct Group {
    from: ShardId,
    ticket: Ticket,
    answers: Vec<(u32, Answer)>,
    waiting: BTreeSet<u32>,
    deadline: Monotonic,
}

/// Groups of questions that have not all been answered.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    groups: Map<u64, Group>,
    next: u64,
}

impl Questions {
    /// How many groups have not been answered.
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }
}

/// An answer, or that it comes later.
pub(crate) type Answered = Option<Answer>;

const fn refused(error: ErrorCode) -> Answered {
    Some(Answer::Refused { error })
}

impl Shard {
    pub(crate) fn questions_asked(&mut self, turn: &mut Turn<'_>, from: ShardId, mail: AskMail) {
        self.questions.next += 1;
        let id = self.questions.next;
        let waiting = mail.questions.iter().map(|(index, _)| *index).collect();
        let group = Group { from, ticket: mail.ticket, answers: Vec::new(), waiting, deadline: mail.deadline };
        self.questions.groups.insert(id, group);
        self.timers.arm(mail.deadline, Timer::Questions(id));
        for (index, question) in mail.questions {
            if let Some(answer) = self.consider(turn, (id, index), question, mail.deadline) {
                self.answer_question(turn, id, index, answer);
            }
        }
    }

    fn consider(&mut self, turn: &mut Turn<'_>, place: (u64, u32), question: Question, deadline: Monotonic) -> Answered {
        match question {
            Question::Offset { partition, current_leader_epoch, position, .. } => {
                self.find_offset(turn, place, partition, current_leader_epoch, position)
            }
            Question::EpochEnd { partition, current_leader_epoch, epoch } => {
                Some(self.find_epoch_end(partition, current_leader_epoch, epoch))
            }
            Question::DeleteRecords { partition, before } => self.delete_records(place, partition, before),
            Question::Producers { partition } => Some(self.producers_of(partition)),
            Question::Sizes { partitions } => Some(self.sizes(partitions.as_deref())),
            Question::CommitOffsets { coordinator, commit } => self.commit_offsets(turn, place, coordinator, *commit, deadline),
            Question::FetchOffsets { coordinator, group, wanted } => Some(self.committed_offsets(coordinator, &group, wanted)),
        }
    }

    /// The partition's leader, as the client's idea of the epoch allows.
    fn fenced_leader(&self, partition: TopicPartition, epoch: LeaderEpoch) -> Result<(&Hosted, &Leader), ErrorCode> {
        let (hosted, leader) = self.partitions.leader(partition)?;
        leader.check_epoch(epoch).map_err(epoch_error)?;
        Ok((hosted, leader))
    }

    fn find_offset(
        &mut self,
        turn: &mut Turn<'_>,
        place: (u64, u32),
        partition: TopicPartition,
        epoch: LeaderEpoch,
        position: Position,
    ) -> Answered {
        let (log, high_watermark, current, epoch_start) = match self.fenced_leader(partition, epoch) {
            Ok((hosted, leader)) => (hosted.place, leader.high_watermark(), leader.leader_epoch(), leader.epoch_start()),
            Err(error) => return refused(error),
        };
        let Some(view) = self.directories.view(log) else { return refused(ErrorCode::KafkaStorageError) };
        let at = |offset, leader_epoch| Some(Answer::Offset { offset, timestamp: Timestamp::NONE, leader_epoch });
        if high_watermark < epoch_start && matches!(position, Position::Latest | Position::At(_) | Position::MaxTimestamp) {
            return refused(ErrorCode::OffsetNotAvailable);
        }
        let io = &mut turn.effects.files;
        let lookup = match position {
            Position::Latest => return at(high_watermark, current),
            Position::Earliest => {
                let log_start = view.log_start();
                return at(log_start, view.epochs().epoch_for_offset(log_start).unwrap_or(LeaderEpoch::NONE));
            }
            Position::Tiered => return at(Offset(-1), LeaderEpoch::NONE),
            Position::MaxTimestamp => self.directories.store_mut(log).max_timestamp(log.slot, high_watermark, io),
            Position::At(timestamp) => {
                self.directories.store_mut(log).offset_for_timestamp(log.slot, timestamp, high_watermark, io)
            }
        };
        self.timestamp_answer(place, log.directory, lookup)
    }

    fn timestamp_answer(&mut self, place: (u64, u32), directory: u32, lookup: TimestampLookup) -> Answered {
        match lookup {
            TimestampLookup::Found(found) => {
                Some(Answer::Offset { offset: found.offset, timestamp: found.timestamp, leader_epoch: found.epoch })
            }
            TimestampLookup::None => {
                Some(Answer::Offset { offset: Offset(-1), timestamp: Timestamp::NONE, leader_epoch: LeaderEpoch::NONE })
            }
            TimestampLookup::Pending(lookup) => {
                self.lookups.insert((directory, lookup), LookupFor::Question { group: place.0, index: place.1 });
                None
            }
            TimestampLookup::Corrupt => refused(ErrorCode::CorruptMessage),
            TimestampLookup::Failed => refused(ErrorCode::KafkaStorageError),
        }
    }

    fn find_epoch_end(&self, partition: TopicPartition, current: LeaderEpoch, epoch: LeaderEpoch) -> Answer {
        let unknown = Answer::EpochEnd { epoch: LeaderEpoch::NONE, end: Offset(-1) };
        match self.fenced_leader(partition, current) {
            Err(error) => Answer::Refused { error },
            Ok((hosted, leader)) => {
                if epoch > leader.leader_epoch() {
                    return unknown;
                }
                let view = self.directories.view(hosted.place);
                let end = view.and_then(|view| view.end_offset_for(epoch));
                end.map_or(unknown, |(epoch, end)| Answer::EpochEnd { epoch, end })
            }
        }
    }

    fn delete_records(&mut self, place: (u64, u32), partition: TopicPartition, before: Offset) -> Answered {
        let (log, high_watermark) = match self.partitions.leader(partition) {
            Ok((hosted, leader)) => (hosted.place, leader.high_watermark()),
            Err(error) => return refused(error),
        };
        let before = if before == Offset(-1) { high_watermark } else { before };
        if before < Offset::ZERO || before > high_watermark {
            return refused(ErrorCode::OffsetOutOfRange);
        }
        match self.directories.store_mut(log).delete_records(log.slot, before) {
            DeleteRecords::Done { log_start } => Some(Answer::Deleted { low_watermark: log_start }),
            DeleteRecords::OutOfRange => refused(ErrorCode::OffsetOutOfRange),
            DeleteRecords::Failed => refused(ErrorCode::KafkaStorageError),
            DeleteRecords::Pending => {
                if let Some(hosted) = self.partitions.get_mut(partition) {
                    hosted.deletions.push((place.0, place.1, before));
                }
                None
            }
        }
    }

    /// The log starts further on, on stable storage: deletions up to there are done.
    pub(crate) fn deletions_done(&mut self, turn: &mut Turn<'_>, partition: TopicPartition, log_start: Offset) {
        let Some(hosted) = self.partitions.get_mut(partition) else { return };
        let (done, waiting) = hosted.deletions.drain(..).partition(|(.., before)| *before <= log_start);
        hosted.deletions = waiting;
        let done: Vec<(u64, u32, Offset)> = done;
        for (group, index, _) in done {
            self.answer_question(turn, group, index, Answer::Deleted { low_watermark: log_start });
        }
    }

    fn producers_of(&self, partition: TopicPartition) -> Answer {
        let view = match self.partitions.leader(partition) {
            Err(error) => return Answer::Refused { error },
            Ok((hosted, _)) => self.directories.view(hosted.place),
        };
        let Some(view) = view else { return Answer::Refused { error: ErrorCode::KafkaStorageError } };
        let producers = view
            .producers()
            .iter()
            .map(|(id, entry)| ActiveProducer {
                id,
                epoch: entry.epoch(),
                last_sequence: entry.last_sequence(),
                last_timestamp: entry.batches().last().map_or(Timestamp::NONE, |batch| batch.timestamp),
            })
            .collect();
        Answer::Producers { producers }
    }

    fn sizes(&self, wanted: Option<&[TopicPartition]>) -> Answer {
        let described =
            |(_, store): (u32, &Store)| DirectorySizes { sizes: Vec::new(), space: store.space(), failed: store.has_failed() };
        let mut directories: Vec<DirectorySizes> = self.directories.iter().map(described).collect();
        let mut put = |partition: TopicPartition, hosted: &Hosted| {
            let view = self.directories.view(hosted.place);
            if let Some((view, directory)) = view.zip(directories.get_mut(hosted.place.directory as usize)) {
                directory.sizes.push((partition, view.size_bytes()));
            }
        };
        match wanted {
            None => self.partitions.iter().for_each(|(partition, hosted)| put(*partition, hosted)),
            Some(wanted) => {
                for (partition, hosted) in wanted.iter().filter_map(|wanted| Some((*wanted, self.partitions.get(*wanted)?))) {
                    put(partition, hosted);
                }
            }
        }
        Answer::Sizes { directories }
    }

    /// A lookup that had to read is done.
    pub(crate) fn located(&mut self, turn: &mut Turn<'_>, lookup: (u32, LookupId), result: Located) {
        match self.lookups.remove(&lookup) {
            Some(LookupFor::Fetch(key)) => self.fetch_located(turn, key, result),
            Some(LookupFor::Replay { partition }) => self.replay_located(turn, partition, result),
            Some(LookupFor::Question { .. }) | None => {}
        }
    }

    /// A lookup by timestamp that had to read is done.
    pub(crate) fn timestamp_found(&mut self, turn: &mut Turn<'_>, lookup: (u32, LookupId), result: TimestampLookup) {
        if let Some(LookupFor::Question { group, index }) = self.lookups.remove(&lookup)
            && let Some(answer) = self.timestamp_answer((group, index), lookup.0, result)
        {
            self.answer_question(turn, group, index, answer);
        }
    }

    /// A question has its answer; the last one of a group sends it home.
    pub(crate) fn answer_question(&mut self, turn: &mut Turn<'_>, id: u64, index: u32, answer: Answer) {
        let Some(group) = self.questions.groups.get_mut(&id) else { return };
        if !group.waiting.remove(&index) {
            return;
        }
        group.answers.push((index, answer));
        if group.waiting.is_empty() {
            self.send_answers(turn, id);
        }
    }

    /// Time is up for a group of questions.
    pub(crate) fn questions_deadline(&mut self, turn: &mut Turn<'_>, id: u64) {
        let Some(group) = self.questions.groups.get_mut(&id) else { return };
        for index in core::mem::take(&mut group.waiting) {
            group.answers.push((index, Answer::Refused { error: ErrorCode::RequestTimedOut }));
        }
        self.send_answers(turn, id);
    }

    fn send_answers(&mut self, turn: &mut Turn<'_>, id: u64) {
        if let Some(group) = self.questions.groups.remove(&id) {
            self.timers.disarm(group.deadline, Timer::Questions(id));
            let mail = AnsweredMail { ticket: group.ticket, answers: group.answers };
            self.post(turn, group.from, Mail::Answered(Box::new(mail)));
        }
    }
}
