//! Reading a decoder to its end, but no further than allowed.

use alloc::vec::Vec;

use super::CompressionError;
use super::std::io::Read;

/// Read by so much at least; the buffer doubles from there.
const STEP_BYTES: usize = 16 * 1024;

/// All that `reader` gives, or an error once that is more than `limit_bytes`.
pub(super) fn read_all(mut reader: impl Read, limit_bytes: usize) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::new();
    let mut filled = 0;
    loop {
        if filled == output.len() {
            // One byte beyond the limit tells a full output from one that goes on.
            let grown = (filled * 2).max(STEP_BYTES).min(limit_bytes.saturating_add(1));
            output.resize(grown, 0);
        }
        match reader.read(&mut output[filled..])? {
            0 => break,
            count => filled += count,
        }
        if filled > limit_bytes {
            return Err(CompressionError::TooLarge { limit_bytes });
        }
    }
    output.truncate(filled);
    Ok(output)
}
