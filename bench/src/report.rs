//! What a measurement says at its end, and the clock around its measured part.

use crate::latency::LatencySummary;
use crate::{Outcome, processor_time};
use serde::Serialize;
use std::time::Instant;

/// One line of JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    /// Values of records (or plain bytes, where there are none) moved in the measured part.
    pub(crate) payload_bytes: u64,
    pub(crate) requests: u64,
    pub(crate) server_cpu_seconds: f64,
    pub(crate) load_cpu_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<LatencySummary>,
}

impl Report {
    pub(crate) fn print(&self) -> Outcome<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}

/// The clocks at the start of the measured part.
pub(crate) struct Measured {
    server: u32,
    started: Instant,
    server_seconds: f64,
    load_seconds: f64,
}

impl Measured {
    /// The measured part begins; `server` is the process whose time counts.
    pub(crate) fn begin(server: u32) -> Outcome<Self> {
        let load_seconds = processor_time::seconds(std::process::id())?;
        Ok(Self { server, started: Instant::now(), server_seconds: processor_time::seconds(server)?, load_seconds })
    }

    /// It ends, with this many bytes moved.
    pub(crate) fn end(self, payload_bytes: u64, requests: u64, latency: Option<LatencySummary>) -> Outcome<Report> {
        let seconds = self.started.elapsed().as_secs_f64();
        Ok(Report {
            seconds,
            payload_bytes,
            requests,
            server_cpu_seconds: processor_time::seconds(self.server)? - self.server_seconds,
            load_cpu_seconds: processor_time::seconds(std::process::id())? - self.load_seconds,
            latency,
        })
    }
}
