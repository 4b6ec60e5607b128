//! `cargo xtask sim`: hands its arguments to the simulator, built optimised.
//!
//! The simulator owns its command line; this is only the short way to call it.

use crate::tally::{Outcome, Tally, last_counts};
use crate::workspace;
use clap::Args;
use std::time::Duration;

#[derive(Args)]
pub(crate) struct Options {
    /// Arguments of the simulator: `--seeds N [--from S]`, or one seed to be shown step by step.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Outcome<Tally> {
    let mut tally = Tally::default();
    let mut command = workspace::cargo();
    command.args(["run", "--quiet", "--release", "--package", "flumen-sim", "--"]).args(&options.arguments);
    let (success, text) = workspace::stream(&mut command, Duration::from_secs(3600))?;
    let (passed, failed) = last_counts(&text).unwrap_or_else(|| (usize::from(success), usize::from(!success)));
    tally.count("sim", passed, failed);
    if !success && failed == 0 {
        tally.fail("sim: the simulator exited with an error");
    }
    Ok(tally)
}
