//! How fast a cleaning may go: steps some time apart, and a limit of bytes a second.
//!
//! Invariant: over any stretch of time no more bytes are asked for than the limit allows, the last operation's left out.

use super::CompactionSettings;
use crate::Monotonic;

const NANOSECONDS: u128 = 1_000_000_000;

/// When the next step may be taken.
#[derive(Debug)]
pub(crate) struct Pace {
    step_interval_ns: u64,
    bytes_per_second: u64,
    next: Monotonic,
}

impl Pace {
    pub(crate) const fn new(settings: &CompactionSettings) -> Self {
        Self { step_interval_ns: settings.step_interval_ns, bytes_per_second: settings.io_bytes_per_second, next: Monotonic(0) }
    }

    /// From when on.
    pub(crate) const fn next(&self) -> Monotonic {
        self.next
    }

    /// A step was taken.
    pub(crate) fn stepped(&mut self, now: Monotonic) {
        self.next = self.next.max(Monotonic(now.0.saturating_add(self.step_interval_ns)));
    }

    /// So many bytes are read or written.
    pub(crate) fn moved(&mut self, now: Monotonic, bytes: u64) {
        if self.bytes_per_second == u64::MAX {
            return;
        }
        let rest_ns = u128::from(bytes) * NANOSECONDS / u128::from(self.bytes_per_second.max(1));
        let rest_ns = u64::try_from(rest_ns).unwrap_or(u64::MAX);
        self.next = Monotonic(self.next.max(now).0.saturating_add(rest_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time() {
        let settings = CompactionSettings { io_bytes_per_second: 1000, step_interval_ns: 7, ..CompactionSettings::default() };
        let mut pace = Pace::new(&settings);
        pace.stepped(Monotonic(5));
        assert_eq!(pace.next(), Monotonic(12));
        pace.moved(Monotonic(20), 500);
        assert_eq!(pace.next(), Monotonic(20 + 500_000_000));
        pace.moved(Monotonic(20), 250);
        assert_eq!(pace.next(), Monotonic(20 + 750_000_000));
        let mut free = Pace::new(&CompactionSettings::default());
        free.moved(Monotonic(1), u64::MAX);
        assert_eq!(free.next(), Monotonic(0));
    }
}
