//! `cargo xtask crash`: the broker is killed with SIGKILL at random moments under load, again and again, on one data directory.
//!
//! After every kill it must start again, and everything it ever acknowledged (acks=1 included) must be there: once, unaltered, at
//! the offset it was given. Idempotent producers send what was not answered again, with the numbers it had, and new producers
//! start beside them. A round that acknowledged too little is invalid, which is a failure. With `--control` the broker is built to
//! acknowledge before it writes, and the run passes only if the loss is noticed.

pub(crate) mod load;
mod payload;
pub(crate) mod shift;
pub(crate) mod verify;
pub(crate) mod wire;

use crate::broker::{Broker, Flumen};
use crate::tally::{Outcome, Tally};
use crate::{interop, workspace};
use clap::Args;
use load::{Ledger, Promise};
pub(crate) use payload::{Random, fresh_seed};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A round with fewer acknowledged records than this proves nothing.
const WORK_FLOOR: usize = 200;
/// Between so many acknowledged batches and the kill.
const KILL_AFTER_MS: std::ops::Range<u64> = 20..500;

#[derive(Args)]
pub(crate) struct Options {
    /// How many times the broker is killed.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: u32,
    /// Shards of the broker.
    #[arg(long)]
    pub(crate) shards: Option<u16>,
    /// What makes the run repeat; shown when not given.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Build the broker to acknowledge before it writes: succeeds only if the loss is noticed.
    #[arg(long)]
    pub(crate) control: bool,
    /// Use the release build of the broker.
    #[arg(long)]
    pub(crate) release: bool,
}

pub(crate) fn run(options: &Options) -> Outcome<Tally> {
    let binary = if options.control { build_control(options.release)? } else { built(options.release)? };
    let seed = options.seed.unwrap_or_else(fresh_seed);
    println!(
        "crash: seed {seed}, {} rounds{}",
        options.rounds,
        if options.control { ", acknowledging before writing" } else { "" }
    );
    let data = tempfile::Builder::new().prefix("crash-").tempdir_in(workspace::target())?;
    let mut tally = Tally::default();
    let mut run = Run {
        flumen: Flumen {
            binary,
            data: data.path().join("data"),
            beside: Vec::new(),
            port: 0,
            shards: options.shards,
            settings: Vec::new(),
        },
        random: Random::new(seed),
        ledger: Ledger::new(Promise::Kill),
        acknowledged: 0,
    };
    if options.control {
        tally.check("the control loses, and the loss is noticed", || run.lose(options.rounds));
    } else {
        run.survive(options.rounds, &mut tally);
    }
    println!("crash: {} records acknowledged over all rounds, {} producers", run.acknowledged, run.ledger.producers());
    if !tally.is_clean() {
        let kept = data.keep();
        println!("crash: the data directory is kept: {}", kept.display());
    }
    Ok(tally)
}

impl Options {
    /// So many rounds on so many shards.
    pub(crate) fn of(rounds: u32, shards: u16, control: bool) -> Self {
        Self { rounds, shards: Some(shards), seed: None, control, release: false }
    }
}

pub(crate) fn built(release: bool) -> Outcome<PathBuf> {
    interop::build(release)?;
    Ok(interop::binary(release))
}

/// The broker that acknowledges too early, in a target directory of its own: the cfg rebuilds everything.
fn build_control(release: bool) -> Outcome<PathBuf> {
    let target = workspace::target().join("control");
    let mut command = workspace::cargo();
    command.args(["build", "--quiet", "--package", "flumen-server", "--bin", "flumen"]);
    if release {
        command.arg("--release");
    }
    command.env("RUSTFLAGS", "--cfg control_early_ack").env("CARGO_TARGET_DIR", &target);
    workspace::succeed(&mut command, Duration::from_secs(3600))?;
    Ok(target.join(if release { "release" } else { "debug" }).join("flumen"))
}

struct Run {
    flumen: Flumen,
    random: Random,
    /// All that was ever sent and what became of it.
    ledger: Ledger,
    acknowledged: usize,
}

impl Run {
    /// Every round is one check; a failure ends the run, because what follows would only repeat it.
    fn survive(&mut self, rounds: u32, tally: &mut Tally) {
        for round in 1..=rounds {
            let before = self.acknowledged;
            let result = self.round();
            match result {
                Ok(restart) if self.acknowledged - before >= WORK_FLOOR => {
                    println!("round {round}: {} records acknowledged, up again in {restart:.0?}", self.acknowledged - before);
                    tally.pass();
                }
                Ok(_) => tally.fail(format_args!("round {round} is invalid: {} records only", self.acknowledged - before)),
                Err(error) => {
                    tally.fail(format_args!("round {round}: {error}"));
                    return;
                }
            }
        }
        tally.check("everything is there in the end, after a clean stop too", || self.last_look());
    }

    /// With a broker that acknowledges too early, some round must lose, and it must be a loss and nothing else.
    fn lose(&mut self, rounds: u32) -> Outcome<()> {
        for round in 1..=rounds {
            let before = self.acknowledged;
            match self.round() {
                Ok(_) => println!("round {round}: {} records acknowledged, nothing missing", self.acknowledged - before),
                Err(error) if error.downcast_ref::<verify::Loss>().is_some() => {
                    println!("round {round}: {error}");
                    return Ok(());
                }
                Err(error) => return Err(format!("a failure that is no loss: {error}").into()),
            }
        }
        Err(format!("{rounds} rounds, and nothing was lost").into())
    }

    /// Start, load, kill, start, resend, look; how long the second start took.
    fn round(&mut self) -> Outcome<Duration> {
        let broker = self.flumen.start()?;
        let address = broker.address.clone();
        load::prepare(&address)?;
        let delay = Duration::from_millis(self.random.within(KILL_AFTER_MS));
        let workers = self.ledger.enlist(&mut self.random, &address)?;
        if let Some(refusal) = shift::work_and_end(broker, workers, (WORK_FLOOR, delay), &mut self.ledger, Broker::kill)?.first()
        {
            return Err(refusal.to_string().into());
        }
        let started = Instant::now();
        let broker = self.flumen.start()?;
        let took = started.elapsed();
        self.ledger.resend(&broker.address, Duration::ZERO)?;
        verify::verify(&broker.address, &mut self.ledger, verify::Extent::New)?;
        self.acknowledged = self.ledger.acknowledged();
        // The next round starts on what a kill leaves behind, not on what a clean stop does.
        broker.kill()?;
        Ok(took)
    }

    fn last_look(&mut self) -> Outcome<()> {
        let stop = |broker: Broker| match broker.stop()? {
            status if status.success() => Ok(()),
            status => Err(format!("the broker stops with {status}").into()),
        };
        for _ in 0..2 {
            let broker = self.flumen.start()?;
            verify::verify(&broker.address, &mut self.ledger, verify::Extent::All)?;
            let stopped: Outcome<()> = stop(broker);
            stopped?;
        }
        Ok(())
    }
}
