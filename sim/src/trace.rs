//! What happens in a run, told line by line: to whoever asked, and to a hash by which two runs are found to be the same.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::{self, Write};

/// Who is told each line.
pub type Listener = Box<dyn FnMut(&str)>;

/// The lines so far, as a hash; and the listener.
pub(crate) struct Trace {
    hash: u64,
    events: u64,
    listener: Option<Listener>,
    line: String,
}

/// FNV-1a, which is enough to tell runs apart.
struct Hasher<'a>(&'a mut u64);

impl Write for Hasher<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.0 = (*self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

impl Trace {
    pub(crate) const fn new(listener: Option<Listener>) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, events: 0, listener, line: String::new() }
    }

    /// Something happened.
    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.events += 1;
        // Writing to a hash or a string cannot fail.
        let _ = writeln!(Hasher(&mut self.hash), "{what}");
        if let Some(listener) = &mut self.listener {
            self.line.clear();
            let _ = write!(self.line, "{what}");
            listener(&self.line);
        }
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) const fn events(&self) -> u64 {
        self.events
    }
}

/// A completion or an operation in few words.
pub(crate) struct Told<'a>(pub(super) &'a flumen_log::io::FileOperation);

impl fmt::Display for Told<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        use flumen_log::io::FileOperation as F;
        match self.0 {
            F::CreateDirectory { path } => write!(out, "make directory {path}"),
            F::Open { path, mode } => write!(out, "open {path} {mode:?}"),
            F::Allocate { file, offset, length } => write!(out, "allocate {}: {length} at {offset}", file.0),
            F::Write { file, offset, data, .. } => write!(out, "write {}: {} at {offset}", file.0, data.len()),
            F::Read { file, offset, length } => write!(out, "read {}: {length} at {offset}", file.0),
            F::Truncate { file, length } => write!(out, "truncate {}: to {length}", file.0),
            F::Sync { file, .. } => write!(out, "sync {}", file.0),
            F::WriteOut { file, offset, length } => write!(out, "write out {}: {length} at {offset}", file.0),
            F::SyncDirectory { path } => write!(out, "sync directory {path:?}"),
            F::Rename { from, to } => write!(out, "rename {from} to {to}"),
            F::Unlink { path } => write!(out, "unlink {path}"),
            F::RemoveDirectory { path } => write!(out, "remove directory {path}"),
            F::Close { file } => write!(out, "close {}", file.0),
            F::FreeSpace => write!(out, "ask for free space"),
        }
    }
}

/// How an operation ended, in few words.
pub(crate) struct Ended<'a>(pub(super) &'a flumen_log::io::Completion);

impl fmt::Display for Ended<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        use flumen_log::io::Outcome as O;
        write!(out, "{}/{} ", self.0.id.owner.0, self.0.id.sequence)?;
        match &self.0.result {
            Ok(O::Done) => write!(out, "done"),
            Ok(O::Opened { file, length }) => write!(out, "open as {}, {length} bytes", file.0),
            Ok(O::Written { bytes }) => write!(out, "wrote {bytes}"),
            Ok(O::Read { data }) => write!(out, "read {}", data.len()),
            Ok(O::Free { bytes, .. }) => write!(out, "{bytes} free"),
            Err(error) => write!(out, "failed: {error}"),
        }
    }
}
