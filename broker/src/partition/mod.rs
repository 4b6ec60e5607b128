//! The partitions this shard owns: each a replica with its log, and what waits for it to move.

mod reconcile;
mod waits;

use alloc::{sync::Arc, vec::Vec};
use flumen_log::{Offset, TopicPartition};
use flumen_protocol::ErrorCode;
use flumen_replica::{Leader, Replica};

use crate::{
    hash::Map,
    metadata::Topic,
    shard::{Place, Shard, Turn},
};
pub(crate) use reconcile::Reconciling;
pub(crate) use waits::{Waiter, Waits};

/// One partition on its owner.
#[derive(Debug)]
pub(crate) struct Hosted {
    pub(crate) place: Place,
    pub(crate) topic: Arc<Topic>,
    /// None until the log's directory and state are on disk.
    pub(crate) replica: Option<Replica>,
    /// Appends that wait for the log end or the high watermark.
    pub(crate) waits: Waits,
    /// DeleteRecords that wait for the log start: question group and place, and up to where.
    pub(crate) deletions: Vec<(u64, u32, Offset)>,
}

impl Hosted {
    /// The leader, if this broker is it.
    pub(crate) fn leader(&self) -> Result<&Leader, ErrorCode> {
        match &self.replica {
            Some(Replica::Leader(leader)) => Ok(leader),
            Some(Replica::Follower(_)) | None => Err(ErrorCode::NotLeaderOrFollower),
            Some(Replica::Offline) => Err(ErrorCode::KafkaStorageError),
        }
    }
}

/// The partitions of one shard.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    hosted: Map<TopicPartition, Hosted>,
    by_place: Map<Place, TopicPartition>,
    pub(crate) reconciling: Reconciling,
}

impl Partitions {
    pub(crate) fn get(&self, partition: TopicPartition) -> Option<&Hosted> {
        self.hosted.get(&partition)
    }

    pub(crate) fn get_mut(&mut self, partition: TopicPartition) -> Option<&mut Hosted> {
        self.hosted.get_mut(&partition)
    }

    pub(crate) fn at(&self, place: Place) -> Option<TopicPartition> {
        self.by_place.get(&place).copied()
    }

    pub(crate) fn insert(&mut self, partition: TopicPartition, hosted: Hosted) {
        self.by_place.insert(hosted.place, partition);
        self.hosted.insert(partition, hosted);
    }

    pub(crate) fn remove(&mut self, partition: TopicPartition) -> Option<Hosted> {
        let hosted = self.hosted.remove(&partition)?;
        self.by_place.remove(&hosted.place);
        Some(hosted)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &Hosted)> {
        self.hosted.iter()
    }

    /// The partition's leader here, as a request must find it (P15, F09, L06).
    pub(crate) fn leader(&self, partition: TopicPartition) -> Result<(&Hosted, &Leader), ErrorCode> {
        let hosted = self.get(partition).ok_or(ErrorCode::NotLeaderOrFollower)?;
        hosted.leader().map(|leader| (hosted, leader))
    }
}

impl Shard {
    /// The log has moved: the high watermark may follow, and with it everything that waits.
    pub(crate) fn partition_advanced(&mut self, turn: &mut Turn<'_>, place: Place) {
        let Some(partition) = self.partitions.at(place) else { return };
        let Some(view) = self.directories.view(place) else { return };
        let (log_end, durable) = (view.log_end(), view.durable().get());
        let Some(hosted) = self.partitions.get_mut(partition) else { return };
        let Some(leader) = hosted.replica.as_mut().and_then(Replica::as_leader_mut) else { return };
        let rose = leader.local_progress(log_end, durable);
        self.partition_moved(turn, partition, log_end, rose);
    }

    /// Release what waits for the log end, and if the high watermark rose what waits for that.
    pub(crate) fn partition_moved(&mut self, turn: &mut Turn<'_>, partition: TopicPartition, log_end: Offset, rose: bool) {
        let Some(hosted) = self.partitions.get_mut(partition) else { return };
        let mut released = hosted.waits.log_end_is(log_end);
        let place = hosted.place;
        if rose && let Some(leader) = hosted.replica.as_ref().and_then(Replica::as_leader) {
            let high_watermark = leader.high_watermark();
            released.extend(hosted.waits.replicated(|end| leader.replicated(end)));
            self.directories.store_mut(place).set_high_watermark(place.slot, high_watermark);
        }
        for waiter in released {
            self.append_done(turn, waiter);
        }
        if rose {
            self.wake_fetches(turn, partition);
        }
    }

    /// Nothing more will come of the partition's log: whoever waits is told so.
    fn take_offline(&mut self, turn: &mut Turn<'_>, partition: TopicPartition) {
        if let Some(hosted) = self.partitions.get_mut(partition) {
            hosted.replica = Some(Replica::Offline);
        }
        self.fail_waiters(turn, partition, ErrorCode::KafkaStorageError);
        self.wake_fetches(turn, partition);
    }

    /// A whole log directory failed.
    pub(crate) fn directory_failed(&mut self, turn: &mut Turn<'_>, directory: u32) {
        let hosted = self.partitions.iter().filter(|(_, hosted)| hosted.place.directory == directory);
        let partitions: Vec<TopicPartition> = hosted.map(|(partition, _)| *partition).collect();
        for partition in partitions {
            self.take_offline(turn, partition);
        }
        self.release_held(turn);
        self.reconciled_without(turn, directory);
    }

    /// End everything that waits for this partition with an error.
    pub(crate) fn fail_waiters(&mut self, turn: &mut Turn<'_>, partition: TopicPartition, error: ErrorCode) {
        let Some(hosted) = self.partitions.get_mut(partition) else { return };
        let waiters = hosted.waits.drain();
        let deletions = core::mem::take(&mut hosted.deletions);
        for waiter in waiters {
            self.append_failed(turn, waiter, error);
        }
        for (group, index, _) in deletions {
            self.answer_question(turn, group, index, crate::mail::Answer::Refused { error });
        }
    }
}
