//! In which log directory each partition of this broker lives.
//!
//! A new partition goes where the fewest are, as Kafka places it. One that the metadata has and no directory holds is not made
//! while a directory is missing that may hold it. One place decides for all shards: the control thread, which mails them the
//! answer with every image.

use alloc::{collections::BTreeMap, collections::BTreeSet, sync::Arc, vec::Vec};
use flumen_controller::{Delta, MetadataImage, TopicImage};
use flumen_log::{BrokerId, TopicPartition};

/// Where new partitions are to be made: the number of their log directory.
pub type Placed = BTreeMap<TopicPartition, u32>;

/// The partitions of this broker and the log directories they are in, which are numbered from zero.
#[derive(Debug)]
pub struct Homes {
    broker: BrokerId,
    of: Placed,
    directories: Vec<Directory>,
    /// Known to the metadata, found nowhere, and perhaps in a directory that is missing.
    unavailable: BTreeSet<TopicPartition>,
    /// A log directory of the configuration is not there.
    missing: bool,
}

#[derive(Debug)]
struct Directory {
    partitions: usize,
    online: bool,
}

impl Homes {
    /// What was found at start, by directory.
    #[must_use]
    pub fn new(broker: BrokerId, found: &[Vec<TopicPartition>]) -> Self {
        let directories = found.iter().map(|partitions| Directory { partitions: partitions.len(), online: true }).collect();
        let of = (0..).zip(found).flat_map(|(number, found)| found.iter().map(move |partition| (*partition, number))).collect();
        Self { broker, of, directories, unavailable: BTreeSet::new(), missing: false }
    }

    /// A log directory is missing: what this broker should have and has not may be in it. The partitions.
    pub fn hold_back(&mut self, image: &MetadataImage) -> Vec<TopicPartition> {
        self.missing = true;
        let mine: Vec<TopicPartition> = image.topics.values().flat_map(|topic| self.mine(topic)).collect();
        self.withhold(mine.into_iter())
    }

    /// What is in a directory that does not say any more whose it is, is not made anywhere else. All that is held back.
    pub fn withhold(&mut self, partitions: impl Iterator<Item = TopicPartition>) -> Vec<TopicPartition> {
        self.unavailable.extend(partitions.filter(|partition| !self.of.contains_key(partition)));
        self.unavailable.iter().copied().collect()
    }

    /// Find places for what is new in an image.
    pub fn place(&mut self, image: &MetadataImage, delta: &Delta) -> Arc<Placed> {
        for topic in &delta.topics_deleted {
            for (partition, _) in topic.numbered() {
                let partition = TopicPartition { topic: topic.id, partition };
                self.unavailable.remove(&partition);
                if let Some(number) = self.of.remove(&partition)
                    && let Some(directory) = self.directories.get_mut(number as usize)
                {
                    directory.partitions -= 1;
                }
            }
        }
        let created = delta.topics_created.iter().map(|topic| topic.id);
        let grown = delta.partitions_created.iter().chain(&delta.partitions_changed).map(|partition| partition.topic);
        let topics: BTreeSet<_> = created.chain(grown).collect();
        let mut placed = Placed::new();
        for topic in topics.iter().filter_map(|id| image.topics.get(id)) {
            for partition in self.mine(topic).collect::<Vec<_>>() {
                if !self.of.contains_key(&partition)
                    && !self.unavailable.contains(&partition)
                    && let Some(number) = self.emptiest()
                {
                    self.of.insert(partition, number);
                    placed.insert(partition, number);
                }
            }
        }
        Arc::new(placed)
    }

    /// The partitions of a topic that this broker has a replica of.
    fn mine<'a>(&self, topic: &'a TopicImage) -> impl Iterator<Item = TopicPartition> + use<'a> {
        let broker = self.broker;
        let here = topic.numbered().filter(move |(_, record)| record.replicas.contains(&broker));
        here.map(|(partition, _)| TopicPartition { topic: topic.id, partition })
    }

    /// Counts the partition that is about to go there, too.
    fn emptiest(&mut self) -> Option<u32> {
        let online = (0..).zip(&mut self.directories).filter(|(_, directory)| directory.online);
        let (number, directory) = online.min_by_key(|(_, directory)| directory.partitions)?;
        directory.partitions += 1;
        Some(number)
    }

    /// A directory has failed. Its partitions, if that is news.
    pub fn take_offline(&mut self, directory: u32) -> Option<Vec<TopicPartition>> {
        let state = self.directories.get_mut(directory as usize)?;
        if !core::mem::replace(&mut state.online, false) {
            return None;
        }
        Some(self.of.iter().filter(|(_, number)| **number == directory).map(|(partition, _)| *partition).collect())
    }

    /// Whether every log directory is there and works: what is not in them, this broker does not have.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.missing && self.directories.iter().all(|directory| directory.online)
    }

    /// Whether a directory is left.
    #[must_use]
    pub fn any_online(&self) -> bool {
        self.directories.iter().any(|directory| directory.online)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_controller::PartitionImage;
    use flumen_log::{LeaderEpoch, PartitionIndex, TopicId};

    const ME: BrokerId = BrokerId(1);

    fn topic(id: u8, partitions: usize) -> TopicImage {
        let record = PartitionImage {
            replicas: alloc::vec![ME],
            isr: alloc::vec![ME],
            leader: Some(ME),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
        };
        TopicImage { id: TopicId([id; 16]), name: "topic".into(), partitions: alloc::vec![record; partitions] }
    }

    fn image(topics: &[TopicImage]) -> MetadataImage {
        let mut image = MetadataImage::default();
        image.topics.extend(topics.iter().map(|topic| (topic.id, Arc::new(topic.clone()))));
        image
    }

    fn partition(id: u8, partition: i32) -> TopicPartition {
        TopicPartition { topic: TopicId([id; 16]), partition: PartitionIndex(partition) }
    }

    #[test]
    fn new_partitions_go_where_the_fewest_are() {
        let mut homes = Homes::new(ME, &[alloc::vec![partition(1, 0), partition(1, 1)], Vec::new(), Vec::new()]);
        let image = image(&[topic(1, 2), topic(2, 5)]);
        let placed = homes.place(&image, &Delta::from_nothing(&image));
        let numbers: Vec<u32> = placed.values().copied().collect();
        assert_eq!(numbers, [1, 2, 1, 2, 0], "what was found stays where it is");
        assert!(homes.place(&image, &Delta::from_nothing(&image)).is_empty(), "and is placed once");
    }

    #[test]
    fn a_deleted_topic_makes_room() {
        let mut homes = Homes::new(ME, &[alloc::vec![partition(1, 0), partition(1, 1)], alloc::vec![partition(2, 0)]]);
        let deleted = Delta { topics_deleted: alloc::vec![Arc::new(topic(1, 2))], ..Delta::default() };
        homes.place(&image(&[topic(2, 1)]), &deleted);
        let image = image(&[topic(2, 1), topic(3, 1)]);
        assert_eq!(homes.place(&image, &Delta::from_nothing(&image)).get(&partition(3, 0)), Some(&0));
    }

    #[test]
    fn what_a_missing_directory_may_hold_is_not_made_again() {
        let mut homes = Homes::new(ME, &[alloc::vec![partition(1, 0)]]);
        let before = image(&[topic(1, 2)]);
        assert_eq!(homes.hold_back(&before), [partition(1, 1)]);
        assert!(homes.place(&before, &Delta::from_nothing(&before)).is_empty());
        let after = image(&[topic(1, 2), topic(2, 1)]);
        assert_eq!(*homes.place(&after, &Delta::from_nothing(&after)), Placed::from([(partition(2, 0), 0)]));
    }

    #[test]
    fn nothing_goes_to_a_directory_that_failed() {
        let mut homes = Homes::new(ME, &[alloc::vec![partition(1, 0)], Vec::new()]);
        assert_eq!(homes.take_offline(0), Some(alloc::vec![partition(1, 0)]));
        assert_eq!(homes.take_offline(0), None, "it is told once");
        let image = image(&[topic(1, 1), topic(2, 2)]);
        let placed = homes.place(&image, &Delta::from_nothing(&image));
        assert!(placed.len() == 2 && placed.values().all(|number| *number == 1));
        homes.take_offline(1);
        assert!(!homes.any_online());
    }
}
