//! How much a connection may have done for it before the others have their turn.
//!
//! Produce and Fetch cost what they carry, and that is charged and bounded elsewhere. Anything else is answered on the spot, and
//! a few bytes can ask for an answer of megabytes: in one turn such requests are started until their frames and answers come to
//! a limit, and those behind them wait for the next turn, which sees to everybody's events first.

use alloc::collections::BTreeSet;
use flumen_log::{Monotonic, io::ConnectionId};

/// Work of the turn that is not Produce or Fetch, and who waits for the next.
#[derive(Debug, Default)]
pub(crate) struct Fairness {
    turn: Monotonic,
    bytes: usize,
    deferred: BTreeSet<ConnectionId>,
}

impl Fairness {
    /// Whether another request may start in this turn.
    pub(crate) const fn may_start(&self, limit_bytes: usize) -> bool {
        self.bytes < limit_bytes
    }

    /// A request or an answer of so many bytes was dealt with.
    pub(crate) const fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The connection goes on in the next turn.
    pub(crate) fn defer(&mut self, connection: ConnectionId) {
        self.deferred.insert(connection);
    }

    /// If this is another turn than the last, its work begins: those who waited for it.
    pub(crate) fn begin_turn(&mut self, now: Monotonic) -> BTreeSet<ConnectionId> {
        if now == self.turn {
            return BTreeSet::new();
        }
        self.turn = now;
        self.bytes = 0;
        core::mem::take(&mut self.deferred)
    }

    /// When the next turn must come at the latest.
    pub(crate) fn deadline(&self) -> Option<Monotonic> {
        (!self.deferred.is_empty()).then_some(Monotonic(self.turn.0 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_turn_has_no_room_for_the_next_begins_with() {
        let mut fairness = Fairness::default();
        assert!(fairness.begin_turn(Monotonic(5)).is_empty());
        fairness.spend(100);
        assert!(!fairness.may_start(100));
        fairness.defer(ConnectionId(1));
        assert!(fairness.begin_turn(Monotonic(5)).is_empty(), "it is still the same turn");
        assert_eq!(fairness.deadline(), Some(Monotonic(6)));
        assert_eq!(fairness.begin_turn(Monotonic(6)), BTreeSet::from([ConnectionId(1)]));
        assert!(fairness.may_start(100));
        assert_eq!(fairness.deadline(), None);
    }
}
