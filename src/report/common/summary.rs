//! The counts of a run, line by line: [`SummaryLine`].
//!
//! Decided and missing rows come before any outcome. There are no percentages, since a percentage of the
//! decided rows hides the missing rows.

use crate::report::common::phrases;
use crate::report::common::row_status::RowStatus;
use crate::results::format;
use crate::results::model::{Results, ResultsSummary};

/// One line of the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SummaryLine {
    Rows,
    Decided,
    Inconclusive,
    NotRun,
    Status(RowStatus),
    /// How the claims of `supported` are met.
    MetClaims,
    Requests,
    PerVerdict,
    Retries,
    InputTokens,
    OutputTokens,
    Cost,
    Time,
    Planned,
}

/// The lines for these runs, in order. The plan has a line only if a run has an estimate.
pub(crate) fn summary_lines<'a>(runs: impl IntoIterator<Item = &'a Results>) -> Vec<SummaryLine> {
    let is_planned = runs.into_iter().any(|run| run.totals.planned.is_some());
    SUMMARY_LINES.into_iter().filter(|line| *line != SummaryLine::Planned || is_planned).collect()
}

/// All lines, in order.
const SUMMARY_LINES: [SummaryLine; 19] = [
    SummaryLine::Rows,
    SummaryLine::Decided,
    SummaryLine::Inconclusive,
    SummaryLine::NotRun,
    SummaryLine::Status(RowStatus::Conforms),
    SummaryLine::Status(RowStatus::Silent),
    SummaryLine::MetClaims,
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
    /// The label of the line.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Decided => "decided",
            Self::Inconclusive => "undecided",
            Self::NotRun => "not run",
            Self::Status(status) => count_label(status),
            Self::MetClaims => "claims of support",
            Self::Requests => "requests",
            Self::PerVerdict => "requests per verdict",
            Self::Retries => "retries",
            Self::InputTokens => "tokens in",
            Self::OutputTokens => "tokens out",
            Self::Cost => "cost",
            Self::Time => "time",
            Self::Planned => "planned / actual",
        }
    }

    /// The value for a run.
    pub(crate) fn value(self, run: &Results) -> String {
        let (summary, totals) = (&run.summary, &run.totals);
        match self {
            Self::Rows => format::with_thousands(summary.rows),
            Self::Decided => format::with_thousands(summary.decided),
            Self::Inconclusive => format::with_thousands(summary.inconclusive),
            Self::NotRun => format::with_thousands(summary.skipped),
            Self::Status(status) => format::with_thousands(count_rows(summary, status)),
            Self::MetClaims => phrases::describe_met_claims(summary).unwrap_or_else(|| "none met".to_owned()),
            Self::Requests => format::with_thousands(totals.requests),
            Self::PerVerdict => run.per_verdict.map_or("none".to_owned(), |each| format::one_decimal(each.requests)),
            Self::Retries => format::with_thousands(totals.retries),
            Self::InputTokens => format::with_thousands(totals.input_tokens),
            Self::OutputTokens => format::with_thousands(totals.output_tokens),
            Self::Cost => totals.cost_usd.map_or("not priced".to_owned(), format::dollars),
            Self::Time => format::duration(totals.wall_ms),
            Self::Planned => phrases::compare_plan_without_time(totals).unwrap_or_else(|| "not planned".to_owned()),
        }
    }
}

/// The label of a status next to its count. Conforming rows include silent rows, as in the results file.
pub(crate) fn count_label(status: RowStatus) -> &'static str {
    if status == RowStatus::Silent { "including silent" } else { status.as_str() }
}

/// The number of rows with a status. Conforming rows include silent rows.
pub(crate) fn count_rows(summary: &ResultsSummary, status: RowStatus) -> u64 {
    match status {
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
    fn every_status_is_counted() {
        let run = fixtures::every_outcome();
        for status in RowStatus::ALL {
            let rows = run.rows.iter().filter(|row| RowStatus::from_row(row) == status).count() as u64;
            assert!(rows > 0, "the fixture has no row that is {status:?}");
            let silent = if status == RowStatus::Conforms { run.summary.silent } else { 0 };
            assert_eq!(count_rows(&run.summary, status), rows + silent, "{status:?}");
        }
    }
}
