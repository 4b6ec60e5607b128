//! One connection of a load: requests queued and in flight, answers held against them. Never waits.

use crate::batch::{HEAD_BYTES, PRODUCE_VERSION, head};
use crate::{Failure, Outcome};
use bytes::Bytes;
use flumen_protocol::{ApiKey, ErrorCode, Response, decode_response};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Peer {
    /// A broker: a Produce response, whose error codes must all be none.
    Broker,
    /// The sink: sixteen bytes that echo the correlation id.
    Sink,
}

/// Bytes that answers are received into at a time.
const RECEIVE_BYTES: usize = 16 << 10;

/// A request, and the moment its time counts from.
struct Waiting {
    frame: Bytes,
    since: Instant,
}

/// A connection.
pub(crate) struct Lane {
    socket: TcpStream,
    peer: Peer,
    /// Not sent completely; the first may be in part.
    queued: VecDeque<Waiting>,
    sent_of_first: usize,
    next_correlation: i32,
    /// Sent and not answered: since when, by rising correlation ids.
    unanswered: VecDeque<Instant>,
    received: Vec<u8>,
}

impl Lane {
    pub(crate) fn open(address: &str, peer: Peer) -> Outcome<Self> {
        let socket = TcpStream::connect(address).map_err(|error| format!("{address}: {error}"))?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            peer,
            queued: VecDeque::new(),
            sent_of_first: 0,
            next_correlation: 0,
            unanswered: VecDeque::new(),
            received: Vec::new(),
        })
    }

    /// Let a request wait to be sent; its time counts from `since`.
    pub(crate) fn queue(&mut self, frame: Bytes, since: Instant) {
        self.queued.push_back(Waiting { frame, since });
    }

    /// Requests without an answer, those not sent included.
    pub(crate) fn depth(&self) -> usize {
        self.queued.len() + self.unanswered.len()
    }

    /// Send what the socket has room for.
    pub(crate) fn send(&mut self) -> Outcome<()> {
        while let Some(first) = self.queued.front() {
            let head = head(&first.frame, self.next_correlation);
            let from_head = self.sent_of_first.min(HEAD_BYTES);
            let from_rest = self.sent_of_first.max(HEAD_BYTES);
            let slices = [IoSlice::new(&head[from_head..]), IoSlice::new(&first.frame[from_rest..])];
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match sendmsg(&self.socket, &slices, &mut SendAncillaryBuffer::default(), flags) {
                Ok(bytes) => self.sent_of_first += bytes,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(error) => return Err(format!("sending: {error}").into()),
            }
            if self.sent_of_first == first.frame.len() {
                self.sent_of_first = 0;
                self.next_correlation = self.next_correlation.wrapping_add(1);
                self.unanswered.extend(self.queued.pop_front().map(|sent| sent.since));
            }
        }
        Ok(())
    }

    /// Take the answers that are there; `answered` is told since when each request counted.
    pub(crate) fn receive(&mut self, mut answered: impl FnMut(Instant)) -> Outcome<()> {
        loop {
            let held = self.received.len();
            self.received.resize(held + RECEIVE_BYTES, 0);
            let result = recv(&self.socket, &mut self.received[held..], RecvFlags::DONTWAIT);
            let count = result.as_ref().map_or(0, |(count, _)| *count);
            self.received.truncate(held + count);
            match result {
                Ok((0, _)) => return Err("the server closed the connection".into()),
                Ok(_) => self.take_answers(&mut answered)?,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(error) => return Err(format!("receiving: {error}").into()),
            }
            if count < RECEIVE_BYTES {
                return Ok(());
            }
        }
    }

    fn take_answers(&mut self, answered: &mut impl FnMut(Instant)) -> Outcome<()> {
        let mut at = 0;
        while let Some(size) = self.received[at..].first_chunk::<4>() {
            let size = usize::try_from(i32::from_be_bytes(*size))?;
            let Some(frame) = self.received.get(at + 4..at + 4 + size) else { break };
            let since = self.unanswered.pop_front().ok_or("an answer nobody asked for")?;
            // The oldest unanswered request's number.
            let behind = i32::try_from(self.unanswered.len())? + 1;
            let expected = self.next_correlation.wrapping_sub(behind);
            check_answer(self.peer, frame, expected)?;
            answered(since);
            at += 4 + size;
        }
        self.received.drain(..at);
        Ok(())
    }
}

/// An answer must be to the request it stands for, and say that all went well.
fn check_answer(peer: Peer, frame: &[u8], expected: i32) -> Outcome<()> {
    let correlation = match peer {
        Peer::Sink => i32::from_be_bytes(*frame.first_chunk().ok_or("an acknowledgement without a number")?),
        Peer::Broker => {
            let (correlation, response) = decode_response(ApiKey::Produce, PRODUCE_VERSION, Bytes::copy_from_slice(frame))?;
            let Response::Produce(response) = response else { return Err("another API's answer".into()) };
            for partition in response.responses.iter().flat_map(|topic| &topic.partition_responses) {
                if partition.error_code != ErrorCode::None {
                    let (index, code) = (partition.index, partition.error_code);
                    return Err(format!("partition {index}: {code:?} {:?}", partition.error_message).into());
                }
            }
            correlation
        }
    };
    if correlation == expected { Ok(()) } else { Err(format!("answer {correlation} where {expected} was due").into()) }
}

/// Wait until a lane has an answer, or room where it needs some; at most for `patience`. Then send and receive.
pub(crate) fn serve(lanes: &mut [Lane], patience: Option<Duration>, mut answered: impl FnMut(usize, Instant)) -> Outcome<()> {
    let patience = patience.map(Timespec::try_from).transpose()?;
    let mut ready: Vec<PollFd<'_>> = lanes
        .iter()
        .map(|lane| {
            let room = if lane.queued.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            PollFd::new(&lane.socket, PollFlags::IN | room)
        })
        .collect();
    match poll(&mut ready, patience.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(Failure::from(format!("waiting: {error}"))),
    }
    let ready: Vec<PollFlags> = ready.iter().map(PollFd::revents).collect();
    for (index, (lane, ready)) in lanes.iter_mut().zip(ready).enumerate() {
        if ready.intersects(PollFlags::IN | PollFlags::ERR | PollFlags::HUP) {
            lane.receive(|since| answered(index, since))?;
        }
        if ready.intersects(PollFlags::OUT) {
            lane.send()?;
        }
    }
    Ok(())
}
