//! The counts of a run, line by line, as every report's summary shows them.
//!
//! What ran and what did not comes before any outcome, and there is no percentage: a share of the decided rows says
//! nothing without the rows that are missing from it.

use crate::report::common::format;
use crate::report::common::row_status::RowStatus;
use crate::results::model::{Results, ResultsSummary};
use crate::results::plan_estimate;

/// A line of the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SummaryLine {
    Rows,
    Decided,
    Inconclusive,
    NotRun,
    Status(RowStatus),
    Requests,
    PerVerdict,
    Retries,
    InputTokens,
    OutputTokens,
    Cost,
    Time,
    Planned,
}

/// The lines of these runs, in order: what was planned is one only where something was.
pub(crate) fn summary_lines<'a>(runs: impl IntoIterator<Item = &'a Results>) -> Vec<SummaryLine> {
    let is_planned = runs.into_iter().any(|run| run.totals.planned.is_some());
    SUMMARY_LINES.into_iter().filter(|line| *line != SummaryLine::Planned || is_planned).collect()
}

/// All lines, in order.
const SUMMARY_LINES: [SummaryLine; 18] = [
    SummaryLine::Rows,
    SummaryLine::Decided,
    SummaryLine::Inconclusive,
    SummaryLine::NotRun,
    SummaryLine::Status(RowStatus::Conforms),
    SummaryLine::Status(RowStatus::Silent),
    SummaryLine::Status(RowStatus::Exceeds),
    SummaryLine::Status(RowStatus::Contradicts),
    SummaryLine::Status(RowStatus::Undetermined),
    SummaryLine::Status(RowStatus::Unclaimed),
    SummaryLine::Requests,
    SummaryLine::PerVerdict,
    SummaryLine::Retries,
    SummaryLine::InputTokens,
    SummaryLine::OutputTokens,
    SummaryLine::Cost,
    SummaryLine::Time,
    SummaryLine::Planned,
];

impl SummaryLine {
    /// What is counted.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Rows => "rows",
            Self::Decided => "decided",
            Self::Inconclusive => "could not be decided",
            Self::NotRun => "not run",
            Self::Status(standing) => count_label(standing),
            Self::Requests => "requests",
            Self::PerVerdict => "of them for each verdict",
            Self::Retries => "retries",
            Self::InputTokens => "tokens in",
            Self::OutputTokens => "tokens out",
            Self::Cost => "cost",
            Self::Time => "time",
            Self::Planned => "planned / actual",
        }
        .to_owned()
    }

    /// The figure for a run.
    pub(crate) fn value(self, run: &Results) -> String {
        let (summary, totals) = (&run.summary, &run.totals);
        match self {
            Self::Rows => format::with_thousands(summary.rows),
            Self::Decided => format::with_thousands(summary.decided),
            Self::Inconclusive => format::with_thousands(summary.inconclusive),
            Self::NotRun => format::with_thousands(summary.skipped),
            Self::Status(standing) => format::with_thousands(count_rows(summary, standing)),
            Self::Requests => format::with_thousands(totals.requests),
            Self::PerVerdict => run.per_verdict.map_or("none".to_owned(), |each| format::one_decimal(each.requests)),
            Self::Retries => format::with_thousands(totals.retries),
            Self::InputTokens => format::with_thousands(totals.input_tokens),
            Self::OutputTokens => format::with_thousands(totals.output_tokens),
            Self::Cost => totals.cost_usd.map_or("not priced".to_owned(), format::dollars),
            Self::Time => format::duration(totals.wall_ms),
            Self::Planned => {
                plan_estimate::compare_with_actual_except_time(totals).unwrap_or_else(|| "not planned".to_owned())
            }
        }
    }
}

/// A standing beside its count. Silent rows are among those that conform, as in the results file.
pub(crate) fn count_label(standing: RowStatus) -> &'static str {
    match standing {
        RowStatus::Silent => "of them silent",
        RowStatus::Conforms
        | RowStatus::Exceeds
        | RowStatus::Contradicts
        | RowStatus::Undetermined
        | RowStatus::Unclaimed => standing.as_str(),
    }
}

/// How many rows have this outcome, and of those that conform, how many are silent.
pub(crate) fn count_rows(summary: &ResultsSummary, standing: RowStatus) -> u64 {
    match standing {
        RowStatus::Conforms => summary.conforms,
        RowStatus::Silent => summary.silent,
        RowStatus::Exceeds => summary.exceeds,
        RowStatus::Contradicts => summary.contradicts,
        RowStatus::Undetermined => summary.undetermined,
        RowStatus::Unclaimed => summary.unclaimed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixtures;

    #[test]
    fn every_standing_is_counted() {
        let run = fixtures::every_outcome();
        for standing in RowStatus::ALL {
            let rows = run.rows.iter().filter(|row| RowStatus::from_row(row) == standing).count() as u64;
            assert!(rows > 0, "the fixture has no row that is {standing:?}");
            let silent = if standing == RowStatus::Conforms { run.summary.silent } else { 0 };
            assert_eq!(count_rows(&run.summary, standing), rows + silent, "{standing:?}");
        }
    }
}
