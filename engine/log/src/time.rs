//! Two clocks that are never mixed: one that only moves forward, for deadlines, and the wall's, for timestamps.

use core::fmt;

/// Nanoseconds on a clock that never goes back. Its zero means nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// The moment `milliseconds` later.
    #[must_use]
    pub const fn after_ms(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds.saturating_mul(1_000_000)))
    }

    /// Whole milliseconds since `earlier`, zero if that lies ahead.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000_000
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z on the wall clock: timestamps, retention, expiry; never safety.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// What Kafka writes where there is no timestamp.
    pub const NONE: Self = Self(-1);
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Both clocks, read once a turn by the hands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// For deadlines.
    pub monotonic: Monotonic,
    /// For timestamps.
    pub wall: Timestamp,
}

/// The wall clock, believed only as far as the other one bears it out: what deletes by age goes by it.
///
/// A wall clock that goes back is believed at once, for nothing is deleted by that. One that leaps ahead of the time that has
/// passed is believed only after it has stayed there for [`SteadyWall::GRACE_MS`]; until then time goes on as if it had not
/// leapt. So a clock set wrong for a while deletes nothing, and one set right is followed in the end. The first reading of a process
/// is held against what the one before wrote down: nobody can tell how long nobody was there, so after a long pause, too, it is
/// believed after the same while. Where nothing was written down it is believed at once; it is the one recovery is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SteadyWall {
    reached: Option<Now>,
    ahead_since: Option<Monotonic>,
    latest: Timestamp,
}

impl SteadyWall {
    /// How long a wall clock must stay ahead before it is believed.
    pub const GRACE_MS: u64 = 3_600_000;
    /// How far it may be ahead without being doubted: clocks are corrected by little all the time.
    pub const SLACK_MS: i64 = 60_000;

    /// It was `wall` when it was last looked at, before this process; it is `monotonic` now.
    #[must_use]
    pub const fn resumed(wall: Timestamp, monotonic: Monotonic) -> Self {
        Self { reached: Some(Now { monotonic, wall }), ahead_since: None, latest: wall }
    }

    /// The latest time that was believed in this process, or by the one before when it ended: what is to stay for a while stays for that while from then on, though the clock went
    /// back meanwhile and may be set right again.
    #[must_use]
    pub const fn latest(&self) -> Timestamp {
        self.latest
    }

    /// What time it is, as far as that is to be believed.
    pub fn observe(&mut self, now: Now) -> Timestamp {
        let passed_ms = self.reached.map_or(0, |reached| now.monotonic.ms_since(reached.monotonic));
        let expected = self
            .reached
            .map_or(now.wall, |reached| Timestamp(reached.wall.0.saturating_add(i64::try_from(passed_ms).unwrap_or(i64::MAX))));
        let leapt = now.wall.0 > expected.0.saturating_add(Self::SLACK_MS);
        if !leapt {
            self.ahead_since = None;
        }
        let since = leapt.then(|| *self.ahead_since.get_or_insert(now.monotonic));
        let doubted = since.is_some_and(|since| now.monotonic.ms_since(since) < Self::GRACE_MS);
        let wall = if doubted { expected } else { now.wall };
        // Only whole milliseconds are counted, so that looking often loses none.
        if !doubted || passed_ms > 0 {
            self.reached = Some(Now { wall, ..now });
        }
        self.latest = self.latest.max(wall);
        wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, wall: i64) -> Now {
        Now { monotonic: Monotonic(0).after_ms(seconds * 1000), wall: Timestamp(wall * 1000) }
    }

    #[test]
    fn the_latest_time_is_remembered_though_the_clock_goes_back() {
        let mut steady = SteadyWall::default();
        steady.observe(at(0, 1_000_000));
        assert_eq!(steady.observe(at(1, 10)), Timestamp(10_000));
        assert_eq!(steady.latest(), Timestamp(1_000_000_000));
        assert_eq!(SteadyWall::resumed(Timestamp(7), Monotonic(0)).latest(), Timestamp(7));
    }

    #[test]
    fn a_steady_clock_is_believed() {
        let mut steady = SteadyWall::default();
        for second in [5, 6, 7, 1000, 100_000] {
            assert_eq!(steady.observe(at(second, 77 + second as i64)).0 / 1000, 77 + second as i64);
        }
        assert_eq!(steady.observe(at(100_001, 50)), Timestamp(50_000), "one that goes back, too");
    }

    #[test]
    fn a_leap_ahead_is_believed_only_after_a_while() {
        let mut steady = SteadyWall::default();
        steady.observe(at(0, 1000));
        for second in 1..3600 {
            assert_eq!(steady.observe(at(second, 1_000_000)), at(0, 1000 + second as i64).wall);
        }
        assert_eq!(steady.observe(at(3601, 1_000_000)), Timestamp(1_000_000_000));
    }

    #[test]
    fn a_first_reading_is_held_against_what_was_written_down() {
        let mut steady = SteadyWall::resumed(Timestamp(1_000_000), at(5, 0).monotonic);
        assert_eq!(steady.observe(at(5, 1_030)), Timestamp(1_030_000), "a short pause");
        let mut steady = SteadyWall::resumed(Timestamp(1_000_000), at(5, 0).monotonic);
        assert_eq!(steady.observe(at(6, 9_000_000)), Timestamp(1_001_000));
        assert_eq!(steady.observe(at(3606, 9_003_600)), Timestamp(9_003_600_000));
        let mut steady = SteadyWall::resumed(Timestamp(1_000_000), at(5, 0).monotonic);
        assert_eq!(steady.observe(at(6, 500)), Timestamp(500_000), "one that goes back");
    }

    #[test]
    fn a_leap_taken_back_never_was() {
        let mut steady = SteadyWall::default();
        steady.observe(at(0, 1000));
        assert_eq!(steady.observe(at(3000, 1_000_000)), at(0, 4000).wall);
        assert_eq!(steady.observe(at(3001, 4001)), at(0, 4001).wall);
        assert_eq!(steady.observe(at(4000, 1_000_000)), at(0, 5000).wall, "the time it has to wait begins anew");
    }
}
