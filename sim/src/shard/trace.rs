//! What happened, as a hash that two runs of one seed must share, and as lines for whoever asks for one seed.

use alloc::string::String;
use core::fmt::{self, Write};

/// A run's trace.
pub(super) struct Trace<'a> {
    hash: u64,
    steps: u64,
    lines: Option<&'a mut dyn FnMut(&str)>,
    line: String,
}

impl<'a> Trace<'a> {
    pub(super) const fn new(lines: Option<&'a mut dyn FnMut(&str)>) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, steps: 0, lines, line: String::new() }
    }

    /// Something happened: what it was by number, and in words.
    pub(super) fn note(&mut self, facts: &[u64], words: fmt::Arguments<'_>) {
        self.steps += 1;
        for fact in facts {
            self.hash = (self.hash ^ fact).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
        }
        if let Some(lines) = &mut self.lines {
            self.line.clear();
            // Writing to a string does not fail.
            let _ = write!(self.line, "{words}");
            lines(&self.line);
        }
    }

    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) const fn steps(&self) -> u64 {
        self.steps
    }
}

impl fmt::Debug for Trace<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Trace({} steps, {:016x})", self.steps, self.hash)
    }
}
