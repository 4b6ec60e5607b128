//! Producers under which the broker is killed, or the power goes, and the ledger of all they sent.
//!
//! The ledger keeps the kinds of topics that must survive the fault; producers of the others are load, and their records are
//! looked at by nobody. A worker is one producer on one partition. What it sent is acknowledged (with an offset) or open. After a kill, an idempotent
//! worker sends its open batches again with the same numbers, so each must then be in the log once; what another worker has open
//! may be there or not. A worker whose open batches were settled is not used again: every round has new producers with new ids,
//! beside those that go on.

use super::payload::{Identity, Random};
use super::shift::{Counts, Refusal, is_retriable};
use super::wire::Connection;
use crate::tally::Outcome;
use bytes::Bytes;
use flumen_log::batch::{BatchBuilder, ProducerInfo};
use flumen_log::compression::Codec;
use flumen_log::{ProducerEpoch, ProducerId, Timestamp};
use flumen_protocol::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use flumen_protocol::init_producer_id::InitProducerIdRequest;
use flumen_protocol::produce::{PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData};
use flumen_protocol::{ApiKey, ErrorCode, Records, Request, Response, Text};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Partitions of every topic.
pub(crate) const PARTITIONS: i32 = 6;
/// New producers in every round.
const RECRUITS: usize = 6;
/// Producers of earlier rounds that go on.
const VETERANS: usize = 4;
/// Batches on their way at once: the broker remembers five.
const IN_FLIGHT: usize = 5;
const PRODUCE: i16 = 12;
/// A refused batch is sent again after this time.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// What a topic promises, and how it is written to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Kind {
    pub(super) topic: &'static str,
    acks: i16,
    idempotent: bool,
    codec: Codec,
    durability: Option<&'static str>,
}

const KINDS: [Kind; 5] = [
    Kind { topic: "synced", acks: -1, idempotent: true, codec: Codec::None, durability: None },
    Kind { topic: "synced-lz4", acks: -1, idempotent: true, codec: Codec::Lz4, durability: None },
    Kind { topic: "leader", acks: 1, idempotent: false, codec: Codec::None, durability: None },
    Kind { topic: "leader-idempotent", acks: 1, idempotent: true, codec: Codec::None, durability: None },
    Kind { topic: "cached", acks: -1, idempotent: true, codec: Codec::None, durability: Some("replicated") },
];

/// What is to survive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Promise {
    /// Of a killed process: everything acknowledged.
    Kill,
    /// Of lost power: what was acknowledged with acks=all in the default durability.
    PowerLoss,
    /// What nobody promises: that acks=all with `flumen.durability=replicated` survives lost power on a broker alone.
    TooMuch,
}

impl Kind {
    fn is_kept(self, promise: Promise) -> bool {
        match promise {
            Promise::Kill => true,
            Promise::PowerLoss => self.acks == -1 && self.durability.is_none(),
            Promise::TooMuch => self.durability.is_some(),
        }
    }
}

/// A batch that was sent and not answered.
#[derive(Clone)]
struct Open {
    first: u32,
    count: u32,
    bytes: Bytes,
}

/// One producer.
pub(crate) struct Worker {
    id: u32,
    kind: Kind,
    /// What is acknowledged to it is promised.
    is_kept: bool,
    partition: i32,
    producer: ProducerInfo,
    next: u32,
    open: VecDeque<Open>,
    /// Acknowledged in this run and not yet in the ledger: identity's number, count, offset.
    acknowledged: Vec<(u32, u32, i64)>,
    random: Random,
}

/// What was ever acknowledged, by partition: offset to identity.
pub(crate) struct Ledger {
    promise: Promise,
    pub(super) acknowledged: BTreeMap<(&'static str, i32), BTreeMap<i64, Identity>>,
    /// Records that may be there or not: sent once, never answered.
    pub(super) open: BTreeSet<Identity>,
    /// Where the last look at a partition ended.
    pub(super) seen: BTreeMap<(&'static str, i32), i64>,
    /// Where a partition begins, once records were deleted.
    pub(super) starts: BTreeMap<(&'static str, i32), i64>,
    idle: Vec<Worker>,
    producer_ids: BTreeSet<i64>,
    workers: u32,
}

/// Makes the topics, unless a round before did.
pub(crate) fn prepare(address: &str) -> Outcome<()> {
    let mut connection = Connection::open(address)?;
    let topics = KINDS.map(|kind| CreatableTopic {
        name: Text::from_static(kind.topic),
        num_partitions: PARTITIONS,
        replication_factor: 1,
        configs: (kind.durability.into_iter())
            .map(|value| CreatableTopicConfig {
                name: Text::from_static("flumen.durability"),
                value: Some(Text::from_static(value)),
            })
            .collect(),
        ..CreatableTopic::default()
    });
    let request = CreateTopicsRequest { topics: topics.into(), timeout_ms: 30_000, validate_only: false };
    let Response::CreateTopics(response) = connection.ask(7, &Request::CreateTopics(request))? else {
        return Err("no answer to CreateTopics".into());
    };
    for result in response.topics {
        if !matches!(result.error_code, ErrorCode::None | ErrorCode::TopicAlreadyExists) {
            return Err(format!("{}: {:?} {:?}", result.name.as_str(), result.error_code, result.error_message).into());
        }
    }
    Ok(())
}

impl Ledger {
    /// An empty one.
    pub(crate) fn new(promise: Promise) -> Self {
        Self {
            promise,
            acknowledged: BTreeMap::new(),
            open: BTreeSet::new(),
            seen: BTreeMap::new(),
            starts: BTreeMap::new(),
            idle: Vec::new(),
            producer_ids: BTreeSet::new(),
            workers: 0,
        }
    }

    /// What must be there.
    pub(super) fn kept(&self) -> impl Iterator<Item = Kind> + use<> {
        let promise = self.promise;
        KINDS.into_iter().filter(move |kind| kind.is_kept(promise))
    }

    /// New producers, with ids no one had before, and some of those that were there.
    pub(crate) fn enlist(&mut self, random: &mut Random, address: &str) -> Outcome<Vec<Worker>> {
        let mut workers = self.idle.split_off(self.idle.len().saturating_sub(VETERANS));
        // The others have settled their accounts and are let go.
        self.idle.clear();
        let mut connection = Connection::open(address)?;
        for recruit in 0..RECRUITS {
            let kind = KINDS[(recruit + usize::try_from(random.within(0..5))?) % KINDS.len()];
            let producer = if kind.idempotent { self.fresh_producer(&mut connection)? } else { ProducerInfo::NONE };
            self.workers += 1;
            workers.push(Worker {
                id: self.workers,
                kind,
                is_kept: kind.is_kept(self.promise),
                partition: i32::try_from(random.within(0..u64::try_from(PARTITIONS)?))?,
                producer,
                next: 0,
                open: VecDeque::new(),
                acknowledged: Vec::new(),
                random: Random::new(random.next()),
            });
        }
        Ok(workers)
    }

    fn fresh_producer(&mut self, connection: &mut Connection) -> Outcome<ProducerInfo> {
        let request = InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: 60_000, ..Default::default() };
        let request = Request::InitProducerId(request);
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let Response::InitProducerId(response) = connection.ask(4, &request)? else { return Err("no producer id".into()) };
            match response.error_code {
                ErrorCode::None if !self.producer_ids.insert(response.producer_id) => {
                    return Err(format!("producer id {} was given twice", response.producer_id).into());
                }
                ErrorCode::None => {
                    let (id, epoch) = (ProducerId(response.producer_id), ProducerEpoch(response.producer_epoch));
                    return Ok(ProducerInfo { id, epoch, base_sequence: 0, is_transactional: false });
                }
                ErrorCode::CoordinatorLoadInProgress if Instant::now() < deadline => {}
                other => return Err(format!("InitProducerId: {other:?}").into()),
            }
        }
    }

    /// Producers so far.
    pub(crate) fn producers(&self) -> u32 {
        self.workers
    }

    /// Records acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.values().map(BTreeMap::len).sum()
    }

    /// Takes back a worker after a kill.
    pub(super) fn return_from_work(&mut self, mut worker: Worker) -> Outcome<()> {
        if !worker.kind.is_kept(self.promise) {
            return Ok(());
        }
        self.record(&mut worker)?;
        if worker.kind.idempotent {
            self.idle.push(worker);
        } else {
            let open = worker.open.iter().flat_map(|open| open.first..open.first + open.count);
            self.open.extend(open.map(|number| Identity { worker: worker.id, number }));
        }
        Ok(())
    }

    fn record(&mut self, worker: &mut Worker) -> Outcome<()> {
        let place = (worker.kind.topic, worker.partition);
        let log = self.acknowledged.entry(place).or_default();
        for (first, count, offset) in worker.acknowledged.drain(..) {
            for step in 0..count {
                let identity = Identity { worker: worker.id, number: first + step };
                if let Some(other) = log.insert(offset + i64::from(step), identity)
                    && other != identity
                {
                    return Err(super::verify::Loss(format!(
                        "{place:?}: offset {offset} was given to {other:?} and {identity:?}"
                    ))
                    .into());
                }
            }
        }
        Ok(())
    }

    /// What was looked at is to be deleted: partitions, and up to where.
    pub(crate) fn give_up_seen(&mut self) -> Vec<(&'static str, i32, i64)> {
        for (place, end) in &self.seen {
            if let Some(log) = self.acknowledged.get_mut(place) {
                *log = log.split_off(end);
            }
            self.starts.insert(*place, *end);
        }
        self.seen.iter().map(|((topic, partition), end)| (*topic, *partition, *end)).collect()
    }

    /// Idempotent producers send again what was not answered, in order: all of it must be taken, at the latest after this time.
    pub(crate) fn resend(&mut self, address: &str, patience: Duration) -> Outcome<()> {
        let deadline = Instant::now() + patience;
        let mut workers = std::mem::take(&mut self.idle);
        for worker in &mut workers {
            let mut connection = Connection::open(address)?;
            while let Some(open) = worker.open.front().cloned() {
                connection.send(PRODUCE, &worker.request(open.bytes))?;
                let result = worker.answer(&mut connection)?;
                if is_retriable(result.error_code) && Instant::now() < deadline {
                    std::thread::sleep(RETRY_AFTER);
                } else if result.error_code != ErrorCode::None {
                    let what = format!(
                        "{} {}: {:?} for what producer {} (worker {}) sends again: what came before it is gone",
                        worker.kind.topic, worker.partition, result.error_code, worker.producer.id, worker.id
                    );
                    return Err(super::verify::Loss(what).into());
                }
            }
            self.record(worker)?;
        }
        self.idle = workers;
        Ok(())
    }
}

impl Worker {
    /// Produces until the connection ends, or it is told to stop, or is refused, which a healthy broker has no reason for.
    pub(super) fn work(&mut self, address: &str, counts: &Counts, stop: &AtomicBool) -> Option<Refusal> {
        let Ok(mut connection) = Connection::open(address) else { return None };
        loop {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            while self.open.len() < IN_FLIGHT {
                let bytes = self.batch();
                if connection.send(PRODUCE, &self.request(bytes)).is_err() {
                    return None;
                }
            }
            match self.answer(&mut connection) {
                Ok(result) if result.error_code == ErrorCode::None => {
                    counts.acknowledged.fetch_add(1, Ordering::Relaxed);
                    counts.promised.fetch_add(usize::from(self.is_kept), Ordering::Relaxed);
                }
                Ok(result) => {
                    let what = format!("{} {}", self.kind.topic, self.partition);
                    return Some(Refusal { code: result.error_code, what });
                }
                Err(_) => return None,
            }
        }
    }

    /// Makes the next batch and opens an account for it.
    fn batch(&mut self) -> Bytes {
        let count = u32::try_from(self.random.within(1..20)).unwrap_or(1);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let timestamp = Timestamp(i64::try_from(now.as_millis()).unwrap_or_default());
        let mut builder = BatchBuilder::new();
        for number in self.next..self.next + count {
            let value = Identity { worker: self.id, number }.value();
            builder.append(timestamp, Some(&number.to_be_bytes()), Some(&value), &[]);
        }
        let base_sequence = if self.kind.idempotent { i32::try_from(self.next).unwrap_or_default() } else { -1 };
        let producer = ProducerInfo { base_sequence, ..self.producer };
        let bytes = builder.build(self.kind.codec, None, producer).expect("records of a test can be compressed");
        self.open.push_back(Open { first: self.next, count, bytes: bytes.clone() });
        self.next += count;
        bytes
    }

    fn request(&self, bytes: Bytes) -> Request {
        let partition = PartitionProduceData { index: self.partition, records: Some(Records::Inline(bytes)) };
        let name = Text::from_static(self.kind.topic);
        let topic = TopicProduceData { name, partition_data: vec![partition], ..TopicProduceData::default() };
        Request::Produce(ProduceRequest {
            transactional_id: None,
            acks: self.kind.acks,
            timeout_ms: 30_000,
            topic_data: vec![topic],
        })
    }

    /// The answer to the oldest open batch; it closes its account if it was taken.
    fn answer(&mut self, connection: &mut Connection) -> Outcome<PartitionProduceResponse> {
        let Response::Produce(response) = connection.receive(ApiKey::Produce, PRODUCE)? else {
            return Err("another answer".into());
        };
        let result =
            response.responses.into_iter().flat_map(|topic| topic.partition_responses).next().ok_or("an empty answer")?;
        if result.error_code == ErrorCode::None
            && let Some(open) = self.open.pop_front()
        {
            self.acknowledged.push((open.first, open.count, result.base_offset));
        }
        Ok(result)
    }
}
