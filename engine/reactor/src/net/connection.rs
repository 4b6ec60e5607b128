//! One connection's state.

use std::{collections::VecDeque, os::fd::OwnedFd, rc::Rc};

use bytes::Bytes;
use flumen_log::{
    Monotonic,
    io::{ConnectionId, FileSlice},
};

/// What is being received.
#[derive(Debug)]
pub(super) enum Receiving {
    /// The machine asked for nothing.
    Nothing,
    /// Something small: through the shard's scratch buffer once there is something, so that an idle connection holds no
    /// buffer.
    Small { gathered: Vec<u8>, at_least: usize },
    /// A frame whose length is known, straight into its buffer. `None` while an operation has the buffer.
    Large { buffer: Option<Vec<u8>>, at_least: usize },
}

/// A piece of what is to be sent.
#[derive(Debug)]
pub(super) enum Part {
    Bytes(Bytes),
    File(FileSlice),
    /// Everything of one send lies before this.
    End,
}

/// A run of a file that was found in, or read into, the page cache, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Warm {
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) since: Monotonic,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    /// Taken when the close begins.
    socket: Option<Rc<OwnedFd>>,
    /// Operations in flight that use the socket, or a slice waiting in `parts`.
    pub(super) operations: u32,
    pub(super) receiving: Receiving,
    /// The last frame was a large one.
    pub(super) expects_large: bool,
    pub(super) parts: VecDeque<Part>,
    /// Bytes sent since the machine was last told.
    pub(super) sent_bytes: usize,
    /// Waiting for room, or for a file.
    pub(super) send_blocked: bool,
    /// In the queue of those that can send.
    pub(super) send_queued: bool,
    /// What is known of the slice at the head of `parts`.
    pub(super) warm: Option<Warm>,
    pub(super) closing: bool,
    pub(super) hung_up: bool,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, socket: OwnedFd) -> Self {
        Self {
            id,
            socket: Some(Rc::new(socket)),
            operations: 0,
            receiving: Receiving::Nothing,
            expects_large: false,
            parts: VecDeque::new(),
            sent_bytes: 0,
            send_blocked: false,
            send_queued: false,
            warm: None,
            closing: false,
            hung_up: false,
        }
    }

    /// The socket, which is there until the close begins.
    pub(super) fn socket(&self) -> &Rc<OwnedFd> {
        self.socket.as_ref().expect("nothing is done with a socket once its close began")
    }

    /// Take the socket to close it. Only when no operation is in flight.
    pub(super) fn take_socket(&mut self) -> OwnedFd {
        let socket = self.socket.take().expect("a close begins once");
        Rc::try_unwrap(socket).expect("no operation in flight uses it")
    }
}

#[cfg(test)]
mod tests {
    use super::Connection;
    use crate::{sys, token::Token};

    /// What ten thousand idle connections take of our memory: under 4 MiB, since each waits for readability without a buffer.
    #[test]
    fn an_idle_connection_is_small() {
        let reference_counts_and_descriptor = 24;
        let one = size_of::<Connection>() + reference_counts_and_descriptor + sys::operation_bytes::<Token>();
        assert!(one <= 400, "{one} bytes");
    }
}
