//! The disk as recovery has it, each change told.

use alloc::vec::Vec;
use bytes::Bytes;
use flumen_log::io::{DirectoryEntry, Disk, IoError};

use crate::disk::SimDisk;
use crate::trace::Trace;

/// A disk, and who is told what is done to it.
pub(crate) struct Watched<'a> {
    pub(crate) disk: &'a mut SimDisk,
    pub(crate) trace: &'a mut Trace,
}

impl Disk for Watched<'_> {
    fn list(&mut self, path: &str) -> Result<Vec<DirectoryEntry>, IoError> {
        self.disk.list(path)
    }

    fn read(&mut self, path: &str, offset: u64, length: usize) -> Result<Bytes, IoError> {
        self.disk.read(path, offset, length)
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> Result<(), IoError> {
        self.trace.note(format_args!("  write {path}: {} at {offset}", data.len()));
        self.disk.write(path, offset, data)
    }

    fn truncate(&mut self, path: &str, length: u64) -> Result<(), IoError> {
        self.trace.note(format_args!("  truncate {path}: to {length}"));
        self.disk.truncate(path, length)
    }

    fn sync(&mut self, path: &str) -> Result<(), IoError> {
        self.trace.note(format_args!("  sync {path}"));
        self.disk.sync(path)
    }

    fn create_directory(&mut self, path: &str) -> Result<(), IoError> {
        self.trace.note(format_args!("  make directory {path}"));
        self.disk.create_directory(path)
    }

    fn sync_directory(&mut self, path: &str) -> Result<(), IoError> {
        self.trace.note(format_args!("  sync directory {path:?}"));
        self.disk.sync_directory(path)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), IoError> {
        self.trace.note(format_args!("  rename {from} to {to}"));
        self.disk.rename(from, to)
    }

    fn unlink(&mut self, path: &str) -> Result<(), IoError> {
        self.trace.note(format_args!("  unlink {path}"));
        self.disk.unlink(path)
    }

    fn remove_directory(&mut self, path: &str) -> Result<(), IoError> {
        self.trace.note(format_args!("  remove directory {path}"));
        self.disk.remove_directory(path)
    }
}
