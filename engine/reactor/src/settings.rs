//! What can be set about a reactor. Every limit has a name here.

use std::time::Duration;

use flumen_log::ShardId;

/// The settings of one shard's loop.
#[derive(Clone, Debug)]
pub struct ReactorSettings {
    /// Which shard it is.
    pub shard: ShardId,
    /// The core to stay on.
    pub core: Option<usize>,
    /// Whether the kernel's workers for this ring stay on that core, too.
    pub pin_kernel_workers: bool,
    /// How many of the kernel's workers this ring may have for files (buffered writes, syncs), and again as many for the rest.
    pub max_kernel_workers: u32,
    /// Entries of the submission queue; the completion queue has four times as many.
    pub ring_entries: u32,
    /// Connections; at the limit no more are accepted until one closes.
    pub max_connections: usize,
    /// Whether connections are accepted before the machine says so ([`flumen_log::io::NetEffect::Accept`]).
    pub accept_at_once: bool,
    /// How much one `sendfile` moves at most, and how much is looked at, or read in, beforehand.
    pub file_chunk_bytes: usize,
    /// How much of a large frame is received before progress is told.
    pub receive_piece_bytes: usize,
    /// How much one connection may send in a turn before the others have theirs.
    pub connection_send_bytes: usize,
    /// How much all connections together may send in a turn.
    pub turn_send_bytes: usize,
    /// How much is received in a turn before sending and the rest have theirs.
    pub turn_receive_bytes: usize,
    /// Pieces of mail taken from each other thread in a turn.
    pub turn_mail: usize,
    /// Completions taken in a turn.
    pub turn_completions: usize,
    /// How long an idle loop looks around before it goes to sleep.
    pub spin: Duration,
    /// Wake a sleeping shard by a message to its ring, where the kernel can; otherwise by its eventfd.
    pub wake_by_message: bool,
    /// Cut files through the ring, where the kernel can; otherwise on a thread beside the shard's.
    pub truncate_by_ring: bool,
    /// A turn longer than this is a stall.
    pub stall: Duration,
}

impl ReactorSettings {
    /// What serves most machines.
    #[must_use]
    pub const fn new(shard: ShardId) -> Self {
        Self {
            shard,
            core: None,
            pin_kernel_workers: true,
            max_kernel_workers: 16,
            ring_entries: 1024,
            max_connections: 10_000,
            accept_at_once: true,
            file_chunk_bytes: 512 << 10,
            receive_piece_bytes: 1 << 20,
            connection_send_bytes: 1 << 20,
            turn_send_bytes: 4 << 20,
            turn_receive_bytes: 4 << 20,
            turn_mail: 256,
            turn_completions: 1024,
            spin: Duration::from_micros(5),
            wake_by_message: true,
            truncate_by_ring: true,
            stall: Duration::from_millis(5),
        }
    }
}
