//! The control run of the crash test, never part of a release (`--cfg control_early_ack`): acknowledgements go out before
//! anything is written, and writes are held back. A crash test that does not notice the loss proves nothing.

use flumen_log::Monotonic;

/// How long writes are held back.
const HOLD_MS: u64 = 75;

/// When the writes held back may go.
#[derive(Debug, Default)]
pub(super) struct HeldWrites {
    until: Option<Monotonic>,
}

impl HeldWrites {
    /// Whether the turn's writes stay where they are.
    pub(super) fn hold(&mut self, now: Monotonic) -> bool {
        let until = *self.until.get_or_insert(now.after_ms(HOLD_MS));
        if now >= until {
            self.until = None;
        }
        now < until
    }

    /// When to look again.
    pub(super) const fn deadline(&self) -> Option<Monotonic> {
        self.until
    }
}
