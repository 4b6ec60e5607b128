//! `cargo xtask crash-images`: real stores on real files are recorded; from the recording every moment's possible disks are made, and
//! the real recovery must find on each of them what had been acknowledged at that moment.
//!
//! A recording is a few lives of the stores that ship, on the reactor, in a real directory ([`run`]); what they ask for, what they
//! are told and what they promise is kept in order ([`recording`]). An image is what a power failure could leave at one point of it
//! ([`disk`]): everything that a completed sync covers, and of the rest any subset, down to sectors and names. Recovery runs on it,
//! sometimes cut off by another power failure, some of the time on real files; then the promises are held against what it found,
//! byte for byte ([`oracle`]); of compacted logs the last record of every key, and no older one ([`compacted`]).
//!
//! The control is a store with a bug of the bank that frees journal files too early: it must be found to lose.

mod compacted;
mod disk;
mod load;
pub(crate) mod mutated;
mod oracle;
mod recording;
mod run;
mod served;

use crate::tally::{Outcome, Tally};
use crate::workspace;
use clap::Args;
use disk::ImageDisk;
use flumen_log::mutants::Mutant;
use flumen_reactor::{BlockingDisk, DataDirectory};
use flumen_sim::random::Random;
use load::Pace;
use oracle::{Promises, Violation};
use recording::Entry;
use run::Recording;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// Images made of one recording.
const IMAGES_PER_RECORDING: u64 = 1000;
/// What the load of one recording does.
const ACTS: u64 = 600;
/// Offsets acknowledged in a recording, below which it proves nothing.
const WORK_FLOOR: u64 = 100;
/// Segments put in their place by the cleaner, below which too.
const CLEANED_FLOOR: u64 = 5;
/// Bugs of the bank with which images must show loss.
const CONTROLS: [Mutant; 2] = [Mutant::B28, Mutant::B29];
/// Images within which they must; one in a hundred or two does.
const CONTROL_IMAGES: u64 = 3000;
const CONTROL_LIMIT: Duration = Duration::from_secs(900);

#[derive(Args)]
pub(crate) struct Options {
    /// How many images.
    #[arg(long, default_value_t = 5000)]
    count: u64,
    /// Where the chances begin; shown when not given. The kernel's part of a recording is not repeated by it.
    #[arg(long)]
    seed: Option<u64>,
    /// One image in so many is recovered on real files.
    #[arg(long, default_value_t = 40)]
    real_one_in: u64,
    /// Only the controls: bugs with which the images must show loss.
    #[arg(long)]
    control: bool,
    /// The store has this bug of the bank, and the images must show that it loses. In a build with `--cfg mutants`.
    #[arg(long, hide = true)]
    mutant: Option<String>,
}

impl Options {
    /// So many images, of recordings nobody chose.
    pub(crate) const fn of(count: u64, control: bool) -> Self {
        Self { count, seed: None, real_one_in: 40, control, mutant: None }
    }
}

/// What was done.
#[derive(Default)]
struct Totals {
    recordings: u64,
    entries: u64,
    acknowledged: u64,
    /// Segments that the cleaner put in the place of others.
    cleaned: u64,
    images: u64,
    /// Images with files of the cleaner's that are not in their place.
    cleaning: u64,
    on_real_files: u64,
    interrupted: u64,
    losses: u64,
}

pub(crate) fn run(options: &Options) -> Outcome<Tally> {
    if options.control {
        return controls();
    }
    if let Some(name) = &options.mutant {
        choose(name)?;
    }
    let seed = options.seed.unwrap_or_else(crate::crash::fresh_seed);
    println!("crash-images: {} images, seed {seed}", options.count);
    let started = Instant::now();
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    let mut totals = Totals::default();
    while totals.images < options.count && (options.mutant.is_none() || totals.losses == 0) {
        let wanted = IMAGES_PER_RECORDING.min(options.count - totals.images);
        let number = totals.recordings;
        match recorded(wanted, options, &mut random, &mut totals) {
            Ok(()) => tally.pass(),
            Err(error) => tally.fail(format_args!("crash-images: recording {number}: {error}")),
        }
        if tally.failures() > 5 {
            break;
        }
    }
    println!(
        "crash-images: {} images of {} recordings ({} entries, {} offsets acknowledged, {} segments cleaned), {} in the middle \
         of a cleaning, {} on real files, {} recoveries cut off, {} losses, {:.0} s",
        totals.images,
        totals.recordings,
        totals.entries,
        totals.acknowledged,
        totals.cleaned,
        totals.cleaning,
        totals.on_real_files,
        totals.interrupted,
        totals.losses,
        started.elapsed().as_secs_f64()
    );
    if options.mutant.is_some() {
        let mut verdict = Tally::default();
        verdict.check("the bug is found out", || if totals.losses > 0 { Ok(()) } else { Err("no image lost anything".into()) });
        return Ok(verdict);
    }
    Ok(tally)
}

/// One recording and its images.
fn recorded(wanted: u64, options: &Options, random: &mut Random, totals: &mut Totals) -> Outcome<()> {
    let home = tempfile::Builder::new().prefix("crash-images-").tempdir_in(workspace::target())?;
    // Bugs of the journal's show under pressure, those of the cleaner's where it gets somewhere.
    let pace = if options.mutant.is_some() || totals.recordings % 2 == 1 { Pace::Steady } else { Pace::WithRests };
    let recording = run::record(home.path(), ACTS, pace, random)?;
    run::check_fidelity(&recording, home.path())?;
    totals.recordings += 1;
    totals.entries += recording.entries.len() as u64;
    let mut cuts: Vec<usize> = (0..wanted).map(|_| random.index(recording.entries.len() + 1)).collect();
    cuts.sort_unstable_by(|one, other| other.cmp(one));
    let mut disk = ImageDisk::new();
    let mut promises = Promises::default();
    for at in 0..=recording.entries.len() {
        while cuts.last() == Some(&at) {
            cuts.pop();
            totals.images += 1;
            let seed = random.next();
            let mut image = disk.clone();
            let mut chance = Random::new(seed);
            image.crash(&mut chance);
            totals.cleaning += u64::from(image.contents("").keys().any(|path| path.ends_with(".cleaned")));
            let kept = image.clone();
            let result = catch_unwind(AssertUnwindSafe(|| examine(image, &recording, &promises, options, &mut chance, totals)));
            let violation = match result {
                Ok(Ok(())) => continue,
                Ok(Err(violation)) => violation,
                Err(_) => Violation::Other("recovery panicked".to_owned()),
            };
            totals.losses += u64::from(matches!(violation, Violation::Loss(_)));
            return Err(report(&violation, &kept, at, seed).into());
        }
        if let Some(entry) = recording.entries.get(at) {
            disk.take(entry);
            if let Entry::Said(word) = entry {
                promises.take(word);
            }
        }
    }
    let cleaned = recording.entries.iter().filter(|entry| entry.is_cleaning()).count() as u64;
    totals.acknowledged += promises.acknowledged();
    totals.cleaned += cleaned;
    if pace == Pace::WithRests && cleaned < CLEANED_FLOOR {
        return Err(format!("invalid: {cleaned} segments cleaned only").into());
    }
    if promises.acknowledged() < WORK_FLOOR {
        return Err(format!("invalid: {} offsets acknowledged only", promises.acknowledged()).into());
    }
    Ok(())
}

/// Recover an image and judge what is there.
fn examine(
    mut image: ImageDisk,
    recording: &Recording,
    promises: &Promises,
    options: &Options,
    chance: &mut Random,
    totals: &mut Totals,
) -> Result<(), Violation> {
    let shards = 1 + u16::try_from(chance.below(3)).unwrap_or_default();
    let file_bytes = recording.journal_file_bytes;
    let other = |error: &dyn std::fmt::Display| Violation::Other(error.to_string());
    while chance.one_in(3) {
        // The power fails again while recovery is at work.
        image.calls_left = Some(chance.below(150));
        let cut = oracle::recovered(&mut image, shards, file_bytes, u128::from(chance.next())).is_err();
        totals.interrupted += u64::from(cut);
        image.crash(chance);
    }
    if options.real_one_in > 0 && chance.one_in(options.real_one_in) {
        totals.on_real_files += 1;
        let home = tempfile::tempdir().map_err(|error| other(&error))?;
        image.write_out(home.path()).map_err(|error| other(&error))?;
        return on_real_files(home.path(), shards, file_bytes, promises);
    }
    let recovery = oracle::recovered(&mut image, shards, file_bytes, u128::from(chance.next())).map_err(|error| other(&error))?;
    if chance.one_in(2) {
        // What recovery has said is durable.
        image.crash(chance);
    }
    oracle::check(&mut image, recovery, file_bytes, promises)
}

fn on_real_files(home: &Path, shards: u16, file_bytes: u64, promises: &Promises) -> Result<(), Violation> {
    let other = |error: &dyn std::fmt::Display| Violation::Other(error.to_string());
    let directory = DataDirectory::open(home, Duration::from_secs(5)).map_err(|error| other(&error))?;
    let mut disk = BlockingDisk::new(&directory).map_err(|error| other(&error))?;
    let recovery = oracle::recovered(&mut disk, shards, file_bytes, 1).map_err(|error| other(&error))?;
    oracle::check(&mut disk, recovery, file_bytes, promises)
}

/// Keep the image, and say what is wrong with it.
fn report(violation: &Violation, image: &ImageDisk, at: usize, seed: u64) -> String {
    format!("{violation}; entry {at}, chance {seed}, {}", keep(image, "crash-images", seed))
}

/// Keep an image in the build directory, under this name and number, and say where.
fn keep(image: &ImageDisk, name: &str, number: u64) -> String {
    let kept = workspace::target().join(name).join(number.to_string());
    match image.write_out(&kept) {
        Ok(()) => format!("the image as it was before recovery is in {}", kept.display()),
        Err(error) => format!("the image could not be kept: {error}"),
    }
}

/// Stores with a bug, built as the bug bank's: the cfg rebuilds everything.
fn controls() -> Outcome<Tally> {
    let mut tally = Tally::default();
    for mutant in CONTROLS {
        tally.check(&format!("crash-images: with {} ({}) acknowledged records are lost", mutant.name(), mutant.breaks()), || {
            let mut command = workspace::cargo();
            command.args(["run", "--quiet", "--package", "xtask", "--profile", "sim", "--"]);
            command.args(["crash-images", "--mutant", mutant.name(), "--count", &CONTROL_IMAGES.to_string()]);
            command.env("RUSTFLAGS", "--cfg mutants").env("CARGO_TARGET_DIR", workspace::target().join("mutants"));
            let text = workspace::succeed(&mut command, CONTROL_LIMIT)?;
            text.lines().filter(|line| line.contains("crash-images:")).for_each(|line| println!("  {line}"));
            Ok(())
        });
    }
    Ok(tally)
}

/// Let the bug of this name be alive.
#[cfg(mutants)]
fn choose(name: &str) -> Outcome<()> {
    let mutant =
        Mutant::ALL.iter().find(|mutant| mutant.name() == name).ok_or_else(|| format!("there is no {name} in the bank"))?;
    flumen_log::mutants::choose(Some(*mutant));
    Ok(())
}

#[cfg(not(mutants))]
fn choose(name: &str) -> Outcome<()> {
    Err(format!("{name} is only in a build with --cfg mutants").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_survives_on_every_image() {
        let tally = run(&Options::of(300, false)).unwrap();
        assert!(tally.is_clean(), "see above");
    }

    #[test]
    fn what_is_served_survives_damage_to_any_file_but_the_log() {
        let tally = mutated::run(&mutated::Options::of(1500)).unwrap();
        assert!(tally.is_clean(), "see above");
    }
}
