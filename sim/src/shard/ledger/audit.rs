//! A shard's own figures, held against one another and against what clients were told.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use flumen_broker::PartitionAudit;
use flumen_log::store::Durability;

use super::{Ledger, Life, Outcome, policy::NewStart};

impl Ledger {
    /// A shard was looked at between two events.
    pub(crate) fn audit(&mut self, audit: &PartitionAudit) {
        let journaled = audit.durability == Durability::Journaled;
        let (start, watermark) = (audit.log_start.0, audit.high_watermark.0);
        let (durable, end, next) = (audit.durable.0, audit.log_end.0, audit.next_offset.0);
        let Some((topic, index)) = self.find(audit.partition) else { return };
        let always_synced = self.topics[topic].always_synced;
        let facts = &self.topics[topic].partitions[index];
        if start > facts.deletable {
            let is_first_look = facts.epoch_is_old;
            self.may_be_retention(topic, index, NewStart { start, size_bytes: audit.size_bytes, is_first_look });
        }
        let facts = &mut self.topics[topic].partitions[index];
        let mut complaint = None;
        let mut check = |holds: bool, rule: &str| {
            if !holds && complaint.is_none() {
                complaint = Some(rule.to_string());
            }
        };
        check(start <= watermark, "log start <= high watermark");
        check(watermark <= end && durable <= end && end <= next, "high watermark, durable <= log end <= next offset");
        check(!always_synced || watermark <= durable, "high watermark <= durable");
        check(watermark >= facts.high_watermark, "the high watermark never falls");
        check(end >= facts.log_end, "the log end never falls");
        check(start <= facts.deletable, "the log starts no later than anybody asked for, or retention allows");
        check(start >= facts.deleted, "the log starts no earlier than anybody was told");
        check(end >= facts.strong_end, "what is durable is there");
        check(!always_synced || durable >= facts.strong_end, "what is acknowledged is durable");
        check(end >= facts.told_end(), "what was told is there");
        check(audit.leader_epoch >= facts.leader_epoch, "the leader epoch never falls");
        check(!facts.epoch_is_old || audit.leader_epoch > facts.leader_epoch, "a start raises the leader epoch");
        facts.high_watermark = watermark;
        facts.log_end = end;
        facts.leader_epoch = audit.leader_epoch;
        facts.epoch_is_old = false;
        if journaled {
            facts.strong_end = facts.strong_end.max(durable);
        }
        if let Some(rule) = complaint {
            let facts = format!("strong {}, told {}", facts.strong_end, facts.told_end());
            self.violation(format!(
                "topic {topic} partition {index}: not so: {rule}: start {start}, watermark {watermark}, durable {durable}, end {end}, next {next}, {facts}"
            ));
        }
    }

    /// The whole of a partition was read from its start to its end, when all was quiet.
    pub(crate) fn read_whole(&mut self, topic: usize, partition: i32, start: i64, end: i64) {
        if self.topics[topic].life != Life::Made {
            return;
        }
        let forgets_deleted = self.forgets_deleted;
        let Some(facts) = self.partition(topic, partition) else { return };
        let records: Vec<(i64, u64)> = facts.truth.range(start..).map(|(offset, record)| (*offset, *record)).collect();
        let held = usize::try_from(end - start).unwrap_or_default();
        let mut complaints: Vec<String> = Vec::new();
        if records.len() != held || records.last().is_some_and(|(offset, _)| *offset >= end) {
            complaints.push(format!("{} records are known of {held} between {start} and {end}", records.len()));
        }
        // Also where what was there first was deleted since: a batch sent again must be known for it.
        let mut places = BTreeMap::new();
        for (offset, record) in &facts.truth {
            if let Some(before) = places.insert(*record, *offset)
                && !(forgets_deleted && before < start)
            {
                complaints.push(format!("record {record} is there twice, at {before} and {offset}"));
            }
        }
        let mut sequences: BTreeMap<i64, i64> = BTreeMap::new();
        for (offset, record) in &records {
            let Some(sent) = self.batch_of(*record) else { continue };
            let Some((producer, sequence)) = sent.producer else { continue };
            let sequence = i64::from(sequence) + i64::try_from(record - sent.first).unwrap_or_default();
            if let Some(before) = sequences.insert(producer, sequence)
                && before >= sequence
            {
                complaints.push(format!("producer {producer}: sequence {sequence} at {offset} follows {before}"));
            }
        }
        for complaint in complaints {
            self.violation(format!("topic {topic} partition {partition}: {complaint}"));
        }
    }

    /// Records acknowledged.
    pub(crate) fn acked_records(&self) -> u64 {
        self.sent.iter().filter(|sent| sent.outcome == Outcome::Acked).map(|sent| sent.count).sum()
    }
}
