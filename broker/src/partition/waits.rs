//! Appends that wait for a partition's log end or high watermark, in the order of their offsets.

use alloc::{collections::BTreeMap, vec::Vec};
use flumen_log::Offset;
use flumen_replica::Replicated;

/// Who waits: an entry of a group of appends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Waiter {
    pub(crate) group: u64,
    pub(crate) index: u32,
}

/// Who waits for what. The key is the offset after the last record that has to be there.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    log_end: BTreeMap<(Offset, Waiter), ()>,
    high_watermark: BTreeMap<(Offset, Waiter), ()>,
}

impl Waits {
    /// Wait until the log end is at or past `end` (`acks=1`).
    pub(crate) fn for_log_end(&mut self, end: Offset, waiter: Waiter) {
        self.log_end.insert((end, waiter), ());
    }

    /// Wait until everything before `end` is committed (`acks=all`).
    pub(crate) fn for_replication(&mut self, end: Offset, waiter: Waiter) {
        self.high_watermark.insert((end, waiter), ());
    }

    /// The log ends here: who need wait no longer.
    pub(crate) fn log_end_is(&mut self, log_end: Offset) -> Vec<Waiter> {
        let mut released = Vec::new();
        while let Some(entry) = self.log_end.first_entry().filter(|entry| entry.key().0 <= log_end) {
            released.push(entry.remove_entry().0.1);
        }
        released
    }

    /// Who need wait no longer, by the leader's own proof.
    pub(crate) fn replicated(&mut self, proof: impl Fn(Offset) -> Option<Replicated<Offset>>) -> Vec<Waiter> {
        let mut released = Vec::new();
        while let Some(entry) = self.high_watermark.first_entry() {
            let Some(_replicated) = proof(entry.key().0) else { break };
            released.push(entry.remove_entry().0.1);
        }
        released
    }

    /// One that waited for the log end gives up.
    pub(crate) fn cancel_log_end(&mut self, end: Offset, waiter: Waiter) {
        self.log_end.remove(&(end, waiter));
    }

    /// One that waited for the high watermark gives up.
    pub(crate) fn cancel_replication(&mut self, end: Offset, waiter: Waiter) {
        self.high_watermark.remove(&(end, waiter));
    }

    /// Everybody, for there is nothing left to wait for.
    pub(crate) fn drain(&mut self) -> Vec<Waiter> {
        let log_end = core::mem::take(&mut self.log_end);
        let high_watermark = core::mem::take(&mut self.high_watermark);
        log_end.into_keys().chain(high_watermark.into_keys()).map(|(_, waiter)| waiter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiters_are_released_in_the_order_of_their_offsets() {
        let mut waits = Waits::default();
        let waiter = |group| Waiter { group, index: 0 };
        waits.for_log_end(Offset(10), waiter(1));
        waits.for_log_end(Offset(5), waiter(2));
        waits.for_log_end(Offset(11), waiter(3));
        assert_eq!(waits.log_end_is(Offset(10)), [waiter(2), waiter(1)]);
        waits.cancel_log_end(Offset(11), waiter(3));
        assert!(waits.drain().is_empty());
    }
}
