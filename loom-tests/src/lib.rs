//! Models of the few lock-free structures: every order in which threads can take their steps, and every value a read may
//! see, tried by the model checker on the code that ships.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --package flumen-loom-tests --release
//! ```
//!
//! Each model has a control: the same model with a fault put in, which must be found. Without `--cfg loom` there is
//! nothing to run.
#![forbid(unsafe_code)]
