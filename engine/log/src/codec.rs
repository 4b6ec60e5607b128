//! Reading our own big-endian formats without a panic, whatever the bytes.
//!
//! What is guarded by a checksum of its own is sealed: eight bytes that name the format, the CRC-32C of all that follows, and that.

use alloc::vec::Vec;

/// Where what is sealed begins.
const SEALED_AT: usize = 12;

/// Begin something that [`seal`] ends.
pub(crate) fn begin_sealed(magic: [u8; 8], capacity: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(capacity);
    bytes.extend_from_slice(&magic);
    bytes.resize(SEALED_AT, 0);
    bytes
}

/// All that is sealed is there: put its checksum in its place.
pub(crate) fn seal(bytes: &mut [u8]) {
    let checksum = crc32c::crc32c(&bytes[SEALED_AT..]);
    bytes[SEALED_AT - 4..SEALED_AT].copy_from_slice(&checksum.to_be_bytes());
}

/// Nobody lives to see so much of anything that is counted one by one.
const COUNTED_MAX: u64 = 1 << 56;

/// Takes fields off the front of some bytes. Invariant: never reads past the end; a field that is not there is `None`.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Read from here.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Read what is sealed in all of these bytes. `None` if they are of another format, or not whole.
    pub(crate) fn sealed(bytes: &'a [u8], magic: [u8; 8]) -> Option<Self> {
        let mut fields = Self::new(bytes);
        let whole = fields.array()? == magic && fields.u32()? == crc32c::crc32c(fields.bytes);
        whole.then_some(fields)
    }

    /// The next `length` bytes.
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(head)
    }

    /// The next so many bytes, as an array.
    pub(crate) fn array<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        self.take(LENGTH)?.try_into().ok()
    }

    /// Four bytes.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Four bytes.
    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// Eight bytes.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Eight bytes that count what happened so far: starts, states, manifests, frames. Somebody goes on counting from there: `None` for
    /// what nobody can have counted up to, whatever its checksum says.
    pub(crate) fn counted(&mut self) -> Option<u64> {
        self.u64().filter(|count| *count < COUNTED_MAX)
    }

    /// Eight bytes.
    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// Whether nothing is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// The topic id in Kafka's `partition.metadata`.
pub(crate) fn decode_topic_id(text: &[u8]) -> Option<crate::TopicId> {
    let text = core::str::from_utf8(text).ok()?;
    let encoded = text.lines().find_map(|line| line.strip_prefix("topic_id:"))?.trim();
    if encoded.len() != 22 {
        return None;
    }
    let mut value: u128 = 0;
    for (position, symbol) in encoded.bytes().enumerate() {
        let group = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        // 21 groups of six bits, and one of which the two highest count.
        let last = position == 21;
        value = if last { (value << 2) | u128::from(group >> 4) } else { (value << 6) | u128::from(group) };
    }
    Some(crate::TopicId(value.to_be_bytes()))
}
