//! The time as far as it was believed, written down now and then: the next start holds its first reading of the wall clock against
//! it, so that a clock that was set wrong deletes nothing by age because the process came back under it.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

use super::Store;
use super::operations::Then;
use super::script::replace_file;
use crate::codec::{Fields, begin_sealed, seal};
use crate::io::Io;
use crate::{ShardId, Timestamp};

/// How old the record may be while the store runs.
const EVERY_MS: i64 = 600_000;
const MAGIC: [u8; 8] = *b"flumenCL";
const BYTES: usize = 20;
const PREFIX: &str = "steady-clock.";
const PARTIAL_SUFFIX: &str = ".partial";

/// What one shard believed.
pub(crate) struct ClockRecord;

impl ClockRecord {
    fn path(shard: ShardId) -> String {
        alloc::format!("{PREFIX}{shard}")
    }

    /// Whether a file of the log directory is one.
    pub(crate) fn is_name(name: &str) -> bool {
        name.strip_prefix(PREFIX).is_some_and(|shard| shard.bytes().all(|byte| byte.is_ascii_digit()))
    }

    pub(crate) fn encode(wall: Timestamp) -> Vec<u8> {
        let mut bytes = begin_sealed(MAGIC, BYTES);
        bytes.extend_from_slice(&wall.0.to_be_bytes());
        seal(&mut bytes);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Timestamp> {
        let mut fields = Fields::sealed(bytes.get(..BYTES)?, MAGIC)?;
        Some(Timestamp(fields.i64()?))
    }
}

impl Store {
    /// Write down what time it is believed to be, if the record has become old, or lies ahead.
    pub(super) fn record_clock(&mut self, wall: Timestamp, io: &mut Io) {
        let is_fresh = |recorded: Timestamp| (0..EVERY_MS).contains(&(wall.0.saturating_sub(recorded.0)));
        if self.clock_recorded.is_some_and(is_fresh) {
            return;
        }
        self.clock_recorded = Some(wall);
        let path = ClockRecord::path(self.settings.shard);
        let partial = alloc::format!("{path}{PARTIAL_SUFFIX}");
        let content = Bytes::from(ClockRecord::encode(wall));
        self.scripts.start(replace_file(partial, path, String::new(), content), Then::ClockRecorded, io);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_no_other_bytes_are_one() {
        let bytes = ClockRecord::encode(Timestamp(77));
        assert_eq!(ClockRecord::decode(&bytes), Some(Timestamp(77)));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(ClockRecord::decode(&bad), None, "{at}");
        }
        assert_eq!(ClockRecord::decode(&bytes[..BYTES - 1]), None);
        let names = ["steady-clock.0", "steady-clock.0.partial", "steady-clock.x"];
        assert_eq!(names.map(ClockRecord::is_name), [true, false, false]);
    }
}
