//! Stopping in order: no new requests, replies out, everything synced.

use flumen_log::io::NetEffect;

use super::{Shard, Turn};

/// How far stopping has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stopping {
    /// Not asked for.
    No,
    /// Connections finish what they began; long polls are answered.
    Connections,
    /// The store writes everything out.
    Store,
    /// The loop may end.
    Done,
}

impl Shard {
    pub(super) fn stop(&mut self, turn: &mut Turn<'_>) {
        if self.stopping != Stopping::No {
            return;
        }
        self.stopping = Stopping::Connections;
        turn.effects.net.push(NetEffect::Accept { enabled: false });
        let connections: alloc::vec::Vec<_> = self.connections.keys().copied().collect();
        for id in connections {
            self.close(turn, id);
        }
    }

    /// Go on with stopping, if it was asked for.
    pub(super) fn stop_on(&mut self, turn: &mut Turn<'_>) {
        if self.stopping == Stopping::Connections && self.connections.is_empty() {
            self.stopping = Stopping::Store;
            self.directories.stop(turn.now, &mut turn.effects.files);
        }
        if self.stopping == Stopping::Store && self.directories.is_stopped() && turn.effects.files.is_empty() {
            self.stopping = Stopping::Done;
        }
    }
}
