//! A whole shard as one machine: its connections, the partitions it owns, and the mail between it and the others.
//!
//! Everything that happens comes in through [`Machine::handle`]; everything it wants leaves as effects. Mail to itself takes
//! the same way as mail to another shard, through a queue that is emptied before `handle` returns.
//!
//! Invariants: a request that started has exactly one result; a credit taken is given back once; what is charged to the
//! budget is released once.

mod audit;
mod credits;
mod damage;
mod describing;
mod directories;
mod dispatch;
#[cfg(control_early_ack)]
mod early;
mod fairness;
mod post;
mod proposals;
mod settings;
mod stop;
#[cfg(test)]
mod tests;
mod timers;
mod traffic;

use alloc::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    vec::Vec,
};
use flumen_log::{
    Monotonic, Now, Offset,
    io::{Completion, ConnectionId, Effects, Event, Machine, Owner, Thread},
    recovery::ShardRecovery,
    store::{LookupId, Output},
};

use crate::{
    connection::{Budget, Connection},
    fetch::{Collecting, FetchKey, Purgatory, Sessions},
    hash::Map,
    mail::{Mail, Ticket},
    metadata::{Metadata, Random},
    offsets::Coordinators,
    partition::Partitions,
    produce::Appends,
    producer_ids::ProducerIds,
    query::Questions,
};
pub use audit::{Holdings, PartitionAudit};
pub(crate) use credits::{Class, Credits};
use directories::Directories;
pub(crate) use directories::Place;
pub(crate) use dispatch::{Return, Running, RunningRequest};
pub use settings::{OffsetSettings, Settings};
pub(crate) use timers::{Timer, Timers};

/// Whose file operations are the coordinators', which read their partitions at start. All others are the stores', whose owners are
/// the numbers of their log directories, which are far fewer.
pub(crate) const COORDINATORS: Owner = Owner(u16::MAX as u32);

/// The turn that is being taken.
pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    pub(crate) effects: &'a mut Effects<Mail>,
}

/// Who waits for a lookup of the store.
#[derive(Debug)]
pub(crate) enum LookupFor {
    Fetch(FetchKey),
    Question { group: u64, index: u32 },
    Replay { partition: flumen_log::TopicPartition },
}

/// One core's brain.
#[derive(Debug)]
pub struct Shard {
    pub(crate) settings: Arc<Settings>,
    pub(crate) connections: Map<ConnectionId, Connection>,
    pub(crate) budget: Budget,
    pub(crate) credits: Credits,
    pub(crate) proposals: proposals::Proposals,
    /// Connections whose next request found no credit.
    pub(crate) uncredited: BTreeSet<ConnectionId>,
    /// Work of this turn that is neither Produce nor Fetch.
    pub(crate) fairness: fairness::Fairness,
    /// Connections whose next request waits until replies have left.
    pub(crate) overdrawn: BTreeSet<ConnectionId>,
    /// Connections with something to do: a reply to send, a request to start, bytes to read.
    pub(crate) busy: VecDeque<ConnectionId>,
    pub(crate) running: Map<Ticket, RunningRequest>,
    describing: Map<ConnectionId, describing::Describing>,
    pub(crate) local: VecDeque<Mail>,
    pub(crate) timers: Timers,
    pub(crate) metadata: Metadata,
    pub(crate) sessions: Sessions,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) directories: Directories,
    pub(crate) partitions: Partitions,
    pub(crate) appends: Appends,
    pub(crate) purgatory: Purgatory,
    pub(crate) collecting: Map<FetchKey, Collecting>,
    pub(crate) questions: Questions,
    /// A lookup is named within its log directory.
    pub(crate) lookups: Map<(u32, LookupId), LookupFor>,
    pub(crate) coordinators: Coordinators,
    pub(crate) stopping: stop::Stopping,
    damages: damage::Damages,
    drained_peers: stop::DrainedPeers,
    #[cfg(control_early_ack)]
    held_writes: early::HeldWrites,
}

impl Shard {
    /// A shard over what recovery found in each of its log directories. It knows no topic until the first [`Mail::Image`].
    #[must_use]
    pub fn new(settings: Settings, recovered: Vec<ShardRecovery>) -> Self {
        let settings = Arc::new(settings);
        let limits = &settings.limits;
        let steady_wall = recovered.first().map(ShardRecovery::steady_wall).unwrap_or_default();
        Self {
            connections: Map::default(),
            budget: Budget::new(limits.in_flight_bytes),
            credits: Credits::new(settings.shard, settings.shards, limits),
            proposals: proposals::Proposals::new(limits.control_credits),
            uncredited: BTreeSet::new(),
            fairness: fairness::Fairness::default(),
            overdrawn: BTreeSet::new(),
            busy: VecDeque::new(),
            running: Map::default(),
            describing: Map::default(),
            local: VecDeque::new(),
            timers: Timers::default(),
            metadata: Metadata::new(&settings),
            sessions: Sessions::new(limits.fetch_sessions, limits.fetch_session_partitions, Random::seeded(!settings.seed)),
            producer_ids: ProducerIds::default(),
            directories: Directories::new(&settings.store, recovered),
            partitions: Partitions::default(),
            appends: Appends::default(),
            purgatory: Purgatory::default(),
            collecting: Map::default(),
            questions: Questions::default(),
            lookups: Map::default(),
            coordinators: Coordinators { steady_wall, ..Coordinators::default() },
            stopping: stop::Stopping::No,
            damages: damage::Damages::default(),
            drained_peers: stop::DrainedPeers::new(),
            #[cfg(control_early_ack)]
            held_writes: early::HeldWrites::default(),
            settings,
        }
    }

    /// Bytes of requests and replies in flight.
    #[must_use]
    pub const fn in_flight_bytes(&self) -> usize {
        self.budget.used()
    }

    fn completed(&mut self, turn: &mut Turn<'_>, completion: Completion) {
        if completion.id.owner == COORDINATORS {
            self.coordinator_read(turn, completion);
        } else {
            self.directories.complete(completion, turn.now, &mut turn.effects.files);
        }
    }

    fn timer(&mut self, turn: &mut Turn<'_>, timer: Timer) {
        match timer {
            Timer::Connection(id) => self.connection_deadline(turn, id),
            Timer::Fetch(ticket) => self.fetch_deadline(turn, ticket),
            Timer::Append(group) => self.append_deadline(turn, group),
            Timer::Questions(group) => self.questions_deadline(turn, group),
            Timer::Decision(ticket) => self.decision_late(ticket),
            Timer::OffsetExpiry => self.expire_offsets(turn),
            Timer::Drain => self.drained_enough(turn),
        }
    }

    /// Follow everything up that this event set off within the shard.
    fn settle(&mut self, turn: &mut Turn<'_>) {
        loop {
            if let Some(mail) = self.local.pop_front() {
                self.read_mail(turn, Thread::Shard(self.settings.shard), mail);
            } else if let Some((directory, outputs)) = self.directories.take_outputs() {
                for output in outputs {
                    self.store_output(turn, directory, output);
                }
            } else if let Some(id) = self.busy.pop_front() {
                self.serve(turn, id);
            } else {
                break;
            }
        }
    }

    fn store_output(&mut self, turn: &mut Turn<'_>, directory: u32, output: Output) {
        let place = |slot| Place { directory, slot };
        match output {
            Output::Created { slot, result } => self.partition_created(turn, place(slot), result),
            Output::Removed { partition } => self.partition_removed(turn, partition),
            Output::Advanced { slot } => self.partition_advanced(turn, place(slot)),
            Output::Located { lookup, result } => self.located(turn, (directory, lookup), result),
            Output::Timestamp { lookup, result } => self.timestamp_found(turn, (directory, lookup), result),
            Output::LogStartMoved { slot, log_start } => self.log_start_moved(turn, place(slot), log_start),
            Output::DurabilityChanged { slot } => self.durability_changed(turn, place(slot)),
            // Nobody asks a leader for either.
            Output::RangeRepaired { .. } | Output::Truncated { .. } => {}
            Output::Uncleanable { slot, segment } => self.log_uncleanable(turn, place(slot), segment),
            Output::RangeFaulty { slot, range } => self.range_faulty(turn, place(slot), range),
            Output::DirectoryFailed { error } => {
                turn.effects.mail.push((Thread::Control, Mail::DirectoryFailed { directory, error }));
                self.directory_failed(turn, directory);
            }
        }
    }

    fn log_start_moved(&mut self, turn: &mut Turn<'_>, place: Place, log_start: Offset) {
        let Some(partition) = self.partitions.at(place) else { return };
        self.deletions_done(turn, partition, log_start);
    }
}

impl Machine for Shard {
    type Mail = Mail;

    fn handle(&mut self, event: Event<Mail>, now: Now, effects: &mut Effects<Mail>) {
        let turn = &mut Turn { now, effects };
        match event {
            Event::Accepted { connection, listener, .. } => self.accepted(turn, connection, listener),
            Event::Received { connection, data } => self.received(turn, connection, data),
            Event::Progress { connection, direction, .. } => self.progressed(turn, connection, direction),
            Event::Sent { connection } => self.sent(turn, connection),
            Event::Unreadable { connection, slice } => {
                self.tell_unreadable(turn, &slice);
                self.close(turn, connection);
            }
            Event::Hangup { connection } => self.close(turn, connection),
            Event::Closed { connection } => self.closed(turn, connection),
            Event::Mail { from, mail } => self.read_mail(turn, from, mail),
            Event::Completed(completion) => self.completed(turn, completion),
            Event::Stop => self.stop(turn),
        }
        self.settle(turn);
    }

    fn end_turn(&mut self, now: Now, effects: &mut Effects<Mail>) {
        let turn = &mut Turn { now, effects };
        self.busy.extend(self.fairness.begin_turn(now.monotonic));
        self.settle(turn);
        while let Some(timer) = self.timers.due(now.monotonic) {
            self.timer(turn, timer);
            self.settle(turn);
        }
        self.release_held(turn);
        self.settle(turn);
        // Time's work writes out what was appended, too.
        #[cfg(control_early_ack)]
        if self.held_writes.hold(now.monotonic) {
            return;
        }
        self.directories.tick(now, &mut turn.effects.files);
        self.settle(turn);
        self.make_where_there_is_room(turn);
        self.directories.end_turn(now, &mut turn.effects.files);
        self.settle(turn);
        if let Some(directory) = self.directories.newly_buffered() {
            turn.effects.mail.push((Thread::Control, Mail::JournalIsBuffered { directory }));
        }
        self.stop_on(turn);
    }

    fn next_deadline(&self) -> Option<Monotonic> {
        #[cfg(control_early_ack)]
        let held = self.held_writes.deadline();
        #[cfg(not(control_early_ack))]
        let held = None;
        [self.timers.next(), self.directories.next_deadline(), self.fairness.deadline(), held].into_iter().flatten().min()
    }

    fn is_finished(&self) -> bool {
        self.stopping == stop::Stopping::Done
    }
}
