//! Between turns: look around for a moment, then sleep in the ring.

use flumen_log::Monotonic;

use super::Reactor;
use crate::clock;

impl<Mail: Send + 'static> Reactor<Mail> {
    /// Return when there is something to do, or the deadline has come.
    pub(super) fn rest(&mut self, deadline: Option<Monotonic>) {
        let work_left = self.busy || self.network.has_sendable() || self.files.must_restart();
        if work_left || self.ring.is_ready() || self.postbox.has_mail() {
            // Lets the kernel finish what it deferred.
            return self.ring.submit();
        }
        if self.look_around() {
            return self.ring.submit();
        }
        let patience = self.patience(deadline);
        if patience.is_some_and(|patience| patience.is_zero()) {
            return self.ring.submit();
        }
        let bell = std::sync::Arc::clone(self.postbox.bell());
        let stop_told = self.stop_told;
        let postbox = &mut self.postbox;
        if bell.sleep.announce(|| postbox.has_mail() || (!stop_told && bell.is_stopped())) {
            self.ring.wait(patience);
            bell.sleep.woke();
        }
    }

    /// Watch the ring and the mail for a few microseconds. True if there is something.
    fn look_around(&mut self) -> bool {
        let spin_ns = u64::try_from(self.settings.spin.as_nanos()).unwrap_or(u64::MAX);
        let until_ns = clock::monotonic().0.saturating_add(spin_ns);
        while clock::monotonic().0 < until_ns {
            for _ in 0..16 {
                if self.ring.is_ready() || self.postbox.has_mail() {
                    return true;
                }
                std::hint::spin_loop();
            }
        }
        false
    }
}
