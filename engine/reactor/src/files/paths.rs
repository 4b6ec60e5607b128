//! Paths of the vocabulary as the kernel takes them.

use std::ffi::CString;

use flumen_log::io::{FilePath, IoError};

/// A path below the data directory.
pub(super) fn relative(path: FilePath) -> Result<CString, IoError> {
    // A NUL cannot be in a name on disk.
    CString::new(path).map_err(|_| IoError::INVALID)
}

/// A directory, the data directory itself included.
pub(super) fn directory(path: FilePath) -> Result<CString, IoError> {
    if path.is_empty() { Ok(c".".to_owned()) } else { relative(path) }
}
