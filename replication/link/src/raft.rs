//! The types that the quorum is made of, and what is said between members.

use flumen_controller::{Command, CommandResponse};
use openraft::error::{InstallSnapshotError, RPCError, RaftError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, Entry, LogId, SnapshotMeta, StorageError, StoredMembership, TokioRuntime, Vote};
use serde::{Deserialize, Serialize};
use std::io::{self, Cursor};

openraft::declare_raft_types!(
    /// The metadata quorum.
    pub(crate) Metadata:
        D = Proposal,
        R = CommandResponse,
        NodeId = u64,
        Node = BasicNode,
        Entry = Entry<Metadata>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = TokioRuntime,
);

pub(crate) type MetadataEntry = Entry<Metadata>;
pub(crate) type MetadataLogId = LogId<u64>;
pub(crate) type MetadataVote = Vote<u64>;
pub(crate) type MetadataMembership = StoredMembership<u64, BasicNode>;
pub(crate) type MetadataSnapshotMeta = SnapshotMeta<u64, BasicNode>;
pub(crate) type MetadataStorageError = StorageError<u64>;

/// A command as it is written down: with the version of its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenProposal")]
pub(crate) struct Proposal {
    version: u16,
    pub(crate) command: Command,
}

/// A command whose version has to be looked at before it can be understood.
#[derive(Deserialize)]
struct WrittenProposal {
    version: u16,
    command: serde_json::Value,
}

impl From<Command> for Proposal {
    fn from(command: Command) -> Self {
        Self { version: Command::VERSION, command }
    }
}

impl TryFrom<WrittenProposal> for Proposal {
    type Error = String;

    fn try_from(written: WrittenProposal) -> Result<Self, String> {
        let WrittenProposal { version, command } = written;
        if version > Command::VERSION {
            return Err(format!(
                "a command of version {version} was written by a newer release; this one knows {}",
                Command::VERSION
            ));
        }
        let command = serde_json::from_value(command).map_err(|fault| fault.to_string())?;
        Ok(Self { version, command })
    }
}

/// A quorum of one has nobody to talk to.
pub(crate) struct NoPeers;

type Refused<Fault> = RPCError<u64, BasicNode, Fault>;

fn no_peers<Fault: std::error::Error>() -> Refused<Fault> {
    RPCError::Unreachable(Unreachable::new(&io::Error::other("this quorum has one member")))
}

impl RaftNetworkFactory<Metadata> for NoPeers {
    type Network = Self;

    async fn new_client(&mut self, _target: u64, _node: &BasicNode) -> Self {
        Self
    }
}

impl RaftNetwork<Metadata> for NoPeers {
    async fn append_entries(
        &mut self,
        _request: AppendEntriesRequest<Metadata>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Refused<RaftError<u64>>> {
        Err(no_peers())
    }

    async fn install_snapshot(
        &mut self,
        _request: InstallSnapshotRequest<Metadata>,
        _option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Refused<RaftError<u64, InstallSnapshotError>>> {
        Err(no_peers())
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<u64>,
        _option: RPCOption,
    ) -> Result<VoteResponse<u64>, Refused<RaftError<u64>>> {
        Err(no_peers())
    }
}
