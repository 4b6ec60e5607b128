//! The shard's budget of bytes in flight.
//!
//! A request is charged in full before its body is read, and pays until its reply has left. Replies are charged when they
//! are made, even past the limit: they cannot be refused any more, and nothing new is admitted or started until they have
//! left. A part is kept for small requests: a few large ones that come slowly must not stop everybody.

use alloc::collections::VecDeque;
use flumen_log::io::ConnectionId;

/// A request of at most this share of the budget is a small one.
const SMALL_SHARE: usize = 64;
/// This share of the budget is kept for small requests.
const KEPT_FOR_SMALL: usize = 4;

/// Bytes in flight, and who waits for room.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: usize,
    small: Line,
    large: Line,
}

/// Requests of a kind, and what may be used when one of them is admitted.
#[derive(Debug, Default)]
struct Line {
    limit: usize,
    waiting: VecDeque<ConnectionId>,
}

impl Budget {
    pub(crate) const fn new(limit: usize) -> Self {
        let small = Line { limit, waiting: VecDeque::new() };
        let large = Line { limit: limit - limit / KEPT_FOR_SMALL, waiting: VecDeque::new() };
        Self { limit, used: 0, small, large }
    }

    /// Charge a request if there is room and nobody of its kind has waited longer; `resumed` says that this one was the first
    /// in line.
    pub(crate) fn admit(&mut self, bytes: usize, resumed: bool) -> bool {
        let line = self.line(bytes);
        let admitted = self.used + bytes <= line.limit && (resumed || line.waiting.is_empty());
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

    /// A connection stopped for want of room for a request of this size. `resumed` keeps it the first in line.
    pub(crate) fn wait(&mut self, connection: ConnectionId, bytes: usize, resumed: bool) {
        let waiting = &mut self.line_mut(bytes).waiting;
        if resumed {
            waiting.push_front(connection);
        } else {
            waiting.push_back(connection);
        }
    }

    /// Of each kind the connection that waited longest, where there is any room.
    pub(crate) fn next_waiting(&mut self) -> [Option<ConnectionId>; 2] {
        let used = self.used;
        [&mut self.small, &mut self.large].map(|line| if used < line.limit { line.waiting.pop_front() } else { None })
    }

    /// A connection that waits is gone.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        for line in [&mut self.small, &mut self.large] {
            line.waiting.retain(|waiting| *waiting != connection);
        }
    }

    /// Replies took more than there is: until they have left, no request is started.
    pub(crate) const fn is_overdrawn(&self) -> bool {
        self.used > self.limit
    }

    /// Bytes in flight.
    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    const fn line(&self, bytes: usize) -> &Line {
        if bytes <= self.limit / SMALL_SHARE { &self.small } else { &self.large }
    }

    const fn line_mut(&mut self, bytes: usize) -> &mut Line {
        if bytes <= self.limit / SMALL_SHARE { &mut self.small } else { &mut self.large }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectionId = ConnectionId(1);
    const TWO: ConnectionId = ConnectionId(2);

    #[test]
    fn who_waited_longest_is_admitted_first() {
        let mut budget = Budget::new(1000);
        assert!(budget.admit(700, false));
        assert!(!budget.admit(300, false));
        budget.wait(ONE, 300, false);
        assert!(!budget.admit(40, false), "it would fit, but somebody waits");
        budget.release(700);
        assert_eq!(budget.next_waiting(), [None, Some(ONE)]);
        assert!(budget.admit(300, true));
        assert!(budget.admit(40, false));
        assert_eq!(budget.used(), 340);
    }

    #[test]
    fn large_requests_leave_room_for_small_ones() {
        let mut budget = Budget::new(1000);
        assert!(budget.admit(750, false));
        assert!(!budget.admit(100, false), "a quarter is kept");
        budget.wait(ONE, 100, false);
        assert!(budget.admit(10, false), "a small one does not wait behind a large one");
        for _ in 0..24 {
            assert!(budget.admit(10, false));
        }
        assert!(!budget.admit(10, false));
        budget.wait(TWO, 10, false);
        budget.release(10);
        assert_eq!(budget.next_waiting(), [Some(TWO), None]);
        assert!(budget.admit(10, true));
    }

    #[test]
    fn a_reply_may_overdraw_and_then_nothing_is_admitted() {
        let mut budget = Budget::new(100);
        budget.charge(150);
        assert!(budget.is_overdrawn());
        assert!(!budget.admit(1, false));
        budget.wait(ONE, 1, false);
        assert_eq!(budget.next_waiting(), [None, None]);
    }
}
