//! AlterConfigs, which replaces all dynamic values of a resource, and IncrementalAlterConfigs, which changes them key by key.
//!
//! What can be seen from the request alone is refused here, resource by resource; the rest goes to the controller in one
//! command. Every resource asked for is answered, in the order of the request.

use super::answers::{Fault, refused, undecided};
use super::config_resource::{self, ResourceKind};
use super::{AdminContext, Continuation, Pending, Step};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use flumen_controller::command::{AlterConfigs, Command, ConfigChange, ConfigOperation, ResourceChange};
use flumen_controller::{CommandResponse, ConfigResource};
use flumen_log::BrokerId;
use flumen_protocol::alter_configs::{self, AlterConfigsRequest, AlterConfigsResponse};
use flumen_protocol::incremental_alter_configs::{self, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use flumen_protocol::{ErrorCode, Response, Text};

/// What is answered once the controller has decided.
#[derive(Debug)]
pub(super) struct Waiting {
    flavour: Flavour,
    answers: Vec<Answer>,
}

/// Which of the two requests is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flavour {
    Replacing,
    Incremental,
}

/// The answer for one resource.
#[derive(Debug)]
struct Answer {
    resource_type: i8,
    resource_name: Text,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    /// The controller will say.
    Asked,
    Done,
    Failed(Fault),
}

/// One resource of either request.
struct Asked<'a> {
    resource_type: i8,
    resource_name: &'a Text,
    change: Result<ConfigChange, Fault>,
}

pub(super) fn handle_replacing(request: &AlterConfigsRequest, context: &AdminContext<'_>) -> Step {
    let asked = request.resources.iter().map(|resource| Asked {
        resource_type: resource.resource_type,
        resource_name: &resource.resource_name,
        change: replacement(&resource.configs),
    });
    handle(Flavour::Replacing, asked.collect(), request.validate_only, context)
}

pub(super) fn handle_incremental(request: &IncrementalAlterConfigsRequest, context: &AdminContext<'_>) -> Step {
    let asked = request.resources.iter().map(|resource| Asked {
        resource_type: resource.resource_type,
        resource_name: &resource.resource_name,
        change: operations(&resource.configs),
    });
    handle(Flavour::Incremental, asked.collect(), request.validate_only, context)
}

fn replacement(configs: &[alter_configs::AlterableConfig]) -> Result<ConfigChange, Fault> {
    let value = |config: &alter_configs::AlterableConfig| {
        let value = config.value.as_deref().ok_or_else(|| null_value(&config.name))?;
        Ok((config.name.as_str().into(), Some(String::from(value))))
    };
    configs.iter().map(value).collect::<Result<_, _>>().map(ConfigChange::Replace)
}

fn operations(configs: &[incremental_alter_configs::AlterableConfig]) -> Result<ConfigChange, Fault> {
    let operation = |config: &incremental_alter_configs::AlterableConfig| {
        let value = || config.value.as_deref().map(String::from).ok_or_else(|| null_value(&config.name));
        let operation = match config.config_operation {
            0 => ConfigOperation::Set(value()?),
            1 => ConfigOperation::Delete,
            2 => ConfigOperation::Append(value()?),
            3 => ConfigOperation::Subtract(value()?),
            other => return Err(invalid(format!("Unknown operation type {other} for {}", config.name))),
        };
        Ok((config.name.as_str().into(), operation))
    };
    configs.iter().map(operation).collect::<Result<_, _>>().map(ConfigChange::Incremental)
}

fn null_value(name: &str) -> Fault {
    invalid(format!("Null value not supported for : {name}"))
}

fn invalid(message: String) -> Fault {
    (ErrorCode::InvalidRequest, message.into())
}

fn handle(flavour: Flavour, asked: Vec<Asked<'_>>, validate_only: bool, context: &AdminContext<'_>) -> Step {
    let mut times: BTreeMap<(i8, Text), u32> = BTreeMap::new();
    for resource in &asked {
        *times.entry((resource.resource_type, resource.resource_name.clone())).or_default() += 1;
    }
    let mut answers = Vec::with_capacity(asked.len());
    let mut resources = Vec::with_capacity(asked.len());
    for Asked { resource_type, resource_name, change } in asked {
        let resource_name = resource_name.detached();
        let repeated = times.get(&(resource_type, resource_name.clone())).is_some_and(|times| *times > 1);
        let change = if repeated { Err(invalid("Each resource must appear at most once.".into())) } else { change };
        let checked = change.and_then(|change| Ok((resource(resource_type, &resource_name, context)?, change)));
        let outcome = match checked {
            Ok((resource, change)) => {
                resources.push(ResourceChange { resource, change });
                Outcome::Asked
            }
            Err(fault) => Outcome::Failed(fault),
        };
        answers.push(Answer { resource_type, resource_name, outcome });
    }
    let waiting = Waiting { flavour, answers };
    if resources.is_empty() {
        return Step::Reply(waiting.answer());
    }
    let command = Command::AlterConfigs(AlterConfigs { resources, validate_only });
    Step::Propose { command, then: Continuation(Pending::AlterConfigs(waiting)), timeout_ms: None }
}

fn resource(resource_type: i8, name: &str, context: &AdminContext<'_>) -> Result<ConfigResource, Fault> {
    match ResourceKind::of(resource_type) {
        ResourceKind::Topic if name.is_empty() => Err(invalid("Default topic resources are not allowed.".into())),
        ResourceKind::Topic => Ok(ConfigResource::Topic(name.into())),
        ResourceKind::Broker => broker(name, context.settings.broker),
        ResourceKind::Unserved(what) => Err(config_resource::unserved(what)),
        ResourceKind::Unknown => Err(config_resource::unknown(resource_type)),
    }
}

fn broker(name: &str, own: BrokerId) -> Result<ConfigResource, Fault> {
    if name.is_empty() {
        return Ok(ConfigResource::Broker(None));
    }
    match name.parse().map(BrokerId) {
        Ok(id) if id == own => Ok(ConfigResource::Broker(Some(id))),
        Ok(other) => Err(invalid(format!("Unexpected broker id, expected {own}, but received {other}"))),
        Err(_) => Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
    }
}

impl Waiting {
    pub(super) fn finish(mut self, decision: Result<CommandResponse, String>) -> Response {
        let open = self.answers.iter_mut().filter(|answer| matches!(answer.outcome, Outcome::Asked));
        match decision {
            // The command has the resources in the order of the answers that wait for it.
            Ok(CommandResponse::ConfigsAltered(outcomes)) => {
                for (answer, told) in open.zip(outcomes) {
                    answer.outcome = match told.outcome {
                        Ok(()) => Outcome::Done,
                        Err(refusal) => Outcome::Failed(refused(&refusal)),
                    };
                }
            }
            other => {
                let fault = undecided(&other);
                for answer in open {
                    answer.outcome = Outcome::Failed(fault.clone());
                }
            }
        }
        self.answer()
    }

    fn answer(self) -> Response {
        let answers = self.answers.into_iter();
        match self.flavour {
            Flavour::Replacing => {
                let responses = answers.map(|answer| {
                    let (error_code, error_message) = answer.outcome.told();
                    let Answer { resource_type, resource_name, .. } = answer;
                    alter_configs::AlterConfigsResourceResponse { error_code, error_message, resource_type, resource_name }
                });
                AlterConfigsResponse { throttle_time_ms: 0, responses: responses.collect() }.into()
            }
            Flavour::Incremental => {
                let responses = answers.map(|answer| {
                    let (error_code, error_message) = answer.outcome.told();
                    let Answer { resource_type, resource_name, .. } = answer;
                    incremental_alter_configs::AlterConfigsResourceResponse {
                        error_code,
                        error_message,
                        resource_type,
                        resource_name,
                    }
                });
                IncrementalAlterConfigsResponse { throttle_time_ms: 0, responses: responses.collect() }.into()
            }
        }
    }
}

impl Outcome {
    fn told(&self) -> (ErrorCode, Option<Text>) {
        match self {
            Self::Done => (ErrorCode::None, None),
            Self::Failed((error_code, message)) => (*error_code, Some(message.clone())),
            // The controller answered fewer resources than it was asked.
            Self::Asked => (ErrorCode::UnknownServerError, None),
        }
    }
}
