//! The counts of a run, line by line, as every report's summary shows them.
//!
//! What ran and what did not comes before any outcome, and there is no percentage: a share of the decided rows says
//! nothing without the rows that are missing from it.

use crate::report::common::format;
use crate::report::common::row_status::Standing;
use crate::results::model::{Results, Summary};
use crate::results::plan_estimate;

/// A line of the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Rows,
    Decided,
    Inconclusive,
    NotRun,
    Standing(Standing),
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
pub(crate) fn lines<'a>(runs: impl IntoIterator<Item = &'a Results>) -> Vec<Line> {
    let is_planned = runs.into_iter().any(|run| run.totals.planned.is_some());
    LINES.into_iter().filter(|line| *line != Line::Planned || is_planned).collect()
}

/// All lines, in order.
const LINES: [Line; 18] = [
    Line::Rows,
    Line::Decided,
    Line::Inconclusive,
    Line::NotRun,
    Line::Standing(Standing::Conforms),
    Line::Standing(Standing::Silent),
    Line::Standing(Standing::Exceeds),
    Line::Standing(Standing::Contradicts),
    Line::Standing(Standing::Undetermined),
    Line::Standing(Standing::Unclaimed),
    Line::Requests,
    Line::PerVerdict,
    Line::Retries,
    Line::InputTokens,
    Line::OutputTokens,
    Line::Cost,
    Line::Time,
    Line::Planned,
];

impl Line {
    /// What is counted.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Rows => "rows",
            Self::Decided => "decided",
            Self::Inconclusive => "could not be decided",
            Self::NotRun => "not run",
            Self::Standing(standing) => counted(standing),
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
    pub(crate) fn figure(self, run: &Results) -> String {
        let (summary, totals) = (&run.summary, &run.totals);
        match self {
            Self::Rows => format::count(summary.rows),
            Self::Decided => format::count(summary.decided),
            Self::Inconclusive => format::count(summary.inconclusive),
            Self::NotRun => format::count(summary.skipped),
            Self::Standing(standing) => format::count(of(summary, standing)),
            Self::Requests => format::count(totals.requests),
            Self::PerVerdict => run.per_verdict.map_or("none".to_owned(), |each| format::rounded(each.requests)),
            Self::Retries => format::count(totals.retries),
            Self::InputTokens => format::count(totals.input_tokens),
            Self::OutputTokens => format::count(totals.output_tokens),
            Self::Cost => totals.cost_usd.map_or("not priced".to_owned(), format::dollars),
            Self::Time => format::duration(totals.wall_ms),
            Self::Planned => plan_estimate::beside_but_time(totals).unwrap_or_else(|| "not planned".to_owned()),
        }
    }
}

/// A standing beside its count. Silent rows are among those that conform, as in the results file.
pub(crate) fn counted(standing: Standing) -> &'static str {
    match standing {
        Standing::Silent => "of them silent",
        Standing::Conforms
        | Standing::Exceeds
        | Standing::Contradicts
        | Standing::Undetermined
        | Standing::Unclaimed => standing.word(),
    }
}

/// How many rows have this outcome, and of those that conform, how many are silent.
pub(crate) fn of(summary: &Summary, standing: Standing) -> u64 {
    match standing {
        Standing::Conforms => summary.conforms,
        Standing::Silent => summary.silent,
        Standing::Exceeds => summary.exceeds,
        Standing::Contradicts => summary.contradicts,
        Standing::Undetermined => summary.undetermined,
        Standing::Unclaimed => summary.unclaimed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixtures;

    #[test]
    fn every_standing_is_counted() {
        let run = fixtures::every_outcome();
        for standing in Standing::ALL {
            let rows = run.rows.iter().filter(|row| Standing::of(row) == standing).count() as u64;
            assert!(rows > 0, "the fixture has no row that is {standing:?}");
            let silent = if standing == Standing::Conforms { run.summary.silent } else { 0 };
            assert_eq!(of(&run.summary, standing), rows + silent, "{standing:?}");
        }
    }
}
