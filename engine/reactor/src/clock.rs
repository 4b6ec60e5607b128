//! Both clocks, read together once a turn.

use flumen_log::{Monotonic, Now, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// The moment by `CLOCK_MONOTONIC` and by the wall clock.
#[must_use]
pub fn now() -> Now {
    Now { monotonic: monotonic(), wall: wall() }
}

/// The moment by `CLOCK_MONOTONIC`, in nanoseconds.
#[must_use]
pub fn monotonic() -> Monotonic {
    let time = clock_gettime(ClockId::Monotonic);
    // Neither part is ever negative on this clock.
    Monotonic(time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs())
}

/// The wall clock, in milliseconds.
#[must_use]
pub fn wall() -> Timestamp {
    let time = clock_gettime(ClockId::Realtime);
    Timestamp(time.tv_sec * 1_000 + time.tv_nsec / 1_000_000)
}
