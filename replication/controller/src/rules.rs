//! The seam to the configuration definitions: what the state machine must know about keys and values.
//!
//! The rules take part in [`crate::StateMachine::apply`], so all members of a quorum, and a member that replays its log, must
//! judge alike. A release that judges more strictly than the one before therefore has to be guarded by a feature level.

use crate::refusal::Refusal;
use alloc::collections::BTreeMap;
use alloc::string::String;

/// Which kind of resource a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigScope {
    /// A topic.
    Topic,
    /// One broker.
    Broker,
    /// All brokers.
    BrokerDefault,
}

/// What is known about configuration keys and values.
pub trait ConfigRules: Send + Sync {
    /// Checks all dynamic values that a resource would have from now on, key by key and together.
    ///
    /// # Errors
    /// An unknown key or a bad value ([`crate::Reason::InvalidConfig`]).
    fn check(&self, scope: ConfigScope, values: &BTreeMap<String, String>) -> Result<(), Refusal>;

    /// Whether the key holds a list, so that items can join and leave it.
    fn is_list(&self, scope: ConfigScope, key: &str) -> bool;

    /// The value in force while nothing sets the key: what items join and leave then.
    fn default_value(&self, scope: ConfigScope, key: &str) -> Option<String>;
}
