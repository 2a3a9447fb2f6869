//! Bars on a terminal: one for each run that is under way, and one for all where there are several.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::engine::Event;
use crate::results::progress::Pace;

/// All bars of a command.
pub struct Bars {
    all: MultiProgress,
    /// How many runs are done; only where there are several.
    runs: Option<ProgressBar>,
}

/// The bar of one run.
pub struct Bar(ProgressBar);

impl Bars {
    /// Bars on standard error, for so many runs.
    pub fn new(runs: usize) -> Self {
        let all = MultiProgress::new();
        let total = (runs > 1).then(|| {
            let bar = all.add(ProgressBar::new(runs as u64));
            bar.set_style(style("{pos} of {len} runs done  {elapsed}"));
            bar.tick();
            bar
        });
        Self { all, runs: total }
    }

    /// The bar of a run of so many rows.
    pub fn run(&self, name: &str, rows: u64) -> Bar {
        let bar = ProgressBar::new(rows);
        let bar = match &self.runs {
            Some(total) => self.all.insert_before(total, bar),
            None => self.all.add(bar),
        };
        bar.set_style(style("{prefix} [{bar:12}] {pos}/{len} rows  {elapsed}  {wide_msg}"));
        bar.set_prefix(crate::report::visible(name));
        Bar(bar)
    }

    /// A run is over: its bar goes.
    pub fn over(&self, bar: &Bar) {
        bar.clear();
        self.all.remove(&bar.0);
        if let Some(total) = &self.runs {
            total.inc(1);
            if total.length() == Some(total.position()) {
                total.finish_and_clear();
            }
        }
    }
}

impl Bar {
    /// Shows how far the run is.
    pub fn show(&self, event: Event<'_>, pace: &Pace, elapsed_ms: u64) {
        self.0.set_length(pace.rows);
        self.0.set_position(pace.decided);
        match event {
            Event::RowStarted(row) => self.0.set_message(format!("{}  {row}", pace.told(elapsed_ms))),
            Event::Exchange(_) | Event::Trial(_) | Event::AskedAgain(_) | Event::Verdict(..) => {
                self.0.set_message(pace.told(elapsed_ms));
            }
        }
    }

    /// One more row is through, after so many requests.
    pub fn row(&self) {
        self.0.inc(1);
    }

    /// Says something beside the bar.
    pub fn say(&self, text: String) {
        self.0.set_message(text);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// A style. A template that is right today stays right: it is a constant.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}
