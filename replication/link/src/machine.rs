//! The controller's state machine behind the quorum's log.
//!
//! The image lives in memory; on disk are the snapshot and, in the log, what came after it. At start the quorum applies that
//! again. Invariant: whoever watches gets each change once, in the order of the log, none left out from the image it began
//! with.

use crate::fault::{QuorumError, corrupt};
use crate::files;
use crate::quorum::Change;
use crate::raft::{Metadata, MetadataEntry, MetadataLogId, MetadataMembership, MetadataSnapshotMeta, MetadataStorageError};
use crate::snapshot_file;
use flumen_controller::{CommandResponse, ConfigRules, MetadataImage, StateMachine};
use openraft::storage::RaftStateMachine;
use openraft::{
    BasicNode, EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageIOError, StoredMembership,
};
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc;

/// The state machine, shared with who builds snapshots of it and with who began to watch it.
#[derive(Clone)]
pub(crate) struct Machine {
    directory: PathBuf,
    node: u64,
    applied: Arc<Mutex<Applied>>,
}

struct Applied {
    machine: StateMachine,
    last: Option<MetadataLogId>,
    membership: MetadataMembership,
    watcher: Option<mpsc::UnboundedSender<Change>>,
}

impl Machine {
    /// Opens the snapshot, or begins with nothing.
    pub(crate) fn open(directory: &Path, node: u64, rules: Box<dyn ConfigRules>) -> Result<Self, QuorumError> {
        let path = directory.join(files::SNAPSHOT);
        let (image, last, membership) = match snapshot_file::read(directory, node)? {
            None => (MetadataImage::default(), None, StoredMembership::default()),
            Some(written) => {
                let image = snapshot_file::decode_image(&written.image).map_err(|reason| corrupt(&path, reason))?;
                (image, written.meta.last_log_id, written.meta.last_membership)
            }
        };
        let machine = StateMachine::new(Arc::new(image), rules);
        let applied = Applied { machine, last, membership, watcher: None };
        Ok(Self { directory: directory.to_path_buf(), node, applied: Arc::new(Mutex::new(applied)) })
    }

    /// The last entry applied.
    pub(crate) fn last_applied(&self) -> Option<MetadataLogId> {
        self.lock().last
    }

    /// The image now, and all changes from now on.
    pub(crate) fn watch(&self) -> (Arc<MetadataImage>, mpsc::UnboundedReceiver<Change>) {
        let mut applied = self.lock();
        let (sender, receiver) = mpsc::unbounded_channel();
        applied.watcher = Some(sender);
        (applied.machine.image().clone(), receiver)
    }

    /// The image now.
    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        self.lock().machine.image().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Applied> {
        self.applied.lock().expect("nothing panics while it applies")
    }
}

impl Applied {
    fn apply(&mut self, entry: MetadataEntry) -> CommandResponse {
        let log_id = entry.log_id;
        self.last = Some(log_id);
        match entry.payload {
            EntryPayload::Blank => CommandResponse::Done,
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(log_id), membership);
                CommandResponse::Done
            }
            EntryPayload::Normal(proposal) => {
                let (response, delta) = self.machine.apply(proposal.command);
                if let Some(watcher) = self.watcher.as_ref().filter(|_| !delta.is_empty()) {
                    let image = self.machine.image().clone();
                    // Nobody listens any more only while the broker stops.
                    let _ = watcher.send(Change { image, delta: Arc::new(delta), index: log_id.index });
                }
                response
            }
        }
    }
}

impl RaftStateMachine<Metadata> for Machine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<MetadataLogId>, MetadataMembership), MetadataStorageError> {
        let applied = self.lock();
        Ok((applied.last, applied.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<CommandResponse>, MetadataStorageError>
    where
        I: IntoIterator<Item = MetadataEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut applied = self.lock();
        Ok(entries.into_iter().map(|entry| applied.apply(entry)).collect())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, MetadataStorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &MetadataSnapshotMeta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), MetadataStorageError> {
        let bytes = snapshot.into_inner();
        let failed = |fault: io::Error| StorageIOError::write_snapshot(Some(meta.signature()), &fault);
        let image = snapshot_file::decode_image(&bytes).map_err(|reason| failed(io::Error::other(reason)))?;
        snapshot_file::write(&self.directory, self.node, meta, bytes).await.map_err(failed)?;
        let mut applied = self.lock();
        applied.machine.restore(Arc::new(image));
        applied.last = meta.last_log_id;
        applied.membership = meta.last_membership.clone();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Metadata>>, MetadataStorageError> {
        let written =
            snapshot_file::read(&self.directory, self.node).map_err(|fault| StorageIOError::read_snapshot(None, &fault))?;
        Ok(written.map(|written| Snapshot { meta: written.meta, snapshot: Box::new(Cursor::new(written.image)) }))
    }
}

impl RaftSnapshotBuilder<Metadata> for Machine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Metadata>, MetadataStorageError> {
        let (image, last, membership) = {
            let applied = self.lock();
            (applied.machine.image().clone(), applied.last, applied.membership.clone())
        };
        let place = last.map_or_else(String::new, |last| format!("{}-{}", last.leader_id, last.index));
        let meta: SnapshotMeta<u64, BasicNode> =
            SnapshotMeta { last_log_id: last, last_membership: membership, snapshot_id: place };
        let failed = |fault: io::Error| StorageIOError::write_snapshot(Some(meta.signature()), &fault);
        let bytes = snapshot_file::encode_image(&image).map_err(|fault| failed(fault.into()))?;
        snapshot_file::write(&self.directory, self.node, &meta, bytes.clone()).await.map_err(failed)?;
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) })
    }
}
