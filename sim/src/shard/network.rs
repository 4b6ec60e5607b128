//! Connections as streams of bytes: cut anywhere, stalled, reset, half-open, read slowly.
//!
//! A wire carries one connection. The broker's end keeps to what the reactor promises (one receive outstanding, sends in order,
//! `Sent` when the kernel has all, `Hangup` once, `Closed` last); the client's end is what a client's socket is.

use alloc::{collections::BTreeMap, collections::VecDeque, vec::Vec};
use bytes::Bytes;
use flumen_broker::Mail;
use flumen_log::io::{ConnectionId, Direction, Event, NetEffect, SendPart};

use crate::{disk::SimDisk, random::Random};

/// From here on a frame is received into a buffer of its size, and nothing behind it.
const LARGE_BYTES: usize = 32 << 10;
/// What one receive of something small takes at most.
const SCRATCH_BYTES: usize = 64 << 10;

/// How a client ends a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// It closes; what it sent before arrives.
    Close,
    /// What is under way is lost, and the broker is told.
    Reset,
    /// It is gone, and the broker is not told.
    Vanish,
}

/// What is left to do at the broker's end of a wire.
#[derive(Debug)]
enum Part {
    Piece(SendPart),
    /// Everything of one send lies before this.
    End,
}

#[derive(Debug)]
struct Wire {
    shard: usize,
    /// From the client, on its way.
    up: VecDeque<u8>,
    /// In the broker's kernel, on its way to the client.
    down: VecDeque<u8>,
    receiving: Option<(Vec<u8>, usize)>,
    parts: VecDeque<Part>,
    /// Bytes that left since the machine was last told.
    moved: usize,
    ending: Option<Ending>,
    hung_up: bool,
    closing: bool,
    /// The broker said that nothing more comes.
    finished: bool,
    /// The broker's end is gone; the client reads what is left in `down`.
    broker_gone: bool,
    /// The broker's end is gone and nobody was told.
    silent: bool,
}

/// What the network of a seed is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    /// Bytes that move at once, at most.
    pub(super) chunk_bytes: usize,
    /// Bytes that the kernel keeps for a slow reader.
    pub(super) socket_bytes: usize,
}

/// All wires.
#[derive(Debug)]
pub(super) struct Network {
    wires: BTreeMap<u64, Wire>,
    next: u64,
    weather: Weather,
}

pub(super) type ShardEvents = Vec<Event<Mail>>;

impl Network {
    pub(super) const fn new(weather: Weather) -> Self {
        Self { wires: BTreeMap::new(), next: 0, weather }
    }

    pub(super) const fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// A client connects to a shard: the wire's number, and what the shard is told.
    pub(super) fn connect(&mut self, shard: usize) -> (u64, Event<Mail>) {
        self.next += 1;
        let wire = Wire {
            shard,
            up: VecDeque::new(),
            down: VecDeque::new(),
            receiving: None,
            parts: VecDeque::new(),
            moved: 0,
            ending: None,
            hung_up: false,
            closing: false,
            finished: false,
            broker_gone: false,
            silent: false,
        };
        self.wires.insert(self.next, wire);
        let peer = alloc::format!("client-{}", self.next);
        (self.next, Event::Accepted { connection: ConnectionId(self.next), listener: 0, peer })
    }

    /// A client sends.
    pub(super) fn send(&mut self, wire: u64, bytes: &[u8]) {
        if let Some(wire) = self.wires.get_mut(&wire) {
            wire.up.extend(bytes);
        }
    }

    /// A client ends its connection.
    pub(super) fn end(&mut self, number: u64, ending: Ending) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        wire.ending = Some(ending);
        if ending != Ending::Close {
            wire.up.clear();
        }
        if wire.broker_gone || wire.silent {
            self.wires.remove(&number);
        }
    }

    /// Bytes for a client, and whether its connection has ended behind them.
    pub(super) fn receive(&mut self, number: u64, random: &mut Random) -> (Vec<u8>, bool) {
        let Some(wire) = self.wires.get_mut(&number) else { return (Vec::new(), true) };
        let count = wire.down.len().min(1 + random.index(self.weather.chunk_bytes));
        let bytes = wire.down.drain(..count).collect();
        let ended = (wire.broker_gone || wire.finished) && wire.down.is_empty();
        if wire.broker_gone && ended {
            self.wires.remove(&number);
        } else if ended {
            // Nothing more comes: the client closes its side as well.
            wire.ending = Some(Ending::Close);
        }
        (bytes, ended)
    }

    /// Whether anything waits for a client here.
    pub(super) fn has_news(&self, number: u64) -> bool {
        self.wires.get(&number).is_none_or(|wire| !wire.down.is_empty() || wire.broker_gone || wire.finished)
    }

    /// The broker's process is gone. Where the power went, nobody is told.
    pub(super) fn broker_died(&mut self, power: bool) {
        for wire in self.wires.values_mut() {
            wire.parts.clear();
            wire.receiving = None;
            wire.up.clear();
            wire.down.clear();
            wire.broker_gone |= !power;
            wire.silent = power;
        }
        self.wires.retain(|_, wire| wire.ending.is_none());
    }

    /// A shard wants something of a connection. What it is told on the spot is answered.
    pub(super) fn apply(&mut self, effect: NetEffect) -> Option<Event<Mail>> {
        match effect {
            NetEffect::Receive { connection, prefix, at_least } => {
                let wire = self.wires.get_mut(&connection.0).filter(|wire| !wire.closing && !wire.hung_up)?;
                assert!(wire.receiving.is_none(), "one receive at a time on {connection:?}");
                if prefix.len() >= at_least.max(1) {
                    return Some(Event::Received { connection, data: prefix });
                }
                wire.receiving = Some((prefix.to_vec(), at_least));
            }
            NetEffect::Send { connection, parts } => {
                let wire = self.wires.get_mut(&connection.0).filter(|wire| !wire.closing)?;
                wire.parts.extend(parts.into_iter().map(Part::Piece));
                wire.parts.push_back(Part::End);
            }
            NetEffect::Close { connection } => {
                if let Some(wire) = self.wires.get_mut(&connection.0) {
                    wire.closing = true;
                    wire.receiving = None;
                    wire.parts.clear();
                }
            }
            NetEffect::Finish { connection } => {
                if let Some(wire) = self.wires.get_mut(&connection.0).filter(|wire| !wire.closing) {
                    assert!(wire.parts.is_empty(), "{connection:?} is finished before its last send is done");
                    wire.finished = true;
                }
            }
            NetEffect::Accept { .. } => {}
        }
        None
    }

    /// Whoever vanished is known to be gone.
    pub(super) fn end_vanished(&mut self) {
        for wire in self.wires.values_mut().filter(|wire| wire.ending == Some(Ending::Vanish)) {
            wire.ending = Some(Ending::Reset);
        }
    }

    /// Numbers of the wires that have a broker's end.
    pub(super) fn open(&self) -> Vec<u64> {
        self.wires.iter().filter(|(_, wire)| !wire.broker_gone && !wire.silent).map(|(number, _)| *number).collect()
    }

    /// Let something happen at the broker's end of a wire. What its shard is told.
    pub(super) fn step(&mut self, number: u64, disk: &SimDisk, random: &mut Random) -> Option<(usize, ShardEvents)> {
        let weather = self.weather;
        let wire = self.wires.get_mut(&number)?;
        let shard = wire.shard;
        let connection = ConnectionId(number);
        let mut events = Vec::new();
        if wire.closing {
            wire.broker_gone = true;
            if random.one_in(2) {
                // What the client had not read is lost with a reset.
                wire.down.clear();
            }
            if wire.ending.is_some() {
                self.wires.remove(&number);
            }
            return Some((shard, Vec::from([Event::Closed { connection }])));
        }
        if random.one_in(2) {
            wire.deliver_up(connection, weather, random, &mut events);
        } else {
            wire.fill_down(connection, weather, disk, random, &mut events);
        }
        (!events.is_empty()).then_some((shard, events))
    }
}

impl Wire {
    /// Bytes of the client reach the broker's receive, or their end does.
    fn deliver_up(&mut self, connection: ConnectionId, weather: Weather, random: &mut Random, events: &mut ShardEvents) {
        let Some((mut gathered, at_least)) = self.receiving.take() else { return };
        if self.up.is_empty() {
            match self.ending {
                Some(Ending::Close | Ending::Reset) => self.hang_up(connection, events),
                Some(Ending::Vanish) | None => self.receiving = Some((gathered, at_least)),
            }
            return;
        }
        let room = if at_least > LARGE_BYTES { at_least - gathered.len() } else { SCRATCH_BYTES };
        let count = self.up.len().min(room).min(1 + random.index(weather.chunk_bytes));
        gathered.extend(self.up.drain(..count));
        if gathered.len() >= at_least {
            events.push(Event::Received { connection, data: Bytes::from(gathered) });
        } else {
            self.receiving = Some((gathered, at_least));
            events.push(Event::Progress { connection, direction: Direction::In, bytes: count });
        }
    }

    fn hang_up(&mut self, connection: ConnectionId, events: &mut ShardEvents) {
        self.receiving = None;
        self.parts.clear();
        if !core::mem::replace(&mut self.hung_up, true) {
            events.push(Event::Hangup { connection });
        }
    }

    /// The kernel takes bytes of the oldest send, as far as it has room.
    fn fill_down(
        &mut self,
        connection: ConnectionId,
        weather: Weather,
        disk: &SimDisk,
        random: &mut Random,
        events: &mut ShardEvents,
    ) {
        if self.parts.is_empty() {
            return;
        }
        if matches!(self.ending, Some(Ending::Reset)) {
            return self.hang_up(connection, events);
        }
        let mut room = weather.socket_bytes.saturating_sub(self.down.len()).min(1 + random.index(weather.chunk_bytes));
        while let Some(part) = self.parts.front_mut() {
            let taken = match part {
                Part::End => {
                    self.parts.pop_front();
                    self.moved = 0;
                    events.push(Event::Sent { connection });
                    continue;
                }
                Part::Piece(_) if room == 0 => break,
                Part::Piece(SendPart::Bytes(bytes)) => {
                    let taken = bytes.split_to(room.min(bytes.len()));
                    if bytes.is_empty() {
                        self.parts.pop_front();
                    }
                    taken
                }
                Part::Piece(SendPart::File(slice)) => {
                    let length = room.min(usize::try_from(slice.length).unwrap_or_default());
                    let taken = disk.read_handle(slice.file.handle, slice.position, length).unwrap_or_default();
                    if taken.len() < length {
                        // The file is shorter than promised.
                        return self.hang_up(connection, events);
                    }
                    slice.position += length as u64;
                    slice.length -= u32::try_from(length).unwrap_or_default();
                    if slice.length == 0 {
                        self.parts.pop_front();
                    }
                    taken
                }
            };
            room -= taken.len();
            self.moved += taken.len();
            if !matches!(self.ending, Some(Ending::Close)) {
                self.down.extend(taken);
            }
        }
        let moved = core::mem::take(&mut self.moved);
        if moved > 0 && !self.parts.is_empty() {
            events.push(Event::Progress { connection, direction: Direction::Out, bytes: moved });
        }
    }
}
