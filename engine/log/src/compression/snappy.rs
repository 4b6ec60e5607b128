//! Snappy as Kafka's producers write it: one raw block, or the frame of the Java library (xerial).
//!
//! The frame: eight magic bytes, a version and a lowest compatible version (i32 each), then blocks of a length (i32) and as many
//! bytes of raw snappy. Some producers write such a frame more than once in a row.

use alloc::{vec, vec::Vec};
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::CompressionError;

const FRAME_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const FRAME_HEADER_BYTES: usize = 16;
const FRAME_VERSION: i32 = 1;
/// What the Java library cuts its input into.
const BLOCK_BYTES: usize = 32 * 1024;
/// Three bytes of a copy give 64 at most; a block that claims more for its bytes lies.
const EXPANSION_MAX: usize = 22;

/// Decompress either form.
pub(super) fn decompress(bytes: &[u8], limit_bytes: usize) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::new();
    if !bytes.starts_with(&FRAME_MAGIC) {
        append_block(&mut output, bytes, limit_bytes)?;
        return Ok(output);
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        if rest.starts_with(&FRAME_MAGIC) {
            rest = rest.get(FRAME_HEADER_BYTES..).ok_or(CompressionError::Invalid)?;
            continue;
        }
        let (length, blocks) = rest.split_first_chunk::<4>().ok_or(CompressionError::Invalid)?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| CompressionError::Invalid)?;
        let (block, following) = blocks.split_at_checked(length).ok_or(CompressionError::Invalid)?;
        append_block(&mut output, block, limit_bytes)?;
        rest = following;
    }
    Ok(output)
}

fn append_block(output: &mut Vec<u8>, block: &[u8], limit_bytes: usize) -> Result<(), CompressionError> {
    let length = decompress_len(block).map_err(|_| CompressionError::Invalid)?;
    if length > block.len().saturating_mul(EXPANSION_MAX) {
        return Err(CompressionError::Invalid);
    }
    let start = output.len();
    if length > limit_bytes.saturating_sub(start) {
        return Err(CompressionError::TooLarge { limit_bytes });
    }
    output.resize(start + length, 0);
    let written = Decoder::new().decompress(block, &mut output[start..]).map_err(|_| CompressionError::Invalid)?;
    output.truncate(start + written);
    Ok(())
}

/// Compress into the Java library's frame.
pub(super) fn compress(bytes: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::with_capacity(FRAME_HEADER_BYTES + bytes.len() / 2);
    output.extend_from_slice(&FRAME_MAGIC);
    output.extend_from_slice(&FRAME_VERSION.to_be_bytes());
    output.extend_from_slice(&FRAME_VERSION.to_be_bytes());
    let mut encoder = Encoder::new();
    let mut block = vec![0; max_compress_len(BLOCK_BYTES)];
    for chunk in bytes.chunks(BLOCK_BYTES) {
        let length = encoder.compress(chunk, &mut block).map_err(|_| CompressionError::Invalid)?;
        let prefix = i32::try_from(length).map_err(|_| CompressionError::Invalid)?;
        output.extend_from_slice(&prefix.to_be_bytes());
        output.extend_from_slice(&block[..length]);
    }
    Ok(output)
}
