//! What became of a batch: written once by the producer, awaited by whoever sent a record of it.

use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use crate::Error;

/// Where a record has come to lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acknowledged {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its offset; −1 where the broker did not say: without acknowledgement, or for a batch it already had.
    pub offset: i64,
    /// Its timestamp: the broker's where the topic says so, else its own.
    pub timestamp: i64,
}

/// What a broker says of a batch that it took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Taken {
    pub(super) base_offset: i64,
    pub(super) log_append_time: i64,
}

#[derive(Debug, Default)]
struct Outcome {
    result: OnceLock<Result<Taken, Error>>,
    told: Notify,
}

/// The writing end, held by the batch. Dropped unwritten, it says that the producer is closed: nobody waits for ever.
#[derive(Debug, Default)]
pub(super) struct Verdict(Arc<Outcome>);

impl Verdict {
    /// Says what became of the batch. The first word counts.
    pub(super) fn settle(&self, result: Result<Taken, Error>) {
        if self.0.result.set(result).is_ok() {
            self.0.told.notify_waiters();
        }
    }

    pub(super) fn watch(&self) -> Settlement {
        Settlement(Arc::clone(&self.0))
    }
}

impl Drop for Verdict {
    fn drop(&mut self) {
        self.settle(Err(Error::Closed));
    }
}

/// The reading end.
#[derive(Clone, Debug)]
pub(super) struct Settlement(Arc<Outcome>);

impl Settlement {
    pub(super) async fn settled(&self) -> Result<Taken, Error> {
        // Made before the look, so that a word between look and wait is not missed.
        let told = self.0.told.notified();
        if let Some(result) = self.0.result.get() {
            return result.clone();
        }
        told.await;
        self.0.result.get().cloned().unwrap_or(Err(Error::Closed))
    }
}

/// The report on one record.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub(super) settlement: Settlement,
    pub(super) index: i32,
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) timestamp: i64,
}

impl Delivery {
    /// The partition that was chosen.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// Waits until the record is acknowledged, or known not to be.
    pub async fn acknowledged(&self) -> Result<Acknowledged, Error> {
        let taken = self.settlement.settled().await?;
        Ok(Acknowledged {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            offset: if taken.base_offset < 0 { -1 } else { taken.base_offset + i64::from(self.index) },
            timestamp: if taken.log_append_time < 0 { self.timestamp } else { taken.log_append_time },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_batch_says_so() {
        let verdict = Verdict::default();
        let settlement = verdict.watch();
        let waiting = tokio::spawn(async move { settlement.settled().await });
        drop(verdict);
        assert!(matches!(waiting.await.unwrap(), Err(Error::Closed)));
    }

    #[tokio::test]
    async fn the_first_word_counts() {
        let verdict = Verdict::default();
        let taken = Taken { base_offset: 5, log_append_time: -1 };
        verdict.settle(Ok(taken));
        verdict.settle(Err(Error::Closed));
        let settlement = verdict.watch();
        let delivery = Delivery { settlement, index: 2, topic: Arc::from("t"), partition: 3, timestamp: 9 };
        let acknowledged = delivery.acknowledged().await.unwrap();
        assert_eq!((acknowledged.offset, acknowledged.timestamp), (7, 9));
    }
}
