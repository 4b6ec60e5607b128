//! Why a setting was refused, in words that say what would be right.
//!
//! Invariant: the value of a sensitive setting never appears in a message.

use super::definition::{Allowed, ConfigType};
use alloc::string::String;
use core::fmt;

/// A refused setting.
#[derive(Clone, PartialEq, Debug)]
pub struct ConfigError {
    /// The key, as it was given.
    pub name: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a setting.
#[derive(Clone, PartialEq, Debug)]
pub enum Problem {
    /// No setting has this name.
    Unknown {
        /// A known name that looks like it.
        nearest: Option<&'static str>,
    },
    /// The value is no value of the type.
    NotOfType {
        /// The value as shown.
        value: String,
        /// The type.
        kind: ConfigType,
    },
    /// The value has the right type and breaks the setting's rule.
    NotAllowed {
        /// The value as shown.
        value: String,
        /// The rule.
        allowed: Allowed,
    },
    /// An element of a list is empty.
    EmptyElement,
    /// An element of a list comes twice.
    Repeated {
        /// The element.
        element: String,
    },
    /// No value was given.
    Null,
    /// It contradicts another setting or the broker's abilities.
    Conflict(String),
}

impl ConfigError {
    pub(super) fn new(name: &str, problem: Problem) -> Self {
        Self { name: name.into(), problem }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.problem {
            Problem::Unknown { nearest: None } => write!(formatter, "Unknown configuration {name}"),
            Problem::Unknown { nearest: Some(nearest) } => {
                write!(formatter, "Unknown configuration {name}: did you mean {nearest}?")
            }
            Problem::NotOfType { value, kind } => {
                write!(formatter, "Invalid value {value} for configuration {name}: expected {}", expected(*kind))
            }
            Problem::NotAllowed { value, allowed } => {
                write!(formatter, "Invalid value {value} for configuration {name}: must be {allowed}")
            }
            Problem::EmptyElement => write!(formatter, "Invalid value for configuration {name}: it has an empty element"),
            Problem::Repeated { element } => {
                write!(formatter, "Invalid value for configuration {name}: {element} is listed more than once")
            }
            Problem::Null => write!(formatter, "Null value not supported for configuration {name}"),
            Problem::Conflict(why) => write!(formatter, "Invalid value for configuration {name}: {why}"),
        }
    }
}

impl core::error::Error for ConfigError {}

const fn expected(kind: ConfigType) -> &'static str {
    match kind {
        ConfigType::Boolean => "true or false",
        ConfigType::Int => "a whole number of 32 bits (INT)",
        ConfigType::Short => "a whole number of 16 bits (SHORT)",
        ConfigType::Long => "a whole number of 64 bits (LONG)",
        ConfigType::Double => "a number (DOUBLE)",
        ConfigType::List => "a comma separated list",
        ConfigType::String | ConfigType::Class | ConfigType::Password => "text",
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => formatter.write_str("a value of its type"),
            Self::AtLeast(least) => write!(formatter, "at least {least}"),
            Self::Between(least, most) => write!(formatter, "from {least} to {most}"),
            Self::OneOrBetween(one, least, most) => write!(formatter, "{one} or from {least} to {most}"),
            Self::Fraction(least, most) => write!(formatter, "from {least} to {most}"),
            Self::OneOf(valid) => write!(formatter, "one of {}", valid.join(", ")),
            Self::OneOfAnyCase(valid) => write!(formatter, "one of {} (in any case)", valid.join(", ")),
            Self::NonEmpty => formatter.write_str("non-empty"),
            Self::ListOf([]) => formatter.write_str("a comma separated list"),
            Self::ListOf(valid) | Self::SetOf(valid) => write!(formatter, "a list of {}", valid.join(", ")),
            Self::NonEmptyListOf([]) => formatter.write_str("a non-empty comma separated list"),
            Self::NonEmptyListOf(valid) => write!(formatter, "a non-empty list of {}", valid.join(", ")),
            Self::ThrottledReplicas => formatter.write_str("* or a list of partition:broker"),
            Self::QuorumVoters => formatter.write_str("a list of id@host:port"),
            Self::HostPorts => formatter.write_str("a list of host:port"),
        }
    }
}
