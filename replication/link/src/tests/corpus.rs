//! The corpus of the fuzz target, replayed, and noise.

use super::*;

/// Inputs made up here.
const MADE_UP: u64 = 300;

#[test]
fn the_corpus_of_the_metadata_files() {
    let (_guard, path) = directory();
    fs::create_dir_all(&path).expect("made");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/metadata_files");
    for entry in fs::read_dir(corpus).into_iter().flatten() {
        let file = entry.expect("a readable corpus").path();
        println!("{}", file.display());
        run(crate::fuzz::check(&path, &fs::read(file).expect("a readable input")));
    }
    let mut state = 1_u64;
    for number in 0..MADE_UP {
        let input: Vec<u8> = (0..number)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        run(crate::fuzz::check(&path, &input));
    }
}
