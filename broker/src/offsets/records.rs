//! Commits as Kafka's records.
//!
//! Records of other kinds (groups' metadata) are passed over; what cannot be understood is no reason to stop a replay.

use bytes::Bytes;
use flumen_log::{
    Timestamp,
    batch::{BatchBuilder, ProducerInfo, ValidatedBatch},
    compression::Codec,
};
use flumen_protocol::{
    Text,
    offsets_topic::{Key, OffsetCommitKey, OffsetCommitValue},
};

use super::coordinator::{Commit, CommitKey};

/// A name longer than a record's string can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unencodable;

/// A batch of commits and removals.
pub(super) fn batch<'a>(
    records: impl Iterator<Item = (&'a CommitKey, Option<&'a Commit>)>,
    now: Timestamp,
) -> Result<ValidatedBatch, Unencodable> {
    let mut builder = BatchBuilder::new();
    for (key, commit) in records {
        let key = encode_key(key)?;
        let value = commit.map(encode_value).transpose()?;
        builder.append(now, Some(&key), value.as_deref(), &[]);
    }
    builder.build_validated(Codec::None, None, ProducerInfo::NONE).map_err(|_| Unencodable)?.ok_or(Unencodable)
}

fn encode_key(key: &CommitKey) -> Result<Bytes, Unencodable> {
    let key = OffsetCommitKey {
        group: Text::from(key.group.as_str()),
        topic: Text::from(key.topic.as_str()),
        partition: key.partition,
    };
    key.encode().map_err(|_| Unencodable)
}

fn encode_value(commit: &Commit) -> Result<Bytes, Unencodable> {
    let value = OffsetCommitValue {
        offset: commit.offset,
        leader_epoch: commit.leader_epoch,
        metadata: Text::from(commit.metadata.as_str()),
        commit_timestamp: commit.committed_at_ms,
        expire_timestamp: commit.expires_at_ms.unwrap_or(-1),
        ..OffsetCommitValue::default()
    };
    value.encode(value.version_to_write()).map_err(|_| Unencodable)
}

/// A record of the topic, if it is a commit or the removal of one.
pub(super) fn decode(key: &Bytes, value: Option<&Bytes>) -> Option<(CommitKey, Option<Commit>)> {
    let Key::OffsetCommit(key) = Key::decode(key.clone()).ok()? else { return None };
    let key = CommitKey { group: key.group.as_str().into(), topic: key.topic.as_str().into(), partition: key.partition };
    let Some(value) = value else { return Some((key, None)) };
    let value = OffsetCommitValue::decode(value.clone()).ok()?;
    let commit = Commit {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.as_str().into(),
        committed_at_ms: value.commit_timestamp,
        expires_at_ms: (value.expire_timestamp >= 0).then_some(value.expire_timestamp),
    };
    Some((key, Some(commit)))
}
