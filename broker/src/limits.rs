//! Everything counted has a limit, and every limit has its name here.

/// Bytes of requests admitted and replies not yet sent, and the counts that bound what one client can cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests admitted and replies unsent, in bytes, over all connections of one shard.
    pub in_flight_bytes: usize,
    /// The largest request frame, in bytes, without its length prefix (`socket.request.max.bytes`, and never more than a
    /// quarter of `in_flight_bytes`).
    pub frame_bytes: usize,
    /// Requests of one connection that are decoded or wait for it, replies unsent included.
    pub pipeline_depth: usize,
    /// What one connection may hold of `in_flight_bytes`: past it nothing more is read from it, and nothing it has sent is
    /// started, until replies have left. One reply may go over it.
    pub connection_bytes: usize,
    /// Requests other than Produce and Fetch, with their answers, that one turn of a shard deals with, in bytes; one may go
    /// over it.
    pub control_bytes_per_turn: usize,
    /// Records that one turn of a shard decompresses, in bytes as they come out; one batch may go over it.
    pub unpacked_bytes_per_turn: usize,
    /// What an answer may hold of things the request did not bring, where it can be large, in bytes: what would go over it is
    /// refused instead.
    pub reply_bytes: usize,
    /// Connections of one shard.
    pub connections: usize,
    /// A frame or a reply that makes no progress for so long closes its connection.
    pub stalled_ms: u64,
    /// A frame must come at least this fast on the whole, in bytes a millisecond, beside `stalled_ms` to spare: until it is
    /// there it holds its place in the budget.
    pub frame_bytes_per_ms: u64,
    /// A connection with nothing to do for so long is closed (`connections.max.idle.ms`).
    pub idle_ms: u64,
    /// A request that asks the controller for a change, and cannot say how long it waits, is answered after so long.
    pub decision_ms: u64,
    /// A request waits at least so long for what it asked for, whatever less it says: its time is meant for other brokers, and
    /// where there are none Kafka is done at once, while a sync of this broker's disk takes its time.
    pub patience_ms: u64,
    /// A clean stop waits so long for requests under way and for their replies to leave.
    pub drain_ms: u64,
    /// A connection whose last reply has left at a stop is given so long to close on its own, so that the reply is not lost to
    /// a reset.
    pub farewell_ms: u64,
    /// Produce requests of one shard that may be under way at another at once.
    pub produce_credits: u32,
    /// Fetch requests that may be under way at another shard at once; one that is parked there does not count.
    pub fetch_credits: u32,
    /// All other requests that may be under way at another shard at once.
    pub control_credits: u32,
    /// Fetch sessions of one shard (KIP-227).
    pub fetch_sessions: usize,
    /// Partitions of all fetch sessions of one shard together.
    pub fetch_session_partitions: usize,
    /// What one fetch may return, in bytes (`fetch.max.bytes` of the broker).
    pub fetch_bytes: u32,
    /// A decompressed batch, in bytes.
    pub decompressed_bytes: usize,
}

impl Limits {
    /// Kafka's largest request.
    pub const KAFKA_FRAME_BYTES: usize = 100 * 1024 * 1024;

    /// Limits for one of `shards` shards that share `in_flight_bytes`.
    #[must_use]
    pub fn for_shard(in_flight_bytes: usize, shards: u16) -> Self {
        let share = (in_flight_bytes / usize::from(shards.max(1))).max(4 * 1024 * 1024);
        Self {
            in_flight_bytes: share,
            frame_bytes: Self::KAFKA_FRAME_BYTES.min(share / 4),
            pipeline_depth: 64,
            connection_bytes: share / 4,
            control_bytes_per_turn: 64 * 1024,
            unpacked_bytes_per_turn: 16 * 1024 * 1024,
            reply_bytes: (share / 4).min(32 * 1024 * 1024),
            connections: 4096,
            stalled_ms: 30_000,
            frame_bytes_per_ms: 1000,
            idle_ms: 600_000,
            decision_ms: 30_000,
            patience_ms: 1000,
            drain_ms: 10_000,
            farewell_ms: 500,
            produce_credits: 1024,
            fetch_credits: 1024,
            control_credits: 256,
            fetch_sessions: 1000usize.div_ceil(usize::from(shards.max(1))),
            fetch_session_partitions: 1_000_000,
            fetch_bytes: 55 * 1024 * 1024,
            decompressed_bytes: 256 * 1024 * 1024,
        }
    }

    /// How long a request is waited on that says so many milliseconds.
    pub(crate) fn wait_ms(&self, asked: i32) -> u64 {
        u64::try_from(asked).unwrap_or_default().max(self.patience_ms)
    }

    /// Room a mailbox from one shard to another needs, so that nothing that was admitted can fail for want of it.
    #[must_use]
    pub fn mailbox_slots(&self) -> usize {
        self.unread_mail_max().next_power_of_two()
    }

    /// The most mail from one shard, A, to another, B, that B can have left unread.
    ///
    /// With a credit, two for each: A's request, and A's answer to one of B's.
    ///
    /// Without one, all of it about fetches that are parked or were, because a parked one has given its credit back. A mailbox
    /// is read in order, and a connection has one fetch at most: what A writes about a fetch that B has parked is unread only
    /// as long as B has not read a later fetch of A's, so it is about fetches of connections that were open together. Of A's
    /// own fetches each may have a wait, a collect and a cancel unread: three for each connection. A fetch that B has not
    /// read yet holds its credit and can have been cancelled: one for each credit. Of B's fetches, parked at A, each may have
    /// a report and its result unread: two for each connection. One whose being parked B has not read holds its credit, and
    /// may have them too: two for each credit.
    ///
    /// Of the slices that B gave to A, each connection may have met one that cannot be read, and was closed for it: by the same
    /// order, one more for each connection.
    ///
    /// And the word, once, that A has drained.
    pub(crate) fn unread_mail_max(&self) -> usize {
        let credits = (self.produce_credits + self.fetch_credits + self.control_credits) as usize;
        2 * credits + 3 * self.fetch_credits as usize + 6 * self.connections + 1
    }
}
