//! `cargo xtask fuzz`: every `fuzz/` directory's targets, each for a little while, on top of its checked-in corpus.
//!
//! Built on the stable compiler with coverage counters and without a sanitizer. A target that finds something leaves its input
//! under `target/fuzz/`, to be put into the corpus that `cargo test` replays.

use crate::tally::{Outcome, Tally};
use crate::workspace;
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Coverage for libFuzzer, as `cargo fuzz` asks for it.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions=on";

#[derive(Args)]
pub(crate) struct Options {
    /// How long each target runs.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Only this target; may be said several times.
    #[arg(long)]
    target: Vec<String>,
}

/// The targets that have been through runs of five minutes and more without a finding, and whose crates take no minutes to build, as
/// those of `metadata_files` and `configuration` do.
const IN_SMOKE: [&str; 6] =
    ["decode_request", "decode_response", "read_files", "recover_directory", "recover_segment", "validate_batch"];

impl Options {
    /// The smoke, each of its targets for so many seconds.
    pub(crate) fn smoke(seconds: u64) -> Self {
        Self { seconds, target: IN_SMOKE.map(str::to_owned).into() }
    }
}

pub(crate) fn run(options: &Options) -> Outcome<Tally> {
    let seconds = options.seconds;
    let mut tally = Tally::default();
    let mut list = workspace::command("git");
    list.args(["ls-files", "--", "*/fuzz/Cargo.toml"]);
    for manifest in workspace::succeed(&mut list, Duration::from_secs(60))?.lines() {
        let home = workspace::root().join(manifest).parent().ok_or("a manifest lies in a directory")?.to_owned();
        let mut names = targets(&home)?;
        names.retain(|name| options.target.is_empty() || options.target.contains(name));
        if names.is_empty() {
            continue;
        }
        let target = workspace::target().join("fuzz");
        let mut build = workspace::cargo();
        build.args(["build", "--quiet", "--release", "--locked", "--manifest-path", manifest, "--target", TRIPLE]);
        build.env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", &target);
        workspace::succeed(&mut build, Duration::from_secs(1800))?;
        for name in names {
            let binary = target.join(TRIPLE).join("release").join(&name);
            tally.check(&format!("fuzz {name}, {seconds} s"), || {
                fuzz(&binary, &home.join("corpus").join(&name), &target, seconds)
            });
        }
    }
    Ok(tally)
}

/// A named target keeps the coverage flags from the build scripts.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// Names of the targets: one file each.
fn targets(home: &Path) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(home.join("fuzz_targets"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.push(path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn fuzz(binary: &Path, corpus: &PathBuf, target: &Path, seconds: u64) -> Outcome<()> {
    let grown = tempfile::tempdir()?;
    let found = target.join("found-");
    let mut command = workspace::command(binary);
    command.arg(grown.path());
    if corpus.exists() {
        command.arg(corpus);
    }
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}", found.display()));
    command.args(["-rss_limit_mb=2048", "-malloc_limit_mb=512", "-max_len=65536", "-len_control=20", "-print_final_stats=1"]);
    let text = workspace::succeed(&mut command, Duration::from_secs(seconds + 120))?;
    let runs = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse::<u64>().ok());
    match runs {
        Some(runs) if runs >= 1000 => Ok(()),
        other => Err(format!("too little work: {other:?} runs").into()),
    }
}
