//! DescribeConfigs: settings with their values, sources, synonyms and documentation (A04).
//!
//! A few bytes can ask for a great deal: the resources are described one by one, so that the shard can see to others between
//! them, each only once, and no more of them than an answer may hold.

use super::BrokerSettings;
use super::answers::Fault;
use super::config_resource::{self, ResourceKind};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use flumen_controller::MetadataImage;
use flumen_controller::configs::{
    ConfigEntry, ConfigSynonym, ConfigType, describe_broker, describe_broker_default, describe_topic,
};
use flumen_controller::names;
use flumen_log::BrokerId;
use flumen_protocol::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use flumen_protocol::{ErrorCode, Text};

/// What is described.
#[derive(Clone, Copy)]
struct Cluster<'a> {
    image: &'a MetadataImage,
    settings: &'a BrokerSettings,
}

/// About what anything takes beside its strings.
const ENTRY_BYTES: usize = 16;

/// A DescribeConfigs on its way to its answer.
#[derive(Debug)]
pub struct ConfigDescription {
    request: DescribeConfigsRequest,
    results: Vec<DescribeConfigsResult>,
    described: BTreeSet<Resource>,
    /// What the answer may still hold.
    room_bytes: usize,
}

/// What a resource's name and type come to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Resource {
    Named(i8, Text),
    Broker(BrokerId),
}

impl ConfigDescription {
    /// Nothing is described yet. The answer may hold so many bytes.
    #[must_use]
    pub fn new(request: DescribeConfigsRequest, reply_bytes: usize) -> Self {
        Self { request, results: Vec::new(), described: BTreeSet::new(), room_bytes: reply_bytes }
    }

    /// Describe the next resource: the bytes that took, or `None` if all are described.
    pub fn next(&mut self, image: &MetadataImage, settings: &BrokerSettings) -> Option<usize> {
        let resource = self.request.resources.get(self.results.len())?;
        let refuse = |message: String| refused(resource, (ErrorCode::InvalidRequest, message.into()));
        let result = if !self.described.insert(Resource::of(resource)) {
            refuse(format!("The resource '{}' is named more than once.", resource.resource_name))
        } else if self.room_bytes == 0 {
            refuse("The answer would be too large: ask for fewer resources at once.".into())
        } else {
            describe(resource, &self.request, Cluster { image, settings })
        };
        let bytes = size(&result);
        self.room_bytes = self.room_bytes.saturating_sub(bytes);
        self.results.push(result);
        Some(bytes)
    }

    /// The answer.
    #[must_use]
    pub fn into_response(self) -> DescribeConfigsResponse {
        DescribeConfigsResponse { throttle_time_ms: 0, results: self.results }
    }
}

impl Resource {
    fn of(resource: &DescribeConfigsResource) -> Self {
        match (ResourceKind::of(resource.resource_type), resource.resource_name.parse()) {
            (ResourceKind::Broker, Ok(id)) => Self::Broker(BrokerId(id)),
            _ => Self::Named(resource.resource_type, resource.resource_name.clone()),
        }
    }
}

/// About what a result takes in the answer.
fn size(result: &DescribeConfigsResult) -> usize {
    let text = |text: &Option<Text>| text.as_deref().map_or(0, str::len);
    let synonym = |synonym: &DescribeConfigsSynonym| ENTRY_BYTES + synonym.name.len() + text(&synonym.value);
    let entry = |entry: &DescribeConfigsResourceResult| {
        let synonyms: usize = entry.synonyms.iter().map(synonym).sum();
        ENTRY_BYTES + entry.name.len() + text(&entry.value) + text(&entry.documentation) + synonyms
    };
    let entries: usize = result.configs.iter().map(entry).sum();
    ENTRY_BYTES + result.resource_name.len() + text(&result.error_message) + entries
}

fn refused(resource: &DescribeConfigsResource, (error_code, message): Fault) -> DescribeConfigsResult {
    DescribeConfigsResult { error_code, error_message: Some(message), ..named(resource) }
}

fn named(resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..DescribeConfigsResult::default()
    }
}

fn describe(resource: &DescribeConfigsResource, request: &DescribeConfigsRequest, cluster: Cluster<'_>) -> DescribeConfigsResult {
    match entries(resource, cluster) {
        Ok(entries) => {
            // No keys named is all of them, as is an empty list.
            let keys = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
            let keys = keys.map(|keys| keys.iter().map(Text::as_str).collect::<BTreeSet<_>>());
            let wanted = entries.into_iter().filter(|entry| keys.as_ref().is_none_or(|keys| keys.contains(&*entry.name)));
            DescribeConfigsResult { configs: wanted.map(|entry| told(entry, request)).collect(), ..named(resource) }
        }
        Err(fault) => refused(resource, fault),
    }
}

fn entries(resource: &DescribeConfigsResource, cluster: Cluster<'_>) -> Result<Vec<ConfigEntry>, Fault> {
    let name = resource.resource_name.as_str();
    match ResourceKind::of(resource.resource_type) {
        ResourceKind::Topic => topic(name, cluster),
        ResourceKind::Broker => broker(name, cluster),
        ResourceKind::Unserved(what) => Err(config_resource::unserved(what)),
        ResourceKind::Unknown => Err(config_resource::unknown(resource.resource_type)),
    }
}

fn topic(name: &str, cluster: Cluster<'_>) -> Result<Vec<ConfigEntry>, Fault> {
    names::check(name).map_err(|refusal| (ErrorCode::InvalidTopicException, Text::from(refusal.message)))?;
    if cluster.image.topic(name).is_none() {
        return Err((ErrorCode::UnknownTopicOrPartition, format!("The topic '{name}' does not exist.").into()));
    }
    let overrides = cluster.image.topic_configs(name).map(AsRef::as_ref);
    Ok(describe_topic(overrides, &cluster.settings.layers(cluster.image)))
}

fn broker(name: &str, cluster: Cluster<'_>) -> Result<Vec<ConfigEntry>, Fault> {
    let layers = cluster.settings.layers(cluster.image);
    if name.is_empty() {
        return Ok(describe_broker_default(layers.dynamic_default));
    }
    let own = cluster.settings.broker;
    match name.parse().map(BrokerId) {
        Ok(id) if id == own => Ok(describe_broker(&layers)),
        Ok(other) => {
            let message = format!("Unexpected broker id, expected {own} or empty string, but received {other}");
            Err((ErrorCode::InvalidRequest, message.into()))
        }
        Err(_) => Err((ErrorCode::InvalidRequest, format!("Broker id must be an integer, but it is: {name}").into())),
    }
}

fn told(entry: ConfigEntry, request: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
    let synonyms = if request.include_synonyms { entry.synonyms } else { Vec::new() };
    DescribeConfigsResourceResult {
        name: entry.name.into(),
        value: entry.value.map(Text::from),
        read_only: entry.read_only,
        config_source: entry.source.wire(),
        is_sensitive: entry.sensitive,
        synonyms: synonyms.into_iter().map(told_synonym).collect(),
        config_type: entry.kind.map_or(0, ConfigType::wire),
        documentation: Some(Text::from(entry.documentation)).filter(|_| request.include_documentation),
    }
}

fn told_synonym(synonym: ConfigSynonym) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym { name: synonym.name.into(), value: synonym.value.map(Text::from), source: synonym.source.wire() }
}
