//! The broker process and the command line around it: configuration, threads, wiring. It turns effects into calls and decides
//! nothing.
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
mod digits;
mod log_directories;
mod process;
pub mod start;
