//! Progress bars on a terminal: one for each active run, and one for all runs: [`ProgressBars`].

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::recording::event::RunEvent;
use crate::results::progress::ProgressCounts;

/// All bars of a command.
pub struct ProgressBars {
    multi: MultiProgress,
    /// The number of finished runs, if there are several runs.
    total: Option<ProgressBar>,
}

/// The bar of one run.
pub struct RunProgressBar(ProgressBar);

impl ProgressBars {
    /// Bars on standard error for N runs.
    pub fn new(runs: usize) -> Self {
        let multi = MultiProgress::new();
        let total = (runs > 1).then(|| {
            let bar = multi.add(ProgressBar::new(runs as u64));
            bar.set_style(bar_style("{pos} of {len} runs done  {elapsed}"));
            bar.tick();
            bar
        });
        Self { multi, total }
    }

    /// Adds the bar of a run with N rows.
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

    /// Removes the bar of a finished run.
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
    /// Shows the progress of the run.
    pub fn update(&self, event: RunEvent<'_>, progress: &ProgressCounts, elapsed_ms: u64) {
        self.0.set_length(progress.rows);
        self.0.set_position(progress.decided);
        match event {
            RunEvent::RowStarted(row) => self.0.set_message(format!("{}  {row}", progress.describe(elapsed_ms))),
            RunEvent::Exchange(..)
            | RunEvent::Trial(_)
            | RunEvent::TrialsWithdrawn(_)
            | RunEvent::RowsRestarted(_)
            | RunEvent::Verdict(..) => {
                self.0.set_message(progress.describe(elapsed_ms));
            }
        }
    }

    /// Adds one decided row.
    pub fn inc(&self) {
        self.0.inc(1);
    }

    /// Shows a text next to the bar.
    pub fn set_message(&self, text: String) {
        self.0.set_message(text);
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// A style. The templates are constants, so the default style is never used.
fn bar_style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}
