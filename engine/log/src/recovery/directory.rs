//! Partition directories as they are found.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use super::journals::list_or_empty;
use crate::codec::decode_topic_id;
use crate::compaction::{MANIFEST_FILE_NAME, Manifest};
use crate::io::{Disk, IoError};
use crate::producer::ProducerSnapshot;
use crate::segment::parse_file_name;
use crate::state::{COPY_BYTES, PartitionState, STATE_FILE_NAME};
use crate::store::{METADATA_FILE_NAME, is_removed_name};
use crate::{Offset, PartitionIndex, TopicPartition};

/// A partition's directory.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) name: String,
    pub(super) identity: TopicPartition,
    pub(super) topic_name: String,
    /// `None` if neither copy is whole.
    pub(super) state: Option<PartitionState>,
    /// Both copies are whole: no later state was ever recorded.
    pub(super) state_is_whole: bool,
    /// A copy that was written is bad, or gone.
    pub(super) has_lost_copy: bool,
    /// Segment files: base offset and size.
    pub(super) logs: Vec<(Offset, u64)>,
    pub(super) snapshots: Vec<Offset>,
    /// Those of state and metadata that are there.
    pub(super) small_files: Vec<&'static str>,
    pub(super) has_manifest: bool,
    /// What compaction had not put in its place.
    pub(super) leftovers: Vec<String>,
    /// What compaction did, once it is read.
    pub(super) manifest: Manifest,
    /// There is a manifest, and it cannot be read.
    pub(super) manifest_lost: bool,
}

/// What a directory of the data directory is.
#[derive(Debug)]
pub(super) enum Found {
    Partition(Box<Directory>),
    /// Of a partition that was removed, or never finished; its identity, if the state tells it.
    Removed(String, Option<TopicPartition>),
    /// It looks like a partition's, holds segments, and does not say whose they are.
    Unknown(String),
    /// Something of it cannot be read, and why.
    Unreadable(String, IoError),
}

/// Look at every directory. Nothing is changed.
pub(super) fn find(disk: &mut dyn Disk) -> Result<Vec<Found>, IoError> {
    let mut found = Vec::new();
    for entry in list_or_empty(disk, "")? {
        if entry.is_directory {
            found.extend(look(disk, &entry.name)?);
        }
    }
    Ok(found)
}

fn look(disk: &mut dyn Disk, name: &str) -> Result<Option<Found>, IoError> {
    let gone = is_removed_name(name);
    let parsed = parse_name(name);
    if !gone && parsed.is_none() {
        return Ok(None);
    }
    let state_file = match read_small(disk, &format!("{name}/{STATE_FILE_NAME}")) {
        Ok(state_file) => state_file,
        // Whose it is, and where its D lies, is written where it cannot be read: nothing is done to it in this run.
        Err(error) => return Ok(Some(Found::Unreadable(String::from(name), error))),
    };
    let state_file = state_file.unwrap_or_default();
    let state = PartitionState::decode(&state_file);
    let identity = state.as_ref().map(|state| state.partition);
    let says_removed = state.as_ref().is_some_and(|state| state.removed);
    let Some((topic_name, partition)) = parsed.filter(|_| !says_removed) else {
        return removed(disk, name, identity.filter(|_| says_removed)).map(Some);
    };
    let Files { logs, snapshots, small_files, has_manifest, leftovers, others } = list_files(disk, name)?;
    let identity = match identity {
        Some(identity) => Some(identity),
        // A creation that was never finished: it would be in the way of the next.
        None if logs.is_empty() && snapshots.is_empty() && others == 0 => {
            return Ok(Some(Found::Removed(String::from(name), None)));
        }
        None if logs.is_empty() => return Ok(None),
        None => {
            let metadata = match read_small(disk, &format!("{name}/{METADATA_FILE_NAME}")) {
                Ok(metadata) => metadata,
                Err(error) => return Ok(Some(Found::Unreadable(String::from(name), error))),
            };
            let topic = metadata.and_then(|bytes| decode_topic_id(&bytes));
            topic.map(|topic| TopicPartition { topic, partition })
        }
    };
    let Some(identity) = identity else { return Ok(Some(Found::Unknown(String::from(name)))) };
    let (manifest, manifest_lost) = (Manifest::default(), false);
    let directory = Directory {
        name: String::from(name),
        identity,
        topic_name,
        state,
        state_is_whole: PartitionState::is_whole(&state_file),
        has_lost_copy: PartitionState::has_lost_copy(&state_file),
        logs,
        snapshots,
        small_files,
        has_manifest,
        leftovers,
        manifest,
        manifest_lost,
    };
    Ok(Some(Found::Partition(Box::new(directory))))
}

/// A directory of a removed partition: its state says so, and tells whose it was; or its name alone. The state is the last to go: where
/// nothing says any more that the partition was removed, its segments do not go.
fn removed(disk: &mut dyn Disk, name: &str, identity: Option<TopicPartition>) -> Result<Found, IoError> {
    let is_foreign = disk.list(name)?.iter().any(|entry| entry.is_directory);
    let may_go = !is_foreign && (identity.is_some() || list_files(disk, name)?.logs.is_empty());
    Ok(if may_go { Found::Removed(String::from(name), identity) } else { Found::Unknown(String::from(name)) })
}

/// The files of a partition's directory, by kind.
#[derive(Default)]
struct Files {
    logs: Vec<(Offset, u64)>,
    snapshots: Vec<Offset>,
    small_files: Vec<&'static str>,
    has_manifest: bool,
    leftovers: Vec<String>,
    /// How many there are of other kinds.
    others: usize,
}

fn list_files(disk: &mut dyn Disk, name: &str) -> Result<Files, IoError> {
    let mut files = Files::default();
    for entry in disk.list(name)? {
        if let Some(base) = parse_file_name(&entry.name, "log") {
            files.logs.push((base, entry.length));
        } else if let Some(offset) = parse_file_name(&entry.name, "snapshot") {
            debug_assert_eq!(entry.name, ProducerSnapshot::file_name(offset));
            files.snapshots.push(offset);
        } else if super::swap::is_leftover(&entry.name) {
            files.leftovers.push(entry.name);
        } else if entry.name == MANIFEST_FILE_NAME {
            files.has_manifest = true;
        } else {
            let small_file = [STATE_FILE_NAME, METADATA_FILE_NAME].into_iter().find(|name| *name == entry.name);
            files.others += usize::from(small_file.is_none());
            files.small_files.extend(small_file);
        }
    }
    Ok(files)
}

/// `<topic>-<partition>`.
fn parse_name(name: &str) -> Option<(String, PartitionIndex)> {
    let (topic, partition) = name.rsplit_once('-')?;
    let digits = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    let partition = partition.parse().ok()?;
    (digits && !topic.is_empty()).then(|| (String::from(topic), PartitionIndex(partition)))
}

fn read_small(disk: &mut dyn Disk, path: &str) -> Result<Option<bytes::Bytes>, IoError> {
    match disk.read(path, 0, 2 * COPY_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(IoError::NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}
