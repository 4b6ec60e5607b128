//! Directories: the names there are, the names on stable storage, and the changes in between, each of which a power failure may keep
//! or not.

use super::file::{Survival, Version};
use flumen_log::io::IoError;
use flumen_sim::random::Random;
use std::collections::BTreeMap;

/// `ENOTEMPTY`
const NOT_EMPTY: IoError = IoError { errno: 39 };
/// The data directory.
const ROOT: u64 = 0;

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Node {
    File(u64),
    Directory(u64),
}

#[derive(Clone, Debug)]
enum Change {
    Put(String, Node),
    Drop(String),
    Move(String, String, Node),
}

#[derive(Clone, Debug, Default)]
struct Directory {
    names: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    pending: Vec<(Version, Change)>,
}

/// All names.
#[derive(Clone, Debug)]
pub(super) struct Names {
    directories: BTreeMap<u64, Directory>,
    last_node: u64,
}

fn apply(names: &mut BTreeMap<String, Node>, change: &Change) {
    match change {
        Change::Put(name, node) => {
            names.insert(name.clone(), *node);
        }
        Change::Drop(name) => {
            names.remove(name);
        }
        Change::Move(from, to, node) => {
            if names.get(from) == Some(node) {
                names.remove(from);
            }
            names.insert(to.clone(), *node);
        }
    }
}

impl Directory {
    fn change(&mut self, change: Change, version: Version) {
        apply(&mut self.names, &change);
        self.pending.push((version, change));
    }

    fn settle(&mut self, keep: impl Fn(Version, &Change) -> bool) {
        for (version, change) in &self.pending {
            if keep(*version, change) {
                apply(&mut self.durable, change);
            }
        }
    }
}

impl Names {
    pub(super) fn new() -> Self {
        Self { directories: BTreeMap::from([(ROOT, Directory::default())]), last_node: ROOT }
    }

    pub(super) fn find(&self, path: &str) -> Option<Node> {
        path.split('/').filter(|part| !part.is_empty()).try_fold(Node::Directory(ROOT), |node, part| match node {
            Node::Directory(id) => self.directories.get(&id)?.names.get(part).copied(),
            Node::File(_) => None,
        })
    }

    fn parent<'a>(&mut self, path: &'a str) -> Result<(&mut Directory, &'a str), IoError> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        match self.find(parent) {
            Some(Node::Directory(id)) => self.directories.get_mut(&id).map(|found| (found, name)).ok_or(IoError::NOT_FOUND),
            _ => Err(IoError::NOT_FOUND),
        }
    }

    pub(super) fn create_file(&mut self, path: &str, version: Version) -> Result<u64, IoError> {
        self.last_node += 1;
        let node = self.last_node;
        let (parent, name) = self.parent(path)?;
        parent.change(Change::Put(name.to_owned(), Node::File(node)), version);
        Ok(node)
    }

    pub(super) fn create_directory(&mut self, path: &str, version: Version) -> Result<(), IoError> {
        if self.find(path).is_some() {
            return Ok(());
        }
        self.last_node += 1;
        let node = self.last_node;
        let (parent, name) = self.parent(path)?;
        parent.change(Change::Put(name.to_owned(), Node::Directory(node)), version);
        self.directories.insert(node, Directory::default());
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, version: Version) -> Result<(), IoError> {
        let node = self.find(from).ok_or(IoError::NOT_FOUND)?;
        let (from_parent, from_name) = from.rsplit_once('/').unwrap_or(("", from));
        let (to_parent, to_name) = to.rsplit_once('/').unwrap_or(("", to));
        if from_parent == to_parent {
            let (parent, _) = self.parent(from)?;
            parent.change(Change::Move(from_name.to_owned(), to_name.to_owned(), node), version);
            return Ok(());
        }
        self.parent(to)?.0.change(Change::Put(to_name.to_owned(), node), version);
        self.parent(from)?.0.change(Change::Drop(from_name.to_owned()), version);
        Ok(())
    }

    pub(super) fn unlink(&mut self, path: &str, version: Version) {
        if self.find(path).is_some()
            && let Ok((parent, name)) = self.parent(path)
        {
            parent.change(Change::Drop(name.to_owned()), version);
        }
    }

    pub(super) fn remove_directory(&mut self, path: &str, version: Version) -> Result<(), IoError> {
        let Some(Node::Directory(id)) = self.find(path) else { return Ok(()) };
        if self.directories.get(&id).is_some_and(|directory| !directory.names.is_empty()) {
            return Err(NOT_EMPTY);
        }
        self.unlink(path, version);
        Ok(())
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

    /// A sync of the directory, asked for as of `version`, has completed.
    pub(super) fn sync(&mut self, directory: u64, version: Version) {
        if let Some(directory) = self.directories.get_mut(&directory) {
            directory.settle(|of, _| of <= version);
            directory.pending.retain(|(of, _)| *of > version);
        }
    }

    /// The power fails.
    pub(super) fn crash(&mut self, survival: Survival, random: &mut Random) {
        for directory in self.directories.values_mut() {
            let chances: BTreeMap<Version, bool> =
                directory.pending.iter().map(|(version, _)| (*version, random.one_in(2))).collect();
            directory.settle(|version, _| match survival {
                Survival::Nothing => false,
                Survival::Everything => true,
                Survival::Until(until) => version <= until,
                Survival::Anything => chances.get(&version).copied().unwrap_or_default(),
            });
            directory.pending.clear();
            directory.names.clone_from(&directory.durable);
        }
    }
}
