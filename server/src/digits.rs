//! Numbers that people write.

use std::str::FromStr;

/// A number of digits alone, where its own parser would take a sign.
pub(crate) fn parse<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
