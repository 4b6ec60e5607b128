//! Bytes in, replies out: the connections of a shard.

use bytes::{Buf, Bytes};
use flumen_log::io::{ConnectionId, Direction, NetEffect, SendPart};
use flumen_protocol::ApiKey;

use super::{Class, Shard, Timer, Turn, stop::Stopping};
use crate::{
    connection::{Connection, Frame, Next, Overlap, Reply, Sending},
    mail::Ticket,
};

impl Shard {
    pub(super) fn accepted(&mut self, turn: &mut Turn<'_>, id: ConnectionId, listener: u16) {
        let mut connection = Connection::new(id, listener, turn.now.monotonic);
        let refused = self.connections.len() >= self.settings.limits.connections || self.stopping != Stopping::No;
        if refused {
            connection.closed = true;
            turn.effects.net.push(NetEffect::Close { connection: id });
        }
        self.connections.insert(id, connection);
        if !refused {
            let idle_ms = self.settings.limits.idle_ms.min(self.settings.limits.stalled_ms);
            self.timers.arm(turn.now.monotonic.after_ms(idle_ms), Timer::Connection(id));
            self.busy.push_back(id);
        }
    }

    pub(super) fn received(&mut self, turn: &mut Turn<'_>, id: ConnectionId, data: Bytes) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.receiving = false;
        connection.moved(Direction::In, turn.now.monotonic);
        connection.frames.received(data);
        self.busy.push_back(id);
    }

    pub(super) fn progressed(&mut self, turn: &mut Turn<'_>, id: ConnectionId, direction: Direction) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.moved(direction, turn.now.monotonic);
        }
    }

    pub(super) fn sent(&mut self, turn: &mut Turn<'_>, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.moved(Direction::Out, turn.now.monotonic);
        if let Some(sending) = connection.sending.pop_front() {
            connection.held -= sending.charge;
            self.budget.release(sending.charge);
            if sending.close_after {
                self.close(turn, id);
                return;
            }
        }
        self.busy.push_back(id);
        self.wake_starved();
    }

    /// Close a connection; what runs for it goes on without anybody to tell.
    pub(crate) fn close(&mut self, turn: &mut Turn<'_>, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && !connection.closed
        {
            connection.closed = true;
            turn.effects.net.push(NetEffect::Close { connection: id });
        }
    }

    pub(super) fn closed(&mut self, turn: &mut Turn<'_>, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        self.budget.release(connection.held);
        self.describing.remove(&id);
        self.uncredited.remove(&id);
        self.overdrawn.remove(&id);
        if connection.starved {
            self.budget.forget(id);
        }
        for sequence in connection.active {
            self.abandon(turn, Ticket { connection: id, sequence });
        }
        self.wake_starved();
    }

    /// It is time to look whether a connection is idle or stuck.
    pub(super) fn connection_deadline(&mut self, turn: &mut Turn<'_>, id: ConnectionId) {
        let limits = &self.settings.limits;
        let Some(connection) = self.connections.get(&id) else { return };
        match connection.deadline(limits) {
            Some(deadline) if deadline <= turn.now.monotonic => self.close(turn, id),
            deadline => {
                let latest = turn.now.monotonic.after_ms(limits.stalled_ms);
                self.timers.arm(deadline.map_or(latest, |deadline| deadline.min(latest)), Timer::Connection(id));
            }
        }
    }

    /// Let a connection get on: replies out, requests started, bytes read.
    pub(super) fn serve(&mut self, turn: &mut Turn<'_>, id: ConnectionId) {
        self.describe_on(id);
        self.send_replies(turn, id);
        self.start_requests(turn, id);
        self.take_frames(turn, id);
        self.start_requests(turn, id);
        self.send_replies(turn, id);
        // What was answered on the spot made room again.
        self.take_frames(turn, id);
        if self.stopping != Stopping::No {
            self.part(turn, id);
        }
    }

    /// Room in the budget: let those who waited for it go on.
    fn wake_starved(&mut self) {
        if !self.budget.is_overdrawn() {
            self.busy.extend(core::mem::take(&mut self.overdrawn));
        }
        // Each is served from the work queue, wakes the next of its kind, and goes back to the head of the line if there is
        // still not enough for it.
        for id in self.budget.next_waiting().into_iter().flatten() {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.starved = false;
                connection.resumed = true;
                self.busy.push_back(id);
            }
        }
    }

    fn take_frames(&mut self, turn: &mut Turn<'_>, id: ConnectionId) {
        while self.take_frame(turn, id) {}
    }

    /// Take a frame that is there, or see to it that more is received. Answers whether there may be another.
    fn take_frame(&mut self, turn: &mut Turn<'_>, id: ConnectionId) -> bool {
        let limits = &self.settings.limits;
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let stopped = connection.receiving || connection.starved || connection.draining || connection.closed;
        if stopped || connection.depth() >= limits.pipeline_depth {
            return false;
        }
        let (length, begun) = match connection.frames.peek(limits.frame_bytes) {
            Next::Whole { length } => (length, None),
            Next::Begun { length, at_least } => (length, Some(at_least)),
            Next::Nothing { at_least } => {
                connection.receive(turn.effects, at_least);
                return false;
            }
            Next::Refused { .. } => {
                self.close(turn, id);
                return false;
            }
        };
        let resumed = core::mem::take(&mut connection.resumed);
        if connection.receiving_charge == 0 && length > 0 {
            if connection.held > 0 && connection.held + length > limits.connection_bytes {
                // Its own replies, when they leave, let it go on.
                if resumed {
                    self.wake_starved();
                }
                return false;
            }
            if !self.budget.admit(length, resumed) {
                connection.starved = true;
                self.budget.wait(id, length, resumed);
                return false;
            }
            connection.receiving_charge = length;
            connection.frame_begun_at = turn.now.monotonic;
            connection.held += length;
        }
        if let Some(at_least) = begun {
            connection.receive(turn.effects, at_least);
        } else {
            let charge = core::mem::take(&mut connection.receiving_charge);
            let bytes = connection.frames.take(length);
            connection.inbox.push_back(Frame { bytes, charge });
        }
        if resumed {
            // There may be room for the next in line as well.
            self.wake_starved();
        }
        begun.is_none()
    }

    fn start_requests(&mut self, turn: &mut Turn<'_>, id: ConnectionId) {
        while let Some(connection) = self.connections.get_mut(&id) {
            if connection.closed || connection.draining {
                return;
            }
            let Some(frame) = connection.inbox.front() else { return };
            let key = frame.bytes.first_chunk::<2>().map(|key| i16::from_be_bytes(*key));
            let (overlap, class) = overlap_of(key);
            if !connection.pipeline.may_start(overlap) || connection.held > self.settings.limits.connection_bytes {
                return;
            }
            if self.budget.is_overdrawn() {
                self.overdrawn.insert(id);
                return;
            }
            let limits = &self.settings.limits;
            let in_this_turn = match class {
                Class::Control => self.fairness.may_start(limits.control_bytes_per_turn),
                Class::Produce => self.fairness.may_unpack(limits.unpacked_bytes_per_turn),
                Class::Fetch => true,
            };
            if !in_this_turn {
                self.fairness.defer(id);
                return;
            }
            if !self.credits.available(class) {
                self.uncredited.insert(id);
                return;
            }
            let Some(frame) = connection.inbox.pop_front() else { return };
            connection.charges.push_back(frame.charge);
            let sequence = connection.pipeline.start(overlap);
            connection.active.insert(sequence);
            if class == Class::Control {
                self.fairness.spend(id, frame.bytes.len());
            }
            self.dispatch(turn, Ticket { connection: id, sequence }, overlap, frame.bytes);
        }
    }

    /// A request has its result.
    pub(crate) fn finish(&mut self, ticket: Ticket, overlap: Overlap, reply: Reply) {
        let Some(connection) = self.connections.get_mut(&ticket.connection) else { return };
        if connection.active.remove(&ticket.sequence) {
            connection.pipeline.finish(ticket.sequence, overlap, reply);
            self.busy.push_back(ticket.connection);
        }
    }

    fn send_replies(&mut self, turn: &mut Turn<'_>, id: ConnectionId) {
        let mut released = false;
        while let Some(connection) = self.connections.get_mut(&id) {
            if connection.closed {
                return;
            }
            let Some(reply) = connection.pipeline.next_reply() else { break };
            let charge = connection.charges.pop_front().unwrap_or_default();
            match reply {
                Reply::Send(parts) => {
                    let bytes = parts.iter().map(memory_bytes).sum::<usize>();
                    self.budget.charge(bytes);
                    connection.held += bytes;
                    if connection.sending.is_empty() {
                        connection.sent_at = turn.now.monotonic;
                    }
                    connection.sending.push_back(Sending { charge: charge + bytes, close_after: false });
                    turn.effects.net.push(NetEffect::Send { connection: id, parts });
                }
                Reply::Silence => {
                    connection.held -= charge;
                    self.budget.release(charge);
                    released = true;
                }
                Reply::Close => {
                    connection.held -= charge;
                    self.budget.release(charge);
                    connection.draining = true;
                    match connection.sending.back_mut() {
                        Some(last) => last.close_after = true,
                        None => self.close(turn, id),
                    }
                    return;
                }
            }
        }
        if released {
            self.wake_starved();
        }
    }

    /// Credits came back: those whose next request found none may try again.
    pub(crate) fn credited(&mut self) {
        self.busy.extend(core::mem::take(&mut self.uncredited));
    }
}

impl Connection {
    pub(super) fn receive(&mut self, effects: &mut flumen_log::io::Effects<crate::mail::Mail>, at_least: usize) {
        self.receiving = true;
        let prefix = self.frames.remainder();
        effects.net.push(NetEffect::Receive { connection: self.id, prefix, at_least });
    }
}

fn memory_bytes(part: &SendPart) -> usize {
    match part {
        SendPart::Bytes(bytes) => bytes.remaining(),
        SendPart::File(_) => 0,
    }
}

const fn overlap_of(api_key: Option<i16>) -> (Overlap, Class) {
    match api_key {
        Some(key) if key == ApiKey::Produce as i16 => (Overlap::Produce, Class::Produce),
        Some(key) if key == ApiKey::Fetch as i16 => (Overlap::Exclusive, Class::Fetch),
        _ => (Overlap::Exclusive, Class::Control),
    }
}
