//! What has to happen when nothing else does.

use alloc::collections::BTreeSet;
use flumen_log::{Monotonic, io::ConnectionId};

use crate::mail::Ticket;

/// What a deadline is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Timer {
    /// Look whether a connection has moved.
    Connection(ConnectionId),
    /// A fetch has waited long enough.
    Fetch(Ticket),
    /// A produce has waited long enough for replication, at the owner.
    Append(u64),
    /// Questions have waited long enough, at the owner.
    Questions(u64),
    /// A request has waited long enough for the controller.
    Decision(Ticket),
    /// Committed offsets may have expired.
    OffsetExpiry,
    /// Stopping has waited long enough for connections.
    Drain,
}

/// Deadlines, soonest first.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    set: BTreeSet<(Monotonic, Timer)>,
}

impl Timers {
    pub(crate) fn arm(&mut self, at: Monotonic, timer: Timer) {
        self.set.insert((at, timer));
    }

    pub(crate) fn disarm(&mut self, at: Monotonic, timer: Timer) {
        self.set.remove(&(at, timer));
    }

    /// The next one that is due.
    pub(crate) fn due(&mut self, now: Monotonic) -> Option<Timer> {
        let (at, _) = self.set.first()?;
        if *at > now {
            return None;
        }
        self.set.pop_first().map(|(_, timer)| timer)
    }

    pub(crate) fn next(&self) -> Option<Monotonic> {
        self.set.first().map(|(at, _)| *at)
    }
}
