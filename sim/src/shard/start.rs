//! How a process comes to be, and how it ends.

use alloc::{format, vec::Vec};
use flumen_broker::Shard;
use flumen_log::io::Disk;
use flumen_log::recovery::{Recovery, RecoveryError, recover};

use super::{Control as Sabotage, control::Control, process::Process, swarm::Swarm, world::World};

/// Steps in which a broker that is told to stop must have stopped.
const STOP_STEPS: u64 = 60_000;

impl World<'_> {
    /// Recover the logs, go on from the metadata, and make the shards.
    pub(super) fn start(&mut self) {
        let Swarm { shards_min, shards_max, .. } = self.swarm;
        let shards = u16::try_from(shards_min + self.random.below(shards_max - shards_min + 1)).unwrap_or(1);
        self.ledger.storage_failed = false;
        self.ledger.not_made.clear();
        self.failed_syncs = self.disk.failed_syncs();
        let corrected = self.settling || self.random.one_in(2);
        let has_record = Disk::list(&mut self.disk, "").is_ok_and(|entries| {
            entries.iter().any(|entry| entry.name.starts_with("steady-clock.") && !entry.name.ends_with(".partial"))
        });
        self.now.wall = self.clock.start(self.now.wall, corrected, has_record);
        let Some(recovery) = self.recover(shards) else { return };
        let has_metadata = self.work.kills + self.work.power_failures > 0;
        let forgets =
            self.swarm.amnesia_one_in > 0 && has_metadata && !self.settling && self.random.one_in(self.swarm.amnesia_one_in);
        if forgets {
            // The metadata's directory is away, and back at the next start.
            self.kept_metadata = Some(core::mem::take(&mut self.metadata));
            self.work.amnesias += 1;
        }
        let metadata = core::mem::take(&mut self.metadata);
        let per_snapshot = self.swarm.entries_per_snapshot;
        let started = Control::start(metadata, usize::from(shards), &recovery, self.boot, per_snapshot);
        let (control, orders) = match started {
            Ok(started) => started,
            Err(text) => return self.ledger.violation(text),
        };
        let mut machines = Vec::with_capacity(usize::from(shards));
        for (number, recovered) in (0u16..).zip(recovery.shards) {
            let settings = self.swarm.settings(number, shards, self.random.next());
            machines.push(Shard::new(settings, Vec::from([recovered])));
        }
        let mut process = Process::new(machines, control, self.swarm.limits());
        let obeyed = process.obey(orders);
        self.trace.note(&[6, u64::from(shards)], format_args!("           a start with {shards} shards: {:?}", recovery.report));
        self.process = Some(process);
        if let Err(text) = obeyed {
            self.ledger.violation(text);
        }
    }

    /// Recover, perhaps in several attempts.
    fn recover(&mut self, shards: u16) -> Option<Recovery> {
        loop {
            self.journal_id += 1;
            let settings = self.swarm.recovery(self.journal_id);
            let interrupted = !self.settling && self.random.one_in(self.swarm.interrupt_one_in);
            self.disk.faults.calls_left = interrupted.then(|| self.random.below(300));
            let result = recover(&mut self.disk, shards, &settings, self.now);
            self.disk.faults.calls_left = None;
            match result {
                Ok(recovery) => {
                    let report = &recovery.report;
                    let looks_damaged = report.corrupt_frames > 0
                        || !report.damaged.is_empty()
                        || !report.suspect_tails.is_empty()
                        || !report.states_rebuilt.is_empty()
                        || report.unclaimed_entries > 0;
                    if looks_damaged && self.sabotage == Sabotage::None {
                        self.ledger.violation(format!("a crash alone must not look like corruption: {report:?}"));
                    }
                    if self.expects_clean && !report.clean {
                        self.ledger.violation(format!("a clean stop was not seen: {report:?}"));
                    }
                    self.expects_clean = false;
                    return Some(recovery);
                }
                // It is tried again when there is room; what was done until then stays in the page cache.
                Err(RecoveryError::Io(error)) if error.is_no_space() && self.disk.faults.full => {
                    self.work.cramped += 1;
                    self.expects_clean = false;
                    self.disk.crash_process(&mut self.random);
                    self.disk.faults.full = false;
                }
                Err(error) if !interrupted => {
                    self.ledger.violation(format!("recovery failed: {error}"));
                    return None;
                }
                Err(_) => {
                    self.work.interrupted += 1;
                    self.expects_clean = false;
                    self.lose_power();
                }
            }
        }
    }

    /// The power fails while no process runs.
    fn lose_power(&mut self) {
        self.disk.crash_power(&mut self.random);
        self.ledger.crashed(true);
        self.boot += 1;
    }

    /// The process ends without warning.
    pub(super) fn crash(&mut self) {
        let power = self.random.one_in(self.swarm.power_one_in);
        if power {
            self.work.power_failures += 1;
        } else {
            self.work.kills += 1;
        }
        self.trace.note(&[7, u64::from(power)], format_args!("           the {} dies", if power { "power" } else { "process" }));
        self.bury(power);
        if power {
            self.lose_power();
        } else {
            self.disk.crash_process(&mut self.random);
            self.ledger.crashed(self.has_forgotten());
        }
    }

    /// Whether the disk may have forgotten something in this life without a power failure: a failed sync, perhaps one that no
    /// shard was told of any more, leaves pages that are clean and were never on disk.
    fn has_forgotten(&self) -> bool {
        self.ledger.storage_failed || self.disk.failed_syncs() > self.failed_syncs
    }

    /// What is left of a process when it has ended.
    fn bury(&mut self, power: bool) {
        self.network.broker_died(power);
        let Some(process) = self.process.take() else { return };
        match process.control.die(&mut self.random) {
            Ok(log) => self.metadata = self.kept_metadata.take().unwrap_or(log),
            Err(text) => self.ledger.violation(text),
        }
    }

    /// The process ends in order. Then, perhaps, the power goes.
    pub(super) fn stop(&mut self) {
        let Some(process) = &mut self.process else { return };
        process.stop();
        self.trace.note(&[8], format_args!("           the broker is told to stop"));
        let mut finished = false;
        for _ in 0..STOP_STEPS {
            self.step();
            finished = self.process.as_ref().is_some_and(Process::is_finished);
            if finished || self.is_over() {
                break;
            }
        }
        if !finished && !self.is_over() {
            self.ledger.violation(format!("the broker does not stop: {} operations", self.disk.outstanding()));
        }
        self.work.stops += 1;
        // It may have failed with the very last that was written; then there is no mark, and must not be.
        self.ledger.storage_failed |= self.process.as_ref().is_some_and(Process::has_lost_storage);
        self.expects_clean = !self.ledger.storage_failed;
        self.bury(false);
        if self.random.one_in(2) {
            self.lose_power();
        } else {
            self.disk.crash_process(&mut self.random);
            self.ledger.crashed(self.has_forgotten());
        }
    }

    /// Whether the metadata that clients know are those of this life.
    pub(super) const fn remembers(&self) -> bool {
        self.kept_metadata.is_none()
    }
}
