//! Writes one frame into one buffer.
//!
//! A value that the version cannot carry is never written wrong: the field is dropped (or written empty, or cut), and the
//! first such refusal is kept for the caller to judge.

use alloc::vec::Vec;

use super::limits::STRING_BYTES_MAX;
use super::{EncodeError, Nullable};
use crate::response::Split;

/// No varint of 32 bits, and no length in any form, is longer.
pub(crate) const VARINT_BOUND: usize = 5;

/// The tag and the size before a tagged field.
pub(crate) const TAGGED_FIELD_BOUND: usize = 2 * VARINT_BOUND;

/// The size before a frame, which does not count itself.
const SIZE_BYTES: usize = 4;

/// What a writer made.
pub(crate) struct Frame {
    /// The frame, its size included.
    pub(crate) bytes: Vec<u8>,
    /// Where others put records in.
    pub(crate) splits: Vec<Split>,
    /// The first value that could not be written as it is.
    pub(crate) refusal: Option<EncodeError>,
}

/// A growing frame, and the version that says how to go on.
pub(crate) struct Writer {
    buffer: Vec<u8>,
    splits: Vec<Split>,
    /// Bytes that others put in at the splits.
    remote_bytes: usize,
    version: i16,
    flexible: bool,
    refusal: Option<EncodeError>,
}

impl Writer {
    /// A writer of up to `capacity` bytes; more are written too, at the price of moving.
    pub(crate) fn new(version: i16, flexible: bool, capacity: usize) -> Self {
        let buffer = Vec::with_capacity(capacity);
        Self { buffer, splits: Vec::new(), remote_bytes: 0, version, flexible, refusal: None }
    }

    /// A writer of a frame of up to `capacity` bytes, behind a place for its size.
    pub(crate) fn frame(version: i16, flexible: bool, capacity: usize) -> Self {
        let mut writer = Self::new(version, flexible, SIZE_BYTES + capacity);
        writer.bytes(&[0; SIZE_BYTES]);
        writer
    }

    /// Goes on at another version: a header and its body differ in theirs.
    pub(crate) fn switch(&mut self, version: i16, flexible: bool) {
        self.version = version;
        self.flexible = flexible;
    }

    /// The version being written.
    pub(crate) fn version(&self) -> i16 {
        self.version
    }

    /// Notes that a value cannot be written as it is; the first one counts.
    pub(crate) fn refuse(&mut self, refusal: EncodeError) {
        self.refusal.get_or_insert(refusal);
    }

    /// What was written, and the first value that could not be written as it is.
    pub(crate) fn finish(self) -> (Vec<u8>, Option<EncodeError>) {
        (self.buffer, self.refusal)
    }

    /// Gives away the frame that [`Writer::frame`] began, with its size filled in.
    pub(crate) fn finish_frame(mut self) -> Frame {
        let size = (self.buffer.len() - SIZE_BYTES).saturating_add(self.remote_bytes);
        let fitting = i32::try_from(size).unwrap_or_else(|_| {
            self.refuse(EncodeError::TooLong { length: size });
            i32::MAX
        });
        self.buffer[..SIZE_BYTES].copy_from_slice(&fitting.to_be_bytes());
        Frame { bytes: self.buffer, splits: self.splits, refusal: self.refusal }
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// A number of up to 32 bits, seven to a byte, least significant first.
    pub(crate) fn unsigned_varint(&mut self, value: u32) {
        let (bytes, length) = varint(value);
        self.bytes(&bytes[..length]);
    }

    /// The length before bytes, records or an array; `None` for null.
    pub(crate) fn length(&mut self, length: Option<usize>) {
        let fitting = length.map_or(-1, |length| {
            i32::try_from(length).unwrap_or_else(|_| {
                self.refuse(EncodeError::TooLong { length });
                i32::MAX
            })
        });
        if self.flexible {
            self.unsigned_varint(fitting.wrapping_add(1).cast_unsigned());
        } else {
            self.bytes(&fitting.to_be_bytes());
        }
    }

    /// A string or its null, with the length its version has.
    pub(crate) fn string(&mut self, string: Option<&str>) {
        if self.flexible {
            let string = string.map(|string| self.fitting(string));
            self.length(string.map(str::len));
            self.bytes(string.unwrap_or_default().as_bytes());
        } else {
            self.short_string(string);
        }
    }

    /// A string or its null, with a two-byte length.
    pub(crate) fn short_string(&mut self, string: Option<&str>) {
        let string = string.map(|string| self.fitting(string));
        let length = string.map_or(-1, |string| i16::try_from(string.len()).unwrap_or(i16::MAX));
        self.bytes(&length.to_be_bytes());
        self.bytes(string.unwrap_or_default().as_bytes());
    }

    /// The string, cut to what Kafka accepts.
    fn fitting<'string>(&mut self, string: &'string str) -> &'string str {
        if string.len() <= STRING_BYTES_MAX {
            return string;
        }
        self.refuse(EncodeError::StringTooLong { bytes: string.len() });
        &string[..string.floor_char_boundary(STRING_BYTES_MAX)]
    }

    /// The length of bytes that others put in here, and the place.
    pub(crate) fn remote(&mut self, length: u32, slot: usize) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.length(Some(length));
        self.splits.push(Split { at: self.buffer.len(), slot });
        self.remote_bytes = self.remote_bytes.saturating_add(length);
    }

    /// A field that the version does not allow to be null; a null is written empty.
    pub(crate) fn write_required<T: Nullable>(&mut self, value: &Option<T>, field: &'static str) {
        match value {
            Some(value) => value.write(self),
            None => {
                self.refuse(EncodeError::NullNotInVersion { field, version: self.version });
                T::default().write(self);
            }
        }
    }

    /// How many tagged fields follow, if the version has them.
    pub(crate) fn tagged_field_count(&mut self, count: usize) {
        if self.flexible {
            self.unsigned_varint(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    /// One tagged field. Its size comes before it, so it is moved back once its size is known; tagged fields are small.
    pub(crate) fn tagged_field(&mut self, tag: u32, content: impl FnOnce(&mut Self)) {
        self.unsigned_varint(tag);
        let start = self.buffer.len();
        content(self);
        let size = self.buffer.len() - start;
        let (bytes, length) = varint(u32::try_from(size).unwrap_or(u32::MAX));
        self.bytes(&bytes[..length]);
        self.buffer[start..].rotate_right(length);
    }
}

fn varint(mut value: u32) -> ([u8; VARINT_BOUND], usize) {
    let mut bytes = [0; VARINT_BOUND];
    let mut length = 0;
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        bytes[length] = if value == 0 { low } else { low | 0x80 };
        length += 1;
        if value == 0 {
            return (bytes, length);
        }
    }
}
