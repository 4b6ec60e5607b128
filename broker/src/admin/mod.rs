//! Requests about the cluster itself: what there is, what it is set to, and changes to both.
//!
//! Every function here is pure: it reads the metadata image and the broker's settings and says what to answer, what to ask of
//! the controller, or both. A change is answered by [`finish`] once the controller has decided and every shard has applied it.
//! Block handling of producer ids, tickets and deadlines belong to the shard.

mod alter_configs;
mod answers;
mod api_versions;
mod cluster_view;
mod config_resource;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_topic_partitions;
mod find_coordinator;
mod init_producer_id;
mod internal_topics;
mod metadata;
mod settings;
#[cfg(test)]
mod tests;

pub use api_versions::unsupported_version;
pub use describe_configs::ConfigDescription;
pub use find_coordinator::coordinator_partition;
pub use init_producer_id::refuse_producer_id;
pub use settings::BrokerSettings;

use alloc::string::String;
use flumen_controller::{Command, CommandResponse, MetadataImage};
use flumen_log::TopicId;
use flumen_protocol::{Request, Response};

/// What is known where a request is handled.
pub struct AdminContext<'a> {
    /// The cluster.
    pub image: &'a MetadataImage,
    /// This broker.
    pub settings: &'a BrokerSettings,
    /// Which of the broker's listeners the request came in on, in the order of [`BrokerSettings::listeners`].
    pub listener: u16,
    /// Draws a random topic id.
    pub new_topic_id: &'a mut dyn FnMut() -> TopicId,
}

/// What to do about a request.
#[derive(Debug)]
pub enum Step {
    /// Answer.
    Reply(Response),
    /// Ask the controller, and answer with [`finish`].
    Propose {
        /// What to ask.
        command: Command,
        /// What to give to [`finish`].
        then: Continuation,
        /// How long the request waits for the decision; none where it cannot say.
        timeout_ms: Option<i32>,
    },
    /// Answer, and ask the controller without waiting for it.
    ReplyAndPropose {
        /// The answer.
        response: Response,
        /// What to ask.
        command: Command,
    },
}

/// A request whose answer waits for the controller.
#[derive(Debug)]
pub struct Continuation(Pending);

#[derive(Debug)]
enum Pending {
    CreateTopics(create_topics::Waiting),
    DeleteTopics(delete_topics::Waiting),
    CreatePartitions(create_partitions::Waiting),
    AlterConfigs(alter_configs::Waiting),
}

/// Handles a request; `None` if it is none of these.
#[must_use]
pub fn handle(request: &Request, version: i16, context: AdminContext<'_>) -> Option<Step> {
    let mut context = context;
    Some(match request {
        Request::ApiVersions(request) => Step::Reply(api_versions::answer(request, version, &context).into()),
        Request::Metadata(request) => metadata::handle(request, version, &mut context),
        Request::DescribeCluster(request) => Step::Reply(describe_cluster::answer(request, version, &context).into()),
        Request::DescribeTopicPartitions(request) => Step::Reply(describe_topic_partitions::answer(request, &context).into()),
        Request::FindCoordinator(request) => find_coordinator::handle(request, version, &mut context),
        Request::CreateTopics(request) => create_topics::handle(request, &mut context),
        Request::DeleteTopics(request) => delete_topics::handle(request, version, &context),
        Request::CreatePartitions(request) => create_partitions::handle(request),
        Request::AlterConfigs(request) => alter_configs::handle_replacing(request, &context),
        Request::IncrementalAlterConfigs(request) => alter_configs::handle_incremental(request, &context),
        _ => return None,
    })
}

/// The answer to a request once the controller has decided. An error says why it could not decide.
#[must_use]
pub fn finish(
    continuation: Continuation,
    decision: Result<CommandResponse, String>,
    image: &MetadataImage,
    settings: &BrokerSettings,
) -> Response {
    match continuation.0 {
        Pending::CreateTopics(waiting) => waiting.finish(decision, image, settings).into(),
        Pending::DeleteTopics(waiting) => waiting.finish(decision).into(),
        Pending::CreatePartitions(waiting) => waiting.finish(decision).into(),
        Pending::AlterConfigs(waiting) => waiting.finish(decision),
    }
}
