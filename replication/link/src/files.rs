//! The quorum's files: opened, appended to, replaced as a whole.
//!
//! Invariants: what a call has written is on stable storage when it returns; a file whose write or sync failed takes no more;
//! a replaced file is the old one or the new one after a crash, never a mixture. A reserve is kept beside the files and given up
//! when the disk is full, so that metadata can be written when nothing else can; it is made again when there is room. Where that
//! is not enough, for somebody else took what became free, a write has changed nothing and waits for room ([`with_room`]).

use crate::frame::{self, Kind};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the log.
pub(crate) const LOG: &str = "log";
/// The name of the snapshot.
pub(crate) const SNAPSHOT: &str = "snapshot";

/// The name of the reserve.
const RESERVE: &str = "reserve";
/// How large it is.
const RESERVE_BYTES: usize = 8 << 20;
/// Between two looks for room.
const ROOM_PATIENCE: Duration = Duration::from_millis(500);

/// A file of frames that grows.
#[derive(Debug)]
pub(crate) struct FrameFile {
    file: File,
    directory: PathBuf,
    sequence: u64,
    failed: bool,
}

impl FrameFile {
    /// Goes on with a file of which `frames` frames and `whole_bytes` bytes are good; the rest is cut off.
    pub(crate) fn resume(path: &Path, frames: usize, whole_bytes: usize) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(path)?;
        let whole_bytes = u64::try_from(whole_bytes).map_err(io::Error::other)?;
        if file.metadata()?.len() > whole_bytes {
            file.set_len(whole_bytes)?;
        }
        // Even what reads back well may never have reached the disk.
        file.sync_all()?;
        let sequence = u64::try_from(frames).map_err(io::Error::other)?;
        let directory = path.parent().unwrap_or(path).to_path_buf();
        keep_reserve(&directory);
        Ok(Self { file, directory, sequence, failed: false })
    }

    /// Appends one frame.
    pub(crate) fn append(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("an earlier write failed"));
        }
        let bytes = frame::encode(self.sequence, kind, payload).ok_or_else(too_long)?;
        keep_reserve(&self.directory);
        let written = self.write(&bytes).and_then(|()| self.file.sync_data().map_err(Refused::Failed));
        match written {
            Ok(()) => self.sequence += 1,
            // Nothing of it is there: the next frame has its place.
            Err(Refused::Full(_)) => {}
            // After a failed sync nobody knows what is on the disk; trying again would only seem to help.
            Err(Refused::Failed(_)) => self.failed = true,
        }
        Ok(written?)
    }

    /// Writes behind what is there. Where the disk is full the reserve goes, and what was written of the frame, and it is written
    /// once more: a write refused for want of space is no failed one. The place is named each time, for a write that was refused
    /// half way has moved the file's own.
    fn write(&self, bytes: &[u8]) -> Result<(), Refused> {
        let whole_bytes = self.file.metadata().map_err(Refused::Failed)?.len();
        let attempt = || match self.file.write_all_at(bytes, whole_bytes) {
            Ok(()) => Ok(()),
            Err(fault) if is_full(&fault) => {
                self.file.set_len(whole_bytes).map_err(Refused::Failed)?;
                Err(Refused::Full(fault))
            }
            Err(fault) => Err(Refused::Failed(fault)),
        };
        match attempt() {
            Err(Refused::Full(_)) if give_up_reserve(&self.directory) => attempt(),
            written => written,
        }
    }

    /// Puts a file of these frames in the place of whatever has the name, and goes on with it.
    pub(crate) fn replace(directory: &Path, name: &str, frames: &[(Kind, Vec<u8>)]) -> io::Result<Self> {
        let beside = directory.join(format!("{name}.tmp"));
        let mut bytes = Vec::new();
        let mut sequence = 0;
        for (kind, payload) in frames {
            bytes.extend(frame::encode(sequence, *kind, payload).ok_or_else(too_long)?);
            sequence += 1;
        }
        keep_reserve(directory);
        let file = match make(&beside, &bytes) {
            Err(fault) if is_full(&fault) && give_up_reserve(directory) => make(&beside, &bytes),
            made => made,
        }?;
        std::fs::rename(&beside, directory.join(name))?;
        sync_directory(directory)?;
        Ok(Self { file, directory: directory.to_path_buf(), sequence, failed: false })
    }
}

/// Why a frame was not written.
enum Refused {
    /// There is no room for it, and none of it is left.
    Full(io::Error),
    Failed(io::Error),
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full(fault) => fault,
            // Also where a sync found no room: that is not waited for.
            Refused::Failed(fault) if is_full(&fault) => Self::other(fault),
            Refused::Failed(fault) => fault,
        }
    }
}

/// Does it; and where it is refused for want of room, does it again until there is some. A quorum of which a write fails has ended,
/// and the broker with it: a full disk is no reason for that.
pub(crate) async fn with_room<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut has_waited = false;
    loop {
        match attempt() {
            Err(fault) if is_full(&fault) => {
                if !core::mem::replace(&mut has_waited, true) {
                    tracing::warn!(%fault, "the metadata cannot be written: waiting for room on its disk");
                }
                tokio::time::sleep(ROOM_PATIENCE).await;
            }
            result => return result,
        }
    }
}

/// A file of these bytes, synced; or none, for what there is of it would only take the room.
fn make(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = File::create(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written.map(|()| file)
}

fn is_full(fault: &io::Error) -> bool {
    matches!(fault.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes the reserve if it is missing. Without room for it the metadata does without.
fn keep_reserve(directory: &Path) {
    let path = directory.join(RESERVE);
    let whole = std::fs::metadata(&path).is_ok_and(|status| status.len() == RESERVE_BYTES as u64);
    if !whole {
        let _ = make(&path, &vec![0; RESERVE_BYTES]);
    }
}

/// Whether there was a reserve to give up.
fn give_up_reserve(directory: &Path) -> bool {
    std::fs::remove_file(directory.join(RESERVE)).is_ok()
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a frame holds less than 4 GiB")
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Makes the directory if it is missing, with its name durable.
pub(crate) fn make_directory(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    sync_directory(directory)?;
    match directory.parent() {
        Some(parent) if parent != Path::new("") => sync_directory(parent),
        _ => sync_directory(&PathBuf::from(".")),
    }
}

/// The bytes of a file; `None` if there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Seek;

    /// A disk that is full takes the first part of a frame; once that is cut off, the next one follows the last whole one, in a
    /// file that was made as in one that was found.
    #[test]
    fn a_frame_follows_the_last_whole_one_wherever_a_refused_write_ended() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(LOG);
        let refused = |file: &mut FrameFile| {
            let whole_bytes = file.file.seek(io::SeekFrom::End(0)).unwrap();
            file.file.write_all(b"half of a frame").unwrap();
            file.file.set_len(whole_bytes).unwrap();
        };
        let mut made = FrameFile::replace(home.path(), LOG, &[(Kind::Opening, Vec::new())]).unwrap();
        refused(&mut made);
        made.append(Kind::Vote, b"one").unwrap();
        let whole_bytes = usize::try_from(made.file.metadata().unwrap().len()).unwrap();
        let mut found = FrameFile::resume(&path, 2, whole_bytes).unwrap();
        found.append(Kind::Vote, b"two").unwrap();
        refused(&mut found);
        found.append(Kind::Vote, b"three").unwrap();
        let bytes = read(&path).unwrap().unwrap();
        let scan = frame::scan(&bytes).unwrap();
        assert_eq!((scan.frames.len(), scan.whole_bytes), (4, bytes.len()));
    }
}
