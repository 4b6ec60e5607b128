//! One recording: a few lives of real stores on a reactor, in a real directory, each beginning with the real recovery.

use super::disk::ImageDisk;
use super::load::{End, INDEX_INTERVAL_BYTES, Lane, Load, Pace, Policy};
use super::recording::{Entry, RecordedDisk, Recorder, Word};
use crate::tally::Outcome;
use flumen_log::ShardId;
use flumen_log::recovery::{RecoverySettings, recover};
use flumen_reactor::mailbox::mesh;
use flumen_reactor::{BlockingDisk, DataDirectory, LOCK_NAME, Reactor, ReactorSettings, clock};
use flumen_sim::random::Random;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How long the lock of the life before is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// A recording, and what one must know to recover from it.
pub(super) struct Recording {
    pub(super) entries: Vec<Entry>,
    pub(super) journal_file_bytes: u64,
}

/// What recovery is told here.
pub(super) fn recovery_settings(journal_file_bytes: u64, number: u128) -> RecoverySettings {
    RecoverySettings {
        journal_id: number.to_be_bytes(),
        journal_file_bytes,
        quarantine_bytes: 1 << 20,
        index_interval_bytes: INDEX_INTERVAL_BYTES,
    }
}

/// Record, in an empty directory.
pub(super) fn record(home: &Path, acts: u64, pace: Pace, random: &mut Random) -> Outcome<Recording> {
    let journal_file_bytes = 4096 * (8 + random.below(16));
    let recorder = Recorder::default();
    let lives = 2 + random.below(2);
    let mut policies = vec![Policy::Compact, Policy::Delete];
    policies.extend((0..random.below(4)).map(|_| if random.one_in(4) { Policy::CompactDelete } else { Policy::Delete }));
    let mut lanes: Vec<Lane> = (0..).zip(policies).map(|(number, policy)| Lane::new(number, policy, random)).collect();
    for life in 0..lives {
        let shards = 1 + u16::try_from(random.below(2)).unwrap_or_default();
        let directory = DataDirectory::open(home, LOCK_PATIENCE)?;
        let mut files = BlockingDisk::new(&directory)?;
        let settings = recovery_settings(journal_file_bytes, u128::from(random.next()));
        let recovery = recover(&mut RecordedDisk::new(&mut files, &recorder), shards, &settings, clock::now())?;
        let end = if random.one_in(3) { End::Stop } else { End::Death };
        let acts = acts / lives;
        let own = Random::new(random.next());
        let mut load = Load::new(recovery.shards, lanes, journal_file_bytes, acts, (pace, end), recorder.clone(), own);
        load.say_found();
        // The stores of all shards, each an owner, in one directory.
        let directories = (0..shards).map(|_| directory.try_clone()).collect::<Result<Vec<_>, _>>()?;
        let (mut postboxes, _control) = mesh(1, 16)?;
        let postbox = postboxes.pop().ok_or("a mesh of one has one postbox")?;
        let reactor = Reactor::new(ReactorSettings::new(ShardId(0)), directories, Vec::new(), postbox)?;
        let (ended, leftover) = reactor.run(load);
        drop(leftover);
        recorder.say(Word::Died);
        if let Some(fault) = ended.faults.first() {
            return Err(format!("life {life}: {fault}").into());
        }
        lanes = ended.lanes;
    }
    Ok(Recording { entries: recorder.take(), journal_file_bytes })
}

/// Every file below a real directory, to be held against what the recording gives.
pub(super) fn real_contents(home: &Path) -> Outcome<BTreeMap<String, Option<Vec<u8>>>> {
    let mut found = BTreeMap::new();
    let mut left = vec![home.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            let name = path.strip_prefix(home)?.to_string_lossy().into_owned();
            if path.is_dir() {
                found.insert(name, None);
                left.push(path);
            } else if name != LOCK_NAME {
                found.insert(name, Some(std::fs::read(&path)?));
            }
        }
    }
    Ok(found)
}

/// The recording, repeated to its end, must give the files that are there: else what it says of any moment is worth nothing.
pub(super) fn check_fidelity(recording: &Recording, home: &Path) -> Outcome<()> {
    let mut disk = ImageDisk::new();
    for entry in &recording.entries {
        disk.take(entry);
    }
    let (repeated, real) = (disk.contents(""), real_contents(home)?);
    for path in repeated.keys().chain(real.keys()) {
        let (ours, theirs) = (repeated.get(path), real.get(path));
        if ours != theirs {
            let shown = |content: Option<&Option<Vec<u8>>>| match content {
                None => "is not there".to_owned(),
                Some(None) => "is a directory".to_owned(),
                Some(Some(bytes)) => format!("has {} bytes", bytes.len()),
            };
            return Err(format!("{path}: repeated it {}, on disk it {}, and they differ", shown(ours), shown(theirs)).into());
        }
    }
    Ok(())
}
