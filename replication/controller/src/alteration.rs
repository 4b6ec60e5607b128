//! Dynamic configuration changes.
//!
//! Invariants: what a resource has was accepted by the rules as a whole; a refused change leaves the resource as it was; a
//! resource without dynamic values has no entry.

use crate::command::{AlterConfigs, ConfigChange, ConfigOperation, ResourceChange};
use crate::image::ConfigResource;
use crate::names;
use crate::refusal::{Reason, Refusal};
use crate::response::{CommandResponse, ConfigOutcome};
use crate::rules::{ConfigRules, ConfigScope};
use crate::state_machine::{Draft, duplicate};
use crate::topics::once_each;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// No value is longer than this, in bytes.
const MAX_VALUE_LENGTH: usize = 32_767;

impl ConfigResource {
    /// Which definitions its keys have.
    #[must_use]
    pub fn scope(&self) -> ConfigScope {
        match self {
            Self::Topic(_) => ConfigScope::Topic,
            Self::Broker(Some(_)) => ConfigScope::Broker,
            Self::Broker(None) => ConfigScope::BrokerDefault,
        }
    }
}

impl Draft<'_> {
    pub(crate) fn alter_configs(&mut self, request: AlterConfigs) -> CommandResponse {
        let (resources, repeated) = once_each(request.resources, |change| &change.resource);
        let mut outcomes = Vec::with_capacity(resources.len());
        for ResourceChange { resource, change } in resources {
            let outcome = if repeated.contains(&resource) { Err(duplicate("resource")) } else { self.alter(&resource, change) };
            outcomes.push(ConfigOutcome { resource, outcome });
        }
        CommandResponse::ConfigsAltered(outcomes)
    }

    fn alter(&mut self, resource: &ConfigResource, change: ConfigChange) -> Result<(), Refusal> {
        let scope = resource.scope();
        let before = self.image.configs.get(resource).map(|values| (**values).clone()).unwrap_or_default();
        let after = match change {
            ConfigChange::Replace(values) => replaced(values)?,
            ConfigChange::Incremental(operations) => operated(self.rules, scope, &before, operations)?,
        };
        // What is asked for is looked at before it is asked of whom, as Kafka does; a name that cannot be comes between.
        if let ConfigResource::Topic(name) = resource {
            names::check(name)?;
        }
        if after.iter().any(|(key, value)| value.len() > MAX_VALUE_LENGTH && before.get(key) != Some(value)) {
            let message = format!(
                "The configuration value cannot be added because it exceeds the maximum value size of \
                 {MAX_VALUE_LENGTH} bytes."
            );
            return Err(Refusal::new(Reason::InvalidConfig, message));
        }
        self.rules.check(scope, &after)?;
        self.check_exists(resource)?;
        if after == before {
            return Ok(());
        }
        if after.is_empty() {
            self.image.configs.remove(resource);
        } else {
            self.image.configs.insert(resource.clone(), Arc::new(after));
        }
        self.delta.configs_changed.insert(resource.clone());
        Ok(())
    }

    fn check_exists(&self, resource: &ConfigResource) -> Result<(), Refusal> {
        match resource {
            ConfigResource::Topic(name) if !self.image.topics_by_name.contains_key(name.as_str()) => {
                Err(Refusal::new(Reason::UnknownTopicOrPartition, format!("The topic '{name}' does not exist.")))
            }
            ConfigResource::Broker(Some(broker)) if !self.image.brokers.contains_key(broker) => {
                Err(Refusal::new(Reason::BrokerIdNotRegistered, format!("No broker with id {broker} found.")))
            }
            ConfigResource::Topic(_) | ConfigResource::Broker(_) => Ok(()),
        }
    }
}

fn replaced(values: Vec<(String, Option<String>)>) -> Result<BTreeMap<String, String>, Refusal> {
    let mut after = BTreeMap::new();
    for (key, value) in values {
        let Some(value) = value else {
            let message = format!("Null value not supported for configs: {key}");
            return Err(Refusal::new(Reason::InvalidConfig, message));
        };
        if after.contains_key(&key) {
            return Err(duplicate_key());
        }
        after.insert(key, value);
    }
    Ok(after)
}

fn operated(
    rules: &dyn ConfigRules,
    scope: ConfigScope,
    before: &BTreeMap<String, String>,
    operations: Vec<(String, ConfigOperation)>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut seen = BTreeSet::new();
    if operations.iter().any(|(key, _)| !seen.insert(key.as_str())) {
        return Err(duplicate_key());
    }
    let mut after = before.clone();
    for (key, operation) in operations {
        let (items, verb) = match &operation {
            ConfigOperation::Set(value) => {
                after.insert(key, value.clone());
                continue;
            }
            ConfigOperation::Delete => {
                after.remove(&key);
                continue;
            }
            ConfigOperation::Append(items) => (items, "APPEND"),
            ConfigOperation::Subtract(items) => (items, "SUBTRACT"),
        };
        if !rules.is_list(scope, &key) {
            let message = format!("Can't {verb} to key {key} because its type is not LIST.");
            return Err(Refusal::new(Reason::InvalidConfig, message));
        }
        let present = before.get(&key).cloned().or_else(|| rules.default_value(scope, &key)).unwrap_or_default();
        let mut list: Vec<&str> = split(&present).collect();
        for item in split(items) {
            if verb == "SUBTRACT" {
                // One at a time, as Kafka does, where it is there twice.
                if let Some(place) = list.iter().position(|present| *present == item) {
                    list.remove(place);
                }
            } else if !list.contains(&item) {
                list.push(item);
            }
        }
        after.insert(key, list.join(","));
    }
    Ok(after)
}

fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn duplicate_key() -> Refusal {
    Refusal::new(Reason::InvalidRequest, "Error due to duplicate config keys")
}
