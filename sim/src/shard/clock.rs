//! The broker's wall clock, which somebody may set, and how late a broker may believe it is.
//!
//! Clients have the right time. What the broker may believe is bounded from above as it promises ([`SteadyWall`]): the first reading
//! of all, time that has passed since, and leaps so small that clocks are corrected by as much all the time.

use flumen_log::{SteadyWall, Timestamp};

use crate::random::Random;

const HOUR_MS: u64 = 3_600_000;
const YEAR_MS: u64 = 8_760 * HOUR_MS;
/// By how much a clock may be wrong when a process starts that has nothing to hold it against: less than anything is forgotten after.
const WRONG_AT_START_MS: i64 = 10 * 3_600_000;

/// How far the clock is off, and what may be believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// What the broker's clock is ahead of the right time.
    ahead_ms: i64,
    believed: Timestamp,
}

impl Clock {
    pub(super) const fn new(wall: Timestamp) -> Self {
        Self { ahead_ms: 0, believed: wall }
    }

    /// The right time, when the broker's clock shows this.
    pub(super) const fn right(&self, wall: Timestamp) -> Timestamp {
        Timestamp(wall.0 - self.ahead_ms)
    }

    /// No later than this may the broker think it is.
    pub(super) const fn believed(&self) -> Timestamp {
        self.believed
    }

    /// Time has passed: the broker's clock shows this now.
    pub(super) fn passed(&mut self, passed_ms: i64, wall: Timestamp) {
        self.believed.0 += passed_ms;
        if wall.0 <= self.believed.0 + SteadyWall::SLACK_MS {
            self.believed = self.believed.max(wall);
        }
    }

    /// A process starts. Where an earlier one has written down what it believed, the first reading is held against that; where none
    /// has, it is believed. What the clock shows then.
    pub(super) fn start(&mut self, wall: Timestamp, corrected: bool, has_record: bool) -> Timestamp {
        if has_record {
            let ahead_ms = if corrected { 0 } else { self.ahead_ms };
            return self.set_ahead(wall, ahead_ms);
        }
        let ahead_ms = if corrected { 0 } else { self.ahead_ms.clamp(-WRONG_AT_START_MS, WRONG_AT_START_MS) };
        self.believed = self.set_ahead(wall, ahead_ms);
        self.believed
    }

    /// Somebody sets the clock: far ahead, a little ahead, back, or right. What it shows then.
    pub(super) fn set(&mut self, wall: Timestamp, random: &mut Random) -> Timestamp {
        let ahead_ms = match random.below(6) {
            0 | 1 => 0,
            2 => HOUR_MS + random.below(10 * YEAR_MS),
            3 => HOUR_MS + random.below(24 * HOUR_MS),
            4 => random.below(60_000),
            _ => return self.set_ahead(wall, -i64::try_from(random.below(10 * HOUR_MS)).unwrap_or_default()),
        };
        self.set_ahead(wall, i64::try_from(ahead_ms).unwrap_or_default())
    }

    fn set_ahead(&mut self, wall: Timestamp, ahead_ms: i64) -> Timestamp {
        let shown = Timestamp(self.right(wall).0 + ahead_ms);
        self.ahead_ms = ahead_ms;
        self.passed(0, shown);
        shown
    }
}
