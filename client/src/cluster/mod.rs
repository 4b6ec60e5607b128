//! A cluster: where to start, who leads what, and a connection to each broker.
//!
//! Invariants: one connection to a broker is used at a time, shared by all that ask it; what is known of a topic is
//! replaced as a whole, except that a partition's leader never gives way to one of a lower epoch. Waiting and trying
//! again happens here and in the producer, nowhere else.

mod metadata;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flumen_protocol::Text;
use flumen_protocol::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use tokio::time::{Instant, sleep};

pub use metadata::{Broker, Leader, MetadataCache, PartitionMetadata, TopicMetadata};

use crate::backoff::Backoff;
use crate::connection::{Api, Connection, ConnectionOptions};
use crate::{Error, ErrorCode};

/// How long a topic that the cluster may make by itself is waited for.
const CREATION_PATIENCE: Duration = Duration::from_secs(5);

/// How a cluster is reached.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Addresses, `host:port`, any of which leads to the rest.
    pub bootstrap: Vec<String>,
    /// How connections are made.
    pub connection: ConnectionOptions,
    /// How long a call is tried over again before it fails.
    pub retry_timeout: Duration,
}

impl ClusterOptions {
    /// The usual options for these addresses.
    pub fn new(bootstrap: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            bootstrap: bootstrap.into_iter().map(Into::into).collect(),
            connection: ConnectionOptions::default(),
            retry_timeout: Duration::from_secs(60),
        }
    }
}

/// A cluster. Cloning gives another handle to the same.
#[derive(Clone, Debug)]
pub struct Cluster {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ClusterOptions,
    metadata: Mutex<MetadataCache>,
    slots: Mutex<HashMap<String, Slot>>,
}

/// Where the connection to one address is kept; its lock is held while one is made, so that only one is.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Connection>>>>;

impl Cluster {
    /// Finds a broker among the addresses and asks it who else there is.
    ///
    /// Each address is tried once: whoever starts a program wants to know at once that nobody is there.
    pub async fn connect(options: ClusterOptions) -> Result<Self, Error> {
        if options.bootstrap.is_empty() {
            return Err(Error::Options(String::from("no broker address was given")));
        }
        let inner = Inner { options, metadata: Mutex::default(), slots: Mutex::default() };
        let cluster = Self { inner: Arc::new(inner) };
        cluster.refresh(&[], false).await?;
        Ok(cluster)
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &ClusterOptions {
        &self.inner.options
    }

    fn metadata(&self) -> MutexGuard<'_, MetadataCache> {
        // The cache is consistent after each of its methods, none of which panics half way.
        self.inner.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All brokers known, by id.
    #[must_use]
    pub fn brokers(&self) -> Vec<Broker> {
        self.metadata().brokers()
    }

    /// What is known of a topic.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Arc<TopicMetadata>> {
        self.metadata().topic(name)
    }

    /// The name of a topic whose id a broker answered with.
    #[must_use]
    pub fn topic_name(&self, id: flumen_protocol::Uuid) -> Option<Arc<str>> {
        self.metadata().name_of(id)
    }

    /// The leader of a partition, as far as known.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<Leader> {
        self.metadata().leader(topic, partition)
    }

    /// Takes up a leader that a broker named in passing (KIP-951).
    pub fn learn_leader(&self, topic: &str, partition: i32, leader: Leader, endpoints: &[Broker]) {
        self.metadata().learn_leader(topic, partition, leader, endpoints);
    }

    /// What is known of a topic, asked for if nothing is.
    pub async fn require_topic(&self, name: &str, create: bool) -> Result<Arc<TopicMetadata>, Error> {
        if let Some(topic) = self.topic(name) {
            return Ok(topic);
        }
        let deadline = Instant::now() + CREATION_PATIENCE;
        let mut backoff = Backoff::default();
        loop {
            let attempt = || async {
                self.refresh(&[name], create).await?;
                let refusal = || self.metadata().refusal(name).unwrap_or_else(|| Error::UnknownTopic(name.to_owned()));
                self.topic(name).ok_or_else(refusal)
            };
            let wait = backoff.wait();
            match self.retrying(attempt).await {
                // A broker that makes the topic says that it does not exist until it does.
                Err(Error::UnknownTopic(_)) if create && Instant::now() + wait < deadline => sleep(wait).await,
                outcome => return outcome,
            }
        }
    }

    /// Asks any broker about these topics, without trying again.
    pub async fn refresh(&self, topics: &[&str], create: bool) -> Result<MetadataResponse, Error> {
        let named = |name: &&str| MetadataRequestTopic { name: Some(Text::from(*name)), ..Default::default() };
        let request = MetadataRequest {
            topics: Some(topics.iter().map(named).collect()),
            allow_auto_topic_creation: create,
            ..Default::default()
        };
        let response = self.any().await?.call(request).await?;
        self.metadata().take_up(&response);
        Ok(response)
    }

    /// Asks any broker about all topics.
    pub async fn refresh_all(&self) -> Result<MetadataResponse, Error> {
        let request = MetadataRequest { topics: None, allow_auto_topic_creation: false, ..Default::default() };
        let response = self.any().await?.call(request).await?;
        self.metadata().take_up(&response);
        Ok(response)
    }

    /// A connection to a broker of the cluster, whichever answers.
    pub async fn any(&self) -> Result<Arc<Connection>, Error> {
        let known = self.brokers().into_iter().map(|broker| broker.address());
        let mut addresses: Vec<String> = known.collect();
        // A connection there is costs nothing; those come first.
        addresses.sort_by_key(|address| !self.is_connected(address));
        for address in &self.inner.options.bootstrap {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        let mut problems = Vec::new();
        for address in &addresses {
            match self.connection(address).await {
                Ok(connection) => return Ok(connection),
                Err(problem) => problems.push(problem),
            }
        }
        Err(match problems.len() {
            1 => problems.remove(0),
            _ => Error::NoBroker(problems),
        })
    }

    /// A connection to one broker.
    pub async fn broker(&self, id: i32) -> Result<Arc<Connection>, Error> {
        let address = self.metadata().broker(id).map(Broker::address);
        let address = address.ok_or(Error::Broker { code: ErrorCode::BrokerNotAvailable, message: None })?;
        self.connection(&address).await
    }

    /// A connection to the broker that administration goes to.
    pub async fn controller(&self) -> Result<Arc<Connection>, Error> {
        let controller = self.metadata().controller();
        match controller {
            Some(id) => self.broker(id).await,
            None => self.any().await,
        }
    }

    /// A connection to the leader of a partition.
    pub async fn leader_connection(&self, topic: &str, partition: i32) -> Result<(Arc<Connection>, Leader), Error> {
        let metadata = self.require_topic(topic, false).await?;
        let leader = match self.leader(topic, partition) {
            Some(leader) => leader,
            None if (0..metadata.partition_count()).contains(&partition) => {
                return Err(Error::NoLeader { topic: topic.to_owned(), partition });
            }
            None => {
                let partitions = metadata.partition_count();
                return Err(Error::UnknownPartition { topic: topic.to_owned(), partition, partitions });
            }
        };
        Ok((self.broker(leader.broker).await?, leader))
    }

    /// Asks the controller, over again while that may help.
    pub async fn call_controller<A: Api + Clone>(&self, request: A) -> Result<A::Answer, Error> {
        self.retrying(|| async { self.controller().await?.call(request.clone()).await }).await
    }

    /// Asks any broker, over again while that may help.
    pub async fn call_any<A: Api + Clone>(&self, request: A) -> Result<A::Answer, Error> {
        self.retrying(|| async { self.any().await?.call(request.clone()).await }).await
    }

    /// Does something until it succeeds, fails for good, or the retry timeout is over.
    pub async fn retrying<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut retry = self.retry();
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(problem) => retry.after(problem).await?,
            }
        }
    }

    /// Patience for one thing that may have to be tried more than once.
    pub(crate) fn retry(&self) -> Retry<'_> {
        let deadline = Instant::now() + self.inner.options.retry_timeout;
        Retry { cluster: self, deadline, backoff: Backoff::default() }
    }

    fn is_connected(&self, address: &str) -> bool {
        let slot = self.slot(address);
        // Locked means: being connected now.
        slot.try_lock().is_ok_and(|slot| slot.as_ref().is_some_and(|connection| !connection.is_closed()))
    }

    fn slot(&self, address: &str) -> Slot {
        let mut slots = self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(address.to_owned()).or_default())
    }

    async fn connection(&self, address: &str) -> Result<Arc<Connection>, Error> {
        let slot = self.slot(address);
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(Arc::clone(connection));
        }
        let connection = Connection::open(address, self.inner.options.connection.clone()).await?;
        let connection = Arc::new(connection);
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }
}

/// How often and how long one thing is tried.
pub(crate) struct Retry<'a> {
    cluster: &'a Cluster,
    deadline: Instant,
    backoff: Backoff,
}

impl Retry<'_> {
    /// Waits until it is worth trying again, or gives the problem back if it is not.
    pub(crate) async fn after(&mut self, problem: Error) -> Result<(), Error> {
        let wait = self.backoff.wait();
        // Nobody at any known address: that is for whoever called to know, not to be waited out.
        let hopeless = matches!(problem, Error::Unreachable { .. } | Error::NoBroker(_));
        if !problem.is_retriable() || hopeless || Instant::now() + wait >= self.deadline {
            return Err(problem);
        }
        tracing::debug!(%problem, ?wait, "trying again");
        sleep(wait).await;
        if problem.wants_metadata() {
            let topics = self.cluster.metadata().topic_names();
            let topics: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
            // If this fails too, the next attempt meets the same cause.
            let _ = self.cluster.refresh(&topics, false).await;
        }
        Ok(())
    }
}
