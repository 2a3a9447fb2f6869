//! Replaying: a run whose endpoint is a recording. Nothing is sent, and what was not recorded is not guessed.

use crate::catalog::{Catalog, CatalogRow};
use crate::client::{Budget, ReplayEndpoint};
use crate::engine::run::{RunOptions, StopSignal, run_selection};
use crate::engine::selection::{RowSelection, digest_rows, find_rows};
use crate::recording::in_memory::RecordingListener;
use crate::recording::run::{LIVENESS_ID_PREFIX, Recording, RunEnd, RunFooter};

/// Begins the ids of what a run asks for itself and not for a row.
const PROBE_PREFIX: &str = "probe.";

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReplayError {
    /// These case files send another request, though they are those of the run.
    #[error(
        "exchange `{0}` holds another request than the one that the run sent: the recording was edited, or written by \
         another version of fieldtest"
    )]
    RequestMismatch(String),
}

/// Runs rows against a recording, and gives the recording of that. `wanted` names the rows, where not all are meant.
///
/// # Errors
/// A request of the recording that the run cannot have sent.
pub async fn replay(
    catalog: &Catalog,
    recording: &Recording,
    wanted: Option<&[String]>,
) -> Result<Recording, ReplayError> {
    let header = &recording.header;
    let has = |rows: &[String], row: &str| rows.iter().any(|id| id == row);
    let is_wanted = |row: &str| match wanted {
        Some(wanted) => has(wanted, row),
        None => has(&header.rows, row) && !has(&header.scope.beside, row),
    };
    let in_reach = |row: &&CatalogRow| {
        let id = row.experiment.id();
        has(&header.rows, id) || is_wanted(id)
    };
    let mut selection = RowSelection::new(catalog.rows.iter().filter(in_reach).collect(), is_wanted);
    // Requests that rows share are named after the first of all rows of the run.
    let planned = header.scope.shard.as_ref().map_or(&header.rows, |shard| &shard.rows);
    selection.plan = find_rows(catalog, planned);
    selection.plan.extend(selection.run.iter().filter(|row| !has(planned, row.experiment.id())));
    let has_same_cases =
        header.scope.cases.as_ref().is_none_or(|cases| *cases == digest_rows(&find_rows(catalog, &header.rows)));

    let mut replayed = Recording::new(header.clone());
    replayed.header.rows = selection.run.iter().map(|row| row.experiment.id().to_owned()).collect();
    replayed.header.scope.beside.clone_from(&selection.dependencies);
    if header.scope.texts_removed {
        // Nothing could be asked again: the results that it carries are what there is.
        replayed.footer = recording.footer.clone();
        return Ok(replayed);
    }
    let options = RunOptions {
        settings: header.settings.clone(),
        seed: header.seed,
        confidence: header.confidence,
        concurrency: 1,
        budget: Budget::default(),
    };
    // Whether the endpoint was still there is no question of a replay: the answer would end it where it ended no row.
    let answered: Vec<_> =
        recording.exchanges.iter().filter(|e| !e.id.starts_with(LIVENESS_ID_PREFIX)).cloned().collect();
    let endpoint = ReplayEndpoint::new(&answered);
    let stop = StopSignal::default();
    let finished = {
        let mut memory = RecordingListener(&mut replayed);
        run_selection(&endpoint, &selection, &options, vec![&mut memory], &stop).await
    };
    let missing: Vec<_> =
        endpoint.unrecorded_requests().into_iter().filter(|m| !m.id.starts_with(LIVENESS_ID_PREFIX)).collect();
    if let Some(other) = missing.iter().find(|m| m.has_other_request && has_same_cases) {
        return Err(ReplayError::RequestMismatch(other.id.clone()));
    }
    // What the run asked for itself came when answers failed, in an order that no replay repeats.
    let asked: std::collections::HashSet<String> = replayed.exchanges.iter().map(|e| e.id.clone()).collect();
    let of_the_run = recording.exchanges.iter().filter(|e| e.id.starts_with(PROBE_PREFIX) && !asked.contains(&e.id));
    replayed.exchanges.extend(of_the_run.cloned());
    replayed.footer = recording.footer.as_ref().map(|footer| RunFooter {
        ended: merge_run_end(footer.ended, finished.end, missing.is_empty()),
        ..footer.clone()
    });
    Ok(replayed)
}

/// How the run ended, seen again: as it did, unless more is missing than the run itself left out.
fn merge_run_end(then: RunEnd, now: RunEnd, whole: bool) -> RunEnd {
    match (then, now) {
        (RunEnd::Complete, RunEnd::Untestable) => RunEnd::Untestable,
        (RunEnd::Complete, _) if !whole => RunEnd::Unrecorded,
        (then, _) => then,
    }
}
