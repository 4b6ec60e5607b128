//! The cluster as a client on one listener sees it: live brokers with their endpoints, and who leads what.

use alloc::vec::Vec;
use flumen_controller::{BrokerImage, Endpoint, MetadataImage, PartitionImage};
use flumen_log::BrokerId;
use flumen_protocol::ErrorCode;

/// All that an authorized client may do to the cluster: idempotent write, alter and describe configuration, cluster action,
/// describe, alter, create.
pub(super) const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;
/// All that an authorized client may do to a topic: alter and describe configuration, describe, alter, delete, create, write,
/// read.
pub(super) const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;

/// The cluster on one listener.
#[derive(Clone, Copy)]
pub(super) struct ClusterView<'a> {
    pub(super) image: &'a MetadataImage,
    pub(super) listener: &'a str,
}

/// Who leads and holds a partition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leadership {
    pub(super) error: ErrorCode,
    pub(super) leader_id: i32,
    pub(super) leader_epoch: i32,
    pub(super) replicas: Vec<i32>,
    pub(super) isr: Vec<i32>,
    pub(super) offline: Vec<i32>,
}

impl<'a> ClusterView<'a> {
    /// The brokers that can be reached on this listener.
    pub(super) fn live_brokers(self) -> impl Iterator<Item = (&'a BrokerImage, &'a Endpoint)> {
        self.known_brokers().filter(|(broker, _)| !broker.fenced)
    }

    /// As above, with those that are fenced.
    pub(super) fn known_brokers(self) -> impl Iterator<Item = (&'a BrokerImage, &'a Endpoint)> {
        let reached = move |broker: &'a BrokerImage| Some((broker, self.endpoint_of(broker)?));
        self.image.brokers.values().filter_map(move |broker| reached(broker))
    }

    fn endpoint_of(self, broker: &'a BrokerImage) -> Option<&'a Endpoint> {
        broker.endpoints.iter().find(|endpoint| endpoint.listener == self.listener)
    }

    /// Where a broker is reached, if it lives.
    pub(super) fn live_endpoint(self, id: BrokerId) -> Option<&'a Endpoint> {
        self.endpoint_of(self.image.brokers.get(&id).filter(|broker| !broker.fenced)?)
    }

    /// Who leads and holds a partition. Without a leader, or with one that cannot be reached on this listener, the partition is
    /// told with an error and all else (M06, M07).
    pub(super) fn leadership(self, partition: &PartitionImage, tell_missing_listener: bool) -> Leadership {
        let lives = |id: &BrokerId| self.image.brokers.get(id).is_some_and(|broker| !broker.fenced);
        let leader = partition.leader.filter(lives);
        let (error, leader_id) = match leader {
            Some(leader) if self.live_endpoint(leader).is_some() => (ErrorCode::None, leader.0),
            Some(_) if tell_missing_listener => (ErrorCode::ListenerNotFound, -1),
            Some(_) | None => (ErrorCode::LeaderNotAvailable, -1),
        };
        let numbers = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect();
        Leadership {
            error,
            leader_id,
            leader_epoch: partition.leader_epoch.0,
            replicas: numbers(&partition.replicas),
            isr: numbers(&partition.isr),
            // A partition that nobody leads is one that none of its in-sync replicas can serve.
            offline: partition
                .replicas
                .iter()
                .filter(|id| !lives(id) || (partition.leader.is_none() && partition.isr.contains(id)))
                .map(|id| id.0)
                .collect(),
        }
    }
}
