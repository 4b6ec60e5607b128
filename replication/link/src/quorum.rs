//! The quorum as the rest of the broker sees it.

use flumen_controller::{Command, CommandResponse, ConfigRules, Delta, MetadataImage};
use flumen_log::BrokerId;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a quorum needs to start.
pub struct QuorumOptions {
    /// Where it keeps its files: `<data>/metadata`. Made if missing.
    pub directory: PathBuf,
    /// Who this broker is.
    pub node: BrokerId,
    /// The name that the cluster gets if it has none yet: random, in Kafka's form (22 characters).
    pub cluster_id: String,
    /// What configuration is judged by.
    pub rules: Box<dyn ConfigRules>,
}

/// A started quorum.
pub struct Started {
    /// Where to propose.
    pub quorum: Quorum,
    /// The metadata as of now.
    pub image: Arc<MetadataImage>,
    /// Everything that happens after `image`.
    pub changes: Changes,
    /// The directory held no metadata: this is the cluster's first start.
    pub is_new: bool,
}

/// The metadata quorum.
#[derive(Clone)]
pub struct Quorum {}

/// One committed command's effect.
#[derive(Clone, Debug)]
pub struct Change {
    /// The metadata after it.
    pub image: Arc<MetadataImage>,
    /// What it changed.
    pub delta: Arc<Delta>,
    /// Its place in the quorum's log.
    pub index: u64,
}

/// Committed changes, in order. Entries that changed nothing are left out.
pub struct Changes {
    receiver: mpsc::UnboundedReceiver<Change>,
}

/// Why the quorum could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QuorumError {
    /// The metadata cannot be read. Nothing was changed.
    #[error("the metadata in {path} cannot be read: {reason}")]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused.
    #[error("metadata: {0}")]
    Io(#[from] std::io::Error),
    /// The quorum has stopped or failed; the broker cannot go on.
    #[error("the metadata quorum has stopped: {0}")]
    Stopped(String),
}

impl Quorum {
    /// Reads what is there, or begins anew, and takes the lead. Call it on a tokio runtime.
    ///
    /// # Errors
    /// The metadata is unreadable, or the disk fails.
    pub async fn start(_options: QuorumOptions) -> Result<Started, QuorumError> {
        Err(QuorumError::Stopped("not built yet".into()))
    }

    /// Commits a command and answers with its outcome, once it is synced and applied.
    ///
    /// # Errors
    /// The quorum has failed. Whether the command counts is then unknown.
    pub async fn propose(&self, _command: Command) -> Result<CommandResponse, QuorumError> {
        Err(QuorumError::Stopped("not built yet".into()))
    }

    /// Stops in order.
    pub async fn stop(self) {}
}

impl Changes {
    /// The next change; `None` once the quorum has stopped.
    pub async fn next(&mut self) -> Option<Change> {
        self.receiver.recv().await
    }

    /// The next change if there is one already.
    pub fn try_next(&mut self) -> Option<Change> {
        self.receiver.try_recv().ok()
    }
}
