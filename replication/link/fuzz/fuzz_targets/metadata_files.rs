//! Any bytes as the quorum's log and snapshot. What must hold is said in `flumen_link::fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

struct Home {
    directory: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

fn home() -> &'static Home {
    static HOME: OnceLock<Home> = OnceLock::new();
    HOME.get_or_init(|| Home {
        // In memory where there is such a place: thousands of syncs wait for no disk there.
        directory: tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory"),
        runtime: tokio::runtime::Builder::new_current_thread().build().expect("a runtime"),
    })
}

fuzz_target!(|input: &[u8]| {
    let home = home();
    home.runtime.block_on(flumen_link::fuzz::check(home.directory.path(), input));
});
