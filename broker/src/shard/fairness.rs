//! How much a connection may have done for it before the others have their turn.
//!
//! Produce and Fetch cost what they carry, and that is charged and bounded elsewhere. Anything else is answered on the spot, and
//! a few bytes can ask for an answer of megabytes: in one turn such requests are started until their frames and answers come to
//! a limit, and those behind them wait for the next turn, which sees to everybody's events first. Of those who wait, the ones come
//! first for whom nothing was done yet, in the order they came. Records that have to be decompressed are counted the same way.

use alloc::collections::{BTreeSet, VecDeque};
use flumen_log::{Monotonic, io::ConnectionId};

/// Work of the turn that is not bounded elsewhere, and who waits for the next.
#[derive(Debug, Default)]
pub(crate) struct Fairness {
    turn: Monotonic,
    bytes: usize,
    unpacked_bytes: usize,
    /// Those for whom something was done in this turn.
    served: BTreeSet<ConnectionId>,
    deferred: BTreeSet<ConnectionId>,
    /// The deferred who were not served in this turn, and behind them those who were.
    unserved_line: VecDeque<ConnectionId>,
    served_line: VecDeque<ConnectionId>,
}

impl Fairness {
    /// Whether another request may start in this turn.
    pub(crate) const fn may_start(&self, limit_bytes: usize) -> bool {
        self.bytes < limit_bytes
    }

    /// Whether more may be decompressed in this turn.
    pub(crate) const fn may_unpack(&self, limit_bytes: usize) -> bool {
        self.unpacked_bytes < limit_bytes
    }

    /// A request or an answer of so many bytes was dealt with.
    pub(crate) fn spend(&mut self, connection: ConnectionId, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.served.insert(connection);
    }

    /// So many bytes were decompressed.
    pub(crate) fn unpack(&mut self, connection: ConnectionId, bytes: usize) {
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(bytes);
        self.served.insert(connection);
    }

    /// The connection goes on in the next turn.
    pub(crate) fn defer(&mut self, connection: ConnectionId) {
        if self.deferred.insert(connection) {
            let line = if self.served.contains(&connection) { &mut self.served_line } else { &mut self.unserved_line };
            line.push_back(connection);
        }
    }

    /// If this is another turn than the last, its work begins: those who waited for it, in their order.
    pub(crate) fn begin_turn(&mut self, now: Monotonic) -> impl Iterator<Item = ConnectionId> + use<> {
        let (mut first, mut then) = (VecDeque::new(), VecDeque::new());
        if now != self.turn {
            let Self { unserved_line, served_line, .. } = core::mem::take(self);
            self.turn = now;
            (first, then) = (unserved_line, served_line);
        }
        first.into_iter().chain(then)
    }

    /// When the next turn must come at the latest.
    pub(crate) fn deadline(&self) -> Option<Monotonic> {
        (!self.deferred.is_empty()).then_some(Monotonic(self.turn.0 + 1))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const LIMIT_BYTES: usize = 100;

    fn begin(fairness: &mut Fairness, turn: u64) -> Vec<u64> {
        fairness.begin_turn(Monotonic(turn)).map(|connection| connection.0).collect()
    }

    #[test]
    fn what_one_turn_has_no_room_for_the_next_begins_with() {
        let mut fairness = Fairness::default();
        assert!(begin(&mut fairness, 5).is_empty());
        fairness.spend(ConnectionId(2), LIMIT_BYTES);
        assert!(!fairness.may_start(LIMIT_BYTES));
        assert!(fairness.may_unpack(LIMIT_BYTES));
        fairness.defer(ConnectionId(1));
        assert!(begin(&mut fairness, 5).is_empty(), "it is still the same turn");
        assert_eq!(fairness.deadline(), Some(Monotonic(6)));
        assert_eq!(begin(&mut fairness, 6), [1]);
        assert!(fairness.may_start(LIMIT_BYTES));
        assert_eq!(fairness.deadline(), None);
    }

    /// Three connections that always want more than a turn gives, and one that comes late.
    #[test]
    fn nobody_is_served_again_while_another_waits() {
        let mut fairness = Fairness::default();
        let mut served = Vec::new();
        for turn in 1..20 {
            let mut line = begin(&mut fairness, turn);
            if turn == 1 {
                line = Vec::from([1, 2, 3]);
            }
            if turn == 4 {
                line.push(9);
            }
            for connection in line {
                if fairness.may_start(LIMIT_BYTES) {
                    fairness.spend(ConnectionId(connection), LIMIT_BYTES);
                    served.push(connection);
                }
                if connection != 9 || !served.contains(&9) {
                    fairness.defer(ConnectionId(connection));
                }
            }
        }
        assert_eq!(served[..8], [1, 2, 3, 1, 2, 3, 9, 1]);
    }
}
