//! `cargo xtask tidy`: the house rules a compiler does not know.
//!
//! Each check is a function from text to findings, tested on small texts of its own; this file only gathers the texts and the
//! exceptions (`xtask/tidy.toml`). An exception nobody needs any more is itself a finding.

mod arrows;
mod checklist;
mod dependencies;
mod markdown;
mod source;

use crate::tally::{Outcome, Tally};
use crate::workspace;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file or function longer than the house allows, with the reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Longer {
    path: String,
    /// The function, or nothing for the file as a whole.
    function: Option<String>,
    lines: usize,
    reason: String,
}

/// A place with leave to do what is otherwise forbidden.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leave {
    path: String,
    reason: String,
}

/// A call only one place may make.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Only {
    call: String,
    receiver: String,
    method: String,
    path: String,
    reason: String,
}

/// `xtask/tidy.toml`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    #[serde(default)]
    longer: Vec<Longer>,
    #[serde(default, rename = "unsafe")]
    unsafe_code: Vec<Leave>,
    #[serde(default)]
    std: Vec<Leave>,
    #[serde(default)]
    only: Vec<Only>,
}

pub(crate) fn run() -> Outcome<Tally> {
    let mut tally = Tally::default();
    let root = workspace::root();
    let exceptions: Exceptions = toml_edit::de::from_str(&std::fs::read_to_string(workspace::asset("tidy.toml"))?)?;
    let files = tracked_files(root)?;
    let sources = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let sources =
        sources.map(|path| Ok((path.clone(), std::fs::read_to_string(root.join(path))?))).collect::<Outcome<Vec<_>>>()?;

    report(&mut tally, "exceptions have reasons", without_reason(&exceptions));
    let arrows = arrows::Arrows::read(&std::fs::read_to_string(workspace::asset("arrows.toml"))?)?;
    report(&mut tally, "arrows", arrows.check(&arrows::packages()?));
    let policy = dependencies::Policy::read(&std::fs::read_to_string(root.join("deny.toml"))?)?;
    report(&mut tally, "licences, bans and sources of dependencies", policy.check(&dependencies::packages()?));
    let brains = arrows.brain_directories(&arrows::packages()?);
    for (name, findings) in source::check(&sources, &brains, &exceptions) {
        report(&mut tally, name, findings);
    }
    let documents = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut findings = Vec::new();
    for path in documents {
        findings.extend(markdown::check(path, &std::fs::read_to_string(root.join(path))?));
    }
    report(&mut tally, "each document has one title", findings);
    let list = checklist::Checklist::read(&std::fs::read_to_string(workspace::asset("checklist.toml"))?)?;
    let tests = checklist::tests(sources.iter().filter(|(path, _)| path.starts_with("server/tests")));
    print!("{}", list.table(&tests));
    report(&mut tally, "every behaviour of the checklist has a test", list.check(&tests));
    Ok(tally)
}

/// One rule's findings become one pass or one failure.
fn report(tally: &mut Tally, name: &str, findings: Vec<String>) {
    tally.check(name, || {
        if findings.is_empty() { Ok(()) } else { Err(format!("{} findings\n  {}", findings.len(), findings.join("\n  ")).into()) }
    });
}

/// The files git knows or would add, relative to the root.
fn tracked_files(root: &Path) -> Outcome<Vec<PathBuf>> {
    let mut command = workspace::command("git");
    command.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let listed = workspace::succeed(&mut command, std::time::Duration::from_secs(60))?;
    let files: BTreeSet<PathBuf> = listed.lines().map(PathBuf::from).filter(|path| root.join(path).is_file()).collect();
    Ok(files.into_iter().collect())
}

fn without_reason(exceptions: &Exceptions) -> Vec<String> {
    let reasons = (exceptions.longer.iter().map(|longer| (&longer.path, &longer.reason)))
        .chain(exceptions.unsafe_code.iter().chain(&exceptions.std).map(|leave| (&leave.path, &leave.reason)))
        .chain(exceptions.only.iter().map(|only| (&only.call, &only.reason)));
    reasons
        .filter(|(_, reason)| reason.split_whitespace().count() < 4)
        .map(|(what, _)| format!("{what}: no reason given"))
        .collect()
}
