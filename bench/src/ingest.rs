//! Closed loop: a fixed number of produce requests in flight on each connection, the next as soon as one is answered.
//!
//! Says what the server can take and what it costs. Latency of a closed loop is that of the queue it keeps, and no more.

use crate::Outcome;
use crate::batch::Batch;
use crate::lane::{Lane, Peer, serve};
use crate::latency::Latencies;
use crate::report::Measured;
use bytes::Bytes;
use clap::Args;
use std::time::Instant;

#[derive(Args)]
pub(crate) struct Options {
    /// HOST:PORT of the server
    #[arg(long)]
    address: String,
    /// Its process id, for its processor time
    #[arg(long)]
    server: u32,
    /// Who it is
    #[arg(long, value_enum, default_value_t = Peer::Broker)]
    peer: Peer,
    #[arg(long, default_value = "bench")]
    topic: String,
    /// Partitions to spread requests over
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Requests in flight on each connection
    #[arg(long, default_value_t = 2)]
    depth: usize,
    /// Bytes of a record's value
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    /// Bytes of a batch, at most
    #[arg(long, default_value_t = 1 << 20)]
    batch_bytes: usize,
    /// Give records keys: so many batches with keys of their own, over and over
    #[arg(long)]
    keyed_batches: Option<u64>,
    /// MiB of values before the measured part
    #[arg(long, default_value_t = 1024)]
    warm_up: u64,
    /// MiB of values of the measured part
    #[arg(long, default_value_t = 3072)]
    mebibytes: u64,
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    let first_keys: Vec<Option<u64>> =
        options.keyed_batches.map_or_else(|| vec![None], |batches| (0..batches).map(|batch| Some(batch << 32)).collect());
    let batches = first_keys.iter().map(|first| Batch::with_keys(options.record_bytes, options.batch_bytes, *first));
    let batches: Vec<Batch> = batches.collect::<Outcome<_>>()?;
    let batch = batches.first().ok_or("no batch")?;
    let produce = |batch: &Batch| {
        (0..options.partitions).map(|partition| batch.produce_frame(&options.topic, partition)).collect::<Outcome<Vec<Bytes>>>()
    };
    let frames: Vec<Bytes> = batches.iter().map(produce).collect::<Outcome<Vec<_>>>()?.concat();
    let mut frames = frames.iter().cycle();
    let lanes = (0..options.connections).map(|_| Lane::open(&options.address, options.peer));
    let mut lanes: Vec<Lane> = lanes.collect::<Outcome<_>>()?;
    let mut latencies = Latencies::new()?;
    let per_request = batch.payload_bytes;
    let warm_up = (options.warm_up << 20).div_ceil(per_request);
    let measured = (options.mebibytes << 20).div_ceil(per_request);
    let mut clocks = None;
    let mut answers = 0;
    while answers < warm_up + measured {
        if answers >= warm_up && clocks.is_none() {
            clocks = Some((Measured::begin(options.server)?, answers));
        }
        for lane in &mut lanes {
            while lane.depth() < options.depth {
                lane.queue(frames.next().cloned().ok_or("no partition")?, Instant::now());
                lane.send()?;
            }
        }
        serve(&mut lanes, None, |_, since| {
            answers += 1;
            if clocks.is_some() {
                latencies.record(since.elapsed());
            }
        })?;
    }
    let (clocks, before) = clocks.ok_or("nothing to measure")?;
    let requests = answers - before;
    clocks.end(requests * per_request, requests, Some(latencies.summary()))?.print()
}
