//! Requests that are questions to the owners of partitions: asked of each owner once, answered as one.

mod answer;
mod delete_records;
mod epoch_ends;
mod list_offsets;
mod log_dirs;
mod owner;
mod producers;

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use flumen_log::{Monotonic, ShardId};
use flumen_protocol::{
    ErrorCode, delete_records::DeleteRecordsRequest, describe_log_dirs::DescribeLogDirsRequest,
    describe_producers::DescribeProducersRequest, list_offsets::ListOffsetsRequest, offset_fetch::OffsetFetchRequest,
    offset_for_leader_epoch::OffsetForLeaderEpochRequest,
};

use crate::{
    mail::{Answer, AnsweredMail, AskMail, Mail, Question},
    offsets::{CommitAsked, commit_response},
    shard::{Class, Return, Running, Shard, Turn},
};
pub(crate) use answer::next as next_answer;
pub(crate) use owner::{Answered, Questions};

/// The request that the answers are put into.
#[derive(Debug)]
pub(crate) enum Asked {
    ListOffsets(ListOffsetsRequest),
    EpochEnds(OffsetForLeaderEpochRequest),
    DeleteRecords(DeleteRecordsRequest),
    Producers(DescribeProducersRequest),
    LogDirs(DescribeLogDirsRequest),
    CommitOffsets(CommitAsked),
    FetchOffsets(OffsetFetchRequest),
}

/// Questions under way: one answer for each partition of the request, in its order.
#[derive(Debug)]
pub(crate) struct QueryGather {
    pub(crate) asked: Asked,
    pub(crate) answers: Vec<Option<Answer>>,
    owners_outstanding: usize,
}

impl QueryGather {
    pub(crate) const fn new(asked: Asked) -> Self {
        Self { asked, answers: Vec::new(), owners_outstanding: 0 }
    }
}

/// Where a question goes, or why it is not asked.
pub(crate) type Routed = Result<(ShardId, Question), ErrorCode>;

impl Shard {
    /// Ask the owners; questions that cannot be asked are answered here.
    pub(crate) fn ask(
        &mut self,
        turn: &mut Turn<'_>,
        way: Return,
        asked: Asked,
        questions: impl IntoIterator<Item = Routed>,
        deadline: Monotonic,
    ) {
        let mut gather = QueryGather::new(asked);
        let mut per_owner = BTreeMap::<ShardId, Vec<(u32, Question)>>::new();
        for (index, routed) in (0u32..).zip(questions) {
            match routed {
                Ok((owner, question)) => {
                    gather.answers.push(None);
                    per_owner.entry(owner).or_default().push((index, question));
                }
                Err(error) => gather.answers.push(Some(Answer::Refused { error })),
            }
        }
        gather.owners_outstanding = per_owner.len();
        if per_owner.is_empty() {
            self.finish_query(&way, gather);
            return;
        }
        self.running.insert(way.ticket, way.running(Running::Query(gather)));
        for (owner, questions) in per_owner {
            self.credits.take(owner, Class::Control);
            let mail = AskMail { ticket: way.ticket, questions, deadline };
            self.post(turn, owner, Mail::Ask(Box::new(mail)));
        }
    }

    /// An owner has answered.
    pub(crate) fn answered(&mut self, _turn: &mut Turn<'_>, mail: AnsweredMail) {
        let Some(running) = self.running.get_mut(&mail.ticket) else { return };
        let Running::Query(gather) = &mut running.waits else { return };
        for (index, answer) in mail.answers {
            if let Some(place) = gather.answers.get_mut(index as usize) {
                *place = Some(answer);
            }
        }
        gather.owners_outstanding -= 1;
        if gather.owners_outstanding == 0
            && let Some(running) = self.running.remove(&mail.ticket)
        {
            let way = running.way_home(mail.ticket);
            if let Running::Query(gather) = running.waits {
                self.finish_query(&way, gather);
            }
        }
    }

    fn finish_query(&mut self, way: &Return, gather: QueryGather) {
        let mut answers = gather.answers.into_iter().map(|answer| {
            // Every owner answers every question it was asked.
            answer.unwrap_or(Answer::Refused { error: ErrorCode::UnknownServerError })
        });
        match gather.asked {
            Asked::ListOffsets(request) => {
                let response = list_offsets::response(request, way.version, &mut answers);
                self.answer(way, response);
            }
            Asked::EpochEnds(request) => self.answer(way, epoch_ends::response(request, &mut answers)),
            Asked::DeleteRecords(request) => self.answer(way, delete_records::response(request, &mut answers)),
            Asked::Producers(request) => self.answer(way, producers::response(request, &mut answers)),
            Asked::LogDirs(request) => {
                let response = self.log_dirs_response(&request, answers);
                self.answer(way, response);
            }
            Asked::CommitOffsets(asked) => {
                let response = commit_response(asked, &mut answers);
                self.answer(way, response);
            }
            Asked::FetchOffsets(request) => {
                let response = self.fetch_offsets_response(request, way.version, &mut answers);
                self.answer(way, response);
            }
        }
    }
}
