//! File operations that must follow one another: each is asked for after the one before it has completed.
//!
//! Invariants: a script has exactly one operation outstanding; the first failure ends it, its file closed; scripts that come in any
//! number, one for each partition perhaps, wait their turn, so that they never have more than a few files open together.

use alloc::collections::{BTreeMap, VecDeque};
use bytes::Bytes;

use crate::io::{FileHandle, FileOperation, FilePath, Io, IoError, OpenMode, Outcome, Owner, SyncScope, WriteData, WriteMode};

/// One operation of a script. Writes, syncs and closes are of the file opened last.
#[derive(Debug)]
pub(crate) enum Step {
    CreateDirectory(FilePath),
    /// There must be no such file.
    Absent(FilePath),
    Open(FilePath, OpenMode),
    Write(u64, Bytes),
    Truncate(u64),
    Sync(SyncScope),
    Close,
    SyncDirectory(FilePath),
    Rename(FilePath, FilePath),
    Unlink(FilePath),
    /// One that is not empty is left, and that is no failure.
    RemoveDirectory(FilePath),
}

/// How a script ended.
#[derive(Debug)]
pub(crate) struct Ended<T> {
    /// What it was for.
    pub(crate) then: T,
    /// The file it left open, if any; or what failed.
    pub(crate) result: Result<Option<(FileHandle, u64)>, IoError>,
    /// What failed found no room, and was no sync: nothing that was written is in doubt, so something else may be tried.
    pub(crate) refused_for_space: bool,
    /// Steps that were done, before one failed or there were no more.
    pub(crate) steps_done: usize,
}

#[derive(Debug)]
struct Script<T> {
    steps: VecDeque<Step>,
    then: T,
    file: Option<(FileHandle, u64)>,
    failure: Option<IoError>,
    failed_at_sync: bool,
    steps_done: usize,
}

/// Running scripts above which others wait.
const RUNNING_MAX: usize = 64;

/// The scripts that are running, by the operation each waits for, and those that wait.
#[derive(Debug)]
pub(crate) struct Scripts<T> {
    owner: Owner,
    running: BTreeMap<u64, Script<T>>,
    waiting: VecDeque<Script<T>>,
}

impl<T> Scripts<T> {
    pub(crate) const fn new(owner: Owner) -> Self {
        Self { owner, running: BTreeMap::new(), waiting: VecDeque::new() }
    }

    /// Whether none is running or waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Begin with those that wait, as many as may run. To be called now and then: where the process had no file left for one, its
    /// time may have come.
    pub(crate) fn resume(&mut self, io: &mut Io) {
        for _ in self.running.len()..RUNNING_MAX {
            let Some(next) = self.waiting.pop_front() else { break };
            self.run(next, io);
        }
    }

    /// Those that wait are not wanted any more.
    pub(crate) fn drop_waiting(&mut self) {
        self.waiting.clear();
    }

    /// Run these steps, of which there is at least one, when it is their turn.
    pub(crate) fn start(&mut self, steps: impl IntoIterator<Item = Step>, then: T, io: &mut Io) {
        let script = Script::new(steps, then);
        if self.running.len() < RUNNING_MAX {
            self.run(script, io);
        } else {
            self.waiting.push_back(script);
        }
    }

    /// Run these steps at once: there are never many of their kind, and others wait for them.
    pub(crate) fn start_first(&mut self, steps: impl IntoIterator<Item = Step>, then: T, io: &mut Io) {
        self.run(Script::new(steps, then), io);
    }

    fn run(&mut self, script: Script<T>, io: &mut Io) {
        let ended = self.advance(script, io);
        debug_assert!(ended.is_none(), "a script has at least one step");
    }

    /// Whether the operation is one of a script's.
    pub(crate) fn owns(&self, operation: u64) -> bool {
        self.running.contains_key(&operation)
    }

    /// Take the end of an operation; the script's end, if that was its last.
    pub(crate) fn complete(&mut self, operation: u64, result: Result<Outcome, IoError>, io: &mut Io) -> Option<Ended<T>> {
        let mut script = self.running.remove(&operation)?;
        match (result, script.steps.front_mut()) {
            (Ok(Outcome::Written { bytes }), Some(Step::Write(offset, data))) if bytes < data.len() as u64 => {
                // A short write: the rest follows. Nothing written at all would go round for ever.
                if bytes == 0 {
                    script.fail(IoError::INPUT_OUTPUT);
                } else {
                    *offset += bytes;
                    *data = data.slice(usize::try_from(bytes).unwrap_or_default()..);
                }
            }
            (Err(IoError::NOT_FOUND), Some(Step::Absent(_))) => script.next(),
            (Ok(Outcome::Opened { file, length }), Some(Step::Absent(_))) => {
                script.file = Some((file, length));
                script.fail(IoError::EXISTS);
            }
            (Ok(outcome), Some(step)) => {
                if let Outcome::Opened { file, length } = outcome {
                    script.file = Some((file, length));
                }
                if matches!(step, Step::Close) {
                    script.file = None;
                }
                script.next();
            }
            (Err(_), Some(Step::RemoveDirectory(_))) => script.next(),
            (Err(error), Some(Step::Open(..) | Step::Absent(_))) if error.is_no_file_left() => {
                self.waiting.push_front(script);
                return None;
            }
            (Err(error), step) => {
                script.failed_at_sync |= matches!(step, Some(Step::Sync(_) | Step::SyncDirectory(_)));
                script.fail(error);
            }
            (Ok(_), None) => {}
        }
        self.advance(script, io)
    }

    fn advance(&mut self, script: Script<T>, io: &mut Io) -> Option<Ended<T>> {
        let Some(step) = script.steps.front() else {
            let result = script.failure.map_or(Ok(script.file), Err);
            let refused_for_space = script.failure.is_some_and(IoError::is_no_space) && !script.failed_at_sync;
            if self.running.len() < RUNNING_MAX
                && let Some(next) = self.waiting.pop_front()
            {
                self.run(next, io);
            }
            return Some(Ended { then: script.then, result, refused_for_space, steps_done: script.steps_done });
        };
        let file = script.file.map_or(FileHandle(u32::MAX), |(file, _)| file);
        let operation = match step {
            Step::CreateDirectory(path) => FileOperation::CreateDirectory { path: path.clone() },
            Step::Absent(path) => FileOperation::Open { path: path.clone(), mode: OpenMode::Read },
            Step::Open(path, mode) => FileOperation::Open { path: path.clone(), mode: *mode },
            Step::Write(offset, data) => FileOperation::Write {
                file,
                offset: *offset,
                data: WriteData::Gathered(alloc::vec![data.clone()]),
                mode: WriteMode::Queued,
            },
            Step::Truncate(length) => FileOperation::Truncate { file, length: *length },
            Step::Sync(scope) => FileOperation::Sync { file, scope: *scope },
            Step::Close => FileOperation::Close { file },
            Step::SyncDirectory(path) => FileOperation::SyncDirectory { path: path.clone() },
            Step::Rename(from, to) => FileOperation::Rename { from: from.clone(), to: to.clone() },
            Step::Unlink(path) => FileOperation::Unlink { path: path.clone() },
            Step::RemoveDirectory(path) => FileOperation::RemoveDirectory { path: path.clone() },
        };
        let id = io.ask(self.owner, operation);
        self.running.insert(id.sequence, script);
        None
    }
}

impl<T> Script<T> {
    fn new(steps: impl IntoIterator<Item = Step>, then: T) -> Self {
        Self { steps: steps.into_iter().collect(), then, file: None, failure: None, failed_at_sync: false, steps_done: 0 }
    }

    /// The step is done.
    fn next(&mut self) {
        self.steps.pop_front();
        self.steps_done += usize::from(self.failure.is_none());
    }

    /// Do nothing more but close the file that is open.
    fn fail(&mut self, error: IoError) {
        self.failure.get_or_insert(error);
        self.steps.clear();
        if self.file.is_some() {
            self.steps.push_back(Step::Close);
        }
    }
}

/// The steps that put new content in the place of a file's, all of it or none. The place is stable when they are done.
pub(crate) fn replace_file(partial: FilePath, path: FilePath, directory: FilePath, data: Bytes) -> impl Iterator<Item = Step> {
    let write = write_file(partial.clone(), OpenMode::CreateEmpty, 0, data, true);
    write.chain([Step::Rename(partial, path), Step::SyncDirectory(directory)])
}

/// The steps that make a small file's content stable under an existing name, or a new one.
pub(crate) fn write_file(path: FilePath, mode: OpenMode, offset: u64, data: Bytes, sync: bool) -> impl Iterator<Item = Step> {
    let sync = sync.then_some(Step::Sync(SyncScope::Data));
    [Step::Open(path, mode), Step::Write(offset, data)].into_iter().chain(sync).chain([Step::Close])
}
