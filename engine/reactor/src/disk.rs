//! Recovery's disk: one plain call after the other, before any shard runs.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, OwnedFd},
};

use bytes::Bytes;
use flumen_log::io::{DirectoryEntry, Disk, IoError};
use rustix::{
    buffer::spare_capacity,
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, fsync, ftruncate, mkdirat, openat, renameat, statat, unlinkat},
    io::{Errno, pread, pwrite},
};

use crate::{DataDirectory, errno::io_error};

/// [`Disk`] over a data directory, with blocking calls.
#[derive(Debug)]
pub struct BlockingDisk {
    directory: OwnedFd,
    /// The file used last: recovery reads and writes one file many times in a row.
    last: Option<(String, OwnedFd)>,
}

impl BlockingDisk {
    /// The disk under a locked data directory.
    ///
    /// # Errors
    /// If the process is out of file descriptors.
    pub fn new(directory: &DataDirectory) -> std::io::Result<Self> {
        Ok(Self { directory: directory.as_fd().try_clone_to_owned()?, last: None })
    }

    /// The file, made if it is missing and `create` says so.
    fn file(&mut self, path: &str, create: bool) -> Result<&OwnedFd, IoError> {
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            let mut flags = OFlags::RDWR | OFlags::CLOEXEC;
            flags.set(OFlags::CREATE, create);
            let file = retry(|| openat(&self.directory, path, flags, Mode::from_raw_mode(0o644)))?;
            self.last = Some((path.to_owned(), file));
        }
        self.last.as_ref().map(|(_, file)| file).ok_or(IoError::NOT_FOUND)
    }

    fn open_directory(&self, path: &str) -> Result<OwnedFd, IoError> {
        let path = if path.is_empty() { "." } else { path };
        retry(|| openat(&self.directory, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()))
    }
}

/// Again while a signal interrupts it.
fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, IoError> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result.map_err(io_error),
        }
    }
}

/// A missing name is what was wanted.
fn missing_is_fine(result: Result<(), IoError>) -> Result<(), IoError> {
    if result == Err(IoError::NOT_FOUND) { Ok(()) } else { result }
}

impl Disk for BlockingDisk {
    fn list(&mut self, path: &str) -> Result<Vec<DirectoryEntry>, IoError> {
        let directory = self.open_directory(path)?;
        let mut entries = BTreeMap::new();
        for entry in Dir::read_from(&directory).map_err(io_error)? {
            let entry = entry.map_err(io_error)?;
            // A name that is not UTF-8 is none of ours.
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            let status = match retry(|| statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)) {
                Err(IoError::NOT_FOUND) => continue,
                status => status?,
            };
            let is_directory = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
            let length = if is_directory { 0 } else { u64::try_from(status.st_size).unwrap_or_default() };
            entries.insert(name.to_owned(), DirectoryEntry { name: name.to_owned(), is_directory, length });
        }
        Ok(entries.into_values().collect())
    }

    fn read(&mut self, path: &str, offset: u64, length: usize) -> Result<Bytes, IoError> {
        let file = self.file(path, false)?;
        // Reserve no more than the file can give, whatever a damaged length field made the caller ask for.
        let size = u64::try_from(retry(|| fstat(file))?.st_size).unwrap_or_default();
        let there = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut data = Vec::with_capacity(length.min(there));
        while data.len() < data.capacity() {
            let position = offset + data.len() as u64;
            if retry(|| pread(file, spare_capacity(&mut data), position))? == 0 {
                break;
            }
        }
        data.truncate(length);
        Ok(data.into())
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> Result<(), IoError> {
        let file = self.file(path, true)?;
        let mut done = 0;
        while done < data.len() {
            match retry(|| pwrite(file, &data[done..], offset + done as u64))? {
                0 => return Err(IoError::INPUT_OUTPUT),
                bytes => done += bytes,
            }
        }
        Ok(())
    }

    fn truncate(&mut self, path: &str, length: u64) -> Result<(), IoError> {
        let file = self.file(path, false)?;
        retry(|| ftruncate(file, length))
    }

    fn sync(&mut self, path: &str) -> Result<(), IoError> {
        let file = self.file(path, false)?;
        retry(|| fsync(file))
    }

    fn create_directory(&mut self, path: &str) -> Result<(), IoError> {
        match retry(|| mkdirat(&self.directory, path, Mode::from_raw_mode(0o755))) {
            Err(error) if error.errno == libc::EEXIST => Ok(()),
            result => result,
        }
    }

    fn sync_directory(&mut self, path: &str) -> Result<(), IoError> {
        let directory = self.open_directory(path)?;
        retry(|| fsync(&directory))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), IoError> {
        self.last = None;
        retry(|| renameat(&self.directory, from, &self.directory, to))
    }

    fn unlink(&mut self, path: &str) -> Result<(), IoError> {
        self.last = None;
        missing_is_fine(retry(|| unlinkat(&self.directory, path, AtFlags::empty())))
    }

    fn remove_directory(&mut self, path: &str) -> Result<(), IoError> {
        self.last = None;
        missing_is_fine(retry(|| unlinkat(&self.directory, path, AtFlags::REMOVEDIR)))
    }
}

#[cfg(test)]
mod tests {
    use super::BlockingDisk;
    use crate::DataDirectory;
    use flumen_log::io::{DirectoryEntry, Disk, IoError};
    use std::time::Duration;

    fn disk() -> (tempfile::TempDir, BlockingDisk) {
        let home = tempfile::tempdir().expect("a directory");
        let directory = DataDirectory::open(home.path(), Duration::ZERO).expect("free");
        let disk = BlockingDisk::new(&directory).expect("descriptors");
        (home, disk)
    }

    #[test]
    fn files_and_names() {
        let (_home, mut disk) = disk();
        disk.create_directory("topics").expect("made");
        disk.create_directory("topics").expect("one that exists is no error");
        disk.write("topics/b", 4, b"data").expect("written");
        disk.write("topics/a", 0, b"x").expect("written");
        disk.sync("topics/b").expect("synced");
        disk.sync_directory("topics").expect("synced");
        disk.sync_directory("").expect("synced");
        let file = |name: &str, length| DirectoryEntry { name: name.to_owned(), is_directory: false, length };
        assert_eq!(disk.list("topics").expect("listed"), [file("a", 1), file("b", 8)]);
        let top = disk.list("").expect("listed");
        assert!(top.iter().any(|entry| entry.name == "topics" && entry.is_directory));
        assert_eq!(&disk.read("topics/b", 0, 100).expect("read")[..], b"\0\0\0\0data");
        assert_eq!(&disk.read("topics/b", 5, 2).expect("read")[..], b"at");
        assert_eq!(disk.read("topics/b", 100, usize::MAX).expect("past the end").len(), 0);
        disk.truncate("topics/b", 2).expect("cut");
        assert_eq!(&disk.read("topics/b", 0, 100).expect("read")[..], b"\0\0");
        disk.rename("topics/a", "topics/b").expect("replaced");
        assert_eq!(&disk.read("topics/b", 0, 100).expect("read")[..], b"x");
        disk.unlink("topics/b").expect("gone");
        disk.unlink("topics/b").expect("a missing one is no error");
        assert_eq!(disk.read("topics/b", 0, 1), Err(IoError::NOT_FOUND));
        disk.remove_directory("topics").expect("gone");
        disk.remove_directory("topics").expect("a missing one is no error");
        assert_eq!(disk.list("topics"), Err(IoError::NOT_FOUND));
        assert_eq!(disk.truncate("nothing", 0), Err(IoError::NOT_FOUND));
    }
}
