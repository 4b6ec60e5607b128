//! The handshake between a thread that wants to sleep and those that write to it.
//!
//! The sleeper announces, then looks at its mail once more; the writer puts the mail in, then looks whether the other has
//! announced. A full fence between the two steps on each side makes it impossible that both look too early, so no wake-up
//! is lost, and while the other side is awake a wake-up is a fence and a load. The first model of `loom-tests`.

#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering, fence};

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering, fence};

/// Whether one thread sleeps.
#[derive(Debug)]
pub struct Sleep {
    asleep: AtomicBool,
    /// A model leaves the fences out on purpose.
    #[cfg(loom)]
    fenceless: bool,
}

impl Default for Sleep {
    fn default() -> Self {
        Self {
            asleep: AtomicBool::new(false),
            #[cfg(loom)]
            fenceless: false,
        }
    }
}

impl Sleep {
    /// Broken on purpose.
    #[cfg(loom)]
    #[must_use]
    pub fn without_fences() -> Self {
        Self { asleep: AtomicBool::new(false), fenceless: true }
    }

    fn fence(&self) {
        #[cfg(loom)]
        if self.fenceless {
            return;
        }
        fence(Ordering::SeqCst);
    }

    /// The sleeper: announce, and look once more. True if `has_mail` saw none: now wait for a wake-up. Call
    /// [`Self::woke`] afterwards.
    pub fn announce(&self, has_mail: impl FnOnce() -> bool) -> bool {
        // A swap, not a store, here and below: it reads what came before it, which puts all changes into one order.
        self.asleep.swap(true, Ordering::Relaxed);
        self.fence();
        if has_mail() {
            self.woke();
            return false;
        }
        true
    }

    /// The sleeper: awake again, for whatever reason.
    pub fn woke(&self) {
        self.asleep.swap(false, Ordering::Relaxed);
    }

    /// A writer, after it put mail in: whether it has to wake the sleeper. Of several writers one is told so.
    #[must_use]
    pub fn claim(&self) -> bool {
        self.fence();
        self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed)
    }
}
