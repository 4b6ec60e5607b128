//! File operations: each becomes one request to the ring (an open becomes two, a directory's sync three), is done on the spot,
//! or goes to a thread beside this one.
//!
//! Invariants: a completion is told exactly once, with the raw result (a short write is told as short, an error is never
//! retried); only what the kernel means as "again" is done again. A file is closed only when nothing of this reactor uses
//! it. Done on the spot are small writes the machine marked so, and nothing else; [`aside`] is for what the ring cannot do.

mod aside;
mod inline;
mod paths;

use std::{
    collections::VecDeque,
    os::fd::{IntoRawFd, OwnedFd},
    rc::Rc,
    sync::Arc,
};

use flumen_log::io::{
    Completion, FileHandle, FileOperation, IoError, OpenMode, Operation, OperationId, Outcome, Owner, SyncScope, WriteData,
    WriteMode,
};
use rustix::io::Errno;

use crate::{
    errno::io_error,
    mailbox::Doorbell,
    sys::{self, HandledFile, Request, Ring},
    token::Token,
};
use aside::{Aside, Call};

/// An open file of this reactor.
struct OpenFile {
    file: HandledFile,
    in_flight: usize,
}

/// A write that is done on this thread.
struct SpotWrite {
    id: OperationId,
    file: FileHandle,
    offset: u64,
    data: WriteData,
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
    aside: Aside,
    /// Writes to be done on the spot, as soon as the ring has its work.
    spot: Vec<SpotWrite>,
    /// Files are cut through the ring.
    truncate_by_ring: bool,
}

impl Files {
    /// Files below directories, by the numbers of their owners. `bell` is rung when something is to be taken by [`Files::take_aside`].
    pub(crate) fn new(directories: Vec<OwnedFd>, bell: Arc<Doorbell>, truncate_by_ring: bool) -> Self {
        Self {
            directories: directories.into_iter().map(Rc::new).collect(),
            open: Vec::new(),
            done: VecDeque::new(),
            again: Vec::new(),
            aside: Aside::new(bell),
            spot: Vec::new(),
            truncate_by_ring,
        }
    }

    /// The files that are still open when the loop has ended.
    pub(crate) fn into_open(self) -> Vec<HandledFile> {
        self.open.into_iter().flatten().map(|open| open.file).collect()
    }

    /// Start an operation, or keep it for [`Files::write_on_the_spot`].
    pub(crate) fn start(&mut self, operation: Operation, ring: &mut Ring<Token>) {
        let Operation { id, kind } = operation;
        let request = match kind {
            FileOperation::Write { file, offset, data, mode: WriteMode::Inline } => {
                return self.spot.push(SpotWrite { id, file, offset, data });
            }
            FileOperation::Truncate { file, length } if !self.truncate_by_ring => {
                return self.call_aside(id, Call::Truncate { file, length });
            }
            FileOperation::FreeSpace => return self.call_aside(id, Call::Space),
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

    /// Bytes that [`Files::write_on_the_spot`] would write.
    pub(crate) fn spot_bytes(&self) -> usize {
        self.spot.iter().map(|write| write.data.len()).sum()
    }

    /// Do what is to be done on this thread.
    pub(crate) fn write_on_the_spot(&mut self) {
        for SpotWrite { id, file, offset, data } in self.spot.drain(..) {
            let result = inline::write(sys::borrow(file), offset, &data).map(|bytes| Outcome::Written { bytes });
            self.done.push_back(Completion { id, result, buffer: aligned(data) });
        }
    }

    /// The directory that an owner's paths lie in.
    fn directory(&self, owner: Owner) -> Result<Rc<OwnedFd>, IoError> {
        self.directories.get(owner.0 as usize).map(Rc::clone).ok_or(IoError::INVALID)
    }

    fn call_aside(&mut self, id: OperationId, call: Call) {
        self.count_aside(call, true);
        if let Err(error) = self.aside.call(id, call, &self.directories) {
            self.count_aside(call, false);
            self.tell(id, Err(error), None);
        }
    }

    fn count_aside(&mut self, call: Call, started: bool) {
        if let Call::Truncate { file, .. } = call {
            self.count_use(file, started);
        }
    }

    /// Take what has been done beside this thread.
    pub(crate) fn take_aside(&mut self) {
        while let Some((id, call, result)) = self.aside.next() {
            self.count_aside(call, false);
            self.tell(id, result, None);
        }
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
        if let Some(file) = file_of(request) {
            self.count_use(file, started);
        }
    }

    fn count_use(&mut self, file: FileHandle, started: bool) {
        if let Some(open) = self.open_file(file).as_mut() {
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
                let next = if flags & libc::O_DIRECTORY == 0 {
                    Request::size_of(file)
                } else {
                    Request::SyncDirectory { directory: file }
                };
                self.queue(next, id, ring);
            }
            (Request::Size { file, status }, Ok(_)) => {
                let result = self.opened(file, status.stx_size);
                self.tell(id, result, None);
            }
            (Request::Size { file, .. }, Err(error)) => {
                ring.start(Request::Close { descriptor: file.into_raw_fd() }, Token::Forgotten);
                self.tell(id, Err(io_error(error)), None);
            }
            (Request::SyncDirectory { directory }, result) => {
                ring.start(Request::Close { descriptor: directory.into_raw_fd() }, Token::Forgotten);
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

    fn opened(&mut self, file: OwnedFd, length: u64) -> Result<Outcome, IoError> {
        let file = HandledFile::new(file).map_err(io_error)?;
        let handle = file.handle();
        *self.open_file(handle) = Some(OpenFile { file, in_flight: 0 });
        Ok(Outcome::Opened { file: handle, length })
    }

    fn tell(&mut self, id: OperationId, result: Result<Outcome, IoError>, buffer: Option<flumen_log::io::AlignedBuffer>) {
        self.done.push_back(Completion { id, result, buffer });
    }
}

/// Again while a signal interrupts it.
fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, IoError> {
    loop {
        match call() {
            Err(Errno::INTR | Errno::AGAIN) => {}
            result => return result.map_err(io_error),
        }
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
