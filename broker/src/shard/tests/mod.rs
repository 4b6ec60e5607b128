//! Shards as their loops would run them, with everything around them carried by hand: mail between them, the controller's
//! decisions, files in memory, and clients on the other end of their connections.
//!
//! Nothing happens but by a call: a test decides what is held back, and for how long.

mod appends;
mod client;
mod decisions;
mod files;
mod gathering;
mod mailboxes;
mod offsets;
mod replicas;
mod sessions;
mod stops;
mod unreadable;

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet, VecDeque},
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use flumen_controller::{
    Command, Delta, Endpoint, MetadataImage, StateMachine,
    command::{CreateTopics, DeleteTopics, ManualAssignment, NewTopic, RegisterBroker, TopicDefaults, TopicReference},
    configs::KafkaConfigRules,
};
use flumen_log::{
    BrokerId, Monotonic, Now, ShardId, Timestamp, TopicId, TopicPartition,
    io::{ConnectionId, Effects, Event, FileOperation, Machine, NetEffect, Operation, Thread, WriteData},
    recovery::{RecoverySettings, recover},
    store::{FaultyRange, StoreSettings, owner_of},
};

use super::{OffsetSettings, Settings, Shard};
use crate::{
    admin::BrokerSettings,
    homes::Homes,
    limits::Limits,
    mail::{Mail, Proposer},
};
use client::Client;
use files::Files;

/// A shard that wants a turn within this time has work left.
const AT_ONCE_NS: u64 = 1000;
const JOURNAL_FILE_BYTES: u64 = 256 << 10;
/// The time of day at which a world begins.
const BEGIN: Now = Now { monotonic: Monotonic(1), wall: Timestamp(1_000_000_000) };

/// A decision that was asked for: by which shard, of what origin, and what.
type Proposal = (ShardId, Proposer, Command);

/// Some shards and all that is around them.
struct World {
    shards: Vec<Shard>,
    effects: Vec<Effects<Mail>>,
    now: Now,
    files: Files,
    /// File operations that are held back, by shard.
    held: Vec<VecDeque<Operation>>,
    holds: fn(&FileOperation) -> bool,
    /// Mail written and not read, by writer and reader.
    mail: BTreeMap<(ShardId, ShardId), VecDeque<Mail>>,
    /// Mailboxes that are not read for now.
    unread: BTreeSet<(ShardId, ShardId)>,
    /// The most mail there ever was in a mailbox.
    fullest: usize,
    /// The name of every piece of mail between shards, as it was read.
    carried: Vec<(ShardId, ShardId, String)>,
    clients: BTreeMap<(ShardId, ConnectionId), Client>,
    next_connection: u64,
    machine: StateMachine,
    homes: Homes,
    index: u64,
    applied: Vec<u64>,
    /// Proposals not decided yet.
    proposals: VecDeque<Proposal>,
    /// The controller decides nothing for now.
    silent: bool,
    /// Decisions that wait until every shard has applied their images.
    decided: VecDeque<(u64, ShardId, Mail)>,
    topic_ids: u8,
    /// Ranges of logs that the control thread was told of.
    damaged: Vec<(TopicPartition, FaultyRange)>,
    settings: fn(&mut Limits),
}

impl World {
    /// Two shards of one broker.
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// As [`World::new`], with other limits.
    fn with(limits: fn(&mut Limits)) -> Self {
        let machine = StateMachine::new(Arc::new(MetadataImage::default()), Box::new(KafkaConfigRules));
        let mut world = Self::over(Files::default(), machine, BEGIN, limits);
        world.register();
        world.settle();
        world
    }

    /// Shards on these files, which know nothing of the metadata yet.
    fn over(mut files: Files, machine: StateMachine, now: Now, limits: fn(&mut Limits)) -> Self {
        let count = 2;
        let settings = RecoverySettings {
            journal_id: u128::from(now.monotonic.0).to_be_bytes(),
            journal_file_bytes: JOURNAL_FILE_BYTES,
            quarantine_bytes: 1 << 20,
            index_interval_bytes: 4096,
        };
        let recovery = recover(&mut files, count, &settings, now).expect("the disk is whole");
        let homes = Homes::new(BrokerId(1), &[recovery.partitions().collect()]);
        let shards = recovery.shards.into_iter().map(|recovered| Vec::from([recovered])).zip(0u16..);
        Self {
            shards: shards.map(|(recovered, number)| Shard::new(shard_settings(number, count, limits), recovered)).collect(),
            effects: (0..count).map(|_| Effects::default()).collect(),
            now,
            files,
            held: (0..count).map(|_| VecDeque::new()).collect(),
            holds: |_| false,
            mail: BTreeMap::new(),
            unread: BTreeSet::new(),
            fullest: 0,
            carried: Vec::new(),
            clients: BTreeMap::new(),
            next_connection: 0,
            machine,
            homes,
            index: 1,
            applied: Vec::from([0, 0]),
            proposals: VecDeque::new(),
            silent: false,
            decided: VecDeque::new(),
            topic_ids: 0,
            damaged: Vec::new(),
            settings: limits,
        }
    }

    /// The process dies; another starts on the same files and metadata.
    fn restarted(self) -> Self {
        self.restarted_holding(|_| false)
    }

    /// As [`World::restarted`], with such operations held back from the start.
    fn restarted_holding(self, holds: fn(&FileOperation) -> bool) -> Self {
        let Self { files, machine, mut now, settings, topic_ids, .. } = self;
        now.monotonic = now.monotonic.after_ms(1);
        let mut world = Self { holds, topic_ids, ..Self::over(files, machine, now, settings) };
        world.register();
        world.settle();
        world
    }

    fn register(&mut self) {
        self.machine.apply(Command::NameCluster { cluster_id: "cluster".into() });
        self.machine.apply(Command::RegisterBroker(RegisterBroker {
            broker: BrokerId(1),
            endpoints: Vec::from([Endpoint { listener: "PLAINTEXT".into(), host: "host".into(), port: 9092 }]),
            rack: None,
            boot_id: "boot".into(),
            clean_stop: false,
            offline: Vec::new(),
        }));
        let leaving = Delta::leaving(self.machine.image());
        if !leaving.is_empty() {
            self.broadcast(leaving);
            self.settle();
        }
        let delta = Delta::from_nothing(self.machine.image());
        self.broadcast(delta);
    }

    /// Another broker, of which there is nothing but its registration.
    fn register_other(&mut self, id: i32) {
        self.decide(Command::RegisterBroker(RegisterBroker {
            broker: BrokerId(id),
            endpoints: Vec::from([Endpoint { listener: "PLAINTEXT".into(), host: "other".into(), port: 9092 }]),
            rack: None,
            boot_id: "other".into(),
            clean_stop: false,
            offline: Vec::new(),
        }));
        self.settle();
    }

    fn image(&self) -> &MetadataImage {
        self.machine.image()
    }

    fn broadcast(&mut self, delta: Delta) {
        let placed = self.homes.place(self.machine.image(), &delta);
        let delta = Arc::new(delta);
        for number in 0..self.shards.len() {
            let image = Arc::clone(self.machine.image());
            let mail = Mail::Image { index: self.index, image, delta: Arc::clone(&delta), placed: Arc::clone(&placed) };
            self.tell(number, Event::Mail { from: Thread::Control, mail });
        }
    }

    /// Have a topic made; where its partitions are follows from its id.
    fn topic(&mut self, name: &str, partitions: i32) -> TopicId {
        self.make(name, NewTopic { partitions, replication_factor: 1, ..unnamed() })
    }

    /// Have a topic made whose partitions have these replicas, the leader first.
    fn topic_of(&mut self, name: &str, replicas: &[&[i32]], configs: &[(&str, &str)]) -> TopicId {
        let assignment = |(brokers, partition): (&&[i32], i32)| ManualAssignment {
            partition,
            brokers: brokers.iter().copied().map(BrokerId).collect(),
        };
        let assignments = replicas.iter().zip(0i32..).map(assignment).collect();
        let configs = configs.iter().map(|(name, value)| ((*name).into(), Some((*value).into()))).collect();
        self.make(name, NewTopic { assignments, configs, ..unnamed() })
    }

    fn make(&mut self, name: &str, topic: NewTopic) -> TopicId {
        self.topic_ids += 1;
        let id = TopicId([self.topic_ids; 16]);
        let defaults = TopicDefaults { partitions: 1, replication_factor: 1 };
        let topics = Vec::from([NewTopic { name: name.into(), id, ..topic }]);
        let made = self.decide(Command::CreateTopics(CreateTopics { topics, defaults, validate_only: false }));
        assert!(self.image().topic(name).is_some(), "{made:?}");
        self.settle();
        id
    }

    fn delete_topic(&mut self, name: &str) {
        self.decide(Command::DeleteTopics(DeleteTopics { topics: Vec::from([TopicReference::Name(name.into())]) }));
        self.settle();
    }

    fn decide(&mut self, command: Command) -> flumen_controller::CommandResponse {
        let (response, delta) = self.machine.apply(command);
        self.index += 1;
        self.broadcast(delta);
        response
    }

    /// The shard that has a partition.
    fn owner(&self, topic: TopicId, partition: i32) -> ShardId {
        let partition = TopicPartition { topic, partition: flumen_log::PartitionIndex(partition) };
        owner_of(partition, u16::try_from(self.shards.len()).expect("two"))
    }

    /// Tell a shard something.
    fn tell(&mut self, number: usize, event: Event<Mail>) {
        self.shards[number].handle(event, self.now, &mut self.effects[number]);
    }

    /// A shard's turn ends, and what it wants is done. True if there was anything.
    fn turn(&mut self, number: usize) -> bool {
        self.shards[number].end_turn(self.now, &mut self.effects[number]);
        let effects = core::mem::take(&mut self.effects[number]);
        let own = ShardId(u16::try_from(number).expect("two"));
        let Effects { net, mail, mut files } = effects;
        let operations: Vec<Operation> = files.drain().collect();
        self.effects[number].files = files;
        let busy = !net.is_empty() || !mail.is_empty() || !operations.is_empty();
        for operation in operations {
            if (self.holds)(&operation.kind) {
                self.held[number].push_back(operation);
            } else {
                let completion = self.files.perform(operation);
                self.tell(number, Event::Completed(completion));
            }
        }
        for (to, mail) in mail {
            match to {
                Thread::Shard(to) => {
                    let mailbox = self.mail.entry((own, to)).or_default();
                    mailbox.push_back(mail);
                    self.fullest = self.fullest.max(mailbox.len());
                }
                Thread::Control => self.control(own, mail),
            }
        }
        for effect in net {
            self.do_net(own, effect);
        }
        busy
    }

    fn control(&mut self, from: ShardId, mail: Mail) {
        match mail {
            Mail::Propose { origin, command } => self.proposals.push_back((from, origin, *command)),
            Mail::Applied { index, .. } => self.applied[usize::from(from.0)] = index,
            Mail::DamageFound { ranges, .. } => {
                self.damaged.extend(ranges);
                self.tell(usize::from(from.0), Event::Mail { from: Thread::Control, mail: Mail::DamageTold });
            }
            Mail::DirectoryFailed { .. } | Mail::JournalIsBuffered { .. } => {}
            other => panic!("no mail for the control thread: {other:?}"),
        }
    }

    fn run_controller(&mut self) -> bool {
        let mut busy = false;
        while !self.silent
            && let Some((shard, origin, command)) = self.proposals.pop_front()
        {
            let result = Box::new(Ok(self.decide(command)));
            self.decided.push_back((self.index, shard, Mail::Proposed { origin, result }));
            busy = true;
        }
        let everywhere = self.applied.iter().min().copied().unwrap_or_default();
        while self.decided.front().is_some_and(|(index, ..)| *index <= everywhere) {
            let Some((_, shard, mail)) = self.decided.pop_front() else { break };
            self.tell(usize::from(shard.0), Event::Mail { from: Thread::Control, mail });
            busy = true;
        }
        busy
    }

    fn run_mail(&mut self) -> bool {
        let mut busy = false;
        let pairs: Vec<(ShardId, ShardId)> = self.mail.keys().copied().filter(|pair| !self.unread.contains(pair)).collect();
        for (from, to) in pairs {
            for mail in self.mail.remove(&(from, to)).unwrap_or_default() {
                busy = true;
                let name = format!("{mail:?}");
                let name = name.split(['(', ' ']).next().unwrap_or_default().to_string();
                self.carried.push((from, to, name));
                self.tell(usize::from(to.0), Event::Mail { from: Thread::Shard(from), mail });
            }
        }
        busy
    }

    /// Turn until nothing happens any more, and no shard wants another turn at once: what it has left for its next is done.
    fn settle(&mut self) {
        loop {
            let mut busy = false;
            for number in 0..self.shards.len() {
                busy |= self.turn(number);
            }
            busy |= self.run_mail();
            busy |= self.run_controller();
            busy |= self.run_clients();
            if busy {
                continue;
            }
            let next = self.shards.iter().filter_map(Machine::next_deadline).min();
            match next.filter(|next| next.0 <= self.now.monotonic.0 + AT_ONCE_NS) {
                Some(next) => self.now.monotonic = self.now.monotonic.max(next),
                None => return,
            }
        }
    }

    /// Somebody sets the clock.
    fn leap(&mut self, ms: u64) {
        self.now.wall = Timestamp(self.now.wall.0 + i64::try_from(ms).expect("a short time"));
    }

    /// Time passes.
    fn pass(&mut self, ms: u64) {
        self.now.monotonic = self.now.monotonic.after_ms(ms);
        self.now.wall = Timestamp(self.now.wall.0 + i64::try_from(ms).expect("a short time"));
        self.settle();
    }

    /// Do the operation that was held back longest on each shard, and what follows from it.
    fn release_one(&mut self) {
        for number in 0..self.shards.len() {
            if let Some(operation) = self.held[number].pop_front() {
                let completion = self.files.perform(operation);
                self.tell(number, Event::Completed(completion));
            }
        }
        self.settle();
    }

    /// Do what was held back; nothing more is.
    fn release(&mut self) {
        self.holds = |_| false;
        for number in 0..self.shards.len() {
            for operation in core::mem::take(&mut self.held[number]) {
                let completion = self.files.perform(operation);
                self.tell(number, Event::Completed(completion));
            }
        }
        self.settle();
    }

    /// How much mail of a kind was read so far, in that direction.
    fn carried(&self, from: u16, to: u16, name: &str) -> usize {
        let of_kind = |(a, b, carried): &&(ShardId, ShardId, String)| (a.0, b.0) == (from, to) && carried == name;
        self.carried.iter().filter(of_kind).count()
    }

    /// How many pieces of mail lie in a mailbox.
    fn in_mailbox(&self, from: u16, to: u16) -> usize {
        self.mail.get(&(ShardId(from), ShardId(to))).map_or(0, VecDeque::len)
    }

    fn do_net(&mut self, shard: ShardId, effect: NetEffect) {
        let (NetEffect::Receive { connection, .. }
        | NetEffect::Send { connection, .. }
        | NetEffect::Finish { connection }
        | NetEffect::Close { connection }) = &effect
        else {
            return;
        };
        if let Some(client) = self.clients.get_mut(&(shard, *connection)) {
            client.take(effect, &mut self.files);
        }
    }

    fn run_clients(&mut self) -> bool {
        let mut events = Vec::new();
        for ((shard, connection), client) in &mut self.clients {
            events.extend(client.events(*connection).into_iter().map(|event| (*shard, event)));
        }
        let busy = !events.is_empty();
        for (shard, event) in events {
            self.tell(usize::from(shard.0), event);
        }
        busy
    }
}

fn is_journal_write(operation: &FileOperation) -> bool {
    matches!(operation, FileOperation::Write { data: WriteData::Aligned(_), .. })
}

/// A topic about which nothing is said yet.
fn unnamed() -> NewTopic {
    let id = TopicId([0; 16]);
    let (assignments, configs) = (Vec::new(), Default::default());
    NewTopic { name: String::new(), id, partitions: -1, replication_factor: -1, assignments, configs }
}

fn shard_settings(number: u16, shards: u16, limits: fn(&mut Limits)) -> Settings {
    let shard = ShardId(number);
    let store = StoreSettings {
        journal_bytes: JOURNAL_FILE_BYTES * 4,
        journal_bytes_at_start: JOURNAL_FILE_BYTES * 2,
        journal_file_bytes: JOURNAL_FILE_BYTES,
        waiting_bytes_max: appends::WAITING_BYTES,
        ..StoreSettings::of_shard(shard, shards)
    };
    let mut of_shard = Limits::for_shard(64 << 20, shards);
    limits(&mut of_shard);
    Settings {
        shard,
        shards,
        broker: BrokerId(1),
        seed: u64::from(number),
        limits: of_shard,
        store,
        admin: BrokerSettings { broker: BrokerId(1), listeners: Vec::from(["PLAINTEXT".into()]), ..BrokerSettings::default() },
        offsets: OffsetSettings {
            metadata_max_bytes: 4096,
            commit_timeout_ms: offsets::COMMIT_TIMEOUT_MS,
            retention_ms: offsets::RETENTION_MS as i64,
            retention_check_interval_ms: offsets::CHECK_MS,
        },
        log_directories: Vec::from(["/data".into()]),
        log_directories_offline: Vec::new(),
    }
}
