//! How a sleeping thread is woken: a message to its ring, else its eventfd. Also carries the request to stop.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::event::{EventfdFlags, eventfd};

use super::Sleep;

/// What is known of a thread by everybody who writes to it.
#[derive(Debug)]
pub(crate) struct Doorbell {
    pub(crate) sleep: Sleep,
    stop: AtomicBool,
    eventfd: OwnedFd,
    /// The thread's ring, once it has one. A duplicate, so that it can never be another file's number.
    ring: OnceLock<OwnedFd>,
}

impl Doorbell {
    /// The bell of a thread that waits in a ring, which takes the eventfd's count by a read that waits, or of one that
    /// waits for readability and must never wait in a read.
    pub(super) fn new(waits_in_ring: bool) -> std::io::Result<Self> {
        let mut flags = EventfdFlags::CLOEXEC;
        flags.set(EventfdFlags::NONBLOCK, !waits_in_ring);
        Ok(Self { sleep: Sleep::default(), stop: AtomicBool::new(false), eventfd: eventfd(0, flags)?, ring: OnceLock::new() })
    }

    /// Make messages to `ring` another way to wake this thread.
    pub(crate) fn attach_ring(&self, ring: OwnedFd) {
        // A second ring for the same thread cannot be: a postbox is consumed by one reactor. The first would stay.
        let _ = self.ring.set(ring);
    }

    pub(crate) fn ring(&self) -> Option<&OwnedFd> {
        self.ring.get()
    }

    /// Wake by eventfd.
    pub(crate) fn write(&self) {
        // The counter cannot overflow (the sleeper resets it), and an interrupted write of eight bytes wrote nothing.
        while let Err(rustix::io::Errno::INTR) = rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes()) {}
    }

    /// Take back all wake-ups by eventfd, if there are any.
    pub(super) fn reset(&self) {
        let mut count = [0; 8];
        while let Err(rustix::io::Errno::INTR) = rustix::io::read(&self.eventfd, &mut count) {}
    }

    /// Whether the thread was asked to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        if self.sleep.claim() {
            self.write();
        }
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}

/// Asks all shards of a mesh to finish; each sees [`flumen_log::io::Event::Stop`] once.
#[derive(Clone, Debug)]
pub struct StopHandle {
    pub(super) bells: Arc<[Arc<Doorbell>]>,
}

impl StopHandle {
    /// Ask. May be called from any thread, and again.
    pub fn stop(&self) {
        for bell in self.bells.iter() {
            bell.stop();
        }
    }
}
