//! DeleteTopics.

use super::answers::{Fault, refused, undecided};
use super::{AdminContext, Continuation, Pending, Step};
use alloc::string::String;
use alloc::vec::Vec;
use flumen_controller::CommandResponse;
use flumen_controller::command::{Command, DeleteTopics, TopicReference};
use flumen_controller::response::DeletedTopic;
use flumen_log::TopicId;
use flumen_protocol::delete_topics::{DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};
use flumen_protocol::{ErrorCode, Text, Uuid};

/// The first version that deletes by topic id.
const BY_ID_FROM: i16 = 6;
/// The first version that knows the error for disabled deletion.
const DISABLED_ERROR_FROM: i16 = 3;

/// What is answered once the controller has decided.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Topics refused without asking.
    refused: Vec<DeletableTopicResult>,
    /// The topics asked for.
    asked: Vec<TopicReference>,
}

pub(super) fn handle(request: &DeleteTopicsRequest, version: i16, context: &AdminContext<'_>) -> Step {
    let asked = states(request, version);
    if !context.settings.layers(context.image).switch("delete.topic.enable") {
        let fault = disabled(version);
        return reply(asked.into_iter().map(|topic| failed(topic.name, topic.topic_id, fault.clone())).collect());
    }
    let mut refused = Vec::new();
    let mut topics = Vec::with_capacity(asked.len());
    for topic in asked {
        match (&topic.name, topic.topic_id != Uuid::default()) {
            (Some(name), false) => topics.push(TopicReference::Name(name.as_str().into())),
            (None, true) => topics.push(TopicReference::Id(TopicId(topic.topic_id.0))),
            (Some(_), true) => refused.push(misnamed(topic, "You may not specify both topic name and topic id.")),
            (None, false) => refused.push(misnamed(topic, "Neither topic name nor id were specified.")),
        }
    }
    if topics.is_empty() {
        return reply(refused);
    }
    let waiting = Waiting { refused, asked: topics.clone() };
    let command = Command::DeleteTopics(DeleteTopics { topics });
    Step::Propose { command, then: Continuation(Pending::DeleteTopics(waiting)), timeout_ms: Some(request.timeout_ms) }
}

fn states(request: &DeleteTopicsRequest, version: i16) -> Vec<DeleteTopicState> {
    if version >= BY_ID_FROM {
        return request.topics.clone();
    }
    let named = request.topic_names.iter().cloned();
    named.map(|name| DeleteTopicState { name: Some(name), ..DeleteTopicState::default() }).collect()
}

fn disabled(version: i16) -> Fault {
    let error_code = if version < DISABLED_ERROR_FROM { ErrorCode::InvalidRequest } else { ErrorCode::TopicDeletionDisabled };
    (error_code, Text::from_static("Topic deletion is disabled (delete.topic.enable=false)."))
}

fn misnamed(topic: DeleteTopicState, message: &'static str) -> DeletableTopicResult {
    failed(topic.name, topic.topic_id, (ErrorCode::InvalidRequest, Text::from_static(message)))
}

fn reply(responses: Vec<DeletableTopicResult>) -> Step {
    Step::Reply(DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }.into())
}

impl Waiting {
    pub(super) fn finish(self, decision: Result<CommandResponse, String>) -> DeleteTopicsResponse {
        let mut responses = self.refused;
        match decision {
            Ok(CommandResponse::TopicsDeleted(outcomes)) => responses.extend(outcomes.into_iter().map(answered)),
            other => {
                let fault = undecided(&other);
                responses.extend(self.asked.into_iter().map(|topic| failed_as_asked(topic, fault.clone())));
            }
        }
        DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }
    }
}

fn answered(topic: DeletedTopic) -> DeletableTopicResult {
    match topic.outcome {
        Ok((name, id)) => DeletableTopicResult {
            name: Some(name.into()),
            topic_id: Uuid(id.0),
            error_code: ErrorCode::None,
            error_message: None,
        },
        Err(refusal) => failed_as_asked(topic.asked, refused(&refusal)),
    }
}

fn failed_as_asked(asked: TopicReference, fault: Fault) -> DeletableTopicResult {
    match asked {
        TopicReference::Name(name) => failed(Some(name.into()), Uuid::default(), fault),
        TopicReference::Id(id) => failed(None, Uuid(id.0), fault),
    }
}

fn failed(name: Option<Text>, topic_id: Uuid, (error_code, message): Fault) -> DeletableTopicResult {
    DeletableTopicResult { name, topic_id, error_code, error_message: Some(message) }
}
