//! Simulated clients: real frames through a wire, answered in order or never.
//!
//! A client has a role (producer, consumer, admin) that says what to ask next and takes the answers; what is here is what every
//! client library does: frames, correlation ids, timeouts, and a new connection after the old one is gone. Whatever was asked and
//! not answered on a connection that ended is unknown.

mod admin;
mod consumer;
mod parker;
mod producer;
mod reader;

use alloc::{collections::VecDeque, format, vec::Vec};
use bytes::Bytes;
use flumen_log::{Monotonic, Now};
use flumen_protocol::{ApiKey, Request, Response, decode_response};

pub(super) use admin::Admin;
pub(super) use consumer::Consumer;
pub(super) use parker::Parker;
pub(super) use producer::Producer;
pub(super) use reader::Reader;

use super::{
    Work,
    ledger::Ledger,
    network::{Ending, Network},
    swarm::Swarm,
    trace::Trace,
};
use crate::random::Random;

/// How long a client waits before it connects again, at most.
const BACKOFF_MS: u64 = 60;

/// What a client works on.
pub(super) struct Context<'a, 'b> {
    pub(super) now: Now,
    pub(super) random: &'a mut Random,
    pub(super) ledger: &'a mut Ledger,
    pub(super) work: &'a mut Work,
    pub(super) swarm: &'a Swarm,
    pub(super) trace: &'a mut Trace<'b>,
    /// Nothing new is begun: what is open is brought to its end.
    pub(super) settling: bool,
}

/// What a client does.
#[derive(Debug)]
pub(super) enum Role {
    Producer(Producer),
    Consumer(Consumer),
    Admin(Admin),
    Reader(Reader),
    Parker(Parker),
}

/// A request, and what its role has to remember of it.
#[derive(Debug)]
pub(super) struct Ask {
    request: Request,
    version: i16,
    what: What,
    /// No answer comes: a produce with `acks=0`.
    silent: bool,
}

#[derive(Debug)]
enum What {
    Producer(producer::Asked),
    Consumer(consumer::Asked),
    Admin(admin::Asked),
    Reader(reader::Asked),
    Parker,
}

#[derive(Debug)]
struct Expected {
    correlation_id: i32,
    api: ApiKey,
    version: i16,
    what: What,
    deadline: Monotonic,
}

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    number: u64,
    pub(super) role: Role,
    wire: Option<u64>,
    expected: VecDeque<Expected>,
    correlation_id: i32,
    inbox: Vec<u8>,
    /// When it does something by itself next.
    next_at: Monotonic,
}

impl Client {
    pub(super) fn new(number: u64, role: Role) -> Self {
        Self { number, role, wire: None, expected: VecDeque::new(), correlation_id: 0, inbox: Vec::new(), next_at: Monotonic(0) }
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.wire.is_some()
    }

    /// Nothing is open any more.
    pub(super) fn is_settled(&self, ledger: &Ledger) -> bool {
        let role = match &self.role {
            Role::Producer(producer) => producer.is_settled(),
            Role::Consumer(consumer) => consumer.is_settled(ledger),
            Role::Admin(admin) => admin.is_settled(ledger),
            Role::Reader(reader) => reader.is_settled(),
            Role::Parker(_) => true,
        };
        role && self.expected.is_empty()
    }

    /// How far the last reading has come.
    pub(super) const fn has_read(&self) -> (usize, i64) {
        match &self.role {
            Role::Reader(reader) => reader.has_read(),
            _ => (0, 0),
        }
    }

    /// What it waits for, in words.
    pub(super) fn describe(&self) -> alloc::string::String {
        format!("client {}: {:?}, {} answers outstanding", self.number, self.role, self.expected.len())
    }

    /// When it acts by itself.
    pub(super) fn next_deadline(&self) -> Monotonic {
        self.expected.front().map_or(self.next_at, |front| front.deadline.min(self.next_at))
    }

    /// Whether there is anything for it to do.
    pub(super) fn is_ready(&self, now: Monotonic, network: &Network) -> bool {
        self.next_deadline() <= now || self.wire.is_some_and(|wire| network.has_news(wire))
    }

    /// A new connection: its wire.
    pub(super) fn connected(&mut self, wire: u64) {
        self.wire = Some(wire);
        self.inbox.clear();
        match &mut self.role {
            Role::Producer(producer) => producer.connected(),
            Role::Consumer(consumer) => consumer.connected(),
            Role::Admin(_) | Role::Reader(_) | Role::Parker(_) => {}
        }
    }

    /// Do one thing. Whether there was one.
    pub(super) fn step(&mut self, network: &mut Network, context: &mut Context<'_, '_>) -> bool {
        let Some(wire) = self.wire else { return false };
        let now = context.now.monotonic;
        let (bytes, ended) = network.receive(wire, context.random);
        let busy = !bytes.is_empty();
        self.inbox.extend(bytes);
        while let Some(frame) = take_frame(&mut self.inbox) {
            self.next_at = self.next_at.min(now.after_ms(context.random.below(context.swarm.think_ms)));
            if !self.answer(frame, context) {
                self.disconnect(network, Ending::Close, context);
                return true;
            }
        }
        if ended {
            self.lose(context);
            return true;
        }
        if self.expected.front().is_some_and(|front| front.deadline <= now) {
            context.work.timeouts += 1;
            let ending = if context.random.one_in(2) { Ending::Close } else { Ending::Vanish };
            self.disconnect(network, ending, context);
            return true;
        }
        if self.next_at > now {
            return busy;
        }
        let ask = self.next_ask(context);
        let Some(ask) = ask else {
            // Whatever it waits for will wake it, or its patience will.
            self.next_at = now.after_ms(10 + context.random.below(100));
            return busy;
        };
        self.next_at = now.after_ms(context.random.below(context.swarm.think_ms)).max(Monotonic(now.0 + 1));
        self.ask(wire, ask, network, context);
        true
    }

    fn next_ask(&mut self, context: &mut Context<'_, '_>) -> Option<Ask> {
        let outstanding = self.expected.len();
        match &mut self.role {
            Role::Producer(producer) => producer.next(outstanding, context),
            Role::Consumer(consumer) => consumer.next(outstanding, context),
            Role::Admin(admin) => admin.next(outstanding, context),
            Role::Reader(reader) => reader.next(outstanding, context),
            Role::Parker(parker) => parker.next(outstanding, context),
        }
    }

    fn ask(&mut self, wire: u64, ask: Ask, network: &mut Network, context: &mut Context<'_, '_>) {
        self.correlation_id += 1;
        let Ask { request, version, what, silent } = ask;
        let api = request.api_key();
        let frame = request.encode(version, self.correlation_id, Some("simulated"));
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return context.ledger.violation(format!("{} {version} cannot be encoded: {error:?}", api.name())),
        };
        context.work.requests += 1;
        context.trace.note(
            &[3, self.number, api as u64, frame.len() as u64],
            format_args!(
                "{:>9} µs  client {} asks {} v{version} #{} ({} bytes): {what:?}",
                context.now.monotonic.0 / 1000,
                self.number,
                api.name(),
                self.correlation_id,
                frame.len()
            ),
        );
        network.send(wire, &frame);
        if !silent {
            let deadline = context.now.monotonic.after_ms(context.swarm.request_timeout_ms);
            self.expected.push_back(Expected { correlation_id: self.correlation_id, api, version, what, deadline });
        }
    }

    /// A frame came. False if the connection is of no more use.
    fn answer(&mut self, frame: Bytes, context: &mut Context<'_, '_>) -> bool {
        let Some(front) = self.expected.pop_front() else {
            context.ledger.violation(format!("client {} was answered and had asked nothing", self.number));
            return false;
        };
        let Expected { correlation_id, api, version, what, .. } = front;
        let (found, response) = match decode_response(api, version, frame) {
            Ok(decoded) => decoded,
            Err(error) => {
                context.ledger.violation(format!("client {}: an answer to {} v{version}: {error}", self.number, api.name()));
                return false;
            }
        };
        if found != correlation_id {
            context.ledger.violation(format!("client {}: answer {found} came for request {correlation_id}", self.number));
            return false;
        }
        context.work.answers += 1;
        context.trace.note(
            &[4, self.number, api as u64],
            format_args!(
                "{:>9} µs  client {} is answered #{correlation_id}: {}",
                context.now.monotonic.0 / 1000,
                self.number,
                Brief(&response)
            ),
        );
        match (&mut self.role, what) {
            (Role::Producer(producer), What::Producer(asked)) => producer.answered(asked, version, response, context),
            (Role::Consumer(consumer), What::Consumer(asked)) => consumer.answered(asked, response, context),
            (Role::Admin(admin), What::Admin(asked)) => admin.answered(asked, response, context),
            (Role::Reader(reader), What::Reader(asked)) => reader.answered(&asked, response, context),
            _ => {}
        }
        true
    }

    /// Give the connection up.
    pub(super) fn disconnect(&mut self, network: &mut Network, ending: Ending, context: &mut Context<'_, '_>) {
        if let Some(wire) = self.wire {
            network.end(wire, ending);
            context.trace.note(
                &[5, self.number],
                format_args!("{:>9} µs  client {}: {ending:?}", context.now.monotonic.0 / 1000, self.number),
            );
            self.lose(context);
        }
    }

    /// The connection is gone; what was asked and not answered is unknown.
    fn lose(&mut self, context: &mut Context<'_, '_>) {
        self.wire = None;
        context.work.disconnects += 1;
        self.next_at = context.now.monotonic.after_ms(context.random.below(BACKOFF_MS));
        for expected in core::mem::take(&mut self.expected) {
            match (&mut self.role, expected.what) {
                (Role::Producer(producer), What::Producer(asked)) => producer.lost(asked),
                (Role::Admin(admin), What::Admin(asked)) => admin.lost(&asked, context.ledger),
                _ => {}
            }
        }
    }
}

/// A whole frame off the front, without its length.
fn take_frame(inbox: &mut Vec<u8>) -> Option<Bytes> {
    let length = usize::try_from(i32::from_be_bytes(*inbox.first_chunk()?)).unwrap_or_default();
    if inbox.len() < 4 + length {
        return None;
    }
    let rest = inbox.split_off(4 + length);
    let frame = core::mem::replace(inbox, rest);
    Some(Bytes::from(frame).slice(4..))
}

/// A response in one line, long ones cut. Written only if somebody reads it.
struct Brief<'a>(&'a Response);

impl core::fmt::Display for Brief<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut text = format!("{:?}", self.0);
        if let Some((at, _)) = text.char_indices().nth(700) {
            text.truncate(at);
            text.push('…');
        }
        formatter.write_str(&text)
    }
}
