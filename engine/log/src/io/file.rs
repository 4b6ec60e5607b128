//! File operations as data.
//!
//! Invariants: an operation owns its buffers until its completion; two operations have no order unless the second is
//! asked for after the first one's completion; a handle is closed only when nothing that uses it is outstanding.

use alloc::{string::String, vec::Vec};
use bytes::Bytes;

use super::AlignedBuffer;

/// A path relative to the log directory of the operation's owner, `/` between its parts.
pub type FilePath = String;

/// What the hands call an open file. Opaque: it comes from [`Outcome::Opened`] and goes back with [`FileOperation::Close`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileHandle(pub u32);

/// Whose operation it is, so that a machine made of machines can pass a completion on. Where a shard has several log directories,
/// the owner is the number of the one that the operation's paths lie in; an owner of another number names no path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Owner(pub u32);

/// Names an operation until its completion. Unique within a machine for all time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OperationId {
    /// Who asked.
    pub owner: Owner,
    /// Counted over the whole machine.
    pub sequence: u64,
}

/// How a file is opened. Every file is opened close-on-exec.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenMode {
    /// Must exist; read and write.
    ReadWrite,
    /// Must exist; read only.
    Read,
    /// Made if missing, kept if there; read and write.
    Create,
    /// Made or emptied; read and write.
    CreateEmpty,
    /// Must exist; every write goes past the page cache and is on stable storage when it completes
    /// (`O_DIRECT | O_DSYNC`). Buffers, offsets and lengths are multiples of [`super::BLOCK_BYTES`].
    /// Where the file system refuses it the completion is an error, and the machine falls back.
    DirectDurable,
}

/// What a sync must reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncScope {
    /// `fdatasync`: the bytes and whatever is needed to read them back, the size included.
    Data,
    /// `fsync`: all metadata as well.
    All,
}

/// Whether a write may run on the shard's thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteMode {
    /// A small buffered write: done at once by the hands (`pwritev`), its completion follows in the same turn.
    Inline,
    /// Through the ring.
    Queued,
}

/// The bytes of a write.
#[derive(Debug)]
pub enum WriteData {
    /// Written one after another as one vectored write.
    Gathered(Vec<Bytes>),
    /// For [`OpenMode::DirectDurable`]; comes back in [`Completion::buffer`].
    Aligned(AlignedBuffer),
}

impl WriteData {
    /// Total bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Gathered(parts) => parts.iter().map(Bytes::len).sum(),
            Self::Aligned(buffer) => buffer.len(),
        }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One thing to do to a file or a name.
#[derive(Debug)]
pub enum FileOperation {
    /// Make a directory; one that exists is no error.
    CreateDirectory { path: FilePath },
    /// Open a file; completes as [`Outcome::Opened`].
    Open { path: FilePath, mode: OpenMode },
    /// Reserve extents past the end without changing the size (`FALLOC_FL_KEEP_SIZE`). An error is never fatal.
    Allocate { file: FileHandle, offset: u64, length: u64 },
    /// Write; completes as [`Outcome::Written`], perhaps short.
    Write { file: FileHandle, offset: u64, data: WriteData, mode: WriteMode },
    /// Read up to `length` bytes; completes as [`Outcome::Read`], short only at the end of the file.
    Read { file: FileHandle, offset: u64, length: usize },
    /// Set the size; extents past it are given back.
    Truncate { file: FileHandle, length: u64 },
    /// Flush a file to stable storage. Covers the writes that completed before it was asked for.
    Sync { file: FileHandle, scope: SyncScope },
    /// Start write-back of a range without waiting for stable storage.
    WriteOut { file: FileHandle, offset: u64, length: u64 },
    /// Make the names in a directory stable. The empty path is the log directory itself.
    SyncDirectory { path: FilePath },
    /// Rename a file or directory, replacing a file of the new name.
    Rename { from: FilePath, to: FilePath },
    /// Remove a file's name; one that is missing is no error.
    Unlink { path: FilePath },
    /// Remove an empty directory; one that is missing is no error.
    RemoveDirectory { path: FilePath },
    /// Give a handle back.
    Close { file: FileHandle },
    /// Ask how much the file system of the log directory has free for us; completes as [`Outcome::Free`].
    FreeSpace,
}

/// An operation with its name.
#[derive(Debug)]
pub struct Operation {
    /// Repeated in the completion.
    pub id: OperationId,
    /// What to do.
    pub kind: FileOperation,
}

/// What came of an operation that did not fail.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing more to say.
    Done,
    /// The file is open; `length` is its size in bytes.
    Opened { file: FileHandle, length: u64 },
    /// So many bytes were taken.
    Written { bytes: u64 },
    /// These bytes were there.
    Read { data: Bytes },
    /// So many bytes are free (`f_bavail`).
    Free { bytes: u64, total_bytes: u64 },
}

/// The kernel's refusal, as its `errno`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoError {
    /// The raw `errno`.
    pub errno: i32,
}

impl IoError {
    /// `ENOENT`
    pub const NOT_FOUND: Self = Self { errno: 2 };
    /// `EIO`
    pub const INPUT_OUTPUT: Self = Self { errno: 5 };
    /// `EEXIST`
    pub const EXISTS: Self = Self { errno: 17 };
    /// `EINVAL`
    pub const INVALID: Self = Self { errno: 22 };
    /// `ENOSPC`
    pub const NO_SPACE: Self = Self { errno: 28 };
    /// `EDQUOT`
    pub const QUOTA: Self = Self { errno: 122 };
    /// `ENFILE`.
    pub const TOO_MANY_FILES_IN_SYSTEM: Self = Self { errno: 23 };
    /// `EMFILE`.
    pub const TOO_MANY_FILES: Self = Self { errno: 24 };

    /// Whether this process, or the machine, has as many files open as it may.
    #[must_use]
    pub const fn is_no_file_left(self) -> bool {
        self.errno == Self::TOO_MANY_FILES.errno || self.errno == Self::TOO_MANY_FILES_IN_SYSTEM.errno
    }

    /// Whether the disk, or what we may use of it, is full.
    #[must_use]
    pub const fn is_no_space(self) -> bool {
        self.errno == Self::NO_SPACE.errno || self.errno == Self::QUOTA.errno
    }
}

impl core::fmt::Display for IoError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "errno {}", self.errno)
    }
}

/// The end of an operation.
#[derive(Debug)]
pub struct Completion {
    /// Which.
    pub id: OperationId,
    /// What came of it.
    pub result: Result<Outcome, IoError>,
    /// The aligned buffer of a write, to be used again.
    pub buffer: Option<AlignedBuffer>,
}

/// Where a brain puts the operations it wants done.
#[derive(Debug, Default)]
pub struct Io {
    next_sequence: u64,
    operations: Vec<Operation>,
}

impl Io {
    /// Ask for an operation; its completion will carry the name returned.
    pub fn ask(&mut self, owner: Owner, kind: FileOperation) -> OperationId {
        let id = OperationId { owner, sequence: self.next_sequence };
        self.next_sequence += 1;
        self.operations.push(Operation { id, kind });
        id
    }

    /// Whether nothing was asked for since the last [`Io::drain`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Take what was asked for, in order.
    pub fn drain(&mut self) -> alloc::vec::Drain<'_, Operation> {
        self.operations.drain(..)
    }
}
