//! Where replicas go: round robin over the live brokers, spread over racks where all of them have one.
//!
//! The start of the round comes from the topic's random id, so that every member of the quorum places alike, topics start on
//! different brokers, and partitions added later continue the round where it stopped.
//!
//! Invariants: a partition's replicas are distinct; the leaders of as many consecutive partitions as there are brokers are
//! distinct; no rack holds two replicas of a partition while another holds none.

use crate::image::MetadataImage;
use crate::refusal::{Reason, Refusal};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::vec::Vec;
use flumen_log::{BrokerId, TopicId};

/// The replicas of `count` partitions, the first of which has the number `first`.
///
/// # Errors
/// There are not enough live brokers ([`Reason::InvalidReplicationFactor`]).
pub(crate) fn place(
    image: &MetadataImage,
    topic: TopicId,
    first: usize,
    count: usize,
    replication_factor: usize,
) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    let round = Round::over(image);
    if round.brokers.is_empty() && !image.brokers.is_empty() {
        return Err(unable(replication_factor, "All brokers are currently fenced."));
    }
    if replication_factor > round.brokers.len() {
        let live = round.brokers.len();
        let fault = format!(
            "The target replication factor of {replication_factor} cannot be reached because only {live} broker(s) are registered."
        );
        return Err(unable(replication_factor, &fault));
    }
    Ok((first..first + count).map(|partition| round.replicas(topic, partition, replication_factor)).collect())
}

fn unable(replication_factor: usize, fault: &str) -> Refusal {
    let message = format!("Unable to replicate the partition {replication_factor} time(s): {fault}");
    Refusal::new(Reason::InvalidReplicationFactor, message)
}

/// The live brokers in an order that visits the racks in turn.
struct Round {
    brokers: Vec<(BrokerId, usize)>,
    racks: usize,
}

impl Round {
    fn over(image: &MetadataImage) -> Self {
        let live: Vec<_> = image.brokers.values().filter(|broker| !broker.fenced).collect();
        if live.iter().any(|broker| broker.rack.is_none()) {
            // Racks say nothing unless everybody has one: each broker then stands for itself.
            let brokers: Vec<_> = live.iter().enumerate().map(|(rack, broker)| (broker.id, rack)).collect();
            let racks = brokers.len();
            return Self { brokers, racks };
        }
        let mut by_rack: BTreeMap<_, VecDeque<BrokerId>> = BTreeMap::new();
        for broker in &live {
            by_rack.entry(&broker.rack).or_default().push_back(broker.id);
        }
        let racks = by_rack.len();
        let mut brokers = Vec::with_capacity(live.len());
        while brokers.len() < live.len() {
            for (rack, members) in by_rack.values_mut().enumerate() {
                brokers.extend(members.pop_front().map(|broker| (broker, rack)));
            }
        }
        Self { brokers, racks }
    }

    fn replicas(&self, topic: TopicId, partition: usize, replication_factor: usize) -> Vec<BrokerId> {
        let size = self.brokers.len();
        let leader = (seed(topic, 0, size) + partition) % size;
        let mut chosen = Vec::from([self.brokers[leader].0]);
        let mut racks = BTreeSet::from([self.brokers[leader].1]);
        // Followers start further from the leader each time the leaders have gone around once.
        let shift = (seed(topic, 8, size) + partition / size) * self.racks;
        let mut step = 0;
        while chosen.len() < replication_factor {
            let (broker, rack) = self.brokers[(leader + 1 + (shift + step) % (size - 1)) % size];
            step += 1;
            if !chosen.contains(&broker) && (racks.len() == self.racks || racks.insert(rack)) {
                chosen.push(broker);
            }
        }
        chosen
    }
}

/// A number below `limit` from eight bytes of a random id.
fn seed(topic: TopicId, at: usize, limit: usize) -> usize {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&topic.0[at..at + 8]);
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    usize::try_from(u64::from_be_bytes(bytes) % limit).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::BrokerImage;
    use alloc::string::{String, ToString};
    use alloc::sync::Arc;
    use proptest::prelude::*;

    fn cluster(racks: &[Option<&str>]) -> MetadataImage {
        let mut image = MetadataImage::default();
        for (id, rack) in (1..).map(BrokerId).zip(racks) {
            let broker = BrokerImage {
                id,
                endpoints: Vec::new(),
                rack: rack.map(ToString::to_string),
                epoch: 0,
                boot_id: String::new(),
                fenced: false,
            };
            image.brokers.insert(id, Arc::new(broker));
        }
        image
    }

    #[test]
    fn a_lone_broker_gets_everything() {
        let placed = place(&cluster(&[None]), TopicId([9; 16]), 0, 3, 1).expect("one broker is enough");
        assert_eq!(placed, [[BrokerId(1)], [BrokerId(1)], [BrokerId(1)]]);
    }

    #[test]
    fn more_replicas_than_brokers_are_refused() {
        let refusal = place(&cluster(&[None, None]), TopicId([9; 16]), 0, 1, 3).expect_err("only two brokers");
        assert_eq!(refusal.reason, Reason::InvalidReplicationFactor);
        assert_eq!(
            refusal.message,
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because \
             only 2 broker(s) are registered."
        );
    }

    #[test]
    fn partitions_added_later_continue_the_round() {
        let image = cluster(&[None; 5]);
        let at_once = place(&image, TopicId([3; 16]), 0, 12, 3).expect("five brokers");
        let later = place(&image, TopicId([3; 16]), 7, 5, 3).expect("five brokers");
        assert_eq!(at_once[7..], later[..]);
    }

    proptest! {
        #[test]
        fn replicas_are_distinct_and_spread(
            id: [u8; 16],
            racks in proptest::collection::vec(proptest::option::weighted(0.9, "[abc]"), 1..9),
            partitions in 1_usize..40,
            factor_seed: u8,
        ) {
            let racks: Vec<_> = racks.iter().map(Option::as_deref).collect();
            let image = cluster(&racks);
            let factor = usize::from(factor_seed) % racks.len() + 1;
            let placed = place(&image, TopicId(id), 0, partitions, factor).expect("enough brokers");
            let round = Round::over(&image);
            for replicas in &placed {
                let distinct: BTreeSet<_> = replicas.iter().collect();
                prop_assert_eq!(distinct.len(), factor);
                let of = |broker: &BrokerId| round.brokers.iter().find(|(id, _)| id == broker).expect("placed on a broker").1;
                let covered: BTreeSet<_> = replicas.iter().map(of).collect();
                prop_assert_eq!(covered.len(), factor.min(round.racks));
            }
            for window in placed.windows(racks.len()) {
                let leaders: BTreeSet<_> = window.iter().map(|replicas| replicas[0]).collect();
                prop_assert_eq!(leaders.len(), racks.len());
            }
        }
    }
}
