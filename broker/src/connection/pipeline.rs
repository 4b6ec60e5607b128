//! The order of one connection's requests (C01).
//!
//! Invariants: replies leave in the order the requests came. Produce may overlap Produce; any other request starts only
//! when every earlier one has its result, and nothing starts behind it until it has its own.

use alloc::{collections::VecDeque, vec::Vec};
use flumen_log::io::SendPart;

/// How a request may overlap with its neighbours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Overlap {
    /// With others of its kind: Produce.
    Produce,
    /// With none.
    Exclusive,
}

/// What leaves for a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// These parts.
    Send(Vec<SendPart>),
    /// Nothing: a produce with `acks=0` (P01).
    Silence,
    /// Nothing, and the connection ends: a failed produce with `acks=0` (P01), or a request nothing can answer (C06).
    Close,
}

/// The requests of a connection that have started and whose replies have not left.
#[derive(Debug, Default)]
pub(crate) struct Pipeline {
    /// Sequence number of the front of `replies`.
    first: u64,
    replies: VecDeque<Option<Reply>>,
    produces_running: usize,
    exclusive_running: bool,
}

impl Pipeline {
    /// Whether a request of this kind may start now.
    pub(crate) fn may_start(&self, overlap: Overlap) -> bool {
        match overlap {
            Overlap::Produce => !self.exclusive_running,
            Overlap::Exclusive => !self.exclusive_running && self.produces_running == 0,
        }
    }

    /// Start a request: the sequence number its result must name.
    pub(crate) fn start(&mut self, overlap: Overlap) -> u64 {
        debug_assert!(self.may_start(overlap), "the caller asked first");
        match overlap {
            Overlap::Produce => self.produces_running += 1,
            Overlap::Exclusive => self.exclusive_running = true,
        }
        self.replies.push_back(None);
        self.first + self.replies.len() as u64 - 1
    }

    /// A request has its result. Exactly one for each that started.
    pub(crate) fn finish(&mut self, sequence: u64, overlap: Overlap, reply: Reply) {
        match overlap {
            Overlap::Produce => self.produces_running -= 1,
            Overlap::Exclusive => self.exclusive_running = false,
        }
        let index = usize::try_from(sequence - self.first).expect("the sequence number came from start and is not done");
        let slot = &mut self.replies[index];
        assert!(slot.is_none(), "a request has one result");
        *slot = Some(reply);
    }

    /// The next reply that may leave.
    pub(crate) fn next_reply(&mut self) -> Option<Reply> {
        let reply = self.replies.front_mut()?.take()?;
        self.replies.pop_front();
        self.first += 1;
        Some(reply)
    }

    /// Requests started whose replies have not left.
    pub(crate) fn len(&self) -> usize {
        self.replies.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c01_produces_overlap_and_replies_keep_their_order() {
        let mut pipeline = Pipeline::default();
        let one = pipeline.start(Overlap::Produce);
        assert!(pipeline.may_start(Overlap::Produce));
        let two = pipeline.start(Overlap::Produce);
        assert!(!pipeline.may_start(Overlap::Exclusive));
        pipeline.finish(two, Overlap::Produce, Reply::Silence);
        assert!(pipeline.next_reply().is_none(), "the first has no result yet");
        pipeline.finish(one, Overlap::Produce, Reply::Close);
        assert!(matches!(pipeline.next_reply(), Some(Reply::Close)));
        assert!(matches!(pipeline.next_reply(), Some(Reply::Silence)));
        assert!(pipeline.next_reply().is_none());
    }

    #[test]
    fn c01_nothing_starts_behind_an_exclusive_request_until_it_has_its_result() {
        let mut pipeline = Pipeline::default();
        let fetch = pipeline.start(Overlap::Exclusive);
        assert!(!pipeline.may_start(Overlap::Produce));
        assert!(!pipeline.may_start(Overlap::Exclusive));
        pipeline.finish(fetch, Overlap::Exclusive, Reply::Silence);
        assert!(pipeline.may_start(Overlap::Produce));
    }
}
