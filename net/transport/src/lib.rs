//! Where clients come in: listeners for TCP.
//!
//! Invariants: a port is never shared with another broker, though the listeners of our own shards share it; nothing here
//! reads or writes a connection (the reactor does).
#![forbid(unsafe_code)]

mod address;
mod listen;

pub use address::{is_loopback, is_wildcard};
pub use listen::{BACKLOG, ListenError, listen};
