//! File operations: each becomes one request to the ring (a directory's sync becomes three), or is done on the spot.
//!
//! Invariants: a completion is told exactly once, with the raw result (a short write is told as short, an error is never
//! retried); only what the kernel means as "again" is done again. A file is closed only when nothing of this reactor uses
//! it. Done on the spot: small writes the machine marked so, the size at open, free space, and cutting a file where the
//! ring cannot.

mod inline;
mod paths;

use std::{
    collections::VecDeque,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
};

use flumen_log::io::{
    Completion, FileHandle, FileOperation, IoError, OpenMode, Operation, OperationId, Outcome, Owner, SyncScope, WriteData,
    WriteMode,
};
use rustix::io::Errno;

use crate::{
    errno::io_error,
    sys::{self, HandledFile, Request, Ring},
    token::Token,
};

/// An open file of this reactor.
struct OpenFile {
    file: HandledFile,
    in_flight: usize,
}

/// All open files, and the completions not told yet.
pub(crate) struct Files {
    /// By the numbers of their owners.
    directories: Vec<Rc<OwnedFd>>,
    /// By the place of their handles.
    open: Vec<Option<OpenFile>>,
    /// Completions to tell.
    pub(crate) done: VecDeque<Completion>,
    /// Operations to be started again.
    again: Vec<(Request, OperationId)>,
}

impl Files {
    pub(crate) fn new(directories: Vec<OwnedFd>) -> Self {
        let directories = directories.into_iter().map(Rc::new).collect();
        Self { directories, open: Vec::new(), done: VecDeque::new(), again: Vec::new() }
    }

    /// The files that are still open when the loop has ended.
    pub(crate) fn into_open(self) -> Vec<HandledFile> {
        self.open.into_iter().flatten().map(|open| open.file).collect()
    }

    /// Start an operation, or do it on the spot.
    pub(crate) fn start(&mut self, operation: Operation, ring: &mut Ring<Token>) {
        let Operation { id, kind } = operation;
        let request = match kind {
            FileOperation::Write { file, offset, data, mode: WriteMode::Inline } => {
                let result = inline::write(sys::borrow(file), offset, &data);
                return self.tell(id, result.map(|bytes| Outcome::Written { bytes }), aligned(data));
            }
            FileOperation::Truncate { file, length } if !ring.has_truncate() => {
                let result = inline::truncate(sys::borrow(file), length);
                return self.tell(id, result.map(|()| Outcome::Done), None);
            }
            FileOperation::FreeSpace => {
                let result = self.directory(id.owner).and_then(|directory| inline::space(directory.as_fd()));
                return self.tell(id, result, None);
            }
            FileOperation::Close { file } => {
                let open = self.open_file(file).take().expect("only a file this shard opened is closed by it, once");
                assert!(open.in_flight == 0, "{file:?} is closed with operations outstanding");
                Ok(Request::Close { descriptor: open.file.retire() })
            }
            kind => self.request(id.owner, kind),
        };
        match request {
            Ok(request) => self.queue(request, id, ring),
            Err(error) => self.tell(id, Err(error), None),
        }
    }

    /// The directory that an owner's paths lie in.
    fn directory(&self, owner: Owner) -> Result<Rc<OwnedFd>, IoError> {
        self.directories.get(owner.0 as usize).map(Rc::clone).ok_or(IoError::INVALID)
    }

    /// The request an operation becomes.
    fn request(&self, owner: Owner, kind: FileOperation) -> Result<Request, IoError> {
        let directory = || self.directory(owner);
        Ok(match kind {
            FileOperation::CreateDirectory { path } => {
                Request::MakeDirectory { directory: directory()?, path: paths::relative(path)? }
            }
            FileOperation::Open { path, mode } => {
                Request::Open { directory: directory()?, path: paths::relative(path)?, flags: open_flags(mode) }
            }
            FileOperation::Allocate { file, offset, length } => Request::Allocate { file, offset, length },
            FileOperation::Write { file, offset, data, mode: _ } => Request::Write { file, offset, data },
            FileOperation::Read { file, offset, length } => Request::Read { file, offset, buffer: Vec::new(), length },
            FileOperation::Truncate { file, length } => Request::Truncate { file, length },
            FileOperation::Sync { file, scope } => Request::Sync { file, data_only: scope == SyncScope::Data },
            FileOperation::WriteOut { file, offset, length } => Request::WriteOut { file, offset, length },
            FileOperation::SyncDirectory { path } => {
                let flags = libc::O_RDONLY | libc::O_DIRECTORY;
                Request::Open { directory: directory()?, path: paths::directory(path)?, flags }
            }
            FileOperation::Rename { from, to } => {
                Request::Rename { directory: directory()?, from: paths::relative(from)?, to: paths::relative(to)? }
            }
            FileOperation::Unlink { path } => Request::Unlink { directory: directory()?, path: paths::relative(path)?, flags: 0 },
            FileOperation::RemoveDirectory { path } => {
                Request::Unlink { directory: directory()?, path: paths::relative(path)?, flags: libc::AT_REMOVEDIR }
            }
            FileOperation::Close { .. } | FileOperation::FreeSpace => unreachable!("taken by `start`"),
        })
    }

    fn queue(&mut self, request: Request, id: OperationId, ring: &mut Ring<Token>) {
        self.count(&request, true);
        ring.start(request, Token::File(id));
    }

    fn open_file(&mut self, handle: FileHandle) -> &mut Option<OpenFile> {
        let place = sys::place(handle);
        if place >= self.open.len() {
            self.open.resize_with(place + 1, || None);
        }
        &mut self.open[place]
    }

    /// Keep count of what uses each of our files.
    fn count(&mut self, request: &Request, started: bool) {
        if let Some(open) = file_of(request).and_then(|file| self.open_file(file).as_mut()) {
            if started { open.in_flight += 1 } else { open.in_flight -= 1 }
        }
    }

    /// Start again what the kernel asked to try again. True if there was any.
    pub(crate) fn restart(&mut self, ring: &mut Ring<Token>) {
        for (request, id) in std::mem::take(&mut self.again) {
            self.queue(request, id, ring);
        }
    }

    /// Whether there is something to start again.
    pub(crate) fn must_restart(&self) -> bool {
        !self.again.is_empty()
    }

    /// An operation ended.
    pub(crate) fn finished(
        &mut self,
        id: OperationId,
        request: Request,
        result: Result<sys::Outcome, Errno>,
        ring: &mut Ring<Token>,
    ) {
        self.count(&request, false);
        let is_close = matches!(request, Request::Close { .. });
        if let Err(Errno::INTR | Errno::AGAIN) = result
            && !is_close
        {
            self.again.push((request, id));
            return;
        }
        match (request, result) {
            (Request::Open { flags, .. }, Ok(sys::Outcome::Opened(file))) => {
                if flags & libc::O_DIRECTORY == 0 {
                    let result = self.opened(file);
                    self.tell(id, result, None);
                } else {
                    self.queue(Request::SyncDirectory { directory: file }, id, ring);
                }
            }
            (Request::SyncDirectory { directory }, result) => {
                ring.start(Request::Close { descriptor: std::os::fd::IntoRawFd::into_raw_fd(directory) }, Token::Forgotten);
                self.tell(id, result.map(|_| Outcome::Done).map_err(io_error), None);
            }
            (Request::Read { file, offset, buffer, length }, Ok(sys::Outcome::Count(count))) if 0 < count && count < length => {
                // Short of the end of the file: only a signal or the kernel's bound of one call does that.
                let request = Request::Read { file, offset: offset + count as u64, buffer, length: length - count };
                self.queue(request, id, ring);
            }
            (Request::Read { buffer, .. }, Ok(_)) => self.tell(id, Ok(Outcome::Read { data: buffer.into() }), None),
            (Request::Write { data, .. }, result) => {
                let result = result.map(|outcome| Outcome::Written { bytes: count_of(&outcome) }).map_err(io_error);
                self.tell(id, result, aligned(data));
            }
            (Request::MakeDirectory { .. }, Err(Errno::EXIST)) | (Request::Unlink { .. }, Err(Errno::NOENT)) => {
                self.tell(id, Ok(Outcome::Done), None);
            }
            (_, result) => self.tell(id, result.map(|_| Outcome::Done).map_err(io_error), None),
        }
    }

    fn opened(&mut self, file: OwnedFd) -> Result<Outcome, IoError> {
        let length = inline::length(file.as_fd())?;
        let file = HandledFile::new(file).map_err(io_error)?;
        let handle = file.handle();
        *self.open_file(handle) = Some(OpenFile { file, in_flight: 0 });
        Ok(Outcome::Opened { file: handle, length })
    }

    fn tell(&mut self, id: OperationId, result: Result<Outcome, IoError>, buffer: Option<flumen_log::io::AlignedBuffer>) {
        self.done.push_back(Completion { id, result, buffer });
    }
}

fn open_flags(mode: OpenMode) -> i32 {
    match mode {
        OpenMode::ReadWrite => libc::O_RDWR,
        OpenMode::Read => libc::O_RDONLY,
        OpenMode::Create => libc::O_RDWR | libc::O_CREAT,
        OpenMode::CreateEmpty => libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC,
        OpenMode::DirectDurable => libc::O_RDWR | libc::O_DIRECT | libc::O_DSYNC,
    }
}

fn aligned(data: WriteData) -> Option<flumen_log::io::AlignedBuffer> {
    match data {
        WriteData::Aligned(buffer) => Some(buffer),
        WriteData::Gathered(_) => None,
    }
}

fn count_of(outcome: &sys::Outcome) -> u64 {
    match outcome {
        sys::Outcome::Count(count) => *count as u64,
        sys::Outcome::Opened(_) => 0,
    }
}

fn file_of(request: &Request) -> Option<FileHandle> {
    match request {
        Request::Read { file, .. }
        | Request::Write { file, .. }
        | Request::Allocate { file, .. }
        | Request::Truncate { file, .. }
        | Request::Sync { file, .. }
        | Request::WriteOut { file, .. } => Some(*file),
        _ => None,
    }
}
