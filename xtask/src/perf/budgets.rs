//! The ratios that must hold (`perf/budgets.toml`).

use super::series::{Figure, Series};
use crate::tally::Outcome;
use serde::Deserialize;
use std::fmt;

/// The median of one series' figure over that of another.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    pub(super) of: String,
    pub(super) against: String,
    pub(super) figure: Figure,
    pub(super) most: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    budget: Vec<Budget>,
}

impl Budget {
    pub(super) fn read(text: &str) -> Outcome<Vec<Self>> {
        Ok(toml_edit::de::from_str::<File>(text)?.budget)
    }

    /// What the run has; `None` where one of the two was not measured.
    pub(super) fn ratio(&self, series: &Series) -> Option<f64> {
        let (_, of, _) = series.spread(&self.of, self.figure)?;
        let (_, against, _) = series.spread(&self.against, self.figure)?;
        Some(of / against)
    }

    pub(super) fn hold(&self, ratio: f64) -> Outcome<()> {
        // Written so that a ratio that is no number fails.
        if ratio <= self.most { Ok(()) } else { Err(format!("{ratio:.2} times, at most {} allowed", self.most).into()) }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = match self.figure {
            Figure::CpuSecondsPerGb => "CPU s/GB",
            Figure::MbPerSecond => "MB/s",
            Figure::ServerShare => "share of the server's core",
            Figure::LoadShare => "share of the load's core",
            Figure::CpuUsPerRequest => "CPU µs a request",
            Figure::P50Us => "p50",
            Figure::P99Us => "p99",
            Figure::P999Us => "p99.9",
            Figure::MaxUs => "max",
        };
        write!(formatter, "{figure} of \"{}\" against \"{}\"", self.of, self.against)
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn a_ratio_that_is_no_number_holds_nothing() {
        let text = "[[budget]]\nof = \"a\"\nagainst = \"b\"\nfigure = \"p50_us\"\nmost = 2.0\n";
        let budget = &Budget::read(text).unwrap()[0];
        assert!(budget.hold(2.0).is_ok());
        assert!(budget.hold(2.01).is_err());
        assert!(budget.hold(f64::NAN).is_err());
    }

    #[test]
    fn the_checked_in_budgets_are_understood() {
        let text = std::fs::read_to_string(crate::workspace::root().join("perf/budgets.toml")).unwrap();
        assert!(!Budget::read(&text).unwrap().is_empty());
    }
}
