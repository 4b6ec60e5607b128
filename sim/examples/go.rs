//! go FROM COUNT: runs seeds of the log world, prints the red ones.
use flumen_sim::log::{Control, run, run_told};
fn main() {
    let a: Vec<String> = std::env::args().skip(1).collect();
    if a[0] == "show" {
        run_told(a[1].parse().unwrap(), Control::None, Some(Box::new(|l: &str| println!("{l}"))));
        return;
    }
    let (from, count): (u64, u64) = (a[0].parse().unwrap(), a[1].parse().unwrap());
    let mut red = 0;
    for seed in from..from + count {
        match std::panic::catch_unwind(|| run(seed, Control::None)) {
            Ok(v) if v.violations.is_empty() => {}
            Ok(v) => { red += 1; println!("{seed}: {}", v.violations[0]) }
            Err(_) => { red += 1; println!("{seed}: panic") }
        }
    }
    println!("{red} red of {count}");
}
