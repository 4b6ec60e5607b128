//! One client connection: what it has sent, what runs for it, and what it costs.
//!
//! Invariant: bytes charged for a connection are given back when its replies have left or when it is gone. What it holds is the
//! charge of its frame being received, of its inbox, of its pipeline's requests and of its unsent replies.

mod budget;
mod frames;
mod pipeline;

use alloc::collections::{BTreeSet, VecDeque};
use bytes::Bytes;
use flumen_log::{
    Monotonic,
    io::{ConnectionId, Direction},
};

use crate::limits::Limits;

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
    /// Everything charged for it: frames received and being received, and replies that have not left.
    pub(crate) held: usize,
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
    /// When bytes last came in.
    pub(crate) received_at: Monotonic,
    /// When bytes last went out, or the first of several replies was handed over.
    pub(crate) sent_at: Monotonic,
    /// When the frame that is being received began.
    pub(crate) frame_begun_at: Monotonic,
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
            held: 0,
            receiving: false,
            starved: false,
            resumed: false,
            active: BTreeSet::new(),
            draining: false,
            parting: None,
            closed: false,
            received_at: now,
            sent_at: now,
            frame_begun_at: now,
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

    /// When bytes last moved, either way.
    pub(crate) fn moved_at(&self) -> Monotonic {
        self.received_at.max(self.sent_at)
    }

    /// Note that bytes moved.
    pub(crate) const fn moved(&mut self, direction: Direction, now: Monotonic) {
        match direction {
            Direction::In => self.received_at = now,
            Direction::Out => self.sent_at = now,
        }
    }

    /// When this connection must be closed if nothing moves: a frame or reply without progress, a frame that comes too slowly,
    /// or idleness. Bytes that come in do not excuse a reader that does not read.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Monotonic> {
        if self.parting.is_some() {
            return self.parting;
        }
        let frame_begun = self.receiving && self.receiving_charge > 0;
        let frame = frame_begun.then(|| {
            let transfer_ms = self.receiving_charge as u64 / limits.frame_bytes_per_ms;
            let whole = self.frame_begun_at.after_ms(limits.stalled_ms + transfer_ms);
            whole.min(self.received_at.after_ms(limits.stalled_ms))
        });
        let reply = (!self.sending.is_empty()).then(|| self.sent_at.after_ms(limits.stalled_ms));
        let idle = (!frame_begun && self.depth() == 0).then(|| self.moved_at().after_ms(limits.idle_ms));
        [frame, reply, idle].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALLED_MS: u64 = 30_000;

    fn connection() -> (Connection, Limits) {
        let limits = Limits { stalled_ms: STALLED_MS, idle_ms: 600_000, ..Limits::for_shard(1 << 30, 1) };
        (Connection::new(ConnectionId(1), 0, Monotonic(0)), limits)
    }

    const fn at(ms: u64) -> Monotonic {
        Monotonic(0).after_ms(ms)
    }

    #[test]
    fn c13_only_a_connection_with_nothing_to_do_is_idle() {
        let (mut connection, limits) = connection();
        assert_eq!(connection.deadline(&limits), Some(at(600_000)));
        connection.inbox.push_back(Frame { bytes: Bytes::new(), charge: 0 });
        assert_eq!(connection.deadline(&limits), None, "its long poll may wait for days");
    }

    #[test]
    fn a_frame_must_come_at_some_speed() {
        let (mut connection, limits) = connection();
        connection.receiving = true;
        connection.receiving_charge = 100 << 20;
        assert_eq!(connection.deadline(&limits), Some(at(STALLED_MS)));
        // A byte now and then is progress, but not for ever.
        connection.moved(Direction::In, at(100_000));
        assert_eq!(connection.deadline(&limits), Some(at(130_000)));
        connection.moved(Direction::In, at(129_000));
        assert_eq!(connection.deadline(&limits), Some(at(STALLED_MS + 104_857)));
    }

    #[test]
    fn who_goes_on_asking_must_read_all_the_same() {
        let (mut connection, limits) = connection();
        connection.sending.push_back(Sending { charge: 10, close_after: false });
        connection.moved(Direction::In, at(29_000));
        assert_eq!(connection.deadline(&limits), Some(at(STALLED_MS)));
        connection.moved(Direction::Out, at(29_000));
        assert_eq!(connection.deadline(&limits), Some(at(59_000)));
    }
}
