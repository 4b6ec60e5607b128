//! Turns that took too long: counted, the worst kept, each reported to whoever asked.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use flumen_log::ShardId;

/// A part of a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Taking mail in and letting the machine handle it.
    Mail,
    /// Completions, and what the machine made of them.
    Completions,
    /// The machine's deadlines and end of turn.
    EndTurn,
    /// Carrying out effects: sends, inline writes, operations queued.
    Effects,
    /// Handing operations to the kernel.
    Submit,
}

/// One turn that took too long.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    /// Where.
    pub shard: ShardId,
    /// The whole turn.
    pub turn: Duration,
    /// The step that took longest.
    pub step: Step,
    /// How long that one took.
    pub step_time: Duration,
}

impl fmt::Display for Stall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "shard {}: a turn took {:.1?}, of which {:.1?} in {:?}",
            self.shard, self.turn, self.step_time, self.step
        )
    }
}

/// Counters that any thread may read.
#[derive(Debug, Default)]
pub struct Stalls {
    count: AtomicU64,
    worst_ns: AtomicU64,
    turns: AtomicU64,
    cold_chunks: AtomicU64,
}

impl Stalls {
    /// Turns over the threshold.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The longest turn so far, whether over the threshold or not.
    #[must_use]
    pub fn worst(&self) -> Duration {
        Duration::from_nanos(self.worst_ns.load(Ordering::Relaxed))
    }

    /// Chunks of segments that were not in the page cache and were read in through the ring: stalls that were avoided.
    #[must_use]
    pub fn cold_chunks(&self) -> u64 {
        self.cold_chunks.load(Ordering::Relaxed)
    }

    pub(crate) fn count_cold_chunk(&self) {
        self.cold_chunks.fetch_add(1, Ordering::Relaxed);
    }

    /// All turns.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }
}

/// What is told of a stall.
pub type StallReport = Box<dyn FnMut(Stall)>;

/// Times the steps of one turn after the other.
pub(crate) struct Detector {
    shard: ShardId,
    threshold_ns: u64,
    report: Option<StallReport>,
    stalls: std::sync::Arc<Stalls>,
    started_ns: u64,
    mark_ns: u64,
    longest: (Step, u64),
}

impl Detector {
    pub(crate) fn new(shard: ShardId, threshold: Duration) -> Self {
        Self {
            shard,
            threshold_ns: u64::try_from(threshold.as_nanos()).unwrap_or(u64::MAX),
            report: None,
            stalls: std::sync::Arc::default(),
            started_ns: 0,
            mark_ns: 0,
            longest: (Step::Mail, 0),
        }
    }

    pub(crate) fn on_stall(&mut self, report: StallReport) {
        self.report = Some(report);
    }

    pub(crate) fn stalls(&self) -> std::sync::Arc<Stalls> {
        std::sync::Arc::clone(&self.stalls)
    }

    /// A turn begins.
    pub(crate) fn begin(&mut self, now_ns: u64) {
        (self.started_ns, self.mark_ns, self.longest) = (now_ns, now_ns, (Step::Mail, 0));
    }

    /// A step ends.
    pub(crate) fn mark(&mut self, step: Step, now_ns: u64) {
        let took_ns = now_ns.saturating_sub(self.mark_ns);
        self.mark_ns = now_ns;
        if took_ns > self.longest.1 {
            self.longest = (step, took_ns);
        }
    }

    /// The turn ends with its last step.
    pub(crate) fn end(&mut self) {
        let took_ns = self.mark_ns.saturating_sub(self.started_ns);
        let stalls = &self.stalls;
        // This thread alone writes, so a plain load and store will do.
        stalls.turns.store(stalls.turns.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        if took_ns > stalls.worst_ns.load(Ordering::Relaxed) {
            stalls.worst_ns.store(took_ns, Ordering::Relaxed);
        }
        if took_ns > self.threshold_ns {
            stalls.count.store(stalls.count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            if let Some(report) = &mut self.report {
                report(Stall {
                    shard: self.shard,
                    turn: Duration::from_nanos(took_ns),
                    step: self.longest.0,
                    step_time: Duration::from_nanos(self.longest.1),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Detector, Step};
    use flumen_log::ShardId;
    use std::{cell::RefCell, rc::Rc, time::Duration};

    #[test]
    fn only_long_turns_are_reported_with_their_longest_step() {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let mut detector = Detector::new(ShardId(3), Duration::from_millis(5));
        let sink = Rc::clone(&seen);
        detector.on_stall(Box::new(move |stall| sink.borrow_mut().push(stall)));
        detector.begin(0);
        detector.mark(Step::Mail, 1_000_000);
        detector.mark(Step::Submit, 5_000_000);
        detector.end();
        detector.begin(10_000_000);
        detector.mark(Step::Completions, 14_000_000);
        detector.mark(Step::Effects, 16_000_000);
        detector.end();
        let stalls = detector.stalls();
        assert_eq!((stalls.turns(), stalls.count(), stalls.worst()), (2, 1, Duration::from_millis(6)));
        assert_eq!(seen.borrow().len(), 1);
        assert_eq!((seen.borrow()[0].step, seen.borrow()[0].step_time), (Step::Completions, Duration::from_millis(4)));
    }
}
