//! A script: what is asked, and what was told on the simulated disk.

use bytes::Bytes;
use flumen_log::io::{
    AlignedBuffer, Completion, DirectoryEntry, Disk, FileHandle, FileOperation, IoError, OpenMode, Outcome, SyncScope, WriteData,
    WriteMode,
};
use flumen_reactor::LOCK_NAME;

/// Kinds that every run has to have done, a number of times and with success.
pub(crate) const KINDS: [&str; 24] = [
    "create directory",
    "open",
    "open direct",
    "allocate",
    "write",
    "write inline",
    "write direct",
    "read",
    "truncate",
    "sync",
    "write out",
    "sync directory",
    "rename",
    "unlink",
    "remove directory",
    "close",
    "free space",
    "call: list",
    "call: read",
    "call: write",
    "call: truncate",
    "call: sync",
    "call: names",
    "call: sync directory",
];

/// A file operation, its handle by the number that the simulated disk gave it.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    CreateDirectory(String),
    Open(String, OpenMode),
    Allocate(u32, u64, u64),
    Write(u32, u64, Vec<Bytes>, WriteMode),
    WriteDirect(u32, u64, Bytes),
    Read(u32, u64, usize),
    Truncate(u32, u64),
    Sync(u32, SyncScope),
    WriteOut(u32, u64, u64),
    SyncDirectory(String),
    Rename(String, String),
    Unlink(String),
    RemoveDirectory(String),
    Close(u32),
    FreeSpace,
}

impl Asked {
    /// The operation, with the handle that `handle` gives for the script's.
    pub(crate) fn operation(&self, handle: impl Fn(u32) -> FileHandle) -> FileOperation {
        match self.clone() {
            Self::CreateDirectory(path) => FileOperation::CreateDirectory { path },
            Self::Open(path, mode) => FileOperation::Open { path, mode },
            Self::Allocate(file, offset, length) => FileOperation::Allocate { file: handle(file), offset, length },
            Self::Write(file, offset, parts, mode) => {
                FileOperation::Write { file: handle(file), offset, data: WriteData::Gathered(parts), mode }
            }
            Self::WriteDirect(file, offset, bytes) => {
                let mut buffer = AlignedBuffer::default();
                buffer.put(&bytes);
                let data = WriteData::Aligned(buffer);
                FileOperation::Write { file: handle(file), offset, data, mode: WriteMode::Queued }
            }
            Self::Read(file, offset, length) => FileOperation::Read { file: handle(file), offset, length },
            Self::Truncate(file, length) => FileOperation::Truncate { file: handle(file), length },
            Self::Sync(file, scope) => FileOperation::Sync { file: handle(file), scope },
            Self::WriteOut(file, offset, length) => FileOperation::WriteOut { file: handle(file), offset, length },
            Self::SyncDirectory(path) => FileOperation::SyncDirectory { path },
            Self::Rename(from, to) => FileOperation::Rename { from, to },
            Self::Unlink(path) => FileOperation::Unlink { path },
            Self::RemoveDirectory(path) => FileOperation::RemoveDirectory { path },
            Self::Close(file) => FileOperation::Close { file: handle(file) },
            Self::FreeSpace => FileOperation::FreeSpace,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::CreateDirectory(_) => "create directory",
            Self::Open(_, OpenMode::DirectDurable) => "open direct",
            Self::Open(..) => "open",
            Self::Allocate(..) => "allocate",
            Self::Write(_, _, _, WriteMode::Inline) => "write inline",
            Self::Write(..) => "write",
            Self::WriteDirect(..) => "write direct",
            Self::Read(..) => "read",
            Self::Truncate(..) => "truncate",
            Self::Sync(..) => "sync",
            Self::WriteOut(..) => "write out",
            Self::SyncDirectory(_) => "sync directory",
            Self::Rename(..) => "rename",
            Self::Unlink(_) => "unlink",
            Self::RemoveDirectory(_) => "remove directory",
            Self::Close(_) => "close",
            Self::FreeSpace => "free space",
        }
    }
}

/// What came of an operation, as far as two disks must agree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Done,
    Opened { length: u64 },
    Written { bytes: u64, buffer_bytes: Option<usize> },
    Read(Bytes),
    Free,
    Failed(IoError),
}

impl Told {
    pub(crate) fn of(completion: &Completion) -> Self {
        match &completion.result {
            Ok(Outcome::Done) => Self::Done,
            Ok(Outcome::Opened { length, .. }) => Self::Opened { length: *length },
            Ok(Outcome::Written { bytes }) => {
                Self::Written { bytes: *bytes, buffer_bytes: completion.buffer.as_ref().map(AlignedBuffer::len) }
            }
            Ok(Outcome::Read { data }) => Self::Read(data.clone()),
            Ok(Outcome::Free { bytes, total_bytes }) => {
                assert!(*bytes > 0 && total_bytes >= bytes);
                Self::Free
            }
            Err(error) => Self::Failed(*error),
        }
    }
}

/// One operation of a script: the handle is what an open gave.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) asked: Asked,
    pub(crate) told: Told,
    pub(crate) opened: Option<u32>,
}

/// One of recovery's calls, and its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    List(String),
    Read(String, u64, usize),
    Write(String, u64, Bytes),
    Truncate(String, u64),
    Sync(String),
    CreateDirectory(String),
    SyncDirectory(String),
    Rename(String, String),
    Unlink(String),
    RemoveDirectory(String),
}

/// What a call answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Done,
    Bytes(Bytes),
    Names(Vec<DirectoryEntry>),
}

impl Call {
    pub(crate) fn make(&self, disk: &mut dyn Disk) -> Result<Answer, IoError> {
        let done = |()| Answer::Done;
        match self {
            Self::List(path) => disk.list(path).map(|mut names| {
                names.retain(|entry| entry.name != LOCK_NAME);
                Answer::Names(names)
            }),
            Self::Read(path, offset, length) => disk.read(path, *offset, *length).map(Answer::Bytes),
            Self::Write(path, offset, data) => disk.write(path, *offset, data).map(done),
            Self::Truncate(path, length) => disk.truncate(path, *length).map(done),
            Self::Sync(path) => disk.sync(path).map(done),
            Self::CreateDirectory(path) => disk.create_directory(path).map(done),
            Self::SyncDirectory(path) => disk.sync_directory(path).map(done),
            Self::Rename(from, to) => disk.rename(from, to).map(done),
            Self::Unlink(path) => disk.unlink(path).map(done),
            Self::RemoveDirectory(path) => disk.remove_directory(path).map(done),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::List(_) => "call: list",
            Self::Read(..) => "call: read",
            Self::Write(..) => "call: write",
            Self::Truncate(..) => "call: truncate",
            Self::Sync(_) => "call: sync",
            Self::SyncDirectory(_) => "call: sync directory",
            Self::CreateDirectory(_) | Self::Rename(..) | Self::Unlink(_) | Self::RemoveDirectory(_) => "call: names",
        }
    }
}

/// A stretch of a script.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// For the reactor: the operations of a round are outstanding together, in whatever order they end.
    Rounds(Vec<Vec<Step>>),
    /// For recovery's disk.
    Calls(Vec<(Call, Result<Answer, IoError>)>),
}

impl Part {
    /// What was asked, and whether it was done.
    pub(crate) fn kinds(&self) -> Vec<(&'static str, bool)> {
        match self {
            Self::Rounds(rounds) => {
                let steps = rounds.iter().flatten();
                steps.map(|step| (step.asked.kind(), !matches!(step.told, Told::Failed(_)))).collect()
            }
            Self::Calls(calls) => calls.iter().map(|(call, answer)| (call.kind(), answer.is_ok())).collect(),
        }
    }
}

/// Every name below a directory; of a file its bytes.
pub(crate) fn contents(disk: &mut dyn Disk, directory: &str) -> Vec<(String, Option<Bytes>)> {
    let mut found = Vec::new();
    for entry in disk.list(directory).unwrap() {
        let path = if directory.is_empty() { entry.name.clone() } else { format!("{directory}/{}", entry.name) };
        if entry.is_directory {
            found.push((path.clone(), None));
            found.extend(contents(disk, &path));
        } else if entry.name != LOCK_NAME {
            let bytes = disk.read(&path, 0, 1 << 24).unwrap();
            assert_eq!(bytes.len() as u64, entry.length);
            found.push((path, Some(bytes)));
        }
    }
    found
}
