//! What real stores asked of real files, what they were told, and what they promised meanwhile, in order.
//!
//! The recorder stands at the port: between the stores and the reactor, and between recovery and its disk. It changes nothing and
//! keeps every byte. Of two operations that were outstanding together it does not know which the kernel did first, and claims
//! nothing about it.

use bytes::Bytes;
use flumen_log::io::{
    Completion, DirectoryEntry, Disk, FileOperation, IoError, OpenMode, OperationId, Outcome, SyncScope, WriteData,
};
use flumen_log::{Offset, TopicPartition};
use std::cell::RefCell;
use std::rc::Rc;

/// The file an operation is about.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// As the reactor calls it.
    Handle(u32),
    /// As recovery calls it.
    Path(String),
}

/// An operation, as far as it changes anything.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    CreateDirectory(String),
    Open(String, OpenMode),
    Write(Target, u64, Bytes),
    Truncate(Target, u64),
    /// Data or all: neither promises less than the bytes and the size.
    Sync(Target),
    SyncDirectory(String),
    Rename(String, String),
    Unlink(String),
    RemoveDirectory(String),
    Close(u32),
    /// A read, advice, a question.
    Nothing,
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    Done,
    Opened(u32),
    Written(u64),
    Failed,
}

/// What the stores said, or were asked.
#[derive(Clone, Debug)]
pub(super) enum Word {
    /// A batch has its offsets.
    Appended { partition: TopicPartition, base: Offset, next: Offset, bytes: Bytes },
    /// The log is compacted; whether tombstones may go as soon as the older records of their keys have.
    Compacted { partition: TopicPartition, tombstones_go: bool },
    /// Directory and state are made.
    Created { partition: TopicPartition },
    /// Everything below the offset is durable.
    Durable { partition: TopicPartition, offset: Offset },
    /// The log's start is there now, durably.
    LogStart { partition: TopicPartition, offset: Offset },
    /// It is to be removed: what is left of it is not said before it is gone.
    Removing { partition: TopicPartition },
    /// It is gone for good.
    Removed { partition: TopicPartition },
    /// Recovery found this log: where it starts and ends.
    Found { partition: TopicPartition, start: Offset, end: Offset },
    /// The process is gone; the kernel has finished what it was asked for.
    Died,
}

/// One entry of a recording.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Submitted(u64, Deed),
    Completed(u64, Ended),
    Said(Word),
}

impl Entry {
    /// Whether a cleaned segment is to count from here on.
    pub(super) fn is_cleaning(&self) -> bool {
        matches!(self, Self::Submitted(_, Deed::Rename(_, to)) if to.ends_with("/compaction.manifest"))
    }

    /// Whether a process ended here.
    pub(super) const fn is_end_of_life(&self) -> bool {
        matches!(self, Self::Said(Word::Died))
    }
}

/// A recording being made.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder {
    entries: Rc<RefCell<Vec<Entry>>>,
}

impl Recorder {
    fn put(&self, entry: Entry) {
        self.entries.borrow_mut().push(entry);
    }

    pub(super) fn say(&self, word: Word) {
        self.put(Entry::Said(word));
    }

    pub(super) fn submitted(&self, id: OperationId, deed: Deed) {
        self.put(Entry::Submitted(id.sequence, deed));
    }

    pub(super) fn completed(&self, completion: &Completion) {
        let ended = match &completion.result {
            Ok(Outcome::Opened { file, .. }) => Ended::Opened(file.0),
            Ok(Outcome::Written { bytes }) => Ended::Written(*bytes),
            Ok(_) => Ended::Done,
            Err(_) => Ended::Failed,
        };
        self.put(Entry::Completed(completion.id.sequence, ended));
    }

    /// What was recorded.
    pub(super) fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut self.entries.borrow_mut())
    }
}

/// An operation, as far as it changes anything.
pub(super) fn deed(operation: &FileOperation) -> Deed {
    match operation {
        FileOperation::CreateDirectory { path } => Deed::CreateDirectory(path.clone()),
        FileOperation::Open { path, mode } => Deed::Open(path.clone(), *mode),
        FileOperation::Write { file, offset, data, .. } => {
            let bytes = match data {
                WriteData::Gathered(parts) => parts.concat().into(),
                WriteData::Aligned(buffer) => buffer.copy_from(0).into(),
            };
            Deed::Write(Target::Handle(file.0), *offset, bytes)
        }
        FileOperation::Truncate { file, length } => Deed::Truncate(Target::Handle(file.0), *length),
        FileOperation::Sync { file, scope: SyncScope::Data | SyncScope::All } => Deed::Sync(Target::Handle(file.0)),
        FileOperation::SyncDirectory { path } => Deed::SyncDirectory(path.clone()),
        FileOperation::Rename { from, to } => Deed::Rename(from.clone(), to.clone()),
        FileOperation::Unlink { path } => Deed::Unlink(path.clone()),
        FileOperation::RemoveDirectory { path } => Deed::RemoveDirectory(path.clone()),
        FileOperation::Close { file } => Deed::Close(file.0),
        _ => Deed::Nothing,
    }
}

/// Recovery's disk, recorded.
pub(super) struct RecordedDisk<'a> {
    disk: &'a mut dyn Disk,
    recorder: &'a Recorder,
    /// Numbers of its calls: apart from the stores'.
    next: u64,
}

impl<'a> RecordedDisk<'a> {
    pub(super) fn new(disk: &'a mut dyn Disk, recorder: &'a Recorder) -> Self {
        Self { disk, recorder, next: 1 << 40 }
    }

    fn make<T>(
        &mut self,
        deed: Deed,
        ended: Ended,
        call: impl FnOnce(&mut dyn Disk) -> Result<T, IoError>,
    ) -> Result<T, IoError> {
        let id = self.next;
        self.next += 1;
        self.recorder.put(Entry::Submitted(id, deed));
        let result = call(self.disk);
        self.recorder.put(Entry::Completed(id, if result.is_ok() { ended } else { Ended::Failed }));
        result
    }
}

impl Disk for RecordedDisk<'_> {
    fn list(&mut self, path: &str) -> Result<Vec<DirectoryEntry>, IoError> {
        self.disk.list(path)
    }

    fn read(&mut self, path: &str, offset: u64, length: usize) -> Result<Bytes, IoError> {
        self.disk.read(path, offset, length)
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> Result<(), IoError> {
        let deed = Deed::Write(Target::Path(path.to_owned()), offset, Bytes::copy_from_slice(data));
        self.make(deed, Ended::Written(data.len() as u64), |disk| disk.write(path, offset, data))
    }

    fn truncate(&mut self, path: &str, length: u64) -> Result<(), IoError> {
        self.make(Deed::Truncate(Target::Path(path.to_owned()), length), Ended::Done, |disk| disk.truncate(path, length))
    }

    fn sync(&mut self, path: &str) -> Result<(), IoError> {
        self.make(Deed::Sync(Target::Path(path.to_owned())), Ended::Done, |disk| disk.sync(path))
    }

    fn create_directory(&mut self, path: &str) -> Result<(), IoError> {
        self.make(Deed::CreateDirectory(path.to_owned()), Ended::Done, |disk| disk.create_directory(path))
    }

    fn sync_directory(&mut self, path: &str) -> Result<(), IoError> {
        self.make(Deed::SyncDirectory(path.to_owned()), Ended::Done, |disk| disk.sync_directory(path))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), IoError> {
        self.make(Deed::Rename(from.to_owned(), to.to_owned()), Ended::Done, |disk| disk.rename(from, to))
    }

    fn unlink(&mut self, path: &str) -> Result<(), IoError> {
        self.make(Deed::Unlink(path.to_owned()), Ended::Done, |disk| disk.unlink(path))
    }

    fn remove_directory(&mut self, path: &str) -> Result<(), IoError> {
        self.make(Deed::RemoveDirectory(path.to_owned()), Ended::Done, |disk| disk.remove_directory(path))
    }
}
