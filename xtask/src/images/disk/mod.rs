//! A disk that repeats a recording, and that can lose power at any point of it.
//!
//! It knows what the kernel promises and nothing more: a completed write is in the page cache; a completed sync has made stable what
//! had completed before it was asked for; a name is stable when its directory was synced since; a write past the page cache is
//! stable when it has completed. Whatever lies beyond that is chance. As [`flumen_log::io::Disk`] it serves recovery, and can fail
//! in the middle of it.

mod file;
mod names;

use super::recording::{Deed, Ended, Entry, Target, Word};
use bytes::Bytes;
use file::{ImageFile, Survival, Version};
use flumen_log::io::{DirectoryEntry, Disk, IoError, OpenMode};
use flumen_sim::random::Random;
use names::{Names, Node};
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Clone, Debug)]
struct Outstanding {
    deed: Deed,
    /// What a sync covers.
    version: Version,
    /// The file it is about; for a directory's sync the directory.
    node: Option<u64>,
    direct: bool,
}

/// The disk.
#[derive(Clone, Debug)]
pub(super) struct ImageDisk {
    names: Names,
    files: BTreeMap<u64, ImageFile>,
    /// What handles stand for, and whether writes go past the page cache.
    open: BTreeMap<u32, (u64, bool)>,
    outstanding: BTreeMap<u64, Outstanding>,
    version: Version,
    /// So many of recovery's calls go through; then the power is gone.
    pub(super) calls_left: Option<u64>,
}

impl ImageDisk {
    pub(super) fn new() -> Self {
        Self {
            names: Names::new(),
            files: BTreeMap::new(),
            open: BTreeMap::new(),
            outstanding: BTreeMap::new(),
            version: 0,
            calls_left: None,
        }
    }

    /// Repeat one entry of a recording.
    pub(super) fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Submitted(id, deed) => self.submit(*id, deed),
            Entry::Completed(id, ended) => self.complete(*id, ended),
            Entry::Said(Word::Died) => self.finish_outstanding(),
            Entry::Said(_) => {}
        }
    }

    /// An operation was asked for.
    fn submit(&mut self, id: u64, deed: &Deed) {
        if let Deed::Close(handle) = deed {
            // The kernel may give the number to another file before it tells that this one is closed.
            self.open.remove(handle);
            return;
        }
        let (node, direct) = match deed {
            Deed::Write(target, ..) | Deed::Truncate(target, _) | Deed::Sync(target) => match target {
                Target::Handle(handle) => self.open.get(handle).map_or((None, false), |(node, direct)| (Some(*node), *direct)),
                Target::Path(path) => (self.file(path), false),
            },
            Deed::SyncDirectory(path) => match self.names.find(path) {
                Some(Node::Directory(node)) => (Some(node), false),
                _ => (None, false),
            },
            _ => (None, false),
        };
        self.outstanding.insert(id, Outstanding { deed: deed.clone(), version: self.version, node, direct });
    }

    /// It has ended.
    fn complete(&mut self, id: u64, ended: &Ended) {
        let Some(outstanding) = self.outstanding.remove(&id) else { return };
        match (&outstanding.deed, ended) {
            (_, Ended::Failed) => {}
            (Deed::Open(path, mode), Ended::Opened(handle)) => {
                let node = self.made(path, *mode);
                if let Some(node) = node {
                    self.open.insert(*handle, (node, *mode == OpenMode::DirectDurable));
                }
            }
            (Deed::Write(_, offset, data), Ended::Written(bytes)) => {
                let data = data.slice(..data.len().min(usize::try_from(*bytes).unwrap_or(usize::MAX)));
                let node = self.target(&outstanding);
                if let Some(file) = node.and_then(|node| self.files.get_mut(&node)) {
                    file.write(*offset, &data, self.version);
                    if outstanding.direct {
                        file.settle(*offset, data.len() as u64);
                    }
                }
            }
            (Deed::Sync(_), _) => {
                let node = self.target(&outstanding);
                if let Some(file) = node.and_then(|node| self.files.get_mut(&node)) {
                    file.sync(outstanding.version);
                }
            }
            (Deed::SyncDirectory(_), _) => {
                if let Some(node) = outstanding.node {
                    self.names.sync(node, outstanding.version);
                }
            }
            _ => self.change(&outstanding),
        }
    }

    /// Something that changes a size or names, done.
    fn change(&mut self, outstanding: &Outstanding) {
        self.version += 1;
        // The recording says that it was done: what cannot be done here shows when the images are held against the real files.
        let _ = match &outstanding.deed {
            Deed::Truncate(_, length) => {
                let node = self.target(outstanding);
                if let Some(file) = node.and_then(|node| self.files.get_mut(&node)) {
                    file.truncate(*length, self.version);
                }
                Ok(())
            }
            Deed::CreateDirectory(path) => self.names.create_directory(path, self.version),
            Deed::Rename(from, to) => self.names.rename(from, to, self.version),
            Deed::Unlink(path) => {
                self.names.unlink(path, self.version);
                Ok(())
            }
            Deed::RemoveDirectory(path) => self.names.remove_directory(path, self.version),
            _ => Ok(()),
        };
    }

    /// The file an operation is about; recovery's writes make it if it is missing.
    fn target(&mut self, outstanding: &Outstanding) -> Option<u64> {
        self.version += 1;
        match (&outstanding.deed, outstanding.node) {
            (_, Some(node)) => Some(node),
            (Deed::Write(Target::Path(path), ..), None) => self.made(path, OpenMode::Create),
            _ => None,
        }
    }

    fn made(&mut self, path: &str, mode: OpenMode) -> Option<u64> {
        let node = match self.file(path) {
            Some(node) => node,
            None if matches!(mode, OpenMode::Create | OpenMode::CreateEmpty) => {
                self.version += 1;
                self.names.create_file(path, self.version).ok()?
            }
            None => return None,
        };
        let file = self.files.entry(node).or_default();
        if mode == OpenMode::CreateEmpty && file.size() > 0 {
            self.version += 1;
            file.truncate(0, self.version);
        }
        Some(node)
    }

    fn file(&self, path: &str) -> Option<u64> {
        if let Some(Node::File(node)) = self.names.find(path) { Some(node) } else { None }
    }

    /// Operations that were asked for and of which nothing more was heard, though the kernel has done them: the process died.
    fn finish_outstanding(&mut self) {
        for id in self.outstanding.keys().copied().collect::<Vec<_>>() {
            let ended = match &self.outstanding[&id].deed {
                Deed::Write(_, _, data) => Ended::Written(data.len() as u64),
                Deed::Open(path, mode) => {
                    let (path, mode) = (path.clone(), *mode);
                    self.made(&path, mode);
                    Ended::Failed
                }
                _ => Ended::Done,
            };
            self.complete(id, &ended);
        }
        self.open.clear();
    }

    /// The power fails: what was outstanding is done, in part or not at all; what was not synced is there or not.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let all_or_nothing = random.below(8);
        for (id, outstanding) in std::mem::take(&mut self.outstanding) {
            let done = match all_or_nothing {
                0 => false,
                1 => true,
                _ => random.one_in(2),
            };
            let started = !matches!(outstanding.deed, Deed::Sync(_) | Deed::SyncDirectory(_)) && done;
            if started {
                // A direct write is anything until it has completed: its pages are pending like others.
                let outstanding = Outstanding { direct: false, ..outstanding };
                let ended = match &outstanding.deed {
                    Deed::Write(_, _, data) => Ended::Written(data.len() as u64),
                    Deed::Open(path, mode) => {
                        self.made(path, *mode);
                        continue;
                    }
                    _ => Ended::Done,
                };
                self.outstanding.insert(id, outstanding);
                self.complete(id, &ended);
            }
        }
        let survival = match random.below(8) {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            2 => Survival::Until(self.version - random.below(self.version.min(60) + 1)),
            _ => Survival::Anything,
        };
        for file in self.files.values_mut() {
            file.crash(survival, random);
        }
        self.names.crash(survival, random);
        self.open.clear();
        self.calls_left = None;
    }

    /// Everything that was done is stable.
    pub(super) fn settle(&mut self) {
        let mut no_chance = Random::new(0);
        for file in self.files.values_mut() {
            file.crash(Survival::Everything, &mut no_chance);
        }
        self.names.crash(Survival::Everything, &mut no_chance);
    }

    /// A file's size.
    pub(super) fn length(&self, path: &str) -> Option<u64> {
        self.file(path).and_then(|node| self.files.get(&node)).map(ImageFile::size)
    }

    fn call(&mut self) -> Result<(), IoError> {
        self.version += 1;
        match &mut self.calls_left {
            Some(0) => Err(IoError::INPUT_OUTPUT),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Every file below a directory, and every directory with nothing for bytes.
    pub(super) fn contents(&self, directory: &str) -> BTreeMap<String, Option<Vec<u8>>> {
        let mut found = BTreeMap::new();
        for (name, node) in self.names.list(directory).unwrap_or_default() {
            let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            match node {
                Node::Directory(_) => {
                    found.extend(self.contents(&path));
                    found.insert(path, None);
                }
                Node::File(node) => {
                    let bytes = self.files.get(&node).map(|file| file.read(0, usize::MAX)).unwrap_or_default();
                    found.insert(path, Some(bytes));
                }
            }
        }
        found
    }

    /// Write it all out below a real directory.
    pub(super) fn write_out(&self, home: &Path) -> std::io::Result<()> {
        for (path, content) in self.contents("") {
            let path = home.join(path);
            match content {
                None => std::fs::create_dir_all(&path)?,
                Some(bytes) => {
                    if let Some(parent) = path.parent() {
                        std::fs::create_dir_all(parent)?;
                    }
                    std::fs::write(&path, bytes)?;
                }
            }
        }
        Ok(())
    }
}

impl Disk for ImageDisk {
    fn list(&mut self, path: &str) -> Result<Vec<DirectoryEntry>, IoError> {
        self.call()?;
        let entry = |(name, node)| match node {
            Node::Directory(_) => DirectoryEntry { name, is_directory: true, length: 0 },
            Node::File(node) => {
                let length = self.files.get(&node).map_or(0, ImageFile::size);
                DirectoryEntry { name, is_directory: false, length }
            }
        };
        Ok(self.names.list(path)?.into_iter().map(entry).collect())
    }

    fn read(&mut self, path: &str, offset: u64, length: usize) -> Result<Bytes, IoError> {
        self.call()?;
        let node = self.file(path).ok_or(IoError::NOT_FOUND)?;
        Ok(self.files.get(&node).map(|file| file.read(offset, length)).unwrap_or_default().into())
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> Result<(), IoError> {
        self.call()?;
        let node = self.made(path, OpenMode::Create).ok_or(IoError::NOT_FOUND)?;
        self.files.entry(node).or_default().write(offset, data, self.version);
        Ok(())
    }

    fn truncate(&mut self, path: &str, length: u64) -> Result<(), IoError> {
        self.call()?;
        let node = self.file(path).ok_or(IoError::NOT_FOUND)?;
        self.files.entry(node).or_default().truncate(length, self.version);
        Ok(())
    }

    fn sync(&mut self, path: &str) -> Result<(), IoError> {
        self.call()?;
        let node = self.file(path).ok_or(IoError::NOT_FOUND)?;
        self.files.entry(node).or_default().sync(self.version);
        Ok(())
    }

    fn create_directory(&mut self, path: &str) -> Result<(), IoError> {
        self.call()?;
        self.names.create_directory(path, self.version)
    }

    fn sync_directory(&mut self, path: &str) -> Result<(), IoError> {
        self.call()?;
        let Some(Node::Directory(node)) = self.names.find(path) else { return Err(IoError::NOT_FOUND) };
        self.names.sync(node, self.version);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), IoError> {
        self.call()?;
        self.names.rename(from, to, self.version)
    }

    fn unlink(&mut self, path: &str) -> Result<(), IoError> {
        self.call()?;
        self.names.unlink(path, self.version);
        Ok(())
    }

    fn remove_directory(&mut self, path: &str) -> Result<(), IoError> {
        self.call()?;
        self.names.remove_directory(path, self.version)
    }
}
