//! Receiving: small things by way of one scratch buffer of the shard, large frames straight into their own.
//!
//! An idle connection waits for readability and holds no buffer. What arrives is copied out of the scratch buffer to
//! measure, so a small frame that is kept keeps no large buffer alive. A frame known to be large gets a buffer of exactly
//! its size, received into by the kernel in pieces, so that progress is seen.

use bytes::Bytes;
use flumen_log::io::{ConnectionId, Direction, Event};
use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};

use super::{Network, Surroundings, connection::Receiving};
use crate::{
    sys::{Outcome, Request},
    token::Token,
};

/// The size of the shard's scratch buffer.
pub(super) const SCRATCH_BYTES: usize = 64 << 10;
/// From here on a frame is received straight into its own buffer.
const LARGE_BYTES: usize = 32 << 10;
/// What is received of a frame after a large one: the next is large, too, as a rule, and what is received before its length is
/// known is copied twice.
const AFTER_LARGE_BYTES: usize = 4 << 10;

impl Network {
    /// The machine wants to receive.
    pub(super) fn receive<Mail>(
        &mut self,
        id: ConnectionId,
        prefix: Bytes,
        at_least: usize,
        around: &mut Surroundings<'_, Mail>,
    ) {
        let Some(connection) = self.connections.get(id).filter(|connection| !connection.closing && !connection.hung_up) else {
            // It ended before the machine heard of it, and will be told, or was told.
            return;
        };
        assert!(matches!(connection.receiving, Receiving::Nothing), "one receive at a time on {id:?}");
        if prefix.len() >= at_least.max(1) {
            around.events.push_back(Event::Received { connection: id, data: prefix });
        } else if at_least > LARGE_BYTES {
            let mut buffer = Vec::with_capacity(at_least);
            buffer.extend_from_slice(&prefix);
            connection.receiving = Receiving::Large { buffer: None, at_least };
            connection.expects_large = true;
            self.receive_piece(id, buffer, at_least, around);
        } else {
            connection.receiving = Receiving::Small { gathered: prefix.to_vec(), at_least };
            self.await_readable(id, around);
        }
    }

    fn await_readable<Mail>(&mut self, id: ConnectionId, around: &mut Surroundings<'_, Mail>) {
        self.start_on_socket(id, around, Token::Readable(id), |socket| Request::Poll { socket, events: libc::POLLIN as u32 });
    }

    fn receive_piece<Mail>(&mut self, id: ConnectionId, buffer: Vec<u8>, at_least: usize, around: &mut Surroundings<'_, Mail>) {
        let piece = (at_least - buffer.len()).min(self.settings.receive_piece_bytes);
        self.start_on_socket(id, around, Token::Received(id), |socket| Request::Receive { socket, buffer, piece });
    }

    /// The wait for readability ended.
    pub(super) fn readable<Mail>(&mut self, id: ConnectionId, around: &mut Surroundings<'_, Mail>) {
        let Some(connection) = self.connections.get(id) else { return };
        match std::mem::replace(&mut connection.receiving, Receiving::Nothing) {
            Receiving::Nothing => {}
            Receiving::Large { buffer, at_least } => {
                connection.receiving = Receiving::Large { buffer: None, at_least };
                self.receive_piece(id, buffer.unwrap_or_default(), at_least, around);
            }
            Receiving::Small { gathered, at_least } => self.receive_small(id, gathered, at_least, around),
        }
    }

    fn receive_small<Mail>(
        &mut self,
        id: ConnectionId,
        mut gathered: Vec<u8>,
        at_least: usize,
        around: &mut Surroundings<'_, Mail>,
    ) {
        let Some(connection) = self.connections.get(id) else { return };
        let most = if std::mem::take(&mut connection.expects_large) { AFTER_LARGE_BYTES } else { SCRATCH_BYTES };
        match recv(&**connection.socket(), &mut self.scratch[..most], RecvFlags::DONTWAIT) {
            Ok((0, _)) => self.hang_up(id, around.events),
            Ok((count, _)) => {
                self.turn_receive_left = self.turn_receive_left.saturating_sub(count);
                gathered.reserve_exact(count);
                gathered.extend_from_slice(&self.scratch[..count]);
                if gathered.len() >= at_least {
                    around.events.push_back(Event::Received { connection: id, data: gathered.into() });
                    return;
                }
                connection.receiving = Receiving::Small { gathered, at_least };
                around.events.push_back(Event::Progress { connection: id, direction: Direction::In, bytes: count });
                self.await_readable(id, around);
            }
            Err(Errno::AGAIN | Errno::INTR) => {
                connection.receiving = Receiving::Small { gathered, at_least };
                self.await_readable(id, around);
            }
            Err(_) => self.hang_up(id, around.events),
        }
    }

    /// A piece of a large frame is there, or the connection ended.
    pub(super) fn received<Mail>(
        &mut self,
        id: ConnectionId,
        buffer: Vec<u8>,
        result: Result<Outcome, Errno>,
        around: &mut Surroundings<'_, Mail>,
    ) {
        let Some(connection) = self.connections.get(id) else { return };
        let Receiving::Large { at_least, .. } = connection.receiving else { return };
        if let Ok(Outcome::Count(count)) = result {
            self.turn_receive_left = self.turn_receive_left.saturating_sub(count);
        }
        match result {
            Ok(Outcome::Count(0) | Outcome::Opened(_)) => self.hang_up(id, around.events),
            Ok(Outcome::Count(_)) if buffer.len() >= at_least => {
                connection.receiving = Receiving::Nothing;
                around.events.push_back(Event::Received { connection: id, data: buffer.into() });
            }
            Ok(Outcome::Count(bytes)) => {
                around.events.push_back(Event::Progress { connection: id, direction: Direction::In, bytes });
                self.receive_piece(id, buffer, at_least, around);
            }
            // Kernels that do not wait on a non-blocking socket: wait, then receive.
            Err(Errno::AGAIN | Errno::INTR) => {
                connection.receiving = Receiving::Large { buffer: Some(buffer), at_least };
                self.await_readable(id, around);
            }
            Err(_) => self.hang_up(id, around.events),
        }
    }
}
