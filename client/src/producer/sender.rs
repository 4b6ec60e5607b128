//! The producer's task: asks the accumulator what may leave, sends it to the leaders, and reports back.
//!
//! Invariants: requests to one broker are written in the order in which they were drained; at most `max_in_flight` of them
//! are without an answer. The task waits only in [`Sender::run`]; connecting, metadata and answers are futures beside it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use flumen_log::{ProducerEpoch, ProducerId};
use flumen_protocol::init_producer_id::InitProducerIdRequest;
use flumen_protocol::produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};
use flumen_protocol::{Records, Text};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::accumulator::{Failure, Place, Sending};
use super::batch::Batch;
use super::outcome::Taken;
use super::request::{VERSION_WITH_IDS, answers};
use crate::Error;
use crate::backoff::Backoff;
use crate::connection::{Connection, Reply};

/// How old what is known of a topic may become: partitions are added now and then.
const METADATA_AGE_MAX: Duration = Duration::from_secs(300);
/// How soon metadata is asked for again.
const METADATA_PAUSE: Duration = Duration::from_millis(100);
/// A wait without end, for a clock that cannot count that far.
const NEVER: Duration = Duration::from_secs(3600);

pub(super) struct Sender {
    shared: Arc<Shared>,
    nodes: HashMap<i32, Node>,
    events: JoinSet<Event>,
    metadata: Metadata,
    identifying: bool,
    identity_backoff: Backoff,
}

/// A broker, as the producer sees it.
#[derive(Default)]
struct Node {
    connection: Option<Arc<Connection>>,
    connecting: bool,
    in_flight: usize,
}

struct Metadata {
    asking: bool,
    asked: Instant,
    stale: bool,
}

/// What is sent and waits for its answer.
type Waiting = Vec<(Place, Batch)>;

enum Event {
    Connected(i32, Result<Arc<Connection>, Error>),
    Answered(i32, i16, Waiting, Result<ProduceResponse, Error>),
    Identified(Result<(ProducerId, ProducerEpoch), Error>),
    Refreshed,
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let metadata = Metadata { asking: false, asked: Instant::now(), stale: false };
        let identity_backoff = Backoff::default();
        Self { shared, nodes: HashMap::new(), events: JoinSet::new(), metadata, identifying: false, identity_backoff }
    }

    /// Works until the producer is closed and everything is settled.
    pub(super) async fn run(mut self) {
        loop {
            let now = Instant::now();
            let wanted = self.turn(now);
            self.connect(wanted.brokers);
            self.refresh(now, wanted.leaders);
            self.identify();
            let deadline = {
                let core = self.shared.core();
                if core.closing && core.accumulator.is_idle() {
                    return;
                }
                core.accumulator.deadline(now)
            };
            let refresh_at = (self.metadata.stale && !self.metadata.asking).then(|| self.metadata.asked + METADATA_PAUSE);
            let wake_at = [deadline, refresh_at, Some(now + NEVER)].into_iter().flatten().min().unwrap_or(now + NEVER);
            tokio::select! {
                () = self.shared.wake.notified() => {}
                Some(event) = self.events.join_next(), if !self.events.is_empty() => match event {
                    Ok(event) => self.take_up(event),
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                },
                () = sleep_until(wake_at) => {}
            }
        }
    }

    /// Sends what may leave now; says which brokers and leaders it lacks.
    fn turn(&mut self, now: Instant) -> Wanted {
        let shared = Arc::clone(&self.shared);
        let mut wanted = Wanted::default();
        let leaving = {
            let mut core = shared.core();
            core.accumulator.expire(now);
            let limit = shared.options.max_in_flight;
            let nodes = &mut self.nodes;
            core.accumulator.drain(now, &mut |place: &Place| {
                let Some(leader) = shared.cluster.leader(&place.0, place.1) else {
                    wanted.leaders = true;
                    return None;
                };
                let node = nodes.entry(leader.broker).or_default();
                if node.connection.as_ref().is_none_or(|connection| connection.is_closed()) {
                    node.connection = None;
                    wanted.brokers.insert(leader.broker);
                    return None;
                }
                (node.in_flight < limit).then_some(leader.broker)
            })
        };
        for (broker, sendings) in leaving {
            self.send(broker, sendings);
        }
        self.give_back();
        wanted
    }

    fn give_back(&self) {
        let freed = self.shared.core().accumulator.take_freed();
        if freed > 0 {
            self.shared.memory.add_permits(freed);
        }
    }

    fn send(&mut self, broker: i32, sendings: Vec<Sending>) {
        let node = self.nodes.entry(broker).or_default();
        let (request, with_ids) = self.shared.request(&sendings);
        let highest = if with_ids { i16::MAX } else { VERSION_WITH_IDS - 1 };
        let waiting: Waiting = sendings.into_iter().map(|sending| (sending.place, sending.batch)).collect();
        let begun = match &node.connection {
            Some(connection) => connection
                .version_of::<ProduceRequest>(highest)
                .and_then(|version| Ok((version, connection.begin(request, highest)?))),
            None => Err(Error::Closed),
        };
        match begun {
            Ok((version, reply)) => {
                node.in_flight += 1;
                self.events.spawn(answered(broker, version, waiting, reply));
            }
            Err(error) => {
                // Nothing was written.
                let failure = |_: &Place| Err(Failure { error: error.clone(), doubtful: false });
                self.settle(waiting, failure);
            }
        }
    }

    fn settle(&mut self, waiting: Waiting, mut outcome: impl FnMut(&Place) -> Result<Taken, Failure>) {
        let now = Instant::now();
        let mut core = self.shared.core();
        for (place, batch) in waiting {
            let outcome = outcome(&place);
            if let Err(failure) = &outcome {
                tracing::debug!(topic = %place.0, partition = place.1, error = %failure.error, "batch not acknowledged");
                self.metadata.stale |= failure.error.wants_metadata();
            }
            core.accumulator.settle(&place, batch, outcome, now);
        }
        drop(core);
        self.give_back();
    }

    fn take_up(&mut self, event: Event) {
        match event {
            Event::Connected(broker, outcome) => {
                let node = self.nodes.entry(broker).or_default();
                node.connecting = false;
                match outcome {
                    Ok(connection) => node.connection = Some(connection),
                    // Another leader may have been elected meanwhile.
                    Err(problem) => {
                        tracing::debug!(broker, %problem, "no connection");
                        self.shared.core().accumulator.note_trouble(problem);
                        self.metadata.stale = true;
                    }
                }
            }
            Event::Answered(broker, version, waiting, outcome) => {
                let node = self.nodes.entry(broker).or_default();
                node.in_flight = node.in_flight.saturating_sub(1);
                let shared = Arc::clone(&self.shared);
                let mut outcomes = answers(&shared.cluster, &waiting, version, shared.options.acks, outcome);
                self.settle(waiting, |place| outcomes.remove(place).unwrap_or_else(|| Err(unanswered())));
            }
            Event::Identified(outcome) => {
                self.identifying = false;
                let mut core = self.shared.core();
                match outcome {
                    Ok((id, epoch)) => core.accumulator.identify(id, epoch),
                    Err(error) if error.is_retriable() => {
                        tracing::debug!(%error, "no producer id");
                        core.accumulator.note_trouble(error);
                    }
                    Err(error) => core.accumulator.fail_all(&error),
                }
                drop(core);
                self.give_back();
            }
            Event::Refreshed => {
                self.metadata.asking = false;
            }
        }
    }

    fn connect(&mut self, brokers: BTreeSet<i32>) {
        for broker in brokers {
            let node = self.nodes.entry(broker).or_default();
            if std::mem::replace(&mut node.connecting, true) {
                continue;
            }
            let cluster = self.shared.cluster.clone();
            self.events.spawn(async move {
                let outcome = cluster.broker(broker).await;
                if outcome.is_err() {
                    // So that a broker that is down is not dialled without pause.
                    tokio::time::sleep(METADATA_PAUSE).await;
                }
                Event::Connected(broker, outcome)
            });
        }
    }

    fn refresh(&mut self, now: Instant, leader_missing: bool) {
        self.metadata.stale |= leader_missing || now >= self.metadata.asked + METADATA_AGE_MAX;
        if !self.metadata.stale || self.metadata.asking || now < self.metadata.asked + METADATA_PAUSE {
            return;
        }
        self.metadata = Metadata { asking: true, asked: now, stale: false };
        let topics = self.shared.core().accumulator.topics();
        let cluster = self.shared.cluster.clone();
        self.events.spawn(async move {
            let names: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
            if let Err(problem) = cluster.refresh(&names, false).await {
                tracing::debug!(%problem, "metadata not refreshed");
            }
            Event::Refreshed
        });
    }

    fn identify(&mut self) {
        if self.identifying || !self.shared.core().accumulator.wants_identity() {
            return;
        }
        self.identifying = true;
        let cluster = self.shared.cluster.clone();
        let pause = self.identity_backoff.wait();
        self.events.spawn(async move {
            let outcome = async {
                let request =
                    InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: i32::MAX, ..Default::default() };
                let answer = cluster.any().await?.call(request).await?;
                Error::check(answer.error_code, None)?;
                Ok((ProducerId(answer.producer_id), ProducerEpoch(answer.producer_epoch)))
            };
            let outcome = outcome.await;
            if outcome.is_err() {
                tokio::time::sleep(pause).await;
            }
            Event::Identified(outcome)
        });
    }
}

#[derive(Default)]
struct Wanted {
    brokers: BTreeSet<i32>,
    leaders: bool,
}

async fn answered(broker: i32, version: i16, waiting: Waiting, reply: Reply<ProduceRequest>) -> Event {
    let outcome = reply.await;
    Event::Answered(broker, version, waiting, outcome)
}

fn unanswered() -> Failure {
    let error = Error::Malformed {
        address: String::from("the leader"),
        reason: String::from("a produce response that leaves a partition out"),
    };
    Failure { error, doubtful: true }
}

impl Shared {
    /// The request for these batches, and whether all topics have ids.
    fn request(&self, sendings: &[Sending]) -> (ProduceRequest, bool) {
        let mut topic_data: Vec<TopicProduceData> = Vec::new();
        let mut with_ids = true;
        // Drained in the order of places, so that a topic's partitions stand together but for the turn of the cursor.
        for sending in sendings {
            let (topic, partition) = &sending.place;
            let data = PartitionProduceData { index: *partition, records: Some(Records::Inline(sending.bytes.clone())) };
            if let Some(known) = topic_data.iter_mut().find(|known| *known.name == **topic) {
                known.partition_data.push(data);
                continue;
            }
            let topic_id = self.cluster.topic(topic).map(|topic| topic.id).unwrap_or_default();
            with_ids &= !topic_id.is_zero();
            topic_data.push(TopicProduceData { name: Text::from(&**topic), topic_id, partition_data: vec![data] });
        }
        let timeout = self.cluster.options().connection.request_timeout;
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.options.acks.code(),
            timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
            topic_data,
        };
        (request, with_ids)
    }
}
