//! Starting: recovery, in as many attempts as chance wants, and the stores over what it found.

use alloc::format;
use flumen_log::ShardId;
use flumen_log::io::{Disk, Io, IoError, Owner};
use flumen_log::recovery::{Recovery, RecoveryReport, RecoverySettings, recover};
use flumen_log::store::{Store, StoreSettings};

use super::Control;
use super::world::World;
use crate::watched::Watched;

/// Calls after which a recovery is cut off or refused something, at most.
const CALLS: u64 = 200;

impl World {
    pub(super) fn start(&mut self) {
        if self.control == Control::NoReplay {
            for entry in Disk::list(&mut self.disk, "journal").unwrap_or_default() {
                let _ = Disk::unlink(&mut self.disk, &format!("journal/{}", entry.name));
            }
        }
        while !self.disk.lock_is_free() && self.control != Control::IgnoredLock {
            self.trace.note(format_args!("a write of the dead process lands, or does not"));
            self.disk.land_late_write(&mut self.random);
        }
        // Not before: such a write can move a D past what has rotted.
        if core::mem::take(&mut self.rot_due) {
            self.rot_something();
        }
        self.shards = 1 + u16::try_from(self.random.below(self.swarm.shards_most)).unwrap_or_default();
        let Some(recovery) = self.recover() else { return };
        self.verdict.work.recoveries += 1;
        self.trace.note(format_args!("{} shards recovered: {:?}", self.shards, recovery.report));
        for (number, shard) in recovery.shards.into_iter().enumerate() {
            let settings = self.settings(ShardId(u16::try_from(number).unwrap_or_default()));
            let owner = Owner(u32::from(settings.shard.0));
            self.stores.push((Store::new(settings, shard, owner), Io::default()));
        }
    }

    fn settings(&self, shard: ShardId) -> StoreSettings {
        let file_bytes = self.swarm.journal_file_bytes;
        StoreSettings {
            journal_bytes: file_bytes * self.swarm.journal_files,
            journal_bytes_at_start: file_bytes * 2,
            journal_file_bytes: file_bytes,
            journal_frame_bytes: 16 << 10,
            journal_writes_in_flight: 3,
            open_files_max: self.swarm.open_files,
            index_cache_bytes: 2048,
            checkpoints_in_flight: 2,
            retention_check_ms: 2000,
            ..StoreSettings::of_shard(shard, self.shards)
        }
    }

    /// Recover, perhaps in several attempts, perhaps twice.
    fn recover(&mut self) -> Option<Recovery> {
        loop {
            self.journal_id += 1;
            let settings = RecoverySettings {
                journal_id: u128::from(self.journal_id).to_be_bytes(),
                journal_file_bytes: self.swarm.journal_file_bytes,
                quarantine_bytes: 1 << 20,
                index_interval_bytes: 1024,
            };
            // What may be lost must be reported, so the attempt that finds it has to get to its end.
            let undisturbed = self.allowed.must_report();
            let cut = !undisturbed && self.swarm.cut > 0 && self.random.one_in(self.swarm.cut);
            let refused = !undisturbed && !cut && self.swarm.refuse > 0 && self.random.one_in(self.swarm.refuse);
            self.disk.faults.calls_left = cut.then(|| self.random.below(CALLS));
            let error = if self.random.one_in(2) { IoError::NO_SPACE } else { IoError::INPUT_OUTPUT };
            self.disk.faults.changes_left = refused.then(|| (self.random.below(CALLS / 3), error));
            let mut watched = Watched { disk: &mut self.disk, trace: &mut self.trace };
            let result = recover(&mut watched, self.shards, &settings, self.now);
            self.disk.faults.calls_left = None;
            self.disk.faults.changes_left = None;
            match result {
                Ok(recovery) => {
                    self.judge_report(&recovery.report);
                    if undisturbed || !self.random.one_in(8) {
                        return Some(recovery);
                    }
                    let power = self.random.one_in(2);
                    self.crash(power);
                }
                Err(error) => {
                    self.trace.note(format_args!("recovery ended: {error}"));
                    if !cut && !refused {
                        self.violation(format!("recovery failed: {error}"));
                        return None;
                    }
                    self.verdict.work.interrupted += 1;
                    let power = cut || self.random.one_in(2);
                    self.crash(power);
                }
            }
        }
    }

    fn judge_report(&mut self, report: &RecoveryReport) {
        self.verdict.work.replayed += report.replayed_batches;
        self.allowed.note(report);
        if self.control != Control::NoReplay && self.control != Control::EarlyAck && !self.allowed.explains(report) {
            self.violation(format!("a crash alone must not look like corruption: {report:?}"));
        }
    }
}
