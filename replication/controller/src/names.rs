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

/// The existing topic whose name cannot be told from `name` where '.' becomes '_' (metrics), if there is one.
#[must_use]
pub fn collision<'a>(name: &str, existing: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if !name.contains(['.', '_']) {
        return None;
    }
    let plain = |byte: u8| if byte == b'.' { b'_' } else { byte };
    let mut existing = existing;
    existing.find(|other| *other != name && other.bytes().map(plain).eq(name.bytes().map(plain)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    fn sentence(name: &str) -> String {
        check(name).expect_err("an illegal name").to_string()
    }

    #[test]
    fn illegal_names_are_refused_in_kafkas_words() {
        assert_eq!(sentence(""), "Topic name is invalid: the empty string is not allowed");
        assert_eq!(sentence("."), "Topic name is invalid: '.' is not allowed");
        assert_eq!(sentence(".."), "Topic name is invalid: '..' is not allowed");
        let long = "a".repeat(250);
        assert_eq!(
            sentence(&long),
            format!("Topic name is invalid: the length of '{long}' is longer than the max allowed length 249")
        );
        let fault = "contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'";
        for name in ["a b", "a/b", "é", "a\0"] {
            assert_eq!(sentence(name), format!("Topic name is invalid: '{name}' {fault}"));
        }
    }

    #[test]
    fn legal_names_pass() {
        for name in ["a", "A.b_c-9", "...", "__consumer_offsets", &"a".repeat(249)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_differ_in_dots_and_underscores_collide() {
        let existing: Vec<&str> = Vec::from(["plain", "a.b", "x_y.z"]);
        assert_eq!(collision("a_b", existing.iter().copied()), Some("a.b"));
        assert_eq!(collision("x.y_z", existing.iter().copied()), Some("x_y.z"));
        assert_eq!(collision("a.b", existing.iter().copied()), None, "the same name is no collision");
        assert_eq!(collision("a-b", existing.iter().copied()), None);
    }
}
