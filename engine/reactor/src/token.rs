//! What the loop is told with a completion: whose it is and what to do next.

use flumen_log::io::{ConnectionId, OperationId};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Token {
    /// A listener has a connection to accept.
    Acceptable(usize),
    /// There is something to receive, or the connection ended.
    Readable(ConnectionId),
    /// A piece of a large frame.
    Received(ConnectionId),
    /// There is room to send.
    Writable(ConnectionId),
    /// A chunk of a file is in the page cache now.
    Warmed(ConnectionId),
    /// A connection's socket is closed.
    Closed(ConnectionId),
    /// Another thread woke this one.
    Woken,
    /// A file operation of the machine.
    File(OperationId),
    /// The close behind a directory's sync; nobody waits for it.
    Forgotten,
}
