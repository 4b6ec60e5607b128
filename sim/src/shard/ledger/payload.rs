//! Records whose value says which record it is, and what the rest of it must be.

use alloc::{string::String, vec::Vec};
use bytes::Bytes;
use flumen_log::{
    Timestamp,
    batch::{BatchBuilder, BatchHeader, ProducerInfo, RecordBatch, StoredRead, read_stored},
    compression::Codec,
};

use crate::random::Random;

/// Most bytes a batch of this world decompresses to.
const DECOMPRESSED_BYTES: usize = 1 << 20;
/// Bytes of a record's number at the front of its value.
const NUMBER_BYTES: usize = 8;

/// A batch of `count` records, numbered from `first`, each of about `bytes`.
pub(crate) fn batch(first: u64, count: u64, bytes: usize, now: Timestamp, producer: ProducerInfo) -> Bytes {
    let mut builder = BatchBuilder::new();
    for number in first..first + count {
        builder.append(now, Some(&number.to_be_bytes()), Some(&value(number, bytes)), &[]);
    }
    builder.build(Codec::None, None, producer).expect("no codec, nothing to give up on")
}

fn value(number: u64, bytes: usize) -> Vec<u8> {
    let mut value = number.to_be_bytes().to_vec();
    let mut random = Random::new(number);
    value.resize_with(NUMBER_BYTES + bytes, || random.next().to_be_bytes()[0]);
    value
}

/// A batch as it was fetched.
#[derive(Clone, Debug)]
pub(crate) struct FetchedBatch {
    pub(crate) header: BatchHeader,
    /// The numbers of its records, in order.
    pub(crate) numbers: Vec<u64>,
}

/// Take fetched bytes apart. A partial batch at the end is left out, as clients leave it out.
pub(crate) fn read(bytes: &Bytes) -> Result<Vec<FetchedBatch>, String> {
    let mut batches = Vec::new();
    let mut rest = bytes.clone();
    loop {
        let header = match read_stored(&rest) {
            StoredRead::Batch(stored) => stored.header,
            StoredRead::End | StoredRead::Incomplete { .. } => return Ok(batches),
            StoredRead::Corrupt(fault) => return Err(alloc::format!("bytes that are no batch: {fault}")),
        };
        let length = header.total_bytes();
        let records = RecordBatch::records(&rest, DECOMPRESSED_BYTES).map_err(|error| alloc::format!("{error:?}"))?;
        let mut numbers = Vec::new();
        for view in records.views() {
            let view = view.map_err(|fault| alloc::format!("a bad record: {fault:?}"))?;
            numbers.push(number(view.value.unwrap_or_default())?);
        }
        batches.push(FetchedBatch { header, numbers });
        rest = rest.slice(length..);
    }
}

/// Which record this is; all of its bytes are looked at.
fn number(found: &[u8]) -> Result<u64, String> {
    let number = found.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)).ok_or("a record without a number")?;
    if found == value(number, found.len() - NUMBER_BYTES) {
        Ok(number)
    } else {
        Err(alloc::format!("record {number} is not as it was sent"))
    }
}
