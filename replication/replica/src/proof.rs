//! Proof that the in-sync set has something.

use core::ops::Deref;

/// A value that the high watermark has passed.
///
/// Only [`crate::Leader::replicated`] makes one; the reply to `acks=all` asks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicated<T>(T);

impl<T> Replicated<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, without its proof.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Replicated<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
