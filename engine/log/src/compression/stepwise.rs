//! Decompressing and compressing a little at a time, for work that must not hold up anything else.
//!
//! Invariant: a step costs about the bytes it was allowed, whatever the whole is. Only snappy, whose blocks are small or not to
//! be had in parts, is done at once: it is fast.

use alloc::{boxed::Box, vec::Vec};
use bytes::Bytes;
use core::fmt;
use flate2::{bufread::MultiGzDecoder, write::GzEncoder};
use lz4_flex::frame::{FrameDecoder, FrameEncoder};

use super::std::io::{Cursor, Read, Write};
use super::{Codec, CompressionError, ZSTD_WINDOW_LOG_MAX, gzip_level, level_of, lz4_frame};

/// A body on its way out of its codec.
pub struct Inflation {
    reader: Option<Box<dyn Read + Send>>,
    output: Vec<u8>,
    limit_bytes: usize,
}

impl fmt::Debug for Inflation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Inflation({} bytes)", self.output.len())
    }
}

impl Inflation {
    /// Begin with this body, to become at most `limit_bytes`.
    ///
    /// # Errors
    /// The bytes are not of the codec, or hold more.
    pub fn begin(codec: Codec, bytes: Bytes, limit_bytes: usize) -> Result<Self, CompressionError> {
        let mut output = Vec::new();
        let reader: Option<Box<dyn Read + Send>> = match codec {
            Codec::None | Codec::Snappy => {
                output = super::decompress(codec, &bytes, limit_bytes)?;
                None
            }
            Codec::Gzip => Some(Box::new(MultiGzDecoder::new(Cursor::new(bytes)))),
            Codec::Lz4 => Some(Box::new(FrameDecoder::new(Cursor::new(bytes)))),
            Codec::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(Cursor::new(bytes))?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Some(Box::new(decoder))
            }
        };
        Ok(Self { reader, output, limit_bytes })
    }

    /// Go on for about `bytes` of output. Whether all of it is there.
    ///
    /// # Errors
    /// The bytes are not of the codec, or hold more than allowed.
    pub fn step(&mut self, bytes: usize) -> Result<bool, CompressionError> {
        let Some(reader) = &mut self.reader else { return Ok(true) };
        let mut left = bytes.max(1);
        while left > 0 {
            let filled = self.output.len();
            self.output.resize(filled + left, 0);
            let count = reader.read(&mut self.output[filled..]);
            self.output.truncate(filled + count.as_ref().copied().unwrap_or_default());
            if self.output.len() > self.limit_bytes {
                return Err(CompressionError::TooLarge { limit_bytes: self.limit_bytes });
            }
            let count = count?;
            if count == 0 {
                self.reader = None;
                return Ok(true);
            }
            left -= count;
        }
        Ok(false)
    }

    /// What came out.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.output.into()
    }
}

/// A payload on its way into a codec.
pub struct Deflation {
    writer: Writer,
    payload: Bytes,
    at: usize,
}

enum Writer {
    Whole(Codec),
    Gzip(GzEncoder<Vec<u8>>),
    Lz4(Box<FrameEncoder<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl fmt::Debug for Deflation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Deflation({} of {} bytes)", self.at, self.payload.len())
    }
}

impl Deflation {
    /// Begin with this payload, at the codec's default level.
    ///
    /// # Errors
    /// The codec gave up.
    pub fn begin(codec: Codec, payload: Bytes) -> Result<Self, CompressionError> {
        let level = level_of(codec, None);
        let writer = match codec {
            Codec::None | Codec::Snappy => Writer::Whole(codec),
            Codec::Gzip => Writer::Gzip(GzEncoder::new(Vec::new(), gzip_level(level))),
            Codec::Lz4 => Writer::Lz4(Box::new(FrameEncoder::with_frame_info(lz4_frame(), Vec::new()))),
            Codec::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
                // The frame then says its size and asks for no larger window than that.
                encoder.set_pledged_src_size(Some(payload.len() as u64))?;
                Writer::Zstd(encoder)
            }
        };
        Ok(Self { writer, payload, at: 0 })
    }

    /// Go on for about `bytes` of input. Whether all of it is taken.
    ///
    /// # Errors
    /// The codec gave up.
    pub fn step(&mut self, bytes: usize) -> Result<bool, CompressionError> {
        let end = self.at.saturating_add(bytes.max(1)).min(self.payload.len());
        let piece = &self.payload[self.at..end];
        match &mut self.writer {
            Writer::Whole(_) => return Ok(true),
            Writer::Gzip(encoder) => encoder.write_all(piece)?,
            Writer::Lz4(encoder) => encoder.write_all(piece)?,
            Writer::Zstd(encoder) => encoder.write_all(piece)?,
        }
        self.at = end;
        Ok(end == self.payload.len())
    }

    /// What came out.
    ///
    /// # Errors
    /// The codec gave up.
    pub fn finish(self) -> Result<Bytes, CompressionError> {
        let output = match self.writer {
            Writer::Whole(codec) => super::compress(codec, None, &self.payload)?,
            Writer::Gzip(encoder) => encoder.finish()?,
            Writer::Lz4(encoder) => encoder.finish().map_err(|_| CompressionError::Invalid)?,
            Writer::Zstd(encoder) => encoder.finish()?,
        };
        Ok(output.into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn payload(bytes: u32) -> Bytes {
        (0..bytes).map(|index| ((index / 7).wrapping_mul(index) % 251) as u8).collect::<Vec<u8>>().into()
    }

    #[test]
    fn in_small_steps_it_comes_to_the_same() {
        for codec in Codec::ALL {
            for size in [0, 1, 1000, 300_000] {
                let payload = payload(size);
                let mut deflation = Deflation::begin(codec, payload.clone()).unwrap();
                let mut steps = 1;
                while !deflation.step(4096).unwrap() {
                    steps += 1;
                }
                let stepwise = !matches!(codec, Codec::None | Codec::Snappy);
                assert_eq!(steps > 70, stepwise && size > 4096 * 70, "{codec:?}");
                let body = deflation.finish().unwrap();
                assert_eq!(super::super::decompress(codec, &body, size as usize).unwrap(), payload);
                let mut inflation = Inflation::begin(codec, body, size as usize).unwrap();
                let mut steps = 1;
                while !inflation.step(4096).unwrap() {
                    steps += 1;
                }
                assert_eq!(steps > 70, stepwise && size > 4096 * 70, "{codec:?}");
                assert_eq!(inflation.finish(), payload, "{codec:?}");
            }
        }
    }

    #[test]
    fn no_more_comes_out_than_allowed() {
        for codec in Codec::ALL {
            let body = Bytes::from(super::super::compress(codec, None, &payload(100_000)).unwrap());
            let outcome = Inflation::begin(codec, body, 50_000).and_then(|mut inflation| {
                while !inflation.step(1000)? {}
                Ok(inflation.finish())
            });
            assert_eq!(outcome, Err(CompressionError::TooLarge { limit_bytes: 50_000 }), "{codec:?}");
        }
    }
}
