//! The journal: what makes an append durable.

mod file;
mod frame;
mod position;

pub use file::{FILE_OVERHEAD_BYTES, JOURNAL_DIRECTORY, JournalFileName};
pub use frame::{Frame, FrameBuilder, JournalEntry, JournalId};
pub use position::JournalPosition;
