//! What the fuzz targets check, apart from the fuzzer: the same functions replay the corpus in `cargo test` (`sim/tests/fuzz_corpus.rs`).

pub(crate) mod directory;
pub(crate) mod files;
mod lookup;
mod mending;
pub(crate) mod segment;
mod template;

use std::collections::BTreeMap;

use flumen_log::compaction::CompactionSettings;
use flumen_log::io::Disk;
use flumen_log::io::Owner;
use flumen_log::recovery::{Recovery, RecoverySettings, recover};
use flumen_log::store::{Store, StoreSettings};
use flumen_log::{Monotonic, Now, Offset, ShardId, Timestamp, TopicPartition};
use flumen_sim::disk::SimDisk;

const JOURNAL_FILE_BYTES: u64 = 32 << 10;
const NOW: Now = Now { monotonic: Monotonic(1), wall: Timestamp(1_000_000) };

/// A disk with these files.
fn disk_of<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> SimDisk {
    let mut disk = SimDisk::new();
    for (path, content) in files {
        if let Some((directory, _)) = path.rsplit_once('/') {
            disk.create_directory(directory).expect("nothing is in the way");
        }
        disk.write(path, 0, content).expect("the disk is whole");
    }
    disk
}

/// Recover, which must not fail whatever the files hold, for the disk is whole.
fn recovered(disk: &mut SimDisk, number: u8) -> Recovery {
    let settings = RecoverySettings {
        journal_id: [number; 16],
        journal_file_bytes: JOURNAL_FILE_BYTES,
        quarantine_bytes: 1 << 20,
        index_interval_bytes: 1024,
    };
    recover(disk, 1, &settings, NOW).expect("a whole disk can be recovered")
}

fn store_of(recovery: Recovery) -> Store {
    let settings = StoreSettings {
        journal_bytes: JOURNAL_FILE_BYTES * 3,
        journal_bytes_at_start: JOURNAL_FILE_BYTES * 2,
        journal_file_bytes: JOURNAL_FILE_BYTES,
        journal_frame_bytes: 8 << 10,
        free_space_floor_bytes: 0,
        index_cache_bytes: 2048,
        compaction: CompactionSettings {
            key_map_bytes: 24 * 40,
            buffer_bytes: 2000,
            backoff_ms: 1,
            step_bytes: 2000,
            step_interval_ns: 0,
            ..CompactionSettings::new()
        },
        ..StoreSettings::of_shard(ShardId(0), 1)
    };
    let shard = recovery.shards.into_iter().next().expect("one shard was asked for");
    Store::new(settings, shard, Owner(0))
}

/// One log.
#[derive(Debug)]
struct Log {
    /// Where it starts and ends; `None` if it is offline, damaged before its durable point.
    span: Option<(Offset, Offset)>,
    /// Its segments' bytes.
    segments: Vec<(String, Vec<u8>)>,
}

fn logs(disk: &SimDisk, store: &Store) -> BTreeMap<TopicPartition, Log> {
    let log = |view: flumen_log::store::LogView<'_>| {
        let directory = format!("{}-{}", view.topic_name(), view.partition().partition);
        let mut segments = disk.contents(&directory);
        segments.retain(|(name, _)| name.ends_with(".log"));
        let span = (!view.is_offline()).then(|| (view.log_start(), view.log_end()));
        (view.partition(), Log { span, segments })
    };
    store.partitions().map(|(_, view)| log(view)).collect()
}

/// Recover twice: the second time must find what the first one left. The store, to ask more of.
fn recovered_twice(disk: &mut SimDisk) -> Store {
    let first = store_of(recovered(disk, 1));
    let found = logs(disk, &first);
    let second = store_of(recovered(disk, 2));
    let again = logs(disk, &second);
    assert_eq!(found.len(), again.len(), "recovering twice finds the same logs");
    for ((partition, log), (of, again)) in found.iter().zip(&again) {
        assert_eq!(partition, of, "recovering twice finds the same logs");
        // Not printed: they are long.
        let lengths = |log: &Log| log.segments.iter().map(|(name, bytes)| (name.clone(), bytes.len())).collect::<Vec<_>>();
        assert_eq!(lengths(log), lengths(again), "recovering twice leaves the same segments");
        assert!(log.segments == again.segments, "recovering twice leaves the same bytes: {:?}", lengths(log));
        // After a clean stop not everything is looked at: damage may be found the second time only.
        if let (Some(span), Some(again)) = (log.span, again.span) {
            assert_eq!(span, again, "recovering twice is recovering once");
        }
    }
    second
}
