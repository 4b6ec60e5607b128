//! A reader that throws away what it reads: it costs as little as can be, so that the server's side is what is seen.
//!
//! The kernel is told to discard the bytes (`MSG_TRUNC`), so they are never copied. A spinning reader never sleeps, and the
//! server never pays for waking it; a sleeping one waits for the socket as a client would. Of a broker it reads a partition
//! that [`crate::ingest`] filled, whose batches all have one size, so that the offset of the next fetch is known without looking
//! at the records; of the `sendfile` yardstick, which needs no requests, whatever comes.

use crate::Outcome;
use crate::batch::{Batch, CLIENT};
use crate::report::Measured;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use flumen_protocol::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse, PartitionData};
use flumen_protocol::{ApiKey, ErrorCode, Records, Request, Response, Text, decode_response};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::io::Write;
use std::net::TcpStream;

/// The version of Fetch that is spoken: the last whose answer has one length whatever it says.
const FETCH_VERSION: i16 = 11;
/// Most that is discarded in one call.
const DISCARD_BYTES: usize = 4 << 20;

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Sender {
    /// A broker: fetches are answered.
    Broker,
    /// The yardstick: bytes come without being asked for.
    Sendfile,
}

#[derive(Args)]
pub(crate) struct Options {
    /// HOST:PORT of the server
    #[arg(long)]
    address: String,
    /// Its process id, for its processor time
    #[arg(long)]
    server: u32,
    /// Who it is
    #[arg(long, value_enum, default_value_t = Sender::Broker)]
    sender: Sender,
    #[arg(long, default_value = "bench")]
    topic: String,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Sleep until there is something instead of looking again and again
    #[arg(long)]
    sleep: bool,
    /// The most a fetch asks for, in KiB
    #[arg(long, default_value_t = 1024)]
    fetch: i32,
    /// Bytes of a record's value, as they were written
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    /// Bytes of a batch at most, as they were written
    #[arg(long, default_value_t = 1 << 20)]
    batch_bytes: usize,
    /// MiB before the measured part
    #[arg(long, default_value_t = 1024)]
    warm_up: u64,
    /// MiB of the measured part
    #[arg(long, default_value_t = 8192)]
    mebibytes: u64,
}

/// What is asked for, and how its answers look.
struct Fetches {
    topic: Text,
    bytes_max: i32,
    batch: Batch,
    /// Bytes of an answer before its records, the four of its size included.
    head_bytes: usize,
}

impl Fetches {
    fn new(options: &Options) -> Outcome<Self> {
        let topic = Text::from(options.topic.as_str());
        let partitions = vec![PartitionData { records: Some(Records::default()), ..PartitionData::default() }];
        let responses = vec![FetchableTopicResponse { topic: topic.clone(), partitions, ..FetchableTopicResponse::default() }];
        let empty = Response::from(FetchResponse { responses, ..FetchResponse::default() }).encode(FETCH_VERSION, 0);
        let batch = Batch::filled(options.record_bytes, options.batch_bytes)?;
        Ok(Self { topic, bytes_max: options.fetch << 10, batch, head_bytes: empty.bytes.len() })
    }

    fn frame(&self, partition: i32, offset: i64) -> Outcome<Bytes> {
        let partition = FetchPartition {
            partition,
            current_leader_epoch: -1,
            fetch_offset: offset,
            log_start_offset: -1,
            partition_max_bytes: self.bytes_max,
            ..FetchPartition::default()
        };
        let topics = vec![FetchTopic { topic: self.topic.clone(), partitions: vec![partition], ..FetchTopic::default() }];
        let request = Request::from(FetchRequest {
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: self.bytes_max,
            session_epoch: -1,
            topics,
            ..FetchRequest::default()
        });
        request.encode(FETCH_VERSION, 0, Some(CLIENT)).map_err(|error| format!("no request: {error}").into())
    }

    /// What an answer's head says: the records' bytes, and the offset to go on from.
    fn judge(&self, head: &mut [u8], offset: i64) -> Outcome<(usize, i64)> {
        let (rest, length) = head.split_last_chunk_mut::<4>().ok_or("an answer without a length")?;
        let bytes = usize::try_from(i32::from_be_bytes(*length))?;
        // With its records taken out the head is an answer of its own.
        let frame = Bytes::from([&rest[4..], &[0; 4]].concat());
        let Response::Fetch(response) = decode_response(ApiKey::Fetch, FETCH_VERSION, frame)?.1 else {
            return Err("another API's answer".into());
        };
        let partition = response.responses.first().and_then(|topic| topic.partitions.first()).ok_or("an empty answer")?;
        if response.error_code != ErrorCode::None || partition.error_code != ErrorCode::None {
            return Err(format!("a fetch failed: {:?} {:?}", response.error_code, partition.error_code).into());
        }
        if bytes == 0 || !bytes.is_multiple_of(self.batch.bytes.len()) {
            return Err(format!("{bytes} bytes are no whole number of batches of {}", self.batch.bytes.len()).into());
        }
        let records = (bytes / self.batch.bytes.len()) as i64 * i64::from(self.batch.records);
        let next = offset + records;
        Ok((bytes, if next < partition.high_watermark { next } else { 0 }))
    }
}

/// A connection.
struct Lane {
    socket: TcpStream,
    partition: i32,
    offset: i64,
    head: Vec<u8>,
    /// Bytes of records still to come.
    left: usize,
}

impl Lane {
    fn ask(&mut self, fetches: &Fetches) -> Outcome<()> {
        self.head.clear();
        Ok(self.socket.write_all(&fetches.frame(self.partition, self.offset)?)?)
    }

    /// Take what is there: how many bytes of records or, of the yardstick, of anything; zero if there is nothing.
    fn take(&mut self, fetches: Option<&Fetches>, discard: &mut [u8]) -> Outcome<usize> {
        let Some(fetches) = fetches else { return self.discard(discard) };
        if self.left == 0 {
            let missing = fetches.head_bytes - self.head.len();
            let Some(count) = received(recv(&self.socket, &mut discard[..missing], RecvFlags::DONTWAIT))? else { return Ok(0) };
            self.head.extend_from_slice(&discard[..count]);
            if self.head.len() < fetches.head_bytes {
                return Ok(0);
            }
            (self.left, self.offset) = fetches.judge(&mut self.head, self.offset)?;
        }
        let wanted = self.left.min(discard.len());
        let count = self.discard(&mut discard[..wanted])?;
        self.left -= count;
        if self.left == 0 {
            self.ask(fetches)?;
        }
        Ok(count)
    }

    /// Let the kernel throw away as much as is there.
    fn discard(&self, discard: &mut [u8]) -> Outcome<usize> {
        Ok(received(recv(&self.socket, discard, RecvFlags::DONTWAIT | RecvFlags::TRUNC))?.unwrap_or(0))
    }
}

fn received(result: Result<(usize, usize), Errno>) -> Outcome<Option<usize>> {
    match result {
        Ok((0, _)) => Err("the server closed the connection".into()),
        Ok((count, _)) => Ok(Some(count)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(format!("receiving: {error}").into()),
    }
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    let fetches = match options.sender {
        Sender::Broker => Some(Fetches::new(options)?),
        Sender::Sendfile => None,
    };
    let mut lanes = Vec::new();
    for partition in 0..i32::try_from(options.connections)? {
        let socket = TcpStream::connect(&options.address)?;
        socket.set_nodelay(true)?;
        let mut lane = Lane { socket, partition, offset: 0, head: Vec::new(), left: 0 };
        if let Some(fetches) = &fetches {
            lane.ask(fetches)?;
        }
        lanes.push(lane);
    }
    let mut discard = vec![0; DISCARD_BYTES];
    let (warm_up, all) = (options.warm_up << 20, (options.warm_up + options.mebibytes) << 20);
    let mut clocks = None;
    let mut bytes = 0;
    while bytes < all {
        if bytes >= warm_up && clocks.is_none() {
            clocks = Some((Measured::begin(options.server)?, bytes));
        }
        if options.sleep {
            let mut waiting: Vec<PollFd<'_>> = lanes.iter().map(|lane| PollFd::new(&lane.socket, PollFlags::IN)).collect();
            poll(&mut waiting, None)?;
        }
        for lane in &mut lanes {
            bytes += lane.take(fetches.as_ref(), &mut discard)? as u64;
        }
    }
    let (clocks, before) = clocks.ok_or("nothing to measure")?;
    let moved = bytes - before;
    clocks.end(moved, moved / (options.fetch as u64 * 1024).max(1), None)?.print()
}
