//! What a seed's run is made of: each draws its own subset of faults, their intensities, and its own mix of work.
//!
//! A run in which everything fails learns as little as one in which nothing does; so most faults are off in most runs, and what
//! is on differs.

use crate::disk::{Faults, Rates};
use crate::random::Random;

/// Steps of a life.
const STEPS_LEAST: u64 = 140;
const STEPS_SPAN: u64 = 260;

/// What is done, and how often against the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mix {
    pub(super) append: u64,
    pub(super) turn: u64,
    pub(super) complete: u64,
    pub(super) tick: u64,
    pub(super) shorten: u64,
    pub(super) remove: u64,
    pub(super) switch: u64,
    pub(super) read: u64,
    pub(super) roll_space: u64,
    pub(super) truncate: u64,
}

/// A run's settings.
#[derive(Clone, Debug)]
pub(super) struct Swarm {
    pub(super) lives: u64,
    pub(super) steps: u64,
    pub(super) partitions: u64,
    pub(super) shards_most: u64,
    pub(super) journal_file_bytes: u64,
    pub(super) journal_files: u64,
    pub(super) open_files: usize,
    pub(super) batch_bytes: usize,
    pub(super) producers: u64,
    pub(super) mix: Mix,
    pub(super) faults: Faults,
    /// Of ten ends of a life, so many are power failures, and so many clean stops.
    pub(super) power: u64,
    pub(super) stops: u64,
    /// A recovery is cut off by a power failure, or refused something, once in so many; zero is never.
    pub(super) cut: u64,
    pub(super) refuse: u64,
    /// Something rots between two lives, once in so many.
    pub(super) rot: u64,
    /// A topic outside the journal, once in so many partitions.
    pub(super) replicated: u64,
}

impl Swarm {
    pub(super) fn draw(random: &mut Random) -> Self {
        let mut swarm = Self::draw_all_but_reads(random);
        // Aside, so that what follows in seeds that once found something stays as it was.
        let mut aside = random.clone();
        let rates = &mut swarm.faults.rates;
        rates.read_error = pick(&mut aside, &[0, 0, 30, 200]);
        rates.stale_read = pick(&mut aside, &[0, 0, 0, 60, 400]);
        rates.misdirected_read = pick(&mut aside, &[0, 0, 0, 60, 400]);
        swarm
    }

    fn draw_all_but_reads(random: &mut Random) -> Self {
        Self {
            lives: 2 + random.below(4),
            steps: STEPS_LEAST + random.below(STEPS_SPAN),
            partitions: 1 + random.below(5),
            shards_most: 1 + random.below(3),
            journal_file_bytes: 4096 * (8 + random.below(24)),
            journal_files: 2 + random.below(4),
            open_files: 2 + random.index(6),
            batch_bytes: if random.one_in(3) { 3000 } else { 600 },
            producers: 1 + random.below(3),
            mix: Mix::draw(random),
            faults: draw_faults(random),
            power: 2 + random.below(8),
            stops: random.below(4),
            cut: pick(random, &[0, 2, 4]),
            refuse: pick(random, &[0, 0, 3]),
            rot: pick(random, &[0, 1, 2]),
            replicated: pick(random, &[0, 2, 4]),
        }
    }
}

impl Swarm {
    /// Let lives end by deaths that leave writes behind, power failures among them that show what these did, and let there be enough of them.
    pub(super) const fn leave_writes_behind(&mut self) {
        self.lives = 12;
        (self.power, self.stops) = (4, 0);
        (self.faults.late_writes, self.faults.refuses_direct) = (true, false);
        self.faults.rates.stall = 2;
    }
}

impl Mix {
    fn draw(random: &mut Random) -> Self {
        Self {
            append: 4 + random.below(12),
            turn: 2 + random.below(6),
            complete: 2 + random.below(14),
            tick: 1,
            shorten: random.below(2),
            remove: u64::from(random.one_in(3)),
            switch: u64::from(random.one_in(2)),
            read: 1,
            roll_space: u64::from(random.one_in(4)),
            truncate: u64::from(random.one_in(2)),
        }
    }
}

fn draw_faults(random: &mut Random) -> Faults {
    let quiet = random.one_in(4);
    let mut rate = |of: &[u64]| {
        let drawn = pick(random, of);
        if quiet { 0 } else { drawn }
    };
    let rates = Rates {
        short_write: rate(&[0, 0, 2, 8]),
        // Drawn elsewhere.
        read_error: 0,
        write_error: rate(&[0, 0, 0, 300, 1000]),
        sync_error: rate(&[0, 0, 15, 60, 200]),
        no_space_at_write: rate(&[0, 0, 0, 300, 1000]),
        no_space_at_sync: rate(&[0, 0, 0, 60, 200]),
        stall: rate(&[0, 0, 5, 30]),
        stale_read: 0,
        misdirected_read: 0,
    };
    let refuses_direct = random.one_in(4);
    Faults { refuses_direct, rates, late_writes: random.one_in(2), ..Faults::default() }
}

fn pick(random: &mut Random, of: &[u64]) -> u64 {
    of.get(random.index(of.len())).copied().unwrap_or_default()
}
