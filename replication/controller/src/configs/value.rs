//! A setting's text as a value of its type, and back into the text that tools are shown.
//!
//! The parsing is that of Kafka's `ConfigDef`: numbers and lists are trimmed, booleans ignore case, an empty list is the empty
//! text. Invariant: a value's canonical text parses to the same value.

use super::definition::{Allowed, ConfigType, Definition};
use super::error::{ConfigError, Problem};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A parsed value.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Of a boolean.
    Boolean(bool),
    /// Of an int, short or long.
    Number(i64),
    /// Of a double.
    Fraction(f64),
    /// Of a string, class or password.
    Text(String),
    /// Of a list.
    List(Vec<String>),
}

impl Value {
    /// The text tools are shown: trimmed, numbers in their plain form, fractions as Java prints them.
    #[must_use]
    pub fn canonical(&self) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Fraction(value) => java_double(*value),
            Self::Text(value) => value.clone(),
            Self::List(elements) => elements.join(","),
        }
    }

    /// The number, of a numeric setting.
    #[must_use]
    pub const fn number(&self) -> Option<i64> {
        match self {
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }
}

/// Parses and checks `text` as a value of `definition`.
///
/// # Errors
/// The text is no value of the type, or breaks the setting's rule.
pub fn parse(definition: &Definition, text: &str) -> Result<Value, ConfigError> {
    let shown = || if definition.sensitive() { String::from("[hidden]") } else { String::from(text) };
    let mut value = typed(definition.kind, text)
        .ok_or_else(|| ConfigError::new(definition.name, Problem::NotOfType { value: shown(), kind: definition.kind }))?;
    if let Value::List(elements) = &mut value {
        check_elements(definition, elements)?;
    }
    if !keeps(definition.allowed, &value) {
        let problem = Problem::NotAllowed { value: shown(), allowed: definition.allowed };
        return Err(ConfigError::new(definition.name, problem));
    }
    Ok(value)
}

fn typed(kind: ConfigType, text: &str) -> Option<Value> {
    let trimmed = text.trim();
    Some(match kind {
        ConfigType::Boolean if trimmed.eq_ignore_ascii_case("true") => Value::Boolean(true),
        ConfigType::Boolean if trimmed.eq_ignore_ascii_case("false") => Value::Boolean(false),
        ConfigType::Boolean => return None,
        ConfigType::Int => Value::Number(trimmed.parse::<i32>().ok()?.into()),
        ConfigType::Short => Value::Number(trimmed.parse::<i16>().ok()?.into()),
        ConfigType::Long => Value::Number(trimmed.parse().ok()?),
        ConfigType::Double => Value::Fraction(trimmed.parse::<f64>().ok().filter(|value| value.is_finite())?),
        ConfigType::String | ConfigType::Class => Value::Text(trimmed.into()),
        // A password may begin or end with a space.
        ConfigType::Password => Value::Text(text.into()),
        ConfigType::List if trimmed.is_empty() => Value::List(Vec::new()),
        ConfigType::List => Value::List(trimmed.split(',').map(|element| element.trim().into()).collect()),
    })
}

/// No element is empty, and none is there twice where that means nothing.
fn check_elements(definition: &Definition, elements: &mut Vec<String>) -> Result<(), ConfigError> {
    if elements.iter().any(String::is_empty) {
        return Err(ConfigError::new(definition.name, Problem::EmptyElement));
    }
    let mut seen = BTreeSet::new();
    let repeated = elements.iter().find(|element| !seen.insert(element.as_str())).cloned();
    match (definition.allowed, repeated) {
        (Allowed::ThrottledReplicas, _) | (_, None) => {}
        (Allowed::SetOf(_), Some(_)) => {
            let mut kept = BTreeSet::new();
            elements.retain(|element| kept.insert(element.clone()));
        }
        (_, Some(element)) => return Err(ConfigError::new(definition.name, Problem::Repeated { element })),
    }
    Ok(())
}

fn keeps(allowed: Allowed, value: &Value) -> bool {
    match (allowed, value) {
        (Allowed::AtLeast(least), Value::Number(number)) => *number >= least,
        (Allowed::Between(least, most), Value::Number(number)) => (least..=most).contains(number),
        (Allowed::OneOrBetween(one, least, most), Value::Number(number)) => *number == one || (least..=most).contains(number),
        (Allowed::Fraction(least, most), Value::Fraction(fraction)) => (least..=most).contains(fraction),
        (Allowed::OneOf(valid), Value::Text(text)) => valid.contains(&text.as_str()),
        (Allowed::OneOfAnyCase(valid), Value::Text(text)) => valid.iter().any(|one| one.eq_ignore_ascii_case(text)),
        (Allowed::NonEmpty, Value::Text(text)) => !text.is_empty(),
        (Allowed::ListOf(valid) | Allowed::SetOf(valid), Value::List(elements)) => all_in(elements, valid),
        (Allowed::NonEmptyListOf(valid), Value::List(elements)) => !elements.is_empty() && all_in(elements, valid),
        (Allowed::ThrottledReplicas, Value::List(elements)) => throttled_replicas(elements),
        (Allowed::QuorumVoters, Value::List(elements)) => elements.iter().all(|element| quorum_voter(element)),
        (Allowed::HostPorts, Value::List(elements)) => elements.iter().all(|element| host_port(element)),
        (Allowed::Anything, _) => true,
        // A rule of another type than its setting cannot hold; the tables' test would find it.
        _ => false,
    }
}

fn all_in(elements: &[String], valid: &[&str]) -> bool {
    valid.is_empty() || elements.iter().all(|element| valid.contains(&element.as_str()))
}

fn throttled_replicas(elements: &[String]) -> bool {
    let pair =
        |element: &String| element.split_once(':').is_some_and(|(partition, broker)| is_index(partition) && is_index(broker));
    matches!(elements, [star] if star == "*") || elements.iter().all(pair)
}

fn is_index(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn quorum_voter(text: &str) -> bool {
    text.split_once('@').is_some_and(|(id, endpoint)| id.parse::<u32>().is_ok() && host_port(endpoint))
}

fn host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && !host.contains('@') && port.parse::<u16>().is_ok())
}

/// A double as Java's `Double.toString` writes it, so that tools compare equal texts.
fn java_double(value: f64) -> String {
    let magnitude = if value < 0.0 { -value } else { value };
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::definition::{boolean, double, int, list, long, password, short, string};
    use super::*;
    use alloc::vec;

    fn ok(definition: Definition, text: &str) -> String {
        parse(&definition, text).expect("a valid value").canonical()
    }

    fn refused(definition: Definition, text: &str) -> String {
        parse(&definition, text).expect_err("an invalid value").to_string()
    }

    #[test]
    fn numbers_are_trimmed_and_bounded_by_their_width() {
        assert_eq!(ok(long("l"), " 7 "), "7");
        assert_eq!(ok(long("l"), "+5"), "5");
        assert_eq!(ok(long("l").at_least(-1), "-1"), "-1");
        for text in ["abc", "", "1.5", "0x10", "99999999999999999999"] {
            assert!(refused(long("l"), text).contains("whole number of 64 bits"), "{text}");
        }
        assert!(refused(int("i"), "2147483648").contains("32 bits"));
        assert!(refused(short("s"), "70000").contains("16 bits"));
        assert_eq!(refused(int("i").at_least(1), "0"), "Invalid value 0 for configuration i: must be at least 1");
        assert!(parse(&int("i").between(1, 17), "18").is_err());
        let gzip = int("g").allow(Allowed::OneOrBetween(-1, 1, 9));
        assert!(parse(&gzip, "-1").is_ok() && parse(&gzip, "9").is_ok());
        assert!(parse(&gzip, "0").is_err() && parse(&gzip, "10").is_err());
    }

    #[test]
    fn booleans_ignore_case() {
        assert_eq!(ok(boolean("b"), "TRUE"), "true");
        assert!(refused(boolean("b"), "yes").contains("true or false"));
        assert!(parse(&boolean("b"), "").is_err());
    }

    #[test]
    fn fractions_are_shown_as_java_does() {
        for (text, shown) in [
            ("0.10", "0.1"),
            ("7", "7.0"),
            ("70000", "70000.0"),
            ("100000000.0", "1.0E8"),
            ("0.00001", "1.0E-5"),
            ("1.7976931348623157E308", "1.7976931348623157E308"),
            ("-5", "-5.0"),
        ] {
            assert_eq!(ok(double("d"), text), shown);
        }
        assert!(parse(&double("d"), "NaN").is_err());
        assert!(parse(&double("d").allow(Allowed::Fraction(0.0, 1.0)), "1.01").is_err());
    }

    #[test]
    fn lists_have_no_empty_or_repeated_elements() {
        let policy = list("p").allow(Allowed::ListOf(&["compact", "delete"]));
        assert_eq!(ok(policy, " compact , delete "), "compact,delete");
        assert_eq!(ok(policy, ""), "");
        assert!(refused(policy, "compact,compact").contains("compact is listed more than once"));
        let set = list("s").allow(Allowed::SetOf(&["compact", "delete"]));
        assert_eq!(ok(set, "delete,compact,delete"), "delete,compact");
        assert!(refused(set, "compact,,delete").contains("empty element"));
        assert!(refused(set, "delete,none").contains("a list of compact, delete"));
        assert!(refused(policy, "compact,,delete").contains("empty element"));
        assert!(refused(policy, "none").contains("a list of compact, delete"));
        assert!(refused(list("l").non_empty(), " ").contains("non-empty"));
    }

    #[test]
    fn formats_inside_lists_are_checked() {
        let replicas = list("r").allow(Allowed::ThrottledReplicas);
        for good in ["", "*", "1:1,2:2", "1:1,1:1"] {
            assert!(parse(&replicas, good).is_ok(), "{good}");
        }
        for bad in ["1", "1:a", "*,1:1"] {
            assert!(parse(&replicas, bad).is_err(), "{bad}");
        }
        let voters = list("v").allow(Allowed::QuorumVoters);
        assert!(parse(&voters, "1@host:9093").is_ok() && parse(&voters, "host:9093").is_err());
        let servers = list("s").allow(Allowed::HostPorts);
        assert!(parse(&servers, "[::1]:9093,host:1").is_ok() && parse(&servers, "host").is_err());
    }

    #[test]
    fn a_password_is_kept_whole_and_never_shown() {
        assert_eq!(parse(&password("p"), " x "), Ok(Value::Text(" x ".into())));
        let short_password = password("p").non_empty();
        assert!(!refused(short_password, "").contains("Invalid value  for"));
    }

    #[test]
    fn texts_are_trimmed_and_chosen() {
        let choice = string("c").one_of(&["CreateTime", "LogAppendTime"]);
        assert_eq!(ok(choice, " CreateTime "), "CreateTime");
        assert!(refused(choice, "createtime").contains("one of CreateTime, LogAppendTime"));
        let any_case = string("c").allow(Allowed::OneOfAnyCase(&["UPGRADE"]));
        assert_eq!(ok(any_case, "upgrade"), "upgrade");
        assert_eq!(typed(ConfigType::List, "a,b"), Some(Value::List(vec!["a".into(), "b".into()])));
    }
}
