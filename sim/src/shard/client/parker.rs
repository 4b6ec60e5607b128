//! A client that asks every partition for more than there will be, and waits.

use alloc::vec::Vec;
use flumen_protocol::{
    Request, Uuid,
    fetch::{FetchPartition, FetchRequest, FetchTopic},
};

use super::{Ask, Context, What};

/// A version of Fetch that names topics by id.
const FETCH_VERSION: i16 = 13;
/// How long it is ready to wait.
const WAIT_MS: i32 = 3_600_000;

/// It waits.
#[derive(Debug, Default)]
pub(in crate::shard) struct Parker;

impl Parker {
    pub(super) fn next(&self, outstanding: usize, context: &Context<'_, '_>) -> Option<Ask> {
        if outstanding > 0 {
            return None;
        }
        let topic = |index: usize| {
            let facts = &context.ledger.topics[index];
            let numbers = 0..i32::try_from(facts.partitions.len()).unwrap_or_default();
            let partition = |partition| FetchPartition { partition, partition_max_bytes: i32::MAX, ..FetchPartition::default() };
            FetchTopic { topic_id: Uuid(facts.id.0), partitions: numbers.map(partition).collect(), ..FetchTopic::default() }
        };
        let topics: Vec<FetchTopic> = context.ledger.living().map(topic).collect();
        let request = FetchRequest { max_wait_ms: WAIT_MS, min_bytes: i32::MAX, topics, ..FetchRequest::default() };
        Some(Ask { request: Request::from(request), version: FETCH_VERSION, what: What::Parker, silent: false })
    }
}
