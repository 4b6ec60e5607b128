//! Stopping in order: no new requests; those under way get their results and the replies leave; then everything is synced.
//!
//! Long polls are answered with what is there. A connection closes when it owes nothing: at once if it was at rest, otherwise
//! the peer is told that nothing more comes and closes first, because a close with bytes unread is a reset, which takes a
//! reply with it that is still on its way. All of this has a limit in time ([`crate::Limits::drain_ms`]).
//!
//! Requests reach over to other shards, so a shard serves the others until all have said that their connections are gone.

use alloc::{collections::BTreeSet, vec::Vec};
use flumen_log::{
    ShardId,
    io::{ConnectionId, NetEffect},
};

use super::{Running, Shard, Timer, Turn};
use crate::mail::{Mail, Ticket};

/// How far stopping has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stopping {
    /// Not asked for.
    No,
    /// Connections finish what they began; long polls are answered.
    Connections,
    /// The other shards' connections do.
    Peers,
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
        self.timers.arm(turn.now.monotonic.after_ms(self.settings.limits.drain_ms), Timer::Drain);
        let recently_ms = self.settings.limits.farewell_ms;
        let connections: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in connections {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            connection.draining = true;
            let at_rest = connection.depth() == 0 && connection.receiving_charge == 0;
            if at_rest && connection.moved_at().after_ms(recently_ms) <= turn.now.monotonic {
                self.close(turn, id);
            } else {
                self.busy.push_back(id);
            }
        }
        let polls = |(ticket, running): (&Ticket, &super::RunningRequest)| match running.waits {
            Running::Fetch(_) => Some(*ticket),
            _ => None,
        };
        let polls: Vec<Ticket> = self.running.iter().filter_map(polls).collect();
        for ticket in polls {
            self.fetch_deadline(turn, ticket);
        }
    }

    /// While stopping: a connection that owes nothing any more says so to its peer, and what still comes is thrown away.
    pub(super) fn part(&mut self, turn: &mut Turn<'_>, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.closed || connection.owes() {
            return;
        }
        if connection.parting.is_none() {
            let until = turn.now.monotonic.after_ms(self.settings.limits.farewell_ms);
            connection.parting = Some(until);
            turn.effects.net.push(NetEffect::Finish { connection: id });
            self.timers.arm(until, Timer::Connection(id));
        }
        if !connection.receiving {
            drop(connection.frames.remainder());
            connection.receive(turn.effects, 1);
        }
    }

    /// Time is up for the connections that are left.
    pub(super) fn drained_enough(&mut self, turn: &mut Turn<'_>) {
        let connections: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in connections {
            self.close(turn, id);
        }
    }

    /// Another shard's connections are gone.
    pub(super) fn peer_drained(&mut self, from: ShardId) {
        self.drained_peers.insert(from);
    }

    /// Go on with stopping, if it was asked for.
    pub(super) fn stop_on(&mut self, turn: &mut Turn<'_>) {
        if self.stopping == Stopping::Connections && self.connections.is_empty() {
            self.stopping = Stopping::Peers;
            let own = self.settings.shard;
            for peer in (0..self.settings.shards).map(ShardId).filter(|peer| *peer != own) {
                self.post(turn, peer, Mail::Drained);
            }
        }
        if self.stopping == Stopping::Peers && self.drained_peers.len() + 1 == usize::from(self.settings.shards) {
            self.stopping = Stopping::Store;
            self.directories.stop(turn.now, &mut turn.effects.files);
            // A store that fails at once has nothing outstanding: it must say so before the loop may end.
            self.directories.end_turn(turn.now, &mut turn.effects.files);
            self.settle(turn);
        }
        if self.stopping == Stopping::Store && self.directories.is_stopped() && turn.effects.files.is_empty() {
            self.stopping = Stopping::Done;
        }
    }
}

/// Shards that have said [`Mail::Drained`].
pub(crate) type DrainedPeers = BTreeSet<ShardId>;
