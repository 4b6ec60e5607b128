//! The broker: configuration, threads, wiring; and the command line.
#![forbid(unsafe_code)]

pub mod cli;
pub mod start;
