//! The results of a recording without texts: [`stored_results`].
//!
//! Such a recording cannot be judged, so it contains the results of its run. They can be compared
//! with other claims, and reduced to some of their rows.

use crate::catalog::{Catalog, CatalogRow, Target, is_silent};
use crate::engine::judge::tested_target;
use crate::engine::rules::unfinished_verdict;
use crate::recording::run::Recording;
use crate::results::model::{ClaimResult, Results, RowResult, TestedClaims};

/// The reason of a row without a stored verdict.
const NO_STORED_VERDICT: &str = "the recording has no texts (--redact content) and no verdict of this row";

/// The results in the recording, for the rows of its header, compared with the claims of its
/// header.
pub fn stored_results(catalog: &Catalog, recording: &Recording) -> Results {
    let header = &recording.header;
    let stored = header.scope.results.as_deref();
    let find_stored = |id: &str| stored.and_then(|results| results.rows.iter().find(|row| row.id == id));
    let find_row = |id: &String| catalog.rows.iter().find(|row| row.experiment.id() == id);
    let rows: Vec<RowResult> = header
        .rows
        .iter()
        .filter(|row| !header.scope.beside.contains(row))
        .filter_map(|id| find_stored(id).cloned().or_else(|| find_row(id).map(missing_row_result)))
        .map(|row| apply_claims(row, header.claims.as_ref()))
        .collect();
    let mut results = stored.cloned().unwrap_or_else(|| {
        let target = tested_target(header);
        let mut results = Results::new(target, &header.started_at, header.confidence, header.seed);
        results.partial = Some("the run was interrupted before its results were written".to_owned());
        results.totals.requests = recording.exchanges.len() as u64;
        results.shard.clone_from(&header.scope.shard);
        results
    });
    if results.partial.is_none() && rows.iter().any(|row| find_stored(&row.id).is_none()) {
        results.partial = Some(NO_STORED_VERDICT.to_owned());
    }
    results.target.claims = header.claims.as_ref().map(TestedClaims::from);
    let is_reported = |id: &String| rows.iter().any(|row| row.id == *id);
    results.findings.retain(|finding| finding.rows.is_empty() || finding.rows.iter().any(is_reported));
    results.findings.iter_mut().for_each(|finding| finding.rows.retain(is_reported));
    results.set_rows(rows);
    results
}

/// Compares the verdict of a row with these claims.
fn apply_claims(mut row: RowResult, claims: Option<&Target>) -> RowResult {
    let claim = claims.and_then(|target| target.claims.get(&row.id));
    let status = claim.map(|claim| claim.status);
    row.outcome = row.verdict.compare_with(status);
    row.silent = is_silent(status, row.verdict.status);
    row.claim = claim.map(ClaimResult::from);
    row
}

fn missing_row_result(row: &CatalogRow) -> RowResult {
    let verdict = unfinished_verdict(NO_STORED_VERDICT);
    RowResult::new(row.experiment.id(), &row.section, &row.experiment.title, None, verdict)
}
