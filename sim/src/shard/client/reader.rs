//! The last client of a run: reads every partition from its start to its high watermark.

use alloc::{format, vec::Vec};
use flumen_protocol::{
    ErrorCode, Request, Response, Text, Uuid,
    fetch::{FetchPartition, FetchRequest, FetchTopic},
    list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic},
};

use super::{Ask, Context, What};
use crate::shard::ledger::{Ledger, payload};

/// A version of Fetch that names topics by id.
const FETCH_VERSION: i16 = 13;

/// What a request was for.
#[derive(Debug)]
pub(super) enum Asked {
    Start,
    Records,
}

/// Reads partition after partition.
#[derive(Debug)]
pub(in crate::shard) struct Reader {
    left: Vec<(usize, i32)>,
    start: Option<i64>,
    position: i64,
}

impl Reader {
    pub(in crate::shard) fn of_everything(ledger: &Ledger) -> Self {
        let partitions = |topic: usize| {
            let count = i32::try_from(ledger.topics[topic].partitions.len()).unwrap_or_default();
            (0..count).map(move |partition| (topic, partition))
        };
        Self { left: ledger.living().flat_map(partitions).collect(), start: None, position: 0 }
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.left.is_empty()
    }

    /// Partitions that are left, and the offset in the one that is being read.
    pub(super) const fn has_read(&self) -> (usize, i64) {
        (self.left.len(), self.position)
    }

    pub(super) fn next(&self, outstanding: usize, context: &Context<'_, '_>) -> Option<Ask> {
        let (topic, partition) = *self.left.last()?;
        if outstanding > 0 {
            return None;
        }
        let facts = &context.ledger.topics[topic];
        let (request, version, asked) = if self.start.is_some() {
            let partition = FetchPartition {
                partition,
                fetch_offset: self.position,
                partition_max_bytes: 1 << 16,
                ..FetchPartition::default()
            };
            let topic = FetchTopic { topic_id: Uuid(facts.id.0), partitions: Vec::from([partition]), ..FetchTopic::default() };
            let request =
                FetchRequest { min_bytes: 1, max_bytes: 1 << 20, topics: Vec::from([topic]), ..FetchRequest::default() };
            (Request::from(request), FETCH_VERSION, Asked::Records)
        } else {
            let partition = ListOffsetsPartition { partition_index: partition, timestamp: -2, ..ListOffsetsPartition::default() };
            let topic = ListOffsetsTopic { name: Text::from(facts.name.as_str()), partitions: Vec::from([partition]) };
            let request = ListOffsetsRequest { replica_id: -1, topics: Vec::from([topic]), ..ListOffsetsRequest::default() };
            (Request::from(request), 5, Asked::Start)
        };
        Some(Ask { request, version, what: What::Reader(asked), silent: false })
    }

    pub(super) fn answered(&mut self, asked: &Asked, response: Response, context: &mut Context<'_, '_>) {
        let Some((topic, partition)) = self.left.last().copied() else { return };
        match (asked, response) {
            (Asked::Start, Response::ListOffsets(response)) => {
                let result = response.topics.first().and_then(|topic| topic.partitions.first());
                if let Some(result) = result.filter(|result| result.error_code.is_none()) {
                    self.start = Some(result.offset);
                    self.position = result.offset;
                }
            }
            (Asked::Records, Response::Fetch(response)) => {
                let Some(result) = response.responses.first().and_then(|topic| topic.partitions.first()) else { return };
                let position = self.position;
                let is_gone = |context: &mut Context<'_, '_>| {
                    context.ledger.partition(topic, partition).is_some_and(|facts| position < facts.deletable)
                };
                if result.error_code == ErrorCode::OffsetOutOfRange && is_gone(context) {
                    // Retention was here meanwhile: it begins anew, where the log starts now.
                    self.start = None;
                    return;
                }
                if result.error_code != ErrorCode::None {
                    let name = result.error_code.name();
                    context.ledger.violation(format!("the last reading of topic {topic} partition {partition} was told {name}"));
                    self.done();
                    return;
                }
                let bytes = result.records.as_ref().and_then(|records| records.inline()).cloned().unwrap_or_default();
                match payload::read(&bytes) {
                    Ok(batches) => {
                        let watermark = result.high_watermark;
                        self.position = context.ledger.fetched(topic, partition, self.position, &batches, watermark);
                        if self.position >= watermark {
                            context.ledger.read_whole(topic, partition, self.start.unwrap_or_default(), watermark);
                            self.done();
                        }
                    }
                    Err(fault) => {
                        context.ledger.violation(format!("topic {topic} partition {partition} at {}: {fault}", self.position));
                        self.done();
                    }
                }
            }
            _ => {}
        }
    }

    fn done(&mut self) {
        self.left.pop();
        self.start = None;
    }
}
