//! The log directories at start: looked at, locked, recovered, each on its own.
//!
//! What to do with each is judged by [`flumen_log::directories`]; here it is done. One that cannot be used is offline and left as
//! it is; only the one with the metadata keeps the broker from starting. Invariant: the lists that name all directories are on
//! stable storage in every one of them before anything is made in any.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use flumen_log::{
    ShardId, TopicPartition,
    directories::{self, DirectoryId, DirectoryList, LIST_FILE_NAME, Seen, Verdict},
    io::{Disk, IoError},
    recovery::{self, Recovery, RecoveryError, RecoverySettings},
    store::StoreSettings,
};
use flumen_reactor::{BlockingDisk, DataDirectory, LockError, clock};

use crate::config::ServerConfig;

/// How long a log directory held by a dying process is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts to recover a directory that has no space for it.
const SPACE_PATIENCE: Duration = Duration::from_secs(1);
/// Most bytes of torn tails that are kept, in each.
const QUARANTINE_BYTES: u64 = 256 << 20;
/// Where in its log directory the metadata lies.
const METADATA: &str = "metadata";

type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// One that is locked, recovered and ready.
pub(crate) struct Online {
    pub(crate) path: String,
    pub(crate) directory: DataDirectory,
    pub(crate) recovery: Recovery,
}

/// Why one is not ready.
#[derive(Debug, thiserror::Error)]
enum Unready {
    #[error("it cannot be read: {0}")]
    Descriptors(#[from] std::io::Error),
    #[error("its list of directories cannot be written: {0}")]
    List(IoError),
    #[error("{0}")]
    Recovery(#[from] RecoveryError),
}

impl Unready {
    fn is_no_space(&self) -> bool {
        matches!(self, Self::List(error) | Self::Recovery(RecoveryError::Io(error)) if error.is_no_space())
    }
}

/// All of them.
pub(crate) struct LogDirectories {
    /// Numbered by their places here.
    pub(crate) online: Vec<Online>,
    /// Configured, and not usable: path, and why.
    pub(crate) offline: Vec<(String, String)>,
    /// Directories of this broker that are not online, with the paths they had.
    pub(crate) missing: BTreeMap<DirectoryId, String>,
    /// Where the metadata is kept.
    pub(crate) metadata: PathBuf,
    /// The number of the log directory that is in, unless it has a place of its own.
    pub(crate) metadata_number: Option<u32>,
    /// The lock on a place of its own.
    _metadata_lock: Option<DataDirectory>,
}

impl LogDirectories {
    /// Open what can be opened.
    pub(crate) fn open(config: &ServerConfig, shards: u16) -> Result<Self, Refusal> {
        let configured: Vec<(String, Seen)> = config.log_dirs.iter().map(|path| (absolute(path), look(path))).collect();
        let metadata_home = absolute(&config.metadata_dir);
        let holds_metadata = |path: &str| Path::new(path) == Path::new(&metadata_home);
        let fresh = || DirectoryId(uuid::Uuid::new_v4().as_u128());
        let apart = MetadataHome::apart(&metadata_home, &configured)?;
        let remembered = apart.as_ref().map(|home| home.list.known.clone()).unwrap_or_default();
        let judgement = directories::judge(&configured, &remembered, &config.lost_dirs, fresh);
        let mut missing = judgement.missing;
        let mut offline = Vec::new();
        let mut locked = Vec::new();
        for ((path, seen), verdict) in configured.into_iter().zip(judgement.verdicts) {
            let opened = match verdict {
                Verdict::Offline(why) => Err(why),
                Verdict::Use(id) => lock(&path)?.map(|directory| (id, directory, seen)),
            };
            match opened {
                Ok((id, directory, seen)) => locked.push((id, path, directory, seen)),
                Err(why) => offline.push((path, why)),
            }
        }
        // One that is where it should be and cannot be locked is missing as well.
        for list in locked.iter().filter_map(|(.., seen)| if let Seen::List(list) = seen { Some(list) } else { None }) {
            let kept = list.known.iter().filter(|(id, _)| !config.lost_dirs.contains(id));
            missing.extend(kept.map(|(id, path)| (*id, path.clone())));
        }
        missing.retain(|id, _| !locked.iter().any(|(other, ..)| other == id));
        let mut known = missing.clone();
        known.extend(locked.iter().map(|(id, path, ..)| (*id, path.clone())));
        let mut online = Vec::new();
        let mut remembered = known.clone();
        for (id, path, directory, seen) in locked {
            let list = DirectoryList { own: id, known: known.clone() };
            let mut recovered = ready(&directory, &list, &seen, shards, config);
            // Nothing goes without the metadata: its directory is waited for.
            while holds_metadata(&path) && recovered.as_ref().is_err_and(Unready::is_no_space) {
                eprintln!("flumen: {path}: there is no space to recover it: waiting for some");
                std::thread::sleep(SPACE_PATIENCE);
                recovered = ready(&directory, &list, &seen, shards, config);
            }
            match recovered {
                Ok(recovery) => online.push(Online { path, directory, recovery }),
                Err(why) => {
                    if !matches!(seen, Seen::List(_)) {
                        // It may not say yet that it is this directory.
                        remembered.remove(&id);
                    }
                    missing.insert(id, path.clone());
                    offline.push((path, why.to_string()));
                }
            }
        }
        // Not before they say themselves who they are: one that does not would be taken for one that is away.
        let metadata_lock = apart.map(|home| home.remember(remembered)).transpose()?;
        refuse_duplicates(&online)?;
        let metadata_number = (0..).zip(&online).find(|(_, online)| holds_metadata(&online.path)).map(|(number, _)| number);
        if let Some((path, why)) = offline.iter().find(|(path, _)| holds_metadata(path)) {
            return Err(format!("the log directory {path} holds the metadata and cannot be used: {why}").into());
        }
        if online.is_empty() {
            let reasons: Vec<String> = offline.iter().map(|(path, why)| format!("{path}: {why}")).collect();
            return Err(format!("no log directory can be used: {}", reasons.join("; ")).into());
        }
        let metadata = Path::new(&metadata_home).join(METADATA);
        Ok(Self { online, offline, missing, metadata, metadata_number, _metadata_lock: metadata_lock })
    }

    /// Whether everything this broker ever had is here and was stopped in order.
    pub(crate) fn clean(&self) -> bool {
        self.missing.is_empty() && self.online.iter().all(|online| online.recovery.report.clean)
    }

    /// The partitions found, by directory.
    pub(crate) fn found(&self) -> Vec<Vec<TopicPartition>> {
        self.online.iter().map(|online| online.recovery.partitions().collect()).collect()
    }

    /// Partitions' directories that do not say any more whose they are, or cannot be read, by name.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = &str> {
        self.online.iter().flat_map(|online| {
            let report = &online.recovery.report;
            let unreadable = report.unreadable_directories.iter().map(|(name, _)| name);
            report.unknown_directories.iter().chain(unreadable).map(String::as_str)
        })
    }
}

/// The place of the metadata, where that is no log directory. It has the list of all of them, too: they may all be away at once, and
/// the metadata has partitions then that must not be made again.
struct MetadataHome {
    directory: DataDirectory,
    list: DirectoryList,
    written: bool,
}

impl MetadataHome {
    /// Lock it and read what it knows, if it is none of the configured paths.
    fn apart(path: &str, configured: &[(String, Seen)]) -> Result<Option<Self>, Refusal> {
        if configured.iter().any(|(log_directory, _)| Path::new(log_directory) == Path::new(path)) {
            return Ok(None);
        }
        let directory = open_patiently(Path::new(path))?;
        let nothing = || DirectoryList { own: DirectoryId(uuid::Uuid::new_v4().as_u128()), known: BTreeMap::new() };
        let (list, written) = match look(Path::new(path)) {
            Seen::List(list) => (list, true),
            Seen::Damaged if !configured.iter().any(|(_, seen)| matches!(seen, Seen::List(_))) => {
                return Err(format!(
                    "{path}/{LIST_FILE_NAME} is damaged, and none of the log directories has such a list: are their disks mounted? \
                     If they are new, remove the file"
                )
                .into());
            }
            Seen::Unusable(why) => return Err(format!("the metadata directory {path} cannot be used: {why}").into()),
            Seen::Missing | Seen::Bare | Seen::Damaged => (nothing(), false),
        };
        Ok(Some(Self { directory, list, written }))
    }

    /// These are all there are.
    fn remember(mut self, known: BTreeMap<DirectoryId, String>) -> Result<DataDirectory, Refusal> {
        if !self.written || self.list.known != known {
            self.list.known = known;
            let mut disk = BlockingDisk::new(&self.directory)?;
            write_list(&mut disk, &self.list).map_err(Unready::List)?;
        }
        Ok(self.directory)
    }
}

/// The path that names a directory, whatever the process was started in.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

/// What is at a path.
fn look(path: &Path) -> Seen {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Seen::Missing,
        Err(error) => return Seen::Unusable(error.to_string()),
        Ok(status) if !status.is_dir() => return Seen::Unusable("it is no directory".to_owned()),
        Ok(_) => {}
    }
    match std::fs::read(path.join(LIST_FILE_NAME)) {
        Ok(bytes) => DirectoryList::decode(&bytes).map_or(Seen::Damaged, Seen::List),
        Err(error) if error.kind() == ErrorKind::NotFound => Seen::Bare,
        Err(error) => Seen::Unusable(error.to_string()),
    }
}

/// Open a directory, and say so if another process has to let it go first.
fn open_patiently(path: &Path) -> Result<DataDirectory, LockError> {
    match DataDirectory::open(path, Duration::ZERO) {
        Err(held @ LockError::Held { .. }) => {
            eprintln!("flumen: {held}: waiting up to {} s for it to end", LOCK_PATIENCE.as_secs());
            DataDirectory::open(path, LOCK_PATIENCE)
        }
        result => result,
    }
}

/// Lock a directory. One that another process has ends the start; one that fails is offline.
fn lock(path: &str) -> Result<Result<DataDirectory, String>, Refusal> {
    match open_patiently(Path::new(path)) {
        Ok(directory) => Ok(Ok(directory)),
        Err(held @ LockError::Held { .. }) => Err(held.into()),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// Write the list if it says anything new, and recover what is there.
fn ready(
    directory: &DataDirectory,
    list: &DirectoryList,
    seen: &Seen,
    shards: u16,
    config: &ServerConfig,
) -> Result<Recovery, Unready> {
    let mut disk = BlockingDisk::new(directory)?;
    if *seen != Seen::List(list.clone()) {
        write_list(&mut disk, list).map_err(Unready::List)?;
    }
    let settings = RecoverySettings {
        journal_id: *uuid::Uuid::new_v4().as_bytes(),
        journal_file_bytes: StoreSettings::of_shard(ShardId(0), shards).journal_file_bytes,
        quarantine_bytes: QUARANTINE_BYTES,
        index_interval_bytes: config
            .number("log.index.interval.bytes")
            .and_then(|bytes| u32::try_from(bytes).ok())
            .unwrap_or(4096),
    };
    Ok(recovery::recover(&mut disk, shards, &settings, clock::now())?)
}

/// Whole or not at all, and on stable storage.
fn write_list(disk: &mut BlockingDisk, list: &DirectoryList) -> Result<(), IoError> {
    let beside = format!("{LIST_FILE_NAME}.tmp");
    disk.unlink(&beside)?;
    disk.write(&beside, 0, list.encode().as_bytes())?;
    disk.sync(&beside)?;
    disk.rename(&beside, LIST_FILE_NAME)?;
    disk.sync_directory("")
}

/// A partition that is in two directories was copied by somebody; which of the two is the log, nobody can tell.
fn refuse_duplicates(online: &[Online]) -> Result<(), Refusal> {
    let mut homes: BTreeMap<TopicPartition, &str> = BTreeMap::new();
    for directory in online {
        let partitions: BTreeSet<TopicPartition> = directory.recovery.partitions().collect();
        for partition in partitions {
            if let Some(other) = homes.insert(partition, &directory.path) {
                let TopicPartition { topic, partition } = partition;
                let path = &directory.path;
                return Err(format!("partition {partition} of topic id {topic} is both in {other} and in {path}").into());
            }
        }
    }
    Ok(())
}
