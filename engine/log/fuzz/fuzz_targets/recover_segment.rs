//! Any bytes as a log's segments. What must hold is said where it is checked.
#![no_main]

#[path = "../checks/mod.rs"]
#[allow(dead_code, reason = "each target uses its part")]
mod checks;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| checks::segment::check(input));
