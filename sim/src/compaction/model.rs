//! What a compacted log should hold.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use flumen_log::batch::{BatchBuilder, ProducerInfo, ValidatedBatch};
use flumen_log::compression::Codec;
use flumen_log::{Offset, ProducerEpoch, ProducerId, Timestamp};

use crate::random::Random;

const KEYS: u64 = 14;
const PRODUCERS: u64 = 3;

/// A record as it was appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Appended {
    pub(super) key: Vec<u8>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) timestamp: Timestamp,
}

/// A batch that can be sent again.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) base: Offset,
    pub(super) end: Offset,
    pub(super) producer: ProducerInfo,
    pub(super) records: Vec<Appended>,
    pub(super) codec: Codec,
}

/// One log, as the run knows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) records: BTreeMap<Offset, Appended>,
    pub(super) sent: Vec<Sent>,
    pub(super) durable: Offset,
    pub(super) written: Offset,
    /// Delete horizons that were seen, by the tombstone's offset.
    pub(super) horizons: BTreeMap<Offset, Timestamp>,
}

impl Model {
    /// A batch to append.
    pub(super) fn draw(&self, random: &mut Random, now: Timestamp) -> Sent {
        let count = 1 + random.below(4);
        let records = (0..count).map(|_| {
            let key = alloc::format!("key {}", random.below(KEYS)).into_bytes();
            let value = (!random.one_in(4)).then(|| alloc::vec![b'a' + random.below(26) as u8; random.index(120)]);
            let timestamp = Timestamp(now.0 - i64::try_from(random.below(5)).unwrap_or_default());
            Appended { key, value, timestamp }
        });
        let records = records.collect();
        let producer = match random.below(PRODUCERS + 1) {
            0 => ProducerInfo::NONE,
            number => {
                let id = ProducerId(i64::try_from(number).unwrap_or_default());
                let last = self.last_of(id);
                let base_sequence = last.map_or(0, |sent| sent.producer.base_sequence + span(sent.base, sent.end));
                ProducerInfo { id, epoch: ProducerEpoch(0), base_sequence, is_transactional: false }
            }
        };
        let codec = Codec::ALL[random.index(Codec::ALL.len())];
        Sent { base: Offset::ZERO, end: Offset::ZERO, producer, records, codec }
    }

    pub(super) fn last_of(&self, producer: ProducerId) -> Option<&Sent> {
        self.sent.iter().rev().find(|sent| sent.producer.id == producer)
    }

    pub(super) fn producers(&self) -> Vec<ProducerId> {
        let mut ids: Vec<ProducerId> = self.sent.iter().map(|sent| sent.producer.id).filter(|id| id.0 >= 0).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// It has its offsets.
    pub(super) fn append(&mut self, base: Offset, sent: Sent) {
        let end = base.plus(i64::try_from(sent.records.len()).unwrap_or_default());
        let offsets = (base.0..).map(Offset);
        self.records.extend(offsets.zip(sent.records.iter().cloned()));
        self.sent.push(Sent { base, end, ..sent });
    }

    pub(super) fn truncate(&mut self, end: Offset) {
        self.records.split_off(&end);
        self.horizons.split_off(&end);
        self.sent.retain(|sent| sent.end <= end);
        self.durable = end;
        self.written = end;
    }

    /// The last record of each key.
    pub(super) fn latest(&self) -> BTreeMap<&[u8], Offset> {
        self.records.iter().map(|(offset, record)| (record.key.as_slice(), *offset)).collect()
    }
}

impl Sent {
    pub(super) fn build(&self) -> ValidatedBatch {
        let mut builder = BatchBuilder::new();
        for record in &self.records {
            builder.append(record.timestamp, Some(&record.key), record.value.as_deref(), &[]);
        }
        let built = builder.build_validated(self.codec, None, self.producer);
        built.expect("the codecs take anything").expect("there is at least one record")
    }
}

fn span(base: Offset, end: Offset) -> i32 {
    i32::try_from(end.0 - base.0).unwrap_or_default()
}
