//! A fetch on the connection's shard: asked of every owner, woken by any, answered as one.
//!
//! Owners wait in their purgatories and report what they have. When the sum reaches `min_bytes`, or an owner answers, or
//! time is up, the others are told to hand over what they have. Then `max_bytes` and the first-batch rule (KIP-74) are
//! applied to the sum, in the order of the request.
//!
//! Invariant: the fetch is complete when every owner has answered, and an owner answers once.

use alloc::vec::Vec;
use flumen_log::{Monotonic, ShardId};
use flumen_protocol::ErrorCode;

use super::session::{SessionContext, Wanted};
use crate::mail::FetchResult;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Progress {
    /// Asked; nothing heard.
    Asked,
    /// It waits and has so many bytes.
    Parked { bytes: u64 },
    /// Told to hand over.
    Collecting,
    /// It has answered.
    Done,
}

#[derive(Debug)]
struct OwnerPart {
    shard: ShardId,
    progress: Progress,
}

/// What the shard has to tell an owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tell {
    Collect(ShardId),
    Wait(ShardId),
}

/// A fetch under way.
#[derive(Debug)]
pub(crate) struct FetchGather {
    pub(crate) context: SessionContext,
    pub(crate) by_id: bool,
    pub(crate) wanted: Vec<Wanted>,
    results: Vec<Option<FetchResult>>,
    owners: Vec<OwnerPart>,
    min_bytes: u64,
    max_bytes: u64,
    pub(crate) deadline: Monotonic,
    collecting: bool,
}

impl FetchGather {
    pub(crate) fn new(context: SessionContext, by_id: bool, wanted: Vec<Wanted>) -> Self {
        let results = wanted.iter().map(|_| None).collect();
        Self {
            context,
            by_id,
            wanted,
            results,
            owners: Vec::new(),
            min_bytes: 0,
            max_bytes: 0,
            deadline: Monotonic::default(),
            collecting: false,
        }
    }

    /// Set what is waited for.
    pub(crate) fn wait_for(&mut self, min_bytes: u64, max_bytes: u64, deadline: Monotonic) {
        self.min_bytes = min_bytes;
        self.max_bytes = max_bytes;
        self.deadline = deadline;
    }

    /// An owner is being asked.
    pub(crate) fn asked(&mut self, shard: ShardId) {
        self.owners.push(OwnerPart { shard, progress: Progress::Asked });
    }

    /// A result, from an owner or known without one.
    pub(crate) fn put(&mut self, index: u32, result: FetchResult) {
        if let Some(place) = self.results.get_mut(index as usize) {
            *place = Some(result);
        }
    }

    /// An owner waits, or has more than it said before.
    pub(crate) fn reported(&mut self, shard: ShardId, bytes: u64, again: bool, tell: &mut Vec<Tell>) {
        let collecting = self.collecting;
        let Some(owner) = self.owner(shard) else { return };
        if matches!(owner.progress, Progress::Collecting | Progress::Done) {
            return;
        }
        if collecting {
            owner.progress = Progress::Collecting;
            tell.push(Tell::Collect(shard));
            return;
        }
        owner.progress = Progress::Parked { bytes };
        if self.parked_bytes() >= self.min_bytes.max(1) {
            self.collect(tell);
        } else if again {
            tell.push(Tell::Wait(shard));
        }
    }

    /// An owner has answered: its results were put. That wakes the whole.
    pub(crate) fn answered(&mut self, shard: ShardId, tell: &mut Vec<Tell>) {
        if let Some(owner) = self.owner(shard) {
            owner.progress = Progress::Done;
        }
        self.collect(tell);
    }

    /// Tell every owner that waits to hand over; those not heard of yet are told when they report.
    pub(crate) fn collect(&mut self, tell: &mut Vec<Tell>) {
        self.collecting = true;
        for owner in &mut self.owners {
            if matches!(owner.progress, Progress::Parked { .. }) {
                owner.progress = Progress::Collecting;
                tell.push(Tell::Collect(owner.shard));
            }
        }
    }

    /// Owners that hold something of this fetch.
    pub(crate) fn outstanding(&self) -> impl Iterator<Item = ShardId> + '_ {
        self.owners.iter().filter(|owner| owner.progress != Progress::Done).map(|owner| owner.shard)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.outstanding().next().is_none()
    }

    /// The results in the order of the request, cut to `max_bytes`: what does not fit is left out whole, the first batch
    /// excepted.
    pub(crate) fn into_results(self) -> Vec<(Wanted, FetchResult)> {
        let mut left = self.max_bytes;
        let mut first = true;
        let mut finished = Vec::with_capacity(self.wanted.len());
        for (wanted, result) in self.wanted.into_iter().zip(self.results) {
            let mut result = result.unwrap_or_else(|| FetchResult::refused(ErrorCode::UnknownServerError));
            let bytes = result.bytes();
            if bytes > left && !first {
                result.records = None;
            } else if bytes > 0 {
                first = false;
                left = left.saturating_sub(bytes);
            }
            finished.push((wanted, result));
        }
        finished
    }

    fn owner(&mut self, shard: ShardId) -> Option<&mut OwnerPart> {
        self.owners.iter_mut().find(|owner| owner.shard == shard)
    }

    fn parked_bytes(&self) -> u64 {
        let bytes = |owner: &OwnerPart| if let Progress::Parked { bytes } = owner.progress { bytes } else { 0 };
        self.owners.iter().map(bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::session::TopicRef;
    use alloc::{sync::Arc, vec};
    use flumen_log::{
        LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition,
        io::{FileHandle, FileSlice, SegmentFile},
    };

    fn gather(partitions: i32, min_bytes: u64, max_bytes: u64) -> FetchGather {
        let wanted = (0..partitions)
            .map(|partition| Wanted {
                topic: TopicRef::Name("topic".into()),
                name: None,
                partition,
                offset: Offset(0),
                max_bytes: 1000,
                current_leader_epoch: LeaderEpoch::NONE,
                last_fetched_epoch: LeaderEpoch::NONE,
            })
            .collect();
        let mut gather = FetchGather::new(SessionContext::None, false, wanted);
        gather.wait_for(min_bytes, max_bytes, Monotonic(1));
        gather.asked(ShardId(0));
        gather.asked(ShardId(1));
        gather
    }

    const SEGMENT: (TopicPartition, Offset) =
        (TopicPartition { topic: TopicId([0; 16]), partition: PartitionIndex(0) }, Offset::ZERO);

    fn result(bytes: u32) -> FetchResult {
        let file = Arc::new(SegmentFile { handle: FileHandle(0), segment: SEGMENT });
        let records = (bytes > 0).then_some(FileSlice { file, position: 0, length: bytes });
        FetchResult { error: ErrorCode::None, records, ..FetchResult::refused(ErrorCode::None) }
    }

    #[test]
    fn f06_bytes_of_several_owners_add_up_to_min_bytes() {
        let mut gather = gather(2, 100, 1000);
        let mut tell = vec![];
        gather.reported(ShardId(0), 60, false, &mut tell);
        assert!(tell.is_empty());
        gather.reported(ShardId(0), 70, true, &mut tell);
        assert_eq!(tell, [Tell::Wait(ShardId(0))]);
        tell.clear();
        gather.reported(ShardId(1), 30, false, &mut tell);
        assert_eq!(tell, [Tell::Collect(ShardId(0)), Tell::Collect(ShardId(1))]);
    }

    #[test]
    fn an_owner_that_answers_wakes_those_that_wait_and_those_not_heard_of_yet() {
        let mut gather = gather(2, 100, 1000);
        let mut tell = vec![];
        gather.answered(ShardId(0), &mut tell);
        assert!(tell.is_empty());
        assert!(!gather.is_complete());
        gather.reported(ShardId(1), 0, false, &mut tell);
        assert_eq!(tell, [Tell::Collect(ShardId(1))]);
        gather.answered(ShardId(1), &mut tell);
        assert!(gather.is_complete());
    }

    #[test]
    fn f02_max_bytes_holds_for_the_sum_but_the_first_batch_always_fits() {
        let mut gather = gather(3, 1, 50);
        gather.put(0, result(0));
        gather.put(1, result(80));
        gather.put(2, result(10));
        let bytes: Vec<u64> = gather.into_results().iter().map(|(_, result)| result.bytes()).collect();
        assert_eq!(bytes, [0, 80, 0]);
    }
}
