//! A machine that sends every length-prefixed frame back.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use flumen_log::{
    Monotonic, Now,
    io::{ConnectionId, Direction, Effects, Event, Machine, NetEffect, SendPart},
};

#[derive(Default)]
struct Peer {
    sends: usize,
    hung_up: bool,
}

/// Counts what it was told.
#[derive(Default)]
pub struct Echo {
    peers: BTreeMap<ConnectionId, Peer>,
    stopping: bool,
    pub accepted: usize,
    pub hangups: usize,
    pub closed: usize,
    pub frames: usize,
    pub progress_in: usize,
    pub progress_out: usize,
    /// Largest number of connections at a time.
    pub most: usize,
}

impl Echo {
    fn receive(connection: ConnectionId, rest: Bytes, effects: &mut Effects<()>) {
        let at_least = match rest.first_chunk::<4>() {
            Some(length) => 4 + u32::from_be_bytes(*length) as usize,
            None => 4,
        };
        effects.net.push(NetEffect::Receive { connection, prefix: rest, at_least });
    }

    fn received(&mut self, connection: ConnectionId, mut data: Bytes, effects: &mut Effects<()>) {
        while let Some(length) = data.first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            if data.len() < 4 + length {
                break;
            }
            // In two parts, so that parts are put together in order.
            let head = data.split_to(4);
            let body = data.split_to(length);
            effects.net.push(NetEffect::Send { connection, parts: vec![SendPart::Bytes(head), SendPart::Bytes(body)] });
            self.peers.get_mut(&connection).expect("told of before").sends += 1;
            self.frames += 1;
        }
        assert!(data.remaining() < 64 << 20);
        Self::receive(connection, data, effects);
    }

    fn close_if_done(&self, connection: ConnectionId, effects: &mut Effects<()>) {
        if self.peers.get(&connection).is_some_and(|peer| peer.hung_up && peer.sends == 0) {
            effects.net.push(NetEffect::Close { connection });
        }
    }
}

impl Machine for Echo {
    type Mail = ();

    fn handle(&mut self, event: Event<()>, _now: Now, effects: &mut Effects<()>) {
        match event {
            Event::Accepted { connection, .. } => {
                self.accepted += 1;
                assert!(self.peers.insert(connection, Peer::default()).is_none(), "an id is never used again");
                self.most = self.most.max(self.peers.len());
                Self::receive(connection, Bytes::new(), effects);
            }
            Event::Received { connection, data } => self.received(connection, data, effects),
            Event::Progress { direction: Direction::In, .. } => self.progress_in += 1,
            Event::Progress { direction: Direction::Out, .. } => self.progress_out += 1,
            Event::Sent { connection } => {
                self.peers.get_mut(&connection).expect("told of before").sends -= 1;
                self.close_if_done(connection, effects);
            }
            Event::Hangup { connection } => {
                self.hangups += 1;
                let peer = self.peers.get_mut(&connection).expect("told of before");
                assert!(!peer.hung_up, "a hangup is told once");
                peer.hung_up = true;
                self.close_if_done(connection, effects);
                // What is left cannot be sent if the peer is gone; half-closed ones are awaited.
            }
            Event::Closed { connection } => {
                self.closed += 1;
                self.peers.remove(&connection).expect("told of before");
            }
            Event::Stop => {
                self.stopping = true;
                effects.net.push(NetEffect::Accept { enabled: false });
                effects.net.extend(self.peers.keys().map(|&connection| NetEffect::Close { connection }));
            }
            Event::Mail { .. } | Event::Completed(_) | Event::Unreadable { .. } => {
                unreachable!("nobody writes, nothing is asked of files")
            }
        }
    }

    fn end_turn(&mut self, _now: Now, _effects: &mut Effects<()>) {}

    fn next_deadline(&self) -> Option<Monotonic> {
        None
    }

    fn is_finished(&self) -> bool {
        self.stopping && self.peers.is_empty()
    }
}
