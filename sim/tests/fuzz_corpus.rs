//! The corpora of the log's fuzz targets, replayed: what was once found stays found. And some noise, so that the checks themselves run.

#[path = "../../engine/log/fuzz/checks/mod.rs"]
mod checks;

use flumen_sim::random::Random;
use std::path::Path;

/// Inputs made up here, for each target.
const MADE_UP: usize = 400;

fn replay(target: &str, check: impl Fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/log/fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in std::fs::read_dir(&corpus).into_iter().flatten() {
        let path = entry.expect("a readable corpus").path();
        println!("{}", path.display());
        check(&std::fs::read(&path).expect("a readable input"));
        replayed += 1;
    }
    println!("{target}: {replayed} inputs replayed");
    let mut random = Random::new(u64::from(crc32c::crc32c(target.as_bytes())));
    for _ in 0..MADE_UP {
        let length = random.index(1500);
        let input: Vec<u8> = (0..length).map(|_| (random.next() & 0xff) as u8).collect();
        check(&input);
    }
}

#[test]
fn segments() {
    replay("recover_segment", checks::segment::check);
}

#[test]
fn directories() {
    replay("recover_directory", checks::directory::check);
}

#[test]
fn files() {
    replay("read_files", checks::files::check);
}
