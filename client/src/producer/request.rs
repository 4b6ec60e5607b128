//! What a produce response says of each batch that was sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use flumen_protocol::ErrorCode;
use flumen_protocol::produce::{PartitionProduceResponse, ProduceResponse};

use super::Acks;
use super::accumulator::{Failure, Place};
use super::batch::Batch;
use super::outcome::Taken;
use crate::Error;
use crate::cluster::{Broker, Cluster, Leader};

/// The first version that names topics by id.
pub(super) const VERSION_WITH_IDS: i16 = 13;

/// The outcome for each batch of `waiting`; a batch the response leaves out has none.
pub(super) fn answers(
    cluster: &Cluster,
    waiting: &[(Place, Batch)],
    version: i16,
    acks: Acks,
    outcome: Result<ProduceResponse, Error>,
) -> BTreeMap<Place, Result<Taken, Failure>> {
    let places = || waiting.iter().map(|(place, _)| place.clone());
    let response = match outcome {
        // Nothing will ever be known of these.
        Ok(_) if acks == Acks::None => {
            return places().map(|place| (place, Ok(Taken { base_offset: -1, log_append_time: -1 }))).collect();
        }
        Ok(response) => response,
        Err(error) => {
            let failure = |place| (place, Err(Failure { error: error.clone(), doubtful: true }));
            return places().map(failure).collect();
        }
    };
    let endpoints: Vec<Broker> = response.node_endpoints.iter().map(endpoint).collect();
    let mut found = BTreeMap::new();
    for topic in &response.responses {
        let name: Option<Arc<str>> =
            if version >= VERSION_WITH_IDS { cluster.topic_name(topic.topic_id) } else { Some(Arc::from(&*topic.name)) };
        let Some(name) = name else { continue };
        for partition in &topic.partition_responses {
            let leader = partition.current_leader.leader_id;
            if leader >= 0 {
                let leader = Leader { broker: leader, epoch: partition.current_leader.leader_epoch };
                cluster.learn_leader(&name, partition.index, leader, &endpoints);
            }
            found.insert((Arc::clone(&name), partition.index), answer(partition));
        }
    }
    found
}

fn endpoint(node: &flumen_protocol::produce::NodeEndpoint) -> Broker {
    Broker { id: node.node_id, host: node.host.to_string(), port: node.port, rack: node.rack.as_ref().map(ToString::to_string) }
}

fn answer(partition: &PartitionProduceResponse) -> Result<Taken, Failure> {
    let taken = Taken { base_offset: partition.base_offset, log_append_time: partition.log_append_time_ms };
    match partition.error_code {
        // Written by an earlier attempt, whose answer was lost.
        ErrorCode::None | ErrorCode::DuplicateSequenceNumber => Ok(taken),
        code => {
            let of_record = partition.record_errors.iter().find_map(|record| record.batch_index_error_message.as_deref());
            let message = partition.error_message.as_deref().or(of_record);
            let doubtful = matches!(code, ErrorCode::RequestTimedOut | ErrorCode::NotEnoughReplicasAfterAppend);
            Err(Failure { error: Error::Broker { code, message: message.map(str::to_owned) }, doubtful })
        }
    }
}
