//! The traits of what has a place in a message, and the values of fixed size.

use core::ops::RangeInclusive;

use super::{Malformed, Reader, Writer};
use crate::{ErrorCode, Uuid};

/// Anything that has a place in a message.
pub(crate) trait Value: Sized {
    /// A number of bytes that no encoding of the type at this version goes below.
    fn minimum_size(version: i16, flexible: bool) -> usize;

    /// Takes the value from the front of what remains.
    fn read(reader: &mut Reader) -> Result<Self, Malformed>;

    /// Puts the value at the end.
    fn write(&self, writer: &mut Writer);

    /// A number of bytes that no encoding of this value, at any version, exceeds.
    fn size_bound(&self) -> usize;
}

/// A value that has a null of its own on the wire.
pub(crate) trait Nullable: Value + Default {
    /// The size of the null.
    fn null_size(flexible: bool) -> usize;

    /// Takes the value or its null.
    fn read_nullable(reader: &mut Reader) -> Result<Option<Self>, Malformed>;

    /// Puts the value or its null.
    fn write_nullable(value: Option<&Self>, writer: &mut Writer);
}

/// A struct that derives `Message`.
pub(crate) trait Structure: Value + Default {}

/// A struct that carries `#[message(…)]`: a request, a response, a record of an internal topic.
pub(crate) trait Message: Structure {
    /// The versions it has.
    const VERSIONS: RangeInclusive<i16>;
    /// The first version with compact lengths and tagged fields.
    const FLEXIBLE_FROM: i16;
}

/// Whether a field has another value than the default it would be read as.
pub(crate) fn differs<T: PartialEq>(value: &T, default: &T) -> bool {
    value != default
}

impl<T: Nullable> Value for Option<T> {
    fn minimum_size(_version: i16, flexible: bool) -> usize {
        T::null_size(flexible)
    }

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        T::read_nullable(reader)
    }

    fn write(&self, writer: &mut Writer) {
        T::write_nullable(self.as_ref(), writer);
    }

    fn size_bound(&self) -> usize {
        // One for the mark before a nullable struct; the null of anything else is below a varint's bound.
        self.as_ref().map_or(super::VARINT_BOUND, |value| 1 + value.size_bound())
    }
}

/// Takes a nullable struct: a byte before it says -1 for null, 1 otherwise.
pub(crate) fn read_marked<T: Structure>(reader: &mut Reader) -> Result<Option<T>, Malformed> {
    if i8::read(reader)? < 0 { Ok(None) } else { T::read(reader).map(Some) }
}

/// Puts a nullable struct and the byte before it.
pub(crate) fn write_marked<T: Structure>(value: Option<&T>, writer: &mut Writer) {
    match value {
        None => (-1i8).write(writer),
        Some(value) => {
            1i8.write(writer);
            value.write(writer);
        }
    }
}

macro_rules! number {
    ($($kind:ty),*) => {$(
        impl Value for $kind {
            fn minimum_size(_version: i16, _flexible: bool) -> usize {
                size_of::<Self>()
            }

            fn read(reader: &mut Reader) -> Result<Self, Malformed> {
                reader.fixed().map(Self::from_be_bytes)
            }

            fn write(&self, writer: &mut Writer) {
                writer.bytes(&self.to_be_bytes());
            }

            fn size_bound(&self) -> usize {
                size_of::<Self>()
            }
        }
    )*};
}

number!(i8, i16, i32, i64);

impl Value for bool {
    fn minimum_size(_version: i16, _flexible: bool) -> usize {
        1
    }

    /// Any byte but zero is true, as in Kafka.
    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        i8::read(reader).map(|byte| byte != 0)
    }

    fn write(&self, writer: &mut Writer) {
        i8::from(*self).write(writer);
    }

    fn size_bound(&self) -> usize {
        1
    }
}

impl Value for Uuid {
    fn minimum_size(_version: i16, _flexible: bool) -> usize {
        16
    }

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        reader.fixed().map(Self)
    }

    fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.0);
    }

    fn size_bound(&self) -> usize {
        16
    }
}

impl Value for ErrorCode {
    fn minimum_size(_version: i16, _flexible: bool) -> usize {
        2
    }

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        i16::read(reader).map(Self::from)
    }

    fn write(&self, writer: &mut Writer) {
        i16::from(*self).write(writer);
    }

    fn size_bound(&self) -> usize {
        2
    }
}
