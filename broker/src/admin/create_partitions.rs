//! CreatePartitions. Every topic asked for is answered (A03).

use super::answers::{Fault, refused, undecided};
use super::{Continuation, Pending, Step};
use alloc::string::String;
use alloc::vec::Vec;
use flumen_controller::CommandResponse;
use flumen_controller::command::{Command, CreatePartitions, MorePartitions};
use flumen_controller::response::TopicOutcome;
use flumen_log::BrokerId;
use flumen_protocol::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use flumen_protocol::{ErrorCode, Text};

/// What is answered once the controller has decided.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The topics asked for.
    asked: Vec<Text>,
}

pub(super) fn handle(request: &CreatePartitionsRequest) -> Step {
    if request.topics.is_empty() {
        return Step::Reply(CreatePartitionsResponse::default().into());
    }
    let asked = request.topics.iter().map(|topic| topic.name.detached()).collect();
    let topics = request.topics.iter().map(more_partitions).collect();
    let command = Command::CreatePartitions(CreatePartitions { topics, validate_only: request.validate_only });
    let then = Continuation(Pending::CreatePartitions(Waiting { asked }));
    Step::Propose { command, then, timeout_ms: Some(request.timeout_ms) }
}

fn more_partitions(topic: &CreatePartitionsTopic) -> MorePartitions {
    let assignments = topic.assignments.as_ref().map(|assignments| {
        let brokers = assignments.iter().map(|assignment| assignment.broker_ids.iter().copied().map(BrokerId).collect());
        brokers.collect()
    });
    MorePartitions { name: topic.name.as_str().into(), count: topic.count, assignments }
}

impl Waiting {
    pub(super) fn finish(self, decision: Result<CommandResponse, String>) -> CreatePartitionsResponse {
        let results = match decision {
            Ok(CommandResponse::PartitionsCreated(outcomes)) => outcomes.into_iter().map(answered).collect(),
            other => {
                let fault = undecided(&other);
                self.asked.into_iter().map(|name| failed(name, fault.clone())).collect()
            }
        };
        CreatePartitionsResponse { results, ..CreatePartitionsResponse::default() }
    }
}

fn answered(topic: TopicOutcome<()>) -> CreatePartitionsTopicResult {
    let name = Text::from(topic.name);
    match topic.outcome {
        Ok(()) => CreatePartitionsTopicResult { name, error_code: ErrorCode::None, error_message: None },
        Err(refusal) => failed(name, refused(&refusal)),
    }
}

fn failed(name: Text, (error_code, message): Fault) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult { name, error_code, error_message: Some(message) }
}
