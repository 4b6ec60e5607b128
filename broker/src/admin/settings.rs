//! What this broker started with, as far as requests about the cluster need it.

use alloc::string::String;
use alloc::vec::Vec;
use flumen_controller::MetadataImage;
use flumen_controller::configs::{BrokerLayers, ConfigMap, EffectiveTopicConfig};
use flumen_log::BrokerId;

/// What this broker started with.
#[derive(Clone, Debug, Default)]
pub struct BrokerSettings {
    /// `node.id`.
    pub broker: BrokerId,
    /// The names of its listeners; a listener is known by its place here.
    pub listeners: Vec<String>,
    /// Everything set at the start: file, environment, flags.
    pub fixed: ConfigMap,
}

impl BrokerSettings {
    /// The broker's settings with those changed while it runs.
    #[must_use]
    pub fn layers<'a>(&'a self, image: &'a MetadataImage) -> BrokerLayers<'a> {
        BrokerLayers::of(image, self.broker, &self.fixed)
    }

    /// What is in force for a topic.
    #[must_use]
    pub fn topic_config(&self, image: &MetadataImage, topic: &str) -> EffectiveTopicConfig {
        EffectiveTopicConfig::resolve(image.topic_configs(topic).map(AsRef::as_ref), &self.layers(image))
    }

    /// The name of a listener; a connection always comes in on one that exists.
    pub(super) fn listener(&self, index: u16) -> &str {
        self.listeners.get(usize::from(index)).map_or("", String::as_str)
    }
}
