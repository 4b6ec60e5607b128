//! The file calls made on the loop's thread.

use std::{io::IoSlice, os::fd::BorrowedFd};

use flumen_log::io::{IoError, Outcome, WriteData};
use rustix::{
    fs::{fstat, fstatvfs, ftruncate},
    io::{Errno, pwrite, pwritev},
};

use crate::{errno::io_error, sys::MAX_VECTORS};

/// One write, perhaps short.
pub(super) fn write(file: BorrowedFd<'_>, offset: u64, data: &WriteData) -> Result<u64, IoError> {
    let written = match data {
        WriteData::Aligned(buffer) => again(|| pwrite(file, buffer.as_slice(), offset)),
        WriteData::Gathered(parts) if parts.len() == 1 => again(|| pwrite(file, &parts[0], offset)),
        WriteData::Gathered(parts) => {
            let slices: Vec<IoSlice<'_>> = parts.iter().take(MAX_VECTORS).map(|part| IoSlice::new(part)).collect();
            again(|| pwritev(file, &slices, offset))
        }
    };
    written.map(|bytes| bytes as u64)
}

/// The size of a file just opened: its inode is in memory.
pub(super) fn length(file: BorrowedFd<'_>) -> Result<u64, IoError> {
    // A size is never negative.
    again(|| fstat(file)).map(|status| status.st_size.unsigned_abs())
}

/// Cut a file, on kernels whose ring cannot.
pub(super) fn truncate(file: BorrowedFd<'_>, length: u64) -> Result<(), IoError> {
    again(|| ftruncate(file, length))
}

/// What the file system has free for processes without privilege; it keeps count, so nothing is read.
pub(super) fn space(directory: BorrowedFd<'_>) -> Result<Outcome, IoError> {
    again(|| fstatvfs(directory)).map(|status| Outcome::Free {
        bytes: status.f_bavail.saturating_mul(status.f_frsize),
        total_bytes: status.f_blocks.saturating_mul(status.f_frsize),
    })
}

/// Again while a signal interrupts it.
fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, IoError> {
    loop {
        match call() {
            Err(Errno::INTR | Errno::AGAIN) => {}
            result => return result.map_err(io_error),
        }
    }
}
