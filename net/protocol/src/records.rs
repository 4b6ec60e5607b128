//! The record batches in a produce request or a fetch response, which this crate never looks into.

use bytes::Bytes;

use crate::codec::{Malformed, Nullable, Reader, VARINT_BOUND, Value, Writer};

/// Record batches, here or elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// The batches themselves. Decoding makes only these, as slices of the frame.
    Inline(Bytes),
    /// Batches that are sent from where they are. Only their length is written; [`Split`](crate::Split) says where they go.
    Remote {
        /// How many bytes will be put in.
        length: u32,
        /// The writer's own number for them, handed back in the split.
        slot: usize,
    },
}

impl Records {
    /// How many bytes the batches have.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Inline(bytes) => bytes.len(),
            Self::Remote { length, .. } => usize::try_from(*length).unwrap_or(usize::MAX),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batches, where they are here.
    #[must_use]
    pub fn inline(&self) -> Option<&Bytes> {
        match self {
            Self::Inline(bytes) => Some(bytes),
            Self::Remote { .. } => None,
        }
    }
}

impl Default for Records {
    fn default() -> Self {
        Self::Inline(Bytes::new())
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Self::Inline(bytes)
    }
}

impl Value for Records {
    fn minimum_size(_version: i16, flexible: bool) -> usize {
        Self::null_size(flexible)
    }

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Self::read_nullable(reader)?.ok_or(Malformed::UnexpectedNull)
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Inline(bytes) => {
                writer.length(Some(bytes.len()));
                writer.bytes(bytes);
            }
            Self::Remote { length, slot } => writer.remote(*length, *slot),
        }
    }

    fn size_bound(&self) -> usize {
        VARINT_BOUND + self.inline().map_or(0, Bytes::len)
    }
}

impl Nullable for Records {
    fn null_size(flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }

    fn read_nullable(reader: &mut Reader) -> Result<Option<Self>, Malformed> {
        let Some(length) = reader.length()? else { return Ok(None) };
        reader.slice(length).map(|bytes| Some(Self::Inline(bytes)))
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer) {
        match value {
            None => writer.length(None),
            Some(records) => records.write(writer),
        }
    }
}
