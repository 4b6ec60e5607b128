//! Records gathered into batches, by partition, and the rules of when each batch may leave.
//!
//! A pure machine: it is told the time, who leads what and what became of each batch, and does no I/O.
//!
//! Invariants:
//! - Records of a partition are written in the order in which they were appended. Without idempotence a partition has one
//!   batch in flight; with it up to five, the brokers' window, and after a failure none leaves before those in flight
//!   are back, and then the earliest first.
//! - A sequence number once sent stays with its batch. When one is lost for good, all sequences start anew under a new
//!   producer id, but only after every stamped batch is settled under the old one; what may have been written is never
//!   stamped anew, it fails instead.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flumen_log::batch::ProducerInfo;
use flumen_log::compression::Codec;
use flumen_log::{ProducerEpoch, ProducerId, Timestamp};
use tokio::time::Instant;

use super::batch::Batch;
use super::outcome::{Settlement, Taken};
use crate::{Error, ErrorCode, ProducerRecord};

/// Batches of one partition that an idempotent producer may have under way: what a broker remembers.
const SEQUENCE_WINDOW: usize = 5;

/// What bounds and times batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) batch_bytes: usize,
    pub(super) request_bytes: usize,
    pub(super) linger: Duration,
    pub(super) delivery_timeout: Duration,
    pub(super) retry_backoff: Duration,
    pub(super) codec: Codec,
    pub(super) level: Option<i32>,
}

/// Whose sequences batches carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Identity {
    /// None: no idempotence.
    Off,
    /// One is needed before anything new is sent.
    Wanted,
    /// This one.
    Known(ProducerId, ProducerEpoch),
    /// This one until all that carries it is settled, then another.
    Retiring(ProducerId, ProducerEpoch),
}

/// Partition of a topic.
pub(super) type Place = (Arc<str>, i32);

/// A batch that leaves.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) place: Place,
    pub(super) batch: Batch,
    pub(super) bytes: Bytes,
}

/// Why a batch was not acknowledged.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// Whether it may have been written all the same.
    pub(super) doubtful: bool,
}

/// All that waits or is under way.
#[derive(Debug)]
pub(super) struct Accumulator {
    limits: Limits,
    identity: Identity,
    queues: BTreeMap<Place, Queue>,
    /// Where the last round ended, so that no partition is always last.
    cursor: Option<Place>,
    numbers: u64,
    /// Bytes of settled batches, to be given back to the producer's memory.
    freed: usize,
    /// Why nothing can be sent at present, as far as known: no connection, no producer id.
    trouble: Option<Error>,
}

#[derive(Debug, Default)]
struct Queue {
    open: Option<Batch>,
    ready: VecDeque<Batch>,
    /// Number and fate of each batch that was sent and is not back.
    in_flight: Vec<(u64, Settlement)>,
    not_before: Option<Instant>,
    next_sequence: i32,
    /// Whether a sequence under the present id was lost: nothing stamped with it is sent again.
    broken: bool,
}

/// Where a record was put.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) settlement: Settlement,
    pub(super) index: i32,
    /// Whether the sender has something new to do or to time.
    pub(super) is_news: bool,
}

impl Accumulator {
    pub(super) fn new(limits: Limits, idempotent: bool) -> Self {
        let identity = if idempotent { Identity::Wanted } else { Identity::Off };
        Self { limits, identity, queues: BTreeMap::new(), cursor: None, numbers: 0, freed: 0, trouble: None }
    }

    /// Adds a record. `bytes` is what it takes at most, and what it holds of the producer's memory.
    pub(super) fn append(
        &mut self,
        record: &ProducerRecord,
        partition: i32,
        timestamp: i64,
        bytes: usize,
        now: Instant,
    ) -> Appended {
        let queue = self.queues.entry((Arc::clone(&record.topic), partition)).or_default();
        if queue.open.as_ref().is_some_and(|open| open.size_bytes() + bytes > self.limits.batch_bytes) {
            queue.ready.extend(queue.open.take());
        }
        let is_first = queue.open.is_none();
        let batch = queue.open.get_or_insert_with(|| {
            self.numbers += 1;
            Batch::new(self.numbers, now)
        });
        let headers: Vec<(&[u8], Option<&[u8]>)> =
            record.headers.iter().map(|header| (header.key.as_bytes(), header.value.as_deref())).collect();
        let builder = batch.builder().expect("an open batch is filling");
        builder.append(Timestamp(timestamp), record.key.as_deref(), record.value.as_deref(), &headers);
        let index = batch.record_count;
        batch.record_count += 1;
        batch.reserved += bytes;
        let settlement = batch.verdict.watch();
        let is_full = batch.size_bytes() >= self.limits.batch_bytes;
        if is_full {
            queue.ready.extend(queue.open.take());
        }
        Appended { settlement, index, is_news: is_full || is_first }
    }

    /// Ends the growth of all batches, and names all that are not settled.
    pub(super) fn flush(&mut self) -> Vec<Settlement> {
        let mut waiting = Vec::new();
        for queue in self.queues.values_mut() {
            queue.ready.extend(queue.open.take());
            waiting.extend(queue.in_flight.iter().map(|(_, settlement)| settlement.clone()));
            waiting.extend(queue.ready.iter().map(|batch| batch.verdict.watch()));
        }
        waiting
    }

    /// Whether nothing waits and nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.queues.values().all(|queue| queue.open.is_none() && queue.ready.is_empty() && queue.in_flight.is_empty())
    }

    /// The topics that something waits for.
    pub(super) fn topics(&self) -> Vec<Arc<str>> {
        let mut topics: Vec<Arc<str>> = self.queues.keys().map(|(topic, _)| Arc::clone(topic)).collect();
        topics.dedup();
        topics
    }

    /// Memory that settled batches gave back since the last call.
    pub(super) fn take_freed(&mut self) -> usize {
        std::mem::take(&mut self.freed)
    }

    /// Whether a new producer id is to be had now.
    pub(super) fn wants_identity(&self) -> bool {
        match self.identity {
            Identity::Off | Identity::Known(..) => false,
            Identity::Wanted => self.queues.values().any(|queue| queue.open.is_some() || !queue.ready.is_empty()),
            Identity::Retiring(..) => {
                self.queues.values().all(|queue| queue.in_flight.is_empty() && queue.ready.iter().all(|batch| !batch.stamped))
            }
        }
    }

    /// Notes why nothing can be sent at present: what expires meanwhile says so.
    pub(super) fn note_trouble(&mut self, trouble: Error) {
        self.trouble = Some(trouble);
    }

    /// Takes up a new producer id.
    pub(super) fn identify(&mut self, id: ProducerId, epoch: ProducerEpoch) {
        self.identity = Identity::Known(id, epoch);
        for queue in self.queues.values_mut() {
            queue.next_sequence = 0;
            queue.broken = false;
        }
    }

    /// The batches that leave now, by broker. `route` names the broker that can take something for a partition now, if any.
    pub(super) fn drain(&mut self, now: Instant, route: &mut dyn FnMut(&Place) -> Option<i32>) -> BTreeMap<i32, Vec<Sending>> {
        let mut leaving: BTreeMap<i32, (usize, Vec<Sending>)> = BTreeMap::new();
        let from = self.cursor.take().map_or(Bound::Unbounded, Bound::Excluded);
        let after: Vec<Place> = self.queues.range((from.clone(), Bound::Unbounded)).map(|(place, _)| place.clone()).collect();
        let before = match from {
            Bound::Excluded(place) => self.queues.range(..=place).map(|(place, _)| place.clone()).collect(),
            _ => Vec::new(),
        };
        for place in after.into_iter().chain(before) {
            let Some(queue) = self.queues.get_mut(&place) else { continue };
            if !queue.may_send(self.identity, &self.limits, now) {
                continue;
            }
            let Some(broker) = route(&place) else { continue };
            let (bytes, sendings) = leaving.entry(broker).or_default();
            let next_bytes = queue.ready.front().map_or(0, Batch::size_bytes);
            if *bytes > 0 && *bytes + next_bytes > self.limits.request_bytes {
                continue;
            }
            if let Some(sending) = queue.send(&place, self.identity, &self.limits, &mut self.freed) {
                *bytes += sending.bytes.len();
                sendings.push(sending);
                self.cursor = Some(place);
            }
        }
        leaving.retain(|_, (_, sendings)| !sendings.is_empty());
        leaving.into_iter().map(|(broker, (_, sendings))| (broker, sendings)).collect()
    }

    /// When there is next something to do without being told anything.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let times = self.queues.values().filter_map(|queue| {
            let oldest = queue.ready.front().or(queue.open.as_ref())?;
            let expiry = oldest.created + self.limits.delivery_timeout;
            let backoff = queue.not_before.filter(|at| *at > now);
            let linger = queue.open.as_ref().filter(|_| queue.ready.is_empty());
            let linger = linger.map(|open| open.created + self.limits.linger).filter(|at| *at > now);
            [Some(expiry), backoff, linger].into_iter().flatten().min()
        });
        times.min()
    }

    /// Gives up what has waited too long.
    pub(super) fn expire(&mut self, now: Instant) {
        let timeout = self.limits.delivery_timeout;
        let mut broken = Vec::new();
        for (place, queue) in &mut self.queues {
            if queue.ready.is_empty() && queue.open.as_ref().is_some_and(|open| open.created + timeout <= now) {
                queue.ready.extend(queue.open.take());
            }
            while let Some(batch) = queue.ready.pop_front_if(|batch| batch.created + timeout <= now) {
                let last = batch.last_error.clone().or_else(|| self.trouble.clone()).map(Box::new);
                if batch.stamped {
                    broken.push(place.clone());
                }
                self.freed += batch.reserved;
                batch.verdict.settle(Err(Error::DeliveryTimedOut { timeout, last }));
            }
        }
        for place in broken {
            self.break_sequence(&place);
        }
    }

    /// Takes up what became of a batch.
    pub(super) fn settle(&mut self, place: &Place, mut batch: Batch, outcome: Result<Taken, Failure>, now: Instant) {
        let Entry::Occupied(mut entry) = self.queues.entry(place.clone()) else { return };
        let queue = entry.get_mut();
        queue.in_flight.retain(|(number, _)| *number != batch.number);
        let failure = match outcome {
            Ok(taken) => {
                self.freed += batch.reserved;
                self.trouble = None;
                return batch.verdict.settle(Ok(taken));
            }
            Err(failure) => failure,
        };
        batch.attempts += 1;
        batch.doubtful |= failure.doubtful;
        batch.last_error = Some(failure.error.clone());
        let expired = batch.created + self.limits.delivery_timeout <= now;
        let is_out_of_sequence = batch.stamped && is_sequence_error(&failure.error);
        let may_retry = !expired && (is_out_of_sequence || failure.error.is_retriable());
        // With nothing before it that could still be written, a sequence error is final: the gap will never be filled.
        let breaks = is_out_of_sequence && queue.is_earliest(&batch);
        if may_retry && !breaks && !(queue.broken && batch.stamped) {
            queue.not_before = Some(now + self.limits.retry_backoff);
            return queue.requeue(batch);
        }
        let was_stamped = batch.stamped;
        if may_retry && !batch.doubtful {
            // It was not written, and so may go under another sequence.
            batch.unstamp();
            queue.requeue(batch);
        } else {
            self.freed += batch.reserved;
            batch.verdict.settle(Err(match failure.error {
                error if expired && error.is_retriable() => {
                    Error::DeliveryTimedOut { timeout: self.limits.delivery_timeout, last: Some(Box::new(error)) }
                }
                error => error,
            }));
        }
        if was_stamped {
            self.break_sequence(place);
        }
    }

    /// A sequence number of this partition is lost for good: what is stamped behind it cannot be written as it is.
    fn break_sequence(&mut self, place: &Place) {
        if let Identity::Known(id, epoch) = self.identity {
            self.identity = Identity::Retiring(id, epoch);
        }
        let Some(queue) = self.queues.get_mut(place) else { return };
        queue.broken = true;
        for mut batch in std::mem::take(&mut queue.ready) {
            if batch.stamped && batch.doubtful {
                // Under a new sequence it might be written twice.
                let error = batch.last_error.take().unwrap_or(Error::Closed);
                self.freed += batch.reserved;
                batch.verdict.settle(Err(error));
                continue;
            }
            batch.unstamp();
            queue.ready.push_back(batch);
        }
    }

    /// Fails all that waits, for a reason that will not go away.
    pub(super) fn fail_all(&mut self, error: &Error) {
        for queue in self.queues.values_mut() {
            for batch in queue.ready.drain(..).chain(queue.open.take()) {
                self.freed += batch.reserved;
                batch.verdict.settle(Err(error.clone()));
            }
        }
    }
}

/// Errors that speak of a producer's state at the broker, not of the batch.
fn is_sequence_error(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(
            ErrorCode::OutOfOrderSequenceNumber
                | ErrorCode::UnknownProducerId
                | ErrorCode::InvalidProducerEpoch
                | ErrorCode::InvalidProducerIdMapping
                | ErrorCode::ProducerFenced
        )
    )
}

impl Queue {
    fn may_send(&mut self, identity: Identity, limits: &Limits, now: Instant) -> bool {
        if self.ready.is_empty() && self.open.as_ref().is_some_and(|open| open.created + limits.linger <= now) {
            self.ready.extend(self.open.take());
        }
        let Some(front) = self.ready.front() else { return false };
        if self.not_before.is_some_and(|at| at > now) {
            return false;
        }
        match identity {
            Identity::Off => self.in_flight.is_empty(),
            _ if front.attempts > 0 && !self.in_flight.is_empty() => false,
            Identity::Wanted => false,
            Identity::Known(..) => self.in_flight.len() < SEQUENCE_WINDOW,
            Identity::Retiring(..) => front.stamped && self.in_flight.len() < SEQUENCE_WINDOW,
        }
    }

    fn send(&mut self, place: &Place, identity: Identity, limits: &Limits, freed: &mut usize) -> Option<Sending> {
        let mut batch = self.ready.pop_front()?;
        let producer = match identity {
            Identity::Known(id, epoch) | Identity::Retiring(id, epoch) => {
                ProducerInfo { id, epoch, base_sequence: self.next_sequence, is_transactional: false }
            }
            Identity::Off | Identity::Wanted => ProducerInfo::NONE,
        };
        let was_stamped = batch.stamped;
        let bytes = match batch.encode(limits.codec, limits.level, producer) {
            Ok(bytes) => bytes,
            Err(problem) => {
                *freed += batch.reserved;
                batch.verdict.settle(Err(problem));
                return None;
            }
        };
        if batch.stamped && !was_stamped {
            // Sequences go round from the largest number to zero.
            self.next_sequence = self.next_sequence.wrapping_add(batch.record_count) & i32::MAX;
        }
        self.in_flight.push((batch.number, batch.verdict.watch()));
        self.not_before = None;
        Some(Sending { place: place.clone(), batch, bytes })
    }

    /// Whether nothing that was sent before the batch is still unsettled.
    fn is_earliest(&self, batch: &Batch) -> bool {
        let waits = self.ready.iter().any(|earlier| earlier.stamped && earlier.number < batch.number);
        !waits && self.in_flight.iter().all(|(number, _)| *number > batch.number)
    }

    /// Puts a batch back in its place.
    fn requeue(&mut self, batch: Batch) {
        let at = self.ready.iter().position(|waiting| waiting.number > batch.number).unwrap_or(self.ready.len());
        self.ready.insert(at, batch);
    }
}

#[cfg(test)]
#[path = "accumulator_tests.rs"]
mod tests;
