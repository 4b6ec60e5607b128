//! A run as text: where and how it was measured, medians with their ranges, ratios with their budgets.

use super::budgets::Budget;
use super::ground::Ground;
use super::series::{Figure, Series};
use crate::tally::Outcome;
use crate::workspace;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

/// The columns of the table of throughput.
const THROUGHPUT: [(&str, Figure, usize); 4] = [
    ("server CPU s/GB", Figure::CpuSecondsPerGb, 3),
    ("MB/s", Figure::MbPerSecond, 0),
    ("server core", Figure::ServerShare, 2),
    ("load core", Figure::LoadShare, 2),
];

/// The columns of the table of latency.
const LATENCY: [(&str, Figure, usize); 5] = [
    ("p50 µs", Figure::P50Us, 0),
    ("p99 µs", Figure::P99Us, 0),
    ("p99.9 µs", Figure::P999Us, 0),
    ("max µs", Figure::MaxUs, 0),
    ("server CPU µs a record", Figure::CpuUsPerRequest, 0),
];

pub(super) fn describe(series: &Series, budgets: &[Budget], ground: &Ground, rounds: u32) -> Outcome<String> {
    let mut text = heading(ground, rounds)?;
    let (paced, moved): (Vec<_>, Vec<_>) = series.iter().map(|(name, _)| name).partition(|name| name.starts_with("paced"));
    text += "\n## Throughput\n\nIngest: batches of 1 MiB, records of 1 KiB, `acks=all`, 4 producers with 2 requests in flight each, \
             4 partitions. Fetch: from the page cache, 1 MiB a fetch, 4 readers that discard. GB and MB count the records' \
             values.\n\n";
    table(&mut text, series, &moved, &THROUGHPUT)?;
    if !paced.is_empty() {
        text += "\n## Acknowledgements\n\nOpen loop, 2 000 records/s of 1 KiB, each a request of its own, `acks=all`, default \
                 durability, 4 connections; from the moment a record was due.\n\n";
        table(&mut text, series, &paced, &LATENCY)?;
    }
    text += "\n## Ratios\n\n| ratio of medians | is | at most |\n|---|---:|---:|\n";
    for budget in budgets {
        if let Some(ratio) = budget.ratio(series) {
            let broken = if budget.hold(ratio).is_ok() { "" } else { " **missed**" };
            writeln!(text, "| {budget} | {ratio:.2}{broken} | {} |", budget.most)?;
        }
    }
    Ok(text)
}

/// Write it down for good.
pub(super) fn write(text: &str) -> Outcome<PathBuf> {
    let directory = workspace::root().join("perf/runs");
    std::fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{}-{}.md", said("date", &["-u", "+%Y-%m-%d-%H%M"])?, commit()?));
    std::fs::write(&path, text)?;
    Ok(path)
}

fn heading(ground: &Ground, rounds: u32) -> Outcome<String> {
    let changed = if said("git", &["status", "--porcelain", "--untracked-files=no"])?.is_empty() { "" } else { ", changed" };
    let processor = std::fs::read_to_string("/proc/cpuinfo")?;
    let model =
        processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |(_, it)| it);
    let memory_gib = rustix::system::sysinfo().totalram >> 30;
    let cores = flumen_reactor::cores::available()?.len();
    Ok(format!(
        "# Run of {date}\n\n\
         - commit {commit}{changed}; `cargo xtask perf`, release build\n\
         - {model}, {cores} cores, {memory_gib} GiB; kernel {kernel}; {filesystem}\n\
         - rounds: {rounds}, alternating; medians, least and greatest in brackets\n\
         - server on core {server}, load on core {load}; loopback; a new process and directory for each measurement\n\
         - memory used once before each measurement, so that the host's part of it is there\n\
         - processor time of the server's process, with the kernel's workers of its ring, around the measured part alone; \
         the kernel's own write-back is not in it\n",
        date = said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])?,
        commit = commit()?,
        kernel = said("uname", &["-sr"])?,
        filesystem = said("stat", &["-f", "-c", "%T", "target"]).unwrap_or_else(|_| "unknown file system".to_owned()),
        server = ground.server_core,
        load = ground.load_core,
    ))
}

fn commit() -> Outcome<String> {
    said("git", &["rev-parse", "--short", "HEAD"])
}

fn said(program: &str, arguments: &[&str]) -> Outcome<String> {
    Ok(workspace::succeed(workspace::command(program).args(arguments), Duration::from_secs(60))?.trim().to_owned())
}

fn table(text: &mut String, series: &Series, names: &[&str], columns: &[(&str, Figure, usize)]) -> Outcome<()> {
    let titles: Vec<&str> = columns.iter().map(|(title, ..)| *title).collect();
    writeln!(text, "| | {} |\n|---|{}", titles.join(" | "), "---:|".repeat(columns.len()))?;
    for name in names {
        write!(text, "| {name} |")?;
        for (_, figure, digits) in columns {
            match series.spread(name, *figure) {
                Some((least, median, most)) => write!(text, " {median:.digits$} [{least:.digits$}–{most:.digits$}] |")?,
                None => text.push_str(" |"),
            }
        }
        text.push('\n');
    }
    Ok(())
}
