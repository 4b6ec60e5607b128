//! The records of `__consumer_offsets` that hold a group's positions, in Kafka's own formats.
//!
//! A key starts with the number of its kind, a value with its version. Kinds that belong to group membership are named by
//! number only: whoever replays the topic passes over them.

use core::fmt;

use bytes::Bytes;
use flumen_protocol_derive::Message;

use crate::codec::limits::{REQUEST_BUDGET_FLOOR_BYTES, REQUEST_BUDGET_PER_BYTE};
use crate::codec::{EncodeError, Malformed, Message, Reader, Value, Writer};
use crate::{Text, Uuid};

/// Whose position a record holds.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
#[message(versions = "0", flexible = "none")]
pub struct OffsetCommitKey {
    /// The consumer group id.
    #[field(versions = "0")]
    pub group: Text,
    /// The topic name.
    #[field(versions = "0")]
    pub topic: Text,
    /// The topic partition index.
    #[field(versions = "0")]
    pub partition: i32,
}

/// A position. A record without a value (a tombstone) says that there is none any more.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
#[message(versions = "0-4", flexible = "4+")]
pub struct OffsetCommitValue {
    /// The offset that the consumer wants to store (for this partition).
    #[field(versions = "0+")]
    pub offset: i64,
    /// The leader epoch of the last consumed record.
    #[field(versions = "3+", default = -1, ignorable)]
    pub leader_epoch: i32,
    /// Any metadata the client wants to keep.
    #[field(versions = "0+")]
    pub metadata: Text,
    /// The time at which the commit was added to the log.
    #[field(versions = "0+")]
    pub commit_timestamp: i64,
    /// The time at which the offset will expire.
    #[field(versions = "1", default = -1, ignorable)]
    pub expire_timestamp: i64,
    /// The topic id of the committed offset.
    #[field(versions = "4+", tag = 0, ignorable)]
    pub topic_id: Uuid,
}

/// The key of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The record holds a position.
    OffsetCommit(OffsetCommitKey),
    /// The record is of another kind, which has this number.
    Other(i16),
}

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The value is of a version that Kafka 4.4 does not have.
    UnsupportedVersion(i16),
    /// The bytes are not what they say they are.
    Malformed(Malformed),
}

/// The kind of an [`OffsetCommitKey`]. Kind 0 is an older one of the same form.
const OFFSET_COMMIT_KIND: i16 = 1;

impl Key {
    /// Decodes a key.
    ///
    /// # Errors
    ///
    /// Where the bytes are not a key.
    pub fn decode(bytes: Bytes) -> Result<Self, RecordError> {
        let (kind, mut reader) = open(bytes)?;
        if !(0..=OFFSET_COMMIT_KIND).contains(&kind) {
            return Ok(Self::Other(kind));
        }
        Ok(Self::OffsetCommit(OffsetCommitKey::read(&mut reader)?))
    }
}

impl OffsetCommitKey {
    /// Encodes the key with the number of its kind.
    ///
    /// # Errors
    ///
    /// Where a string is too long.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        encode(OFFSET_COMMIT_KIND, 0, self)
    }
}

impl OffsetCommitValue {
    /// The version that Kafka 4.4 writes: 1 where the position has a time to expire of its own, 4 otherwise.
    #[must_use]
    pub fn version_to_write(&self) -> i16 {
        if self.expire_timestamp == -1 { 4 } else { 1 }
    }

    /// Encodes the value with its version.
    ///
    /// # Errors
    ///
    /// Where there is no such version, or the metadata is too long.
    pub fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(EncodeError::VersionNotInApi { version });
        }
        encode(version, version, self)
    }

    /// Decodes a value.
    ///
    /// # Errors
    ///
    /// Where the bytes are not a value of a known version.
    pub fn decode(bytes: Bytes) -> Result<Self, RecordError> {
        let (version, mut reader) = open(bytes)?;
        if !Self::VERSIONS.contains(&version) {
            return Err(RecordError::UnsupportedVersion(version));
        }
        reader.switch(version, version >= Self::FLEXIBLE_FROM);
        Ok(Self::read(&mut reader)?)
    }
}

/// The number that a key or a value starts with, and a reader behind it.
fn open(bytes: Bytes) -> Result<(i16, Reader), RecordError> {
    let budget_bytes = REQUEST_BUDGET_FLOOR_BYTES.saturating_add(bytes.len().saturating_mul(REQUEST_BUDGET_PER_BYTE));
    let mut reader = Reader::new(bytes, 0, false, budget_bytes);
    let number = i16::read(&mut reader)?;
    Ok((number, reader))
}

fn encode<T: Message>(number: i16, version: i16, body: &T) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new(version, version >= T::FLEXIBLE_FROM, 2 + body.size_bound());
    number.write(&mut writer);
    body.write(&mut writer);
    let (bytes, refusal) = writer.finish();
    refusal.map_or_else(|| Ok(Bytes::from(bytes)), Err)
}

impl From<Malformed> for RecordError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedVersion(version) => write!(formatter, "a committed offset has no version {version}"),
            Self::Malformed(malformed) => malformed.fmt(formatter),
        }
    }
}

impl core::error::Error for RecordError {}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Key, OffsetCommitKey, OffsetCommitValue, RecordError};
    use crate::{Malformed, Text, Uuid};

    #[test]
    fn keys_of_both_kinds_of_offset_commit_are_read() {
        let key = OffsetCommitKey { group: Text::from_static("g"), topic: Text::from_static("t"), partition: 7 };
        let bytes = key.encode().unwrap();
        assert_eq!(&bytes[..], [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 7]);
        assert_eq!(Key::decode(bytes), Ok(Key::OffsetCommit(key.clone())));
        let legacy = Bytes::from_static(&[0, 0, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 7]);
        assert_eq!(Key::decode(legacy), Ok(Key::OffsetCommit(key)));
        assert_eq!(Key::decode(Bytes::from_static(&[0, 2, 0, 1, b'g'])), Ok(Key::Other(2)));
        assert_eq!(Key::decode(Bytes::from_static(&[0])), Err(RecordError::Malformed(Malformed::Truncated)));
    }

    #[test]
    fn values_keep_what_their_version_carries() {
        let value = OffsetCommitValue {
            offset: 42,
            leader_epoch: 3,
            metadata: Text::from_static("m"),
            commit_timestamp: 99,
            expire_timestamp: 100,
            topic_id: Uuid([5; 16]),
        };
        for version in 0..=4 {
            let expected = OffsetCommitValue {
                leader_epoch: if version >= 3 { 3 } else { -1 },
                expire_timestamp: if version == 1 { 100 } else { -1 },
                topic_id: if version == 4 { Uuid([5; 16]) } else { Uuid::ZERO },
                ..value.clone()
            };
            assert_eq!(OffsetCommitValue::decode(value.encode(version).unwrap()), Ok(expected));
        }
        assert_eq!(value.version_to_write(), 1);
        assert_eq!(OffsetCommitValue { expire_timestamp: -1, ..value }.version_to_write(), 4);
        assert_eq!(OffsetCommitValue::decode(Bytes::from_static(&[0, 5])), Err(RecordError::UnsupportedVersion(5)));
    }
}
