//! Failures, and the disk as recovery sees it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use flumen_log::io::{DirectoryEntry, Disk, FileOperation, IoError};

use super::file::SimFile;
use super::names::Node;
use super::{LateWrite, SimDisk, flatten, read, to_usize};
use crate::random::Random;

/// Bytes of a file that are not what was written.
#[derive(Clone, Debug)]
pub struct Spoiled {
    node: u64,
    position: usize,
    before: Vec<u8>,
    /// The whole file as it was left.
    after: Vec<u8>,
}

impl SimDisk {
    /// The power fails: unsynced pages and names become what chance makes of them.
    pub fn crash_power(&mut self, random: &mut Random) {
        self.finish_some(false, random);
        self.late.clear();
        for file in self.files.values_mut() {
            file.crash(random);
        }
        self.names.crash(random);
        self.forget_process();
    }

    /// The process dies: what was done stays in the page cache, but pages on which a sync failed may be forgotten. Whether some
    /// were.
    pub fn crash_process(&mut self, random: &mut Random) -> bool {
        self.finish_some(self.faults.late_writes, random);
        let mut forgotten = false;
        if random.one_in(2) {
            for file in self.files.values_mut() {
                forgotten |= file.evict();
            }
        }
        self.forget_process();
        forgotten
    }

    /// Whether a new process gets the lock: only when no operation of a dead one is left.
    #[must_use]
    pub fn lock_is_free(&self) -> bool {
        self.late.is_empty()
    }

    /// The kernel does one of the writes of a dead process, or finds that it need not.
    pub fn land_late_write(&mut self, random: &mut Random) {
        if self.late.is_empty() {
            return;
        }
        let write = self.late.swap_remove(random.index(self.late.len()));
        if let Some(file) = self.files.get_mut(&write.node).filter(|_| !random.one_in(4)) {
            *self.faults.counts.entry("late write").or_default() += 1;
            file.write(write.offset, &write.bytes);
        }
    }

    /// A bit of a file rots.
    pub fn rot(&mut self, path: &str, position: u64, bit: u8) {
        if let Some(byte) = self.peek(path).and_then(|file| file.get(to_usize(position)).copied()) {
            self.spoil(path, position, &[byte ^ 1 << (bit % 8)]);
        }
    }

    /// Bytes of a file are not what was written any more. `None` if it has none there, or they are the same.
    pub fn spoil(&mut self, path: &str, position: u64, bytes: &[u8]) -> Option<Spoiled> {
        let (node, position) = (self.node(path).ok()?, to_usize(position));
        let file = self.files.get_mut(&node)?;
        let before = file.cache.get(position..position + bytes.len())?.to_vec();
        file.replace(position, bytes);
        let after = file.cache.clone();
        (before != bytes).then_some(Spoiled { node, position, before, after })
    }

    /// They are as they were again, if the file is still there, whatever it is called now.
    pub fn turn_back(&mut self, spoiled: &Spoiled) {
        if let Some(file) = self.files.get_mut(&spoiled.node) {
            file.replace(spoiled.position, &spoiled.before);
        }
    }

    /// Whether the file of this name is that which was spoiled, and nobody has touched it since.
    #[must_use]
    pub fn is_as_spoiled(&self, path: &str, spoiled: &Spoiled) -> bool {
        self.node(path) == Ok(spoiled.node) && self.peek(path) == Some(spoiled.after.as_slice())
    }

    /// Whether a power failure would leave the names in a directory as they are.
    #[must_use]
    pub fn has_stable_names(&self, directory: &str) -> bool {
        self.names.are_stable(directory)
    }

    /// What is in a file, without a call that could fail.
    #[must_use]
    pub fn peek(&self, path: &str) -> Option<&[u8]> {
        let node = self.node(path).ok()?;
        self.files.get(&node).map(|file| file.cache.as_slice())
    }

    /// Whether what is in a file is on stable storage too: no power failure takes it back.
    #[must_use]
    pub fn is_stable(&self, path: &str) -> bool {
        self.node(path).ok().and_then(|node| self.files.get(&node)).is_some_and(SimFile::is_stable)
    }

    /// Of the writes outstanding some are done, some half, some not at all.
    fn finish_some(&mut self, late: bool, random: &mut Random) {
        for outstanding in core::mem::take(&mut self.outstanding) {
            if let FileOperation::Write { file, offset, data, .. } = &outstanding.operation.kind {
                let mut bytes = flatten(data);
                match random.below(3) {
                    0 => continue,
                    1 => bytes.truncate(random.index(bytes.len() / 512 + 1) * 512),
                    _ => {}
                }
                let node = self.open.get(&file.0).map(|open| open.node);
                if late
                    && random.one_in(2)
                    && let Some(node) = node
                {
                    self.late.push(LateWrite { node, offset: to_usize(*offset), bytes });
                    continue;
                }
                if let Some(file) = node.and_then(|node| self.files.get_mut(&node)) {
                    // Also a direct write is anything until it has completed.
                    file.write(to_usize(*offset), &bytes);
                }
            } else if random.one_in(2) {
                self.execute(outstanding, random);
            }
        }
    }

    fn forget_process(&mut self) {
        self.open.clear();
        self.ready.clear();
        self.faults.calls_left = None;
        self.faults.changes_left = None;
    }

    /// A call that changes something, which the disk may refuse once.
    fn change(&mut self) -> Result<(), IoError> {
        self.call()?;
        match &mut self.faults.changes_left {
            Some((0, error)) => {
                let error = *error;
                self.faults.changes_left = None;
                *self.faults.counts.entry("recovery refused").or_default() += 1;
                Err(error)
            }
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn room(&mut self, takes_room: bool) -> Result<(), IoError> {
        self.faults.full_error(takes_room).map_or(Ok(()), Err)
    }

    fn call(&mut self) -> Result<(), IoError> {
        match &mut self.faults.calls_left {
            Some(0) => Err(IoError::INPUT_OUTPUT),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn node(&self, path: &str) -> Result<u64, IoError> {
        match self.names.find(path) {
            Some(Node::File(node)) => Ok(node),
            _ => Err(IoError::NOT_FOUND),
        }
    }

    /// Every file's name and content, for comparing disks.
    #[must_use]
    pub fn contents(&self, directory: &str) -> Vec<(String, Vec<u8>)> {
        let mut contents = Vec::new();
        for (name, node) in self.names.list(directory).unwrap_or_default() {
            let path = if directory.is_empty() { name } else { alloc::format!("{directory}/{name}") };
            match node {
                Node::Directory(_) => contents.extend(self.contents(&path)),
                Node::File(node) => {
                    let cache = self.files.get(&node).map(|file| file.cache.clone());
                    contents.push((path, cache.unwrap_or_default()));
                }
            }
        }
        contents
    }
}

impl Disk for SimDisk {
    fn list(&mut self, path: &str) -> Result<Vec<DirectoryEntry>, IoError> {
        self.call()?;
        let entry = |(name, node)| match node {
            Node::Directory(_) => DirectoryEntry { name, is_directory: true, length: 0 },
            Node::File(node) => {
                let length = self.files.get(&node).map_or(0, |file| file.cache.len() as u64);
                DirectoryEntry { name, is_directory: false, length }
            }
        };
        Ok(self.names.list(path)?.into_iter().map(entry).collect())
    }

    fn read(&mut self, path: &str, offset: u64, length: usize) -> Result<Bytes, IoError> {
        self.call()?;
        let node = self.node(path)?;
        if self.faults.unreadable.is_some_and(|suffix| path.ends_with(suffix)) {
            return Err(IoError::INPUT_OUTPUT);
        }
        let data = self.files.get(&node).map(|file| read(file, offset, length)).unwrap_or_default();
        *self.reads.entry(path.to_string()).or_default() += data.len() as u64;
        Ok(data)
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> Result<(), IoError> {
        self.change()?;
        let length = self.node(path).ok().and_then(|node| self.files.get(&node)).map(|file| file.cache.len());
        self.room(length.is_none_or(|length| to_usize(offset) + data.len() > length))?;
        let node = match self.node(path) {
            Ok(node) => node,
            Err(_) => self.names.create_file(path)?,
        };
        self.files.entry(node).or_default().write(to_usize(offset), data);
        Ok(())
    }

    fn truncate(&mut self, path: &str, length: u64) -> Result<(), IoError> {
        self.change()?;
        let node = self.node(path)?;
        self.files.entry(node).or_default().truncate(to_usize(length));
        Ok(())
    }

    fn sync(&mut self, path: &str) -> Result<(), IoError> {
        let result = self.change();
        let node = self.node(path)?;
        let file = self.files.entry(node).or_default();
        let snapshot = file.snapshot();
        match result {
            Ok(()) => file.sync(&snapshot),
            Err(_) => file.fail_sync(&snapshot, &mut self.chance),
        }
        result
    }

    fn create_directory(&mut self, path: &str) -> Result<(), IoError> {
        self.change()?;
        self.room(self.names.find(path).is_none())?;
        self.names.create_directory(path)
    }

    fn sync_directory(&mut self, path: &str) -> Result<(), IoError> {
        self.change()?;
        let snapshot = self.names.snapshot(path).ok_or(IoError::NOT_FOUND)?;
        self.names.sync(snapshot);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), IoError> {
        self.change()?;
        self.names.rename(from, to)
    }

    fn unlink(&mut self, path: &str) -> Result<(), IoError> {
        self.change()?;
        self.names.unlink(path);
        Ok(())
    }

    fn remove_directory(&mut self, path: &str) -> Result<(), IoError> {
        self.change()?;
        self.names.remove_directory(path)
    }
}
