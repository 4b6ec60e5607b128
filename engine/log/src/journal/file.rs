//! A journal file: its name and the header in its first block.
//!
//! The header says whose journal it is and under which random id its frames are to be read. Recovery gives every file a new id
//! once all that the old frames hold is in the segments, which makes them void without touching them.

use alloc::{string::String, vec::Vec};

use super::{
    JournalId,
    frame::{ENTRY_OVERHEAD_BYTES, FRAME_HEADER_BYTES},
};
use crate::ShardId;
use crate::codec::{Fields, begin_sealed, seal};
use crate::io::BLOCK_BYTES;

/// Where journals live, relative to the data directory.
pub const JOURNAL_DIRECTORY: &str = "journal";
/// What a file spends at most besides the batches of a frame that fills it alone: its header block, the frame's and entry's
/// headers and the gap before the batches.
pub const FILE_OVERHEAD_BYTES: u64 = (BLOCK_BYTES + FRAME_HEADER_BYTES + ENTRY_OVERHEAD_BYTES) as u64;

const FILE_MAGIC: [u8; 8] = *b"flumenJ1";
const HEADER_BYTES: usize = 64;

/// What a file's first block says about its frames.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FileHeader {
    /// The journal's id: frames that carry another are of another life of the file.
    pub id: JournalId,
    /// The start that gave it. Where files of several are found, what those of the older ones hold was all replayed.
    pub generation: u64,
    /// No frame of this journal with a lower sequence is needed by anybody, in this file or another.
    pub dead_below: u64,
}

/// Names a journal file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JournalFileName {
    /// Whose journal.
    pub shard: ShardId,
    /// Which file of it.
    pub number: u32,
}

impl JournalFileName {
    /// Its path from the data directory.
    #[must_use]
    pub fn path(self) -> String {
        alloc::format!("{JOURNAL_DIRECTORY}/{:05}-{:05}.journal", self.shard.0, self.number)
    }

    /// What a name in [`JOURNAL_DIRECTORY`] means.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (shard, number) = name.strip_suffix(".journal")?.split_once('-')?;
        Some(Self { shard: ShardId(shard.parse().ok()?), number: number.parse().ok()? })
    }

    /// The file's first block.
    #[must_use]
    pub fn header(self, header: &FileHeader) -> Vec<u8> {
        let mut block = begin_sealed(FILE_MAGIC, BLOCK_BYTES);
        block.extend_from_slice(&u32::from(self.shard.0).to_be_bytes());
        block.extend_from_slice(&self.number.to_be_bytes());
        block.extend_from_slice(&[0; 12]);
        block.extend_from_slice(&header.id);
        block.extend_from_slice(&header.generation.to_be_bytes());
        block.extend_from_slice(&header.dead_below.to_be_bytes());
        seal(&mut block);
        block.resize(BLOCK_BYTES, 0);
        block
    }

    /// What a file's first block says; `None` if it is not whole.
    #[must_use]
    pub fn read_header(self, block: &[u8]) -> Option<FileHeader> {
        let mut fields = Fields::sealed(block.get(..HEADER_BYTES)?, FILE_MAGIC)?;
        let shard = fields.u32()?;
        let number = fields.u32()?;
        fields.take(12)?;
        if shard != u32::from(self.shard.0) || number != self.number {
            return None;
        }
        Some(FileHeader { id: fields.array()?, generation: fields.counted()?, dead_below: fields.counted()? })
    }
}
