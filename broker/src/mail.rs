//! What shards, and the control thread, write to one another.
//!
//! Mail is small: what is large is boxed. A request's mail names the ticket its answer must go to. Answers always have
//! room, because a credit was taken for mail and answer together.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use bytes::Bytes;
use flumen_controller::{Command, CommandResponse, Delta, MetadataImage};
use flumen_log::{
    LeaderEpoch, Monotonic, Offset, ProducerEpoch, ProducerId, Timestamp, TopicPartition,
    batch::ValidatedBatch,
    io::{ConnectionId, FileSlice},
    store::Space,
};
use flumen_protocol::ErrorCode;

use crate::homes::Placed;

/// The place a reply must go: a request of a connection of the shard that sent the mail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket {
    /// The connection.
    pub connection: ConnectionId,
    /// Its request.
    pub sequence: u64,
}

/// A message between two threads.
#[derive(Debug)]
pub enum Mail {
    /// Batches for partitions the receiver owns.
    Produce(Box<ProduceMail>),
    /// The end of a [`Mail::Produce`].
    Produced(Box<ProducedMail>),
    /// Read from partitions the receiver owns, or wait there.
    Fetch(Box<FetchMail>),
    /// A fetch waits at its owner and needs no credit meanwhile; so many bytes are there already.
    FetchParked { ticket: Ticket, bytes: u64 },
    /// More bytes are there for a parked fetch than were reported. Not repeated until [`Mail::FetchWait`].
    FetchReady { ticket: Ticket, bytes: u64 },
    /// Not enough yet: go on waiting.
    FetchWait { ticket: Ticket },
    /// End the wait and answer with what is there, at most so many bytes.
    FetchCollect { ticket: Ticket, max_bytes: u32 },
    /// End the wait; nobody wants an answer.
    FetchCancel { ticket: Ticket },
    /// The end of a [`Mail::Fetch`].
    Fetched(Box<FetchedMail>),
    /// Questions about partitions the receiver owns.
    Ask(Box<AskMail>),
    /// The end of a [`Mail::Ask`].
    Answered(Box<AnsweredMail>),
    /// To the control thread: have this decided. The answer comes when every shard has applied what follows from it.
    Propose { origin: Proposer, command: Box<Command> },
    /// From the control thread.
    Proposed { origin: Proposer, result: Box<Result<CommandResponse, String>> },
    /// From the control thread: the metadata changed; `placed` says where what is new is to be made.
    Image { index: u64, image: Arc<MetadataImage>, delta: Arc<Delta>, placed: Arc<Placed> },
    /// From the control thread: every shard knows the metadata, let clients in.
    Open,
    /// Bytes of a partition the receiver owns could not be read when they were to be sent.
    Unreadable { partition: TopicPartition, stretch: flumen_log::store::Stretch },
    /// The writer is stopping and its connections are gone: it asks for nothing more.
    Drained,
    /// To the control thread, for people: the file system refuses direct I/O, so the shard's journal in this log
    /// directory is written buffered and synced.
    JournalIsBuffered { directory: u32 },
    /// To the control thread: this log directory failed. From it: it failed in another shard.
    DirectoryFailed { directory: u32, error: flumen_log::io::IoError },
    /// To the control thread, for people: these ranges of logs are damaged, and so many more; and these logs are not cleaned any more,
    /// each for the sake of a segment.
    DamageFound {
        ranges: Vec<(TopicPartition, flumen_log::store::FaultyRange)>,
        more: u64,
        uncleanable: Vec<(TopicPartition, Offset)>,
    },
    /// From the control thread: it has said so.
    DamageTold,
    /// To the control thread: everything through this image is applied, directories synced. Some partitions could not be made.
    Applied { index: u64, not_made: Vec<(TopicPartition, flumen_log::io::IoError)> },
}

/// What a proposal was for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Proposer {
    /// A client's request.
    Request(Ticket),
    /// The shard's supply of producer ids.
    ProducerIds,
    /// Nobody waits: an automatic creation, by number.
    Background(u64),
}

/// Batches for one owner, from one request.
#[derive(Debug)]
pub struct ProduceMail {
    /// Where the answer goes.
    pub ticket: Ticket,
    /// What an acknowledgement means.
    pub acks: Acks,
    /// When a wait for replication ends.
    pub deadline: Monotonic,
    /// The batches.
    pub entries: Vec<ProduceEntry>,
}

/// When a produce request is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acks {
    /// Never; an error ends the connection.
    None,
    /// When the leader's page cache has it.
    Leader,
    /// When the high watermark has passed it.
    All,
}

/// One batch.
#[derive(Debug)]
pub struct ProduceEntry {
    /// Its place in the request.
    pub index: u32,
    /// Where it goes.
    pub partition: TopicPartition,
    /// What it is.
    pub batch: ValidatedBatch,
}

/// What became of the batches of a [`ProduceMail`].
#[derive(Debug)]
pub struct ProducedMail {
    /// Whose.
    pub ticket: Ticket,
    /// One for each entry.
    pub results: Vec<(u32, ProduceResult)>,
    /// The request's memory, to be freed where it was allocated.
    pub frames: Vec<Bytes>,
}

/// What became of one batch.
#[derive(Clone, Debug)]
pub struct ProduceResult {
    /// None, or why not.
    pub error: ErrorCode,
    /// In words.
    pub message: Option<String>,
    /// Offset of the first record, of the original where the batch was a duplicate (P16).
    pub base_offset: Offset,
    /// When the log appended it, for topics that stamp; otherwise [`Timestamp::NONE`].
    pub append_time: Timestamp,
    /// First offset still kept.
    pub log_start: Offset,
    /// Records at fault (v8+).
    pub record_errors: Vec<(i32, String)>,
}

impl ProduceResult {
    /// A refusal.
    #[must_use]
    pub fn refused(error: ErrorCode, message: impl Into<Option<String>>) -> Self {
        Self {
            error,
            message: message.into(),
            base_offset: Offset(-1),
            append_time: Timestamp::NONE,
            log_start: Offset(-1),
            record_errors: Vec::new(),
        }
    }
}

/// A fetch's part for one owner.
#[derive(Debug)]
pub struct FetchMail {
    /// Where the answer goes.
    pub ticket: Ticket,
    /// What to read, in the order of the request.
    pub entries: Vec<FetchEntry>,
    /// Answer at once when so many bytes are there. Zero: answer at once whatever is there.
    pub min_bytes: u64,
    /// Answer with at most so many bytes, the first batch excepted.
    pub max_bytes: u32,
    /// Whether only what is below the last stable offset is wanted.
    pub read_committed: bool,
    /// Whether other owners take part, so that bytes below `min_bytes` have to be reported.
    pub shared: bool,
}

/// One partition of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct FetchEntry {
    /// Its place in the request.
    pub index: u32,
    /// Which.
    pub partition: TopicPartition,
    /// From where.
    pub offset: Offset,
    /// At most so many bytes of it.
    pub max_bytes: u32,
    /// The epoch the client believes in; [`LeaderEpoch::NONE`] if it does not say.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the last record the client has; [`LeaderEpoch::NONE`] if it does not say.
    pub last_fetched_epoch: LeaderEpoch,
}

/// A fetch's results from one owner.
#[derive(Debug)]
pub struct FetchedMail {
    /// Whose.
    pub ticket: Ticket,
    /// One for each entry.
    pub results: Vec<(u32, FetchResult)>,
    /// It had waited, and its credit went back then.
    pub was_parked: bool,
}

/// What a partition answers to a fetch.
#[derive(Clone, Debug)]
pub struct FetchResult {
    /// None, or why not.
    pub error: ErrorCode,
    /// The first offset consumers cannot see yet.
    pub high_watermark: Offset,
    /// The first offset that read_committed cannot see yet.
    pub last_stable_offset: Offset,
    /// The first offset still kept.
    pub log_start: Offset,
    /// Where the client's log stops agreeing with this one (v12+).
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// The batches, if any.
    pub records: Option<FileSlice>,
    /// What was asked for: the answer looks a little different.
    pub read_committed: bool,
}

impl FetchResult {
    /// A refusal (F08).
    #[must_use]
    pub const fn refused(error: ErrorCode) -> Self {
        Self {
            error,
            high_watermark: Offset(-1),
            last_stable_offset: Offset(-1),
            log_start: Offset(-1),
            diverging: None,
            records: None,
            read_committed: false,
        }
    }

    /// Bytes of records.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.records.as_ref().map_or(0, |slice| u64::from(slice.length))
    }
}

/// Questions for one owner, from one request.
#[derive(Debug)]
pub struct AskMail {
    /// Where the answers go.
    pub ticket: Ticket,
    /// Place in the request, and question.
    pub questions: Vec<(u32, Question)>,
    /// When waiting ends with [`ErrorCode::RequestTimedOut`].
    pub deadline: Monotonic,
}

/// The answers to an [`AskMail`].
#[derive(Debug)]
pub struct AnsweredMail {
    /// Whose.
    pub ticket: Ticket,
    /// One for each question.
    pub answers: Vec<(u32, Answer)>,
}

/// Something only a partition's owner knows or may do.
#[derive(Clone, Debug)]
pub enum Question {
    /// ListOffsets.
    Offset { partition: TopicPartition, current_leader_epoch: LeaderEpoch, position: Position, read_committed: bool },
    /// OffsetForLeaderEpoch.
    EpochEnd { partition: TopicPartition, current_leader_epoch: LeaderEpoch, epoch: LeaderEpoch },
    /// DeleteRecords; −1 is the high watermark.
    DeleteRecords { partition: TopicPartition, before: Offset },
    /// DescribeProducers.
    Producers { partition: TopicPartition },
    /// DescribeLogDirs: every partition of the shard, or those named.
    Sizes { partitions: Option<Vec<TopicPartition>> },
    /// OffsetCommit, at the coordinator's partition of `__consumer_offsets`.
    CommitOffsets { coordinator: TopicPartition, commit: Box<CommitOffsets> },
    /// OffsetFetch, at the coordinator's partition of `__consumer_offsets`.
    FetchOffsets { coordinator: TopicPartition, group: String, wanted: Option<alloc::collections::BTreeSet<(String, i32)>> },
}

/// Which offset ListOffsets asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Position {
    /// The high watermark or last stable offset.
    Latest,
    /// The log start offset.
    Earliest,
    /// The record with the greatest timestamp.
    MaxTimestamp,
    /// The first record at or after the time.
    At(Timestamp),
    /// Nothing is tiered here.
    Tiered,
}

/// A standalone consumer's commit.
#[derive(Clone, Debug)]
pub struct CommitOffsets {
    /// The group.
    pub group: String,
    /// What is committed.
    pub offsets: Vec<CommittedOffset>,
    /// `retention_time_ms` of versions 2 to 4, if it was set.
    pub retention_ms: Option<i64>,
    /// Whether the consumer says that it has joined the group.
    pub joined: bool,
    /// What somebody is told who has joined a group that nobody knows: it depends on the version.
    pub unknown_group: ErrorCode,
}

/// One partition's committed offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommittedOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to be consumed.
    pub offset: i64,
    /// The epoch of the last record consumed, or −1.
    pub leader_epoch: i32,
    /// What the consumer wants to remember.
    pub metadata: String,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// It could not be answered.
    Refused { error: ErrorCode },
    /// To [`Question::Offset`].
    Offset { offset: Offset, timestamp: Timestamp, leader_epoch: LeaderEpoch },
    /// To [`Question::EpochEnd`].
    EpochEnd { epoch: LeaderEpoch, end: Offset },
    /// To [`Question::DeleteRecords`].
    Deleted { low_watermark: Offset },
    /// To [`Question::Producers`].
    Producers { producers: Vec<ActiveProducer> },
    /// To [`Question::Sizes`]: every log directory of the shard, by number.
    Sizes { directories: Vec<DirectorySizes> },
    /// To [`Question::CommitOffsets`].
    Committed,
    /// To [`Question::FetchOffsets`].
    Offsets { offsets: Vec<CommittedOffset> },
}

/// What a shard has in a log directory.
#[derive(Clone, Debug)]
pub struct DirectorySizes {
    /// Partitions and their bytes.
    pub sizes: Vec<(TopicPartition, u64)>,
    /// Its file system, if that is known.
    pub space: Option<Space>,
    /// It is offline.
    pub failed: bool,
}

/// A producer whose batches a partition remembers.
#[derive(Clone, Copy, Debug)]
pub struct ActiveProducer {
    /// Who.
    pub id: ProducerId,
    /// Its latest incarnation.
    pub epoch: ProducerEpoch,
    /// The sequence number of its last record.
    pub last_sequence: i32,
    /// When it last wrote.
    pub last_timestamp: Timestamp,
}
