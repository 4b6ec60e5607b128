//! Where a value comes from: what is set for a topic, for one broker, for all brokers, at the start, or nowhere.
//!
//! Invariant: the stronger layer wins, and within a layer the first synonym. Values in a layer were checked when they entered
//! it; one that no longer parses counts as absent.

use super::definition::Definition;
use super::value::{Value, parse};
use super::{ConfigMap, broker};
use crate::image::{ConfigResource, MetadataImage};
use alloc::string::String;
use flumen_log::BrokerId;

/// The layer a value was found in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ConfigSource {
    /// Set for the topic.
    Topic,
    /// Set for this broker while it ran.
    DynamicBroker,
    /// Set for all brokers while they ran.
    DynamicDefaultBroker,
    /// Set at the broker's start: file, environment, flags.
    StaticBroker,
    /// Set nowhere.
    Default,
}

impl ConfigSource {
    /// Its number in DescribeConfigs and CreateTopics.
    #[must_use]
    pub const fn wire(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicDefaultBroker => 3,
            Self::StaticBroker => 4,
            Self::Default => 5,
        }
    }
}

/// The three layers of a broker's own settings, the strongest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct BrokerLayers<'a> {
    /// Set for this broker while it ran.
    pub dynamic_broker: Option<&'a ConfigMap>,
    /// Set for all brokers while they ran.
    pub dynamic_default: Option<&'a ConfigMap>,
    /// Set at its start.
    pub fixed: Option<&'a ConfigMap>,
}

impl<'a> BrokerLayers<'a> {
    /// The layers of `id`, which started with `fixed`.
    #[must_use]
    pub fn of(image: &'a MetadataImage, id: BrokerId, fixed: &'a ConfigMap) -> Self {
        let dynamic = |id| image.configs_of(&ConfigResource::Broker(id)).map(AsRef::as_ref);
        Self { dynamic_broker: dynamic(Some(id)), dynamic_default: dynamic(None), fixed: Some(fixed) }
    }

    /// The layers with their sources, strongest first.
    pub fn strongest_first(&self) -> impl Iterator<Item = (ConfigSource, &'a ConfigMap)> {
        [
            (ConfigSource::DynamicBroker, self.dynamic_broker),
            (ConfigSource::DynamicDefaultBroker, self.dynamic_default),
            (ConfigSource::StaticBroker, self.fixed),
        ]
        .into_iter()
        .filter_map(|(source, layer)| Some((source, layer?)))
    }

    /// The value in force, none if the setting is unset or unknown.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Value> {
        let definition = broker::lookup(name)?;
        let set = self.strongest_first().find_map(|(_, layer)| parse(definition, layer.get(name)?).ok());
        set.or_else(|| parse(definition, definition.default?).ok())
    }

    /// The number in force.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.value(name)?.number()
    }

    /// The fraction in force.
    #[must_use]
    pub fn fraction(&self, name: &str) -> Option<f64> {
        match self.value(name)? {
            Value::Fraction(fraction) => Some(fraction),
            _ => None,
        }
    }

    /// Whether a switch is on; an unknown one is off.
    #[must_use]
    pub fn switch(&self, name: &str) -> bool {
        self.value(name) == Some(Value::Boolean(true))
    }

    /// The text in force.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A topic's value in force, and the layer it comes from.
pub(super) fn topic_value(
    definition: &Definition,
    overrides: Option<&ConfigMap>,
    layers: &BrokerLayers<'_>,
) -> (Option<Value>, ConfigSource) {
    let set = overrides.and_then(|values| parse(definition, values.get(definition.name)?).ok());
    if set.is_some() {
        return (set, ConfigSource::Topic);
    }
    for (source, layer) in layers.strongest_first() {
        for synonym in definition.synonyms {
            let value = layer.get(synonym.name).and_then(|text| parse(broker::lookup(synonym.name)?, text).ok());
            if let Some(value) = value {
                return (Some(scaled(value, synonym.scale)), source);
            }
        }
    }
    (definition.default.and_then(|text| parse(definition, text).ok()), ConfigSource::Default)
}

/// In the topic's unit. Any negative time is "without limit", as Kafka reads it.
fn scaled(value: Value, scale: i64) -> Value {
    match value {
        Value::Number(number) if scale != 1 && number < 0 => Value::Number(-1),
        Value::Number(number) => Value::Number(number.saturating_mul(scale)),
        value => value,
    }
}
