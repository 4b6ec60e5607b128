//! What compaction has done to a partition: `compaction.manifest`.
//!
//! It names every segment that compaction wrote, and up to where the log is clean. It is replaced as a whole (written beside,
//! synced, renamed, the directory synced), and that is the moment at which a group's new segment counts: the new file is whole and
//! synced by then under a name of its own, and whoever reads the manifest finishes what is left to do, the renames and the removal
//! of the segments that the new one covers. Written down in `docs/on-disk.md`.

use alloc::collections::BTreeMap;
use alloc::{format, string::String, vec::Vec};

use crate::codec::{Fields, begin_sealed, seal};
use crate::{Offset, PartitionIndex, TopicId, TopicPartition};

/// The file's name in the partition's directory.
pub(crate) const MANIFEST_FILE_NAME: &str = "compaction.manifest";
/// What it is called until it is whole.
pub(crate) const MANIFEST_PARTIAL_NAME: &str = "compaction.manifest.partial";
/// What the names of files end with that compaction has not put in their place yet.
pub(crate) const CLEANED_SUFFIX: &str = ".cleaned";

const MAGIC: [u8; 8] = *b"flumenCM";
const HEADER_BYTES: usize = 56;
const ENTRY_BYTES: usize = 40;

/// A segment that compaction wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CleanedSegment {
    /// Where the next segment starts.
    pub(crate) end: Offset,
    /// Bytes of the file.
    pub(crate) length: u64,
    /// The manifest that first named it; part of the file's name until it is in place.
    pub(crate) generation: u64,
    /// The chain value over its batches.
    pub(crate) chain: u32,
}

/// What the file says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Manifest {
    /// Counts the manifests of the partition.
    pub(crate) generation: u64,
    /// Below this offset no key has two records.
    pub(crate) cleaned_to: Offset,
    /// By base offset.
    pub(crate) segments: BTreeMap<Offset, CleanedSegment>,
}

impl Manifest {
    /// The log ends at `end` now, which is at `position` of a segment whose batches have this chain value up to there: nothing that lies
    /// behind may be taken for something that a cleaned segment covers. Whether the manifest changed.
    pub(crate) fn truncate_from_end(&mut self, end: Offset, position: u64, chain: u32) -> bool {
        let before = self.clone();
        self.cleaned_to = self.cleaned_to.min(end);
        self.segments.retain(|base, _| *base < end);
        if let Some(mut last) = self.segments.last_entry()
            && last.get().end > end
        {
            let last = last.get_mut();
            (last.end, last.length, last.chain) = (end, position, chain);
        }
        *self != before
    }

    /// The file's bytes.
    pub(crate) fn encode(&self, partition: TopicPartition) -> Vec<u8> {
        let mut bytes = begin_sealed(MAGIC, HEADER_BYTES + self.segments.len() * ENTRY_BYTES);
        let count = u32::try_from(self.segments.len()).expect("a partition has fewer segments");
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(&partition.topic.0);
        bytes.extend_from_slice(&partition.partition.0.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.cleaned_to.0.to_be_bytes());
        for (base, segment) in &self.segments {
            bytes.extend_from_slice(&base.0.to_be_bytes());
            bytes.extend_from_slice(&segment.end.0.to_be_bytes());
            bytes.extend_from_slice(&segment.length.to_be_bytes());
            bytes.extend_from_slice(&segment.generation.to_be_bytes());
            bytes.extend_from_slice(&segment.chain.to_be_bytes());
            bytes.extend_from_slice(&[0; 4]);
        }
        seal(&mut bytes);
        bytes
    }

    /// Read the file. `None` unless it is whole and this partition's.
    pub(crate) fn decode(bytes: &[u8], of: TopicPartition) -> Option<Self> {
        let mut fields = Fields::sealed(bytes, MAGIC)?;
        let count = fields.u32()?;
        let partition = TopicPartition { topic: TopicId(fields.array()?), partition: PartitionIndex(fields.i32()?) };
        fields.take(4)?;
        let generation = fields.counted()?;
        let cleaned_to = Offset(fields.i64()?);
        let mut segments = BTreeMap::new();
        for _ in 0..count {
            let base = Offset(fields.i64()?);
            let (end, length, generation) = (Offset(fields.i64()?), fields.u64()?, fields.counted()?);
            // They were written in order, and none is empty: what says otherwise is damaged, checksum or not.
            let follows = segments.last_key_value().is_none_or(|(last, _)| *last < base);
            if base < Offset::ZERO || base >= end || !follows {
                return None;
            }
            segments.insert(base, CleanedSegment { end, length, generation, chain: fields.u32()? });
            fields.take(4)?;
        }
        (partition == of && fields.is_empty()).then_some(Self { generation, cleaned_to, segments })
    }
}

/// The name of a cleaned segment's file while it is not in its place.
pub(crate) fn cleaned_file_name(base: Offset, suffix: &str, generation: u64) -> String {
    format!("{}.{generation}{CLEANED_SUFFIX}", crate::segment::file_name(base, suffix))
}
