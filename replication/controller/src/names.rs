//! Which names a topic may have, in Kafka's words.

use crate::refusal::{Reason, Refusal};
use alloc::format;
use alloc::string::String;

/// The longest name, in bytes (which are characters: only ASCII is legal).
pub const MAX_NAME_LENGTH: usize = 249;

/// Topics that belong to the broker itself.
pub const INTERNAL_TOPICS: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Whether the topic is one of the broker's own.
#[must_use]
pub fn is_internal(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// Checks a topic's name.
///
/// # Errors
/// [`Reason::InvalidTopic`], with Kafka's sentence.
pub fn check(name: &str) -> Result<(), Refusal> {
    let fault = if name.is_empty() {
        String::from("the empty string is not allowed")
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.len() > MAX_NAME_LENGTH {
        format!("the length of '{name}' is longer than the max allowed length {MAX_NAME_LENGTH}")
    } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
    } else {
        return Ok(());
    };
    Err(Refusal::new(Reason::InvalidTopic, format!("Topic name is invalid: {fault}")))
}
