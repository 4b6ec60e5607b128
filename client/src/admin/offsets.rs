//! Offsets by moment, and the removal of records before an offset.

use std::collections::BTreeMap;
use std::sync::Arc;

use flumen_protocol::Text;
use flumen_protocol::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use flumen_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

use super::Admin;
use crate::{Cluster, Error, Isolation};

/// What stands for the first offset kept where a timestamp is asked for.
pub const EARLIEST_TIMESTAMP: i64 = -2;
/// What stands for the end.
pub const LATEST_TIMESTAMP: i64 = -1;

/// A partition of a topic.
pub type Place = (Arc<str>, i32);

/// An offset found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FoundOffset {
    /// The offset; −1 where no record is that new.
    pub offset: i64,
    /// The timestamp of the record there, −1 where there is none.
    pub timestamp: i64,
    /// Its leader epoch, −1 where unknown.
    pub leader_epoch: i32,
}

impl Admin {
    /// The first offset of each partition whose record is not older than the timestamp, or [`EARLIEST_TIMESTAMP`] or
    /// [`LATEST_TIMESTAMP`] of it.
    pub async fn list_offsets(
        &self,
        wanted: &BTreeMap<Place, i64>,
        isolation: Isolation,
    ) -> BTreeMap<Place, Result<FoundOffset, Error>> {
        list_offsets(&self.cluster, wanted, isolation).await
    }

    /// Removes all records before the offset, −1 for the end; answers the new log start offset of each partition.
    pub async fn delete_records(&self, before: &BTreeMap<Place, i64>) -> BTreeMap<Place, Result<i64, Error>> {
        let timeout_ms = self.timeout_ms();
        by_leader(&self.cluster, before, |cluster, broker, part| async move {
            let mut topics: Vec<DeleteRecordsTopic> = Vec::new();
            for ((topic, partition_index), offset) in part {
                let partition = DeleteRecordsPartition { partition_index, offset };
                match topics.last_mut().filter(|last| last.name == *topic) {
                    Some(last) => last.partitions.push(partition),
                    None => topics.push(DeleteRecordsTopic { name: Text::from(&*topic), partitions: vec![partition] }),
                }
            }
            let answer = cluster.broker(broker).await?.call(DeleteRecordsRequest { topics, timeout_ms }).await?;
            let mut found = BTreeMap::new();
            for topic in &answer.topics {
                let name: Arc<str> = Arc::from(&*topic.name);
                for partition in &topic.partitions {
                    let outcome = Error::check(partition.error_code, None).map(|()| partition.low_watermark);
                    found.insert((Arc::clone(&name), partition.partition_index), outcome);
                }
            }
            Ok(found)
        })
        .await
    }
}

/// See [`Admin::list_offsets`].
pub(crate) async fn list_offsets(
    cluster: &Cluster,
    wanted: &BTreeMap<Place, i64>,
    isolation: Isolation,
) -> BTreeMap<Place, Result<FoundOffset, Error>> {
    by_leader(cluster, wanted, |cluster, broker, part| async move {
        let mut topics: Vec<ListOffsetsTopic> = Vec::new();
        for ((topic, partition_index), timestamp) in part {
            let epoch = cluster.leader(&topic, partition_index).map_or(-1, |leader| leader.epoch);
            let partition = ListOffsetsPartition { partition_index, current_leader_epoch: epoch, timestamp };
            match topics.last_mut().filter(|last| last.name == *topic) {
                Some(last) => last.partitions.push(partition),
                None => topics.push(ListOffsetsTopic { name: Text::from(&*topic), partitions: vec![partition] }),
            }
        }
        let timeout = cluster.options().connection.request_timeout.as_millis();
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: isolation.code(),
            topics,
            timeout_ms: i32::try_from(timeout).unwrap_or(i32::MAX),
        };
        let answer = cluster.broker(broker).await?.call(request).await?;
        let mut found = BTreeMap::new();
        for topic in &answer.topics {
            let name: Arc<str> = Arc::from(&*topic.name);
            for partition in &topic.partitions {
                let outcome = Error::check(partition.error_code, None).map(|()| FoundOffset {
                    offset: partition.offset,
                    timestamp: partition.timestamp,
                    leader_epoch: partition.leader_epoch,
                });
                found.insert((Arc::clone(&name), partition.partition_index), outcome);
            }
        }
        Ok(found)
    })
    .await
}

/// Asks the leader of each partition, one request for all that it leads, and over again for those where that may help.
async fn by_leader<T, F>(
    cluster: &Cluster,
    wanted: &BTreeMap<Place, i64>,
    ask: impl Fn(Cluster, i32, Vec<(Place, i64)>) -> F,
) -> BTreeMap<Place, Result<T, Error>>
where
    F: Future<Output = Result<BTreeMap<Place, Result<T, Error>>, Error>>,
{
    let mut left = wanted.clone();
    let mut outcomes = BTreeMap::new();
    let mut retry = cluster.retry();
    while let Some(problem) = round(cluster, &mut left, &mut outcomes, &ask).await {
        if let Err(problem) = retry.after(problem).await {
            outcomes.extend(left.into_keys().map(|place| (place, Err(problem.clone()))));
            break;
        }
    }
    outcomes
}

/// One attempt at all that is left; says why some still is.
async fn round<T, F>(
    cluster: &Cluster,
    left: &mut BTreeMap<Place, i64>,
    outcomes: &mut BTreeMap<Place, Result<T, Error>>,
    ask: &impl Fn(Cluster, i32, Vec<(Place, i64)>) -> F,
) -> Option<Error>
where
    F: Future<Output = Result<BTreeMap<Place, Result<T, Error>>, Error>>,
{
    let mut again = None;
    let mut found = Vec::new();
    let mut brokers: BTreeMap<i32, Vec<(Place, i64)>> = BTreeMap::new();
    for (place, value) in &*left {
        match leader_of(cluster, place).await {
            Ok(broker) => brokers.entry(broker).or_default().push((place.clone(), *value)),
            Err(problem) => found.push((place.clone(), Err(problem))),
        }
    }
    for (broker, part) in brokers {
        match ask(cluster.clone(), broker, part.clone()).await {
            Ok(answers) => found.extend(answers),
            Err(problem) => found.extend(part.into_iter().map(|(place, _)| (place, Err(problem.clone())))),
        }
    }
    for (place, outcome) in found {
        match outcome {
            Err(problem) if problem.is_retriable() => again = Some(problem),
            outcome => {
                left.remove(&place);
                outcomes.insert(place, outcome);
            }
        }
    }
    // A partition that the answer left out is asked for again, as one whose leader is not known yet.
    let unanswered =
        || left.keys().next().map(|(topic, partition)| Error::NoLeader { topic: topic.to_string(), partition: *partition });
    again.or_else(unanswered)
}

async fn leader_of(cluster: &Cluster, (topic, partition): &Place) -> Result<i32, Error> {
    let known = cluster.require_topic(topic, false).await?;
    match cluster.leader(topic, *partition) {
        Some(leader) => Ok(leader.broker),
        None if (0..known.partition_count()).contains(partition) => {
            Err(Error::NoLeader { topic: topic.to_string(), partition: *partition })
        }
        None => {
            Err(Error::UnknownPartition { topic: topic.to_string(), partition: *partition, partitions: known.partition_count() })
        }
    }
}
