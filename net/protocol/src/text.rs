//! A string that is a slice of the frame it came in.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::hash::{Hash, Hasher};
use core::ops::Deref;
use core::str::Utf8Error;
use core::{fmt, str};

use bytes::Bytes;

use crate::codec::{Malformed, Nullable, Reader, VARINT_BOUND, Value, Writer};

/// UTF-8 text over shared bytes: a clone copies nothing, and neither does decoding.
///
/// Invariant: the bytes are UTF-8. A text keeps its whole frame alive; whoever stores it for long makes a copy of its own
/// ([`Text::detached`]).
#[derive(Clone, Default)]
pub struct Text(Bytes);

impl Text {
    /// A text over bytes that live as long as the program.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("checked when the text was made")
    }

    /// The bytes of the text.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The same text in memory of its own, so that it does not keep a frame alive.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// Takes `length` bytes. Those that are not UTF-8 become replacement characters, as in Kafka.
    fn take(reader: &mut Reader, length: Option<usize>) -> Result<Option<Self>, Malformed> {
        let Some(length) = length else { return Ok(None) };
        if length > crate::codec::limits::STRING_BYTES_MAX {
            return Err(Malformed::StringTooLong);
        }
        let bytes = reader.slice(length)?;
        if str::from_utf8(&bytes).is_ok() {
            return Ok(Some(Self(bytes)));
        }
        // A replacement takes three bytes for at least one, in a buffer that may have doubled more than once.
        reader.charge(length.saturating_mul(8))?;
        Ok(Some(Self::from(String::from_utf8_lossy(&bytes).into_owned())))
    }

    /// Takes a string that has a two-byte length whatever the version: the client id of a header.
    pub(crate) fn read_short(reader: &mut Reader) -> Result<Option<Self>, Malformed> {
        let length = reader.short_length()?;
        Self::take(reader, length)
    }
}

impl Value for Text {
    fn minimum_size(_version: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 2 }
    }

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Self::read_nullable(reader)?.ok_or(Malformed::UnexpectedNull)
    }

    fn write(&self, writer: &mut Writer) {
        writer.string(Some(self));
    }

    fn size_bound(&self) -> usize {
        VARINT_BOUND + self.0.len()
    }
}

impl Nullable for Text {
    fn null_size(flexible: bool) -> usize {
        if flexible { 1 } else { 2 }
    }

    fn read_nullable(reader: &mut Reader) -> Result<Option<Self>, Malformed> {
        let length = reader.string_length()?;
        Self::take(reader, length)
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer) {
        writer.string(value.map(Self::as_str));
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

/// Order and hash are those of `str`, so that maps keyed by `Text` are searched by `&str`.
impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Bytes::from(text.into_bytes()))
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl TryFrom<Bytes> for Text {
    type Error = Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Utf8Error> {
        str::from_utf8(&bytes)?;
        Ok(Self(bytes))
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), formatter)
    }
}
