//! The kernel, with `unsafe` around it; everything above is safe.
//!
//! Invariants: whatever the kernel may read or write while an operation is in flight belongs to that operation, lives on
//! the heap and is not touched until the completion gives it back; a file is named by its handle, whose generation shows
//! a use after the close.

mod allocator;
mod handles;
mod request;
mod ring;

pub(crate) use allocator::keep_freed;
pub(crate) use handles::{HandledFile, borrow, place};
pub(crate) use request::{MAX_VECTORS, Request};
pub(crate) use ring::{Finished, OperationKey, Outcome, Ring};

/// What an operation in flight takes in the slab.
#[cfg(test)]
pub(crate) const fn operation_bytes<T>() -> usize {
    ring::operation_bytes::<T>()
}
