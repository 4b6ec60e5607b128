//! What was measured: for each name the reports of all rounds, and the medians of their figures.

use serde::Deserialize;

/// What a load says at its end.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Report {
    pub(super) seconds: f64,
    pub(super) payload_bytes: u64,
    pub(super) requests: u64,
    pub(super) server_cpu_seconds: f64,
    pub(super) load_cpu_seconds: f64,
    pub(super) latency: Option<Latency>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Latency {
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    pub(super) max_us: f64,
}

/// A figure that is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Figure {
    /// The server's processor seconds for 1e9 bytes.
    CpuSecondsPerGb,
    /// 1e6 bytes a second.
    MbPerSecond,
    /// Of the server's core.
    ServerShare,
    /// Of the load's core.
    LoadShare,
    /// The server's processor time for one request.
    CpuUsPerRequest,
    P50Us,
    P99Us,
    P999Us,
    MaxUs,
}

impl Report {
    /// The figure; `None` where the load has none.
    fn figure(&self, figure: Figure) -> Option<f64> {
        let bytes = self.payload_bytes as f64;
        Some(match figure {
            Figure::CpuSecondsPerGb => self.server_cpu_seconds * 1e9 / bytes,
            Figure::MbPerSecond => bytes / 1e6 / self.seconds,
            Figure::ServerShare => self.server_cpu_seconds / self.seconds,
            Figure::LoadShare => self.load_cpu_seconds / self.seconds,
            Figure::CpuUsPerRequest => self.server_cpu_seconds * 1e6 / self.requests as f64,
            Figure::P50Us => self.latency?.p50_us,
            Figure::P99Us => self.latency?.p99_us,
            Figure::P999Us => self.latency?.p999_us,
            Figure::MaxUs => self.latency?.max_us,
        })
    }
}

/// By name, in the order they were first measured.
#[derive(Debug, Default)]
pub(super) struct Series(Vec<(String, Vec<Report>)>);

impl Series {
    pub(super) fn add(&mut self, name: &str, report: Report) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, reports)) => reports.push(report),
            None => self.0.push((name.to_owned(), vec![report])),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[Report])> {
        self.0.iter().map(|(name, reports)| (name.as_str(), reports.as_slice()))
    }

    /// Least, median and greatest of a figure over the rounds.
    pub(super) fn spread(&self, name: &str, figure: Figure) -> Option<(f64, f64, f64)> {
        let (_, reports) = self.iter().find(|(known, _)| *known == name)?;
        let mut values: Vec<f64> = reports.iter().filter_map(|report| report.figure(figure)).collect();
        values.sort_by(f64::total_cmp);
        let (first, last) = (*values.first()?, *values.last()?);
        let (below, above) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some((first, f64::midpoint(below, above), last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_rounds_in_any_order() {
        let mut series = Series::default();
        for seconds in [3.0, 1.0, 2.0, 10.0] {
            let server_cpu_seconds = seconds / 2.0;
            let report = Report {
                seconds,
                payload_bytes: 1_000_000_000,
                requests: 10,
                server_cpu_seconds,
                load_cpu_seconds: 0.0,
                latency: None,
            };
            series.add("one", report);
        }
        assert_eq!(series.spread("one", Figure::CpuSecondsPerGb), Some((0.5, 1.25, 5.0)));
        assert_eq!(series.spread("one", Figure::P50Us), None);
        assert_eq!(series.spread("two", Figure::MbPerSecond), None);
    }
}
