//! What can be wrong with bytes that are read, or with a value that is written.

use core::fmt;

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The bytes end before the message does.
    Truncated,
    /// A negative length other than the -1 of null.
    NegativeLength,
    /// Null where the version does not allow it.
    UnexpectedNull,
    /// A varint that goes on beyond 32 bits.
    VarintOverflow,
    /// A string longer than Kafka's 32767 bytes.
    StringTooLong,
    /// An array of more elements than Kafka accepts, or than the remaining bytes can hold.
    ArrayTooLong,
    /// More elements in all arrays together than one request may have.
    TooManyElements,
    /// A struct with more tagged fields than Kafka accepts.
    TooManyTaggedFields,
    /// A tagged field whose content is shorter than its size says.
    TaggedFieldSize,
    /// Decoding would take more memory than a frame of this size may cost.
    OverBudget,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Truncated => "the bytes end before the message does",
            Self::NegativeLength => "a length is negative",
            Self::UnexpectedNull => "a field that cannot be null is null",
            Self::VarintOverflow => "a varint goes on beyond 32 bits",
            Self::StringTooLong => "a string is longer than 32767 bytes",
            Self::ArrayTooLong => "an array is longer than the protocol or the remaining bytes allow",
            Self::TooManyElements => "the arrays of a request have more than 131072 elements together",
            Self::TooManyTaggedFields => "a struct has more than 10000 tagged fields",
            Self::TaggedFieldSize => "a tagged field is shorter than its size says",
            Self::OverBudget => "the message would take more memory than a frame of its size may",
        })
    }
}

impl core::error::Error for Malformed {}

/// Why a value cannot be written at a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// A field has a value that matters, and the version does not carry the field.
    FieldNotInVersion {
        /// The field.
        field: &'static str,
        /// The version.
        version: i16,
    },
    /// A field is null, and the version has no null for it.
    NullNotInVersion {
        /// The field.
        field: &'static str,
        /// The version.
        version: i16,
    },
    /// A string is longer than the 32767 bytes that Kafka accepts.
    StringTooLong {
        /// Its length.
        bytes: usize,
    },
    /// An array, a record set or the whole frame is longer than a 32-bit length can say.
    TooLong {
        /// Its length.
        length: usize,
    },
    /// Records that are to be put in by others, where the whole frame is asked for.
    RemoteRecords,
    /// The version is not one of the API's.
    VersionNotInApi {
        /// The version.
        version: i16,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldNotInVersion { field, version } => write!(formatter, "version {version} has no field {field}"),
            Self::NullNotInVersion { field, version } => write!(formatter, "{field} cannot be null in version {version}"),
            Self::StringTooLong { bytes } => write!(formatter, "a string of {bytes} bytes is longer than 32767"),
            Self::TooLong { length } => write!(formatter, "a length of {length} does not fit in 32 bits"),
            Self::RemoteRecords => write!(formatter, "records are not at hand"),
            Self::VersionNotInApi { version } => write!(formatter, "the API has no version {version}"),
        }
    }
}

impl core::error::Error for EncodeError {}
