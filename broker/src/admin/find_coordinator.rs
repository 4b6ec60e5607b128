//! FindCoordinator: who leads the partition of `__consumer_offsets` that a group's offsets are kept in.
//!
//! Transactions and share groups have no coordinator in this version; they are refused with errors that clients do not retry.

use super::cluster_view::ClusterView;
use super::{AdminContext, Step, internal_topics};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use flumen_controller::Endpoint;
use flumen_log::{BrokerId, PartitionIndex};
use flumen_protocol::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use flumen_protocol::{ErrorCode, Text};

/// A consumer group's coordinator.
const GROUP: i8 = 0;
/// A transactional id's coordinator.
const TRANSACTION: i8 = 1;
/// A share group partition's coordinator.
const SHARE: i8 = 2;
/// The first version that asks for several keys.
const BATCHED_FROM: i16 = 4;
/// The versions before this have no key type.
const KEY_TYPE_FROM: i16 = 1;

pub(super) fn handle(request: &FindCoordinatorRequest, version: i16, context: &mut AdminContext<'_>) -> Step {
    let key_type = if version < KEY_TYPE_FROM { GROUP } else { request.key_type };
    let found: Vec<_> = if version < BATCHED_FROM {
        Vec::from([find(key_type, &request.key, context)])
    } else {
        let once: BTreeSet<&Text> = request.coordinator_keys.iter().collect();
        once.into_iter().map(|key| find(key_type, key, context)).collect()
    };
    let response = if version < BATCHED_FROM { single(found) } else { batched(found) };
    let asks_for_group = key_type == GROUP && (version < BATCHED_FROM || !request.coordinator_keys.is_empty());
    if !asks_for_group || context.image.topic(internal_topics::OFFSETS).is_some() {
        return Step::Reply(response.into());
    }
    let topics = Vec::from([internal_topics::offsets(context)]);
    let command = internal_topics::create(topics, context.image, context.settings);
    Step::ReplyAndPropose { response: response.into(), command }
}

fn find(key_type: i8, key: &Text, context: &AdminContext<'_>) -> Coordinator {
    let outcome = match key_type {
        // The topic may not be there yet, or its partition be without a leader: both pass (G17).
        GROUP => group_coordinator(key, context).ok_or((ErrorCode::CoordinatorNotAvailable, "")),
        TRANSACTION => Err((
            ErrorCode::TransactionalIdAuthorizationFailed,
            "This version of Flumen has no transactions; use an idempotent producer without a transactional id.",
        )),
        SHARE => Err((ErrorCode::InvalidRequest, "This version of Flumen has no share groups.")),
        _ => Err((ErrorCode::InvalidRequest, "The coordinator's key type must be 0 (group), 1 (transaction) or 2 (share).")),
    };
    match outcome {
        Ok((leader, endpoint)) => Coordinator {
            key: key.clone(),
            node_id: leader.0,
            host: endpoint.host.as_str().into(),
            port: endpoint.port.into(),
            error_code: ErrorCode::None,
            error_message: Some(Text::default()),
        },
        Err((error_code, message)) => Coordinator {
            key: key.clone(),
            node_id: -1,
            host: Text::default(),
            port: -1,
            error_code,
            error_message: Some(Text::from_static(message)),
        },
    }
}

fn group_coordinator<'a>(group: &str, context: &AdminContext<'a>) -> Option<(BrokerId, &'a Endpoint)> {
    let topic = context.image.topic(internal_topics::OFFSETS)?;
    let leader = topic.partition(coordinator_partition(group, topic.partitions.len())?)?.leader?;
    let view = ClusterView { image: context.image, listener: context.settings.listener(context.listener) };
    Some((leader, view.live_endpoint(leader)?))
}

/// The partition of `__consumer_offsets` that keeps a group: Java's hash of its name, without the sign (zero where it has no
/// positive twin), modulo the number of partitions. `None` if there are none.
#[must_use]
pub fn coordinator_partition(group: &str, partitions: usize) -> Option<PartitionIndex> {
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    let count = i32::try_from(partitions).ok()?;
    hash.checked_abs().unwrap_or(0).checked_rem(count).map(PartitionIndex)
}

fn single(found: Vec<Coordinator>) -> FindCoordinatorResponse {
    let only = found.into_iter().next().unwrap_or_default();
    // Kafka names the absent error in these versions.
    let message = if only.error_code.is_none() { Some(Text::from_static(ErrorCode::None.name())) } else { only.error_message };
    FindCoordinatorResponse {
        error_code: only.error_code,
        error_message: message,
        node_id: only.node_id,
        host: only.host,
        port: only.port,
        ..FindCoordinatorResponse::default()
    }
}

fn batched(coordinators: Vec<Coordinator>) -> FindCoordinatorResponse {
    FindCoordinatorResponse { coordinators, ..FindCoordinatorResponse::default() }
}
