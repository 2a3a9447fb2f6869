//! [`note_remaining_work`]: reports the requests and tokens that the unfinished rows of a run with
//! a used-up budget still need.

use crate::catalog::Catalog;
use crate::engine::InconclusiveReason;
use crate::engine::plan::rate_assumptions::RateAssumptions;
use crate::engine::plan::run_plan::{PlanInput, plan_run};
use crate::engine::selection::find_rows;
use crate::recording::run::{Recording, RunEnd};
use crate::results::model::{Results, RowResult};
use crate::results::plan_estimate::PlanEstimate;

/// Adds the requests and tokens that the unfinished rows need to `partial`, if the run ended
/// because its budget was used up.
pub fn note_remaining_work(results: &mut Results, catalog: &Catalog, recording: &Recording) {
    let (Some(footer), Some(partial)) = (&recording.footer, &mut results.partial) else { return };
    let is_unfinished =
        |row: &&RowResult| row.verdict.code.as_deref() == Some(InconclusiveReason::NotFinished.as_str());
    let unfinished: Vec<&str> = results.rows.iter().filter(is_unfinished).map(|row| row.id.as_str()).collect();
    let header = &recording.header;
    // Stored results contain the note already.
    if footer.ended != RunEnd::Budget || header.scope.texts_removed || unfinished.is_empty() {
        return;
    }
    let input = PlanInput {
        settings: &header.settings,
        prices: header.scope.foreseen.as_ref().and_then(|forecast| forecast.prices),
        rate_assumptions: RateAssumptions::default(),
        thinking_tokens: 0,
    };
    let plan = plan_run(&find_rows(catalog, &header.rows), input);
    let rows = plan.rows.iter().filter(|row| unfinished.contains(&row.id.as_str()));
    let Some(needed) = rows.map(PlanEstimate::from).reduce(|sum, row| sum.add_parallel(&row)) else { return };
    let rows = match unfinished.len() {
        1 => "1 row is not finished; it needs".to_owned(),
        count => format!("{count} rows are not finished; they need"),
    };
    partial.push_str(&format!(": {rows} {}", needed.describe()));
}
