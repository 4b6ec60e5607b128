//! The control thread's part: proposals in, the metadata's log, images and deltas out, answers once every shard has applied them.
//!
//! What the quorum of one does is kept to its contract: commands are put in an order and are on stable storage before they count;
//! of those that were under way when the process died some are, some are not. A start goes on from the last snapshot and what
//! came after it.

use alloc::{
    boxed::Box,
    collections::{BTreeSet, VecDeque},
    format,
    string::String,
    sync::Arc,
    vec,
    vec::Vec,
};
use flumen_broker::{
    Homes, Mail,
    mail::{Proposer, Ticket},
};
use flumen_controller::{
    Command, CommandResponse, Delta, Endpoint, ImageSnapshot, MetadataImage, StateMachine, command::RegisterBroker,
    configs::KafkaConfigRules,
};
use flumen_log::{BrokerId, TopicId, TopicPartition, recovery::Recovery};

use crate::random::Random;

/// The broker of this world.
pub(super) const BROKER: BrokerId = BrokerId(1);

/// The metadata as it is on stable storage.
#[derive(Clone, Debug, Default)]
pub(super) struct MetadataLog {
    snapshot: Option<ImageSnapshot>,
    /// Commands after the snapshot.
    entries: Vec<Command>,
    /// How many commands there were in all.
    index: u64,
}

impl MetadataLog {
    fn append(&mut self, command: Command) -> u64 {
        self.entries.push(command);
        self.index += 1;
        self.index
    }

    fn open(&self) -> Result<StateMachine, String> {
        let image = match self.snapshot.clone() {
            Some(snapshot) => MetadataImage::try_from(snapshot).map_err(|fault| format!("{fault}"))?,
            None => MetadataImage::default(),
        };
        let mut machine = StateMachine::new(Arc::new(image), Box::new(KafkaConfigRules));
        for command in &self.entries {
            machine.apply(command.clone());
        }
        Ok(machine)
    }

    fn take_snapshot(&mut self, image: &MetadataImage) {
        self.snapshot = Some(ImageSnapshot::from(image));
        self.entries.clear();
    }
}

#[derive(Debug)]
struct Decided {
    shard: usize,
    origin: Proposer,
    result: Result<CommandResponse, String>,
}

/// The control thread.
pub(super) struct Control {
    log: MetadataLog,
    machine: StateMachine,
    homes: Homes,
    sent_index: u64,
    /// The last image that deleted topics.
    deleted_index: u64,
    /// Deleted topics of which it is not recorded that they are gone from the disk.
    leaving: Vec<TopicId>,
    registration: i64,
    /// What the shards start from, once what was deleted is gone.
    rest: Option<(u64, Delta)>,
    applied: Vec<u64>,
    undecided: VecDeque<(usize, Proposer, Command)>,
    waiting: VecDeque<(u64, Decided)>,
    entries_per_snapshot: usize,
    pub(super) opened: bool,
    /// Partitions that could not be made at once, for want of room.
    pub(super) not_made: BTreeSet<TopicPartition>,
}

/// What the control thread wants of the shards.
pub(super) enum Order {
    /// Mail to one.
    Send(usize, Mail),
    /// The log directory has failed.
    StorageFailed,
    /// Something that must not happen.
    Violation(String),
}

impl Control {
    /// Go on from what is on stable storage and register this start.
    pub(super) fn start(
        log: MetadataLog,
        shards: usize,
        recovery: &Recovery,
        boot: u64,
        entries_per_snapshot: usize,
    ) -> Result<(Self, Vec<Order>), String> {
        let machine = log.open()?;
        let report = &recovery.report;
        let mut control = Self {
            log,
            machine,
            homes: Homes::new(BROKER, &[recovery.partitions().collect()]),
            sent_index: 0,
            deleted_index: 0,
            leaving: Vec::new(),
            registration: 0,
            rest: None,
            applied: vec![0; shards],
            undecided: VecDeque::new(),
            waiting: VecDeque::new(),
            entries_per_snapshot,
            opened: false,
            not_made: BTreeSet::new(),
        };
        control.commit(Command::NameCluster { cluster_id: "AAAAAAAAAAAAAAAAAAAAAA".into() });
        let endpoint = Endpoint { listener: "PLAINTEXT".into(), host: "broker".into(), port: 9092 };
        let registration = RegisterBroker {
            broker: BROKER,
            endpoints: Vec::from([endpoint]),
            rack: None,
            boot_id: format!("boot-{boot}"),
            clean_stop: report.clean,
            offline: Vec::new(),
        };
        let (response, _) = control.commit(Command::RegisterBroker(registration));
        match response {
            CommandResponse::Registered { broker_epoch } => control.registration = broker_epoch,
            other => return Err(format!("this broker was not registered: {other:?}")),
        }
        let index = control.log.index.max(2);
        control.rest = Some((index, Delta::from_nothing(control.machine.image())));
        let leaving = Delta::leaving(control.machine.image());
        if leaving.is_empty() {
            let orders = control.broadcast_rest();
            return Ok((control, orders));
        }
        control.sent_index = index - 1;
        let orders = control.broadcast(leaving);
        Ok((control, orders))
    }

    fn broadcast_rest(&mut self) -> Vec<Order> {
        let Some((index, delta)) = self.rest.take() else { return Vec::new() };
        self.sent_index = index;
        self.broadcast(delta)
    }

    fn commit(&mut self, command: Command) -> (CommandResponse, Delta) {
        self.log.append(command.clone());
        let decided = self.machine.apply(command);
        if self.log.entries.len() >= self.entries_per_snapshot {
            self.log.take_snapshot(self.machine.image());
        }
        decided
    }

    fn broadcast(&mut self, delta: Delta) -> Vec<Order> {
        if !delta.topics_deleted.is_empty() {
            self.deleted_index = self.sent_index;
            self.leaving.extend(delta.deleted_ids());
        }
        let placed = self.homes.place(self.machine.image(), &delta);
        let delta = Arc::new(delta);
        let mail = |shard| {
            let (image, delta, placed) = (Arc::clone(self.machine.image()), Arc::clone(&delta), Arc::clone(&placed));
            Order::Send(shard, Mail::Image { index: self.sent_index, image, delta, placed })
        };
        (0..self.applied.len()).map(mail).collect()
    }

    /// A shard wrote.
    pub(super) fn read(&mut self, from: usize, mail: Mail) -> Option<Order> {
        match mail {
            Mail::Propose { origin, command } => self.undecided.push_back((from, origin, *command)),
            Mail::Applied { index, not_made } => {
                self.not_made.extend(not_made.into_iter().map(|(partition, _)| partition));
                if index < self.applied[from] {
                    return Some(Order::Violation(format!("shard {from} has applied {index} after {}", self.applied[from])));
                }
                self.applied[from] = index;
            }
            Mail::DirectoryFailed { directory, .. } => {
                self.homes.take_offline(directory);
                return Some(Order::StorageFailed);
            }
            _ => {}
        }
        None
    }

    /// Whether a step would do anything.
    pub(super) fn has_work(&self) -> bool {
        let everywhere = self.everywhere();
        self.may_decide()
            || self.may_forget()
            || (!self.opened && everywhere >= self.sent_index)
            || self.waiting.front().is_some_and(|(index, _)| *index <= everywhere)
    }

    fn everywhere(&self) -> u64 {
        self.applied.iter().min().copied().unwrap_or_default()
    }

    fn may_forget(&self) -> bool {
        !self.leaving.is_empty() && self.everywhere() >= self.deleted_index && self.homes.is_complete()
    }

    /// A new topic may have the name of one that is going: it waits until that one is gone everywhere. Here everything waits.
    fn may_decide(&self) -> bool {
        !self.undecided.is_empty() && self.rest.is_none() && self.everywhere() >= self.deleted_index
    }

    /// Decide a proposal, or answer those that every shard has caught up with.
    pub(super) fn step(&mut self) -> Vec<Order> {
        let mut orders = Vec::new();
        if self.may_decide()
            && let Some((shard, origin, command)) = self.undecided.pop_front()
        {
            let (response, delta) = self.commit(command);
            if !delta.is_empty() {
                self.sent_index = self.log.index;
                orders.extend(self.broadcast(delta));
            }
            self.waiting.push_back((self.sent_index, Decided { shard, origin, result: Ok(response) }));
        }
        if self.may_forget() {
            let topics = core::mem::take(&mut self.leaving);
            self.commit(Command::ForgetTopics { broker: BROKER, broker_epoch: self.registration, topics });
        }
        let everywhere = self.everywhere();
        if everywhere >= self.sent_index {
            orders.extend(self.broadcast_rest());
        }
        if !self.opened && everywhere >= self.sent_index {
            self.opened = true;
            orders.extend((0..self.applied.len()).map(|shard| Order::Send(shard, Mail::Open)));
        }
        while self.waiting.front().is_some_and(|(index, _)| *index <= everywhere) {
            if let Some((_, Decided { shard, origin, result })) = self.waiting.pop_front() {
                orders.push(Order::Send(shard, Mail::Proposed { origin, result: Box::new(result) }));
            }
        }
        orders
    }

    /// The process dies: what is left of the metadata. Proposals under way may have become stable, in their order.
    pub(super) fn die(mut self, random: &mut Random) -> Result<MetadataLog, String> {
        let image = Arc::clone(self.machine.image());
        if **self.log.open()?.image() != *image {
            return Err("the metadata read back are not those that were in force".into());
        }
        let survivors = random.index(self.undecided.len() + 1);
        for (_, _, command) in self.undecided.drain(..survivors) {
            self.log.append(command);
        }
        Ok(self.log)
    }
}

/// Which request a proposal was for, in words.
pub(super) fn describe(origin: &Proposer) -> String {
    match origin {
        Proposer::Request(Ticket { connection, sequence }) => format!("request {sequence} of connection {}", connection.0),
        Proposer::ProducerIds => "producer ids".into(),
        Proposer::Background(number) => format!("background {number}"),
    }
}
