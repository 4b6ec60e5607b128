//! `cargo xtask mutated-files`: of a directory that real stores left behind, one file is damaged; what is served afterwards must be
//! what was served before.
//!
//! Sidecars, indexes, epoch checkpoints and producer snapshots are caches, and rebuilt from the log; the journal and the mark of a
//! clean stop only say how much has to be looked at; a partition state has two copies, and where both are bad what they said is
//! taken from the segments; without the manifest of what was cleaned, holes are taken for the cleaner's work; without the record of
//! the clock, the clock is believed. Damage to the log's own bytes is not looked at here.

use super::disk::ImageDisk;
use super::keep;
use super::load::Pace;
use super::oracle::Promises;
use super::recording::Entry;
use super::run::{check_fidelity, record, recovery_settings};
use super::served::{Served, ServedLog, serve};
use crate::tally::{Outcome, Tally};
use crate::workspace;
use clap::Args;
use flumen_log::io::{Disk, IoError};
use flumen_log::recovery::{Recovery, RecoveryReport, ShardRecovery, recover};
use flumen_log::state::{COPY_BYTES, PartitionState, STATE_FILE_NAME};
use flumen_log::{LeaderEpoch, Monotonic, Now, Offset, SteadyWall, Timestamp, TopicPartition};
use flumen_sim::random::Random;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Files damaged of one directory, at most.
const FILES_PER_DIRECTORY: u64 = 2000;
/// Files from which on a run must have met every kind, and so many directories.
const MANY_FILES: u64 = 10_000;
const DIRECTORIES: u64 = 40;
/// Directories of a run that is smaller.
const FEW_DIRECTORIES: u64 = 6;
/// What the load of one directory does.
const ACTS: u64 = 240;
/// Each kind must have been damaged so many times in a thousand.
const LEAST_PER_MILLE: u64 = 5;
const NOW: Now = Now { monotonic: Monotonic(1), wall: Timestamp(1_000_000) };

#[derive(Args)]
pub(crate) struct Options {
    /// How many files are damaged.
    #[arg(long, default_value_t = 20_000)]
    count: u64,
    /// Where the chances begin; shown when not given.
    #[arg(long)]
    seed: Option<u64>,
}

impl Options {
    /// So many files.
    pub(crate) const fn of(count: u64) -> Self {
        Self { count, seed: None }
    }
}

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Sidecar,
    OffsetIndex,
    TimeIndex,
    ProducerSnapshot,
    EpochCheckpoint,
    PartitionState,
    PartitionMetadata,
    Manifest,
    Journal,
    CleanStop,
    Clock,
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Sidecar,
        Self::OffsetIndex,
        Self::TimeIndex,
        Self::ProducerSnapshot,
        Self::EpochCheckpoint,
        Self::PartitionState,
        Self::PartitionMetadata,
        Self::Manifest,
        Self::Journal,
        Self::CleanStop,
        Self::Clock,
    ];

    fn of(path: &str) -> Option<Self> {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
        match (name, suffix) {
            (_, "checks") => Some(Self::Sidecar),
            (_, "index") => Some(Self::OffsetIndex),
            (_, "timeindex") => Some(Self::TimeIndex),
            (_, "snapshot") => Some(Self::ProducerSnapshot),
            ("leader-epoch-checkpoint", _) => Some(Self::EpochCheckpoint),
            ("partition.state", _) => Some(Self::PartitionState),
            ("partition.metadata", _) => Some(Self::PartitionMetadata),
            ("compaction.manifest", _) => Some(Self::Manifest),
            (_, "journal") => Some(Self::Journal),
            (name, _) if name.starts_with("clean-stop.") => Some(Self::CleanStop),
            (name, _) if name.starts_with("steady-clock.") && suffix != "partial" => Some(Self::Clock),
            _ => None,
        }
    }
}

/// A directory as stores left it, and what is served of it.
struct Original {
    disk: ImageDisk,
    file_bytes: u64,
    files: BTreeMap<Kind, Vec<(String, Vec<u8>)>>,
    served: Served,
    /// What the stores had acknowledged.
    promises: Promises,
}

/// What was done.
#[derive(Default)]
struct Totals {
    damaged: BTreeMap<Kind, u64>,
    states_rebuilt: u64,
    states_fallen_back: u64,
    sidecars_rewritten: u64,
    manifests_lost: u64,
}

pub(crate) fn run(options: &Options) -> Outcome<Tally> {
    let seed = options.seed.unwrap_or_else(crate::crash::fresh_seed);
    println!("mutated-files: {} files, seed {seed}", options.count);
    let started = Instant::now();
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    let mut totals = Totals::default();
    let mut done = 0;
    let directories = if options.count < MANY_FILES { FEW_DIRECTORIES } else { DIRECTORIES };
    let of_each = FILES_PER_DIRECTORY.min(options.count.div_ceil(directories));
    while done < options.count && tally.failures() < 5 {
        let originals = originals(&mut random)?;
        for original in &originals {
            let wanted = of_each.min(options.count - done);
            done += wanted;
            match damage(original, wanted, &mut random, &mut totals) {
                Ok(()) => tally.pass(),
                Err(error) => tally.fail(format_args!("mutated-files: {error}")),
            }
        }
    }
    println!(
        "mutated-files: {done} files: {:?}; {} sidecars written again, {} states rebuilt, {} taken from the other copy, \
         {} manifests lost, {:.0} s",
        totals.damaged,
        totals.sidecars_rewritten,
        totals.states_rebuilt,
        totals.states_fallen_back,
        totals.manifests_lost,
        started.elapsed().as_secs_f64()
    );
    for kind in Kind::ALL {
        let count = totals.damaged.get(&kind).copied().unwrap_or_default();
        if done >= MANY_FILES && count * 1000 < done * LEAST_PER_MILLE {
            tally.fail(format_args!("mutated-files: invalid: only {count} of {kind:?}"));
        }
    }
    Ok(tally)
}

/// Directories after a death and after a clean stop, of one recording.
fn originals(random: &mut Random) -> Outcome<Vec<Original>> {
    let home = tempfile::Builder::new().prefix("mutated-files-").tempdir_in(workspace::target())?;
    let recording = record(home.path(), ACTS, Pace::WithRests, random)?;
    check_fidelity(&recording, home.path())?;
    let mut disk = ImageDisk::new();
    let mut promises = Promises::default();
    let mut originals = Vec::new();
    for entry in &recording.entries {
        disk.take(entry);
        if let Entry::Said(word) = entry {
            promises.take(word);
        }
        if entry.is_end_of_life() {
            originals.push(original(disk.clone(), promises.clone(), recording.journal_file_bytes)?);
        }
    }
    Ok(originals)
}

fn original(mut disk: ImageDisk, promises: Promises, file_bytes: u64) -> Outcome<Original> {
    // What is in the page cache is on the disk now.
    disk.settle();
    let mut files: BTreeMap<Kind, Vec<(String, Vec<u8>)>> = BTreeMap::new();
    for (path, content) in disk.contents("") {
        if let (Some(kind), Some(bytes)) = (Kind::of(&path), content)
            && !path.contains("-delete/")
        {
            files.entry(kind).or_default().push((path, bytes));
        }
    }
    let mut copy = disk.clone();
    let recovery = recover(&mut copy, 1, &recovery_settings(file_bytes, 1), NOW)?;
    if let Some(manifests) = files.get_mut(&Kind::Manifest) {
        manifests.retain(|(path, _)| is_missed(&disk, directory(path)) && is_in_place(&disk, &copy, directory(path)));
    }
    files.retain(|_, files| !files.is_empty());
    let served = serve(&mut copy, recovery, file_bytes)?;
    Ok(Original { disk, file_bytes, files, served, promises })
}

/// Whether the state that is on disk says that there is a manifest; the first one is there before a state says so.
fn is_missed(disk: &ImageDisk, directory: &str) -> bool {
    let state = disk.contents(directory).remove(&format!("{directory}/{STATE_FILE_NAME}")).flatten();
    state.and_then(|bytes| PartitionState::decode(&bytes)).is_some_and(|state| state.cleaned)
}

/// Whether recovery put no segment in the place of others, nor its sidecar: where it has to, only the manifest tells which of them count.
fn is_in_place(before: &ImageDisk, recovered: &ImageDisk, directory: &str) -> bool {
    let recovered = recovered.contents(directory);
    let before = before.contents(directory);
    let waits = |path: &str| path.ends_with(".cleaned") && !before.contains_key(&path.replace(".checks.", ".log."));
    if before.keys().any(|path| path.contains(".checks.") && waits(path)) {
        return false;
    }
    let segments = before.into_iter().filter(|(path, _)| path.ends_with(".log"));
    let segments: BTreeMap<_, _> = segments.collect();
    let last = segments.keys().next_back().cloned();
    let mut same = segments.into_iter().map(|(path, before)| match (before, recovered.get(&path)) {
        // Where the log ends something may be cut or added.
        (Some(before), Some(Some(after))) if Some(&path) == last.as_ref() => {
            before.iter().zip(after).all(|(one, other)| one == other)
        }
        (Some(before), Some(Some(after))) => before == *after,
        _ => false,
    });
    same.all(|same| same)
}

fn damage(original: &Original, wanted: u64, random: &mut Random, totals: &mut Totals) -> Outcome<()> {
    let mut made = 0;
    while made < wanted {
        let kinds: Vec<Kind> = original.files.keys().copied().collect();
        let kind = kinds[random.index(kinds.len())];
        let candidates = &original.files[&kind];
        let (path, before) = &candidates[random.index(candidates.len())];
        // A file of its own partition: those of others do not say whose they are.
        let beside: Vec<_> = candidates.iter().filter(|(other, _)| directory(other) == directory(path)).collect();
        let (_, other) = beside[random.index(beside.len())];
        let Some((what, after)) = mutate(before, other, random) else { continue };
        made += 1;
        let damaged = || {
            let mut disk = original.disk.clone();
            put(&mut disk, path, after.as_deref()).map(|()| disk).map_err(|error| format!("{path}: {error}"))
        };
        let mut disk = damaged()?;
        *totals.damaged.entry(kind).or_default() += 1;
        let judged = catch_unwind(AssertUnwindSafe(|| judge(original, kind, path, &after, &mut disk, totals)));
        let error = match judged {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "recovery panicked".to_owned(),
        };
        return Err(format!("{path}: {what}: {error}; {}", keep(&damaged()?, "mutated-files", random.next())).into());
    }
    Ok(())
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// Put these bytes in the place of a file, or nothing.
fn put(disk: &mut ImageDisk, path: &str, content: Option<&[u8]>) -> Result<(), IoError> {
    match content {
        None => disk.unlink(path),
        Some(bytes) => {
            disk.write(path, 0, bytes)?;
            disk.truncate(path, bytes.len() as u64)
        }
    }
}

/// Damage of some kind; `None` for the file means that it is gone, `None` at all that nothing has changed.
fn mutate(before: &[u8], other: &[u8], random: &mut Random) -> Option<(&'static str, Option<Vec<u8>>)> {
    let mut after = before.to_vec();
    let at = random.index(before.len());
    let length = 1 + random.index((before.len() - at).clamp(1, 600));
    let range = at..(at + length).min(before.len());
    let what = match random.below(10) {
        0..=2 if !before.is_empty() => {
            after[at] ^= 1 << random.below(8);
            "a bit flipped"
        }
        3 => {
            after[range].fill(0);
            "a range of zeros"
        }
        4 => {
            after[range].iter_mut().for_each(|byte| *byte = random.next() as u8);
            "a range of noise"
        }
        5 => {
            after.truncate(at);
            "cut short"
        }
        6 => {
            after.extend((0..length).map(|_| random.next() as u8));
            "bytes behind its end"
        }
        7 => {
            let from = random.index(before.len());
            let piece: Vec<u8> = before[from..(from + range.len()).min(before.len())].to_vec();
            after[range.start..range.start + piece.len().min(range.len())]
                .copy_from_slice(&piece[..piece.len().min(range.len())]);
            "a range from elsewhere in it"
        }
        8 => {
            after = other.to_vec();
            "another file of its kind in its place"
        }
        _ if random.one_in(2) => return Some(("gone", None)),
        _ => {
            after.clear();
            "empty"
        }
    };
    (after != before).then_some((what, Some(after)))
}

fn judge(
    original: &Original,
    kind: Kind,
    path: &str,
    after: &Option<Vec<u8>>,
    disk: &mut ImageDisk,
    totals: &mut Totals,
) -> Result<(), String> {
    let settings = recovery_settings(original.file_bytes, 2);
    let recovery = recover(disk, 1, &settings, NOW).map_err(|error| error.to_string())?;
    let report = recovery.report.clone();
    if kind == Kind::Clock {
        judge_clock(original, path, &recovery)?;
    }
    if kind == Kind::PartitionState && is_of_another(original, path, after.as_deref().unwrap_or_default()) {
        // A directory that says it is another partition's is that partition's: it may have been moved by hand.
        return Ok(());
    }
    let served = serve(disk, recovery, original.file_bytes)?;
    if kind == Kind::PartitionState {
        return judge_state(original, path, after.as_deref().unwrap_or_default(), &report, &served, totals);
    }
    for (partition, before) in &original.served {
        let now = served.get(partition).ok_or_else(|| format!("{partition:?} is gone"))?;
        if kind == Kind::Journal {
            // No cache: what is only there may go with it, but nothing that was acknowledged lies only there.
            let durable = original.promises.durable(partition);
            if now.start != before.start || now.end < durable || now.end > before.end {
                return Err(difference(*partition, before, now));
            }
            continue;
        }
        let mut now = now.clone();
        if before.start.0 > 0 {
            // What producers wrote before the log's start only a snapshot tells.
            now.producers.clone_from(&before.producers);
        }
        if now != *before {
            return Err(difference(*partition, before, &now));
        }
    }
    totals.manifests_lost += report.manifests_lost.len() as u64;
    if kind == Kind::Manifest && report.manifests_lost.is_empty() {
        return Err("the manifest is bad or gone and nobody says so".to_owned());
    }
    if kind == Kind::Sidecar {
        let rewritten = disk.contents("").remove(path).flatten();
        totals.sidecars_rewritten += u64::from(rewritten.is_some() && rewritten != *after);
    }
    Ok(())
}

/// The time that recovery goes on from is the latest of the records that are left, or the clock's where there are none.
fn judge_clock(original: &Original, path: &str, recovery: &Recovery) -> Result<(), String> {
    let recorded = |(of, bytes): &(String, Vec<u8>)| Some((of == path, i64::from_be_bytes(*bytes.last_chunk()?)));
    let records: Vec<(bool, i64)> = original.files[&Kind::Clock].iter().filter_map(recorded).collect();
    let latest = records.iter().map(|(_, wall)| *wall).max();
    let latest_left = records.iter().filter(|(is_damaged, _)| !is_damaged).map(|(_, wall)| *wall).max();
    let believed = |wall: Option<i64>| SteadyWall::resumed(wall.map_or(NOW.wall, Timestamp), NOW.monotonic);
    let from: Vec<SteadyWall> = recovery.shards.iter().map(ShardRecovery::steady_wall).collect();
    if from.iter().all(|from| [believed(latest), believed(latest_left)].contains(from)) {
        return Ok(());
    }
    Err(format!("time goes on from {from:?}, recorded was {records:?}"))
}

fn difference(partition: TopicPartition, before: &ServedLog, now: &ServedLog) -> String {
    if (before.start, before.end, &before.epochs) != (now.start, now.end, &now.epochs) {
        let shown = |log: &ServedLog| format!("{} to {}, epochs {:?}", log.start, log.end, log.epochs);
        return format!("{partition:?} was {} and is {}", shown(before), shown(now));
    }
    if before.producers != now.producers {
        return format!("{partition:?} had the producers {:?} and has {:?}", before.producers, now.producers);
    }
    format!("{partition:?} answers lookups in another way: {}", before.other_answers(now))
}

/// Whether the cleaner was at work in the partition of this file.
fn is_compacted(original: &Original, path: &str) -> bool {
    original.disk.length(&format!("{}/compaction.manifest", directory(path))).is_some()
}

fn is_of_another(original: &Original, path: &str, after: &[u8]) -> bool {
    let before = original.files[&Kind::PartitionState].iter().find(|(of, _)| of == path);
    let was = before.and_then(|(_, bytes)| PartitionState::decode(bytes));
    let is = PartitionState::decode(after);
    is.is_some_and(|is| was.is_some_and(|was| was.partition != is.partition))
}

/// A state with one copy bad is the other copy's; with both bad the log starts with its first segment. Nothing else may change, and
/// it must be said.
fn judge_state(
    original: &Original,
    path: &str,
    after: &[u8],
    report: &RecoveryReport,
    served: &Served,
    totals: &mut Totals,
) -> Result<(), String> {
    let before = original.files[&Kind::PartitionState].iter().find(|(of, _)| of == path).map(|(_, bytes)| bytes.as_slice());
    // It was being made, and had no state yet; or it was being removed: the mark may be gone with its copy, and it is removed again.
    let Some(was) = PartitionState::decode(before.unwrap_or_default()) else { return Ok(()) };
    let partition = was.partition;
    if !original.served.contains_key(&partition) {
        return Ok(());
    }
    let is_now = PartitionState::decode(after);
    let copy_bad = |at: usize| {
        let copy = after.get(at..).unwrap_or_default();
        let copy = &copy[..copy.len().min(COPY_BYTES)];
        !copy.is_empty() && copy.iter().any(|byte| *byte != 0) && PartitionState::decode_copy(copy).is_none()
    };
    let one_bad = copy_bad(0) || copy_bad(COPY_BYTES);
    match &is_now {
        None => {
            let empty = original.served.get(&partition).is_some_and(|log| log.end == log.start);
            if !report.states_rebuilt.contains(&partition) {
                return if empty { Ok(()) } else { Err("both copies are bad and nobody says so".to_owned()) };
            }
            totals.states_rebuilt += 1;
        }
        Some(_) if one_bad => {
            if !report.states_fallen_back.contains(&partition) {
                return Err("one copy is bad and nobody says so".to_owned());
            }
            totals.states_fallen_back += 1;
        }
        Some(_) => {}
    }
    for (of, before) in &original.served {
        let now = served.get(of).ok_or_else(|| format!("{of:?} is gone"))?;
        let earlier = *of == partition && now.start < before.start;
        // The newest start was in the copy that is gone; what lies before it may be there still.
        if earlier && !now.holds(before) {
            return Err(format!("{of:?}: what was served is not all there: {}", before.other_answers(now)));
        }
        let mut now = now.clone();
        if (is_now.is_none() || one_bad) && *of == partition && is_compacted(original, path) {
            // Epochs that no copy tells of are read from the batches that are left: they begin with those, if any is.
            let was = |(epoch, start): &(LeaderEpoch, Offset)| before.epochs.iter().any(|was| was.0 == *epoch && was.1 <= *start);
            let ends_alike = now.epochs.last().map(|last| last.0) == before.epochs.last().map(|last| last.0);
            if ends_alike && now.epochs.iter().all(was) {
                now.epochs.clone_from(&before.epochs);
            }
        }
        if !earlier && now != *before {
            return Err(difference(*of, before, &now));
        }
    }
    Ok(())
}
