//! Producers at work in the background, until they are told to stop, refused, or left without a broker.

use super::load::{Ledger, Worker};
use crate::broker::Broker;
use crate::tally::Outcome;
use flumen_protocol::ErrorCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What a producer tries again: the disk is full, or so full that what was taken cannot be finished yet.
pub(super) fn is_retriable(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::KafkaStorageError | ErrorCode::RequestTimedOut)
}

/// Batches acknowledged, and of these those that must be there whatever comes.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) acknowledged: AtomicUsize,
    pub(super) promised: AtomicUsize,
}

/// Producers at work in the background.
pub(crate) struct Shift {
    threads: Vec<std::thread::JoinHandle<(Worker, Option<Refusal>)>>,
    counts: Arc<Counts>,
    refused: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

/// An error that a producer was answered.
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(super) what: String,
}

impl Shift {
    pub(crate) fn begin(address: &str, workers: Vec<Worker>) -> Self {
        let (counts, refused, stop) = (Arc::<Counts>::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let start = |mut worker: Worker| {
            let (address, counts, refused) = (address.to_owned(), Arc::clone(&counts), Arc::clone(&refused));
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let refusal = worker.work(&address, &counts, &stop);
                if refusal.is_some() {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
                (worker, refusal)
            })
        };
        let threads = workers.into_iter().map(start).collect();
        Self { threads, counts, refused, stop }
    }

    /// Batches acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.counts.acknowledged.load(Ordering::Relaxed)
    }

    /// Those of them that must be there whatever comes.
    fn promised(&self) -> usize {
        self.counts.promised.load(Ordering::Relaxed)
    }

    /// Producers that were refused and have stopped.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// The end: what every producer did goes into the ledger. The refusals.
    pub(crate) fn end(self, ledger: &mut Ledger) -> Outcome<Vec<Refusal>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut refusals = Vec::new();
        for thread in self.threads {
            let (worker, refusal) = thread.join().map_err(|_| "a producer panicked")?;
            ledger.return_from_work(worker)?;
            refusals.extend(refusal);
        }
        Ok(refusals)
    }
}

impl Refusal {
    /// Whether a client would try again.
    pub(crate) fn is_retriable(&self) -> bool {
        is_retriable(self.code)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {:?}", self.what, self.code)
    }
}

/// Lets the workers work, and ends the broker so much time after so many batches were acknowledged for good. The refusals.
pub(crate) fn work_and_end(
    mut broker: Broker,
    workers: Vec<Worker>,
    (batches, delay): (usize, Duration),
    ledger: &mut Ledger,
    end: impl FnOnce(Broker) -> Outcome<()>,
) -> Outcome<Vec<Refusal>> {
    let shift = Shift::begin(&broker.address, workers);
    let deadline = Instant::now() + Duration::from_secs(30);
    while shift.promised() < batches && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(delay);
    if !broker.is_running()? {
        return Err(format!("the broker ended by itself:\n{}", broker.said()?).into());
    }
    end(broker)?;
    shift.end(ledger)
}
