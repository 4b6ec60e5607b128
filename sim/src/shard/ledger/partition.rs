//! What is known of one partition.

use alloc::{collections::BTreeMap, format, vec::Vec};
use flumen_log::LeaderEpoch;

use super::{Ledger, Life, payload::FetchedBatch};

/// One partition.
#[derive(Debug)]
pub(crate) struct PartitionFacts {
    /// Which record is at an offset, as far as anybody was told.
    pub(crate) truth: BTreeMap<i64, u64>,
    /// Everything below it stays, whatever fails.
    pub(crate) strong_end: i64,
    /// The highest offset DeleteRecords was asked for: the log may start there.
    pub(crate) deletable: i64,
    /// Where the log starts, as DeleteRecords answered.
    pub(crate) deleted: i64,
    /// What the last audit of this life said.
    pub(super) high_watermark: i64,
    pub(super) log_end: i64,
    /// The highest reign seen, and whether it may still be that of this life.
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) epoch_is_old: bool,
    /// Where a power failure may have cut the log, by the reign that it ended.
    cuts: Vec<(LeaderEpoch, i64)>,
}

impl Default for PartitionFacts {
    fn default() -> Self {
        Self {
            truth: BTreeMap::new(),
            strong_end: 0,
            deletable: 0,
            deleted: 0,
            high_watermark: 0,
            log_end: 0,
            leader_epoch: LeaderEpoch::NONE,
            epoch_is_old: false,
            cuts: Vec::new(),
        }
    }
}

impl PartitionFacts {
    /// Everything that anybody was told of lies below.
    pub(super) fn told_end(&self) -> i64 {
        self.truth.last_key_value().map_or(0, |(offset, _)| offset + 1)
    }

    pub(super) fn crashed(&mut self, power: bool) {
        if power {
            self.truth.split_off(&self.strong_end);
            self.cuts.push((self.leader_epoch, self.strong_end));
        }
        self.high_watermark = 0;
        self.log_end = 0;
        self.epoch_is_old = true;
    }
}

impl Ledger {
    /// Batches came for a fetch at `position`. Answers where to go on.
    pub(crate) fn fetched(
        &mut self,
        topic: usize,
        partition: i32,
        position: i64,
        batches: &[FetchedBatch],
        watermark: i64,
    ) -> i64 {
        let mut next = position;
        for batch in batches {
            let (base, last) = (batch.header.base_offset.0, batch.header.last_offset().0);
            let follows = if next == position { base <= next } else { base == next };
            if !follows || last < next {
                self.violation(format!("topic {topic} partition {partition}: at {next} a fetch gave a batch {base} to {last}"));
            }
            if last >= watermark {
                self.violation(format!(
                    "topic {topic} partition {partition}: {last} was read, the high watermark is {watermark}"
                ));
            }
            for (offset, record) in (base..).zip(&batch.numbers) {
                self.note(topic, partition, offset, *record, "fetched");
            }
            next = last + 1;
        }
        let synced = self.topics[topic].always_synced;
        if let Some(facts) = self.partition(topic, partition)
            && synced
        {
            facts.strong_end = facts.strong_end.max(next);
        }
        next
    }

    /// A fetch, or a question, was told that its offset is out of range.
    pub(crate) fn out_of_range(&mut self, topic: usize, partition: i32, offset: i64) {
        if self.topics[topic].life != Life::Made {
            return;
        }
        let Some(facts) = self.partition(topic, partition) else { return };
        if offset >= facts.deletable && offset <= facts.strong_end {
            let (deletable, strong) = (facts.deletable, facts.strong_end);
            self.violation(format!(
                "topic {topic} partition {partition}: {offset} is out of range, though nothing past {deletable} was deleted and {strong} was reached"
            ));
        }
    }

    /// A fetch at `offset`, by one who had read up to there in this reign, was told that the log has gone another way.
    pub(crate) fn diverged(&mut self, topic: usize, partition: i32, offset: i64, epoch: i32) {
        if self.topics[topic].life != Life::Made {
            return;
        }
        let Some(facts) = self.partition(topic, partition) else { return };
        // What was read outside the journal may have been cut, and other records taken its place since.
        let was_cut = facts.cuts.iter().any(|(reign, end)| reign.0 >= epoch && *end < offset);
        if offset >= facts.deletable && !was_cut {
            let text =
                format!("topic {topic} partition {partition}: what was read up to {offset} in epoch {epoch} is said to be gone");
            self.violation(text);
        }
    }
}
