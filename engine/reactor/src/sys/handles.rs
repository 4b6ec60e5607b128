//! Names of open files that hold across threads.
//!
//! A reader's shard sends from a file that another shard opened, so a handle must be understood everywhere without a lock:
//! it is the file descriptor with a generation, counted up at every close. That the file is open while somebody holds a
//! handle is the promise of [`flumen_log::io::SegmentFile`]; the generation makes a broken promise a panic, not a write
//! into whatever file got the number next.

use std::{
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
    sync::atomic::{AtomicU16, Ordering},
};

use flumen_log::io::FileHandle;
use rustix::io::Errno;

use crate::file_limit::MAX_FILES;

/// Bits of a handle that hold the descriptor; the generation has the rest.
const DESCRIPTOR_BITS: u32 = 20;
const GENERATION_MASK: u16 = (1 << (u32::BITS - DESCRIPTOR_BITS)) - 1;
const DESCRIPTORS: usize = 1 << DESCRIPTOR_BITS;

const _: () = assert!(MAX_FILES == 1 << DESCRIPTOR_BITS);

/// The generation of every descriptor. 2 MiB of zero pages, of which only those touched take memory.
static GENERATIONS: [AtomicU16; DESCRIPTORS] = [const { AtomicU16::new(0) }; DESCRIPTORS];

/// An open file and the handle it is known by.
#[derive(Debug)]
pub(crate) struct HandledFile {
    file: OwnedFd,
    handle: FileHandle,
}

impl HandledFile {
    /// Give a file its handle.
    pub(crate) fn new(file: OwnedFd) -> Result<Self, Errno> {
        let descriptor = u32::try_from(file.as_raw_fd()).map_err(|_| Errno::BADF)?;
        if descriptor as usize >= DESCRIPTORS {
            return Err(Errno::MFILE);
        }
        let generation = GENERATIONS[descriptor as usize].load(Ordering::Acquire) & GENERATION_MASK;
        Ok(Self { file, handle: FileHandle(u32::from(generation) << DESCRIPTOR_BITS | descriptor) })
    }

    pub(crate) fn handle(&self) -> FileHandle {
        self.handle
    }

    /// Close the file here and now.
    pub(crate) fn close(self) {
        // SAFETY: `retire` gave up the descriptor's only owner.
        drop(unsafe { OwnedFd::from_raw_fd(self.retire()) });
    }

    /// Make the handle invalid and give up the descriptor, to be closed.
    pub(crate) fn retire(self) -> RawFd {
        let Self { file, .. } = self;
        let descriptor = file.into_raw_fd();
        // `new` took only descriptors within the table.
        GENERATIONS[descriptor.unsigned_abs() as usize].fetch_add(1, Ordering::AcqRel);
        descriptor
    }
}

/// A small number that no other open file of the process has.
pub(crate) fn place(handle: FileHandle) -> usize {
    handle.0 as usize & (DESCRIPTORS - 1)
}

/// The file of a handle.
///
/// # Panics
/// If it was closed: whoever used it broke the promise above.
pub(crate) fn borrow(handle: FileHandle) -> BorrowedFd<'static> {
    let descriptor = place(handle);
    let generation = GENERATIONS[descriptor].load(Ordering::Acquire) & GENERATION_MASK;
    assert!(u32::from(generation) == handle.0 >> DESCRIPTOR_BITS, "file handle {handle:?} was used after its close");
    // SAFETY: the descriptor was open when the handle was made, and is retired, which moves the generation, before it is
    // closed. The vocabulary forbids a close while somebody else holds the handle, so it stays open during the use.
    unsafe { BorrowedFd::borrow_raw(descriptor as RawFd) }
}

#[cfg(test)]
mod tests {
    use super::{HandledFile, borrow};
    use std::{fs::File, os::fd::AsRawFd};

    fn open() -> HandledFile {
        HandledFile::new(File::open("/dev/null").expect("there").into()).expect("within the limit")
    }

    #[test]
    fn a_handle_names_its_descriptor() {
        let file = open();
        assert_eq!(borrow(file.handle()).as_raw_fd(), file.file.as_raw_fd());
    }

    #[test]
    #[should_panic(expected = "used after its close")]
    fn use_after_close_is_seen() {
        let file = open();
        let handle = file.handle();
        // Not closed, so that no other test gets the number meanwhile.
        let _leaked = file.retire();
        borrow(handle);
    }
}
