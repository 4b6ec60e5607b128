//! How a timestamp is written: as a number of milliseconds, by `strftime`, or in the manner of Go's `time` package.
//! Always UTC.

use std::fmt::Write;

use time::OffsetDateTime;

use super::delimited;
use super::number::NumberForm;

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The ways.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DateForm {
    /// Milliseconds since 1970.
    Number(NumberForm),
    /// C's conversions.
    Strftime(String),
    /// Go's reference time, `2006-01-02 15:04:05`.
    Go(String),
}

impl DateForm {
    /// Reads what stands in the braces.
    pub fn parse(modifier: &str) -> Result<Self, String> {
        if let Some(pattern) = delimited(modifier, "strftime") {
            let epoch = OffsetDateTime::UNIX_EPOCH;
            strftime(pattern, epoch, &mut String::new())?;
            return Ok(Self::Strftime(pattern.to_owned()));
        }
        if let Some(layout) = delimited(modifier, "go") {
            return Ok(Self::Go(layout.to_owned()));
        }
        NumberForm::parse(modifier)
            .map(Self::Number)
            .map_err(|_| format!("{modifier:?} is no way to write a time: there are strftime[...], go[...] and those of numbers"))
    }

    /// Appends `timestamp_ms`; one outside the calendar as its number.
    pub fn write(&self, timestamp_ms: i64, out: &mut Vec<u8>) {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(timestamp_ms) * 1_000_000).ok();
        let mut text = String::new();
        match (self, at) {
            (Self::Number(form), _) => return form.write(timestamp_ms, out),
            (Self::Strftime(pattern), Some(at)) => {
                strftime(pattern, at, &mut text).expect("the pattern was tried when it was read");
            }
            (Self::Go(layout), Some(at)) => go(layout, at, &mut text),
            (_, None) => return NumberForm::Ascii.write(timestamp_ms, out),
        }
        out.extend_from_slice(text.as_bytes());
    }
}

fn day_of_week(at: OffsetDateTime) -> &'static str {
    DAYS[usize::from(at.weekday().number_days_from_sunday())]
}

fn month(at: OffsetDateTime) -> &'static str {
    MONTHS[usize::from(u8::from(at.month())) - 1]
}

fn hour12(at: OffsetDateTime) -> u8 {
    match at.hour() % 12 {
        0 => 12,
        hour => hour,
    }
}

fn half(at: OffsetDateTime) -> &'static str {
    if at.hour() < 12 { "AM" } else { "PM" }
}

fn strftime(pattern: &str, at: OffsetDateTime, out: &mut String) -> Result<(), String> {
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let conversion = characters.next().ok_or("strftime's pattern ends in a single %")?;
        let (year, number) = (at.year(), u8::from(at.month()));
        let written = match conversion {
            'Y' => write!(out, "{year:04}"),
            'C' => write!(out, "{:02}", year.div_euclid(100)),
            'y' => write!(out, "{:02}", year.rem_euclid(100)),
            'm' => write!(out, "{number:02}"),
            'd' => write!(out, "{:02}", at.day()),
            'e' => write!(out, "{:2}", at.day()),
            'H' => write!(out, "{:02}", at.hour()),
            'I' => write!(out, "{:02}", hour12(at)),
            'M' => write!(out, "{:02}", at.minute()),
            'S' => write!(out, "{:02}", at.second()),
            'L' => write!(out, "{:03}", at.millisecond()),
            'f' => write!(out, "{:06}", at.microsecond()),
            'j' => write!(out, "{:03}", at.ordinal()),
            'u' => write!(out, "{}", at.weekday().number_from_monday()),
            'w' => write!(out, "{}", at.weekday().number_days_from_sunday()),
            's' => write!(out, "{}", at.unix_timestamp()),
            'a' => write!(out, "{}", &day_of_week(at)[..3]),
            'A' => write!(out, "{}", day_of_week(at)),
            'b' | 'h' => write!(out, "{}", &month(at)[..3]),
            'B' => write!(out, "{}", month(at)),
            'p' => write!(out, "{}", half(at)),
            'z' => write!(out, "+0000"),
            'Z' => write!(out, "UTC"),
            'n' => writeln!(out),
            't' => write!(out, "\t"),
            '%' => write!(out, "%"),
            'F' => return_to(out, "%Y-%m-%d", at),
            'T' | 'X' => return_to(out, "%H:%M:%S", at),
            'R' => return_to(out, "%H:%M", at),
            'r' => return_to(out, "%I:%M:%S %p", at),
            'D' | 'x' => return_to(out, "%m/%d/%y", at),
            'c' => return_to(out, "%a %b %e %H:%M:%S %Y", at),
            other => return Err(format!("strftime does not know %{other}")),
        };
        written.expect("writing to a String does not fail");
    }
    Ok(())
}

/// One conversion that stands for several.
fn return_to(out: &mut String, pattern: &str, at: OffsetDateTime) -> std::fmt::Result {
    strftime(pattern, at, out).map_err(|_| std::fmt::Error)
}

/// Go's layout elements, longer before shorter where one begins another.
const LAYOUT: [&str; 27] = [
    "January", "Jan", "Monday", "Mon", "MST", "2006", "Z07:00", "Z0700", "-07:00", "-0700", "-07", "002", "01", "02", "03", "04",
    "05", "06", "15", "_2", "PM", "pm", "1", "2", "3", "4", "5",
];

fn go(layout: &str, at: OffsetDateTime, out: &mut String) {
    let mut rest = layout;
    while let Some(character) = rest.chars().next() {
        if let Some(digits) = fraction(rest) {
            go_fraction(&rest[..=digits], at, out);
            rest = &rest[1 + digits..];
        } else if let Some(element) = LAYOUT.iter().find(|element| rest.starts_with(**element)) {
            go_element(element, at, out);
            rest = &rest[element.len()..];
        } else {
            out.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
}

/// The digits of `.000` or `,999`, if those stand here and no other digit follows.
fn fraction(text: &str) -> Option<usize> {
    let digits = text.strip_prefix(['.', ','])?;
    let first = digits.bytes().next().filter(|digit| matches!(digit, b'0' | b'9'))?;
    let count = digits.bytes().take_while(|digit| *digit == first).count();
    (count <= 9 && !digits[count..].starts_with(|next: char| next.is_ascii_digit())).then_some(count)
}

fn go_fraction(layout: &str, at: OffsetDateTime, out: &mut String) {
    let nanos = format!("{:09}", at.nanosecond());
    let digits = &nanos[..layout.len() - 1];
    if layout.ends_with('9') {
        // Nines leave trailing zeros away, and the point with the last of them.
        let kept = digits.trim_end_matches('0');
        if !kept.is_empty() {
            out.push_str(&layout[..1]);
            out.push_str(kept);
        }
    } else {
        out.push_str(&layout[..1]);
        out.push_str(digits);
    }
}

fn go_element(element: &str, at: OffsetDateTime, out: &mut String) {
    let number = u8::from(at.month());
    let written = match element {
        "January" => write!(out, "{}", month(at)),
        "Jan" => write!(out, "{}", &month(at)[..3]),
        "Monday" => write!(out, "{}", day_of_week(at)),
        "Mon" => write!(out, "{}", &day_of_week(at)[..3]),
        "MST" => write!(out, "UTC"),
        "2006" => write!(out, "{:04}", at.year()),
        "06" => write!(out, "{:02}", at.year().rem_euclid(100)),
        "Z07:00" | "Z0700" => write!(out, "Z"),
        "-07:00" => write!(out, "+00:00"),
        "-0700" => write!(out, "+0000"),
        "-07" => write!(out, "+00"),
        "002" => write!(out, "{:03}", at.ordinal()),
        "01" => write!(out, "{number:02}"),
        "1" => write!(out, "{number}"),
        "02" => write!(out, "{:02}", at.day()),
        "_2" => write!(out, "{:2}", at.day()),
        "2" => write!(out, "{}", at.day()),
        "15" => write!(out, "{:02}", at.hour()),
        "03" => write!(out, "{:02}", hour12(at)),
        "3" => write!(out, "{}", hour12(at)),
        "04" => write!(out, "{:02}", at.minute()),
        "4" => write!(out, "{}", at.minute()),
        "05" => write!(out, "{:02}", at.second()),
        "5" => write!(out, "{}", at.second()),
        "PM" => write!(out, "{}", half(at)),
        _ => write!(out, "{}", half(at).to_lowercase()),
    };
    written.expect("writing to a String does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2022-02-04T15:07:08.250Z, a Friday.
    const AT: i64 = 1_643_987_228_250;

    fn written(form: &str, at: i64) -> String {
        let mut out = Vec::new();
        DateForm::parse(form).unwrap().write(at, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strftime_conversions() {
        assert_eq!(written("strftime[%F]", AT), "2022-02-04");
        assert_eq!(written("strftime###[%F %T.%L]###", AT), "[2022-02-04 15:07:08.250]");
        assert_eq!(
            written("strftime[%a %A %b %B %e %I %p %y %j %s %Z%z %%]", AT),
            "Fri Friday Feb February  4 03 PM 22 035 1643987228 UTC+0000 %"
        );
        assert_eq!(written("strftime[%c|%D|%R|%r]", AT), "Fri Feb  4 15:07:08 2022|02/04/22|15:07|03:07:08 PM");
        assert!(DateForm::parse("strftime[%Q]").is_err());
        assert!(DateForm::parse("strftime[%]").is_err());
    }

    #[test]
    fn go_layouts() {
        assert_eq!(written("go[2006-01-02T15:04:05Z07:00]", AT), "2022-02-04T15:07:08Z");
        assert_eq!(written("go[2006-01-02T15:04:05.000-07:00]", AT), "2022-02-04T15:07:08.250+00:00");
        assert_eq!(written("go[15:04:05.999999999]", AT), "15:07:08.25");
        assert_eq!(written("go[15:04:05.999]", AT - 250), "15:07:08");
        assert_eq!(written("go[Mon Jan _2 3:04PM 06 MST, Monday 2 January]", AT), "Fri Feb  4 3:07PM 22 UTC, Friday 4 February");
    }

    #[test]
    fn numbers_and_moments_outside_the_calendar() {
        assert_eq!(written("ascii", AT), AT.to_string());
        assert_eq!(written("hex8", 255), "ff");
        assert_eq!(written("strftime[%F]", i64::MAX), i64::MAX.to_string());
        assert_eq!(written("strftime[%F]", -1), "1969-12-31");
        assert!(DateForm::parse("rfc3339").is_err());
    }
}
