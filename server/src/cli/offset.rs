//! The grammar of `--offset`: where reading starts and where it ends.
//!
//! ```text
//! start  end  :end  +N  -N  N  N:  :N  A:B      offsets; N after the start, N before the end, N itself
//! @t  @t:  @:t  @t1:t2  @t1:end                  moments (see `moment`); t2 may be a duration from t1
//! ```
//! Ends are exclusive. `start`, `+N` and `-N` may also stand before a colon.

use super::moment::{duration_ms, moment};
use crate::digits;

/// Where reading starts in each partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// At the first record kept.
    Earliest,
    /// After the last record there is now.
    Latest,
    /// So many records after the first.
    AfterStart(i64),
    /// So many records before the end.
    BeforeEnd(i64),
    /// At this offset.
    At(i64),
    /// At the first record not older than this, in ms since 1970.
    Since(i64),
}

impl Start {
    /// The offset it is, where what it asked for is at `first`, or nowhere (−1), and the partition ends at `end`.
    #[must_use]
    pub fn offset(self, first: i64, end: i64) -> i64 {
        match self {
            Self::Earliest => first,
            Self::Latest => end,
            // As far as there are records: what comes next is read then.
            Self::AfterStart(count) => first.saturating_add(count).min(end.max(first)),
            Self::BeforeEnd(count) => end.saturating_sub(count).max(first),
            Self::At(offset) => offset,
            // Nothing that new yet.
            Self::Since(_) if first < 0 => end,
            Self::Since(_) => first,
        }
    }
}

/// Where reading ends in each partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Nowhere.
    Never,
    /// At the end there is when reading starts.
    CurrentEnd,
    /// Before this offset.
    Before(i64),
    /// Before the first record not older than this, in ms since 1970.
    Until(i64),
}

/// Start and end of reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// Where it starts.
    pub start: Start,
    /// Where it ends.
    pub stop: Stop,
}

impl Range {
    /// Reads what stands behind `--offset`.
    pub fn parse(text: &str, now_ms: i64) -> Result<Self, String> {
        match text.strip_prefix('@') {
            Some(times) => moments(times, now_ms),
            None => offsets(text),
        }
    }
}

fn offsets(text: &str) -> Result<Range, String> {
    let range = match text.split_once(':') {
        None => Range { start: start(text)?, stop: Stop::Never },
        Some((from, to)) => {
            if from.is_empty() && to.is_empty() {
                return Err(wrong(text));
            }
            Range {
                start: if from.is_empty() { Start::Earliest } else { start(from)? },
                stop: match to {
                    "" => Stop::Never,
                    "end" => Stop::CurrentEnd,
                    number => Stop::Before(digits::parse(number).ok_or_else(|| wrong(text))?),
                },
            }
        }
    };
    if let Range { start: Start::At(from), stop: Stop::Before(to) } = range
        && to < from
    {
        return Err(format!("the end {to} lies before the start {from}"));
    }
    Ok(range)
}

fn start(text: &str) -> Result<Start, String> {
    let parsed = match text {
        "start" | "oldest" | "earliest" => Some(Start::Earliest),
        "end" | "newest" | "latest" => Some(Start::Latest),
        _ => match text.as_bytes().first() {
            Some(b'+') => digits::parse(&text[1..]).map(Start::AfterStart),
            Some(b'-') => digits::parse(&text[1..]).map(Start::BeforeEnd),
            _ => digits::parse(text).map(Start::At),
        },
    };
    parsed.ok_or_else(|| wrong(text))
}

fn wrong(text: &str) -> String {
    format!("{text:?} is no offset: give start, end, :end, +N, -N, N, :N, A:B, @t, @:t or @t1:t2")
}

fn moments(text: &str, now_ms: i64) -> Result<Range, String> {
    // A moment may itself hold colons, so the whole comes first and then each colon in turn is tried as the divider.
    let whole = match moment(text) {
        Ok(at) => return Ok(Range { start: Start::Since(at.resolve(now_ms)), stop: Stop::Never }),
        Err(problem) => problem,
    };
    let mut problem = whole;
    for (at, _) in text.match_indices(':') {
        match between(&text[..at], &text[at + 1..], now_ms) {
            Ok(range) => return Ok(range),
            Err(found) => problem = found,
        }
    }
    Err(problem)
}

fn between(from: &str, to: &str, now_ms: i64) -> Result<Range, String> {
    if from.is_empty() && to.is_empty() {
        return Err(wrong("@:"));
    }
    let since = match from {
        "" => None,
        text => Some(moment(text)?.resolve(now_ms)),
    };
    let stop = match (to, since) {
        ("", _) => Stop::Never,
        ("end", _) => Stop::CurrentEnd,
        (text, Some(since)) if duration_ms(text).is_ok() => Stop::Until(since.saturating_add(duration_ms(text)?)),
        (text, _) => Stop::Until(moment(text)?.resolve(now_ms)),
    };
    if let (Some(since), Stop::Until(until)) = (since, stop)
        && until < since
    {
        return Err(format!("the end of @{from}:{to} lies before its start"));
    }
    Ok(Range { start: since.map_or(Start::Earliest, Start::Since), stop })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const HOUR: i64 = 3_600_000;
    const VALENTINE: i64 = 1_644_796_800_000;

    fn parsed(text: &str) -> (Start, Stop) {
        let range = Range::parse(text, NOW).unwrap_or_else(|problem| panic!("{text}: {problem}"));
        (range.start, range.stop)
    }

    #[test]
    fn offsets_of_every_form() {
        assert_eq!(parsed("start"), (Start::Earliest, Stop::Never));
        assert_eq!(parsed("end"), (Start::Latest, Stop::Never));
        assert_eq!(parsed(":end"), (Start::Earliest, Stop::CurrentEnd));
        assert_eq!(parsed("+3"), (Start::AfterStart(3), Stop::Never));
        assert_eq!(parsed("-3"), (Start::BeforeEnd(3), Stop::Never));
        assert_eq!(parsed("47"), (Start::At(47), Stop::Never));
        assert_eq!(parsed("47:"), (Start::At(47), Stop::Never));
        assert_eq!(parsed(":47"), (Start::Earliest, Stop::Before(47)));
        assert_eq!(parsed("3:47"), (Start::At(3), Stop::Before(47)));
        assert_eq!(parsed("-5:end"), (Start::BeforeEnd(5), Stop::CurrentEnd));
        assert_eq!(parsed("start:end"), (Start::Earliest, Stop::CurrentEnd));
    }

    #[test]
    fn moments_of_every_form() {
        assert_eq!(parsed("@1644796800000"), (Start::Since(VALENTINE), Stop::Never));
        assert_eq!(parsed("@1644796800:"), (Start::Since(VALENTINE), Stop::Never));
        assert_eq!(parsed("@:1644796800"), (Start::Earliest, Stop::Until(VALENTINE)));
        assert_eq!(parsed("@2022-02-14:1h"), (Start::Since(VALENTINE), Stop::Until(VALENTINE + HOUR)));
        assert_eq!(parsed("@-48h:-24h"), (Start::Since(NOW - 48 * HOUR), Stop::Until(NOW - 24 * HOUR)));
        assert_eq!(parsed("@-1m:end"), (Start::Since(NOW - 60_000), Stop::CurrentEnd));
        assert_eq!(parsed("@:-1hr"), (Start::Earliest, Stop::Until(NOW - HOUR)));
        assert_eq!(
            parsed("@2022-02-14T00:00:00Z:2022-02-14T01:00:00Z"),
            (Start::Since(VALENTINE), Stop::Until(VALENTINE + HOUR))
        );
        assert_eq!(parsed("@2022-02-14T01:00:00Z"), (Start::Since(VALENTINE + HOUR), Stop::Never));
    }

    #[test]
    fn starts_lie_between_the_ends() {
        assert_eq!(Start::AfterStart(3).offset(10, 20), 13);
        assert_eq!(Start::AfterStart(30).offset(10, 20), 20);
        assert_eq!(Start::BeforeEnd(3).offset(10, 20), 17);
        assert_eq!(Start::BeforeEnd(30).offset(10, 20), 10);
        assert_eq!((Start::Since(NOW).offset(12, 20), Start::Since(NOW).offset(-1, 20)), (12, 20));
        assert_eq!((Start::Earliest.offset(10, 20), Start::Latest.offset(10, 20), Start::At(99).offset(0, 20)), (10, 20, 99));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for wrong in ["", ":", "x", "--3", "+-3", "3:x", "9:3", "@", "@:", "@12", "@-24h:-48h", "@end", "1:2:3"] {
            let problem = Range::parse(wrong, NOW).expect_err(wrong);
            assert!(!problem.is_empty(), "{wrong}");
        }
        assert!(Range::parse("9:3", NOW).expect_err("9:3").contains("before the start"));
    }
}
