//! Our pytest suite over kafka-python, aiokafka and confluent-kafka (`xtask/interop/python/`).
//!
//! Counted test by test, from pytest's own summary file.

use super::Bench;
use crate::tally::{Outcome, Tally};
use crate::workspace;
use std::time::Duration;

pub(super) fn run(bench: &Bench, tally: &mut Tally) {
    let counts = counts(bench);
    match counts {
        Ok((0, 0)) => tally.fail("python: no test ran"),
        Ok((passed, failed)) => {
            println!("python: {passed} passed, {failed} failed");
            tally.count("python", passed, failed);
        }
        Err(error) => tally.fail(format_args!("python: {error}")),
    }
}

fn counts(bench: &Bench) -> Outcome<(usize, usize)> {
    let report = bench.directory.join("python.xml");
    let mut command = workspace::command(bench.directory.join("python/bin/python"));
    command
        .current_dir(workspace::asset("interop/python"))
        .args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "--junit-xml"])
        .arg(&report)
        .env("FLUMEN_BOOTSTRAP", &bench.address);
    let (success, text) = workspace::output(&mut command, Duration::from_secs(900))?;
    if !success {
        println!("{}", workspace::end_of(&text, 80));
    }
    let xml = std::fs::read_to_string(&report)?;
    let number = |name: &str| {
        let from = xml.find(&format!(" {name}=\""))? + name.len() + 3;
        xml[from..].split('"').next()?.parse::<usize>().ok()
    };
    let (tests, skipped) = (number("tests").ok_or("no count of tests")?, number("skipped").unwrap_or(0));
    let failed = number("failures").unwrap_or(0) + number("errors").unwrap_or(0) + skipped;
    // A skipped test counts as failed: nothing is left out in silence.
    Ok((tests - failed.min(tests), failed + usize::from(!success && failed == 0)))
}
