//! Counting what passed and what failed.
//!
//! A tally never forgets a failure and never counts nothing as success: an empty tally is not clean.

use std::fmt::Display;
use std::time::Instant;

/// Whatever went wrong, as a sentence for the person who reads it.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
/// A step's result.
pub(crate) type Outcome<T> = Result<T, Failure>;

/// What a command found.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: usize,
    failures: Vec<String>,
}

impl Tally {
    /// Counts one success without a word.
    pub(crate) fn pass(&mut self) {
        self.passed += 1;
    }

    /// Notes one failure and says it at once.
    pub(crate) fn fail(&mut self, what: impl Display) {
        println!("FAILED {what}");
        self.failures.push(what.to_string());
    }

    /// Runs one named check, with its time.
    pub(crate) fn check(&mut self, name: &str, check: impl FnOnce() -> Outcome<()>) {
        let started = Instant::now();
        match check() {
            Ok(()) => {
                println!("ok     {name} ({:.1} s)", started.elapsed().as_secs_f64());
                self.pass();
            }
            Err(error) => self.fail(format_args!("{name}: {error}")),
        }
    }

    /// Takes another tally's counts; its failures were said when they happened.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failures.extend(other.failures);
    }

    /// Adds the counts of a run that keeps its own (a test harness).
    pub(crate) fn count(&mut self, name: &str, passed: usize, failed: usize) {
        self.passed += passed;
        self.failures.extend((0..failed).map(|_| format!("{name} (see above)")));
    }

    /// How many failures there were.
    pub(crate) const fn failures(&self) -> usize {
        self.failures.len()
    }

    /// Whether there was work and all of it passed.
    pub(crate) fn is_clean(&self) -> bool {
        self.failures.is_empty() && self.passed > 0
    }

    /// The summary, last line last.
    pub(crate) fn print(&self) {
        if !self.failures.is_empty() {
            println!("\nfailures:");
            for failure in &self.failures {
                println!("  {}", failure.lines().next().unwrap_or_default());
            }
        }
        println!("{} passed, {} failed", self.passed, self.failures.len());
    }
}

/// The last `N passed, N failed` line of a program's output.
pub(crate) fn last_counts(output: &str) -> Option<(usize, usize)> {
    output.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace();
        let passed = words.next()?.parse().ok()?;
        if words.next()? != "passed," {
            return None;
        }
        let failed = words.next()?.parse().ok()?;
        (words.next()? == "failed").then_some((passed, failed))
    })
}

/// The sum of libtest's `test result:` lines.
pub(crate) fn libtest_counts(output: &str) -> (usize, usize) {
    let number_before = |line: &str, word: &str| {
        let before = &line[..line.find(word)?];
        before.split_whitespace().next_back()?.parse::<usize>().ok()
    };
    output.lines().filter(|line| line.trim_start().starts_with("test result:")).fold((0, 0), |(passed, failed), line| {
        (passed + number_before(line, " passed").unwrap_or(0), failed + number_before(line, " failed").unwrap_or(0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_tally_is_not_clean() {
        assert!(!Tally::default().is_clean());
    }

    #[test]
    fn the_last_summary_line_counts() {
        assert_eq!(last_counts("1 passed, 0 failed\nnoise\n7 passed, 2 failed\n"), Some((7, 2)));
        assert_eq!(last_counts("nothing"), None);
    }

    #[test]
    fn libtest_lines_are_summed() {
        let output = "test result: ok. 3 passed; 0 failed; 1 ignored\nx\ntest result: FAILED. 2 passed; 1 failed; 0 ignored\n";
        assert_eq!(libtest_counts(output), (5, 1));
    }
}
