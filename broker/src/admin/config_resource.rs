//! The kinds of things that have settings, by their numbers on the wire.

use super::answers::Fault;
use alloc::format;
use flumen_protocol::{ErrorCode, Text};

/// What a resource type means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ResourceKind {
    Topic,
    Broker,
    /// Kafka has it; this version does not.
    Unserved(&'static str),
    Unknown,
}

impl ResourceKind {
    pub(super) const fn of(resource_type: i8) -> Self {
        match resource_type {
            2 => Self::Topic,
            4 => Self::Broker,
            8 => Self::Unserved("log levels of brokers"),
            16 => Self::Unserved("client metrics subscriptions"),
            32 => Self::Unserved("settings of groups"),
            _ => Self::Unknown,
        }
    }
}

pub(super) fn unserved(what: &str) -> Fault {
    (ErrorCode::InvalidRequest, format!("This version of Flumen has no {what}.").into())
}

pub(super) fn unknown(resource_type: i8) -> Fault {
    (ErrorCode::InvalidRequest, Text::from(format!("Unknown resource type {resource_type}")))
}
