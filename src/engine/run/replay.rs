//! [`replay`]: a run whose endpoint is a recording. Nothing is sent, and requests that were not
//! recorded get no response.

use crate::catalog::{Catalog, CatalogRow};
use crate::client::{Budget, ReplayEndpoint};
use crate::engine::run::{RunOptions, StopSignal, run_selection};
use crate::engine::selection::{RowSelection, digest_rows, find_rows};
use crate::engine::unconfirmed::find_unconfirmed_errors;
use crate::recording::in_memory::RecordingListener;
use crate::recording::run::{LIVENESS_ID_PREFIX, PROBE_PREFIX, Recording, RunEnd, RunFooter, RunHeader};
use crate::wire::exchange::Exchange;
use crate::wire::parsed_exchange::parse_exchange;

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReplayError {
    /// The case files are the same as in the run, but a request differs.
    #[error(
        "exchange `{0}` has another request than the run sends. The recording was edited, or written by another \
         version of fieldtest; record it again"
    )]
    RequestMismatch(String),
}

/// Runs rows against a recording and returns a recording of the replay. `wanted` has the ids of the
/// rows; `None` means all rows of the recording.
///
/// # Errors
/// If the recording has a request that the run cannot have sent.
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
    let is_in_plan = |row: &&CatalogRow| {
        let id = row.experiment.id();
        has(&header.rows, id) || is_wanted(id)
    };
    let plan: Vec<&CatalogRow> = catalog.rows.iter().filter(is_in_plan).collect();
    let mut selection = RowSelection::new(plan.clone(), plan, is_wanted);
    selection.plan = named_rows(catalog, header);
    let (named, run) = (&selection.plan, &selection.run);
    let is_new = |row: &&CatalogRow| !named.iter().any(|known| known.experiment.id() == row.experiment.id());
    let new_rows: Vec<&CatalogRow> = run.iter().copied().filter(is_new).collect();
    selection.plan.extend(new_rows);
    // The digest is over the rows in the order of the header.
    let find = |id: &String| catalog.rows.iter().find(|row| row.experiment.id() == id);
    let rows: Vec<&CatalogRow> = header.rows.iter().filter_map(find).collect();
    let has_same_cases = header.scope.cases.as_ref().is_none_or(|cases| *cases == digest_rows(&rows));

    let mut replayed = Recording::new(header.clone());
    replayed.header.rows = selection.all_rows().iter().map(|row| row.experiment.id().to_owned()).collect();
    replayed.header.scope.beside = selection.dependency_ids();
    if header.scope.texts_removed {
        // Requests cannot be compared without texts. The recording contains its results.
        replayed.footer = recording.footer.clone();
        return Ok(replayed);
    }
    let options = RunOptions {
        settings: header.settings.clone(),
        seed: header.seed,
        confidence: header.confidence,
        concurrency: 1,
        budget: Budget::default(),
        eager: false,
    };
    let unconfirmed = find_unconfirmed_errors(recording, recording.exchanges.iter().map(parse_exchange));
    // A replay needs no liveness tests: their responses could end it at another point.
    let is_replayed = |exchange: &&Exchange| {
        let id = exchange.id.as_str();
        !id.starts_with(LIVENESS_ID_PREFIX) && !exchange.is_void() && !unconfirmed.contains(id)
    };
    let answered: Vec<_> = recording.exchanges.iter().filter(is_replayed).cloned().collect();
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
    // The liveness tests of the run depend on the order of failures, which a replay does not
    // repeat.
    let replayed_ids: std::collections::HashSet<String> = replayed.exchanges.iter().map(|e| e.id.clone()).collect();
    let recorded_probes =
        recording.exchanges.iter().filter(|e| e.id.starts_with(PROBE_PREFIX) && !replayed_ids.contains(&e.id));
    replayed.exchanges.extend(recorded_probes.cloned());
    replayed.footer = recording.footer.as_ref().map(|footer| RunFooter {
        ended: merge_run_end(footer.ended, finished.end, missing.is_empty()),
        ..footer.clone()
    });
    Ok(replayed)
}

/// The rows after which the run named its shared requests: the rows of its plan, then the rows that
/// it could run because others depend on them.
fn named_rows<'a>(catalog: &'a Catalog, header: &RunHeader) -> Vec<&'a CatalogRow> {
    let beside = &header.scope.beside;
    let planned: Vec<String> = match &header.scope.shard {
        Some(shard) => shard.rows.clone(),
        None => header.rows.iter().filter(|row| !beside.contains(row)).cloned().collect(),
    };
    let others: Vec<String> = beside.iter().filter(|row| !planned.contains(row)).cloned().collect();
    [find_rows(catalog, &planned), find_rows(catalog, &others)].concat()
}

/// The end of the replayed run: the recorded end, unless the replay misses requests that the run
/// did not miss.
fn merge_run_end(recorded: RunEnd, replayed: RunEnd, has_all_requests: bool) -> RunEnd {
    match (recorded, replayed) {
        (RunEnd::Complete, RunEnd::Untestable) => RunEnd::Untestable,
        (RunEnd::Complete, _) if !has_all_requests => RunEnd::Unrecorded,
        (recorded, _) => recorded,
    }
}
