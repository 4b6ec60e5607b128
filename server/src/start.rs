//! `flumen start`
use std::process::ExitCode;

/// What `start` takes.
#[derive(clap::Args, Debug)]
pub struct StartArguments {}

/// Runs a broker.
pub fn run(_: StartArguments) -> ExitCode {
    ExitCode::FAILURE
}
