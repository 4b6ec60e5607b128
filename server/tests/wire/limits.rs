//! What one client can cost the others: a client that never reads, a slow reader, requests of a million partitions, frames that
//! claim to be huge. Each beside a neighbour that must be served all the while, on a broker with little memory for requests.

use crate::harness::batch::Batch;
use crate::harness::broker::Broker;
use crate::harness::client::{Client, FETCH, PRODUCE, Topic, fetch_request, only_partition, produce_request};
use crate::harness::connection::Connection;
use flumen_protocol::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use flumen_protocol::fetch::FetchRequest;
use flumen_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use flumen_protocol::metadata::MetadataRequest;
use flumen_protocol::produce::ProduceRequest;
use flumen_protocol::{ErrorCode, Text};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What requests and replies may take in the brokers of these tests.
const IN_FLIGHT_BYTES: u64 = 256 << 20;
/// What the broker may grow by beside that: buffers, what the allocator keeps, the socket buffers it does not count.
const SLACK_BYTES: u64 = 64 << 20;
/// No request of a neighbour takes longer, on a loaded machine and with a build that is not optimised.
const PATIENCE: Duration = Duration::from_secs(1);

fn broker() -> Option<Broker> {
    let bytes = IN_FLIGHT_BYTES.to_string();
    Broker::own(&[("flumen.inflight.bytes", &bytes), ("log.segment.bytes", "67108864")])
}

/// Forget the most memory the broker ever had resident; what it has now.
fn forget_peak(broker: &Broker) -> u64 {
    std::fs::write(format!("/proc/{}/clear_refs", broker.pid()), "5").unwrap();
    peak_bytes(broker)
}

/// The most memory the broker has had resident since.
fn peak_bytes(broker: &Broker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Somebody who behaves, and expects to be served.
struct Neighbour {
    client: Client,
    topic: Topic,
    rounds: u32,
    slowest: Duration,
}

impl Neighbour {
    fn of(broker: &Broker) -> Self {
        let mut client = Client::to(broker);
        let topic = client.topic("neighbour");
        Self { client, topic, rounds: 0, slowest: Duration::ZERO }
    }

    /// Append a record durably and read it back.
    fn round(&mut self) {
        let begun = Instant::now();
        let offset = self.client.append(&self.topic, 0, &Batch::of(&["value"]));
        let read = self.client.read(&self.topic, 0, offset);
        assert_eq!(read.first().map(Batch::values), Some(vec!["value".to_owned()]));
        let took = begun.elapsed();
        self.slowest = self.slowest.max(took);
        self.rounds += 1;
        assert!(took < PATIENCE, "round {} took {took:?}", self.rounds);
    }
}

/// A reply of more than a megabyte for a request of a few bytes, thousands of times, and none is read.
#[test]
fn a_client_that_pipelines_without_reading_costs_a_bounded_amount() {
    let Some(broker) = broker() else { return };
    let mut neighbour = Neighbour::of(&broker);
    neighbour.client.topic_with("wide", 2_000, &[]);
    let before = forget_peak(&broker);
    let mut hostile: Vec<Client> = (0..8).map(|_| Client::to(&broker)).collect();
    let mut taken = 0;
    for client in &mut hostile {
        for number in 0..1_000 {
            let frame = Connection::encode(12, MetadataRequest { topics: None, ..MetadataRequest::default() }, number);
            if !client.push_bytes(&frame) {
                break;
            }
            taken += 1;
        }
        neighbour.round();
    }
    for _ in 0..50 {
        neighbour.round();
    }
    let grown = peak_bytes(&broker) - before;
    println!("{taken} requests taken, {grown} bytes more, slowest neighbour {:?}", neighbour.slowest);
    assert!(grown < IN_FLIGHT_BYTES + SLACK_BYTES, "{grown} bytes for {taken} requests whose replies nobody reads");
    // Who reads in the end gets what was asked for, in order.
    let mut last = hostile.remove(0);
    for number in 0..20 {
        assert_eq!(last.answer::<MetadataRequest>(12, number).error_code, ErrorCode::None);
    }
}

/// Produce requests whose answers nobody reads: each is small, and they must not pile up.
#[test]
fn a_producer_that_never_reads_is_held_up_and_nobody_else_is() {
    let Some(broker) = broker() else { return };
    let mut neighbour = Neighbour::of(&broker);
    let topic = neighbour.client.topic("deaf");
    let before = forget_peak(&broker);
    let batch = Batch::of(&[&"x".repeat(900_000)]).encode();
    let mut hostile: Vec<Client> = (0..4).map(|_| Client::to(&broker)).collect();
    for number in 0..60 {
        for client in &mut hostile {
            let frame = Connection::encode(PRODUCE, produce_request(&topic.name, &[(0, &batch)]), number);
            client.push_bytes(&frame);
        }
        neighbour.round();
    }
    let grown = peak_bytes(&broker) - before;
    println!("{grown} bytes more, slowest neighbour {:?}", neighbour.slowest);
    assert!(grown < IN_FLIGHT_BYTES + SLACK_BYTES, "{grown} bytes");
}

/// Frames that claim all that is allowed and then stop coming: they hold no more than a connection may hold.
#[test]
fn frames_that_never_end_leave_room_for_others() {
    let Some(broker) = broker() else { return };
    let mut neighbour = Neighbour::of(&broker);
    let before = forget_peak(&broker);
    let claimed = i32::try_from(IN_FLIGHT_BYTES / 4).unwrap();
    let mut hostile = Client::to(&broker);
    hostile.send_bytes(&claimed.to_be_bytes());
    hostile.send_bytes(&[0; 1000]);
    for size in [i32::MAX, claimed + 1, -1] {
        let mut client = Client::to(&broker);
        client.send_bytes(&size.to_be_bytes());
        neighbour.round();
        client.expect_closed();
    }
    for _ in 0..20 {
        neighbour.round();
    }
    let grown = peak_bytes(&broker) - before;
    assert!(grown < IN_FLIGHT_BYTES / 4 + SLACK_BYTES, "{grown} bytes for frames that never came");
}

/// A reader that takes a few bytes now and then, of answers of many megabytes.
#[test]
fn a_slow_reader_costs_a_bounded_amount() {
    let Some(broker) = broker() else { return };
    let mut neighbour = Neighbour::of(&broker);
    let topic = neighbour.client.topic("much");
    let batch = Batch::of(&[&"x".repeat(1_000_000)]).encode();
    for _ in 0..48 {
        let request = produce_request(&topic.name, &[(0, &batch)]);
        let answer = only_partition(neighbour.client.ask::<ProduceRequest>(PRODUCE, request));
        assert_eq!(answer.error_code, ErrorCode::None);
    }
    let before = forget_peak(&broker);
    let mut readers: Vec<Client> = (0..16).map(|_| Client::to(&broker)).collect();
    let everything = || {
        let mut request = fetch_request(&topic.name, &[(0, 0)]);
        request.topics[0].partitions[0].partition_max_bytes = i32::MAX;
        request
    };
    for reader in &mut readers {
        for _ in 0..8 {
            reader.send(FETCH, everything());
        }
    }
    for round in 0..100 {
        neighbour.round();
        let readers_count = readers.len();
        let reader = &mut readers[round % readers_count];
        reader.read_some(1000);
    }
    let grown = peak_bytes(&broker) - before;
    println!("{grown} bytes more, slowest neighbour {:?}", neighbour.slowest);
    assert!(grown < SLACK_BYTES, "{grown} bytes for what the page cache holds");
    // One that reads on gets it whole.
    let mut patient = Client::to(&broker);
    let number = patient.send(FETCH, everything());
    let answer = patient.answer::<FetchRequest>(FETCH, number);
    assert!(answer.responses[0].partitions[0].records.as_ref().is_some_and(|records| records.len() > 40_000_000));
}

/// The same partition a million times over.
#[test]
fn a_request_of_a_million_partitions_disturbs_nobody() {
    let Some(broker) = broker() else { return };
    let mut neighbour = Neighbour::of(&broker);
    let topic = neighbour.topic.clone();
    let before = forget_peak(&broker);
    let partition = ListOffsetsPartition { partition_index: 0, timestamp: -1, ..ListOffsetsPartition::default() };
    let of = |count: usize| {
        let topics = vec![ListOffsetsTopic { name: topic.name.clone(), partitions: vec![partition.clone(); count] }];
        Connection::encode(7, ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() }, 1)
    };
    // More elements than any request may have: refused before anything is done.
    let frame = of(1_000_000);
    for _ in 0..3 {
        let mut hostile = Client::to(&broker);
        hostile.push_bytes(&frame);
        neighbour.round();
        hostile.expect_closed();
    }
    // As many as it may have, again and again: one at a time, and everybody else in between.
    let most = of(131_000);
    let mut hostile = Client::to(&broker);
    for _ in 0..10 {
        hostile.push_bytes(&most);
        neighbour.round();
    }
    let grown = peak_bytes(&broker) - before;
    println!("frame of {} bytes: {grown} bytes more, slowest neighbour {:?}", frame.len(), neighbour.slowest);
    assert!(grown < IN_FLIGHT_BYTES + SLACK_BYTES, "{grown} bytes for a frame of {}", frame.len());
    assert_eq!(hostile.answer::<ListOffsetsRequest>(7, 1).topics[0].partitions.len(), 131_000);
}

/// A few bytes that name the same thing thousands of times: it is told once, and costs little.
#[test]
fn what_is_named_over_and_over_is_told_once() {
    let Some(broker) = broker() else { return };
    let mut neighbour = Neighbour::of(&broker);
    let before = forget_peak(&broker);
    let named = |name: &'static str| DescribeConfigsResource {
        resource_type: 4,
        resource_name: Text::from_static(name),
        configuration_keys: None,
    };
    let resources: Vec<_> = (0..20_000).map(|number| named(if number % 2 == 0 { "1" } else { "001" })).collect();
    let request = DescribeConfigsRequest { resources, include_synonyms: true, include_documentation: true };
    let frame = Connection::encode(4, request, 7);
    let mut hostile: Vec<Client> = (0..8).map(|_| Client::to(&broker)).collect();
    for client in &mut hostile {
        client.send_bytes(&frame);
    }
    for _ in 0..20 {
        neighbour.round();
    }
    for client in &mut hostile {
        let results = client.answer::<DescribeConfigsRequest>(4, 7).results;
        assert_eq!((results.len(), results[0].error_code), (20_000, ErrorCode::None));
        assert!(results[0].configs.len() > 100);
        assert!(results[1..].iter().all(|result| result.error_code == ErrorCode::InvalidRequest && result.configs.is_empty()));
    }
    let grown = peak_bytes(&broker) - before;
    println!("{grown} bytes more, slowest neighbour {:?}", neighbour.slowest);
    assert!(grown < SLACK_BYTES, "{grown} bytes");
}

/// Clients that always have more requests waiting than a turn deals with, and one that comes new.
#[test]
fn who_comes_new_is_served_beside_those_who_always_want_more() {
    let Some(broker) = broker() else { return };
    Client::to(&broker).topic_with("wide", 1_000, &[]);
    let stop = AtomicBool::new(false);
    let ask = |number| Connection::encode(12, MetadataRequest { topics: None, ..MetadataRequest::default() }, number);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = Client::to(&broker);
                (0..60).for_each(|number| client.send_bytes(&ask(number)));
                for number in 0.. {
                    assert_eq!(client.answer::<MetadataRequest>(12, number).error_code, ErrorCode::None);
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    client.send_bytes(&ask(number + 60));
                }
            });
        }
        let served = std::panic::catch_unwind(|| {
            for _ in 0..5 {
                let begun = Instant::now();
                let mut neighbour = Neighbour::of(&broker);
                assert!(begun.elapsed() < 5 * PATIENCE, "a new client had to wait for {:?}", begun.elapsed());
                neighbour.round();
            }
        });
        stop.store(true, Ordering::Relaxed);
        if let Err(why) = served {
            std::panic::resume_unwind(why);
        }
    });
}
