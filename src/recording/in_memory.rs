//! Runs whose recording is kept in memory: a listener for those that write it down as well, and a whole run for those
//! that only want to judge it.

use crate::catalog::CatalogRow;
use crate::client::MessagesEndpoint;
use crate::engine::run::{RunEvent, RunListener, RunOptions, StopSignal, run};
use crate::recording::run::{LineCounts, Recording, RunFooter, RunHeader};

/// Keeps every exchange and every trial.
pub struct RecordingListener<'a>(pub &'a mut Recording);

impl RunListener for RecordingListener<'_> {
    fn on_event(&mut self, event: RunEvent<'_>) {
        match event {
            RunEvent::Exchange(exchange) => self.0.exchanges.push(exchange.clone()),
            RunEvent::Trial(trial) => self.0.trials.push(trial.clone()),
            RunEvent::RowStarted(_) | RunEvent::RowsRestarted(_) | RunEvent::Verdict(..) => {}
        }
    }
}

/// Runs the rows to the end, and gives the recording. There is no clock here: it ends at the moment at which the header
/// says that it began.
pub async fn run_in_memory<E: MessagesEndpoint>(
    endpoint: &E,
    rows: &[&CatalogRow],
    options: &RunOptions,
    header: RunHeader,
) -> Recording {
    let finished_at = header.started_at.clone();
    let mut recording = Recording { header, exchanges: Vec::new(), trials: Vec::new(), footer: None };
    let stop = StopSignal::default();
    let finished = run(endpoint, rows, options, vec![&mut RecordingListener(&mut recording)], &stop).await;
    let counts = Some(LineCounts::from_recording(&recording));
    recording.footer =
        Some(RunFooter { finished_at, wall_ms: 0, channel: finished.text_form, ended: finished.end, counts });
    recording
}
