//! One client connection: what it has sent, what runs for it, and what it costs.
//!
//! Invariant: bytes charged for a connection are given back when its replies have left or when it is gone.

mod budget;
mod frames;
mod pipeline;

use alloc::collections::{BTreeSet, VecDeque};
use bytes::Bytes;
use flumen_log::{Monotonic, io::ConnectionId};

pub(crate) use budget::Budget;
pub(crate) use frames::{Frames, Next};
pub(crate) use pipeline::{Overlap, Pipeline, Reply};

/// A request frame with what it was charged.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    pub(crate) charge: usize,
}

/// A reply on its way out.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) charge: usize,
    pub(crate) close_after: bool,
}

/// A connection of this shard.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) listener: u16,
    pub(crate) frames: Frames,
    /// Whole frames that wait for their turn.
    pub(crate) inbox: VecDeque<Frame>,
    pub(crate) pipeline: Pipeline,
    /// Charges of the requests in the pipeline, in order.
    pub(crate) charges: VecDeque<usize>,
    /// Replies handed to the kernel's side and not yet reported sent.
    pub(crate) sending: VecDeque<Sending>,
    /// Bytes charged for a frame that is being received.
    pub(crate) receiving_charge: usize,
    /// A receive is outstanding.
    pub(crate) receiving: bool,
    /// Reading stopped because the shard's budget is spent.
    pub(crate) starved: bool,
    /// It was its turn in the line for the budget.
    pub(crate) resumed: bool,
    /// Requests that have started and have no result yet.
    pub(crate) active: BTreeSet<u64>,
    /// No more requests are taken; it closes when its last reply has left.
    pub(crate) draining: bool,
    /// Its last reply has left and the peer was told; it closes at this time, or when the peer does.
    pub(crate) parting: Option<Monotonic>,
    /// Close was asked for.
    pub(crate) closed: bool,
    /// When a frame that has begun, or a reply that has not left, last moved.
    pub(crate) moved_at: Monotonic,
}

impl Connection {
    pub(crate) fn new(id: ConnectionId, listener: u16, now: Monotonic) -> Self {
        Self {
            id,
            listener,
            frames: Frames::default(),
            inbox: VecDeque::new(),
            pipeline: Pipeline::default(),
            charges: VecDeque::new(),
            sending: VecDeque::new(),
            receiving_charge: 0,
            receiving: false,
            starved: false,
            resumed: false,
            active: BTreeSet::new(),
            draining: false,
            parting: None,
            closed: false,
            moved_at: now,
        }
    }

    /// Requests received whole whose replies have not left.
    pub(crate) fn depth(&self) -> usize {
        self.inbox.len() + self.pipeline.len() + self.sending.len()
    }

    /// Whether a request has started whose reply has not left.
    pub(crate) fn owes(&self) -> bool {
        self.pipeline.len() > 0 || !self.sending.is_empty()
    }

    /// Everything still charged for it.
    pub(crate) fn charged(&self) -> usize {
        self.receiving_charge
            + self.inbox.iter().map(|frame| frame.charge).sum::<usize>()
            + self.charges.iter().sum::<usize>()
            + self.sending.iter().map(|sending| sending.charge).sum::<usize>()
    }

    /// When this connection must be closed if nothing moves: a frame or reply without progress, or idleness.
    pub(crate) fn deadline(&self, stalled_ms: u64, idle_ms: u64) -> Option<Monotonic> {
        if self.parting.is_some() {
            return self.parting;
        }
        let frame_begun = self.receiving && self.receiving_charge > 0;
        if frame_begun || !self.sending.is_empty() {
            Some(self.moved_at.after_ms(stalled_ms))
        } else if self.depth() == 0 {
            Some(self.moved_at.after_ms(idle_ms))
        } else {
            None
        }
    }
}
