//! The snapshot: one image, with its place in the log.

use crate::fault::{QuorumError, corrupt};
use crate::files::{self, FrameFile};
use crate::frame::{Frame, Kind};
use crate::opening;
use crate::raft::MetadataSnapshotMeta;
use flumen_controller::{ImageSnapshot, MetadataImage};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// The version of the images that this code writes, and the highest it understands.
const VERSION: u16 = 1;

/// A snapshot as it was read.
pub(crate) struct WrittenSnapshot {
    pub(crate) meta: MetadataSnapshotMeta,
    /// The image, still in bytes.
    pub(crate) image: Vec<u8>,
}

#[derive(Serialize)]
struct VersionedImage {
    version: u16,
    image: ImageSnapshot,
}

#[derive(Deserialize)]
struct WrittenImage {
    version: u16,
    image: serde_json::Value,
}

/// The bytes of an image.
pub(crate) fn encode_image(image: &MetadataImage) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&VersionedImage { version: VERSION, image: ImageSnapshot::from(image) })
}

/// The image of those bytes.
pub(crate) fn decode_image(bytes: &[u8]) -> Result<MetadataImage, String> {
    let written: WrittenImage = serde_json::from_slice(bytes).map_err(|fault| fault.to_string())?;
    if written.version > VERSION {
        return Err(format!("version {} is of a newer release; this one knows {VERSION}", written.version));
    }
    let snapshot: ImageSnapshot = serde_json::from_value(written.image).map_err(|fault| fault.to_string())?;
    MetadataImage::try_from(snapshot).map_err(|fault| fault.to_string())
}

/// Replaces the snapshot.
pub(crate) async fn write(directory: &Path, node: u64, meta: &MetadataSnapshotMeta, image: Vec<u8>) -> io::Result<()> {
    let frames =
        [(Kind::Opening, opening::encode(node)?), (Kind::SnapshotPlace, serde_json::to_vec(meta)?), (Kind::Image, image)];
    files::with_room(|| FrameFile::replace(directory, files::SNAPSHOT, &frames)).await?;
    Ok(())
}

/// The snapshot, if there is one.
pub(crate) fn read(directory: &Path, node: u64) -> Result<Option<WrittenSnapshot>, QuorumError> {
    let path = directory.join(files::SNAPSHOT);
    let Some(bytes) = files::read(&path)? else { return Ok(None) };
    let scan = crate::frame::scan(&bytes).map_err(|damage| corrupt(&path, damage))?;
    if scan.whole_bytes != bytes.len() {
        return Err(corrupt(&path, format!("it is damaged from byte {} on", scan.whole_bytes)));
    }
    let [Frame { kind: Kind::SnapshotPlace, payload: meta }, Frame { kind: Kind::Image, payload: image }] =
        opening::check(&path, &scan.frames, node)?
    else {
        return Err(corrupt(&path, "it is not a snapshot"));
    };
    let meta = serde_json::from_slice(meta).map_err(|fault| corrupt(&path, fault))?;
    Ok(Some(WrittenSnapshot { meta, image: image.to_vec() }))
}
