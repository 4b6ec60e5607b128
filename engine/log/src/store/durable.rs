//! Proof that something is on stable storage.

/// A value that is on stable storage. Only the store makes one, from a completed journal write or sync.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Durable<T>(T);

impl<T: Copy> Durable<T> {
    /// To be called only where the completion of a journal write or a sync has just been judged, or by recovery.
    pub(crate) const fn proven(value: T) -> Self {
        Self(value)
    }

    /// The value.
    #[must_use]
    pub const fn get(self) -> T {
        self.0
    }
}
