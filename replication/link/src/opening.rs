//! The first frame of each file: its format and whom it belongs to.

use crate::fault::{QuorumError, corrupt};
use crate::frame::{Frame, Kind};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The format that this code writes, and the highest it reads.
const FORMAT: u16 = 1;

#[derive(Serialize, Deserialize)]
struct Opening {
    format: u16,
    node: u64,
}

/// The payload of an opening frame.
pub(crate) fn encode(node: u64) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Opening { format: FORMAT, node })
}

/// Checks that the file opens as a file of this node's, and gives the frames behind the opening.
pub(crate) fn check<'a, 'b>(path: &Path, frames: &'b [Frame<'a>], node: u64) -> Result<&'b [Frame<'a>], QuorumError> {
    let Some((Frame { kind: Kind::Opening, payload }, rest)) = frames.split_first() else {
        return Err(corrupt(path, "it has no beginning"));
    };
    let opening: Opening = serde_json::from_slice(payload).map_err(|fault| corrupt(path, fault))?;
    if opening.format > FORMAT {
        let reason = format!("format {} is of a newer release; this one knows {FORMAT}", opening.format);
        return Err(corrupt(path, reason));
    }
    if opening.node != node {
        return Err(QuorumError::WrongNode { path: path.to_path_buf(), found: opening.node, node });
    }
    Ok(rest)
}
