//! What DescribeConfigs and CreateTopics tell about settings: value, source, synonyms, documentation.
//!
//! Sources and synonyms are found as Kafka finds them, its oddity included: a topic's `retention.ms` that follows
//! `log.retention.hours` has no synonyms and the source "default", because synonyms start at the first name of the chain.

use super::definition::{ConfigType, Definition, Synonym, UpdateMode};
use super::layers::{BrokerLayers, ConfigSource, topic_value};
use super::value::parse;
use super::{ConfigMap, broker, topic};
use alloc::string::String;
use alloc::vec::Vec;

/// One setting, described.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigEntry {
    /// Its key.
    pub name: String,
    /// Its value; none if unset or sensitive.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Everywhere a value is set, strongest first.
    pub synonyms: Vec<ConfigSynonym>,
    /// Whether it cannot be changed while the broker runs.
    pub read_only: bool,
    /// Whether the value is never shown.
    pub sensitive: bool,
    /// The type of the value; none for a key no table knows.
    pub kind: Option<ConfigType>,
    /// What it is for.
    pub documentation: String,
}

/// One place where a value is set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigSynonym {
    /// The key it is set under.
    pub name: String,
    /// The value as it was set; none if sensitive.
    pub value: Option<String>,
    /// The layer.
    pub source: ConfigSource,
}

/// A broker setting with others that stand for it, strongest first.
const BROKER_CHAINS: [&[&str]; 4] = [
    &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
];

/// Describes every setting of a topic, by name.
#[must_use]
pub fn describe_topic(overrides: Option<&ConfigMap>, layers: &BrokerLayers<'_>) -> Vec<ConfigEntry> {
    let listed = topic::definitions().iter().filter(|definition| !definition.internal);
    listed.map(|definition| topic_entry(definition, overrides, layers)).collect()
}

fn topic_entry(definition: &Definition, overrides: Option<&ConfigMap>, layers: &BrokerLayers<'_>) -> ConfigEntry {
    let value = topic_value(definition, overrides, layers).0.map(|value| value.canonical());
    let mut synonyms = Vec::new();
    if overrides.is_some_and(|values| values.contains_key(definition.name)) {
        synonyms.push(ConfigSynonym { name: definition.name.into(), value: value.clone(), source: ConfigSource::Topic });
    }
    if let Some(Synonym { name, .. }) = definition.synonyms.first() {
        synonyms.extend(broker_synonyms(name, layers));
    }
    ConfigEntry {
        name: definition.name.into(),
        value,
        source: source_of(&synonyms),
        synonyms,
        read_only: false,
        sensitive: false,
        kind: Some(definition.kind),
        documentation: definition.documentation(),
    }
}

/// What a topic just made has in force, for the answer to CreateTopics: sources follow the values, synonyms are not told.
#[must_use]
pub fn describe_created_topic(overrides: &ConfigMap, layers: &BrokerLayers<'_>) -> Vec<ConfigEntry> {
    let listed = topic::definitions().iter().filter(|definition| !definition.internal);
    let entry = |definition: &'static Definition| {
        let (value, source) = topic_value(definition, Some(overrides), layers);
        ConfigEntry {
            name: definition.name.into(),
            value: value.map(|value| value.canonical()),
            source,
            synonyms: Vec::new(),
            read_only: false,
            sensitive: false,
            kind: Some(definition.kind),
            documentation: String::new(),
        }
    };
    listed.map(entry).collect()
}

/// Describes every setting of one broker.
#[must_use]
pub fn describe_broker(layers: &BrokerLayers<'_>) -> Vec<ConfigEntry> {
    let listed = broker::definitions().filter(|definition| !definition.internal);
    let mut entries: Vec<_> = listed.map(|definition| broker_entry(definition, layers)).collect();
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    entries
}

fn broker_entry(definition: &Definition, layers: &BrokerLayers<'_>) -> ConfigEntry {
    let synonyms = broker_synonyms(definition.name, layers);
    let value = layers.value(definition.name).map(|value| value.canonical());
    ConfigEntry {
        name: definition.name.into(),
        value: value.filter(|_| !definition.sensitive()),
        source: source_of(&synonyms),
        synonyms,
        read_only: definition.update == UpdateMode::ReadOnly,
        sensitive: definition.sensitive(),
        kind: Some(definition.kind),
        documentation: definition.documentation(),
    }
}

/// Describes what is set for all brokers while they run, and nothing else.
#[must_use]
pub fn describe_broker_default(dynamic_default: Option<&ConfigMap>) -> Vec<ConfigEntry> {
    let set = dynamic_default.into_iter().flatten();
    let source = ConfigSource::DynamicDefaultBroker;
    let entry = |(name, text): (&String, &String)| {
        let definition = broker::lookup(name);
        let sensitive = definition.is_none_or(Definition::sensitive);
        let shown = definition.and_then(|definition| parse(definition, text).ok()).map(|value| value.canonical());
        let value = if sensitive { None } else { shown };
        ConfigEntry {
            name: name.clone(),
            value: value.clone(),
            source,
            synonyms: Vec::from([ConfigSynonym { name: name.clone(), value, source }]),
            read_only: definition.is_some_and(|definition| definition.update == UpdateMode::ReadOnly),
            sensitive,
            kind: definition.map(|definition| definition.kind),
            documentation: definition.map(Definition::documentation).unwrap_or_default(),
        }
    };
    set.map(entry).collect()
}

/// Everywhere `name` or a setting that stands for it is set, starting at `name` itself.
fn broker_synonyms(name: &str, layers: &BrokerLayers<'_>) -> Vec<ConfigSynonym> {
    let own = [name];
    let chain = BROKER_CHAINS.iter().find(|chain| chain.contains(&name)).map_or(own.as_slice(), |chain| *chain);
    let shown = |name: &str, value: &str| {
        let sensitive = broker::lookup(name).is_none_or(Definition::sensitive);
        Some(String::from(value)).filter(|_| !sensitive)
    };
    let mut synonyms = Vec::new();
    for (source, layer) in layers.strongest_first() {
        for name in chain {
            if let Some(value) = layer.get(*name) {
                synonyms.push(ConfigSynonym { name: (*name).into(), value: shown(name, value), source });
            }
        }
    }
    for name in chain {
        if let Some(default) = broker::lookup(name).and_then(|definition| definition.default) {
            let value = shown(name, default);
            synonyms.push(ConfigSynonym { name: (*name).into(), value, source: ConfigSource::Default });
        }
    }
    let first = synonyms.iter().position(|synonym| synonym.name == name).unwrap_or(synonyms.len());
    synonyms.drain(..first);
    synonyms
}

fn source_of(synonyms: &[ConfigSynonym]) -> ConfigSource {
    synonyms.first().map_or(ConfigSource::Default, |strongest| strongest.source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConfigSource::{Default as Unset, DynamicBroker, DynamicDefaultBroker, StaticBroker, Topic};

    fn map(pairs: &[(&str, &str)]) -> ConfigMap {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn find<'a>(entries: &'a [ConfigEntry], name: &str) -> &'a ConfigEntry {
        entries.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("{name} is described"))
    }

    fn told(entry: &ConfigEntry) -> Vec<(&str, Option<&str>, ConfigSource)> {
        entry.synonyms.iter().map(|synonym| (synonym.name.as_str(), synonym.value.as_deref(), synonym.source)).collect()
    }

    /// The expectations are what Kafka 4.4.0 answers in the same situation.
    #[test]
    fn a04_topic_sources_and_synonyms_as_kafka_tells_them() {
        let broker = map(&[("log.retention.ms", "555555")]);
        let all = map(&[("log.retention.ms", "666666"), ("log.segment.bytes", "2000000")]);
        let layers = BrokerLayers { dynamic_broker: Some(&broker), dynamic_default: Some(&all), fixed: None };
        let overrides = map(&[("retention.ms", " 1000 "), ("cleanup.policy", "compact, delete")]);
        let entries = describe_topic(Some(&overrides), &layers);
        let retention = find(&entries, "retention.ms");
        assert_eq!((retention.value.as_deref(), retention.source), (Some("1000"), Topic));
        assert_eq!(
            told(retention),
            [
                ("retention.ms", Some("1000"), Topic),
                ("log.retention.ms", Some("555555"), DynamicBroker),
                ("log.retention.ms", Some("666666"), DynamicDefaultBroker),
                ("log.retention.hours", Some("168"), Unset),
            ]
        );
        let segment = find(&entries, "segment.bytes");
        assert_eq!((segment.value.as_deref(), segment.source), (Some("2000000"), DynamicDefaultBroker));
        assert_eq!(find(&entries, "cleanup.policy").value.as_deref(), Some("compact,delete"));
        let roll = find(&entries, "segment.ms");
        assert_eq!((roll.value.as_deref(), roll.source, roll.synonyms.len()), (Some("604800000"), Unset, 0));
        let index = find(&entries, "segment.index.bytes");
        assert_eq!(told(index), [("log.index.size.max.bytes", Some("10485760"), Unset)]);
        assert!(entries.iter().all(|entry| entry.name != "internal.segment.bytes" && !entry.documentation.is_empty()));
    }

    #[test]
    fn a04_broker_sources_and_synonyms_as_kafka_tells_them() {
        let broker = map(&[("log.retention.ms", "555555")]);
        let fixed = map(&[("node.id", "1"), ("num.io.threads", "4"), ("ssl.key.password", "secret")]);
        let layers = BrokerLayers { dynamic_broker: Some(&broker), dynamic_default: None, fixed: Some(&fixed) };
        let entries = describe_broker(&layers);
        let retention = find(&entries, "log.retention.ms");
        assert_eq!(
            told(retention),
            [("log.retention.ms", Some("555555"), DynamicBroker), ("log.retention.hours", Some("168"), Unset)]
        );
        assert!(!retention.read_only);
        let minutes = find(&entries, "log.retention.minutes");
        assert_eq!((minutes.value.as_deref(), minutes.source, minutes.synonyms.len()), (None, Unset, 0));
        assert!(minutes.read_only);
        assert_eq!(told(find(&entries, "log.retention.hours")), [("log.retention.hours", Some("168"), Unset)]);
        let threads = find(&entries, "num.io.threads");
        assert_eq!(told(threads), [("num.io.threads", Some("4"), StaticBroker), ("num.io.threads", Some("8"), Unset)]);
        assert_eq!(told(find(&entries, "node.id")), [("node.id", Some("1"), StaticBroker)]);
        let password = find(&entries, "ssl.key.password");
        assert!(password.sensitive && password.value.is_none());
        assert_eq!(told(password), [("ssl.key.password", None, StaticBroker)]);
    }

    #[test]
    fn a04_the_default_broker_tells_only_what_is_set() {
        let all = map(&[("log.segment.bytes", "2000000")]);
        let entries = describe_broker_default(Some(&all));
        assert_eq!(entries.len(), 1);
        assert_eq!(told(&entries[0]), [("log.segment.bytes", Some("2000000"), DynamicDefaultBroker)]);
        assert!(describe_broker_default(None).is_empty());
    }

    #[test]
    fn a01_a_created_topic_names_the_layer_of_each_value() {
        let fixed = map(&[("log.retention.hours", "2")]);
        let layers = BrokerLayers { fixed: Some(&fixed), ..BrokerLayers::default() };
        let entries = describe_created_topic(&map(&[("segment.bytes", "2000000")]), &layers);
        assert_eq!(find(&entries, "segment.bytes").source, Topic);
        let retention = find(&entries, "retention.ms");
        assert_eq!((retention.value.as_deref(), retention.source), (Some("7200000"), StaticBroker));
        assert_eq!(find(&entries, "segment.ms").source, Unset);
    }
}
