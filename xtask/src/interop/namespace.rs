//! A network namespace of our own, in which port 9092 is free.
//!
//! The command runs itself again inside (`unshare`), with loopback up. Nothing is fetched in there: it has no way out.

use super::Options;
use crate::tally::{Outcome, Tally, last_counts};
use crate::workspace;
use clap::ValueEnum;
use std::process::Command;
use std::time::Duration;

/// How `unshare` is called: as root, or as root of a user namespace.
fn flags() -> &'static str {
    if rustix::process::geteuid().is_root() { "-n" } else { "-rn" }
}

/// Whether such a namespace can be made, with loopback up.
pub(super) fn available() -> bool {
    let mut probe = workspace::command("unshare");
    probe.args([flags(), "ip", "link", "set", "lo", "up"]);
    workspace::output(&mut probe, Duration::from_secs(10)).is_ok_and(|(success, _)| success)
}

/// Runs this command again inside, and returns its counts.
pub(super) fn run_again(options: &Options) -> Outcome<Tally> {
    let mut command = workspace::command("unshare");
    command.args([flags(), "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]);
    command.arg(std::env::current_exe()?).args(["interop", "--isolated"]);
    forward(options, &mut command);
    let (success, text) = workspace::stream(&mut command, Duration::from_secs(3600))?;
    let Some((passed, failed)) = last_counts(&text) else {
        return Err("the run inside the namespace ended without a summary".into());
    };
    let mut tally = Tally::default();
    tally.count("interop", passed, failed);
    if !success && failed == 0 {
        tally.fail("interop: ended with an error");
    }
    Ok(tally)
}

fn forward(options: &Options, command: &mut Command) {
    let name = |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().to_owned()).unwrap_or_default();
    if let Some(shards) = options.shards {
        command.args(["--shards", &shards.to_string()]);
    }
    for client in &options.only {
        command.args(["--only", &name(client.to_possible_value())]);
    }
    if let Some(relist) = options.relist {
        command.args(["--relist", &name(relist.to_possible_value())]);
    }
    for (flag, given) in [("--against-kafka", options.against_kafka), ("--release", options.release)] {
        if given {
            command.arg(flag);
        }
    }
}
