//! Bars on a terminal: one for each run that is under way, and one for all where there are several.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::recording::event::RunEvent;
use crate::results::progress::ProgressCounts;

/// All bars of a command.
pub struct ProgressBars {
    multi: MultiProgress,
    /// How many runs are done; only where there are several.
    total: Option<ProgressBar>,
}

/// The bar of one run.
pub struct RunProgressBar(ProgressBar);

impl ProgressBars {
    /// Bars on standard error, for so many runs.
    pub fn new(runs: usize) -> Self {
        let all = MultiProgress::new();
        let total = (runs > 1).then(|| {
            let bar = all.add(ProgressBar::new(runs as u64));
            bar.set_style(bar_style("{pos} of {len} runs done  {elapsed}"));
            bar.tick();
            bar
        });
        Self { multi: all, total }
    }

    /// The bar of a run of so many rows.
    pub fn add_run(&self, name: &str, rows: u64) -> RunProgressBar {
        let bar = ProgressBar::new(rows);
        let bar = match &self.total {
            Some(total) => self.multi.insert_before(total, bar),
            None => self.multi.add(bar),
        };
        bar.set_style(bar_style("{prefix} [{bar:12}] {pos}/{len} rows  {elapsed}  {wide_msg}"));
        bar.set_prefix(crate::report::visible(name));
        RunProgressBar(bar)
    }

    /// A run is over: its bar goes.
    pub fn finish_run(&self, bar: &RunProgressBar) {
        bar.clear();
        self.multi.remove(&bar.0);
        if let Some(total) = &self.total {
            total.inc(1);
            if total.length() == Some(total.position()) {
                total.finish_and_clear();
            }
        }
    }
}

impl RunProgressBar {
    /// Shows how far the run is.
    pub fn update(&self, event: RunEvent<'_>, pace: &ProgressCounts, elapsed_ms: u64) {
        self.0.set_length(pace.rows);
        self.0.set_position(pace.decided);
        match event {
            RunEvent::RowStarted(row) => self.0.set_message(format!("{}  {row}", pace.describe(elapsed_ms))),
            RunEvent::Exchange(..) | RunEvent::Trial(_) | RunEvent::RowsRestarted(_) | RunEvent::Verdict(..) => {
                self.0.set_message(pace.describe(elapsed_ms));
            }
        }
    }

    /// One more row is through, after so many requests.
    pub fn inc(&self) {
        self.0.inc(1);
    }

    /// Says something beside the bar.
    pub fn set_message(&self, text: String) {
        self.0.set_message(text);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// A style. A template that is right today stays right: it is a constant.
fn bar_style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}
