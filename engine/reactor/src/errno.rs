//! The kernel's refusals as the vocabulary has them.

use flumen_log::io::IoError;
use rustix::io::Errno;

pub(crate) fn io_error(errno: Errno) -> IoError {
    IoError { errno: errno.raw_os_error() }
}
