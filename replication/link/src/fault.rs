//! What can go wrong with the metadata, for whoever started the broker.

use std::path::{Path, PathBuf};

/// Why the quorum could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QuorumError {
    /// The metadata cannot be read. Nothing was changed.
    #[error("the metadata in {path} cannot be read: {reason}. Nothing was changed; topic data is untouched")]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The metadata belongs to another broker.
    #[error("the metadata in {path} belongs to node {found}, but node.id is {node}")]
    WrongNode {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
        found: u64,
        /// Who was started.
        node: u64,
    },
    /// The operating system refused.
    #[error("metadata: {0}")]
    Io(#[from] std::io::Error),
    /// The quorum has stopped or failed; the broker cannot go on.
    #[error("the metadata quorum has stopped: {0}")]
    Stopped(String),
}

pub(crate) fn corrupt(path: &Path, reason: impl ToString) -> QuorumError {
    QuorumError::Corrupt { path: path.to_path_buf(), reason: reason.to_string() }
}
