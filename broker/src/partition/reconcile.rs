//! From a new metadata image to what this shard hosts.
//!
//! An image counts as applied when the directories of what it creates are synced and what it removes is marked as removed;
//! only then does the control thread hear of it, and only when all shards have said so is a creation answered. Nothing on
//! disk is touched because metadata is missing: only a topic that the image's delta names as deleted is removed.

use alloc::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    vec::Vec,
};
use flumen_controller::{Delta, MetadataImage, PartitionImage, TopicImage};
use flumen_log::{
    PartitionIndex, TopicPartition,
    io::{IoError, Thread},
    store::PartitionSlot,
};
use flumen_protocol::ErrorCode;
use flumen_replica::{LocalLog, Reign, Replica, Transition};

use super::{Hosted, Waits};
use crate::{
    mail::Mail,
    metadata::Topic,
    shard::{Shard, Turn},
    topic_rules::log_config,
};

/// Images whose consequences are not all on disk yet, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Reconciling {
    images: VecDeque<(u64, BTreeSet<TopicPartition>)>,
}

impl Reconciling {
    fn begin(&mut self, index: u64, outstanding: BTreeSet<TopicPartition>) {
        self.images.push_back((index, outstanding));
    }

    fn done(&mut self, partition: TopicPartition) {
        for (_, outstanding) in &mut self.images {
            outstanding.remove(&partition);
        }
    }

    /// The last image through which everything is done, if it is a new one.
    fn applied(&mut self) -> Option<u64> {
        let mut applied = None;
        while self.images.front().is_some_and(|(_, outstanding)| outstanding.is_empty()) {
            applied = self.images.pop_front().map(|(index, _)| index);
        }
        applied
    }
}

impl Shard {
    pub(crate) fn apply_image(&mut self, turn: &mut Turn<'_>, index: u64, image: Arc<MetadataImage>, delta: &Delta) {
        let mut outstanding = BTreeSet::new();
        for topic in &delta.topics_deleted {
            self.remove_topic(turn, topic, &mut outstanding);
            self.forget_commits_of(turn, &topic.name);
        }
        let topics = self.metadata.apply(image, delta, &self.settings.admin);
        for topic in topics {
            for (number, partition) in topic.image.numbered() {
                if self.metadata.hosted_here(&topic.image, number, self.settings.shard) {
                    self.host(turn, &topic, number, partition, &mut outstanding);
                }
            }
        }
        self.partitions.reconciling.begin(index, outstanding);
        self.report_applied(turn);
    }

    fn remove_topic(&mut self, turn: &mut Turn<'_>, topic: &TopicImage, outstanding: &mut BTreeSet<TopicPartition>) {
        for (number, _) in topic.numbered() {
            let partition = TopicPartition { topic: topic.id, partition: number };
            self.fail_waiters(turn, partition, ErrorCode::UnknownTopicOrPartition);
            self.partitions.remove(partition);
            self.wake_fetches(turn, partition);
            self.coordinators.forget(partition);
            // There is no log where it could not be made, or where another shard has it.
            if let Some(slot) = self.store.slot_of(partition) {
                self.store.remove(slot);
                outstanding.insert(partition);
            }
        }
    }

    fn host(
        &mut self,
        turn: &mut Turn<'_>,
        topic: &Arc<Topic>,
        number: PartitionIndex,
        record: &PartitionImage,
        outstanding: &mut BTreeSet<TopicPartition>,
    ) {
        let partition = TopicPartition { topic: topic.id(), partition: number };
        let config = log_config(&topic.config, self.metadata.random.draw());
        match self.store.slot_of(partition) {
            Some(slot) => {
                self.store.configure(slot, config);
                self.adopt(turn, partition, slot, topic, record);
            }
            None => {
                let slot = self.store.create(partition, topic.name(), config, &mut turn.effects.files);
                let hosted =
                    Hosted { slot, topic: Arc::clone(topic), replica: None, waits: Waits::default(), deletions: Vec::new() };
                self.partitions.insert(partition, hosted);
                outstanding.insert(partition);
            }
        }
    }

    /// A log that is there takes up what the metadata says of it.
    fn adopt(
        &mut self,
        turn: &mut Turn<'_>,
        partition: TopicPartition,
        slot: PartitionSlot,
        topic: &Arc<Topic>,
        record: &PartitionImage,
    ) {
        let Some(view) = self.store.view(slot) else { return };
        if !view.is_ready() && !view.is_offline() {
            // Its creation is still on its way to the disk; it takes its role when that is done.
            if let Some(hosted) = self.partitions.get_mut(partition) {
                hosted.topic = Arc::clone(topic);
            }
            return;
        }
        let durability = durability(view.durability());
        let log_end = view.log_end();
        let local = LocalLog::of(&view, view.log_start());
        let offline = view.is_offline();
        let reign = reign(record);
        let minimum = topic.config.min_insync_replicas as usize;
        let me = self.settings.broker;
        let transition = match self.partitions.get_mut(partition) {
            Some(hosted) => {
                hosted.topic = Arc::clone(topic);
                match &mut hosted.replica {
                    Some(replica) => {
                        if let Some(leader) = replica.as_leader_mut() {
                            leader.configure(durability, minimum);
                        }
                        replica.assign(me, &reign, local, durability, minimum)
                    }
                    none => {
                        let (replica, transition) = Replica::new(me, &reign, local, durability, minimum);
                        *none = Some(replica);
                        transition
                    }
                }
            }
            None => {
                let (replica, transition) = Replica::new(me, &reign, local, durability, minimum);
                let hosted = Hosted {
                    slot,
                    topic: Arc::clone(topic),
                    replica: Some(replica),
                    waits: Waits::default(),
                    deletions: Vec::new(),
                };
                self.partitions.insert(partition, hosted);
                transition
            }
        };
        if offline && let Some(hosted) = self.partitions.get_mut(partition) {
            hosted.replica = Some(Replica::Offline);
        }
        if let Transition::BecameLeader { leader_epoch, .. } = transition {
            self.store.begin_epoch(slot, leader_epoch);
            self.coordinators_leads(turn, partition);
        }
        self.partition_moved(turn, partition, log_end, true);
    }

    pub(crate) fn partition_created(&mut self, turn: &mut Turn<'_>, slot: PartitionSlot, result: Result<(), IoError>) {
        let Some(partition) = self.partitions.of_slot(slot) else { return };
        let Some(topic) = self.partitions.get(partition).map(|hosted| Arc::clone(&hosted.topic)) else { return };
        if result.is_ok() {
            if let Some(record) = topic.image.partition(partition.partition) {
                self.adopt(turn, partition, slot, &topic, record);
            }
        } else if let Some(hosted) = self.partitions.get_mut(partition) {
            hosted.replica = Some(Replica::Offline);
        }
        self.partitions.reconciling.done(partition);
        self.report_applied(turn);
    }

    pub(crate) fn partition_removed(&mut self, turn: &mut Turn<'_>, partition: TopicPartition) {
        self.partitions.reconciling.done(partition);
        self.report_applied(turn);
    }

    /// What was configured is in force in the log: the high watermark may follow the other offset now. It never falls.
    pub(crate) fn durability_changed(&mut self, turn: &mut Turn<'_>, slot: PartitionSlot) {
        let Some(partition) = self.partitions.of_slot(slot) else { return };
        let Some(view) = self.store.view(slot) else { return };
        let (durability, log_end) = (durability(view.durability()), view.log_end());
        let Some(hosted) = self.partitions.get_mut(partition) else { return };
        let minimum = hosted.topic.config.min_insync_replicas as usize;
        if let Some(leader) = hosted.replica.as_mut().and_then(Replica::as_leader_mut) {
            let rose = leader.configure(durability, minimum);
            self.partition_moved(turn, partition, log_end, rose);
        }
    }

    fn report_applied(&mut self, turn: &mut Turn<'_>) {
        if let Some(index) = self.partitions.reconciling.applied() {
            turn.effects.mail.push((Thread::Control, Mail::Applied { index }));
        }
    }
}

fn reign(record: &PartitionImage) -> Reign {
    Reign {
        leader: record.leader,
        leader_epoch: record.leader_epoch,
        partition_epoch: record.partition_epoch,
        replicas: record.replicas.clone(),
        isr: record.isr.clone(),
    }
}

const fn durability(durability: flumen_log::store::Durability) -> flumen_replica::Durability {
    match durability {
        flumen_log::store::Durability::Journaled => flumen_replica::Durability::Journaled,
        flumen_log::store::Durability::Replicated => flumen_replica::Durability::Replicated,
    }
}
