//! [`run_in_memory`]: runs rows and returns the recording, for callers that only judge it.

use crate::catalog::CatalogRow;
use crate::client::MessagesEndpoint;
use crate::engine::run::{RunOptions, StopSignal, run_selection};
use crate::engine::selection::RowSelection;
use crate::recording::in_memory::RecordingListener;
use crate::recording::run::{LineCounts, Recording, RunFooter, RunHeader};

/// Runs the rows to the end and returns the recording. The engine has no clock: the footer repeats
/// the start time of the header.
pub async fn run_in_memory<E: MessagesEndpoint>(
    endpoint: &E,
    rows: &[&CatalogRow],
    options: &RunOptions,
    header: RunHeader,
) -> Recording {
    run_selection_in_memory(endpoint, &RowSelection::all(rows.to_vec()), options, header).await
}

/// The same for the selected rows of a plan.
pub async fn run_selection_in_memory<E: MessagesEndpoint>(
    endpoint: &E,
    selection: &RowSelection<'_>,
    options: &RunOptions,
    header: RunHeader,
) -> Recording {
    let finished_at = header.started_at.clone();
    let mut recording = Recording::new(header);
    let stop = StopSignal::default();
    let finished =
        run_selection(endpoint, selection, options, vec![&mut RecordingListener(&mut recording)], &stop).await;
    let counts = Some(LineCounts::from_recording(&recording));
    recording.footer =
        Some(RunFooter { finished_at, wall_ms: 0, channel: finished.text_form, ended: finished.end, counts });
    recording
}
