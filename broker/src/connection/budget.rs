//! The shard's budget of bytes in flight.
//!
//! A request is charged in full before its body is read, and pays until its reply has left. Replies are charged when they
//! are made, even past the limit: they cannot be refused any more, and nothing new is admitted until they have left.

use alloc::collections::VecDeque;
use flumen_log::io::ConnectionId;

/// Bytes in flight, and who waits for room.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: usize,
    waiting: VecDeque<ConnectionId>,
}

impl Budget {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, used: 0, waiting: VecDeque::new() }
    }

    /// Charge a request if there is room and nobody has waited longer; `resumed` says that this one was the first in line.
    pub(crate) fn admit(&mut self, bytes: usize, resumed: bool) -> bool {
        let admitted = self.used + bytes <= self.limit && (resumed || self.waiting.is_empty());
        if admitted {
            self.used += bytes;
        }
        admitted
    }

    /// Charge what cannot be refused any more.
    pub(crate) const fn charge(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// Give back.
    pub(crate) fn release(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "only what was charged is given back");
        self.used = self.used.saturating_sub(bytes);
    }

    /// A connection stopped for want of room.
    pub(crate) fn wait(&mut self, connection: ConnectionId) {
        self.waiting.push_back(connection);
    }

    /// It was its turn and there was not enough room yet: it stays the first in line.
    pub(crate) fn wait_on(&mut self, connection: ConnectionId) {
        self.waiting.push_front(connection);
    }

    /// The connection that waited longest, if there is any room.
    pub(crate) fn next_waiting(&mut self) -> Option<ConnectionId> {
        if self.used < self.limit { self.waiting.pop_front() } else { None }
    }

    /// Bytes in flight.
    pub(crate) const fn used(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waited_longest_is_admitted_first() {
        let mut budget = Budget::new(100);
        assert!(budget.admit(80, false));
        assert!(!budget.admit(30, false));
        budget.wait(ConnectionId(1));
        assert!(!budget.admit(10, false), "it would fit, but somebody waits");
        budget.release(80);
        assert_eq!(budget.next_waiting(), Some(ConnectionId(1)));
        assert!(budget.admit(30, true));
        assert!(budget.admit(10, false));
        assert_eq!(budget.used(), 40);
    }

    #[test]
    fn a_reply_may_overdraw_and_then_nothing_is_admitted() {
        let mut budget = Budget::new(100);
        budget.charge(150);
        assert!(!budget.admit(1, false));
        budget.wait(ConnectionId(1));
        assert_eq!(budget.next_waiting(), None);
    }
}
