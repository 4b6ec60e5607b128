//! What the stores had promised at a moment of a recording, and whether a recovered directory keeps it.

use super::compacted;
use super::load::store_settings;
use super::recording::Word;
use super::run::recovery_settings;
use bytes::Bytes;
use flumen_log::io::{Disk, IoError, Owner};
use flumen_log::recovery::{Recovery, RecoveryError, RecoveryReport, recover};
use flumen_log::store::Store;
use flumen_log::{LeaderEpoch, Monotonic, Now, Offset, ShardId, Timestamp, TopicPartition};
use std::collections::BTreeMap;

/// What is wrong with a recovered directory.
#[derive(Clone, Debug)]
pub(super) enum Violation {
    /// Something that was acknowledged is not there.
    Loss(String),
    /// Anything else.
    Other(String),
}

impl std::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Loss(what) => write!(formatter, "loss: {what}"),
            Self::Other(what) => formatter.write_str(what),
        }
    }
}

/// A batch as it was appended.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) base: Offset,
    pub(super) next: Offset,
    pub(super) bytes: Bytes,
}

/// One partition's promises.
#[derive(Clone, Debug, Default)]
struct Promise {
    created: bool,
    removing: bool,
    removed: bool,
    /// If it is compacted, whether tombstones may go at once.
    tombstones_go: Option<bool>,
    batches: Vec<Batch>,
    durable: Offset,
    log_start: Offset,
}

/// All promises.
#[derive(Clone, Debug, Default)]
pub(super) struct Promises {
    partitions: BTreeMap<TopicPartition, Promise>,
}

impl Promises {
    pub(super) fn take(&mut self, word: &Word) {
        match word {
            Word::Appended { partition, base, next, bytes } => {
                let batch = Batch { base: *base, next: *next, bytes: bytes.clone() };
                self.of(partition).batches.push(batch);
            }
            Word::Compacted { partition, tombstones_go } => self.of(partition).tombstones_go = Some(*tombstones_go),
            Word::Created { partition } => self.of(partition).created = true,
            Word::Durable { partition, offset } => {
                let promise = self.of(partition);
                promise.durable = promise.durable.max(*offset);
            }
            Word::LogStart { partition, offset } => self.of(partition).log_start = *offset,
            Word::Removing { partition } => self.of(partition).removing = true,
            Word::Removed { partition } => self.of(partition).removed = true,
            Word::Found { partition, start, end } => {
                let promise = self.of(partition);
                promise.batches.retain(|batch| batch.next <= *end);
                promise.created = true;
                promise.durable = *end;
                promise.log_start = *start;
            }
            Word::Died => {}
        }
    }

    fn of(&mut self, partition: &TopicPartition) -> &mut Promise {
        self.partitions.entry(*partition).or_default()
    }

    /// Up to where a partition was acknowledged.
    pub(super) fn durable(&self, partition: &TopicPartition) -> Offset {
        self.partitions.get(partition).map_or(Offset::ZERO, |promise| promise.durable)
    }

    /// Offsets acknowledged, of all partitions together.
    pub(super) fn acknowledged(&self) -> u64 {
        self.partitions.values().map(|promise| promise.durable.0.unsigned_abs()).sum()
    }
}

/// A log as recovery gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct RecoveredLog {
    start: Offset,
    end: Offset,
    epochs: Vec<(LeaderEpoch, Offset)>,
    /// The base offset of its first segment that is not wholly before the start.
    from: Offset,
    /// The segments from there on, by base offset.
    segments: Vec<(Offset, Bytes)>,
}

impl RecoveredLog {
    fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.segments.iter().flat_map(|(_, bytes)| bytes.iter().copied())
    }

    fn summary(&self) -> String {
        let Self { start, end, epochs, from, .. } = self;
        format!("{start} to {end}, epochs {epochs:?}, {} bytes from {from}", self.bytes().count())
    }
}

fn broken(error: impl std::fmt::Display) -> Violation {
    Violation::Other(error.to_string())
}

/// Recover, unless the disk fails on the way.
pub(super) fn recovered(disk: &mut dyn Disk, shards: u16, file_bytes: u64, number: u128) -> Result<Recovery, RecoveryError> {
    let now = Now { monotonic: Monotonic(1), wall: Timestamp(1_000_000) };
    recover(disk, shards, &recovery_settings(file_bytes, number), now)
}

/// Hold what recovery made of an image against the promises. Recovering once more must change nothing.
pub(super) fn check(disk: &mut dyn Disk, recovery: Recovery, file_bytes: u64, promises: &Promises) -> Result<(), Violation> {
    let report = recovery.report.clone();
    let shards = u16::try_from(recovery.shards.len()).unwrap_or(1);
    let first = logs(disk, recovery, file_bytes)?;
    for (partition, promise) in &promises.partitions {
        keeps(*partition, promise, first.get(partition))?;
    }
    looks_sound(&report)?;
    if let Some(stranger) = first.keys().find(|partition| !promises.partitions.contains_key(partition)) {
        // It was being made; nothing had been said of it yet.
        if first[stranger].end != Offset::ZERO {
            return Err(Violation::Other(format!("{stranger:?} holds records that nobody appended")));
        }
    }
    let again = recovered(disk, 3 - shards.min(2), file_bytes, u128::MAX).map_err(broken)?;
    looks_sound(&again.report)?;
    let second = logs(disk, again, file_bytes)?;
    for partition in first.keys().chain(second.keys()) {
        let (before, now) = (first.get(partition), second.get(partition));
        if before != now {
            let shown = |log: Option<&RecoveredLog>| log.map_or_else(|| "not there".to_owned(), RecoveredLog::summary);
            let same = |(before, now): (&RecoveredLog, &RecoveredLog)| {
                before.bytes().zip(now.bytes()).take_while(|(before, now)| before == now).count()
            };
            let alike = before.zip(now).map_or(0, same);
            let what = format!("{partition:?} was {} and is {}, alike for {alike} bytes", shown(before), shown(now));
            return Err(Violation::Other(format!("recovering once more gives other logs: {what}")));
        }
    }
    Ok(())
}

/// A power failure alone must not look like corruption.
fn looks_sound(report: &RecoveryReport) -> Result<(), Violation> {
    let suspicious = report.corrupt_frames > 0
        || !report.damaged.is_empty()
        || !report.suspect_tails.is_empty()
        || !report.states_rebuilt.is_empty()
        || !report.manifests_lost.is_empty()
        || report.cleanings_undone > 0
        || !report.unknown_directories.is_empty()
        || !report.unreadable_directories.is_empty()
        || report.unclaimed_entries > 0;
    if suspicious { Err(Violation::Other(format!("a crash looks like corruption: {report:?}"))) } else { Ok(()) }
}

/// Every log, read back from its files.
fn logs(disk: &mut dyn Disk, recovery: Recovery, file_bytes: u64) -> Result<BTreeMap<TopicPartition, RecoveredLog>, Violation> {
    let shards = u16::try_from(recovery.shards.len()).unwrap_or(1);
    let mut logs = BTreeMap::new();
    for (number, shard) in (0..).zip(recovery.shards) {
        let settings = store_settings(ShardId(number), shards, file_bytes);
        let store = Store::new(settings, shard, Owner(0));
        for (_, view) in store.partitions() {
            let (start, end) = (view.log_start(), view.log_end());
            if view.is_offline() || view.durable().get() != end {
                return Err(Violation::Loss(format!("{:?} is offline, or not durable to its end {end}", view.partition())));
            }
            let directory = format!("{}-{}", view.topic_name(), view.partition().partition);
            let segments = read_log(disk, &directory, start).map_err(broken)?;
            let from = segments.first().map_or(start, |(base, _)| *base);
            let epochs = view.epochs().entries().iter().map(|entry| (entry.epoch, entry.start_offset)).collect();
            logs.insert(view.partition(), RecoveredLog { start, end, epochs, from, segments });
        }
    }
    Ok(logs)
}

/// The segments that are not wholly before `start`.
fn read_log(disk: &mut dyn Disk, directory: &str, start: Offset) -> Result<Vec<(Offset, Bytes)>, IoError> {
    let entries = disk.list(directory)?;
    let base = |name: &str| name.strip_suffix(".log").and_then(|digits| digits.parse().ok()).map(Offset);
    let segments: Vec<(Offset, u64, String)> =
        entries.into_iter().filter_map(|entry| Some((base(&entry.name)?, entry.length, entry.name))).collect();
    let before = |index: usize| segments.get(index + 1).is_some_and(|(next, ..)| *next <= start);
    let skip = (0..segments.len()).take_while(|index| before(*index)).count();
    let mut read = Vec::new();
    for (base, length, name) in &segments[skip..] {
        let length = usize::try_from(*length).unwrap_or(usize::MAX);
        read.push((*base, disk.read(&format!("{directory}/{name}"), 0, length)?));
    }
    Ok(read)
}

/// Whether a partition's log keeps what was promised of it.
fn keeps(partition: TopicPartition, promise: &Promise, found: Option<&RecoveredLog>) -> Result<(), Violation> {
    if promise.removing || promise.removed {
        return match found {
            Some(_) if promise.removed => Err(Violation::Other(format!("{partition:?} was removed and is back"))),
            _ => Ok(()),
        };
    }
    let Some(log) = found else {
        let lost = format!("{partition:?} is gone; {} was acknowledged", promise.durable);
        return if promise.created { Err(Violation::Loss(lost)) } else { Ok(()) };
    };
    if log.end < promise.durable {
        return Err(Violation::Loss(format!("{partition:?} ends at {}, {} was acknowledged", log.end, promise.durable)));
    }
    if log.start < promise.log_start || log.start > promise.durable.max(promise.log_start) {
        let said = (promise.log_start, promise.durable);
        return Err(Violation::Loss(format!("{partition:?} starts at {}, said were {said:?}", log.start)));
    }
    match promise.tombstones_go {
        None => is_as_appended(partition, promise, log),
        Some(tombstones_go) => {
            let (offsets, durable) = (log.start..log.end, promise.durable);
            let found = compacted::Found { offsets, segments: &log.segments, durable, tombstones_go };
            compacted::check(&found, &promise.batches)
                .map_err(|what| Violation::Loss(format!("{partition:?}, compacted: {what}; it is {}", log.summary())))
        }
    }
}

/// Whether a log that is not compacted has every byte.
fn is_as_appended(partition: TopicPartition, promise: &Promise, log: &RecoveredLog) -> Result<(), Violation> {
    let kept = promise.batches.iter().filter(|batch| batch.base >= log.from && batch.next <= log.end);
    let expected: Vec<u8> = kept.clone().flat_map(|batch| batch.bytes.iter().copied()).collect();
    let first = kept.clone().next().map_or(log.end, |batch| batch.base);
    let last = kept.last().map_or(first, |batch| batch.next);
    // Where the log is empty its first segment begins where it ends.
    let bytes: Vec<u8> = log.bytes().collect();
    if bytes != expected || first > log.start.max(log.from) || last != log.end.max(first) {
        return Err(Violation::Loss(format!(
            "{partition:?}: {} bytes from {} up to {} are not the {} that were appended there",
            bytes.len(),
            log.from,
            log.end,
            expected.len()
        )));
    }
    Ok(())
}
