//! What a partition's log should hold.

use alloc::vec::Vec;
use flumen_log::batch::{BatchBuilder, Origin, ProducerInfo, ValidatedBatch};
use flumen_log::compression::Codec;
use flumen_log::store::LogConfig;
use flumen_log::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp, TopicPartition};

use crate::random::Random;

/// Who appends.
pub(super) const ORIGIN: Origin = Origin::Client;
/// Batches of a producer that must be known again.
const REMEMBERED: usize = 5;

/// A batch as it should be stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) base: Offset,
    pub(super) next: Offset,
    pub(super) bytes: Vec<u8>,
    /// Which of the partition's producers sent it, with what sequence; none without idempotence.
    pub(super) producer: Option<(u64, i32)>,
}

/// What a batch is made of; the same gives the same batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe {
    pub(super) producer: Option<(u64, i32)>,
    pub(super) records: u64,
    pub(super) bytes: usize,
    pub(super) fill: u8,
}

/// One partition, as the run knows it.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) identity: TopicPartition,
    pub(super) config: LogConfig,
    pub(super) created: bool,
    /// Asked to be removed; whether it is, is not known yet.
    pub(super) removing: bool,
    pub(super) batches: Vec<Stored>,
    /// Called durable.
    pub(super) durable: Offset,
    /// Called written: lost by a power failure perhaps, by the death of the process never.
    pub(super) written: Offset,
    /// Called the log's start.
    pub(super) log_start: Offset,
    pub(super) epoch: LeaderEpoch,
    /// Asked to end here; whether it does is not known yet.
    pub(super) cut: Option<Offset>,
    /// Of batches before this one it may not be known any more who sent them: what could not be read, twice, when the log was cut.
    pub(super) producers_from: Offset,
}

impl Model {
    pub(super) const fn new(identity: TopicPartition, config: LogConfig) -> Self {
        Self {
            identity,
            config,
            created: false,
            removing: false,
            batches: Vec::new(),
            durable: Offset::ZERO,
            written: Offset::ZERO,
            log_start: Offset::ZERO,
            epoch: LeaderEpoch::NONE,
            cut: None,
            producers_from: Offset::ZERO,
        }
    }

    /// The partition of the same name that follows a removed one: another topic id, nothing in it.
    pub(super) fn successor(&self) -> Self {
        let mut topic = self.identity.topic;
        topic.0[0] = topic.0[0].wrapping_add(1);
        Self::new(TopicPartition { topic, ..self.identity }, self.config.clone())
    }

    /// Its directory.
    pub(super) fn directory(&self) -> alloc::string::String {
        alloc::format!("topic-{}", self.identity.partition)
    }

    pub(super) fn end(&self) -> Offset {
        self.batches.last().map_or(Offset::ZERO, |batch| batch.next)
    }

    /// The sequence with which a producer goes on.
    pub(super) fn next_sequence(&self, producer: u64) -> i32 {
        let of_producer = |batch: &&Stored| batch.producer.is_some_and(|(found, _)| found == producer);
        let last = self.batches.iter().rev().find(of_producer);
        let after = |batch: &Stored| {
            let records = i32::try_from(batch.next.0 - batch.base.0).unwrap_or_default();
            batch.producer.map_or(0, |(_, sequence)| sequence + records)
        };
        last.map_or(0, after)
    }

    /// The batches that their producers may send again and be told where they are.
    pub(super) fn remembered(&self, producers: u64) -> Vec<Stored> {
        let mut batches = Vec::new();
        for producer in 0..producers {
            let of_producer = |batch: &&Stored| batch.producer.is_some_and(|(found, _)| found == producer);
            let last = self.batches.iter().rev().filter(of_producer).take(REMEMBERED);
            batches.extend(last.filter(|batch| batch.base >= self.log_start).cloned());
        }
        batches
    }

    /// A batch to append.
    pub(super) fn make_batch(&self, recipe: Recipe, now: Timestamp) -> ValidatedBatch {
        let mut builder = BatchBuilder::new();
        for record in 0..recipe.records {
            let mut value = alloc::vec![recipe.fill; recipe.bytes];
            value.extend_from_slice(&record.to_be_bytes());
            builder.append(now, None, Some(&value), &[]);
        }
        let info = recipe.producer.map_or(ProducerInfo::NONE, |(producer, base_sequence)| {
            let number = i64::try_from(producer).unwrap_or_default();
            let id = ProducerId(i64::from(self.identity.partition.0) * 10 + number + 100);
            ProducerInfo { id, epoch: ProducerEpoch(0), base_sequence, is_transactional: false }
        });
        let built = builder.build_validated(Codec::None, None, info);
        built.expect("no codec, nothing to give up on").expect("there is at least one record")
    }

    /// The bytes from `from` up to `to`, both at batch boundaries.
    pub(super) fn bytes_between(&self, from: Offset, to: Offset) -> Vec<u8> {
        let first = self.batches.partition_point(|batch| batch.base < from);
        let last = self.batches.partition_point(|batch| batch.next <= to);
        self.batches[first.min(last)..last].iter().flat_map(|batch| batch.bytes.iter().copied()).collect()
    }

    /// Where the log ends when it is cut at this offset: where the batch begins that holds it.
    pub(super) fn boundary(&self, offset: Offset) -> Offset {
        let end = self.end().max(self.log_start);
        let last = self.batches.iter().rev().map(|batch| batch.next).find(|next| *next <= offset);
        if offset >= end { end } else { last.unwrap_or(Offset::ZERO) }
    }

    pub(super) fn truncate(&mut self, end: Offset) {
        self.batches.retain(|batch| batch.next <= end);
        self.durable = end;
        self.written = end;
    }
}

/// Configuration of a small log.
pub(super) fn small_config(random: &mut Random) -> LogConfig {
    LogConfig {
        segment_bytes: 12_000 + u32::try_from(random.below(60_000)).unwrap_or_default(),
        index_interval_bytes: 512 + u32::try_from(random.below(4096)).unwrap_or_default(),
        retention_bytes: if random.one_in(3) { 40_000 } else { -1 },
        retention_ms: -1,
        ..LogConfig::default()
    }
}
