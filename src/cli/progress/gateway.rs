//! Who listens to a run beside what keeps it: the progress bars, and the recording of a gateway. None knows another.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::progress::{ProgressBars, RunProgressBar};
use crate::gateway;
use crate::mutation::MutationEvent;
use crate::recording::durable_file::DurableFile;
use crate::recording::jsonl::to_json_line;

/// Writes the recording of a gateway as it goes, and shows how far it is.
pub struct GatewayRecorder {
    file: DurableFile,
    bar: Option<RunProgressBar>,
    requests: u64,
}

impl GatewayRecorder {
    /// A recording in a file, and a bar for so many rows, where it is to be shown.
    pub fn new(file: DurableFile, name: &str, rows: usize, shown: bool) -> Self {
        let bar = shown.then(|| ProgressBars::new(1).add_run(name, rows as u64));
        Self { file, bar, requests: 0 }
    }

    /// Writes a line.
    pub fn write_line(&mut self, line: &crate::recording::gateway::GatewayLine) {
        if let Ok(text) = to_json_line(line) {
            self.file.write_line(&text);
        }
    }

    /// Writes everything to the disk.
    ///
    /// # Errors
    /// The problem, if the file is incomplete or not stored.
    pub fn finish(self) -> Result<(), String> {
        self.clear();
        self.file.finish()
    }

    fn clear(&self) {
        self.bar.iter().for_each(RunProgressBar::clear);
    }
}

impl gateway::GatewayEventListener for GatewayRecorder {
    fn on_event(&mut self, event: gateway::GatewayEvent<'_>) {
        match event {
            gateway::GatewayEvent::TrialFinished(trial) => {
                self.requests += 1;
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("{} requests, {}", self.requests, trial.row));
                }
                self.write_line(&crate::recording::gateway::GatewayLine::Trial(Box::new(trial.clone())));
            }
            gateway::GatewayEvent::CallFinished(call) => {
                self.write_line(&crate::recording::gateway::GatewayLine::Call(Box::new(call.clone())))
            }
            gateway::GatewayEvent::RowDecided(_) => {
                self.bar.iter().for_each(RunProgressBar::inc);
                self.file.sync_in_background();
            }
        }
    }
}

/// A progress bar for a proof, on standard error.
pub struct MutationProgressBar {
    bar: ProgressBar,
}

impl MutationProgressBar {
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
    pub fn update(&mut self, told: MutationEvent<'_>) {
        match told {
            MutationEvent::SubjectStarted(name) => {
                self.bar.set_prefix(name.to_owned());
                self.bar.set_position(0);
            }
            MutationEvent::MutantsPlanned(n) => self.bar.set_length(n),
            MutationEvent::MutantsDone(n) => self.bar.inc(n),
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
