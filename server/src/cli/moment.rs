//! Moments and durations as people type them: `1700000000000`, `1700000000`, `2022-02-14`, RFC 3339, `-48h`, `1m3ms`.
//!
//! Times are milliseconds since 1970 in UTC. The caller says what time it is now; nothing here reads a clock.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// A moment as typed: on the calendar, or so far from now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// Milliseconds since 1970.
    At(i64),
    /// This many milliseconds before now.
    Ago(i64),
}

impl Moment {
    /// The moment in milliseconds since 1970.
    #[must_use]
    pub fn resolve(self, now_ms: i64) -> i64 {
        match self {
            Self::At(at) => at,
            Self::Ago(before) => now_ms.saturating_sub(before),
        }
    }
}

/// Reads one moment.
pub fn moment(text: &str) -> Result<Moment, String> {
    if let Some(ago) = text.strip_prefix('-') {
        return duration_ms(ago).map(Moment::Ago);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        let number: i64 = text.parse().map_err(|_| format!("the time {text} is too large"))?;
        return match text.len() {
            13 => Ok(Moment::At(number)),
            9 | 10 => Ok(Moment::At(number * 1000)),
            _ => Err(format!("{text} is neither seconds (9 or 10 digits) nor milliseconds (13 digits) since 1970")),
        };
    }
    if let Ok(date) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
        return Ok(Moment::At(milliseconds(date.midnight().assume_utc())));
    }
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(Moment::At(milliseconds(at)));
    }
    Err(format!("{text:?} is no time: give 13 digits (ms), 10 digits (s), 2022-02-14, 2022-02-14T10:00:00Z or -1h30m"))
}

fn milliseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).expect("the calendar's years fit 64 bits of ms")
}

/// Reads a duration of one or more numbers with units: `3ms`, `10s`, `9m`, `1h`, `2d`, `1m3ms`.
pub fn duration_ms(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no duration: give numbers with ms, s, m, h or d, as in 90s or 1h30m");
    let mut rest = text;
    let mut total: i64 = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit_ms = match &rest[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" | "hr" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        rest = &rest[letters..];
        total = number.checked_mul(unit_ms).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
    }
    Ok(total)
}

/// [`duration_ms`] for flags.
pub fn duration(text: &str) -> Result<Duration, String> {
    duration_ms(text).map(|ms| Duration::from_millis(ms.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_a_moment() {
        let valentine = 1_644_796_800_000;
        assert_eq!(moment("1644796800000"), Ok(Moment::At(valentine)));
        assert_eq!(moment("1644796800"), Ok(Moment::At(valentine)));
        assert_eq!(moment("999999999"), Ok(Moment::At(999_999_999_000)));
        assert_eq!(moment("2022-02-14"), Ok(Moment::At(valentine)));
        assert_eq!(moment("2022-02-14T01:00:00Z"), Ok(Moment::At(valentine + 3_600_000)));
        assert_eq!(moment("2022-02-14T01:00:00.250+01:00"), Ok(Moment::At(valentine + 250)));
        assert_eq!(moment("-1m3ms"), Ok(Moment::Ago(60_003)));
        assert_eq!(moment("-1hr").map(|ago| ago.resolve(5_000_000)), Ok(1_400_000));
    }

    #[test]
    fn refuses_what_is_no_moment_and_says_what_is() {
        for wrong in ["", "12", "12345678901", "yesterday", "-", "-5", "-5x", "2022-13-01", "99999999999999999999"] {
            let problem = moment(wrong).expect_err(wrong);
            assert!(!problem.is_empty());
        }
        assert!(duration_ms("9223372036854775807d").is_err());
    }

    #[test]
    fn reads_durations() {
        assert_eq!(duration_ms("3ms"), Ok(3));
        assert_eq!(duration_ms("10s"), Ok(10_000));
        assert_eq!(duration_ms("1h30m"), Ok(5_400_000));
        assert_eq!(duration("2d"), Ok(Duration::from_hours(48)));
    }
}
