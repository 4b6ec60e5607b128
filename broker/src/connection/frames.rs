//! From a stream of bytes to request frames.
//!
//! A frame is a 32-bit length and so many bytes. Nothing is reserved for a frame here: the length is checked against the
//! limit and the shard's budget first, and only then are its bytes asked for (Q07, C02).

use bytes::{Buf, Bytes};

/// Bytes received and not yet taken as frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    unparsed: Bytes,
}

/// What the bytes received so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A whole frame of so many bytes is here: [`Frames::take`] it.
    Whole { length: usize },
    /// A frame of so many bytes has begun; receive until so many bytes are here in all.
    Begun { length: usize, at_least: usize },
    /// Not even a length is here; receive until so many bytes are here in all.
    Nothing { at_least: usize },
    /// The length is negative or above the limit. The connection cannot go on.
    Refused { length: i32 },
}

const PREFIX_BYTES: usize = 4;

impl Frames {
    /// Bytes arrived; they begin with what [`Frames::remainder`] gave.
    pub(crate) fn received(&mut self, data: Bytes) {
        self.unparsed = data;
    }

    /// Look at the next frame without taking it.
    pub(crate) fn peek(&self, limit_bytes: usize) -> Next {
        let Some(prefix) = self.unparsed.first_chunk::<PREFIX_BYTES>() else {
            return Next::Nothing { at_least: PREFIX_BYTES };
        };
        let length = i32::from_be_bytes(*prefix);
        match usize::try_from(length) {
            Ok(bytes) if bytes <= limit_bytes => {
                let total = PREFIX_BYTES + bytes;
                if self.unparsed.len() >= total {
                    Next::Whole { length: bytes }
                } else {
                    Next::Begun { length: bytes, at_least: total }
                }
            }
            _ => Next::Refused { length },
        }
    }

    /// Take the whole frame that [`Frames::peek`] saw.
    pub(crate) fn take(&mut self, length: usize) -> Bytes {
        self.unparsed.advance(PREFIX_BYTES);
        self.unparsed.split_to(length)
    }

    /// What the next receive has to begin with. Leaves nothing behind.
    pub(crate) fn remainder(&mut self) -> Bytes {
        core::mem::take(&mut self.unparsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut bytes = i32::try_from(body.len()).expect("small").to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn two_frames_and_a_beginning_arrive_at_once() {
        let mut stream = frame(b"one");
        stream.extend(frame(b""));
        stream.extend(&frame(b"third")[..6]);
        let mut frames = Frames::default();
        frames.received(Bytes::from(stream));
        assert_eq!(frames.peek(100), Next::Whole { length: 3 });
        assert_eq!(frames.take(3), "one");
        assert_eq!(frames.peek(100), Next::Whole { length: 0 });
        assert_eq!(frames.take(0), "");
        assert_eq!(frames.peek(100), Next::Begun { length: 5, at_least: 9 });
        assert_eq!(frames.remainder(), &frame(b"third")[..6]);
    }

    #[test]
    fn c02_a_negative_or_too_large_length_is_refused_before_its_bytes_are_asked_for() {
        let mut frames = Frames::default();
        frames.received(Bytes::copy_from_slice(&(-1i32).to_be_bytes()));
        assert_eq!(frames.peek(100), Next::Refused { length: -1 });
        frames.received(Bytes::copy_from_slice(&101i32.to_be_bytes()));
        assert_eq!(frames.peek(100), Next::Refused { length: 101 });
        // A TLS client hello read as a length.
        frames.received(Bytes::copy_from_slice(&[0x16, 3, 1, 0]));
        assert!(matches!(frames.peek(100 << 20), Next::Refused { .. }));
    }

    #[test]
    fn fewer_than_four_bytes_say_nothing() {
        let mut frames = Frames::default();
        frames.received(Bytes::from_static(&[0, 0]));
        assert_eq!(frames.peek(100), Next::Nothing { at_least: 4 });
    }
}
