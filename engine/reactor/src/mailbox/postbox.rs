//! One thread's end of all its mailboxes.

use std::{collections::VecDeque, sync::Arc};

use flumen_log::{ShardId, io::Thread};

use super::{Doorbell, ring};

/// The two mailboxes shared with one other thread.
pub(super) struct Link<M> {
    pub(super) peer: Thread,
    pub(super) outgoing: ring::Sender<M>,
    pub(super) incoming: ring::Receiver<M>,
    pub(super) bell: Arc<Doorbell>,
    /// Mail went out since the peer was last checked for sleep.
    pub(super) unannounced: bool,
}

/// Links to all other threads, in the order of [`index_of`].
pub(super) struct Links<M> {
    pub(super) me: Thread,
    pub(super) shards: usize,
    pub(super) links: Vec<Link<M>>,
    pub(super) bell: Arc<Doorbell>,
    /// Mail to ourselves; it takes no ring.
    pub(super) own: VecDeque<M>,
}

/// A thread's place among `shards` shards and a control thread.
pub(super) fn index_of(thread: Thread, shards: usize) -> usize {
    match thread {
        Thread::Shard(ShardId(number)) => usize::from(number),
        Thread::Control => shards,
    }
}

impl<M> Links<M> {
    fn link(&mut self, to: Thread) -> &mut Link<M> {
        let own = index_of(self.me, self.shards);
        let index = index_of(to, self.shards);
        assert!(index <= self.shards, "there is no thread {to:?} among {} shards", self.shards);
        // The thread itself has no link, so those behind it have moved up by one.
        &mut self.links[if index > own { index - 1 } else { index }]
    }

    pub(super) fn send(&mut self, to: Thread, mail: M) {
        if to == self.me {
            self.own.push_back(mail);
            return;
        }
        let from = self.me;
        let link = self.link(to);
        link.unannounced = true;
        assert!(link.outgoing.push(mail).is_ok(), "the mailbox from {from:?} to {to:?} is full: mail was sent without a credit");
    }

    pub(super) fn room(&mut self, to: Thread) -> usize {
        if to == self.me { usize::MAX } else { self.link(to).outgoing.room() }
    }

    /// Call `wake` for every peer that sleeps on mail we sent, with its place among the links.
    pub(super) fn ring_bells(&mut self, mut wake: impl FnMut(usize, &Doorbell)) {
        for (peer, link) in self.links.iter_mut().enumerate().filter(|(_, link)| link.unannounced) {
            link.unannounced = false;
            if link.bell.sleep.claim() {
                wake(peer, &link.bell);
            }
        }
    }

    /// Take up to `budget` pieces of mail from each peer. True if some may be left.
    pub(super) fn drain(&mut self, budget: usize, mut take: impl FnMut(Thread, M)) -> bool {
        let mut left = false;
        for _ in 0..self.own.len().min(budget) {
            if let Some(mail) = self.own.pop_front() {
                take(self.me, mail);
            }
        }
        for link in &mut self.links {
            let mut taken = 0;
            while taken < budget
                && let Some(mail) = link.incoming.pop()
            {
                take(link.peer, mail);
                taken += 1;
            }
            left |= taken == budget;
        }
        left || !self.own.is_empty()
    }

    pub(super) fn has_mail(&mut self) -> bool {
        !self.own.is_empty() || self.links.iter_mut().any(|link| !link.incoming.is_empty())
    }
}

/// A shard's mailboxes, consumed by its reactor.
pub struct ShardPostbox<M>(pub(super) Links<M>);

impl<M> ShardPostbox<M> {
    /// Whose it is.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        match self.0.me {
            Thread::Shard(shard) => shard,
            Thread::Control => unreachable!("the mesh makes shard postboxes for shards"),
        }
    }

    pub(crate) fn bell(&self) -> &Arc<Doorbell> {
        &self.0.bell
    }

    pub(crate) fn send(&mut self, to: Thread, mail: M) {
        self.0.send(to, mail);
    }

    pub(crate) fn ring_bells(&mut self, wake: impl FnMut(usize, &Doorbell)) {
        self.0.ring_bells(wake);
    }

    /// The doorbell of the peer at a place among the links.
    pub(crate) fn peer(&self, peer: usize) -> &Doorbell {
        &self.0.links[peer].bell
    }

    pub(crate) fn drain(&mut self, budget: usize, take: impl FnMut(Thread, M)) -> bool {
        self.0.drain(budget, take)
    }

    pub(crate) fn has_mail(&mut self) -> bool {
        self.0.has_mail()
    }
}
