//! Reading everything back: each acknowledged record once, unaltered, at its offset; nothing that was never sent; nothing twice.

use super::load::{Ledger, PARTITIONS};
use super::payload::Identity;
use super::wire::Connection;
use crate::tally::Outcome;
use bytes::Bytes;
use flumen_log::batch::{BatchHeader, RecordBatch};
use flumen_protocol::fetch::{FetchPartition, FetchRequest, FetchTopic};
use flumen_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use flumen_protocol::{ErrorCode, Records, Request, Response, Text};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// How long what is acknowledged may take to be seen by readers.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Something acknowledged is not there, or not as it was.
#[derive(Debug)]
pub(crate) struct Loss(pub(super) String);

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "loss: {}", self.0)
    }
}

impl std::error::Error for Loss {}

/// How much is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What came since the last look.
    New,
    /// Everything there is.
    All,
}

/// Compares every partition with the ledger.
pub(crate) fn verify(address: &str, ledger: &mut Ledger, extent: Extent) -> Outcome<()> {
    let mut connection = Connection::open(address)?;
    for kind in ledger.kept() {
        for partition in 0..PARTITIONS {
            let place = (kind.topic, partition);
            let begin = if extent == Extent::All { &ledger.starts } else { &ledger.seen };
            let start = begin.get(&place).copied().unwrap_or_default();
            let due = ledger.acknowledged.get(&place).and_then(BTreeMap::last_key_value).map_or(0, |(last, _)| last + 1);
            let end = end_offset_from(&mut connection, place, due)?;
            let found = read(&mut connection, place, start, end)?;
            compare(place, start, &found, ledger)?;
            ledger.seen.insert(place, end);
        }
    }
    Ok(())
}

type Place = (&'static str, i32);

/// One partition: what is acknowledged from `start` on is there, and what is there was sent, and once.
fn compare(place: Place, start: i64, found: &BTreeMap<i64, Identity>, ledger: &mut Ledger) -> Outcome<()> {
    let acknowledged = ledger.acknowledged.entry(place).or_default();
    let missing: Vec<i64> = acknowledged
        .range(start..)
        .filter(|(offset, identity)| found.get(offset) != Some(*identity))
        .map(|(offset, _)| *offset)
        .collect();
    if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
        let there = found.get(first);
        let what = format!(
            "{place:?}: {} acknowledged records are not at their offsets {first}..={last}; at the first is {there:?}, was {:?}; the log ends at {:?}",
            missing.len(),
            acknowledged.get(first),
            found.last_key_value().map(|(offset, _)| *offset)
        );
        return Err(Loss(what).into());
    }
    let mut whose: BTreeMap<Identity, i64> = BTreeMap::new();
    for (offset, identity) in found {
        if let Some(before) = whose.insert(*identity, *offset) {
            return Err(format!("{place:?}: {identity:?} is there twice, at {before} and {offset}").into());
        }
        if !acknowledged.contains_key(offset) {
            // Sent by a producer that does not send again, and never answered: it may be there, but only once ever.
            if !ledger.open.remove(identity) {
                return Err(format!("{place:?}: {identity:?} at {offset} was not sent, or is there a second time").into());
            }
            acknowledged.insert(*offset, *identity);
        }
    }
    Ok(())
}

/// The end offset, once it has followed what is acknowledged: acks=1 is acknowledged before it is synced, and seen after. If it
/// does not follow, what it is: then something is missing.
fn end_offset_from(connection: &mut Connection, place: Place, due: i64) -> Outcome<i64> {
    let deadline = Instant::now() + FOLLOWS_WITHIN;
    loop {
        let end = end_offset(connection, place)?;
        if end >= due || Instant::now() > deadline {
            return Ok(end);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn end_offset(connection: &mut Connection, (topic, partition_index): Place) -> Outcome<i64> {
    let partitions = vec![ListOffsetsPartition { partition_index, timestamp: -1, ..Default::default() }];
    let topics = vec![ListOffsetsTopic { name: Text::from_static(topic), partitions }];
    let request = Request::ListOffsets(ListOffsetsRequest { replica_id: -1, topics, ..Default::default() });
    let Response::ListOffsets(response) = connection.ask(7, &request)? else { return Err("no end offset".into()) };
    let answer = response.topics.first().and_then(|topic| topic.partitions.first()).ok_or("an empty answer")?;
    match answer.error_code {
        ErrorCode::None => Ok(answer.offset),
        other => Err(format!("{topic} {partition_index}: {other:?}").into()),
    }
}

/// Every record from one offset to another, each checked against what its identity says it must be.
fn read(connection: &mut Connection, place: Place, start: i64, end: i64) -> Outcome<BTreeMap<i64, Identity>> {
    let mut found = BTreeMap::new();
    let mut offset = start;
    while offset < end {
        let bytes = fetch(connection, place, offset)?;
        let before = offset;
        let mut rest = bytes.clone();
        while let Ok(header) = BatchHeader::parse(&rest) {
            if rest.len() < header.total_bytes() {
                break;
            }
            let batch = rest.split_to(header.total_bytes());
            for record in RecordBatch::records(&batch, 1 << 28).map_err(|error| format!("{place:?} at {offset}: {error:?}"))? {
                let record = record.map_err(|fault| format!("{place:?} at {offset}: {fault:?}"))?;
                let value = record.value.unwrap_or_default();
                let identity = Identity::of(&value).ok_or_else(|| format!("{place:?}: a strange record at {}", record.offset))?;
                if identity.value() != value {
                    return Err(Loss(format!("{place:?}: {identity:?} at {} is altered", record.offset)).into());
                }
                if record.offset.0 >= start {
                    found.insert(record.offset.0, identity);
                }
                offset = record.offset.0 + 1;
            }
        }
        if offset == before {
            return Err(Loss(format!("{place:?}: nothing at {offset}, and the log ends at {end}")).into());
        }
    }
    Ok(found)
}

fn fetch(connection: &mut Connection, (topic, partition): Place, fetch_offset: i64) -> Outcome<Bytes> {
    let partitions = vec![FetchPartition { partition, fetch_offset, partition_max_bytes: 8 << 20, ..Default::default() }];
    let topics = vec![FetchTopic { topic: Text::from_static(topic), partitions, ..Default::default() }];
    let request = FetchRequest { max_wait_ms: 1000, min_bytes: 1, max_bytes: 8 << 20, topics, ..Default::default() };
    let Response::Fetch(response) = connection.ask(12, &Request::Fetch(request))? else { return Err("no data".into()) };
    let data = response.responses.into_iter().flat_map(|topic| topic.partitions).next().ok_or("an empty answer")?;
    match data.error_code {
        ErrorCode::None => Ok(data.records.as_ref().and_then(Records::inline).cloned().unwrap_or_default()),
        other => Err(Loss(format!("{topic} {partition}: {other:?} at {fetch_offset}")).into()),
    }
}
