//! The producer: records in, batches out, a report on each.
//!
//! [`Producer::send`] puts a record into the batch of its partition and returns; a task of its own sends the batches to
//! the partitions' leaders when they are full or have waited for `linger`. Memory is bounded by `memory_bytes`: `send`
//! waits while it is used up.

mod accumulator;
mod batch;
mod outcome;
mod request;
mod sender;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flumen_log::batch::BatchBuilder;
use flumen_log::compression::Codec;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use accumulator::{Accumulator, Limits};
pub use outcome::{Acknowledged, Delivery};

use crate::partitioner::{DefaultPartitioner, Partitioner, Placement};
use crate::{Cluster, Error, ProducerRecord};

/// Who must have a record before it counts as delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Acks {
    /// Nobody; nothing is learnt of its fate, offsets included.
    None,
    /// The leader.
    Leader,
    /// All in-sync replicas.
    #[default]
    All,
}

impl Acks {
    /// As on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// How a producer works. The defaults are those of Kafka's Java client.
pub struct ProducerOptions {
    /// Who must have a record.
    pub acks: Acks,
    /// How batches are compressed.
    pub codec: Codec,
    /// How hard, where the codec has levels.
    pub level: Option<i32>,
    /// A batch leaves when it has so many bytes, before compression.
    pub batch_bytes: usize,
    /// How long a batch waits for more.
    pub linger: Duration,
    /// The largest request, and so the largest record.
    pub request_bytes_max: usize,
    /// Records taken up and not settled hold at most so much memory.
    pub memory_bytes: usize,
    /// Requests without an answer, for each broker.
    pub max_in_flight: usize,
    /// Whether brokers drop what retries would write twice. Needs all acknowledgements.
    pub idempotent: bool,
    /// How long a record is tried for.
    pub delivery_timeout: Duration,
    /// Whether the cluster may make a topic that does not exist.
    pub create_topics: bool,
    /// Which partition records without one go to.
    pub partitioner: Box<dyn Partitioner>,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            codec: Codec::None,
            level: None,
            batch_bytes: 16 << 10,
            linger: Duration::from_millis(5),
            request_bytes_max: 1 << 20,
            memory_bytes: 32 << 20,
            max_in_flight: 5,
            idempotent: true,
            delivery_timeout: Duration::from_secs(120),
            create_topics: true,
            partitioner: Box::new(DefaultPartitioner::new()),
        }
    }
}

/// Sends records.
pub struct Producer {
    shared: Arc<Shared>,
    sender: Option<JoinHandle<()>>,
}

/// What the producer and its task share.
struct Shared {
    cluster: Cluster,
    options: Settings,
    core: Mutex<Core>,
    wake: Notify,
    memory: Semaphore,
}

struct Core {
    accumulator: Accumulator,
    partitioner: Box<dyn Partitioner>,
    closing: bool,
}

/// The options that stay as they are.
struct Settings {
    acks: Acks,
    batch_bytes: usize,
    request_bytes_max: usize,
    memory_bytes: usize,
    max_in_flight: usize,
    create_topics: bool,
}

impl Shared {
    fn core(&self) -> MutexGuard<'_, Core> {
        // A partitioner of the application's may panic; what it guards is whole before it is called.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Producer {
    /// Starts a producer; must be called within a tokio runtime.
    pub fn new(cluster: Cluster, options: ProducerOptions) -> Result<Self, Error> {
        check(&options)?;
        let limits = Limits {
            batch_bytes: options.batch_bytes.min(options.request_bytes_max),
            request_bytes: options.request_bytes_max,
            linger: options.linger,
            delivery_timeout: options.delivery_timeout,
            retry_backoff: Duration::from_millis(100),
            codec: options.codec,
            level: options.level,
        };
        let core =
            Core { accumulator: Accumulator::new(limits, options.idempotent), partitioner: options.partitioner, closing: false };
        let settings = Settings {
            acks: options.acks,
            batch_bytes: limits.batch_bytes,
            request_bytes_max: options.request_bytes_max,
            memory_bytes: options.memory_bytes,
            max_in_flight: options.max_in_flight,
            create_topics: options.create_topics,
        };
        let shared = Arc::new(Shared {
            cluster,
            options: settings,
            core: Mutex::new(core),
            wake: Notify::new(),
            memory: Semaphore::new(options.memory_bytes),
        });
        let sender = tokio::spawn(sender::Sender::new(Arc::clone(&shared)).run());
        Ok(Self { shared, sender: Some(sender) })
    }

    /// Takes up a record. Waits for what is known of its topic and for memory; the delivery says what became of it.
    pub async fn send(&self, record: &ProducerRecord) -> Result<Delivery, Error> {
        let shared = &self.shared;
        let topic = match shared.cluster.topic(&record.topic) {
            Some(topic) => topic,
            None => shared.cluster.require_topic(&record.topic, shared.options.create_topics).await?,
        };
        let headers: Vec<(&[u8], Option<&[u8]>)> =
            record.headers.iter().map(|header| (header.key.as_bytes(), header.value.as_deref())).collect();
        let bytes = BatchBuilder::record_bytes_max(record.key.as_deref(), record.value.as_deref(), &headers);
        let limit = shared.options.request_bytes_max.min(shared.options.memory_bytes);
        let permits = u32::try_from(bytes).ok().filter(|_| bytes <= limit).ok_or(Error::RecordTooLarge { bytes, limit })?;
        let reserved = match shared.memory.try_acquire_many(permits) {
            Ok(reserved) => reserved,
            Err(_) => shared.memory.acquire_many(permits).await.map_err(|_| Error::Closed)?,
        };
        let timestamp = record.timestamp.unwrap_or_else(now_ms);
        let mut core = shared.core();
        if core.closing {
            return Err(Error::Closed);
        }
        let partitions = topic.partition_count();
        let partition = record.partition.unwrap_or_else(|| {
            core.partitioner.place(&Placement {
                topic: &record.topic,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                partitions,
                available: topic.available(),
            })
        });
        if !(0..partitions).contains(&partition) {
            return Err(Error::UnknownPartition { topic: record.topic.to_string(), partition, partitions });
        }
        if record.partition.is_none() {
            core.partitioner.taken(&record.topic, partition, bytes, shared.options.batch_bytes);
        }
        let appended = core.accumulator.append(record, partition, timestamp, bytes, Instant::now());
        drop(core);
        // Held by the batch from here on.
        reserved.forget();
        if appended.is_news {
            shared.wake.notify_one();
        }
        Ok(Delivery {
            settlement: appended.settlement,
            index: appended.index,
            topic: Arc::clone(&record.topic),
            partition,
            timestamp,
        })
    }

    /// Sends what was taken up so far without lingering, and waits until all of it is settled.
    pub async fn flush(&self) {
        let waiting = self.shared.core().accumulator.flush();
        self.shared.wake.notify_one();
        for settlement in waiting {
            // Whoever sent the record is told how it ended.
            let _ = settlement.settled().await;
        }
    }

    /// Flushes and ends. Dropping a producer instead fails what is not settled.
    pub async fn close(mut self) {
        self.shared.core().closing = true;
        self.flush().await;
        self.shared.wake.notify_one();
        if let Some(sender) = self.sender.take()
            && let Err(problem) = sender.await
        {
            tracing::debug!(%problem, "the sender did not end by itself");
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.abort();
        }
        // The lock is free: no method of the producer runs any more.
        let mut core = self.shared.core();
        core.closing = true;
        core.accumulator.fail_all(&Error::Closed);
    }
}

fn check(options: &ProducerOptions) -> Result<(), Error> {
    let wrong = |problem: &str| Err(Error::Options(problem.to_owned()));
    if options.max_in_flight == 0 {
        return wrong("max_in_flight must be at least 1");
    }
    if options.idempotent && options.acks != Acks::All {
        return wrong("an idempotent producer needs acks=all");
    }
    if options.idempotent && options.max_in_flight > 5 {
        return wrong("an idempotent producer may have at most 5 requests in flight");
    }
    if options.batch_bytes == 0 || options.request_bytes_max < 1024 || options.memory_bytes < options.batch_bytes {
        return wrong("batch_bytes must be positive, request_bytes_max at least 1024, memory_bytes at least batch_bytes");
    }
    Ok(())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
