//! How values become bytes and bytes become values, at a given version.
//!
//! A [`Value`] is anything that has a place in a message: a number, a string, an array, a struct that derives `Message`.
//! A [`Reader`] hands out slices of one frame; a [`Writer`] fills one buffer. Both know the version and whether it is
//! flexible (compact lengths and tagged fields, KIP-482).
//!
//! Invariants: reading never panics, never reserves more than the bytes that remain can hold, and stays within the byte
//! budget of its frame, whatever the bytes say; writing never reallocates when it starts with [`Value::size_bound`].
//!
//! Not here: frames, headers and the choice of the message (see `request` and `response`).

mod array;
pub(crate) mod limits;
mod malformed;
mod reader;
mod value;
mod writer;

pub use malformed::{EncodeError, Malformed};
pub(crate) use reader::Reader;
pub(crate) use value::{Message, Nullable, Structure, Value, differs, read_marked, write_marked};
pub(crate) use writer::{TAGGED_FIELD_BOUND, VARINT_BOUND, Writer};
