//! The consumer: reads the partitions it is assigned, from where it is told, without groups.
//!
//! Each leader has at most one fetch under way and one answer waiting to be taken, so memory is bounded by
//! `max_bytes` twice over for each broker. Records of a partition come in order, each once; a fetch that failed is
//! asked again from the same position.

mod decode;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use flumen_protocol::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData};
use flumen_protocol::{ErrorCode, Text};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::admin::{EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, Place, list_offsets};
use crate::backoff::Backoff;
use crate::cluster::{Broker, Leader};
use crate::{Cluster, ConsumerRecord, Error};

/// The first version that names topics by id.
const VERSION_WITH_IDS: i16 = 13;

/// What a reader sees of transactions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Isolation {
    /// Everything up to the high watermark.
    #[default]
    ReadUncommitted,
    /// What is committed, up to the last stable offset.
    ReadCommitted,
}

impl Isolation {
    /// As on the wire.
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// Where to read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Position {
    /// The first record kept.
    Earliest,
    /// Behind the last record.
    Latest,
    /// This offset.
    At(i64),
    /// The first record not older than this, in ms since 1970; the end if there is none.
    Since(i64),
}

/// How a consumer works. The defaults are those of Kafka's Java client.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// What is seen of transactions.
    pub isolation: Isolation,
    /// Whether transaction markers are handed out as records.
    pub include_control: bool,
    /// How much an answer should hold at least, before `max_wait` is over.
    pub min_bytes: i32,
    /// How much an answer may hold.
    pub max_bytes: i32,
    /// How much of it one partition may take.
    pub partition_max_bytes: i32,
    /// How long a broker may wait for `min_bytes`.
    pub max_wait: Duration,
    /// What one batch may hold, decompressed.
    pub batch_bytes_max: usize,
    /// The rack, told to brokers.
    pub rack: String,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            isolation: Isolation::default(),
            include_control: false,
            min_bytes: 1,
            max_bytes: 50 << 20,
            partition_max_bytes: 1 << 20,
            max_wait: Duration::from_millis(500),
            batch_bytes_max: 512 << 20,
            rack: String::new(),
        }
    }
}

/// What one fetch brought for one partition.
#[derive(Debug)]
pub struct Fetched {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The records, in order; may be empty where only the position moved.
    pub records: Vec<ConsumerRecord>,
    /// Where reading goes on.
    pub next_offset: i64,
    /// The partition's log start offset.
    pub log_start_offset: i64,
    /// Its last stable offset.
    pub last_stable_offset: i64,
    /// Its high watermark.
    pub high_watermark: i64,
}

/// Reads records.
pub struct Consumer {
    cluster: Cluster,
    options: ConsumerOptions,
    positions: BTreeMap<Place, i64>,
    fetches: JoinSet<Fetch>,
    busy: BTreeSet<i32>,
    ready: VecDeque<Fetched>,
    stale: bool,
    failing: Option<Failing>,
}

/// A fetch that is over.
struct Fetch {
    broker: i32,
    asked: BTreeMap<Place, i64>,
    outcome: Result<FetchResponse, Error>,
    with_ids: bool,
}

/// Attempts that failed since anything last succeeded.
struct Failing {
    since: Instant,
    backoff: Backoff,
    not_before: Instant,
}

impl Consumer {
    /// A consumer without partitions.
    #[must_use]
    pub fn new(cluster: Cluster, options: ConsumerOptions) -> Self {
        Self {
            cluster,
            options,
            positions: BTreeMap::new(),
            fetches: JoinSet::new(),
            busy: BTreeSet::new(),
            ready: VecDeque::new(),
            stale: false,
            failing: None,
        }
    }

    /// Reads these partitions too, from these positions.
    pub async fn assign(&mut self, places: impl IntoIterator<Item = (Place, Position)>) -> Result<(), Error> {
        let mut asked = BTreeMap::new();
        let mut ends = BTreeMap::new();
        for (place, position) in places {
            match position {
                Position::At(offset) => {
                    self.cluster.require_topic(&place.0, false).await?;
                    self.positions.insert(place, offset);
                }
                Position::Earliest => drop(asked.insert(place, EARLIEST_TIMESTAMP)),
                Position::Latest => drop(asked.insert(place, LATEST_TIMESTAMP)),
                Position::Since(timestamp) => drop(asked.insert(place, timestamp)),
            }
        }
        for (place, found) in list_offsets(&self.cluster, &asked, self.options.isolation).await {
            let offset = found?.offset;
            if offset < 0 {
                ends.insert(place, LATEST_TIMESTAMP);
            } else {
                self.positions.insert(place, offset);
            }
        }
        for (place, found) in list_offsets(&self.cluster, &ends, self.options.isolation).await {
            self.positions.insert(place, found?.offset);
        }
        Ok(())
    }

    /// Reads a partition no more.
    pub fn unassign(&mut self, place: &Place) {
        self.positions.remove(place);
        self.ready.retain(|fetched| (&fetched.topic, fetched.partition) != (&place.0, place.1));
    }

    /// The partitions that are read, each with the offset to be fetched next.
    #[must_use]
    pub fn positions(&self) -> &BTreeMap<Place, i64> {
        &self.positions
    }

    /// The next that a fetch brought; waits for it. May be dropped and called again without losing anything.
    ///
    /// Fails when the partition cannot be read, or nothing could for the cluster's retry timeout.
    pub async fn next(&mut self) -> Result<Fetched, Error> {
        loop {
            self.start_fetches().await?;
            if let Some(fetched) = self.ready.pop_front() {
                return Ok(fetched);
            }
            match self.fetches.join_next().await {
                Some(Ok(fetch)) => self.take_up(fetch).await?,
                Some(Err(problem)) if problem.is_panic() => std::panic::resume_unwind(problem.into_panic()),
                Some(Err(_)) => {}
                // Nothing is assigned, or nothing has a leader.
                None if self.positions.is_empty() => std::future::pending().await,
                None => self.pause().await,
            }
        }
    }

    async fn pause(&self) {
        match &self.failing {
            Some(failing) => tokio::time::sleep_until(failing.not_before).await,
            None => sleep(Duration::from_millis(100)).await,
        }
    }

    async fn start_fetches(&mut self) -> Result<(), Error> {
        if let Some(failing) = &self.failing
            && Instant::now() < failing.not_before
        {
            return Ok(());
        }
        if std::mem::take(&mut self.stale) {
            self.refresh().await?;
        }
        let mut by_broker: BTreeMap<i32, BTreeMap<Place, (i64, Leader)>> = BTreeMap::new();
        for (place, position) in &self.positions {
            match self.cluster.leader(&place.0, place.1) {
                Some(leader) if self.busy.contains(&leader.broker) => {}
                Some(leader) => {
                    by_broker.entry(leader.broker).or_default().insert(place.clone(), (*position, leader));
                }
                None => self.stale = true,
            }
        }
        if self.stale {
            let missing = Error::Broker { code: ErrorCode::LeaderNotAvailable, message: None };
            self.failed(&missing)?;
        }
        for (broker, places) in by_broker {
            self.fetch(broker, places);
        }
        Ok(())
    }

    async fn refresh(&mut self) -> Result<(), Error> {
        let mut topics: Vec<Arc<str>> = self.positions.keys().map(|(topic, _)| Arc::clone(topic)).collect();
        topics.dedup();
        let names: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
        if let Err(problem) = self.cluster.refresh(&names, false).await {
            self.stale = true;
            return self.failed(&problem);
        }
        for (topic, partition) in self.positions.keys() {
            match self.cluster.topic(topic) {
                None => return Err(Error::UnknownTopic(topic.to_string())),
                Some(known) if *partition >= known.partition_count() => {
                    let (topic, partition) = (topic.to_string(), *partition);
                    return Err(Error::UnknownPartition { topic, partition, partitions: known.partition_count() });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn fetch(&mut self, broker: i32, places: BTreeMap<Place, (i64, Leader)>) {
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut with_ids = true;
        for ((topic, partition), (position, leader)) in &places {
            let wanted = FetchPartition {
                partition: *partition,
                current_leader_epoch: leader.epoch,
                fetch_offset: *position,
                partition_max_bytes: self.options.partition_max_bytes,
                ..Default::default()
            };
            if let Some(last) = topics.last_mut().filter(|last| *last.topic == **topic) {
                last.partitions.push(wanted);
                continue;
            }
            let topic_id = self.cluster.topic(topic).map(|topic| topic.id).unwrap_or_default();
            with_ids &= !topic_id.is_zero();
            topics.push(FetchTopic { topic: Text::from(&**topic), topic_id, partitions: vec![wanted] });
        }
        let request = FetchRequest {
            max_wait_ms: i32::try_from(self.options.max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: self.options.min_bytes,
            max_bytes: self.options.max_bytes,
            isolation_level: self.options.isolation.code(),
            topics,
            rack_id: Text::from(self.options.rack.as_str()),
            ..Default::default()
        };
        let asked = places.into_iter().map(|(place, (position, _))| (place, position)).collect();
        let cluster = self.cluster.clone();
        let highest = if with_ids { i16::MAX } else { VERSION_WITH_IDS - 1 };
        self.busy.insert(broker);
        self.fetches.spawn(async move {
            let asking = async {
                let connection = cluster.broker(broker).await?;
                let version = connection.version_of::<FetchRequest>(highest)?;
                let response = connection.begin(request, highest)?.await?;
                Error::check(response.error_code, None)?;
                Ok((response, version >= VERSION_WITH_IDS))
            };
            let (outcome, with_ids) = match asking.await {
                Ok((response, with_ids)) => (Ok(response), with_ids),
                Err(problem) => (Err(problem), false),
            };
            Fetch { broker, asked, outcome, with_ids }
        });
    }

    async fn take_up(&mut self, fetch: Fetch) -> Result<(), Error> {
        self.busy.remove(&fetch.broker);
        let response = match fetch.outcome {
            Ok(response) => response,
            Err(problem) => {
                self.stale |= problem.wants_metadata();
                return self.failed(&problem);
            }
        };
        let endpoints: Vec<Broker> = response.node_endpoints.iter().map(endpoint).collect();
        let mut succeeded = true;
        for topic in response.responses {
            let name = if fetch.with_ids { self.cluster.topic_name(topic.topic_id) } else { Some(Arc::from(&*topic.topic)) };
            let Some(name) = name else { continue };
            for data in topic.partitions {
                let place = (Arc::clone(&name), data.partition_index);
                // What was asked for may have been given up, or moved, since.
                let current = self.positions.get(&place);
                if current.is_none() || current != fetch.asked.get(&place) {
                    continue;
                }
                succeeded &= self.take_up_partition(place, data, &endpoints).await?;
            }
        }
        if succeeded {
            self.failing = None;
        }
        Ok(())
    }

    /// Takes up one partition's part; says whether it was without a problem.
    async fn take_up_partition(&mut self, place: Place, data: PartitionData, endpoints: &[Broker]) -> Result<bool, Error> {
        if let Err(problem) = Error::check(data.error_code, None) {
            let leader = data.current_leader.leader_id;
            if leader >= 0 {
                let leader = Leader { broker: leader, epoch: data.current_leader.leader_epoch };
                self.cluster.learn_leader(&place.0, place.1, leader, endpoints);
            }
            if data.error_code == ErrorCode::OffsetOutOfRange {
                self.out_of_range(place).await?;
                return Ok(true);
            }
            self.stale |= problem.wants_metadata();
            self.failed(&problem)?;
            return Ok(false);
        }
        let position = self.positions[&place];
        let bytes = data.records.as_ref().and_then(|records| records.inline()).cloned().unwrap_or_default();
        let read_committed = self.options.isolation == Isolation::ReadCommitted;
        let filter = decode::Filter {
            position,
            aborted: data.aborted_transactions.as_deref().filter(|_| read_committed),
            include_control: self.options.include_control,
            batch_bytes_max: self.options.batch_bytes_max,
        };
        let decoded = decode::decode(&bytes, &filter).map_err(|(offset, reason)| {
            let (topic, partition) = (place.0.to_string(), place.1);
            Error::Damaged { topic, partition, offset, reason }
        })?;
        if decoded.next_offset == position {
            return Ok(true);
        }
        self.positions.insert(place.clone(), decoded.next_offset);
        self.ready.push_back(Fetched {
            topic: place.0,
            partition: place.1,
            records: decoded.records,
            next_offset: decoded.next_offset,
            log_start_offset: data.log_start_offset,
            last_stable_offset: data.last_stable_offset,
            high_watermark: data.high_watermark,
        });
        Ok(true)
    }

    /// A position before the log's start moves there, for retention never waits for readers; one past the end is an error.
    async fn out_of_range(&mut self, place: Place) -> Result<(), Error> {
        let ask = |timestamp| BTreeMap::from([(place.clone(), timestamp)]);
        let mut bounds = [0; 2];
        for (bound, timestamp) in bounds.iter_mut().zip([EARLIEST_TIMESTAMP, LATEST_TIMESTAMP]) {
            let found = list_offsets(&self.cluster, &ask(timestamp), Isolation::ReadUncommitted).await;
            *bound = found.into_values().next().unwrap_or(Err(Error::Closed))?.offset;
        }
        let [start, end] = bounds;
        let position = self.positions[&place];
        if position < start {
            tracing::warn!(topic = %place.0, partition = place.1, position, start, "records were deleted before they were read");
            self.positions.insert(place, start);
            return Ok(());
        }
        if position <= end {
            // The end has moved past it meanwhile.
            return Ok(());
        }
        let message = format!("partition {} of topic {:?} has offsets {start} to {end}, not {position}", place.1, place.0);
        Err(Error::Broker { code: ErrorCode::OffsetOutOfRange, message: Some(message) })
    }

    /// Notes a failure; an error if it is one for good, or has lasted too long.
    fn failed(&mut self, problem: &Error) -> Result<(), Error> {
        let now = Instant::now();
        let patience = self.cluster.options().retry_timeout;
        let failing = self.failing.get_or_insert_with(|| Failing { since: now, backoff: Backoff::default(), not_before: now });
        if !problem.is_retriable() || now >= failing.since + patience {
            return Err(problem.clone());
        }
        tracing::debug!(%problem, "fetching again");
        failing.not_before = now + failing.backoff.wait();
        Ok(())
    }
}

fn endpoint(node: &flumen_protocol::fetch::NodeEndpoint) -> Broker {
    Broker { id: node.node_id, host: node.host.to_string(), port: node.port, rack: node.rack.as_ref().map(ToString::to_string) }
}
