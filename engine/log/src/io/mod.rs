//! The vocabulary between brains and hands: everything a machine can be told, and everything it can want done.
//!
//! Brains fill [`Effects`]; hands (the reactor, or a simulation) do them and report [`Event`]s. Nothing here does anything.

mod buffer;
mod disk;
mod file;
mod machine;
mod net;

pub use buffer::{AlignedBuffer, BLOCK_BYTES};
pub use disk::{DirectoryEntry, Disk};
pub use file::{
    Completion, FileHandle, FileOperation, FilePath, Io, IoError, OpenMode, Operation, OperationId, Outcome, Owner, SyncScope,
    WriteData, WriteMode,
};
pub use machine::{Effects, Event, Machine, Thread};
pub use net::{ConnectionId, Direction, FileSlice, NetEffect, SegmentFile, SendPart};
