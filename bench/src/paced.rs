//! Open loop: records leave on a schedule, each in a request of its own, and their time counts from the moment they were due.
//!
//! A server that stalls does not slow the schedule down: what was due meanwhile waits, and its waiting is counted (no
//! coordinated omission). Records go to the partitions and connections in turn.

use crate::Outcome;
use crate::batch::Batch;
use crate::lane::{Lane, Peer, serve};
use crate::latency::Latencies;
use crate::report::Measured;
use bytes::Bytes;
use clap::Args;
use std::time::{Duration, Instant};

/// How long the last answers may take.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct Options {
    /// HOST:PORT of the broker
    #[arg(long)]
    address: String,
    /// Its process id, for its processor time
    #[arg(long)]
    server: u32,
    #[arg(long, default_value = "bench")]
    topic: String,
    /// Partitions to spread records over
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Records a second
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// Bytes of a record's value
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    /// Seconds before the measured part
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds of the measured part
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    let batch = Batch::filled(options.record_bytes, 0)?;
    let frames: Vec<Bytes> =
        (0..options.partitions).map(|partition| batch.produce_frame(&options.topic, partition)).collect::<Outcome<_>>()?;
    let mut frames = frames.iter().cycle();
    let lanes = (0..options.connections).map(|_| Lane::open(&options.address, Peer::Broker));
    let mut lanes: Vec<Lane> = lanes.collect::<Outcome<_>>()?;
    let mut latencies = Latencies::new()?;
    let rate = f64::from(options.rate);
    // As whole records, so that what is due is never a matter of rounding.
    let warm_up = (options.warm_up * rate) as u64;
    let all = warm_up + (options.seconds * rate) as u64;
    let start = Instant::now();
    let due = |record: u64| start + Duration::from_secs_f64(record as f64 / rate);
    let measured_from = due(warm_up);
    let (mut sent, mut answers) = (0, 0);
    let mut clocks = None;
    while answers < all {
        let now = Instant::now();
        while sent < all && due(sent) <= now {
            if sent == warm_up {
                clocks = Some(Measured::begin(options.server)?);
            }
            let lane = usize::try_from(sent)? % lanes.len();
            lanes[lane].queue(frames.next().cloned().ok_or("no partition")?, due(sent));
            lanes[lane].send()?;
            sent += 1;
        }
        if sent == all && now > due(all) + PATIENCE {
            return Err(format!("{} answers are missing", all - answers).into());
        }
        let wait = if sent < all { due(sent).saturating_duration_since(Instant::now()) } else { PATIENCE };
        serve(&mut lanes, Some(wait), |_, since| {
            answers += 1;
            if since >= measured_from {
                latencies.record(since.elapsed());
            }
        })?;
    }
    let requests = all - warm_up;
    let clocks = clocks.ok_or("nothing to measure")?;
    clocks.end(requests * batch.payload_bytes, requests, Some(latencies.summary()))?.print()
}
