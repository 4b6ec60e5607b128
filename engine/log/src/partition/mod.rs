//! One partition's log.

use alloc::{collections::BTreeMap, string::String};

use crate::epoch::LeaderEpochs;
use crate::producer::ProducerStates;
use crate::store::{Durability, Durable, LogConfig};
use crate::{Offset, TopicPartition};

/// One partition's log.
#[derive(Debug)]
pub struct PartitionLog {
    pub(crate) identity: TopicPartition,
    pub(crate) topic_name: String,
    pub(crate) config: LogConfig,
    pub(crate) durability: Durability,
    pub(crate) log_start: Offset,
    pub(crate) log_end: Offset,
    pub(crate) next_offset: Offset,
    pub(crate) durable: Durable<Offset>,
    pub(crate) epochs: LeaderEpochs,
    pub(crate) producers: ProducerStates,
    pub(crate) segments: BTreeMap<Offset, ()>,
    pub(crate) offline: bool,
}
impl PartitionLog {
    pub(crate) fn size_bytes(&self) -> u64 {
        unimplemented!()
    }
    pub(crate) const fn is_ready(&self) -> bool {
        true
    }
}
