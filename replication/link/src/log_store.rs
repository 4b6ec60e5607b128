//! The quorum's log: votes and entries, on disk and in memory.
//!
//! Invariants: entries are consecutive; every change is synced before its caller hears of it; no vote and no entry is in memory that
//! is not on the disk. What is dropped goes from memory first.

use crate::fault::{QuorumError, corrupt};
use crate::files::{self, FrameFile};
use crate::frame::{Frame, Kind};
use crate::opening;
use crate::raft::{Metadata, MetadataEntry, MetadataLogId, MetadataStorageError, MetadataVote};
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader, StorageIOError};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// The log, shared with its readers.
#[derive(Clone, Debug)]
pub(crate) struct LogStore {
    log: Arc<Mutex<Log>>,
}

#[derive(Debug)]
struct Log {
    directory: PathBuf,
    node: u64,
    file: FrameFile,
    kept: Kept,
}

/// What the log holds.
#[derive(Debug, Default)]
struct Kept {
    vote: Option<MetadataVote>,
    committed: Option<MetadataLogId>,
    purged: Option<MetadataLogId>,
    entries: BTreeMap<u64, MetadataEntry>,
}

impl LogStore {
    /// Opens the log of `node`, or begins one. A torn last frame is cut off.
    pub(crate) fn open(directory: &Path, node: u64) -> Result<Self, QuorumError> {
        let path = directory.join(files::LOG);
        let (file, kept) = match files::read(&path)? {
            None => {
                let opening = opening::encode(node).map_err(io::Error::other)?;
                (FrameFile::replace(directory, files::LOG, &[(Kind::Opening, opening)])?, Kept::default())
            }
            Some(bytes) => {
                let scan = crate::frame::scan(&bytes).map_err(|damage| corrupt(&path, damage))?;
                let mut kept = Kept::default();
                for frame in opening::check(&path, &scan.frames, node)? {
                    kept.take(frame).map_err(|reason| corrupt(&path, reason))?;
                }
                let torn = bytes.len() - scan.whole_bytes;
                if torn > 0 {
                    tracing::warn!(path = %path.display(), bytes = torn, "cut a write that was never finished");
                }
                (FrameFile::resume(&path, scan.frames.len(), scan.whole_bytes)?, kept)
            }
        };
        let log = Log { directory: directory.to_path_buf(), node, file, kept };
        Ok(Self { log: Arc::new(Mutex::new(log)) })
    }

    /// The last entry that only a snapshot still holds.
    pub(crate) fn purged(&self) -> Option<MetadataLogId> {
        self.lock().kept.purged
    }

    /// The last entry, or the last one purged.
    pub(crate) fn last(&self) -> Option<MetadataLogId> {
        self.lock().kept.last()
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("nothing panics while it holds the log")
    }
}

impl Kept {
    fn last(&self) -> Option<MetadataLogId> {
        self.entries.last_key_value().map(|(_, entry)| entry.log_id).or(self.purged)
    }

    /// Takes a frame found on disk.
    fn take(&mut self, frame: &Frame<'_>) -> Result<(), String> {
        match frame.kind {
            Kind::Vote => self.vote = parse(frame.payload)?,
            Kind::Committed => self.committed = parse(frame.payload)?,
            Kind::Purged => self.purged = parse(frame.payload)?,
            Kind::Entries => {
                let entries: Vec<MetadataEntry> = parse(frame.payload)?;
                for entry in entries {
                    self.check_next(&entry)?;
                    self.entries.insert(entry.log_id.index, entry);
                }
            }
            Kind::Opening | Kind::SnapshotPlace | Kind::Image => {
                return Err(format!("a frame of kind {:?} does not belong into a log", frame.kind));
            }
        }
        Ok(())
    }

    fn check_next(&self, entry: &MetadataEntry) -> Result<(), String> {
        let found = entry.log_id.index;
        match self.last() {
            Some(last) if last.index.checked_add(1) != Some(found) => Err(format!("entry {found} follows entry {}", last.index)),
            _ => Ok(()),
        }
    }
}

impl Log {
    /// Replaces the file by one that holds what is kept, and no more.
    fn rewrite(&mut self) -> io::Result<()> {
        let kept = &self.kept;
        let mut frames = vec![(Kind::Opening, opening::encode(self.node)?)];
        if kept.vote.is_some() {
            frames.push((Kind::Vote, serde_json::to_vec(&kept.vote)?));
        }
        if kept.purged.is_some() {
            frames.push((Kind::Purged, serde_json::to_vec(&kept.purged)?));
        }
        if !kept.entries.is_empty() {
            let entries: Vec<_> = kept.entries.values().collect();
            frames.push((Kind::Entries, serde_json::to_vec(&entries)?));
        }
        if kept.committed.is_some() {
            frames.push((Kind::Committed, serde_json::to_vec(&kept.committed)?));
        }
        self.file = FrameFile::replace(&self.directory, files::LOG, &frames)?;
        Ok(())
    }
}

impl LogStore {
    /// Appends a frame, once there is room for it.
    async fn append_frame(&self, kind: Kind, payload: Vec<u8>) -> io::Result<()> {
        files::with_room(|| self.lock().file.append(kind, &payload)).await
    }

    async fn append_entries(&self, entries: Vec<MetadataEntry>) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.append_frame(Kind::Entries, serde_json::to_vec(&entries)?).await?;
        self.lock().kept.entries.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
        Ok(())
    }

    async fn rewrite(&self) -> io::Result<()> {
        files::with_room(|| self.lock().rewrite()).await
    }
}

fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    serde_json::from_slice(payload).map_err(|fault| fault.to_string())
}

impl RaftLogReader<Metadata> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<MetadataEntry>, MetadataStorageError> {
        Ok(self.lock().kept.entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<Metadata> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Metadata>, MetadataStorageError> {
        let log = self.lock();
        Ok(LogState { last_purged_log_id: log.kept.purged, last_log_id: log.kept.last() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &MetadataVote) -> Result<(), MetadataStorageError> {
        let payload = serde_json::to_vec(vote).map_err(|fault| StorageIOError::write_vote(&fault))?;
        self.append_frame(Kind::Vote, payload).await.map_err(|fault| StorageIOError::write_vote(&fault))?;
        self.lock().kept.vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<MetadataVote>, MetadataStorageError> {
        Ok(self.lock().kept.vote)
    }

    async fn save_committed(&mut self, committed: Option<MetadataLogId>) -> Result<(), MetadataStorageError> {
        let payload = serde_json::to_vec(&committed).map_err(|fault| StorageIOError::write_logs(&fault))?;
        self.append_frame(Kind::Committed, payload).await.map_err(|fault| StorageIOError::write_logs(&fault))?;
        self.lock().kept.committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<MetadataLogId>, MetadataStorageError> {
        Ok(self.lock().kept.committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Metadata>) -> Result<(), MetadataStorageError>
    where
        I: IntoIterator<Item = MetadataEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let outcome = self.append_entries(entries.into_iter().collect()).await;
        let failed = outcome.as_ref().err().map(StorageIOError::write_logs);
        callback.log_io_completed(outcome);
        match failed {
            None => Ok(()),
            Some(fault) => Err(fault.into()),
        }
    }

    async fn truncate(&mut self, from: MetadataLogId) -> Result<(), MetadataStorageError> {
        let cut = self.lock().kept.entries.split_off(&from.index);
        let outcome = if cut.is_empty() { Ok(()) } else { self.rewrite().await };
        outcome.map_err(|fault| StorageIOError::write_logs(&fault).into())
    }

    async fn purge(&mut self, upto: MetadataLogId) -> Result<(), MetadataStorageError> {
        {
            let kept = &mut self.lock().kept;
            kept.purged = Some(upto);
            kept.entries = kept.entries.split_off(&(upto.index + 1));
        }
        self.rewrite().await.map_err(|fault| StorageIOError::write_logs(&fault).into())
    }
}
