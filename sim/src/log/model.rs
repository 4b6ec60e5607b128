//! What a partition's log should hold.

use alloc::vec::Vec;
use flumen_log::batch::{BatchBuilder, Origin, ProducerInfo, ValidatedBatch};
use flumen_log::compression::Codec;
use flumen_log::store::LogConfig;
use flumen_log::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp, TopicPartition};

use crate::random::Random;

/// Who appends.
pub(super) const ORIGIN: Origin = Origin::Client;

/// A batch as it should be stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) base: Offset,
    pub(super) next: Offset,
    pub(super) bytes: Vec<u8>,
    pub(super) sequence: i32,
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
        }
    }

    /// The partition of the same name that follows a removed one: another topic id, nothing in it.
    pub(super) fn successor(&self) -> Self {
        let mut topic = self.identity.topic;
        topic.0[0] = topic.0[0].wrapping_add(1);
        Self::new(TopicPartition { topic, ..self.identity }, self.config.clone())
    }

    pub(super) fn end(&self) -> Offset {
        self.batches.last().map_or(Offset::ZERO, |batch| batch.next)
    }

    pub(super) fn next_sequence(&self) -> i32 {
        let last = self.batches.last();
        last.map_or(0, |batch| batch.sequence + i32::try_from(batch.next.0 - batch.base.0).unwrap_or_default())
    }

    /// A batch to append; the same seed of content and the same sequence give the same batch.
    pub(super) fn make_batch(&self, sequence: i32, records: u64, bytes: usize, fill: u8, now: Timestamp) -> ValidatedBatch {
        let mut builder = BatchBuilder::new();
        for record in 0..records {
            let mut value = alloc::vec![fill; bytes];
            value.extend_from_slice(&record.to_be_bytes());
            builder.append(now, None, Some(&value), &[]);
        }
        let id = ProducerId(i64::from(self.identity.partition.0) + 100);
        let producer = ProducerInfo { id, epoch: ProducerEpoch(0), base_sequence: sequence, is_transactional: false };
        let built = builder.build_validated(Codec::None, None, producer);
        built.expect("no codec, nothing to give up on").expect("there is at least one record")
    }

    /// The bytes from `from` up to `to`, both at batch boundaries.
    pub(super) fn bytes_between(&self, from: Offset, to: Offset) -> Vec<u8> {
        let first = self.batches.partition_point(|batch| batch.base < from);
        let last = self.batches.partition_point(|batch| batch.next <= to);
        self.batches[first.min(last)..last].iter().flat_map(|batch| batch.bytes.iter().copied()).collect()
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
