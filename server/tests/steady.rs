//! What a request costs in allocations and locks once everything is warm: a shard that runs in this process, on its own ring and
//! a real directory, and a client beside it that allocates nothing.
//!
//! Allocations are counted for the whole process. Locks are held against two things. The brains cannot name one (`no_std`), and the
//! reactor may not (`engine/reactor/clippy.toml`). And from the steady part on the kernel kills this process with SIGSYS if the
//! shard's thread ever waits in `futex`, where every wait for a lock ends: the bound on those is none. Alone in its program, since
//! allocations are counted for all of it.

use bytes::Bytes;
use flumen_broker::admin::BrokerSettings;
use flumen_broker::{Limits, Mail, OffsetSettings, Settings, Shard};
use flumen_controller::command::{CreateTopics, NewTopic, RegisterBroker, TopicDefaults};
use flumen_controller::configs::KafkaConfigRules;
use flumen_controller::{Command, Delta, MetadataImage, StateMachine};
use flumen_log::batch::{BatchBuilder, ProducerInfo};
use flumen_log::compression::Codec;
use flumen_log::io::{Effects, Event, Machine};
use flumen_log::recovery::{RecoverySettings, recover};
use flumen_log::store::StoreSettings;
use flumen_log::{BrokerId, Monotonic, Now, PartitionIndex, ShardId, Timestamp, TopicId, TopicPartition};
use flumen_protocol::fetch::{FetchPartition, FetchRequest, FetchTopic};
use flumen_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use flumen_protocol::{ApiKey, ErrorCode, Records, Request, Response, Text, decode_response};
use flumen_reactor::mailbox::{ControlPostbox, mesh};
use flumen_reactor::{BlockingDisk, DataDirectory, Reactor, ReactorSettings, clock};
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TOPIC: &str = "steady";
const TOPIC_ID: TopicId = TopicId([5; 16]);
const SHARD: ShardId = ShardId(0);
/// Requests before anything is counted, and those that are.
const WARM_UP: usize = 3000;
const COUNTED: usize = 3000;
/// Allocations of one produce request of one record with `acks=all` in the default durability, and of one fetch of it.
const PRODUCE_ALLOCATIONS: f64 = 35.0;
const FETCH_ALLOCATIONS: f64 = 26.0;
const PRODUCE_VERSION: i16 = 12;
const FETCH_VERSION: i16 = 11;

/// The part of futex's second argument that names the operation.
const OPERATION_MASK: u64 = 0x7f;

/// From here on no lock may be waited for.
static STEADY: AtomicBool = AtomicBool::new(false);

/// A machine whose thread gives up waiting for others when the steady part begins.
struct Unlocked {
    shard: Shard,
    given_up: bool,
}

impl Machine for Unlocked {
    type Mail = Mail;

    fn handle(&mut self, event: Event<Mail>, now: Now, effects: &mut Effects<Mail>) {
        if !self.given_up && STEADY.load(Ordering::Acquire) {
            self.given_up = true;
            give_up_waiting();
        }
        self.shard.handle(event, now, effects);
    }

    fn end_turn(&mut self, now: Now, effects: &mut Effects<Mail>) {
        self.shard.end_turn(now, effects);
    }

    fn next_deadline(&self) -> Option<Monotonic> {
        self.shard.next_deadline()
    }

    fn is_finished(&self) -> bool {
        self.shard.is_finished()
    }
}

fn give_up_waiting() {
    // The operation, without the flags that say whose the futex is and which clock counts.
    let waits = [libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET].map(|operation| {
        let is = SeccompCmpOp::MaskedEq(OPERATION_MASK);
        let condition = SeccompCondition::new(1, SeccompCmpArgLen::Dword, is, u64::try_from(operation).expect("small"));
        SeccompRule::new(vec![condition.expect("the second argument")]).expect("one condition")
    });
    let forbidden = [(libc::SYS_futex, waits.into())].into_iter().collect();
    let architecture = std::env::consts::ARCH.try_into().expect("an architecture with a filter");
    let filter = SeccompFilter::new(forbidden, SeccompAction::Allow, SeccompAction::KillProcess, architecture);
    let program: BpfProgram = filter.expect("one rule").try_into().expect("a small program");
    seccompiler::apply_filter(&program).expect("a thread may take rights from itself");
}

/// A cluster of this broker with one topic.
fn metadata() -> Arc<MetadataImage> {
    let mut controller = StateMachine::new(Arc::new(MetadataImage::default()), Box::new(KafkaConfigRules));
    controller.apply(Command::NameCluster { cluster_id: "steady".into() });
    controller.apply(Command::RegisterBroker(RegisterBroker {
        broker: BrokerId(1),
        endpoints: Vec::new(),
        rack: None,
        boot_id: "boot".into(),
        clean_stop: false,
        offline: Vec::new(),
    }));
    let topic = NewTopic {
        name: TOPIC.into(),
        id: TOPIC_ID,
        partitions: 1,
        replication_factor: 1,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    let defaults = TopicDefaults { partitions: 1, replication_factor: 1 };
    controller.apply(Command::CreateTopics(CreateTopics { topics: vec![topic], defaults, validate_only: false }));
    controller.image().clone()
}

fn settings() -> Settings {
    Settings {
        shard: SHARD,
        shards: 1,
        broker: BrokerId(1),
        seed: 11,
        limits: Limits::for_shard(64 << 20, 1),
        store: StoreSettings::of_shard(SHARD, 1),
        admin: BrokerSettings { broker: BrokerId(1), listeners: vec!["PLAINTEXT".into()], ..BrokerSettings::default() },
        offsets: OffsetSettings {
            metadata_max_bytes: 4096,
            commit_timeout_ms: 5000,
            retention_ms: 86_400_000,
            retention_check_interval_ms: 600_000,
        },
        log_directories: vec!["data".into()],
        log_directories_offline: Vec::new(),
    }
}

/// Wait for the mail that says that the shard has applied what it was sent.
fn await_applied(control: &mut ControlPostbox<Mail>) {
    let mut applied = false;
    while !applied {
        control.drain(|_, mail| applied |= matches!(mail, Mail::Applied { .. }));
        std::thread::yield_now();
    }
}

/// Runs a shard while `work` talks to it. It ends with the process: to end in order it would wait for a thread of its own.
fn with_shard(home: &Path, work: impl FnOnce(SocketAddr)) {
    let directory = DataDirectory::open(home, Duration::ZERO).expect("the directory is free");
    let sockets = flumen_transport::listen(SocketAddr::from(([127, 0, 0, 1], 0)), 1).expect("a free port");
    let address = sockets[0].local_addr().expect("bound");
    let recovery_settings = RecoverySettings {
        journal_id: [3; 16],
        journal_file_bytes: StoreSettings::of_shard(SHARD, 1).journal_file_bytes,
        quarantine_bytes: 1 << 20,
        index_interval_bytes: 4096,
    };
    let mut disk = BlockingDisk::new(&directory).expect("a ring");
    let recovered = recover(&mut disk, 1, &recovery_settings, clock::now()).expect("nothing to recover");
    let recovered = recovered.shards;
    let (mut postboxes, mut control) = mesh(1, settings().limits.mailbox_slots()).expect("descriptors");
    let postbox = postboxes.pop().expect("one shard");
    std::thread::spawn(move || {
        let reactor_settings = ReactorSettings { accept_at_once: false, ..ReactorSettings::new(SHARD) };
        let reactor = Reactor::new(reactor_settings, vec![directory], sockets, postbox).expect("a reactor");
        let machine = Unlocked { shard: Shard::new(settings(), recovered), given_up: false };
        drop(reactor.run(machine));
    });
    let image = metadata();
    let delta = Arc::new(Delta::from_nothing(&image));
    // The one partition, in the first and only log directory.
    let partition = TopicPartition { topic: TOPIC_ID, partition: PartitionIndex(0) };
    let placed = Arc::new([(partition, 0)].into());
    control.send(SHARD, Mail::Image { index: 1, image, delta, placed });
    await_applied(&mut control);
    control.send(SHARD, Mail::Open);
    work(address);
}

/// A client that asks the same again and again, in memory it has.
struct Client {
    socket: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    fn open(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("it listens");
        socket.set_nodelay(true).expect("a socket");
        Self { socket, answer: vec![0; 64 << 10] }
    }

    /// One request and its answer.
    fn ask(&mut self, frame: &[u8]) -> &[u8] {
        self.socket.write_all(frame).expect("the shard reads");
        let mut size = [0; 4];
        self.socket.read_exact(&mut size).expect("the shard answers");
        let size = usize::try_from(i32::from_be_bytes(size)).expect("a size");
        self.socket.read_exact(&mut self.answer[..size]).expect("the whole answer");
        &self.answer[..size]
    }

    /// Allocations of the whole process for one request, over many.
    fn allocations_of(&mut self, frame: &[u8]) -> f64 {
        for _ in 0..WARM_UP {
            self.ask(frame);
        }
        STEADY.store(true, Ordering::Release);
        let region = Region::new(ALLOCATOR);
        for _ in 0..COUNTED {
            self.ask(frame);
        }
        let change = region.change();
        (change.allocations + change.reallocations) as f64 / COUNTED as f64
    }
}

fn produce_frame() -> Bytes {
    let mut builder = BatchBuilder::new();
    builder.append(Timestamp(clock::now().wall.0), None, Some(&[7; 1024]), &[]);
    let batch = builder.build(Codec::None, None, ProducerInfo::NONE).expect("no codec");
    let partition_data = vec![PartitionProduceData { index: 0, records: Some(Records::Inline(batch)) }];
    let topic_data = vec![TopicProduceData { name: Text::from(TOPIC), partition_data, ..TopicProduceData::default() }];
    let request = Request::from(ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data, ..ProduceRequest::default() });
    request.encode(PRODUCE_VERSION, 1, Some("steady")).expect("a request")
}

fn fetch_frame() -> Bytes {
    let partition = FetchPartition { current_leader_epoch: -1, partition_max_bytes: 1, ..FetchPartition::default() };
    let topics = vec![FetchTopic { topic: Text::from(TOPIC), partitions: vec![partition], ..FetchTopic::default() }];
    let request = Request::from(FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics,
        ..FetchRequest::default()
    });
    request.encode(FETCH_VERSION, 1, Some("steady")).expect("a request")
}

#[test]
fn a_steady_request_allocates_little_and_waits_for_no_lock() {
    let home = tempfile::tempdir().expect("a directory");
    with_shard(home.path(), |address| {
        let mut client = Client::open(address);
        let (produce, fetch) = (produce_frame(), fetch_frame());
        let for_produce = client.allocations_of(&produce);
        let answer = Bytes::copy_from_slice(client.ask(&produce));
        let (_, Response::Produce(answer)) = decode_response(ApiKey::Produce, PRODUCE_VERSION, answer).expect("an answer") else {
            panic!("another API's answer");
        };
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, ErrorCode::None);
        assert_eq!(partition.base_offset, (WARM_UP + COUNTED) as i64, "every request was appended");
        let for_fetch = client.allocations_of(&fetch);
        let answer = Bytes::copy_from_slice(client.ask(&fetch));
        let (_, Response::Fetch(answer)) = decode_response(ApiKey::Fetch, FETCH_VERSION, answer).expect("an answer") else {
            panic!("another API's answer");
        };
        let records = answer.responses[0].partitions[0].records.as_ref().expect("records");
        assert!(records.len() > 1024, "a fetch has the record");
        println!("{for_produce:.2} allocations a produce request, {for_fetch:.2} a fetch");
        assert!(for_produce <= PRODUCE_ALLOCATIONS, "{for_produce} allocations a produce request");
        assert!(for_fetch <= FETCH_ALLOCATIONS, "{for_fetch} allocations a fetch");
    });
}
