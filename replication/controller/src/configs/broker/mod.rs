//! The settings a broker has: every one of Kafka 4.4, and ours under `flumen.`, one table per theme.
//!
//! A setting without [`Definition::in_force`] is checked, stored and described, and its documentation says that it has no
//! effect. Each table is sorted by name.

mod cluster;
mod flumen;
mod groups;
mod log;
mod network;
mod operations;
mod remote;
mod sasl;
mod share_groups;
mod ssl;
mod transactions;

use super::definition::Definition;
use super::error::{ConfigError, Problem};
use super::nearest as nearest_of;
use super::value::{Value, parse};

static TABLES: [&[Definition]; 11] = [
    cluster::DEFINITIONS,
    flumen::DEFINITIONS,
    groups::DEFINITIONS,
    log::DEFINITIONS,
    network::DEFINITIONS,
    operations::DEFINITIONS,
    remote::DEFINITIONS,
    sasl::DEFINITIONS,
    share_groups::DEFINITIONS,
    ssl::DEFINITIONS,
    transactions::DEFINITIONS,
];

/// Every setting a broker has.
pub fn definitions() -> impl Iterator<Item = &'static Definition> {
    TABLES.iter().copied().flatten()
}

/// The setting of that name.
#[must_use]
pub fn lookup(name: &str) -> Option<&'static Definition> {
    TABLES.iter().find_map(|table| {
        let found = table.binary_search_by(|definition| definition.name.cmp(name)).ok()?;
        table.get(found)
    })
}

/// The setting whose name looks most like `name`, if any is close.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    nearest_of(name, definitions())
}

/// Checks one value.
///
/// # Errors
/// The name is unknown or the value breaks its rule.
pub fn validate(name: &str, value: &str) -> Result<Value, ConfigError> {
    let definition = lookup(name).ok_or_else(|| ConfigError::new(name, Problem::Unknown { nearest: nearest(name) }))?;
    parse(definition, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configs::topic;

    #[test]
    fn all_of_kafka_44_and_ours() {
        assert_eq!(definitions().filter(|definition| !definition.internal).count(), 350 + flumen::DEFINITIONS.len());
        // Three limits on reassignments exist only while a broker runs, and are not listed.
        assert_eq!(definitions().count(), 379 + 3 + flumen::DEFINITIONS.len());
        for table in TABLES {
            assert!(table.windows(2).all(|pair| pair[0].name < pair[1].name), "sorted, for the search");
        }
    }

    #[test]
    fn every_default_keeps_its_own_rule_and_is_canonical() {
        for definition in definitions().chain(topic::definitions()) {
            if let Some(default) = definition.default {
                let value = parse(definition, default).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(value.canonical(), default, "{}", definition.name);
            }
            assert!(definition.documentation().ends_with('.'), "{}", definition.name);
        }
    }

    #[test]
    fn a_topic_setting_and_its_broker_synonym_agree() {
        for definition in topic::definitions() {
            let default = definition.synonyms.iter().find_map(|synonym| {
                let broker = lookup(synonym.name).unwrap_or_else(|| panic!("{} is no broker setting", synonym.name));
                broker.default.map(|text| match parse(broker, text).expect("a default is valid") {
                    Value::Number(number) => Value::Number(number * synonym.scale).canonical(),
                    value => value.canonical(),
                })
            });
            if let Some(default) = default {
                assert_eq!(Some(default.as_str()), definition.default, "{}", definition.name);
            }
        }
    }
}
