//! The rules by which the metadata's state machine judges dynamic configuration.
//!
//! They look at what a resource sets and at the tables, never at a broker's static configuration, so that every member of a
//! quorum judges alike.

use super::definition::{ConfigType, Definition, UpdateMode};
use super::error::{ConfigError, Problem};
use super::{ConfigMap, broker, topic};
use crate::refusal::{Reason, Refusal};
use crate::rules::{ConfigRules, ConfigScope};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

/// Kafka's rules, with our settings among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KafkaConfigRules;

impl ConfigRules for KafkaConfigRules {
    fn check(&self, scope: ConfigScope, values: &BTreeMap<String, String>) -> Result<(), Refusal> {
        // Kafka's errors: 40 for a topic, 42 for a broker.
        let (checked, reason) = match scope {
            ConfigScope::Topic => (topic::validate_all(values), Reason::InvalidConfig),
            ConfigScope::Broker | ConfigScope::BrokerDefault => (check_broker(scope, values), Reason::InvalidRequest),
        };
        checked.map_err(|error| Refusal::new(reason, error.to_string()))
    }

    fn is_list(&self, scope: ConfigScope, key: &str) -> bool {
        definition(scope, key).is_some_and(|definition| definition.kind == ConfigType::List)
    }

    fn default_value(&self, scope: ConfigScope, key: &str) -> Option<String> {
        definition(scope, key)?.default.map(String::from)
    }
}

fn definition(scope: ConfigScope, key: &str) -> Option<&'static Definition> {
    match scope {
        ConfigScope::Topic => topic::lookup(key),
        ConfigScope::Broker | ConfigScope::BrokerDefault => broker::lookup(key),
    }
}

fn check_broker(scope: ConfigScope, values: &ConfigMap) -> Result<(), ConfigError> {
    for (name, value) in values {
        broker::validate(name, value)?;
        let why = match broker::lookup(name).map(|definition| definition.update) {
            Some(UpdateMode::ReadOnly) => "it cannot be changed while the broker runs",
            Some(UpdateMode::PerBroker) if scope == ConfigScope::BrokerDefault => {
                "it can be changed for one broker only, so a broker id must be given"
            }
            _ => continue,
        };
        return Err(ConfigError::new(name, Problem::Conflict(why.into())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scope: ConfigScope, name: &str, value: &str) -> Result<(), Refusal> {
        KafkaConfigRules.check(scope, &BTreeMap::from([(name.into(), value.into())]))
    }

    #[test]
    fn a05_topic_values_are_judged_by_their_rules() {
        assert!(check(ConfigScope::Topic, "retention.ms", "-1").is_ok());
        let refusal = check(ConfigScope::Topic, "retention.ms", "-2").expect_err("too small");
        assert_eq!(refusal.reason, Reason::InvalidConfig);
        assert!(check(ConfigScope::Topic, "log.retention.ms", "1").is_err(), "a broker's name is no topic's");
    }

    #[test]
    fn a05_brokers_change_only_what_is_dynamic() {
        assert!(check(ConfigScope::Broker, "log.retention.ms", "1").is_ok());
        assert!(check(ConfigScope::BrokerDefault, "log.retention.ms", "1").is_ok());
        let refusal = check(ConfigScope::Broker, "num.partitions", "1").expect_err("read-only");
        assert_eq!(refusal.reason, Reason::InvalidRequest);
        assert!(check(ConfigScope::Broker, "ssl.keystore.type", "PEM").is_ok());
        assert!(check(ConfigScope::BrokerDefault, "ssl.keystore.type", "PEM").is_err());
        assert!(check(ConfigScope::Broker, "log.retention.mss", "1").is_err());
    }

    #[test]
    fn a05_lists_and_their_defaults_are_known() {
        assert!(KafkaConfigRules.is_list(ConfigScope::Topic, "cleanup.policy"));
        assert!(!KafkaConfigRules.is_list(ConfigScope::Topic, "retention.ms"));
        assert_eq!(KafkaConfigRules.default_value(ConfigScope::Topic, "cleanup.policy").as_deref(), Some("delete"));
        assert_eq!(KafkaConfigRules.default_value(ConfigScope::Topic, "unknown"), None);
    }
}
