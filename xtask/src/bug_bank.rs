//! `cargo xtask bug-bank`: known bugs put back on purpose, each of which the simulation must find.
//!
//! Builds the simulation once with `--cfg mutants`, in a target directory of its own, and lets it look for each bug of the bank
//! (`flumen_log::mutants`) until a seed finds it, at most so many. Ends with the table that stands in `sim/README.md`. A bug that
//! was not found is a failure: then the runs are not worth what they promise.

use crate::tally::{Outcome, Tally};
use crate::workspace;
use clap::Args;
use flumen_log::mutants::Mutant;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const BUILD_LIMIT: Duration = Duration::from_secs(900);
const SEARCH_LIMIT: Duration = Duration::from_secs(1800);
/// Words of a violation that the table shows.
const SHOWN_CHARACTERS: usize = 110;

#[derive(Args)]
pub(crate) struct Options {
    /// Only these.
    mutants: Vec<String>,
    /// Seeds after which a bug counts as not found.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// Processes that look at the same time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
}

impl Options {
    /// Those that are known to be found; see `sim/README.md` for the others.
    pub(crate) fn of_the_found(jobs: usize) -> Self {
        let mutants = [
            "B10", "B11", "B14", "B15", "B16", "B17", "B18", "B19", "B26", "B27", "B28", "B29", "B30", "B31", "B32", "B33",
            "B34", "B35", "B36", "B37", "B38", "B39", "B40", "B41", "B42", "B43", "B44", "B45", "B46",
        ];
        Self { mutants: mutants.map(str::to_owned).into(), seeds: 10_000, jobs }
    }
}

/// What came of looking for one.
struct Row {
    mutant: Mutant,
    found: Option<(u64, String)>,
}

pub(crate) fn run(options: &Options) -> Outcome<Tally> {
    let mut tally = Tally::default();
    let unknown = options.mutants.iter().find(|name| Mutant::ALL.iter().all(|mutant| mutant.name() != *name));
    if let Some(name) = unknown {
        return Err(format!("there is no {name} in the bank").into());
    }
    let wanted = |mutant: &Mutant| options.mutants.is_empty() || options.mutants.iter().any(|name| name == mutant.name());
    let mutants: Vec<Mutant> = Mutant::ALL.iter().copied().filter(wanted).collect();
    let started = Instant::now();
    let program = build()?;
    println!("built in {:.0} s", started.elapsed().as_secs_f64());
    let rows = search(&program, mutants, options);
    println!("\n| mutant | what it breaks | seeds to find | violation |\n|---|---|---:|---|");
    for row in rows {
        let (name, breaks) = (row.mutant.name(), row.mutant.breaks());
        match row.found {
            Some((seeds, violation)) => {
                println!("| {name} | {breaks} | {seeds} | {violation} |");
                tally.pass();
            }
            None => {
                println!("| {name} | {breaks} | – | not found |");
                tally.fail(format_args!("bug-bank: {name} ({breaks}) was not found in {} seeds", options.seeds));
            }
        }
    }
    println!("bug-bank took {:.0} s", started.elapsed().as_secs_f64());
    Ok(tally)
}

/// The program that looks, with every bug in it.
fn build() -> Outcome<PathBuf> {
    let target = workspace::target().join("mutants");
    let mut command = workspace::cargo();
    command
        .args(["build", "--quiet", "--package", "flumen-sim", "--bin", "bug-bank", "--profile", "sim"])
        .env("RUSTFLAGS", "--cfg mutants")
        .env("CARGO_TARGET_DIR", &target);
    workspace::succeed(&mut command, BUILD_LIMIT)?;
    Ok(target.join("sim").join("bug-bank"))
}

fn search(program: &Path, mutants: Vec<Mutant>, options: &Options) -> Vec<Row> {
    let waiting = Mutex::new(mutants.into_iter());
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().map(|mut waiting| waiting.next());
                    let Ok(Some(mutant)) = next else { break };
                    let row = look_for(program, mutant, options.seeds);
                    let result = row.found.as_ref().map_or_else(|| "not found".to_owned(), |(seeds, _)| format!("seed {seeds}"));
                    println!("{}: {result}", mutant.name());
                    if let Ok(mut rows) = rows.lock() {
                        rows.push(row);
                    }
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_default();
    rows.sort_by_key(|row| row.mutant);
    rows
}

fn look_for(program: &Path, mutant: Mutant, seeds: u64) -> Row {
    let mut command: Command = workspace::command(program);
    command.args([mutant.name(), &seeds.to_string()]);
    let output = workspace::output(&mut command, SEARCH_LIMIT).map(|(_, text)| text).unwrap_or_default();
    let found = output.lines().find_map(|line| {
        let (seeds, violation) = line.strip_prefix("found ")?.split_once(' ')?;
        Some((seeds.parse().ok()?, violation.chars().take(SHOWN_CHARACTERS).collect::<String>().replace('|', "/")))
    });
    Row { mutant, found }
}
