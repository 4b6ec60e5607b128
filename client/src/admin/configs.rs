//! Configurations of topics and brokers, read and changed.

use flumen_protocol::Text;
use flumen_protocol::alter_configs::{self, AlterConfigsRequest};
use flumen_protocol::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use flumen_protocol::incremental_alter_configs::{AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest};

use super::{Admin, missing};
use crate::Error;

/// What has a configuration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Resource {
    /// A topic.
    Topic(String),
    /// A broker, by id; all of them where there is none.
    Broker(Option<i32>),
}

impl Resource {
    fn kind(&self) -> i8 {
        match self {
            Self::Topic(_) => 2,
            Self::Broker(_) => 4,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Topic(name) => name.clone(),
            Self::Broker(id) => id.map(|id| id.to_string()).unwrap_or_default(),
        }
    }

    /// The broker that must be asked, where it matters which.
    fn broker(&self) -> Option<i32> {
        match self {
            Self::Topic(_) => None,
            Self::Broker(id) => *id,
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigSource {
    /// Set on the topic.
    DynamicTopic,
    /// Set on the broker while it runs.
    DynamicBroker,
    /// Set on all brokers while they run.
    DynamicDefaultBroker,
    /// In the broker's file.
    StaticBroker,
    /// Nobody set it.
    Default,
    /// One this client does not know.
    Other(i8),
}

impl ConfigSource {
    fn from_code(code: i8) -> Self {
        match code {
            1 => Self::DynamicTopic,
            2 => Self::DynamicBroker,
            3 => Self::DynamicDefaultBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            other => Self::Other(other),
        }
    }

    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DynamicTopic => "DYNAMIC_TOPIC_CONFIG",
            Self::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
            Self::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            Self::StaticBroker => "STATIC_BROKER_CONFIG",
            Self::Default => "DEFAULT_CONFIG",
            Self::Other(_) => "UNKNOWN",
        }
    }
}

/// A setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value; absent where it is secret or unset.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it cannot be changed.
    pub is_read_only: bool,
    /// Whether its value is kept secret.
    pub is_sensitive: bool,
    /// What it means, where asked for.
    pub documentation: Option<String>,
}

/// What is done to a setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AlterOperation {
    /// It gets a value.
    Set,
    /// It gets its default.
    Delete,
    /// A list gets further members.
    Append,
    /// A list loses members.
    Subtract,
}

impl AlterOperation {
    fn code(self) -> i8 {
        match self {
            Self::Set => 0,
            Self::Delete => 1,
            Self::Append => 2,
            Self::Subtract => 3,
        }
    }
}

/// A change of one setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigAlteration {
    /// The setting.
    pub name: String,
    /// What is done.
    pub operation: AlterOperation,
    /// With what; nothing for a deletion.
    pub value: Option<String>,
}

impl Admin {
    /// The whole configuration of each resource, in the order asked.
    pub async fn describe_configs(
        &self,
        resources: &[Resource],
        documentation: bool,
    ) -> Result<Vec<(Resource, Result<Vec<ConfigEntry>, Error>)>, Error> {
        let mut described = Vec::with_capacity(resources.len());
        for (broker, part) in by_broker(resources) {
            let wanted = part.iter().map(|resource| DescribeConfigsResource {
                resource_type: resource.kind(),
                resource_name: Text::from(resource.name()),
                configuration_keys: None,
            });
            let request = DescribeConfigsRequest {
                resources: wanted.collect(),
                include_synonyms: false,
                include_documentation: documentation,
            };
            let answer = match broker {
                Some(id) => {
                    self.cluster.retrying(|| async { self.cluster.broker(id).await?.call(request.clone()).await }).await?
                }
                None => self.cluster.call_any(request).await?,
            };
            for resource in part {
                let found = answer
                    .results
                    .iter()
                    .find(|result| result.resource_type == resource.kind() && *result.resource_name == resource.name());
                let outcome = match found {
                    None => Err(missing(&resource.name())),
                    Some(result) => Error::check(result.error_code, result.error_message.as_deref())
                        .map(|()| result.configs.iter().map(ConfigEntry::from).collect()),
                };
                described.push((resource.clone(), outcome));
            }
        }
        Ok(described)
    }

    /// Changes settings of each resource, leaving the others as they are.
    pub async fn incremental_alter_configs(
        &self,
        changes: &[(Resource, Vec<ConfigAlteration>)],
        validate_only: bool,
    ) -> Result<Vec<(Resource, Result<(), Error>)>, Error> {
        let resources = changes.iter().map(|(resource, alterations)| AlterConfigsResource {
            resource_type: resource.kind(),
            resource_name: Text::from(resource.name()),
            configs: alterations.iter().map(AlterableConfig::from).collect(),
        });
        let request = IncrementalAlterConfigsRequest { resources: resources.collect(), validate_only };
        let answer = self.cluster.call_controller(request).await?;
        let outcome = |resource: &Resource| {
            let found = answer
                .responses
                .iter()
                .find(|response| response.resource_type == resource.kind() && *response.resource_name == resource.name());
            match found {
                None => Err(missing(&resource.name())),
                Some(response) => Error::check(response.error_code, response.error_message.as_deref()),
            }
        };
        Ok(changes.iter().map(|(resource, _)| (resource.clone(), outcome(resource))).collect())
    }

    /// Replaces the whole configuration of a resource: what is not named gets its default.
    pub async fn alter_configs(
        &self,
        resource: &Resource,
        configs: &[(String, String)],
        validate_only: bool,
    ) -> Result<(), Error> {
        let config = |(name, value): &(String, String)| alter_configs::AlterableConfig {
            name: Text::from(name.as_str()),
            value: Some(Text::from(value.as_str())),
        };
        let resource = alter_configs::AlterConfigsResource {
            resource_type: resource.kind(),
            resource_name: Text::from(resource.name()),
            configs: configs.iter().map(config).collect(),
        };
        let answer = self.cluster.call_controller(AlterConfigsRequest { resources: vec![resource], validate_only }).await?;
        for response in &answer.responses {
            Error::check(response.error_code, response.error_message.as_deref())?;
        }
        Ok(())
    }
}

/// A broker's own configuration is only its own to tell; the rest anybody's.
fn by_broker(resources: &[Resource]) -> Vec<(Option<i32>, Vec<Resource>)> {
    let mut parts: Vec<(Option<i32>, Vec<Resource>)> = Vec::new();
    for resource in resources {
        match parts.last_mut().filter(|(broker, _)| *broker == resource.broker()) {
            Some((_, part)) => part.push(resource.clone()),
            None => parts.push((resource.broker(), vec![resource.clone()])),
        }
    }
    parts
}

impl From<&flumen_protocol::describe_configs::DescribeConfigsResourceResult> for ConfigEntry {
    fn from(found: &flumen_protocol::describe_configs::DescribeConfigsResourceResult) -> Self {
        Self {
            name: found.name.to_string(),
            value: found.value.as_ref().map(ToString::to_string),
            source: ConfigSource::from_code(found.config_source),
            is_read_only: found.read_only,
            is_sensitive: found.is_sensitive,
            documentation: found.documentation.as_ref().map(ToString::to_string).filter(|text| !text.is_empty()),
        }
    }
}

impl From<&ConfigAlteration> for AlterableConfig {
    fn from(alteration: &ConfigAlteration) -> Self {
        Self {
            name: Text::from(alteration.name.as_str()),
            config_operation: alteration.operation.code(),
            value: alteration.value.as_deref().map(Text::from),
        }
    }
}
