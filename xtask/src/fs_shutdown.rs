//! `cargo xtask fs-shutdown`: the power goes, on real file systems, under load, again and again.
//!
//! The broker keeps its data on a loop-mounted ext4 or xfs. In every round it is stopped in its tracks, the file system is shut
//! down without a flush, the broker is killed, the image mounted again and opened by the broker: everything acknowledged with
//! acks=all in the default durability must be there, once, unaltered, at its offset. In some rounds the power goes a second time
//! while the broker recovers. The control asks the same of `flumen.durability=replicated`, on a fresh image each time, and must
//! lose: otherwise nothing was cut off.

use crate::broker::{Broker, Flumen};
use crate::crash::Random;
use crate::crash::load::{self, Ledger, Promise};
use crate::crash::shift::{Shift, work_and_end};
use crate::crash::verify::{Extent, Loss, verify};
use crate::loop_disk::{DiskOptions, FileSystem, LoopDisk};
use crate::tally::{Outcome, Tally};
use crate::workspace;
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The image's size; it takes the room of what is written to it.
const IMAGE_BYTES: u64 = 8 << 30;
/// So many rounds on one image.
const ROUNDS_PER_IMAGE: u32 = 25;
/// A round with fewer acknowledged records than this proves nothing.
const WORK_FLOOR: usize = 20;
/// Between so many acknowledged batches and the round's end.
const CUT_AFTER_MS: std::ops::Range<u64> = 20..400;
/// Of so many rounds one loses the power during recovery as well.
const SECOND_LOSS_IN: u64 = 4;
/// Of the control's rounds two in three lose something.
const CONTROL_ROUNDS: u32 = 8;
/// After the start of that recovery.
const SECOND_CUT_AFTER_MS: std::ops::Range<u64> = 0..80;

/// How long a running broker may take for what it has to do.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

#[derive(Args)]
pub(crate) struct Options {
    /// How many times the power goes, on each file system.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Rounds of the control on each file system, at most: the first that loses is enough.
    #[arg(long, default_value_t = CONTROL_ROUNDS)]
    control_rounds: u32,
    /// Shards of the broker.
    #[arg(long, default_value_t = 2)]
    shards: u16,
    #[command(flatten)]
    disk: DiskOptions,
}

impl Options {
    /// So many rounds on each file system.
    pub(crate) fn of(rounds: u32) -> Self {
        Self { rounds, control_rounds: CONTROL_ROUNDS, shards: 2, disk: DiskOptions::default() }
    }
}

pub(crate) fn run(options: &Options) -> Outcome<Tally> {
    let Options { rounds, control_rounds, shards, ref disk } = *options;
    let numbers = [("--rounds", rounds.into()), ("--control-rounds", control_rounds.into()), ("--shards", shards.into())];
    disk.run("fs-shutdown", &numbers, |file_system, seed, tally| {
        let name = file_system.name();
        let mut run = Run {
            binary: crate::interop::binary(disk.release),
            shards,
            file_system,
            random: Random::new(seed),
            totals: Totals::default(),
        };
        run.survive(rounds, tally);
        tally.check(&format!("{name}: one of two log directories dies and the other goes on"), || run.one_of_two());
        if control_rounds > 0 {
            tally.check(&format!("{name}: the control loses"), || run.lose(control_rounds));
        }
        let Totals { rounds, acknowledged, second_losses, control_rounds, control_losses } = run.totals;
        println!(
            "fs-shutdown: {name}: {rounds} rounds, {second_losses} of them with a second loss of power during recovery, {acknowledged} records acknowledged; the control lost in {control_losses} of {control_rounds}"
        );
        Ok(())
    })
}

#[derive(Default)]
struct Totals {
    rounds: u32,
    acknowledged: usize,
    second_losses: u32,
    control_rounds: u32,
    control_losses: u32,
}

struct Run {
    binary: PathBuf,
    shards: u16,
    file_system: FileSystem,
    random: Random,
    totals: Totals,
}

/// One image and what the broker on it has acknowledged.
struct Site {
    disk: LoopDisk,
    flumen: Flumen,
    ledger: Ledger,
    // Dropped last: the disk is mounted in it.
    home: tempfile::TempDir,
}

impl Run {
    fn site(&self, promise: Promise) -> Outcome<Site> {
        let home = tempfile::Builder::new().prefix("fs-shutdown-").tempdir_in(workspace::target())?;
        let disk = LoopDisk::make(home.path(), self.file_system, IMAGE_BYTES)?;
        let flumen = Flumen {
            binary: self.binary.clone(),
            data: disk.path().to_owned(),
            beside: Vec::new(),
            port: 0,
            shards: Some(self.shards),
            settings: Vec::new(),
        };
        Ok(Site { disk, flumen, ledger: Ledger::new(promise), home })
    }

    /// Every round is one check; a failure ends the run, because what follows would only repeat it.
    fn survive(&mut self, rounds: u32, tally: &mut Tally) {
        let mut left = rounds;
        while left > 0 {
            let here = left.min(ROUNDS_PER_IMAGE);
            left -= here;
            let site = self.site(Promise::PowerLoss).and_then(|mut site| {
                let result = self.rounds(&mut site, here, tally);
                self.totals.acknowledged += site.ledger.acknowledged();
                result.inspect_err(|_| keep_log(&site))
            });
            if let Err(error) = site {
                tally.fail(format_args!("{}, round {}: {error}", self.file_system.name(), self.totals.rounds + 1));
                return;
            }
        }
    }

    fn rounds(&mut self, site: &mut Site, rounds: u32, tally: &mut Tally) -> Outcome<()> {
        for round in 1..=rounds {
            let started = Instant::now();
            let before = site.ledger.acknowledged();
            self.load_and_cut(site)?;
            let done = site.ledger.acknowledged() - before;
            if done < WORK_FLOOR {
                return Err(format!("invalid: {done} records only").into());
            }
            let extent = if round == rounds { Extent::All } else { Extent::New };
            look(site, extent)?;
            self.totals.rounds += 1;
            println!("{} round {}: {done} records, {:.1?}", self.file_system.name(), self.totals.rounds, started.elapsed());
            tally.pass();
        }
        let status = site.flumen.start()?.stop()?;
        if status.success() { Ok(()) } else { Err(format!("the broker stops with {status}").into()) }
    }

    /// Load, and no power; perhaps another time, while the broker recovers.
    fn load_and_cut(&mut self, site: &mut Site) -> Outcome<()> {
        let Site { disk, flumen, ledger, .. } = site;
        let broker = flumen.start()?;
        load::prepare(&broker.address)?;
        let workers = ledger.enlist(&mut self.random, &broker.address)?;
        let delay = Duration::from_millis(self.random.within(CUT_AFTER_MS));
        // A thread that has not stopped yet may meet the dead file system, and say so.
        let refusals = work_and_end(broker, workers, (WORK_FLOOR, delay), ledger, |broker| cut(broker, disk))?;
        if let Some(refusal) = refusals.iter().find(|refusal| !refusal.is_retriable()) {
            return Err(refusal.to_string().into());
        }
        disk.mount_again()?;
        if self.random.within(0..SECOND_LOSS_IN) == 0 {
            let broker = flumen.launch()?;
            std::thread::sleep(Duration::from_millis(self.random.within(SECOND_CUT_AFTER_MS)));
            cut(broker, disk)?;
            disk.mount_again()?;
            self.totals.second_losses += 1;
        }
        Ok(())
    }

    /// A live broker's second log directory dies: its partitions are refused, the others go on, nothing acknowledged is lost.
    fn one_of_two(&mut self) -> Outcome<()> {
        let mut site = self.site(Promise::PowerLoss)?;
        let Site { disk, flumen, ledger, home } = &mut site;
        flumen.beside.push(std::mem::replace(&mut flumen.data, home.path().join("first")));
        let mut broker = flumen.start()?;
        load::prepare(&broker.address)?;
        let mut workers = ledger.enlist(&mut self.random, &broker.address)?;
        workers.extend(ledger.enlist(&mut self.random, &broker.address)?);
        let shift = Shift::begin(&broker.address, workers);
        wait("an acknowledgement", || shift.acknowledged() > 0)?;
        disk.cut_power()?;
        wait("a refusal", || shift.refused() > 0)?;
        let before = shift.acknowledged();
        wait("an acknowledgement after it", || shift.acknowledged() > before)?;
        let refusals = shift.end(ledger)?;
        if let Some(refusal) = refusals.iter().find(|refusal| !refusal.is_retriable()) {
            return Err(refusal.to_string().into());
        }
        if !broker.is_running()? {
            return Err("the broker has ended".into());
        }
        broker.kill()?;
        disk.mount_again()?;
        look(&mut site, Extent::All)
    }

    /// The same with what is only promised to survive the process: it must be lost at least once, and nothing else may go wrong.
    fn lose(&mut self, rounds: u32) -> Outcome<()> {
        for _ in 0..rounds {
            let mut site = self.site(Promise::TooMuch)?;
            self.load_and_cut(&mut site)?;
            self.totals.control_rounds += 1;
            match look(&mut site, Extent::All) {
                Ok(()) => {}
                Err(error) if error.downcast_ref::<Loss>().is_some() => {
                    println!("{} control: {error}", self.file_system.name());
                    self.totals.control_losses += 1;
                    return Ok(());
                }
                Err(error) => return Err(format!("a failure that is no loss: {error}").into()),
            }
        }
        Err(format!("nothing was lost in {rounds} rounds").into())
    }
}

fn wait(what: &str, done: impl Fn() -> bool) -> Outcome<()> {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        if Instant::now() > deadline {
            return Err(format!("waited {} s for {what}", PATIENCE.as_secs()).into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Nothing more is done, nothing more is written, and the process is gone.
fn cut(broker: Broker, disk: &LoopDisk) -> Outcome<()> {
    broker.pause()?;
    disk.cut_power()?;
    broker.kill()
}

/// The broker opens what is left: producers send again what was not answered, and everything acknowledged is there.
fn look(site: &mut Site, extent: Extent) -> Outcome<()> {
    let broker = site.flumen.start()?;
    site.ledger.resend(&broker.address, Duration::ZERO)?;
    verify(&broker.address, &mut site.ledger, extent)?;
    broker.kill()
}

/// What the broker said, for whoever looks into a failure.
fn keep_log(site: &Site) {
    let log: &Path = &site.home.path().join("disk.log");
    let said = std::fs::read_to_string(log).unwrap_or_default();
    println!("{}", workspace::end_of(&said, 30));
}
