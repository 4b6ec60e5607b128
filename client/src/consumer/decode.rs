//! Record batches of a fetch response, taken apart into records.

use std::collections::BTreeSet;

use bytes::Bytes;
use flumen_log::batch::{BatchHeader, RecordBatch, StoredRead, read_stored};
use flumen_protocol::fetch::AbortedTransaction;

use crate::{ConsumerRecord, Header};

/// What a partition's bytes held.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) records: Vec<ConsumerRecord>,
    /// The offset behind the last whole batch, or the position asked from.
    pub(super) next_offset: i64,
}

/// What is to be left out.
pub(super) struct Filter<'a> {
    /// Records before this offset: a batch is sent whole, though reading may start in its middle.
    pub(super) position: i64,
    /// Transactions that were aborted, for a reader of committed data.
    pub(super) aborted: Option<&'a [AbortedTransaction]>,
    /// Whether transaction markers are wanted.
    pub(super) include_control: bool,
    /// What one batch may hold, decompressed.
    pub(super) batch_bytes_max: usize,
}

/// Takes `bytes` apart; the last batch may be cut off. On damage, answers the offset and what is wrong.
pub(super) fn decode(bytes: &Bytes, filter: &Filter<'_>) -> Result<Decoded, (i64, String)> {
    let mut decoded = Decoded { records: Vec::new(), next_offset: filter.position };
    let mut aborted = Aborted::new(filter.aborted.unwrap_or_default());
    let mut at = 0;
    loop {
        let batch = match read_stored(&bytes[at..]) {
            StoredRead::Batch(batch) => batch,
            StoredRead::End | StoredRead::Incomplete { .. } => return Ok(decoded),
            StoredRead::Corrupt(fault) => return Err((decoded.next_offset, fault.to_string())),
        };
        let whole = bytes.slice(at..at + batch.bytes.len());
        at += whole.len();
        let header = batch.header;
        let last_offset = header.base_offset.0.saturating_add(i64::from(header.last_offset_delta));
        if last_offset < filter.position {
            continue;
        }
        let is_aborted = aborted.reaches(&header, last_offset);
        let damaged = |reason: String| (header.base_offset.0, reason);
        let wanted = if header.attributes.is_control() { filter.include_control } else { !is_aborted };
        if wanted || header.attributes.is_control() {
            let records =
                RecordBatch::records(&whole, filter.batch_bytes_max).map_err(|problem| damaged(problem.message.to_string()))?;
            for record in records {
                let record = record.map_err(|fault| damaged(format!("{fault:?}")))?;
                if header.attributes.is_control() && is_abort_marker(record.key.as_deref()) {
                    aborted.ends(header.producer_id.0);
                }
                if wanted && record.offset.0 >= filter.position {
                    decoded.records.push(consumer_record(&header, record));
                }
            }
        }
        decoded.next_offset = last_offset.saturating_add(1);
    }
}

fn consumer_record(header: &BatchHeader, record: flumen_log::batch::Record) -> ConsumerRecord {
    let named = |header: flumen_log::batch::RecordHeader| Header {
        key: String::from_utf8_lossy(&header.key).into_owned(),
        value: header.value,
    };
    ConsumerRecord {
        offset: record.offset.0,
        timestamp: record.timestamp.0,
        key: record.key,
        value: record.value,
        headers: record.headers.into_iter().map(named).collect(),
        attributes: header.attributes.0,
        leader_epoch: header.partition_leader_epoch.0,
        producer_id: header.producer_id.0,
        producer_epoch: header.producer_epoch.0,
    }
}

/// A control record's key: a version, then 0 for abort or 1 for commit.
fn is_abort_marker(key: Option<&[u8]>) -> bool {
    matches!(key, Some([_, _, 0, 0, ..]))
}

/// The producers whose open transaction at the batch in hand was aborted.
struct Aborted<'a> {
    /// In the order of their first offsets.
    ahead: Vec<&'a AbortedTransaction>,
    open: BTreeSet<i64>,
}

impl<'a> Aborted<'a> {
    fn new(transactions: &'a [AbortedTransaction]) -> Self {
        let mut ahead: Vec<_> = transactions.iter().collect();
        ahead.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Self { ahead, open: BTreeSet::new() }
    }

    /// Goes on to a batch; says whether its data was aborted.
    fn reaches(&mut self, header: &BatchHeader, last_offset: i64) -> bool {
        while let Some(next) = self.ahead.pop_if(|next| next.first_offset <= last_offset) {
            self.open.insert(next.producer_id);
        }
        header.attributes.is_transactional() && self.open.contains(&header.producer_id.0)
    }

    fn ends(&mut self, producer: i64) {
        self.open.remove(&producer);
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
