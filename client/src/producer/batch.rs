//! A batch on its way: filled, closed, stamped with a producer's id and sequence, sent, perhaps sent again.
//!
//! Invariant: from its first sending on, a batch's bytes change only by [`Batch::unstamp`], which is called only for a
//! batch that is known not to have been written.

use bytes::Bytes;
use flumen_log::batch::{BatchBuilder, BatchHeader, ProducerInfo};
use flumen_log::compression::Codec;
use tokio::time::Instant;

use super::outcome::Verdict;
use crate::Error;

/// What the CRC does not cover: base offset, length, leader epoch, magic and itself.
const CRC_START: usize = 21;
const CRC_AT: usize = 17;

/// A batch.
#[derive(Debug)]
pub(super) struct Batch {
    content: Content,
    pub(super) record_count: i32,
    pub(super) created: Instant,
    pub(super) verdict: Verdict,
    /// Bytes of the producer's memory that it holds.
    pub(super) reserved: usize,
    /// Its place among the batches of its partition.
    pub(super) number: u64,
    pub(super) stamped: bool,
    pub(super) attempts: u32,
    /// Whether an attempt ended without word, so that it may have been written.
    pub(super) doubtful: bool,
    pub(super) last_error: Option<Error>,
}

#[derive(Debug)]
enum Content {
    Filling(BatchBuilder),
    Encoded(Bytes),
}

impl Batch {
    pub(super) fn new(number: u64, created: Instant) -> Self {
        Self {
            content: Content::Filling(BatchBuilder::new()),
            record_count: 0,
            created,
            verdict: Verdict::default(),
            reserved: 0,
            number,
            stamped: false,
            attempts: 0,
            doubtful: false,
            last_error: None,
        }
    }

    /// The builder, while the batch may grow.
    pub(super) fn builder(&mut self) -> Option<&mut BatchBuilder> {
        match &mut self.content {
            Content::Filling(builder) => Some(builder),
            Content::Encoded(_) => None,
        }
    }

    /// Its size on the wire, or without compression if that is not known yet.
    pub(super) fn size_bytes(&self) -> usize {
        match &self.content {
            Content::Filling(builder) => builder.size_bytes(),
            Content::Encoded(bytes) => bytes.len(),
        }
    }

    /// Its bytes, encoded at the first call; `producer` is taken up unless the batch has its stamp.
    pub(super) fn encode(&mut self, codec: Codec, level: Option<i32>, producer: ProducerInfo) -> Result<Bytes, Error> {
        let bytes = match std::mem::replace(&mut self.content, Content::Encoded(Bytes::new())) {
            Content::Filling(builder) => builder
                .build(codec, level, producer)
                .map_err(|problem| Error::Options(format!("the batch cannot be compressed: {problem}")))?,
            Content::Encoded(bytes) if self.stamped => bytes,
            Content::Encoded(bytes) => restamp(&bytes, producer),
        };
        self.stamped = producer != ProducerInfo::NONE;
        self.content = Content::Encoded(bytes.clone());
        Ok(bytes)
    }

    /// Gives the sequence back: the batch will be sent as a new one.
    pub(super) fn unstamp(&mut self) {
        self.stamped = false;
    }
}

/// The same batch under another id, epoch and sequence.
fn restamp(bytes: &Bytes, producer: ProducerInfo) -> Bytes {
    let mut header = BatchHeader::parse(bytes).expect("a batch that this producer encoded");
    header.producer_id = producer.id;
    header.producer_epoch = producer.epoch;
    header.base_sequence = producer.base_sequence;
    let mut stamped = bytes.to_vec();
    let head = header.encode();
    stamped[..head.len()].copy_from_slice(&head);
    let crc = crc32c::crc32c(&stamped[CRC_START..]);
    stamped[CRC_AT..CRC_START].copy_from_slice(&crc.to_be_bytes());
    stamped.into()
}

#[cfg(test)]
mod tests {
    use flumen_log::batch::{StoredRead, read_stored};
    use flumen_log::{ProducerEpoch, ProducerId, Timestamp};

    use super::*;

    fn producer(id: i64, base_sequence: i32) -> ProducerInfo {
        ProducerInfo { id: ProducerId(id), epoch: ProducerEpoch(1), base_sequence, is_transactional: false }
    }

    #[tokio::test]
    async fn keeps_its_stamp_until_it_is_taken_off() {
        let mut batch = Batch::new(0, Instant::now());
        batch.builder().unwrap().append(Timestamp(1), Some(b"k"), Some(b"v"), &[]);
        let first = batch.encode(Codec::Zstd, None, producer(7, 40)).unwrap();
        assert_eq!(batch.encode(Codec::Zstd, None, producer(8, 0)).unwrap(), first);
        batch.unstamp();
        let second = batch.encode(Codec::Zstd, None, producer(8, 0)).unwrap();
        let StoredRead::Batch(stored) = read_stored(&second) else { panic!("the CRC must hold") };
        assert_eq!((stored.header.producer_id, stored.header.base_sequence), (ProducerId(8), 0));
        assert_eq!(first[61..], second[61..]);
    }
}
