//! What a shard's loop runs.

use alloc::{string::String, vec::Vec};
use bytes::Bytes;

use super::{Completion, ConnectionId, Direction, FileSlice, Io, NetEffect};
use crate::{Monotonic, Now, ShardId};

/// A thread that mail comes from or goes to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Thread {
    /// A shard.
    Shard(ShardId),
    /// The control thread.
    Control,
}

/// Something that happened.
#[derive(Debug)]
pub enum Event<Mail> {
    /// A client connected to the listener of this number; nothing is received until the machine asks.
    Accepted { connection: ConnectionId, listener: u16, peer: String },
    /// What a [`NetEffect::Receive`] asked for.
    Received { connection: ConnectionId, data: Bytes },
    /// Bytes moved, but the receive or send outstanding is not done. `bytes` is what moved since the last event.
    Progress { connection: ConnectionId, direction: Direction, bytes: usize },
    /// The oldest send outstanding is complete.
    Sent { connection: ConnectionId },
    /// What is to be sent cannot be read: these bytes of the oldest send. Nothing more leaves on the connection, for what did may be
    /// the beginning of a reply. The machine still has to close it.
    Unreadable { connection: ConnectionId, slice: FileSlice },
    /// The peer closed its side or the connection broke. The machine still has to close it.
    Hangup { connection: ConnectionId },
    /// The connection is gone and its id is never heard of again.
    Closed { connection: ConnectionId },
    /// Mail from another thread.
    Mail { from: Thread, mail: Mail },
    /// A file operation ended.
    Completed(Completion),
    /// Finish: stop taking requests, make everything durable; the loop ends once [`Machine::is_finished`].
    Stop,
}

/// What a machine wants done, in the order it asked within each kind.
#[derive(Debug)]
pub struct Effects<Mail> {
    /// Connections.
    pub net: Vec<NetEffect>,
    /// Mail to other threads. Room for it was taken beforehand: a full mailbox is a bug.
    pub mail: Vec<(Thread, Mail)>,
    /// Files.
    pub files: Io,
}

impl<Mail> Default for Effects<Mail> {
    fn default() -> Self {
        Self { net: Vec::new(), mail: Vec::new(), files: Io::default() }
    }
}

/// A shard's brain, as its loop sees it.
pub trait Machine {
    /// What it writes to other threads.
    type Mail: Send + 'static;

    /// Take one event.
    fn handle(&mut self, event: Event<Self::Mail>, now: Now, effects: &mut Effects<Self::Mail>);

    /// The turn's events are all handled, deadlines that have passed included: write out what was gathered.
    /// Called once every turn, also when only a deadline woke the loop.
    fn end_turn(&mut self, now: Now, effects: &mut Effects<Self::Mail>);

    /// When the loop must turn again even if nothing happens.
    fn next_deadline(&self) -> Option<Monotonic>;

    /// Whether the loop may end: [`Event::Stop`] was handled and nothing is outstanding.
    fn is_finished(&self) -> bool;
}
