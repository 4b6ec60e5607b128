//! What commands write to standard output, as text or JSON.

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::Value;

use super::Failure;

/// How lists and descriptions are written.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ListFormat {
    /// Tables for people.
    #[default]
    Text,
    /// JSON for programs.
    Json,
}

impl ListFormat {
    /// Writes one of the two.
    pub fn write(self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> Result<(), Failure> {
        let mut out = match self {
            Self::Text => text(),
            Self::Json => {
                let mut out = serde_json::to_string_pretty(&json()).map_err(Failure::failed)?;
                out.push('\n');
                out
            }
        };
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        write(out.as_bytes())
    }
}

/// Writes all of it, now.
pub fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()?;
    Ok(())
}
