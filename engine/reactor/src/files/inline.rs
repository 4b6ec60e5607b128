//! The one file call made on the loop's thread: bounded buffered writes.

use std::{io::IoSlice, os::fd::BorrowedFd};

use flumen_log::io::{IoError, WriteData};
use rustix::io::{pwrite, pwritev};

use super::again;
use crate::sys::MAX_VECTORS;

/// One write, perhaps short.
pub(super) fn write(file: BorrowedFd<'_>, offset: u64, data: &WriteData) -> Result<u64, IoError> {
    let written = match data {
        WriteData::Gathered(parts) if parts.len() == 1 => again(|| pwrite(file, &parts[0], offset)),
        WriteData::Gathered(parts) => vectored(file, offset, parts.iter().map(|part| &**part)),
        WriteData::Aligned(buffer) => vectored(file, offset, buffer.pieces()),
    };
    written.map(|bytes| bytes as u64)
}

fn vectored<'a>(file: BorrowedFd<'_>, offset: u64, pieces: impl Iterator<Item = &'a [u8]>) -> Result<usize, IoError> {
    let slices: Vec<IoSlice<'_>> = pieces.take(MAX_VECTORS).map(IoSlice::new).collect();
    again(|| pwritev(file, &slices, offset))
}
