//! Directories as a store leaves them, to put other bytes into: after a death and after a clean stop, and of a compacted log after
//! them, too, and in the middle of a cleaning.

use std::sync::OnceLock;

use flumen_log::batch::{BatchBuilder, Origin, ProducerInfo};
use flumen_log::compression::Codec;
use flumen_log::io::{AlignedBuffer, Disk, Io};
use flumen_log::journal::{FrameBuilder, JournalPosition};
use flumen_log::store::{LogConfig, PartitionSlot, Store};
use flumen_log::{LeaderEpoch, Now, Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp, TopicId, TopicPartition};
use flumen_sim::disk::SimDisk;
use flumen_sim::random::Random;

use super::{NOW, recovered, store_of};

const PARTITION: TopicPartition = TopicPartition { topic: TopicId([5; 16]), partition: PartitionIndex(0) };
const BATCHES: u8 = 60;
/// In a compacted log.
const KEYS: u8 = 7;
/// Turns after which a log that nobody writes to is clean.
const QUIET_TURNS: u32 = 300;

/// Every file, with its path.
pub(super) type Files = Vec<(String, Vec<u8>)>;

/// From this one on they are of a compacted log.
pub(super) const FIRST_COMPACTED: usize = 2;

/// Of a death, and of a clean stop; of a compacted log of a death, of a clean stop, and of deaths in a cleaning: see [`Stages`].
pub(super) fn directories() -> &'static [Files; 8] {
    static MADE: OnceLock<[Files; 8]> = OnceLock::new();
    MADE.get_or_init(|| {
        let (dead, _) = make(false, false);
        let (stopped, _) = make(false, true);
        let (cleaned, _) = make(true, false);
        let (cleaned_stopped, stages) = make(true, true);
        let [unnamed, named, half, covered] = stages.of_the_largest;
        [dead, stopped, cleaned, cleaned_stopped, unnamed, named, half, covered]
    })
}

/// A cleaning on its way: its manifest is not in its place; it is, and no segment that it names; one is half there; all are, and what
/// they cover, too.
#[derive(Default)]
struct Stages {
    of_this: [Files; 4],
    /// Segments before it.
    logs: usize,
    /// Files that are not in their place.
    waiting: usize,
    /// Of the cleaning that covered most.
    of_the_largest: [Files; 4],
    gone: usize,
}

impl Stages {
    fn look(&mut self, disk: &mut SimDisk) {
        let names: Vec<String> = disk.list("topic-0").unwrap_or_default().into_iter().map(|entry| entry.name).collect();
        let ending = |end: &str| names.iter().filter(|name| name.ends_with(end)).count();
        let (cleaned, logs) = (ending(".cleaned"), ending(".log"));
        if ending(".partial") > 0 {
            self.of_this = [disk.contents(""), Files::new(), Files::new(), Files::new()];
            (self.logs, self.waiting) = (logs, cleaned);
        } else if self.of_this[1].is_empty() && cleaned > 0 && cleaned == self.waiting {
            self.of_this[1] = disk.contents("");
        } else if cleaned > 0 && cleaned < self.waiting {
            self.of_this[2] = disk.contents("");
        } else if self.of_this[3].is_empty() && cleaned == 0 && !self.of_this[2].is_empty() {
            self.of_this[3] = disk.contents("");
        }
        let is_whole = self.of_this.iter().all(|files| !files.is_empty());
        if is_whole && self.logs.saturating_sub(logs) > self.gone {
            self.gone = self.logs - logs;
            self.of_the_largest = self.of_this.clone();
        }
    }
}

struct Life {
    disk: SimDisk,
    machine: Store,
    io: Io,
    random: Random,
    now: Now,
    stages: Stages,
}

impl Life {
    /// Do what was asked for, until nothing more is.
    fn work(&mut self) {
        let mut outputs = Vec::new();
        loop {
            self.machine.tick(self.now, &mut self.io, &mut outputs);
            for operation in self.io.drain() {
                self.disk.submit(operation, &mut self.random);
            }
            match self.disk.step(&mut self.random) {
                Some(completion) => self.machine.complete(completion, self.now, &mut self.io, &mut outputs),
                None if self.io.is_empty() => return,
                None => {}
            }
            self.stages.look(&mut self.disk);
        }
    }

    fn append(&mut self, slot: PartitionSlot, number: u8, key: Option<&[u8]>) {
        let epoch = LeaderEpoch(i32::from(number) / 20);
        self.machine.begin_epoch(slot, epoch);
        let mut builder = BatchBuilder::new();
        builder.append(NOW.wall, key, Some(&[number; 100]), &[]);
        let producer = ProducerInfo {
            id: ProducerId(9),
            epoch: ProducerEpoch(0),
            base_sequence: i32::from(number),
            is_transactional: false,
        };
        let batch = builder.build_validated(Codec::None, None, producer).expect("no codec").expect("one record");
        self.machine.append(slot, batch, epoch, Origin::Client, self.now).expect("the partition is ready");
        self.work();
    }

    /// Time passes, in which the cleaner does what there is to do.
    fn rest(&mut self, slot: PartitionSlot) {
        for _ in 0..QUIET_TURNS {
            self.now.monotonic = self.now.monotonic.after_ms(10);
            self.now.wall = Timestamp(self.now.wall.0 + 10);
            if let Some(durable) = self.machine.view(slot).map(|view| view.durable().get()) {
                self.machine.set_high_watermark(slot, durable);
            }
            self.work();
        }
    }
}

fn make(compacted: bool, stopped: bool) -> (Files, Stages) {
    let mut disk = SimDisk::new();
    let machine = store_of(recovered(&mut disk, 0));
    let mut life = Life { disk, machine, io: Io::default(), random: Random::new(1), now: NOW, stages: Stages::default() };
    let mut config = LogConfig { segment_bytes: 4000, index_interval_bytes: 512, ..LogConfig::default() };
    if compacted {
        config = LogConfig {
            segment_bytes: 2000,
            cleanup_delete: false,
            cleanup_compact: true,
            min_cleanable_dirty_ppm: 0,
            delete_retention_ms: i64::MAX,
            ..config
        };
    }
    let slot = life.machine.create(PARTITION, "topic", config, &mut life.io);
    life.work();
    for number in 0..BATCHES {
        // Most of them again and again, some only once.
        let key = [b'k', if number % 5 == 0 { number } else { number % KEYS }];
        life.append(slot, number, compacted.then_some(&key));
        if compacted && number == BATCHES / 2 {
            life.rest(slot);
        }
    }
    if compacted {
        life.rest(slot);
    }
    if stopped {
        life.machine.stop(life.now, &mut life.io);
        life.work();
    }
    let mut files = life.disk.contents("");
    // An entry that no log took, offered again.
    let mut frame = FrameBuilder::new(AlignedBuffer::default());
    frame.put(PARTITION, LeaderEpoch(2), Offset::ZERO, Offset(i64::from(BATCHES)), &[b"no batch"]);
    let frame = frame.finish(b"flumenQuarantine", JournalPosition { generation: 1, sequence: 900 }, 0);
    files.push(("quarantine/entries-00000000000000000001.frames".to_owned(), frame.copy_from(0)));
    (files, life.stages)
}

#[test]
fn the_directories_are_what_they_are_called() {
    for files in directories() {
        let names: Vec<String> = files.iter().map(|(path, bytes)| format!("{path} {}", bytes.len())).collect();
        println!("{}\n", names.join("\n"));
    }
    let has = |number: usize, end: &str| directories()[number].iter().any(|(path, _)| path.ends_with(end));
    let compacted = |number: usize| (has(number, "/compaction.manifest"), has(number, ".partial"), has(number, ".cleaned"));
    let expected = [
        (false, false, false),
        (false, false, false),
        (true, false, false),
        (true, false, false),
        (true, true, true),
        (true, false, true),
        (true, false, true),
        (true, false, false),
    ];
    assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(compacted), expected);
}
