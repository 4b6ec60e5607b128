//! The codecs of record batches: none, gzip, snappy, lz4 frames and zstd.
//!
//! The only module that names `std`: the codec crates insist on `std::io` traits. It still touches no file and no socket.
//! Invariant: decompression hands out at most the limit it was given and works piece by piece, so a small hostile body cannot
//! make much be allocated; a claimed length is believed only as far as the codec could reach it from the bytes that are there.
//!
//! Levels are Kafka's (KIP-390). lz4 takes 1 to 17 and compresses all alike: the pure Rust codec has one speed.

extern crate std;

mod bounded;
mod snappy;
pub mod stepwise;

use alloc::vec::Vec;
use core::fmt;
use std::io::{Error, Write};

use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};
use lz4_flex::frame::{BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

/// How a batch's body is compressed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Raw blocks, or blocks in the frame of the Java library.
    Snappy,
    /// The lz4 frame format.
    Lz4,
    /// RFC 8878.
    Zstd,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of the low three attribute bits.
    #[must_use]
    pub const fn from_id(id: i16) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The low three attribute bits.
    #[must_use]
    pub const fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Kafka's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec of a name; Kafka's topics say `uncompressed` for `none`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "uncompressed" {
            return Some(Self::None);
        }
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// The levels that Kafka takes, and the one it uses where none is said. `None` for a codec without levels.
    #[must_use]
    pub const fn levels(self) -> Option<Levels> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some(Levels { lowest: -1, highest: 9, default: -1 }),
            Self::Lz4 => Some(Levels { lowest: 1, highest: 17, default: 9 }),
            Self::Zstd => Some(Levels { lowest: -131_072, highest: 22, default: 3 }),
        }
    }
}

/// Compression levels of a codec.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Levels {
    /// The fastest.
    pub lowest: i32,
    /// The smallest.
    pub highest: i32,
    /// Where none is said.
    pub default: i32,
}

/// Why bytes were not compressed or decompressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompressionError {
    /// The output would be larger than allowed.
    TooLarge {
        /// What is allowed.
        limit_bytes: usize,
    },
    /// The bytes are not of the codec.
    Invalid,
}

impl fmt::Display for CompressionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit_bytes } => write!(formatter, "it holds more than the {limit_bytes} bytes allowed"),
            Self::Invalid => formatter.write_str("the compressed bytes are invalid"),
        }
    }
}

impl From<Error> for CompressionError {
    fn from(_: Error) -> Self {
        Self::Invalid
    }
}

/// The largest window a zstd body may ask for, as a power of two: what Kafka's producers ask for at level 22, and what its
/// consumers take. The codec reserves that much address space and touches as much of it as there is output.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Decompress a body to at most `limit_bytes`.
///
/// # Errors
/// The bytes are not of the codec, or hold more.
pub fn decompress(codec: Codec, bytes: &[u8], limit_bytes: usize) -> Result<Vec<u8>, CompressionError> {
    match codec {
        Codec::None if bytes.len() > limit_bytes => Err(CompressionError::TooLarge { limit_bytes }),
        Codec::None => Ok(bytes.to_vec()),
        Codec::Gzip => bounded::read_all(MultiGzDecoder::new(bytes), limit_bytes),
        Codec::Snappy => snappy::decompress(bytes, limit_bytes),
        Codec::Lz4 => bounded::read_all(FrameDecoder::new(bytes), limit_bytes),
        Codec::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            bounded::read_all(decoder, limit_bytes)
        }
    }
}

/// Compress a body. A level outside the codec's range is taken to its nearest end; without one it is the codec's default.
///
/// # Errors
/// The codec gave up, for want of memory at most.
pub fn compress(codec: Codec, level: Option<i32>, bytes: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let level = level_of(codec, level);
    match codec {
        Codec::None => Ok(bytes.to_vec()),
        Codec::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), gzip_level(level));
            encoder.write_all(bytes)?;
            Ok(encoder.finish()?)
        }
        Codec::Snappy => snappy::compress(bytes),
        Codec::Lz4 => {
            let mut encoder = FrameEncoder::with_frame_info(lz4_frame(), Vec::new());
            encoder.write_all(bytes)?;
            encoder.finish().map_err(|_| CompressionError::Invalid)
        }
        // At once, so that the frame says its size and asks for no larger window than that.
        Codec::Zstd => Ok(zstd::bulk::compress(bytes, level)?),
    }
}

fn level_of(codec: Codec, level: Option<i32>) -> i32 {
    codec.levels().map_or(0, |levels| level.unwrap_or(levels.default).clamp(levels.lowest, levels.highest))
}

fn gzip_level(level: i32) -> Compression {
    u32::try_from(level).map_or_else(|_| Compression::default(), Compression::new)
}

/// Java's reader takes independent blocks only.
fn lz4_frame() -> FrameInfo {
    FrameInfo::new().block_size(BlockSize::Max64KB)
}

#[cfg(test)]
mod tests;
