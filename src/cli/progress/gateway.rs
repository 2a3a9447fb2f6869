//! [`GatewayRecorder`]: writes the recording of a gateway run, and shows its progress.

use crate::cli::progress::bar::{ProgressBars, RunProgressBar};
use crate::gateway;
use crate::recording::durable_file::DurableFile;
use crate::recording::gateway::GatewayLine;
use crate::recording::jsonl::to_json_line;

/// Listens to the run of a gateway.
pub struct GatewayRecorder {
    file: DurableFile,
    bar: Option<RunProgressBar>,
    requests: u64,
}

impl GatewayRecorder {
    /// A recorder for a file, with a bar for N rows if it is visible.
    pub fn new(file: DurableFile, name: &str, rows: usize, visible: bool) -> Self {
        let bar = visible.then(|| ProgressBars::new(1).add_run(name, rows as u64));
        Self { file, bar, requests: 0 }
    }

    /// Writes a line.
    pub fn write_line(&mut self, line: &GatewayLine) {
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
                self.write_line(&GatewayLine::Trial(Box::new(trial.clone())));
            }
            gateway::GatewayEvent::CallChanged(call) => self.write_line(&GatewayLine::Call(Box::new(call.clone()))),
            gateway::GatewayEvent::RowDecided(_) => {
                self.bar.iter().for_each(RunProgressBar::inc);
                self.file.sync_in_background();
            }
        }
    }
}
