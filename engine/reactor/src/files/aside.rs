//! File calls that the ring does not have, made on a thread beside the shard's.
//!
//! Asking a file system how much is free has no operation in any ring, and may wait for a server where the file system is a
//! network's. Cutting a file has one since Linux 6.9; before, a cut that gives many extents back takes the journal of the
//! file system. The shard's thread makes neither call.
//!
//! Invariants: every call is answered once; the files of a call stay open until then, as those of any operation in flight.

use std::{
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use flumen_log::io::{FileHandle, IoError, OperationId, Outcome};
use rustix::fs::{fstatvfs, ftruncate};

use super::again;
use crate::{mailbox::Doorbell, sys};

/// What to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    /// How much the file system of the owner's log directory has free.
    Space,
    /// Set a file's size.
    Truncate { file: FileHandle, length: u64 },
}

/// A call's end.
pub(super) type Ended = (OperationId, Call, Result<Outcome, IoError>);

/// The thread, once there was something for it to do.
pub(super) struct Aside {
    bell: Arc<Doorbell>,
    thread: Option<Thread>,
    outstanding: usize,
}

struct Thread {
    calls: Sender<(OperationId, Call)>,
    ended: Receiver<Ended>,
    thread: JoinHandle<()>,
}

impl Aside {
    pub(super) const fn new(bell: Arc<Doorbell>) -> Self {
        Self { bell, thread: None, outstanding: 0 }
    }

    /// Have a call made. Its end is found by [`Aside::next`] after the bell was rung.
    pub(super) fn call(&mut self, id: OperationId, call: Call, directories: &[Rc<OwnedFd>]) -> Result<(), IoError> {
        if self.thread.is_none() {
            self.thread = Some(Thread::start(directories, Arc::clone(&self.bell)).map_err(|error| started(&error))?);
        }
        let thread = self.thread.as_ref().expect("it was just started");
        thread.calls.send((id, call)).map_err(|_| IoError::INPUT_OUTPUT)?;
        self.outstanding += 1;
        Ok(())
    }

    /// The next call that has ended.
    pub(super) fn next(&mut self) -> Option<Ended> {
        if self.outstanding == 0 {
            return None;
        }
        let ended = self.thread.as_ref()?.ended.try_recv().ok()?;
        self.outstanding -= 1;
        Some(ended)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(Thread { calls, ended, thread }) = self.thread.take() {
            drop((calls, ended));
            // Its panic, if there was one, has been told on its own.
            let _ = thread.join();
        }
    }
}

impl Thread {
    fn start(directories: &[Rc<OwnedFd>], bell: Arc<Doorbell>) -> std::io::Result<Self> {
        let directories = directories.iter().map(|directory| directory.try_clone()).collect::<Result<Vec<_>, _>>()?;
        let (calls, to_make) = channel::<(OperationId, Call)>();
        let (told, ended) = channel();
        let thread = std::thread::Builder::new().name("files-aside".to_owned()).spawn(move || {
            for (id, call) in to_make {
                if told.send((id, call, make(call, directories.get(id.owner.0 as usize)))).is_err() {
                    return;
                }
                bell.write();
            }
        })?;
        Ok(Self { calls, ended, thread })
    }
}

fn make(call: Call, directory: Option<&OwnedFd>) -> Result<Outcome, IoError> {
    match call {
        Call::Space => {
            let directory = directory.ok_or(IoError::INVALID)?;
            let status = again(|| fstatvfs(directory.as_fd()))?;
            Ok(Outcome::Free {
                bytes: status.f_bavail.saturating_mul(status.f_frsize),
                total_bytes: status.f_blocks.saturating_mul(status.f_frsize),
            })
        }
        Call::Truncate { file, length } => again(|| ftruncate(sys::borrow(file), length)).map(|()| Outcome::Done),
    }
}

fn started(error: &std::io::Error) -> IoError {
    error.raw_os_error().map_or(IoError::INPUT_OUTPUT, |errno| IoError { errno })
}
