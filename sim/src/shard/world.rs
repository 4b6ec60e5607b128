//! One run: who may do something next is drawn by lot, and time passes in between.

use alloc::{format, vec::Vec};
use flumen_log::{Monotonic, Now, Timestamp};

use super::{
    Control as Sabotage, Verdict, Work,
    client::{Admin, Client, Consumer, Context, Producer, Role},
    clock::Clock,
    control::MetadataLog,
    ledger::Ledger,
    network::{Ending, Network},
    process::{Around, Process},
    swarm::Swarm,
    trace::Trace,
};
use crate::{disk::SimDisk, random::Random};

/// After so many draws that found nothing to do, time jumps to the next deadline.
const IDLE_DRAWS: u32 = 40;
/// How far time jumps at most.
const JUMP_MS: u64 = 250;
/// How long a step takes at most, in nanoseconds.
const STEP_NANOSECONDS: u64 = 120_000;
/// What time it is when a run begins.
const BEGINNING: Timestamp = Timestamp(1_700_000_000_000);
/// How many steps a disk is full, at most.
const FULL_STEPS: u64 = 3000;
/// How many steps a stalled connection stands still.
const STALL_STEPS: u64 = 400;

/// Everything there is.
pub(super) struct World<'a> {
    pub(super) random: Random,
    pub(super) swarm: Swarm,
    pub(super) sabotage: Sabotage,
    pub(super) disk: SimDisk,
    /// As the broker's clocks show it.
    pub(super) now: Now,
    pub(super) clock: Clock,
    pub(super) process: Option<Process>,
    pub(super) metadata: MetadataLog,
    /// The metadata that a start was kept from.
    pub(super) kept_metadata: Option<MetadataLog>,
    pub(super) network: Network,
    pub(super) clients: Vec<Client>,
    pub(super) ledger: Ledger,
    pub(super) work: Work,
    pub(super) trace: Trace<'a>,
    pub(super) journal_id: u64,
    pub(super) boot: u64,
    pub(super) expects_clean: bool,
    /// Syncs that had failed when this life began.
    pub(super) failed_syncs: u64,
    /// The liveness phase.
    pub(super) settling: bool,
    idle: u32,
    steps: u64,
    /// Until when the disk is full.
    full_until: u64,
    /// A wire that stands still, and until when.
    stalled: (u64, u64),
}

impl<'a> World<'a> {
    pub(super) fn new(seed: u64, sabotage: Sabotage, lines: Option<&'a mut dyn FnMut(&str)>) -> Self {
        let mut random = Random::new(seed);
        let swarm = Swarm::draw(&mut random);
        let roles = roles(&swarm, &mut random);
        Self::with(random, swarm, roles, sabotage, lines)
    }

    /// A world of this kind, with these clients.
    pub(super) fn with(
        mut random: Random,
        swarm: Swarm,
        roles: Vec<Role>,
        sabotage: Sabotage,
        lines: Option<&'a mut dyn FnMut(&str)>,
    ) -> Self {
        let mut disk = SimDisk::new();
        disk.faults.refuses_direct = random.one_in(4) || sabotage == Sabotage::LyingDisk;
        disk.faults.rates.short_write = if random.one_in(2) { 8 } else { 0 };
        disk.faults.rates.stall = if random.one_in(3) { 10 } else { 0 };
        disk.faults.rates.sync_error = swarm.sync_error_one_in;
        disk.faults.rates.write_error = swarm.write_error_one_in;
        disk.seed(random.next());
        let mut trace = Trace::new(lines);
        trace.note(&[0], format_args!("{swarm:#?}"));
        Self {
            sabotage,
            disk,
            now: Now { monotonic: Monotonic(1), wall: BEGINNING },
            clock: Clock::new(BEGINNING),
            process: None,
            metadata: MetadataLog::default(),
            kept_metadata: None,
            network: Network::new(swarm.weather),
            clients: (0..).zip(roles).map(|(number, role)| Client::new(number, role)).collect(),
            ledger: Ledger::new(swarm.fills_disk()),
            work: Work::default(),
            trace,
            journal_id: 0,
            boot: 0,
            expects_clean: false,
            failed_syncs: 0,
            settling: false,
            idle: 0,
            steps: 0,
            full_until: 0,
            stalled: (0, 0),
            random,
            swarm,
        }
    }

    pub(super) fn run(mut self) -> Verdict {
        for life in 0..self.swarm.lives {
            self.start();
            for _ in 0..self.swarm.steps_per_life {
                if self.is_over() {
                    break;
                }
                self.step();
            }
            if self.is_over() {
                break;
            }
            if life + 1 == self.swarm.lives && life > 0 && self.may_heal_alive() {
                break;
            }
            // The first life always ends badly: a run without a crash does not count.
            if life > 0 && self.random.one_in(self.swarm.stop_one_in) {
                self.stop();
            } else {
                self.crash();
            }
        }
        if !self.is_over() {
            self.finish();
        }
        self.work.acked_records = self.ledger.acked_records();
        self.work.starts_retained = self.ledger.starts_retained;
        self.work.events = self.trace.steps();
        let (faults, trace) = (self.disk.faults.counts, self.trace.hash());
        Verdict { violations: self.ledger.violations, work: self.work, faults, trace }
    }

    /// Whether this process can do all that is asked of it once nothing fails any more.
    fn may_heal_alive(&self) -> bool {
        let lost = self.process.as_ref().is_none_or(Process::has_lost_storage);
        self.swarm.heals_alive && !self.ledger.storage_failed && !lost && self.remembers()
    }

    /// Whether enough has gone wrong.
    pub(super) fn is_over(&self) -> bool {
        !self.ledger.violations.is_empty()
    }

    /// One of those who can do something does.
    pub(super) fn step(&mut self) {
        self.steps += 1;
        let passed = self.random.below(STEP_NANOSECONDS);
        self.advance(passed);
        let disk_until = 35 + self.swarm.disk_weight;
        let draw = self.random.below(100);
        let busy = if draw < 35 {
            self.turn()
        } else if draw < disk_until {
            self.complete()
        } else if draw < disk_until + 18 {
            self.move_bytes()
        } else if draw < 95 {
            self.client()
        } else {
            self.control()
        };
        self.misfortune();
        self.idle = if busy { 0 } else { self.idle + 1 };
        if self.idle > IDLE_DRAWS {
            self.idle = 0;
            self.jump();
        }
    }

    fn advance(&mut self, nanoseconds: u64) {
        let before = self.now.monotonic.0 / 1_000_000;
        self.now.monotonic.0 += nanoseconds;
        let passed = i64::try_from(self.now.monotonic.0 / 1_000_000 - before).unwrap_or_default();
        self.now.wall.0 += passed;
        self.clock.passed(passed, self.now.wall);
        self.ledger.believed = self.clock.believed();
    }

    /// Nothing happens until somebody's time has come.
    fn jump(&mut self) {
        let now = self.now.monotonic;
        let of_shards = self.process.as_ref().and_then(Process::next_deadline);
        let of_clients = self.clients.iter().map(Client::next_deadline).min();
        let next = [of_shards, of_clients].into_iter().flatten().filter(|at| *at > now).min();
        let until = next.map_or_else(|| now.after_ms(1), |at| at.min(now.after_ms(JUMP_MS)));
        self.advance(until.0.saturating_sub(now.0));
    }

    fn turn(&mut self) -> bool {
        let Some(process) = &mut self.process else { return false };
        let ready = process.ready(self.now.monotonic);
        if ready.is_empty() {
            return false;
        }
        let shard = ready[self.random.index(ready.len())];
        let mut around = Around {
            disk: &mut self.disk,
            network: &mut self.network,
            random: &mut self.random,
            trace: &mut self.trace,
            now: self.now,
            lies: self.sabotage == Sabotage::LyingDisk,
        };
        if let Err(text) = process.turn(shard, &mut around) {
            self.ledger.violation(text);
        }
        if let Some(seat) = process.seats.get(shard) {
            for audit in seat.shard.partitions() {
                self.ledger.audit(&audit);
            }
        }
        true
    }

    fn complete(&mut self) -> bool {
        let Some(process) = &mut self.process else { return false };
        let Some(completion) = self.disk.step(&mut self.random) else { return false };
        if let Err(error) = completion.result {
            self.trace.note(&[9], format_args!("           an operation failed: {error}"));
        }
        process.completed(completion);
        true
    }

    fn move_bytes(&mut self) -> bool {
        let Some(process) = &mut self.process else { return false };
        let open = self.network.open();
        if open.is_empty() {
            return false;
        }
        let wire = open[self.random.index(open.len())];
        if self.stalled.0 == wire && self.steps < self.stalled.1 {
            return false;
        }
        let Some((shard, events)) = self.network.step(wire, &self.disk, &mut self.random) else { return false };
        if let Some(seat) = process.seats.get_mut(shard) {
            seat.events.extend(events);
        }
        true
    }

    fn client(&mut self) -> bool {
        let now = self.now.monotonic;
        let ready = |client: &Client| client.is_ready(now, &self.network);
        let ready: Vec<usize> = (0..self.clients.len()).filter(|index| ready(&self.clients[*index])).collect();
        if ready.is_empty() {
            return false;
        }
        let index = ready[self.random.index(ready.len())];
        if self.clients[index].is_connected() {
            return self.with_client(index, |client, network, context| client.step(network, context));
        }
        let remembers = self.remembers();
        let Some(process) = self.process.as_mut().filter(|process| process.accepts() && remembers) else { return false };
        let shard = self.random.index(process.seats.len());
        let (wire, event) = self.network.connect(shard);
        process.seats[shard].events.push_back(event);
        self.clients[index].connected(wire);
        self.trace.note(&[10, wire, shard as u64], format_args!("           client {index} connects to shard {shard}: {wire}"));
        true
    }

    /// Let something be done with a client.
    pub(super) fn with_client<T>(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Client, &mut Network, &mut Context<'_, 'a>) -> T,
    ) -> T {
        let mut context = Context {
            now: Now { wall: self.clock.right(self.now.wall), ..self.now },
            random: &mut self.random,
            ledger: &mut self.ledger,
            work: &mut self.work,
            swarm: &self.swarm,
            trace: &mut self.trace,
            settling: self.settling,
        };
        act(&mut self.clients[index], &mut self.network, &mut context)
    }

    fn control(&mut self) -> bool {
        let Some(process) = &mut self.process else { return false };
        let stepped = process.control_step(&mut self.trace);
        self.ledger.could_not_make(core::mem::take(&mut process.control.not_made));
        if process.storage_failed && !core::mem::replace(&mut self.ledger.storage_failed, true) {
            self.work.storage_failures += 1;
            self.trace.note(&[11], format_args!("           the log directory has failed"));
            // A stop does not wait for room, not even for news of it.
            let gave_up = self.swarm.fills_disk() && process.is_stopping();
            if !self.swarm.disk_fails() && !gave_up {
                self.ledger.violation("the log directory failed, and the disk did not".into());
            }
        }
        match stepped {
            Ok(worked) => worked,
            Err(text) => {
                self.ledger.violation(text);
                true
            }
        }
    }

    /// Connections end, or stand still; clocks are set; the disk fills up.
    fn misfortune(&mut self) {
        // Before it is open a broker has perhaps not looked at the clock: it would believe anything.
        let keeps_time = self.process.as_ref().is_some_and(Process::accepts);
        if self.swarm.clock_one_in > 0 && keeps_time && self.random.one_in(self.swarm.clock_one_in) {
            self.now.wall = self.clock.set(self.now.wall, &mut self.random);
            self.work.clock_sets += 1;
            let wall = self.now.wall;
            self.trace.note(&[12, wall.0.unsigned_abs()], format_args!("           somebody sets the clock to {wall}"));
        }
        if self.disk.faults.full && self.steps >= self.full_until {
            self.disk.faults.full = false;
            self.trace.note(&[13, 0], format_args!("           there is room on the disk again"));
        } else if self.swarm.fill_one_in > 0 && !self.disk.faults.full && self.random.one_in(self.swarm.fill_one_in) {
            self.disk.faults.full = true;
            self.full_until = self.steps + self.random.below(FULL_STEPS);
            self.work.fills += 1;
            self.trace.note(&[13, 1], format_args!("           the disk is full"));
        }
        if self.swarm.reset_one_in > 0 && self.random.one_in(self.swarm.reset_one_in) {
            let index = self.random.index(self.clients.len());
            let ending = [Ending::Close, Ending::Reset, Ending::Vanish][self.random.index(3)];
            self.with_client(index, |client, network, context| client.disconnect(network, ending, context));
        }
        if self.swarm.stall_one_in > 0 && self.random.one_in(self.swarm.stall_one_in) {
            let open = self.network.open();
            if !open.is_empty() {
                self.stalled = (open[self.random.index(open.len())], self.steps + STALL_STEPS);
            }
        }
    }
}

/// The clients of a seed.
fn roles(swarm: &Swarm, random: &mut Random) -> Vec<Role> {
    let mut roles = Vec::from([Role::Admin(Admin::default())]);
    for _ in 0..swarm.producers {
        let idempotent = random.one_in(swarm.idempotent_one_in);
        roles.push(Role::Producer(Producer::new(idempotent)));
    }
    for number in 0..swarm.consumers {
        let version = if swarm.reuses_names { 13 } else { 4 + i16::try_from(random.below(15)).unwrap_or_default() };
        roles.push(Role::Consumer(Consumer::new(format!("group{number}"), version)));
    }
    roles
}
