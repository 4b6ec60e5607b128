//! One partition's place among its replicas: who leads, who is in sync, what is committed.
//!
//! This crate is a brain: it has no files, clocks, threads, sockets or randomness.
//!
//! Invariants: only becoming leader makes a [`Leader`], and only a `Leader` appends; the high watermark never falls while the
//! same broker leads, never exceeds what every member of the *maximal* in-sync set has confirmed in the way the topic's
//! [`Durability`] asks, and does not move while fewer than the minimum are in sync; a [`Replicated`] offset can be had from the
//! high watermark only; a follower cuts its log by leader epoch, never by watermark.
//!
//! What it does not do: it moves no bytes, keeps no time, and does not decide who leads (the controller does).
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod epoch;
mod follower;
mod isr;
mod leader;
mod progress;
mod proof;
mod reign;
mod role;
#[cfg(test)]
mod tests;

pub use flumen_log::store::Durability;

pub use epoch::{EpochEnd, EpochRefusal, check_epoch};
pub use follower::{Divergence, Follower};
pub use isr::{InSync, IsrChange};
pub use leader::{Leader, NotEnoughReplicas};
pub use progress::Progress;
pub use proof::Replicated;
pub use reign::{LocalLog, Reign};
pub use role::{Replica, Transition};
