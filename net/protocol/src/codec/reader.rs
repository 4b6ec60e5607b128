//! Reads one frame, front to back, handing out slices of it.
//!
//! Invariant: `position <= end <= frame.len()`. Everything a reader is asked to allocate is charged to a budget that
//! grows with the frame, so a small frame cannot claim much memory.

use bytes::Bytes;

use super::Malformed;
use super::limits::{ARRAY_ELEMENTS_MAX, TAGGED_FIELDS_MAX};

/// A place in a frame, and the version that says how to go on.
pub(crate) struct Reader {
    frame: Bytes,
    position: usize,
    /// Where the frame, or the tagged field being read, ends.
    end: usize,
    version: i16,
    flexible: bool,
    budget_bytes: usize,
    /// Elements that arrays may still have, all together.
    elements_left: usize,
}

impl Reader {
    /// A reader at the front of `frame` that may allocate `budget_bytes`.
    pub(crate) fn new(frame: Bytes, version: i16, flexible: bool, budget_bytes: usize) -> Self {
        let end = frame.len();
        Self { frame, position: 0, end, version, flexible, budget_bytes, elements_left: usize::MAX }
    }

    /// The same, with a limit on the elements of all arrays together.
    pub(crate) fn with_elements(self, elements_max: usize) -> Self {
        Self { elements_left: elements_max, ..self }
    }

    /// Goes on at another version: a header and its body differ in theirs.
    pub(crate) fn switch(&mut self, version: i16, flexible: bool) {
        self.version = version;
        self.flexible = flexible;
    }

    /// The version being read.
    pub(crate) fn version(&self) -> i16 {
        self.version
    }

    /// Whether the version has compact lengths and tagged fields.
    pub(crate) fn flexible(&self) -> bool {
        self.flexible
    }

    /// How many bytes have been read.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    fn remaining(&self) -> usize {
        self.end - self.position
    }

    /// Charges an allocation to the budget, before it is made.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.budget_bytes = self.budget_bytes.checked_sub(bytes).ok_or(Malformed::OverBudget)?;
        Ok(())
    }

    /// The next `N` bytes.
    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.frame[self.position..self.end].first_chunk().ok_or(Malformed::Truncated)?;
        self.position += N;
        Ok(*bytes)
    }

    /// The next `length` bytes, as a slice of the frame.
    pub(crate) fn slice(&mut self, length: usize) -> Result<Bytes, Malformed> {
        self.skip(length)?;
        Ok(self.frame.slice(self.position - length..self.position))
    }

    /// Passes over the next `length` bytes.
    fn skip(&mut self, length: usize) -> Result<(), Malformed> {
        if length > self.remaining() {
            return Err(Malformed::Truncated);
        }
        self.position += length;
        Ok(())
    }

    /// A number of up to 32 bits, seven to a byte, least significant first.
    pub(crate) fn unsigned_varint(&mut self) -> Result<u32, Malformed> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && byte > 0x0f {
                return Err(Malformed::VarintOverflow);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::VarintOverflow)
    }

    /// The length before bytes, records or an array; `None` for null.
    pub(crate) fn length(&mut self) -> Result<Option<usize>, Malformed> {
        if self.flexible { self.compact_length() } else { length_from(i32::from_be_bytes(self.fixed()?)) }
    }

    /// The length before a string; `None` for null.
    pub(crate) fn string_length(&mut self) -> Result<Option<usize>, Malformed> {
        if self.flexible { self.compact_length() } else { self.short_length() }
    }

    /// The two-byte length before a string of versions that are not flexible; `None` for null.
    pub(crate) fn short_length(&mut self) -> Result<Option<usize>, Malformed> {
        length_from(i32::from(i16::from_be_bytes(self.fixed()?)))
    }

    /// One more than the length, so that zero can say null.
    fn compact_length(&mut self) -> Result<Option<usize>, Malformed> {
        let plus_one = self.unsigned_varint()?;
        let Some(length) = plus_one.checked_sub(1) else { return Ok(None) };
        // Lengths are signed 32-bit numbers in Kafka, in this form too.
        let length = i32::try_from(length).map_err(|_| Malformed::NegativeLength)?;
        length_from(length)
    }

    /// Refuses an array of `count` elements that cannot be in what remains, and charges its memory.
    pub(crate) fn admit_array(&mut self, count: usize, element_minimum: usize, element_memory: usize) -> Result<(), Malformed> {
        let fits = element_minimum == 0 || count <= self.remaining() / element_minimum;
        if count > ARRAY_ELEMENTS_MAX || !fits {
            return Err(Malformed::ArrayTooLong);
        }
        self.elements_left = self.elements_left.checked_sub(count).ok_or(Malformed::TooManyElements)?;
        self.charge(count.saturating_mul(element_memory))
    }

    /// The tagged fields behind a struct, if the version has them.
    ///
    /// `known` reads the field of a tag it knows and says whether it did; any other is passed over and not kept. As in
    /// Kafka, the order of tags is not checked, and a tag that comes twice counts with its last value.
    pub(crate) fn tagged_fields(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool, Malformed>,
    ) -> Result<(), Malformed> {
        if !self.flexible {
            return Ok(());
        }
        let count = self.unsigned_varint()?;
        if count > TAGGED_FIELDS_MAX {
            return Err(Malformed::TooManyTaggedFields);
        }
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let size = usize::try_from(self.unsigned_varint()?).map_err(|_| Malformed::Truncated)?;
            if size > self.remaining() {
                return Err(Malformed::Truncated);
            }
            let (field_end, outer_end) = (self.position + size, self.end);
            self.end = field_end;
            let was_known = known(tag, self)?;
            self.end = outer_end;
            if was_known && self.position != field_end {
                return Err(Malformed::TaggedFieldSize);
            }
            self.position = field_end;
        }
        Ok(())
    }
}

fn length_from(length: i32) -> Result<Option<usize>, Malformed> {
    match length {
        -1 => Ok(None),
        _ => usize::try_from(length).map(Some).map_err(|_| Malformed::NegativeLength),
    }
}
