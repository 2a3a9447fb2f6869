//! Who listens to a run beside what keeps it: the progress bars, and the recording of a gateway. None knows another.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::progress::{Bar, Bars};
use crate::gateway;
use crate::mutation::Told;
use crate::recording::durable_file::Recorder;
use crate::recording::run;

/// Writes the recording of a gateway as it goes, and shows how far it is.
pub struct GatewayListener {
    file: Recorder,
    bar: Option<Bar>,
    requests: u64,
}

impl GatewayListener {
    /// A recording in a file, and a bar for so many rows, where it is to be shown.
    pub fn new(file: Recorder, name: &str, rows: usize, shown: bool) -> Self {
        let bar = shown.then(|| Bars::new(1).run(name, rows as u64));
        Self { file, bar, requests: 0 }
    }

    /// Writes a line.
    pub fn line(&mut self, line: &crate::recording::gateway::Line) {
        if let Ok(text) = run::text_of(line) {
            self.file.line(&text);
        }
    }

    /// Ends it: where the file is, and what is wrong with it, if anything is.
    pub fn end(self) -> (PathBuf, Option<String>) {
        self.clear();
        self.file.end()
    }

    fn clear(&self) {
        self.bar.iter().for_each(Bar::clear);
    }
}

impl gateway::Listener for GatewayListener {
    fn on(&mut self, event: gateway::Event<'_>) {
        match event {
            gateway::Event::Trial(trial) => {
                self.requests += 1;
                if let Some(bar) = &self.bar {
                    bar.say(format!("{} requests, {}", self.requests, trial.row));
                }
                self.line(&crate::recording::gateway::Line::Trial(Box::new(trial.clone())));
            }
            gateway::Event::Call(call) => self.line(&crate::recording::gateway::Line::Call(Box::new(call.clone()))),
            gateway::Event::Row(_) => {
                self.bar.iter().for_each(Bar::row);
                self.file.keep();
            }
        }
    }
}

/// A progress bar for a proof, on standard error.
pub struct MutantsBar {
    bar: ProgressBar,
}

impl MutantsBar {
    /// A bar; hidden unless `shown`.
    pub fn new(shown: bool) -> Self {
        let bar = ProgressBar::with_draw_target(
            None,
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} mutants  {elapsed}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar }
    }

    /// Shows how far it is.
    pub fn on(&mut self, told: Told<'_>) {
        match told {
            Told::Ground(name) => {
                self.bar.set_prefix(name.to_owned());
                self.bar.set_position(0);
            }
            Told::Mutants(n) => self.bar.set_length(n),
            Told::Done(n) => self.bar.inc(n),
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
