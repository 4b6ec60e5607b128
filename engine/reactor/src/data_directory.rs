//! The data directory and its lock.
//!
//! The lock is `flock` on a file of its own. Every ring registers that file, so the lock stays taken until the last
//! operation of the last ring has ended, even when the process was killed in the middle: a process that gets the lock
//! never meets a late write of the one before.

use std::{
    fs::File,
    io::{Read, Seek, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};

/// The lock's name in the data directory.
pub const LOCK_NAME: &str = ".lock";

/// How often a lock held by another is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// Why a data directory could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("the data directory {} is in use by {}", .path.display(), holder(*.process))]
    Held {
        /// Which directory.
        path: PathBuf,
        /// The process, as it wrote itself down.
        process: Option<u32>,
    },
    /// It cannot be made, opened or locked.
    #[error("the data directory {}: cannot {action}: {source}", .path.display())]
    Io {
        /// Which directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
}

fn holder(process: Option<u32>) -> String {
    process.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"))
}

/// An open data directory, locked for this process.
///
/// Clone it with [`DataDirectory::try_clone`], one for each reactor; the lock goes when all are gone.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    directory: OwnedFd,
    lock: OwnedFd,
}

impl DataDirectory {
    /// Open, making it if it is missing, and lock. If another process holds the lock it is tried again for `patience`: a
    /// process that was killed lets go only when the kernel has finished its last operation.
    ///
    /// # Errors
    /// If another process holds the lock for longer, or the kernel refuses.
    pub fn open(path: &Path, patience: Duration) -> Result<Self, LockError> {
        let fault = |action| move |source| LockError::Io { path: path.to_owned(), action, source };
        std::fs::create_dir_all(path).map_err(fault("create it"))?;
        let directory: OwnedFd = File::open(path).map_err(fault("open it"))?.into();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let lock = openat(&directory, LOCK_NAME, flags, Mode::from_raw_mode(0o644))
            .map_err(|error| fault("open its lock file")(error.into()))?;
        let mut lock = File::from(lock);
        let started = Instant::now();
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::WOULDBLOCK) if started.elapsed() < patience => std::thread::sleep(RETRY),
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let mut text = String::new();
                    // Only for the message; whoever holds it may be writing it this moment.
                    let _ = lock.read_to_string(&mut text);
                    return Err(LockError::Held { path: path.to_owned(), process: text.trim().parse().ok() });
                }
                Err(error) => return Err(fault("lock it")(error.into())),
            }
        }
        let write_process = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        // The number only helps the message above: a full disk must not keep the broker from starting.
        let _ = write_process(&mut lock);
        Ok(Self { path: path.to_owned(), directory, lock: lock.into() })
    }

    /// Another handle on the same directory and lock.
    ///
    /// # Errors
    /// If the process is out of file descriptors.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Self { path: self.path.clone(), directory: self.directory.try_clone()?, lock: self.lock.try_clone()? })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock, for a ring to register, and the directory, which stays open.
    pub(crate) fn into_parts(self) -> (OwnedFd, OwnedFd) {
        (self.directory, self.lock)
    }
}

impl AsFd for DataDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::{DataDirectory, LockError};
    use std::time::Duration;

    #[test]
    fn one_holder_at_a_time() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a/b");
        let first = DataDirectory::open(&path, Duration::ZERO).expect("free");
        let clone = first.try_clone().expect("descriptors");
        drop(first);
        match DataDirectory::open(&path, Duration::ZERO) {
            Err(LockError::Held { process, .. }) => assert_eq!(process, Some(std::process::id())),
            other => panic!("expected the lock to be held, got {other:?}"),
        }
        drop(clone);
        DataDirectory::open(&path, Duration::ZERO).expect("free again");
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("file");
        std::fs::write(&path, b"").expect("a file");
        let error = DataDirectory::open(&path, Duration::ZERO).expect_err("not a directory");
        assert!(error.to_string().contains("file"), "{error}");
    }
}
