//! The control thread's end: no ring and no runtime, only a file descriptor to wait for.

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::Arc,
};

use flumen_log::{ShardId, io::Thread};

use super::{Doorbell, StopHandle, postbox::Links};

/// The control thread's mailboxes.
///
/// To wait in an async runtime: register [`Self::waiter`] for readability once, then
/// ```text
/// loop {
///     postbox.drain(|from, mail| …);
///     if postbox.announce_sleep() {
///         readable().await;      // e.g. tokio's AsyncFd, then clear its readiness
///         postbox.woke();
///     }
/// }
/// ```
/// A `send` may happen at any time between.
pub struct ControlPostbox<M> {
    pub(super) links: Links<M>,
    pub(super) stop: StopHandle,
}

/// The file descriptor that becomes readable when a sleeping control thread has mail.
#[derive(Clone, Debug)]
pub struct Waiter(Arc<Doorbell>);

impl AsFd for Waiter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        Doorbell::as_fd(&self.0)
    }
}

impl AsRawFd for Waiter {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<M> ControlPostbox<M> {
    /// How many shards there are.
    #[must_use]
    pub const fn shards(&self) -> usize {
        self.links.shards
    }

    /// How many more pieces of mail to `shard` fit.
    pub fn room(&mut self, shard: ShardId) -> usize {
        self.links.room(Thread::Shard(shard))
    }

    /// Write to a shard and wake it if it sleeps.
    ///
    /// # Panics
    /// If its mailbox is full: the caller keeps count of what it has outstanding, see [`Self::room`].
    pub fn send(&mut self, shard: ShardId, mail: M) {
        self.links.send(Thread::Shard(shard), mail);
        self.links.ring_bells(|_, bell| bell.write());
    }

    /// Take all mail there is, with who sent it.
    pub fn drain(&mut self, mut take: impl FnMut(ShardId, M)) {
        // Bounded, so that shards that write without end do not keep the caller here.
        const BUDGET: usize = 1024;
        self.links.drain(BUDGET, |from, mail| {
            if let Thread::Shard(shard) = from {
                take(shard, mail);
            }
        });
    }

    /// Announce that the thread is about to wait. True if it may: [`Self::waiter`] becomes readable with the next mail.
    /// False if there is mail already.
    pub fn announce_sleep(&mut self) -> bool {
        let bell = Arc::clone(&self.links.bell);
        bell.sleep.announce(|| self.links.has_mail())
    }

    /// After [`Self::waiter`] became readable: take the wake-up back.
    pub fn woke(&mut self) {
        self.links.bell.reset();
        self.links.bell.sleep.woke();
    }

    /// What to wait for.
    #[must_use]
    pub fn waiter(&self) -> Waiter {
        Waiter(Arc::clone(&self.links.bell))
    }

    /// Asks the shards to finish.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }
}
