//! The journal: what makes an append durable.
//!
//! There is one for each shard and log directory: a ring of files written once in advance, into which all appends of a turn go
//! as one write, whatever their partitions. A frame counts as durable when its write and all before it have completed. Files
//! are used again in the order they were filled, each only when no partition needs its frames any more ([`Journal::release`]).

mod file;
mod frame;
mod position;
mod ring;
mod running;

pub use file::{FILE_OVERHEAD_BYTES, FileHeader, JOURNAL_DIRECTORY, JournalFileName};
pub use frame::{Frame, FrameBuilder, JournalEntry, JournalId};
pub use position::JournalPosition;
pub(crate) use running::{Journal, JournalProgress, JournalSetup, QueuedAppend};
