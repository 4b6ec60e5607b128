//! Directories as a store leaves them, after a death and after a clean stop, to put other bytes into.

use std::sync::OnceLock;

use flumen_log::batch::{BatchBuilder, Origin, ProducerInfo};
use flumen_log::compression::Codec;
use flumen_log::io::{AlignedBuffer, Io};
use flumen_log::journal::{FrameBuilder, JournalPosition};
use flumen_log::store::{LogConfig, Output, Store};
use flumen_log::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId, TopicPartition};
use flumen_sim::disk::SimDisk;
use flumen_sim::random::Random;

use super::{NOW, recovered, store_of};

const BATCHES: i32 = 60;

/// Every file, with its path.
pub(super) type Files = Vec<(String, Vec<u8>)>;

/// The one of a death, and the one of a clean stop.
pub(super) fn directories() -> &'static [Files; 2] {
    static MADE: OnceLock<[Files; 2]> = OnceLock::new();
    MADE.get_or_init(|| [make(false), make(true)])
}

struct Life {
    disk: SimDisk,
    machine: Store,
    io: Io,
    random: Random,
}

impl Life {
    /// Do what was asked for, until nothing more is.
    fn work(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        loop {
            self.machine.end_turn(NOW, &mut self.io, &mut outputs);
            for operation in self.io.drain() {
                self.disk.submit(operation, &mut self.random);
            }
            match self.disk.step(&mut self.random) {
                Some(completion) => self.machine.complete(completion, NOW, &mut self.io, &mut outputs),
                None if self.io.is_empty() => return outputs,
                None => {}
            }
        }
    }
}

fn make(stopped: bool) -> Files {
    let mut disk = SimDisk::new();
    let store = store_of(recovered(&mut disk, 0));
    let mut life = Life { disk, machine: store, io: Io::default(), random: Random::new(1) };
    let partition = TopicPartition { topic: TopicId([5; 16]), partition: PartitionIndex(0) };
    let config = LogConfig { segment_bytes: 4000, index_interval_bytes: 512, ..LogConfig::default() };
    let slot = life.machine.create(partition, "topic", config, &mut life.io);
    life.work();
    for number in 0..BATCHES {
        let epoch = LeaderEpoch(number / 20);
        life.machine.begin_epoch(slot, epoch);
        let mut builder = BatchBuilder::new();
        builder.append(NOW.wall, None, Some(&[u8::try_from(number).unwrap_or_default(); 100]), &[]);
        let producer =
            ProducerInfo { id: ProducerId(9), epoch: ProducerEpoch(0), base_sequence: number, is_transactional: false };
        let batch = builder.build_validated(Codec::None, None, producer).expect("no codec").expect("one record");
        life.machine.append(slot, batch, epoch, Origin::Client, NOW).expect("the partition is ready");
        life.work();
    }
    if stopped {
        life.machine.stop(NOW, &mut life.io);
        life.work();
    }
    let mut files = life.disk.contents("");
    // An entry that no log took, offered again.
    let mut frame = FrameBuilder::new(AlignedBuffer::default());
    frame.put(partition, LeaderEpoch(2), Offset::ZERO, Offset(i64::from(BATCHES)), &[b"no batch"]);
    let frame = frame.finish(b"flumenQuarantine", JournalPosition { generation: 1, sequence: 900 }, 0);
    files.push(("quarantine/entries-00000000000000000001.frames".to_owned(), frame.copy_from(0)));
    files
}
