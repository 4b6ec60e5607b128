//! DescribeConfigs: settings with their values, sources, synonyms and documentation (A04).

use super::AdminContext;
use super::answers::Fault;
use super::config_resource::{self, ResourceKind};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;
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

pub(super) fn answer(request: &DescribeConfigsRequest, context: &AdminContext<'_>) -> DescribeConfigsResponse {
    let describe = |resource| describe(resource, request, context);
    DescribeConfigsResponse { throttle_time_ms: 0, results: request.resources.iter().map(describe).collect() }
}

fn describe(
    resource: &DescribeConfigsResource,
    request: &DescribeConfigsRequest,
    context: &AdminContext<'_>,
) -> DescribeConfigsResult {
    let result = DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..DescribeConfigsResult::default()
    };
    match entries(resource, context) {
        Ok(entries) => {
            // No keys named is all of them, as is an empty list.
            let named = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
            let named = named.map(|keys| keys.iter().map(Text::as_str).collect::<BTreeSet<_>>());
            let wanted = entries.into_iter().filter(|entry| named.as_ref().is_none_or(|keys| keys.contains(&*entry.name)));
            DescribeConfigsResult { configs: wanted.map(|entry| told(entry, request)).collect(), ..result }
        }
        Err((error_code, message)) => DescribeConfigsResult { error_code, error_message: Some(message), ..result },
    }
}

fn entries(resource: &DescribeConfigsResource, context: &AdminContext<'_>) -> Result<Vec<ConfigEntry>, Fault> {
    let name = resource.resource_name.as_str();
    match ResourceKind::of(resource.resource_type) {
        ResourceKind::Topic => topic(name, context),
        ResourceKind::Broker => broker(name, context),
        ResourceKind::Unserved(what) => Err(config_resource::unserved(what)),
        ResourceKind::Unknown => Err(config_resource::unknown(resource.resource_type)),
    }
}

fn topic(name: &str, context: &AdminContext<'_>) -> Result<Vec<ConfigEntry>, Fault> {
    names::check(name).map_err(|refusal| (ErrorCode::InvalidTopicException, Text::from(refusal.message)))?;
    if context.image.topic(name).is_none() {
        return Err((ErrorCode::UnknownTopicOrPartition, format!("The topic '{name}' does not exist.").into()));
    }
    let overrides = context.image.topic_configs(name).map(AsRef::as_ref);
    Ok(describe_topic(overrides, &context.settings.layers(context.image)))
}

fn broker(name: &str, context: &AdminContext<'_>) -> Result<Vec<ConfigEntry>, Fault> {
    let layers = context.settings.layers(context.image);
    if name.is_empty() {
        return Ok(describe_broker_default(layers.dynamic_default));
    }
    let own = context.settings.broker;
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
