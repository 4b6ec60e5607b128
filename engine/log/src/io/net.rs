//! Connections and what is sent on them, as data.

use alloc::{sync::Arc, vec::Vec};
use bytes::Bytes;

use super::FileHandle;
use crate::{Offset, TopicPartition};

/// A connection on this shard. Never reused within a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub u64);

/// A segment's open file, shared by every slice that is being sent.
///
/// Invariant: its owner asks for [`super::FileOperation::Close`] only when it holds the last reference, so a handle in a
/// slice is always open.
#[derive(Debug)]
pub struct SegmentFile {
    /// What the hands call it.
    pub handle: FileHandle,
    /// Whose segment it is, for whoever cannot read it: the partition, and the base offset.
    pub segment: (TopicPartition, Offset),
}

/// A run of bytes in a segment, with the lease that keeps the file open.
#[derive(Clone, Debug)]
pub struct FileSlice {
    /// The lease.
    pub file: Arc<SegmentFile>,
    /// Where it starts.
    pub position: u64,
    /// How long it is, in bytes.
    pub length: u32,
}

/// A piece of a reply.
#[derive(Clone, Debug)]
pub enum SendPart {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes in a segment, sent by `sendfile`.
    File(FileSlice),
}

/// Which way bytes moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the client.
    In,
    /// To the client.
    Out,
}

/// Something to do to a connection.
#[derive(Debug)]
pub enum NetEffect {
    /// Receive until `prefix` and what follows it make at least `at_least` bytes, then report them as one
    /// [`super::Event::Received`]. The prefix is copied to the front of the buffer. One is outstanding at a time; a
    /// connection for which none is outstanding is not read from.
    Receive { connection: ConnectionId, prefix: Bytes, at_least: usize },
    /// Send the parts in order, after all sends asked for earlier. [`super::Event::Sent`] follows when the kernel has all.
    Send { connection: ConnectionId, parts: Vec<SendPart> },
    /// Tell the peer that nothing more is sent. To be asked for when no send is outstanding; the connection can still receive.
    Finish { connection: ConnectionId },
    /// Close at once; sends not finished are dropped. [`super::Event::Closed`] follows when nothing is outstanding.
    Close { connection: ConnectionId },
    /// Stop (or go on) accepting connections on this shard's listeners.
    Accept { enabled: bool },
}
