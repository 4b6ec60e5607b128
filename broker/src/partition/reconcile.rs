//! From a new metadata image to what this shard hosts.
//!
//! An image counts as applied when the directories of what it creates are synced and what it removes is marked as removed;
//! only then does the control thread hear of it, and only when all shards have said so is a creation answered. Nothing on
//! disk is touched because metadata is missing: only a topic that the image's delta names as deleted is removed.

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};
use flumen_controller::{Delta, MetadataImage, PartitionImage, TopicImage};
use flumen_log::{
    PartitionIndex, TopicPartition,
    io::{IoError, Thread},
    mutants::{self, Mutant},
};
use flumen_protocol::ErrorCode;
use flumen_replica::{LocalLog, Reign, Replica, Transition};

use super::{Hosted, Waits};
use crate::{
    homes::Placed,
    mail::Mail,
    metadata::Topic,
    shard::{Place, Shard, Turn},
    topic_rules::log_config,
};

/// Images whose consequences are not all on disk yet, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Reconciling {
    images: VecDeque<(u64, Outstanding)>,
    not_made: Vec<(TopicPartition, IoError)>,
    /// Partitions for which there was no room, and the log directories they are to be in.
    without_room: Vec<(TopicPartition, u32)>,
}

/// Partitions that are being made or removed, and the log directories they are in.
type Outstanding = BTreeMap<TopicPartition, u32>;

impl Reconciling {
    fn begin(&mut self, index: u64, outstanding: Outstanding) {
        self.images.push_back((index, outstanding));
    }

    fn waits_for(&self, partition: TopicPartition) -> bool {
        self.images.iter().any(|(_, outstanding)| outstanding.contains_key(&partition))
    }

    fn done(&mut self, partition: TopicPartition) {
        for (_, outstanding) in &mut self.images {
            outstanding.remove(&partition);
        }
    }

    /// Nothing more will be done in this directory.
    fn give_up(&mut self, directory: u32) {
        for (_, outstanding) in &mut self.images {
            outstanding.retain(|_, other| *other != directory);
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
    pub(crate) fn apply_image(
        &mut self,
        turn: &mut Turn<'_>,
        index: u64,
        image: Arc<MetadataImage>,
        delta: &Delta,
        placed: &Placed,
    ) {
        let mut outstanding = Outstanding::new();
        for topic in &delta.topics_deleted {
            self.remove_topic(turn, topic, &mut outstanding);
            // At a start the name may be another topic's by now.
            if image.topic(&topic.name).is_none() {
                self.forget_commits_of(turn, &topic.name);
            }
        }
        if mutants::is(Mutant::B16) {
            self.remove_unknown(&image);
        }
        let topics = self.metadata.apply(image, delta, &self.settings.admin);
        for topic in topics {
            for (number, partition) in topic.image.numbered() {
                if self.metadata.hosted_here(&topic.image, number, self.settings.shard) {
                    let home = placed.get(&TopicPartition { topic: topic.id(), partition: number }).copied();
                    self.host(turn, &topic, number, partition, home, &mut outstanding);
                }
            }
        }
        self.partitions.reconciling.begin(index, outstanding);
        self.report_applied(turn);
    }

    /// What must never be done: metadata that are missing say nothing about what is on disk. Only a mutant does it.
    fn remove_unknown(&mut self, image: &MetadataImage) {
        let is_unknown = |partition: TopicPartition| !image.topics.contains_key(&partition.topic);
        for store in self.directories.iter_mut() {
            let unknown = store.partitions().filter(|(_, view)| is_unknown(view.partition())).map(|(slot, _)| slot);
            for slot in unknown.collect::<Vec<_>>() {
                store.remove(slot);
            }
        }
    }

    fn remove_topic(&mut self, turn: &mut Turn<'_>, topic: &TopicImage, outstanding: &mut Outstanding) {
        for (number, _) in topic.numbered() {
            let partition = TopicPartition { topic: topic.id, partition: number };
            self.fail_waiters(turn, partition, ErrorCode::UnknownTopicOrPartition);
            self.partitions.remove(partition);
            self.wake_fetches(turn, partition);
            self.coordinators.forget(partition);
            // There is no log where it could not be made, or where another shard has it.
            let Some(place) = self.directories.find(partition) else { continue };
            let store = self.directories.store_mut(place);
            // What a failed directory holds stays until it is opened again.
            if !store.has_failed() {
                store.remove(place.slot);
                outstanding.insert(partition, place.directory);
            }
        }
    }

    fn host(
        &mut self,
        turn: &mut Turn<'_>,
        topic: &Arc<Topic>,
        number: PartitionIndex,
        record: &PartitionImage,
        home: Option<u32>,
        outstanding: &mut Outstanding,
    ) {
        let partition = TopicPartition { topic: topic.id(), partition: number };
        let config = log_config(&topic.config, self.metadata.random.draw());
        if let Some(place) = self.directories.find(partition) {
            self.directories.store_mut(place).configure(place.slot, config);
            self.adopt(turn, partition, place, topic, record);
            return;
        }
        // Without a home it may lie in a directory that is missing: it is not made a second time.
        let io = &mut turn.effects.files;
        let made = home.and_then(|home| self.directories.create(home, partition, topic.name(), config, io));
        if let Some(place) = made {
            let hosted =
                Hosted { place, topic: Arc::clone(topic), replica: None, waits: Waits::default(), deletions: Vec::new() };
            self.partitions.insert(partition, hosted);
            outstanding.insert(partition, place.directory);
        }
    }

    /// A log that is there takes up what the metadata says of it.
    fn adopt(
        &mut self,
        turn: &mut Turn<'_>,
        partition: TopicPartition,
        place: Place,
        topic: &Arc<Topic>,
        record: &PartitionImage,
    ) {
        let Some(view) = self.directories.view(place) else { return };
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
                    place,
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
            self.directories.store_mut(place).begin_epoch(place.slot, leader_epoch);
            self.coordinators_leads(turn, partition);
        }
        self.partition_moved(turn, partition, log_end, true);
    }

    pub(crate) fn partition_created(&mut self, turn: &mut Turn<'_>, place: Place, result: Result<(), IoError>) {
        let Some(partition) = self.partitions.at(place) else { return };
        let Some(topic) = self.partitions.get(partition).map(|hosted| Arc::clone(&hosted.topic)) else { return };
        match result {
            Ok(()) => {
                if let Some(record) = topic.image.partition(partition.partition) {
                    self.adopt(turn, partition, place, &topic, record);
                }
            }
            Err(error) => {
                if let Some(hosted) = self.partitions.get_mut(partition) {
                    hosted.replica = Some(Replica::Offline);
                }
                let reconciling = &mut self.partitions.reconciling;
                if reconciling.waits_for(partition) {
                    reconciling.not_made.push((partition, error));
                }
                if error.is_no_space() {
                    reconciling.without_room.push((partition, place.directory));
                }
            }
        }
        self.partitions.reconciling.done(partition);
        self.report_applied(turn);
    }

    /// Make the partitions for which there was no room, where there is some now. They are this broker's meanwhile, and offline.
    pub(crate) fn make_where_there_is_room(&mut self, turn: &mut Turn<'_>) {
        let directories = &self.directories;
        let has_room = |(_, directory): &mut (TopicPartition, u32)| directories.has_space(*directory);
        let due: Vec<_> = self.partitions.reconciling.without_room.extract_if(.., has_room).collect();
        for (partition, directory) in due {
            let Some(topic) = self.metadata.topics.get(&partition.topic).map(Arc::clone) else { continue };
            let Some(record) = topic.image.partition(partition.partition) else { continue };
            self.partitions.remove(partition);
            self.host(turn, &topic, partition.partition, record, Some(directory), &mut Outstanding::new());
        }
    }

    pub(crate) fn partition_removed(&mut self, turn: &mut Turn<'_>, partition: TopicPartition) {
        self.partitions.reconciling.done(partition);
        self.report_applied(turn);
    }

    /// Nothing more comes of what was to be made or removed in a directory that failed.
    pub(super) fn reconciled_without(&mut self, turn: &mut Turn<'_>, directory: u32) {
        self.partitions.reconciling.give_up(directory);
        self.report_applied(turn);
    }

    /// What was configured is in force in the log: the high watermark may follow the other offset now. It never falls.
    pub(crate) fn durability_changed(&mut self, turn: &mut Turn<'_>, place: Place) {
        let Some(partition) = self.partitions.at(place) else { return };
        let Some(view) = self.directories.view(place) else { return };
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
            let not_made = core::mem::take(&mut self.partitions.reconciling.not_made);
            turn.effects.mail.push((Thread::Control, Mail::Applied { index, not_made }));
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
