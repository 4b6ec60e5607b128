//! The quorum as the rest of the broker sees it.

use crate::fault::{QuorumError, corrupt};
use crate::files;
use crate::log_store::LogStore;
use crate::machine::Machine;
use crate::raft::{Metadata, NoPeers, Proposal};
use flumen_controller::{Command, CommandResponse, ConfigRules, Delta, MetadataImage};
use flumen_log::BrokerId;
use openraft::{BasicNode, Config, Raft, ServerState, SnapshotPolicy};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A snapshot is taken after this many entries, and the log made short again.
const ENTRIES_PER_SNAPSHOT: u64 = if cfg!(test) { 40 } else { 1_000 };
/// A quorum of one that does not lead by then never will.
const LEAD_WITHIN: Duration = Duration::from_secs(10);

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
pub struct Quorum {
    raft: Raft<Metadata>,
}

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

/// Committed changes, in order. Commands that changed nothing a shard has to act on are left out.
///
/// The channel has no bound of its own: it holds at most the commands that were proposed and not yet looked at here.
pub struct Changes {
    receiver: mpsc::UnboundedReceiver<Change>,
}

impl Quorum {
    /// Reads what is there, or begins anew, and takes the lead. Call it on a tokio runtime with its timer on.
    ///
    /// # Errors
    /// The metadata is unreadable, or the disk fails.
    pub async fn start(options: QuorumOptions) -> Result<Started, QuorumError> {
        let QuorumOptions { directory, node, cluster_id, rules } = options;
        let id = u64::try_from(node.0).map_err(|_| QuorumError::Stopped(format!("node.id {node} is negative")))?;
        files::make_directory(&directory)?;
        let (log, machine) = open(&directory, id, rules)?;
        let raft = Raft::new(id, config()?, NoPeers, log, machine.clone()).await.map_err(stopped)?;
        if !raft.is_initialized().await.map_err(stopped)? {
            let members = BTreeMap::from([(id, BasicNode::default())]);
            raft.initialize(members).await.map_err(stopped)?;
        }
        if raft.metrics().borrow().state != ServerState::Leader {
            raft.trigger().elect().await.map_err(stopped)?;
        }
        let wait = raft.wait(Some(LEAD_WITHIN));
        wait.state(ServerState::Leader, "a quorum of one takes the lead").await.map_err(stopped)?;
        let is_new = machine.image().cluster_id.is_empty();
        let quorum = Self { raft };
        // All that was written before is applied once this is; a cluster that has a name keeps it.
        quorum.propose(Command::NameCluster { cluster_id }).await?;
        let (image, receiver) = machine.watch();
        Ok(Started { quorum, image, changes: Changes { receiver }, is_new })
    }

    /// Commits a command and answers with its outcome, once it is synced and applied.
    ///
    /// # Errors
    /// The quorum has failed. Whether the command counts is then unknown.
    pub async fn propose(&self, command: Command) -> Result<CommandResponse, QuorumError> {
        let outcome = self.raft.client_write(Proposal::from(command)).await;
        outcome.map(|written| written.data).map_err(stopped)
    }

    /// Stops in order.
    ///
    /// # Errors
    /// The quorum had failed before.
    pub async fn stop(self) -> Result<(), QuorumError> {
        self.raft.shutdown().await.map_err(stopped)
    }
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

/// Opens both files and checks that they fit together.
fn open(directory: &Path, node: u64, rules: Box<dyn ConfigRules>) -> Result<(LogStore, Machine), QuorumError> {
    let machine = Machine::open(directory, node, rules)?;
    let path = directory.join(files::LOG);
    if machine.last_applied().is_some() && !path.try_exists()? {
        return Err(corrupt(&path, "it is missing, though there is a snapshot"));
    }
    let log = LogStore::open(directory, node)?;
    let covered = machine.last_applied();
    if log.purged() > covered {
        let reason = "it is missing, or older than the log, which begins behind it";
        return Err(corrupt(&directory.join(files::SNAPSHOT), reason));
    }
    if log.last() < covered {
        return Err(corrupt(&path, "it ends before the snapshot that was made of it"));
    }
    Ok((log, machine))
}

fn config() -> Result<Arc<Config>, QuorumError> {
    let config = Config {
        cluster_name: "flumen".into(),
        // A quorum of one needs no clock: nobody waits for its heartbeat, and it is told when to elect itself.
        enable_tick: false,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(ENTRIES_PER_SNAPSHOT),
        max_in_snapshot_log_to_keep: 0,
        ..Config::default()
    };
    config.validate().map(Arc::new).map_err(stopped)
}

fn stopped(fault: impl ToString) -> QuorumError {
    QuorumError::Stopped(fault.to_string())
}
