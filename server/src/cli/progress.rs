//! How far a long command is, on standard error, when a person sits there and nothing else is written to the screen.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar, or a count where the end is not known; nothing where nobody would see it.
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Progress of `verb`, towards `total` records where that is known. `is_quiet` says whether standard output is free of lines of its own.
    #[must_use]
    pub fn start(verb: &'static str, total: Option<u64>, is_quiet: bool) -> Self {
        let on_screen = std::io::stdout().is_terminal() && !is_quiet;
        if on_screen || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{msg} {bar:30} {human_pos}/{human_len} records ({per_sec}, {eta} left)"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg} {human_pos} records ({per_sec}, {elapsed})"),
        };
        let style = ProgressStyle::with_template(template).expect("the template is a constant that a test reads");
        bar.set_style(style);
        bar.set_message(verb);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(Some(bar))
    }

    /// So many more are done.
    pub fn add(&self, records: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(records);
        }
    }

    /// Takes the bar off the screen.
    pub fn finish(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_ones() {
        for template in [
            "{msg} {bar:30} {human_pos}/{human_len} records ({per_sec}, {eta} left)",
            "{spinner} {msg} {human_pos} records ({per_sec}, {elapsed})",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
