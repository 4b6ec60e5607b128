//! How long to wait before trying again: doubling, with jitter, up to a limit.

use std::time::Duration;

use crate::partitioner::Random;

/// The waits between attempts at one thing.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
    random: Random,
}

impl Backoff {
    /// Kafka's: 100 ms, doubling to a second, each up to a fifth shorter or longer.
    #[must_use]
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest, random: Random::new() }
    }

    /// The next wait.
    pub(crate) fn wait(&mut self) -> Duration {
        let base = self.next.min(self.longest);
        self.next = base.saturating_mul(2);
        let percent = 80 + u32::try_from(self.random.below(41)).unwrap_or(20);
        base * percent / 100
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_limit_within_a_fifth() {
        let mut backoff = Backoff::default();
        for expected_ms in [100u64, 200, 400, 800, 1000, 1000] {
            let wait = backoff.wait();
            let (low, high) = (expected_ms * 80 / 100, expected_ms * 120 / 100);
            assert!((low..=high).contains(&u64::try_from(wait.as_millis()).unwrap()), "{expected_ms}: {wait:?}");
        }
    }
}
