//! The disk at start-up, before any shard runs.
//!
//! Recovery is one long decision in which every step needs the result of the last, so it is told through a port that the
//! hands implement, one call at a time. Nothing but start-up uses it.

use alloc::{string::String, vec::Vec};
use bytes::Bytes;

use super::IoError;

/// A name in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirectoryEntry {
    /// The name alone.
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Size in bytes, of a file.
    pub length: u64,
}

/// What recovery may do. Paths are relative to the data directory; the empty path is the data directory itself.
pub trait Disk {
    /// The names in a directory, sorted. A missing directory is [`IoError::NOT_FOUND`].
    fn list(&mut self, path: &str) -> Result<Vec<DirectoryEntry>, IoError>;
    /// Up to `length` bytes; short only at the end of the file.
    fn read(&mut self, path: &str, offset: u64, length: usize) -> Result<Bytes, IoError>;
    /// Write all of `data`, making the file if it is missing.
    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> Result<(), IoError>;
    /// Set a file's size.
    fn truncate(&mut self, path: &str, length: u64) -> Result<(), IoError>;
    /// Flush a file to stable storage, size included.
    fn sync(&mut self, path: &str) -> Result<(), IoError>;
    /// Make a directory; one that exists is no error.
    fn create_directory(&mut self, path: &str) -> Result<(), IoError>;
    /// Make the names in a directory stable.
    fn sync_directory(&mut self, path: &str) -> Result<(), IoError>;
    /// Rename, replacing.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), IoError>;
    /// Remove a file; a missing one is no error.
    fn unlink(&mut self, path: &str) -> Result<(), IoError>;
    /// Remove an empty directory; a missing one is no error.
    fn remove_directory(&mut self, path: &str) -> Result<(), IoError>;
}
