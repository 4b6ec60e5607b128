//! The one file call made on the loop's thread: bounded buffered writes.

use std::{io::IoSlice, os::fd::BorrowedFd};

use flumen_log::io::{IoError, WriteData};
use rustix::io::{pwrite, pwritev};

use super::again;
use crate::sys::MAX_VECTORS;

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
