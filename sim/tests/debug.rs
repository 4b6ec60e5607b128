#[test]
fn one() {
    let seed: u64 = std::env::var("SEED").unwrap().parse().unwrap();
    let verdict = flumen_sim::log::run(seed, flumen_sim::log::Control::None);
    println!("{verdict:#?}");
}
