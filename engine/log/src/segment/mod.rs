//! Segments: their files, indexes and names.

pub mod index;
pub mod sidecar;
pub mod tail;
