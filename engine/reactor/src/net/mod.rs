//! Connections: accepting, receiving, sending, closing.
//!
//! Invariants: a connection for which nothing is to be received is not read from; an idle one holds no buffer, in us or in
//! the ring; sends leave in order; what one connection, and all together, may send in a turn is bounded; a connection is
//! gone only when none of its operations is in flight.

mod accept;
mod connection;
mod receive;
mod send;
mod table;

use std::{collections::VecDeque, net::TcpListener, os::fd::IntoRawFd, sync::Arc};

use flumen_log::{
    Monotonic,
    io::{ConnectionId, Event, NetEffect},
};
use rustix::{
    io::Errno,
    net::{Shutdown, shutdown},
};

use crate::{
    ReactorSettings, Stalls,
    sys::{Outcome, Request, Ring},
    token::Token,
};
use accept::Listener;
use table::Table;

/// What the connections need of the loop.
pub(crate) struct Surroundings<'a, Mail> {
    pub(crate) ring: &'a mut Ring<Token>,
    pub(crate) events: &'a mut VecDeque<Event<Mail>>,
    pub(crate) now: Monotonic,
}

/// All listeners and connections of a shard.
pub(crate) struct Network {
    settings: ReactorSettings,
    listeners: Vec<Listener>,
    /// Whether the machine wants connections.
    accepting: bool,
    /// Accepting rests until then, for want of file descriptors or memory.
    accept_again: Option<Monotonic>,
    connections: Table,
    /// Those that can send.
    sendable: VecDeque<ConnectionId>,
    turn_send_left: usize,
    turn_receive_left: usize,
    /// Where small receives land before they are copied out to measure.
    scratch: Box<[u8]>,
    stalls: Arc<Stalls>,
}

impl Network {
    pub(crate) fn new(settings: &ReactorSettings, listeners: Vec<TcpListener>, stalls: Arc<Stalls>) -> std::io::Result<Self> {
        Ok(Self {
            settings: settings.clone(),
            listeners: listeners.into_iter().map(Listener::new).collect::<std::io::Result<_>>()?,
            accepting: settings.accept_at_once,
            accept_again: None,
            connections: Table::default(),
            sendable: VecDeque::new(),
            turn_send_left: settings.turn_send_bytes,
            turn_receive_left: settings.turn_receive_bytes,
            scratch: vec![0; receive::SCRATCH_BYTES].into_boxed_slice(),
            stalls,
        })
    }

    /// Start or queue what the machine wants.
    pub(crate) fn apply<Mail>(&mut self, effect: NetEffect, around: &mut Surroundings<'_, Mail>) {
        match effect {
            NetEffect::Receive { connection, prefix, at_least } => self.receive(connection, prefix, at_least, around),
            NetEffect::Send { connection, parts } => self.queue_send(connection, parts),
            NetEffect::Finish { connection } => self.finish(connection),
            NetEffect::Close { connection } => self.close(connection, around),
            NetEffect::Accept { enabled } => {
                self.accepting = enabled;
                self.arm_listeners(around.ring);
            }
        }
    }

    /// An operation of a connection or listener ended.
    pub(crate) fn finished<Mail>(
        &mut self,
        token: Token,
        request: Request,
        result: Result<Outcome, Errno>,
        around: &mut Surroundings<'_, Mail>,
    ) {
        let id = match token {
            Token::Acceptable(listener) => return self.accept(listener, result.is_err(), around),
            Token::Closed(id) => {
                self.connections.remove(id);
                around.events.push_back(Event::Closed { connection: id });
                return self.arm_listeners(around.ring);
            }
            Token::Readable(id) | Token::Received(id) | Token::Writable(id) | Token::Warmed(id) => id,
            Token::Woken | Token::File(_) | Token::Forgotten => unreachable!("not an operation of a connection"),
        };
        let connection = self.connections.get(id).expect("a connection stays while an operation uses it");
        connection.operations -= 1;
        let closing = connection.closing;
        // The socket's reference goes before the connection may be closed.
        match (token, request) {
            _ if closing => {}
            (Token::Readable(_), _) => self.readable(id, around),
            (Token::Received(_), Request::Receive { buffer, .. }) => self.received(id, buffer, result, around),
            (Token::Writable(_), _) => self.unblock_send(id),
            (Token::Warmed(_), Request::Warm { file, offset, length }) => self.warmed(id, (file, offset, length), result, around),
            _ => unreachable!("a token goes with its request"),
        }
        if closing {
            self.finish_close(id, around.ring);
        }
    }

    /// Send nothing more: the peer reads to the end of what was sent, and then that this is all.
    fn finish(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(id).filter(|connection| !connection.closing) {
            assert!(connection.parts.is_empty(), "{id:?} is finished before its last send is done");
            // It may be gone already, which is as good.
            let _ = shutdown(&**connection.socket(), Shutdown::Write);
        }
    }

    /// Send nothing more, receive nothing more, and close when the kernel has let go.
    fn close<Mail>(&mut self, id: ConnectionId, around: &mut Surroundings<'_, Mail>) {
        let Some(connection) = self.connections.get(id).filter(|connection| !connection.closing) else { return };
        connection.closing = true;
        // Ends whatever waits on the socket. It may be gone already, which is as good.
        let _ = shutdown(&**connection.socket(), Shutdown::Both);
        self.finish_close(id, around.ring);
    }

    fn finish_close(&mut self, id: ConnectionId, ring: &mut Ring<Token>) {
        let Some(connection) = self.connections.get(id).filter(|connection| connection.operations == 0) else { return };
        // Only now, since a file being read in was one of these.
        connection.parts.clear();
        connection.receiving = connection::Receiving::Nothing;
        // The table keeps the connection, and so its id, until the close is done.
        ring.start(Request::Close { descriptor: connection.take_socket().into_raw_fd() }, Token::Closed(id));
    }

    /// The connection broke, or the peer will send no more. Told once.
    fn hang_up<Mail>(&mut self, id: ConnectionId, events: &mut VecDeque<Event<Mail>>) {
        let Some(connection) = self.connections.get(id) else { return };
        connection.receiving = connection::Receiving::Nothing;
        if !std::mem::replace(&mut connection.hung_up, true) {
            events.push_back(Event::Hangup { connection: id });
        }
    }

    /// When accepting has to be tried again.
    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        self.accept_again
    }

    /// A turn begins: everybody may send and receive again, and accepting may go on.
    pub(crate) fn begin_turn(&mut self, now: Monotonic, ring: &mut Ring<Token>) {
        self.turn_send_left = self.settings.turn_send_bytes;
        self.turn_receive_left = self.settings.turn_receive_bytes;
        if self.accept_again.is_some_and(|again| again <= now) {
            self.accept_again = None;
            self.arm_listeners(ring);
        }
    }

    /// Whether more may be received in this turn.
    pub(crate) fn may_receive(&self) -> bool {
        self.turn_receive_left > 0
    }

    /// Whether somebody could send at once.
    pub(crate) fn has_sendable(&self) -> bool {
        !self.sendable.is_empty()
    }

    /// The loop ends: accept nothing, close everything.
    pub(crate) fn shut_down<Mail>(&mut self, around: &mut Surroundings<'_, Mail>) {
        self.accepting = false;
        self.accept_again = None;
        self.arm_listeners(around.ring);
        for id in self.connections.ids() {
            self.close(id, around);
        }
    }

    /// Whether no connection is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.connections.len() == 0
    }
}
