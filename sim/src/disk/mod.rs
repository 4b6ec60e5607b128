//! A disk that forgets what was not synced.
//!
//! Operations complete in any order; writes may be short; a direct write is stable when it completes and anything in between
//! until then. A power failure leaves each unsynced page old, new, zero or torn, and each unsynced name there or not. A process
//! failure leaves everything that was done, and each operation outstanding done or not. The same disk serves recovery, through
//! [`flumen_log::io::Disk`], and can fail in the middle of it.

mod faults;
mod file;
mod image;
mod names;

pub use faults::{Faults, Rates};
pub use image::Spoiled;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::Range;
use flumen_log::io::{Completion, FileHandle, FileOperation, IoError, OpenMode, Operation, Outcome, WriteData, WriteMode};

use crate::random::Random;
use file::{SimFile, SyncSnapshot};
use names::{DirectorySnapshot, Names, Node};

#[derive(Debug)]
struct OpenFile {
    node: u64,
    path: String,
    direct: bool,
}

impl OpenFile {
    fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(_, name)| name)
    }
}

#[derive(Debug)]
struct Outstanding {
    operation: Operation,
    /// What a sync was asked to cover.
    file: Option<SyncSnapshot>,
    directory: Option<DirectorySnapshot>,
    /// It does not complete before so many others have.
    not_before: u64,
}

/// The disk.
#[derive(Debug)]
pub struct SimDisk {
    /// Which faults happen.
    pub faults: Faults,
    names: Names,
    files: BTreeMap<u64, SimFile>,
    open: BTreeMap<u32, OpenFile>,
    next_handle: u32,
    outstanding: Vec<Outstanding>,
    ready: Vec<Completion>,
    /// Completions so far.
    clock: u64,
    /// Writes of a process that is dead, which the kernel has not done yet.
    late: Vec<LateWrite>,
    /// Of what happens in calls that bring no chance of their own.
    chance: Random,
    /// Of reads that fail and lie: on its own, so that all else goes as it would without them.
    chance_of_reads: Random,
    /// Of operations that are refused or fail, where they are not to disturb what else is drawn.
    chance_of_errors: Option<Random>,
    /// Bytes that recovery read, by path.
    reads: BTreeMap<String, u64>,
    /// Reads through handles that failed or gave other bytes: of which path, and which bytes.
    failed_reads: Vec<(String, Range<u64>)>,
}

#[derive(Debug)]
struct LateWrite {
    node: u64,
    offset: usize,
    bytes: Vec<u8>,
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self {
            faults: Faults::default(),
            names: Names::new(),
            files: BTreeMap::new(),
            open: BTreeMap::new(),
            next_handle: 0,
            outstanding: Vec::new(),
            ready: Vec::new(),
            reads: BTreeMap::new(),
            failed_reads: Vec::new(),
            clock: 0,
            late: Vec::new(),
            chance: Random::new(0),
            chance_of_reads: Random::new(0),
            chance_of_errors: None,
        }
    }

    /// Let what happens by itself follow this seed.
    pub const fn seed(&mut self, seed: u64) {
        self.chance = Random::new(seed);
        self.chance_of_reads = Random::new(!seed);
    }

    /// Let what is refused and what fails follow chances of its own, so that all else goes as it would without.
    pub const fn draw_errors_from(&mut self, mut chance: Random) {
        self.chance_of_reads = Random::new(chance.next());
        self.chance_of_errors = Some(chance);
    }

    /// By which path a file was opened.
    #[must_use]
    pub fn path_of(&self, file: FileHandle) -> Option<&str> {
        self.open.get(&file.0).map(|open| open.path.as_str())
    }

    /// Take an operation. An inline write is done at once, as the hands do it.
    pub fn submit(&mut self, operation: Operation, random: &mut Random) {
        let file = match &operation.kind {
            FileOperation::Sync { file, .. } => self.file(*file).map(|file| file.snapshot()),
            _ => None,
        };
        let directory = match &operation.kind {
            FileOperation::SyncDirectory { path } => self.names.snapshot(path),
            _ => None,
        };
        let mut not_before = self.clock + self.faults.stall(random);
        if let FileOperation::Sync { file, .. } = &operation.kind
            && let Some(open) = self.open.get(&file.0)
        {
            not_before += self.faults.slowness(open.name(), random);
        }
        let outstanding = Outstanding { operation, file, directory, not_before };
        if matches!(outstanding.operation.kind, FileOperation::Write { mode: WriteMode::Inline, .. }) {
            let completion = self.execute(outstanding, random);
            self.ready.push(completion);
        } else {
            self.outstanding.push(outstanding);
        }
    }

    /// Bytes of a file that recovery has read since [`SimDisk::forget_reads`].
    #[must_use]
    pub fn bytes_read(&self, path: &str) -> u64 {
        self.reads.get(path).copied().unwrap_or_default()
    }

    /// Reads through handles that failed or gave other bytes since [`SimDisk::forget_reads`]: of which path, and which bytes.
    #[must_use]
    pub fn failed_reads(&self) -> &[(String, Range<u64>)] {
        &self.failed_reads
    }

    /// Count from here.
    pub fn forget_reads(&mut self) {
        self.reads.clear();
        self.failed_reads.clear();
    }

    /// Operations that have not completed.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding.len() + self.ready.len()
    }

    /// Whether all operations that have not completed are held up.
    #[must_use]
    pub fn is_held_up(&self) -> bool {
        let due = |outstanding: &Outstanding| outstanding.not_before <= self.clock + 1;
        self.ready.is_empty() && !self.outstanding.is_empty() && !self.outstanding.iter().any(due)
    }

    /// Syncs that failed by chance so far.
    #[must_use]
    pub fn failed_syncs(&self) -> u64 {
        self.faults.counts.get("sync error").copied().unwrap_or_default()
    }

    /// Handles that are open.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.open.len()
    }

    /// Complete the oldest that `wanted` accepts.
    pub fn step_if(&mut self, wanted: impl Fn(&FileOperation) -> bool, random: &mut Random) -> Option<Completion> {
        if !self.ready.is_empty() {
            return Some(self.ready.remove(0));
        }
        let chosen = self.outstanding.iter().position(|outstanding| wanted(&outstanding.operation.kind))?;
        let outstanding = self.outstanding.remove(chosen);
        Some(self.execute(outstanding, random))
    }

    /// Complete one of them, any.
    pub fn step(&mut self, random: &mut Random) -> Option<Completion> {
        if !self.ready.is_empty() {
            return Some(self.ready.remove(0));
        }
        if self.outstanding.is_empty() {
            return None;
        }
        self.clock += 1;
        let due = |outstanding: &Outstanding| outstanding.not_before <= self.clock;
        let count = self.outstanding.iter().filter(|outstanding| due(outstanding)).count();
        let places = 0..self.outstanding.len();
        let chosen = if count > 0 {
            places.filter(|place| due(&self.outstanding[*place])).nth(random.index(count))
        } else {
            // All of them have stalled: time passes until the first goes on.
            places.min_by_key(|place| self.outstanding[*place].not_before)
        };
        let outstanding = self.outstanding.swap_remove(chosen.unwrap_or_default());
        self.clock = self.clock.max(outstanding.not_before);
        Some(self.execute(outstanding, random))
    }

    /// Read through a handle, as `sendfile` would.
    #[must_use]
    pub fn read_handle(&self, file: FileHandle, offset: u64, length: usize) -> Option<Bytes> {
        let node = self.open.get(&file.0)?.node;
        Some(read(self.files.get(&node)?, offset, length))
    }

    fn file(&self, handle: FileHandle) -> Option<&SimFile> {
        self.files.get(&self.open.get(&handle.0)?.node)
    }

    fn execute(&mut self, outstanding: Outstanding, random: &mut Random) -> Completion {
        let Outstanding { operation, file, directory, .. } = outstanding;
        let id = operation.id;
        let mut buffer = None;
        let mut own = self.chance_of_errors.take();
        let refused = self.refuses(&operation.kind, file.as_ref(), own.as_mut().unwrap_or(random));
        self.chance_of_errors = own;
        if let Some(error) = refused {
            return Completion { id, result: Err(error), buffer };
        }
        let result = match operation.kind {
            FileOperation::CreateDirectory { path } => self.names.create_directory(&path).map(|()| Outcome::Done),
            FileOperation::Open { path, mode } => self.open(&path, mode),
            FileOperation::Allocate { .. } | FileOperation::WriteOut { .. } => Ok(Outcome::Done),
            FileOperation::Write { file, offset, data, .. } => {
                let result = self.write(file, offset, &data, random);
                if let WriteData::Aligned(aligned) = data {
                    buffer = Some(aligned);
                }
                result
            }
            FileOperation::Read { file, offset, length } => {
                let found = self.read_handle(file, offset, length).map(|data| self.doubt(file, offset, data));
                found.map(|data| Outcome::Read { data }).ok_or(IoError::INVALID)
            }
            FileOperation::Truncate { file, length } => self.with_file(file, |file| file.truncate(to_usize(length))),
            FileOperation::Sync { file: handle, .. } => self.with_file(handle, |target| {
                if let Some(snapshot) = &file {
                    target.sync(snapshot);
                }
            }),
            FileOperation::SyncDirectory { .. } => match directory {
                Some(snapshot) => {
                    self.names.sync(snapshot);
                    Ok(Outcome::Done)
                }
                None => Err(IoError::NOT_FOUND),
            },
            FileOperation::Rename { from, to } => self.names.rename(&from, &to).map(|()| Outcome::Done),
            FileOperation::Unlink { path } => {
                self.names.unlink(&path);
                Ok(Outcome::Done)
            }
            FileOperation::RemoveDirectory { path } => self.names.remove_directory(&path).map(|()| Outcome::Done),
            FileOperation::Close { file } => self.open.remove(&file.0).map(|_| Outcome::Done).ok_or(IoError::INVALID),
            FileOperation::FreeSpace => {
                let total_bytes = if self.faults.sizeless { 0 } else { 1 << 41 };
                let free_bytes = if self.faults.full { 0 } else { self.faults.free_bytes.unwrap_or(1 << 40) };
                let bytes = free_bytes.min(total_bytes);
                Ok(Outcome::Free { bytes, total_bytes })
            }
        };
        Completion { id, result, buffer }
    }

    /// Whether a change needs room that was not taken before. A file that gets another name needs none.
    fn takes_room(&self, kind: &FileOperation) -> bool {
        match kind {
            FileOperation::Write { file, offset, data, .. } => {
                self.file(*file).is_some_and(|file| to_usize(*offset) + data.len() > file.cache.len())
            }
            FileOperation::Open { path, mode: OpenMode::CreateEmpty | OpenMode::Create } => self.names.find(path).is_none(),
            FileOperation::CreateDirectory { path } => self.names.find(path).is_none(),
            FileOperation::Rename { from, .. } => matches!(self.names.find(from), Some(Node::Directory(_))),
            _ => false,
        }
    }

    /// Whether room or chance refuses a change, and what is left of it then.
    fn refuses(&mut self, kind: &FileOperation, covered: Option<&SyncSnapshot>, random: &mut Random) -> Option<IoError> {
        if self.faults.full
            && let Some(error) = self.faults.full_error(self.takes_room(kind))
        {
            return Some(error);
        }
        let (error, target) = match kind {
            FileOperation::Write { file, .. } => (self.faults.write_error(random)?, *file),
            FileOperation::Sync { file, .. } => (self.faults.sync_error(random)?, *file),
            FileOperation::SyncDirectory { .. } => return self.faults.sync_error(random),
            FileOperation::Read { file, offset, length } => return self.fails_to_read(*file, *offset, *length),
            FileOperation::Open { mode: OpenMode::CreateEmpty | OpenMode::Create, .. }
            | FileOperation::CreateDirectory { .. }
            | FileOperation::Rename { .. } => return self.faults.name_error(random),
            _ => return None,
        };
        let node = self.open.get(&target.0)?.node;
        let file = self.files.get_mut(&node)?;
        match (kind, covered) {
            (FileOperation::Write { offset, data, .. }, _) if error == IoError::INPUT_OUTPUT => {
                let bytes = flatten(data);
                file.write(to_usize(*offset), &bytes[..random.index(bytes.len() / 512 + 1) * 512]);
            }
            (FileOperation::Sync { .. }, Some(snapshot)) => file.fail_sync(snapshot, random),
            _ => {}
        }
        Some(error)
    }

    fn fails_to_read(&mut self, file: FileHandle, offset: u64, length: usize) -> Option<IoError> {
        let open = self.open.get(&file.0)?;
        let bytes = offset..offset + length as u64;
        let error = self.faults.read_error(open.name(), &bytes, &mut self.chance_of_reads)?;
        self.failed_reads.push((open.path.clone(), bytes));
        Some(error)
    }

    /// What a disk that lies gives instead of what was asked for.
    fn doubt(&mut self, handle: FileHandle, offset: u64, data: Bytes) -> Bytes {
        let Some(open) = self.open.get(&handle.0) else { return data };
        let Some(file) = self.files.get(&open.node).filter(|_| !data.is_empty()) else { return data };
        let random = &mut self.chance_of_reads;
        let (from, to) = (to_usize(offset), to_usize(offset) + data.len());
        let given = if self.faults.happens("stale read", self.faults.rates.stale_read, random) {
            Bytes::from(file.stale(from, to))
        } else if self.faults.happens("misdirected read", self.faults.rates.misdirected_read, random) {
            let pages = file.cache.len().div_ceil(file::PAGE_BYTES);
            read(file, (random.index(pages) * file::PAGE_BYTES) as u64, data.len())
        } else {
            return data;
        };
        self.failed_reads.push((open.path.clone(), offset..to as u64));
        given
    }

    fn with_file(&mut self, handle: FileHandle, change: impl FnOnce(&mut SimFile)) -> Result<Outcome, IoError> {
        let node = self.open.get(&handle.0).ok_or(IoError::INVALID)?.node;
        change(self.files.get_mut(&node).ok_or(IoError::INVALID)?);
        Ok(Outcome::Done)
    }

    fn open(&mut self, path: &str, mode: OpenMode) -> Result<Outcome, IoError> {
        let direct = mode == OpenMode::DirectDurable;
        if direct && self.faults.refuses_direct {
            return Err(IoError::INVALID);
        }
        let create = matches!(mode, OpenMode::Create | OpenMode::CreateEmpty);
        let node = match self.names.find(path) {
            Some(Node::File(node)) => node,
            Some(Node::Directory(_)) => return Err(IoError::INVALID),
            None if create => self.names.create_file(path)?,
            None => return Err(IoError::NOT_FOUND),
        };
        let file = self.files.entry(node).or_default();
        if mode == OpenMode::CreateEmpty && !file.cache.is_empty() {
            file.truncate(0);
        }
        let length = file.cache.len() as u64;
        let handle = self.next_handle;
        self.next_handle += 1;
        self.open.insert(handle, OpenFile { node, path: path.to_string(), direct });
        Ok(Outcome::Opened { file: FileHandle(handle), length })
    }

    fn write(&mut self, handle: FileHandle, offset: u64, data: &WriteData, random: &mut Random) -> Result<Outcome, IoError> {
        let open = self.open.get(&handle.0).ok_or(IoError::INVALID)?;
        let file = self.files.get_mut(&open.node).ok_or(IoError::INVALID)?;
        let mut bytes = flatten(data);
        let direct = open.direct;
        if direct && (!bytes.len().is_multiple_of(file::PAGE_BYTES) || !to_usize(offset).is_multiple_of(file::PAGE_BYTES)) {
            return Err(IoError::INVALID);
        }
        if bytes.len() > 1 && self.faults.happens("short write", self.faults.rates.short_write, random) {
            bytes.truncate(1 + random.index(bytes.len() - 1));
        }
        if direct {
            file.write_durable(to_usize(offset), &bytes);
        } else {
            file.write(to_usize(offset), &bytes);
        }
        Ok(Outcome::Written { bytes: bytes.len() as u64 })
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

fn flatten(data: &WriteData) -> Vec<u8> {
    match data {
        WriteData::Gathered(parts) => parts.iter().flat_map(|part| part.iter().copied()).collect(),
        WriteData::Aligned(buffer) => buffer.copy_from(0),
    }
}

fn read(file: &SimFile, offset: u64, length: usize) -> Bytes {
    let from = to_usize(offset).min(file.cache.len());
    let to = from.saturating_add(length).min(file.cache.len());
    Bytes::copy_from_slice(&file.cache[from..to])
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
