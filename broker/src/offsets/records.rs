//! Commits as Kafka's records: key version 1; value version 3, or 1 where the client asked for its own retention.
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
    offsets_topic::{OffsetCommitKey, OffsetCommitValue},
};

use super::coordinator::{Commit, CommitKey};

/// The version of a commit's key; keys of version 2 and above are other kinds of records.
const KEY_VERSION: i16 = 1;
/// The version of a value with a leader epoch.
const VALUE_VERSION: i16 = 3;
/// The version of a value with its own expiry.
const EXPIRING_VALUE_VERSION: i16 = 1;

/// A batch of commits and removals.
pub(super) fn batch<'a>(
    records: impl Iterator<Item = (&'a CommitKey, Option<&'a Commit>)>,
    now: Timestamp,
) -> Option<ValidatedBatch> {
    let mut builder = BatchBuilder::new();
    for (key, commit) in records {
        let key = encode_key(key);
        let value = commit.map(encode_value);
        builder.append(now, Some(&key), value.as_deref(), &[]);
    }
    builder.build_validated(Codec::None, None, ProducerInfo::NONE).ok()
}

fn encode_key(key: &CommitKey) -> Bytes {
    let key = OffsetCommitKey {
        group: Text::from(key.group.as_str()),
        topic: Text::from(key.topic.as_str()),
        partition: key.partition,
    };
    key.encode(KEY_VERSION)
}

fn encode_value(commit: &Commit) -> Bytes {
    let value = OffsetCommitValue {
        offset: commit.offset,
        leader_epoch: commit.leader_epoch,
        metadata: Text::from(commit.metadata.as_str()),
        commit_timestamp: commit.committed_at_ms,
        expire_timestamp: commit.expires_at_ms.unwrap_or(-1),
        ..OffsetCommitValue::default()
    };
    value.encode(if commit.expires_at_ms.is_some() { EXPIRING_VALUE_VERSION } else { VALUE_VERSION })
}

/// A record of the topic, if it is a commit or the removal of one.
pub(super) fn decode(key: &Bytes, value: Option<&Bytes>) -> Option<(CommitKey, Option<Commit>)> {
    let key = OffsetCommitKey::decode(key.clone()).ok()?;
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
