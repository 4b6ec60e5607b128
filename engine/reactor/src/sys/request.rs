//! One operation for the ring, with everything the kernel will look at.

use std::{
    ffi::CString,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    rc::Rc,
    sync::Arc,
};

use flumen_log::io::{FileHandle, WriteData};
use io_uring::{opcode, squeue, types};

use super::borrow;
use crate::mailbox::Doorbell;

/// The most the kernel moves in one call.
const MAX_MOVE_BYTES: usize = 0x7fff_f000;
/// The most pieces the kernel takes in one vectored call.
pub(crate) const MAX_VECTORS: usize = 1024;

/// What to do. Memory is on the heap, so moving a request does not move what the kernel was told.
#[derive(Debug)]
pub(crate) enum Request {
    /// Wait until a socket is readable or writable (`events`), or broken.
    Poll {
        socket: Rc<OwnedFd>,
        events: u32,
    },
    /// Receive `piece` bytes behind what `buffer` holds; short only if the connection ends.
    Receive {
        socket: Rc<OwnedFd>,
        buffer: Vec<u8>,
        piece: usize,
    },
    /// Wait until the doorbell was rung.
    Listen {
        bell: Arc<Doorbell>,
        count: Box<[u8; 8]>,
    },
    /// Read into the page cache; the bytes go nowhere.
    Warm {
        file: FileHandle,
        offset: u64,
        length: usize,
    },
    /// Read `length` bytes behind what `buffer` holds.
    Read {
        file: FileHandle,
        offset: u64,
        buffer: Vec<u8>,
        length: usize,
    },
    Write {
        file: FileHandle,
        offset: u64,
        data: WriteData,
    },
    Open {
        directory: Rc<OwnedFd>,
        path: CString,
        flags: i32,
    },
    /// Ask for the size of a file just opened.
    Size {
        file: OwnedFd,
        status: Box<libc::statx>,
    },
    MakeDirectory {
        directory: Rc<OwnedFd>,
        path: CString,
    },
    Rename {
        directory: Rc<OwnedFd>,
        from: CString,
        to: CString,
    },
    Unlink {
        directory: Rc<OwnedFd>,
        path: CString,
        flags: i32,
    },
    Allocate {
        file: FileHandle,
        offset: u64,
        length: u64,
    },
    Truncate {
        file: FileHandle,
        length: u64,
    },
    Sync {
        file: FileHandle,
        data_only: bool,
    },
    WriteOut {
        file: FileHandle,
        offset: u64,
        length: u64,
    },
    /// Sync a directory that was opened for it.
    SyncDirectory {
        directory: OwnedFd,
    },
    /// Close a descriptor, which is gone whatever comes of it.
    Close {
        descriptor: RawFd,
    },
}

fn move_bytes(length: usize) -> u32 {
    // The bound fits.
    length.min(MAX_MOVE_BYTES) as u32
}

fn socket(socket: &Rc<OwnedFd>) -> types::Fd {
    types::Fd(socket.as_raw_fd())
}

fn file(handle: FileHandle) -> types::Fd {
    types::Fd(borrow(handle).as_raw_fd())
}

impl Request {
    /// Ask for a file's size.
    pub(crate) fn size_of(file: OwnedFd) -> Self {
        // SAFETY: it is made of integers, all of which may be zero.
        Self::Size { file, status: Box::new(unsafe { std::mem::zeroed() }) }
    }

    /// The entry for the ring. `vectors` receives the pieces of a vectored write and must live as long as the request;
    /// `discard` is memory of at least the length of any [`Request::Warm`] that nobody ever looks at.
    pub(super) fn entry(&mut self, vectors: &mut Vec<libc::iovec>, discard: *mut u8) -> squeue::Entry {
        match self {
            Self::Poll { socket: fd, events } => opcode::PollAdd::new(socket(fd), *events).build(),
            Self::Receive { socket: fd, buffer, piece } => {
                buffer.reserve_exact(*piece);
                let spare = buffer.spare_capacity_mut();
                opcode::Recv::new(socket(fd), spare.as_mut_ptr().cast(), move_bytes(*piece)).flags(libc::MSG_WAITALL).build()
            }
            Self::Listen { bell, count } => {
                let fd = std::os::fd::AsFd::as_fd(&**bell).as_raw_fd();
                opcode::Read::new(types::Fd(fd), count.as_mut_ptr(), 8).build()
            }
            Self::Warm { file: handle, offset, length } => {
                opcode::Read::new(file(*handle), discard, move_bytes(*length)).offset(*offset).build()
            }
            Self::Read { file: handle, offset, buffer, length } => {
                buffer.reserve_exact(*length);
                let spare = buffer.spare_capacity_mut();
                opcode::Read::new(file(*handle), spare.as_mut_ptr().cast(), move_bytes(*length)).offset(*offset).build()
            }
            Self::Write { file: handle, offset, data } => write(file(*handle), *offset, data, vectors),
            Self::Open { directory, path, flags } => {
                opcode::OpenAt::new(socket(directory), path.as_ptr()).flags(*flags | libc::O_CLOEXEC).mode(0o644).build()
            }
            Self::Size { file, status } => {
                let status: *mut libc::statx = &raw mut **status;
                let entry = opcode::Statx::new(types::Fd(file.as_raw_fd()), c"".as_ptr(), status.cast());
                entry.flags(libc::AT_EMPTY_PATH).mask(libc::STATX_SIZE).build()
            }
            Self::MakeDirectory { directory, path } => opcode::MkDirAt::new(socket(directory), path.as_ptr()).mode(0o755).build(),
            Self::Rename { directory, from, to } => {
                opcode::RenameAt::new(socket(directory), from.as_ptr(), socket(directory), to.as_ptr()).build()
            }
            Self::Unlink { directory, path, flags } => {
                opcode::UnlinkAt::new(socket(directory), path.as_ptr()).flags(*flags).build()
            }
            Self::Allocate { file: handle, offset, length } => {
                opcode::Fallocate::new(file(*handle), *length).offset(*offset).mode(libc::FALLOC_FL_KEEP_SIZE).build()
            }
            Self::Truncate { file: handle, length } => opcode::Ftruncate::new(file(*handle), *length).build(),
            Self::Sync { file: handle, data_only } => {
                let flags = if *data_only { types::FsyncFlags::DATASYNC } else { types::FsyncFlags::empty() };
                opcode::Fsync::new(file(*handle)).flags(flags).build()
            }
            Self::WriteOut { file: handle, offset, length } => {
                // Zero means to the end of the file, which only starts more write-back than was asked for.
                let length = u32::try_from(*length).unwrap_or(0);
                let flags = libc::SYNC_FILE_RANGE_WRITE;
                opcode::SyncFileRange::new(file(*handle), length).offset(*offset).flags(flags).build()
            }
            Self::SyncDirectory { directory } => opcode::Fsync::new(types::Fd(directory.as_raw_fd())).build(),
            Self::Close { descriptor } => opcode::Close::new(types::Fd(*descriptor)).build(),
        }
    }
}

fn write(file: types::Fd, offset: u64, data: &WriteData, vectors: &mut Vec<libc::iovec>) -> squeue::Entry {
    match data {
        WriteData::Aligned(buffer) => write_pieces(file, offset, buffer.pieces(), vectors),
        WriteData::Gathered(parts) => write_pieces(file, offset, parts.iter().map(|part| &**part), vectors),
    }
}

fn write_pieces<'a>(
    file: types::Fd,
    offset: u64,
    mut pieces: impl Iterator<Item = &'a [u8]>,
    vectors: &mut Vec<libc::iovec>,
) -> squeue::Entry {
    let first = pieces.next().unwrap_or_default();
    let Some(second) = pieces.next() else {
        return opcode::Write::new(file, first.as_ptr(), move_bytes(first.len())).offset(offset).build();
    };
    // What is beyond the kernel's bounds is a short write, told as such.
    let pieces = [first, second].into_iter().chain(pieces).take(MAX_VECTORS);
    vectors.extend(pieces.map(|piece| libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() }));
    opcode::Writev::new(file, vectors.as_ptr(), vectors.len() as u32).offset(offset).build()
}
