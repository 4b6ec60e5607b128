//! Directories: the names there are, and those that are on stable storage.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use flumen_log::io::IoError;

use crate::random::Random;

/// `ENOTEMPTY`
const NOT_EMPTY: IoError = IoError { errno: 39 };
/// ENOTDIR and EISDIR: a name cannot take the place of one of the other kind.
const NOT_A_DIRECTORY: IoError = IoError { errno: 20 };
const IS_A_DIRECTORY: IoError = IoError { errno: 21 };

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Node {
    File(u64),
    Directory(u64),
}

#[derive(Clone, Debug, Default)]
struct SimDirectory {
    names: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    /// Which of the syncs asked for is the latest that completed.
    synced: u64,
    /// Files renamed within the directory: from, to.
    renames: Vec<(String, String, Node)>,
}

impl SimDirectory {
    /// A file's rename is done or not: the file has one of its names, and a name that it took over is never without a file.
    fn settle_renames(&mut self) {
        for (from, to, node) in core::mem::take(&mut self.renames) {
            if self.durable.get(&from) != Some(&node) {
                continue;
            }
            if self.names.get(&to) == Some(&node) {
                self.names.remove(&from);
            } else {
                self.names.insert(from, node);
                if let Some(old) = self.durable.get(&to) {
                    self.names.insert(to, *old);
                }
            }
        }
    }
}

/// What a directory's sync will make stable.
#[derive(Clone, Debug)]
pub(super) struct DirectorySnapshot {
    directory: u64,
    order: u64,
    names: BTreeMap<String, Node>,
}

/// All names.
#[derive(Clone, Debug)]
pub(super) struct Names {
    directories: BTreeMap<u64, SimDirectory>,
    next: u64,
}

const ROOT: u64 = 0;

impl Names {
    pub(super) fn new() -> Self {
        Self { directories: BTreeMap::from([(ROOT, SimDirectory::default())]), next: 1 }
    }

    pub(super) fn find(&self, path: &str) -> Option<Node> {
        path.split('/').filter(|part| !part.is_empty()).try_fold(Node::Directory(ROOT), |node, part| match node {
            Node::Directory(id) => self.directories.get(&id)?.names.get(part).copied(),
            Node::File(_) => None,
        })
    }

    /// The directory that holds the last part of a path, and that part.
    fn parent<'a>(&mut self, path: &'a str) -> Result<(&mut SimDirectory, &'a str), IoError> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        match self.find(parent) {
            Some(Node::Directory(id)) => self.directories.get_mut(&id).map(|found| (found, name)).ok_or(IoError::NOT_FOUND),
            _ => Err(IoError::NOT_FOUND),
        }
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn create_file(&mut self, path: &str) -> Result<u64, IoError> {
        let node = self.fresh();
        let (parent, name) = self.parent(path)?;
        parent.names.insert(name.to_string(), Node::File(node));
        Ok(node)
    }

    pub(super) fn create_directory(&mut self, path: &str) -> Result<(), IoError> {
        if self.find(path).is_some() {
            return Ok(());
        }
        let node = self.fresh();
        let (parent, name) = self.parent(path)?;
        parent.names.insert(name.to_string(), Node::Directory(node));
        self.directories.insert(node, SimDirectory::default());
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<(), IoError> {
        self.parent(to)?;
        let replaced = self.find(to).filter(|_| from != to);
        match (self.find(from).ok_or(IoError::NOT_FOUND)?, replaced) {
            (Node::Directory(_), Some(Node::File(_))) => return Err(NOT_A_DIRECTORY),
            (Node::File(_), Some(Node::Directory(_))) => return Err(IS_A_DIRECTORY),
            (Node::Directory(_), Some(Node::Directory(id))) if !self.is_empty(id) => return Err(NOT_EMPTY),
            _ => {}
        }
        let (parent, old) = self.parent(from)?;
        let node = parent.names.remove(old).ok_or(IoError::NOT_FOUND)?;
        let (parent, name) = self.parent(to)?;
        parent.names.insert(name.to_string(), node);
        if matches!(node, Node::File(_)) {
            parent.renames.push((old.to_string(), name.to_string(), node));
        }
        Ok(())
    }

    pub(super) fn unlink(&mut self, path: &str) {
        if let Ok((parent, name)) = self.parent(path) {
            parent.names.remove(name);
        }
    }

    pub(super) fn remove_directory(&mut self, path: &str) -> Result<(), IoError> {
        let Some(Node::Directory(id)) = self.find(path) else { return Ok(()) };
        if !self.is_empty(id) {
            return Err(NOT_EMPTY);
        }
        self.unlink(path);
        Ok(())
    }

    fn is_empty(&self, id: u64) -> bool {
        self.directories.get(&id).is_none_or(|directory| directory.names.is_empty())
    }

    pub(super) fn list(&self, path: &str) -> Result<Vec<(String, Node)>, IoError> {
        match self.find(path) {
            Some(Node::Directory(id)) => {
                let names = self.directories.get(&id).map(|directory| directory.names.clone()).unwrap_or_default();
                Ok(names.into_iter().collect())
            }
            _ => Err(IoError::NOT_FOUND),
        }
    }

    /// Whether all that was done to the names in a directory is on stable storage.
    pub(super) fn are_stable(&self, path: &str) -> bool {
        let Some(Node::Directory(id)) = self.find(path) else { return false };
        self.directories.get(&id).is_some_and(|directory| directory.names == directory.durable)
    }

    pub(super) fn snapshot(&mut self, path: &str) -> Option<DirectorySnapshot> {
        let Some(Node::Directory(directory)) = self.find(path) else { return None };
        let order = self.fresh();
        Some(DirectorySnapshot { directory, order, names: self.directories.get(&directory)?.names.clone() })
    }

    pub(super) fn sync(&mut self, snapshot: DirectorySnapshot) {
        if let Some(directory) = self.directories.get_mut(&snapshot.directory)
            && directory.synced < snapshot.order
        {
            directory.synced = snapshot.order;
            directory.durable = snapshot.names;
        }
    }

    /// The power fails: what was not synced is as before, as after, or, for files, name by name either.
    pub(super) fn crash(&mut self, random: &mut Random) {
        for directory in self.directories.values_mut() {
            match random.below(3) {
                0 => directory.names.clone_from(&directory.durable),
                1 => {}
                _ => {
                    let mixed: BTreeMap<String, Node> = directory
                        .durable
                        .iter()
                        .chain(&directory.names)
                        .filter(|(name, node)| {
                            let both = directory.durable.get(*name) == directory.names.get(*name);
                            let was_durable = directory.durable.contains_key(*name);
                            let is_directory = matches!(node, Node::Directory(_));
                            both || if is_directory { was_durable } else { random.one_in(2) }
                        })
                        .map(|(name, node)| (name.clone(), *node))
                        .collect();
                    // A directory that was renamed has one name or the other.
                    directory.names = mixed;
                    let missing: Vec<(String, Node)> = directory
                        .durable
                        .iter()
                        .filter(|(name, node)| matches!(node, Node::Directory(_)) && !directory.names.contains_key(*name))
                        .map(|(name, node)| (name.clone(), *node))
                        .collect();
                    directory.names.extend(missing);
                    directory.settle_renames();
                }
            }
            directory.renames.clear();
            directory.durable.clone_from(&directory.names);
        }
    }
}
