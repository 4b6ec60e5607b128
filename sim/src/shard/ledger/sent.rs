//! Batches that were sent, and what their senders were told.

use alloc::{format, string::ToString};
use flumen_log::Timestamp;

use super::Ledger;

/// What a sender knows of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Nothing: it may be there, or come to be there.
    Unknown,
    /// It is there.
    Acked,
    /// It is not there and never will be.
    Refused,
}

/// A batch: records `first` to `first + count`.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) topic: usize,
    pub(crate) partition: i32,
    /// The idempotent producer that sent it, and the sequence of its first record.
    pub(crate) producer: Option<(i64, i32)>,
    /// Its records' timestamp.
    pub(crate) at: Timestamp,
    pub(crate) outcome: Outcome,
    /// Times it was sent without having heard that it was not appended.
    pub(crate) open_attempts: u32,
}

impl Ledger {
    /// A number for the next batch of so many records.
    pub(crate) fn new_batch(
        &mut self,
        (topic, partition): (usize, i32),
        count: u64,
        producer: Option<(i64, i32)>,
        at: Timestamp,
    ) -> (usize, u64) {
        let first = self.sent.last().map_or(1, |last| last.first + last.count);
        self.sent.push(Sent { first, count, topic, partition, producer, at, outcome: Outcome::Unknown, open_attempts: 0 });
        (self.sent.len() - 1, first)
    }

    /// A batch leaves.
    pub(crate) fn sending(&mut self, batch: usize) {
        let sent = &mut self.sent[batch];
        sent.open_attempts += 1;
        if sent.outcome == Outcome::Refused {
            // It is sent once more.
            sent.outcome = Outcome::Unknown;
        }
    }

    /// The batch that a record belongs to.
    pub(super) fn batch_of(&self, record: u64) -> Option<&Sent> {
        let after = self.sent.partition_point(|sent| sent.first <= record);
        self.sent.get(after.checked_sub(1)?).filter(|sent| record < sent.first + sent.count)
    }

    /// A batch was acknowledged at this offset.
    pub(crate) fn acked(&mut self, batch: usize, base: i64, committed: bool) {
        let Sent { first, count, topic, partition, outcome, .. } = self.sent[batch].clone();
        if outcome == Outcome::Refused {
            self.violation(format!("batch {batch} was refused for good and is acknowledged now"));
        }
        if base < 0 {
            return self.violation(format!("batch {batch} was acknowledged at {base}"));
        }
        self.sent[batch].outcome = Outcome::Acked;
        let synced = committed && self.topics[topic].always_synced;
        let end = base + i64::try_from(count).unwrap_or_default();
        for (offset, record) in (base..end).zip(first..) {
            self.note(topic, partition, offset, record, "acknowledged");
        }
        if let Some(facts) = self.partition(topic, partition)
            && synced
        {
            facts.strong_end = facts.strong_end.max(end);
        }
    }

    /// A batch was refused before anything was appended.
    pub(crate) fn refused(&mut self, batch: usize) {
        let sent = &mut self.sent[batch];
        sent.open_attempts = sent.open_attempts.saturating_sub(1);
        if sent.open_attempts == 0 && sent.outcome == Outcome::Unknown {
            sent.outcome = Outcome::Refused;
        }
    }

    /// A record was seen, or acknowledged, at an offset.
    pub(super) fn note(&mut self, topic: usize, partition: i32, offset: i64, record: u64, how: &str) {
        let belongs = self.batch_of(record).map(|sent| (sent.topic, sent.partition, sent.outcome));
        let complaint = match belongs {
            None => Some("it was never sent".to_string()),
            Some((other, number, _)) if (other, number) != (topic, partition) => {
                Some(format!("it was sent to partition {number} of topic {other}"))
            }
            Some((.., Outcome::Refused)) => Some("its sender was told that it was refused".to_string()),
            Some(_) => None,
        };
        let place = format_args!("topic {topic} partition {partition} offset {offset}: record {record} {how}");
        if let Some(complaint) = complaint {
            let text = format!("{place}, but {complaint}");
            return self.violation(text);
        }
        let Some(facts) = self.partition(topic, partition) else { return };
        if let Some(before) = facts.truth.insert(offset, record)
            && before != record
        {
            let text = format!("{place}, and before it was record {before}");
            self.violation(text);
        }
    }
}
