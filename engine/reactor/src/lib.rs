//! What a core does: one loop on one `io_uring`, generic over the machine it runs.
//!
//! A [`Reactor`] carries out what a [`flumen_log::io::Machine`] asks for and tells it what came of it; it decides nothing.
//! Beside it: the mailboxes between threads ([`mailbox`]), the data directory and its lock ([`DataDirectory`]), recovery's
//! disk ([`BlockingDisk`]), and what must be known of the machine, or set, before any of it runs ([`kernel`], [`cores`],
//! [`file_limit`], [`memory`]).
//!
//! Invariants: an operation owns its buffers until its completion, and its file until the kernel has it; the operations
//! live in a slab that is empty when the loop ends; no call on the loop's thread waits for a disk or a peer. `unsafe` is
//! in [`sys`] and [`mailbox::ring`] alone, each block with its reason.

pub mod clock;
pub mod cores;
mod data_directory;
mod disk;
mod errno;
pub mod file_limit;
mod files;
pub mod kernel;
pub mod mailbox;
pub mod memory;
mod net;
mod reactor;
mod settings;
mod stalls;
#[allow(unsafe_code)]
mod sys;
mod token;

pub use data_directory::{DataDirectory, LOCK_NAME, LockError};
pub use disk::BlockingDisk;
pub use reactor::{LeftoverFiles, Reactor, ReactorError};
pub use settings::ReactorSettings;
pub use stalls::{Stall, StallReport, Stalls, Step};
