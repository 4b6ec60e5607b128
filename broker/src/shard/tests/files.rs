//! Files in memory: whatever is written is there at once, for every shard under the same handle.
//!
//! No durability is modelled here; the simulation does that.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use bytes::Bytes;
use flumen_log::io::{
    AlignedBuffer, Completion, DirectoryEntry, Disk, FileHandle, FileOperation, FileSlice, IoError, OpenMode, Operation, Outcome,
    WriteData,
};

/// The size of the file system.
pub(super) const TOTAL_BYTES: u64 = 1 << 40;

/// All files, and which are open.
#[derive(Default)]
pub(super) struct Files {
    contents: BTreeMap<String, Vec<u8>>,
    open: Vec<String>,
    /// Every operation fails from now on.
    pub(super) broken: bool,
    /// Every read through a handle fails from now on.
    pub(super) unreadable: bool,
    /// What others have of the file system.
    pub(super) taken_bytes: u64,
    /// There is no room for journal files.
    pub(super) has_no_room: bool,
}

impl Files {
    /// Do an operation.
    pub(super) fn perform(&mut self, Operation { id, kind }: Operation) -> Completion {
        let mut buffer = None;
        let result = if self.broken { Err(IoError::INPUT_OUTPUT) } else { self.outcome(kind, &mut buffer) };
        Completion { id, result, buffer }
    }

    fn outcome(&mut self, kind: FileOperation, used: &mut Option<AlignedBuffer>) -> Result<Outcome, IoError> {
        match kind {
            FileOperation::Open { path, mode } => {
                let makes = matches!(mode, OpenMode::Create | OpenMode::CreateEmpty);
                if makes && self.has_no_room && path.starts_with("journal/") {
                    return Err(IoError::NO_SPACE);
                }
                if !makes && !self.contents.contains_key(&path) {
                    return Err(IoError::NOT_FOUND);
                }
                let content = self.contents.entry(path.clone()).or_default();
                if mode == OpenMode::CreateEmpty {
                    content.clear();
                }
                let length = content.len() as u64;
                self.open.push(path);
                Ok(Outcome::Opened { file: FileHandle(u32::try_from(self.open.len() - 1).expect("few files")), length })
            }
            FileOperation::Write { file, offset, data, .. } => {
                let path = self.open[file.0 as usize].clone();
                let bytes = match data {
                    WriteData::Gathered(parts) => parts.concat(),
                    WriteData::Aligned(buffer) => {
                        let bytes = buffer.copy_from(0);
                        *used = Some(buffer);
                        bytes
                    }
                };
                self.write(&path, offset, &bytes)?;
                Ok(Outcome::Written { bytes: bytes.len() as u64 })
            }
            FileOperation::Read { .. } if self.unreadable => Err(IoError::INPUT_OUTPUT),
            FileOperation::Read { file, offset, length } => {
                let path = self.open[file.0 as usize].clone();
                Ok(Outcome::Read { data: self.read(&path, offset, length)? })
            }
            FileOperation::Truncate { file, length } => {
                let path = self.open[file.0 as usize].clone();
                self.truncate(&path, length).map(|()| Outcome::Done)
            }
            FileOperation::Rename { from, to } => Disk::rename(self, &from, &to).map(|()| Outcome::Done),
            FileOperation::Unlink { path } => self.unlink(&path).map(|()| Outcome::Done),
            FileOperation::FreeSpace => Ok(Outcome::Free { bytes: TOTAL_BYTES - self.taken_bytes, total_bytes: TOTAL_BYTES }),
            FileOperation::CreateDirectory { .. }
            | FileOperation::RemoveDirectory { .. }
            | FileOperation::SyncDirectory { .. }
            | FileOperation::Sync { .. }
            | FileOperation::WriteOut { .. }
            | FileOperation::Allocate { .. }
            | FileOperation::Close { .. } => Ok(Outcome::Done),
        }
    }

    /// The bytes of a slice that is being sent.
    pub(super) fn slice(&mut self, slice: &FileSlice) -> Bytes {
        let path = self.open[slice.file.handle.0 as usize].clone();
        self.read(&path, slice.position, slice.length as usize).expect("it is open")
    }
}

impl Disk for Files {
    fn list(&mut self, path: &str) -> Result<Vec<DirectoryEntry>, IoError> {
        let prefix = if path.is_empty() { String::new() } else { alloc::format!("{path}/") };
        let mut entries = BTreeMap::new();
        for (name, content) in &self.contents {
            let Some(rest) = name.strip_prefix(&prefix) else { continue };
            let (first, is_directory) = rest.split_once('/').map_or((rest, false), |(first, _)| (first, true));
            let length = if is_directory { 0 } else { content.len() as u64 };
            entries.insert(first.to_string(), DirectoryEntry { name: first.to_string(), is_directory, length });
        }
        if entries.is_empty() && !path.is_empty() { Err(IoError::NOT_FOUND) } else { Ok(entries.into_values().collect()) }
    }

    fn read(&mut self, path: &str, offset: u64, length: usize) -> Result<Bytes, IoError> {
        let content = self.contents.get(path).ok_or(IoError::NOT_FOUND)?;
        let start = usize::try_from(offset).expect("small files").min(content.len());
        let end = start.saturating_add(length).min(content.len());
        Ok(Bytes::copy_from_slice(&content[start..end]))
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> Result<(), IoError> {
        let content = self.contents.entry(path.to_string()).or_default();
        let start = usize::try_from(offset).expect("small files");
        if content.len() < start + data.len() {
            content.resize(start + data.len(), 0);
        }
        content[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn truncate(&mut self, path: &str, length: u64) -> Result<(), IoError> {
        let content = self.contents.get_mut(path).ok_or(IoError::NOT_FOUND)?;
        content.resize(usize::try_from(length).expect("small files"), 0);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), IoError> {
        let moved = |name: &String| *name == from || name.starts_with(&alloc::format!("{from}/"));
        let names: Vec<String> = self.contents.keys().filter(|name| moved(name)).cloned().collect();
        for name in names {
            let content = self.contents.remove(&name).unwrap_or_default();
            self.contents.insert(name.replacen(from, to, 1), content);
        }
        let open = self.open.iter_mut().filter(|name| moved(name));
        open.for_each(|name| *name = name.replacen(from, to, 1));
        Ok(())
    }

    fn unlink(&mut self, path: &str) -> Result<(), IoError> {
        self.contents.remove(path);
        Ok(())
    }

    fn sync(&mut self, _: &str) -> Result<(), IoError> {
        Ok(())
    }

    fn create_directory(&mut self, _: &str) -> Result<(), IoError> {
        Ok(())
    }

    fn sync_directory(&mut self, _: &str) -> Result<(), IoError> {
        Ok(())
    }

    fn remove_directory(&mut self, _: &str) -> Result<(), IoError> {
        Ok(())
    }
}

/// Bytes of a reply, whole.
pub(super) fn gathered(parts: Vec<flumen_log::io::SendPart>, files: &mut Files) -> Vec<u8> {
    let mut bytes = vec![];
    for part in parts {
        match part {
            flumen_log::io::SendPart::Bytes(part) => bytes.extend_from_slice(&part),
            flumen_log::io::SendPart::File(slice) => bytes.extend_from_slice(&files.slice(&slice)),
        }
    }
    bytes
}
