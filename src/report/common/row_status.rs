//! The outcome of a row as reports show it ([`RowStatus`]), with its mark and meaning.
//!
//! Every format uses these marks, so that a mark has the same meaning everywhere. This module must not
//! know any format.

use crate::catalog::{Outcome, VerdictStatus};
use crate::results::gateway::GatewayVerdictKind;
use crate::results::model::{Results, RowResult};
use crate::string_enum::string_enum;

string_enum! {
    /// The outcome of a row. `Silent` is a conforming row: the field is ignored without an error.
    pub(crate) enum RowStatus {
        Conforms = "conforms",
        Silent = "silent",
        Exceeds = "exceeds",
        Contradicts = "contradicts",
        Undetermined = "undetermined",
        Unclaimed = "unclaimed",
    }
}

impl RowStatus {
    /// The status of a row.
    pub(crate) fn from_row(row: &RowResult) -> Self {
        match row.outcome {
            Outcome::Conforms if row.silent => Self::Silent,
            Outcome::Conforms => Self::Conforms,
            Outcome::Exceeds => Self::Exceeds,
            Outcome::Contradicts => Self::Contradicts,
            Outcome::Undetermined => Self::Undetermined,
            Outcome::Unclaimed => Self::Unclaimed,
        }
    }

    /// A mark that is one column wide.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::Conforms => "✓",
            Self::Silent => "○",
            Self::Exceeds => "▲",
            Self::Contradicts => "✗",
            Self::Undetermined => "?",
            Self::Unclaimed => "·",
        }
    }

    /// The mark for terminals that support only ASCII.
    pub(crate) fn ascii_mark(self) -> &'static str {
        match self {
            Self::Conforms => "=",
            Self::Silent => "~",
            Self::Exceeds => ">",
            Self::Contradicts => "x",
            Self::Undetermined => "?",
            Self::Unclaimed => ".",
        }
    }

    /// The meaning, for legends.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Conforms => "the endpoint does what its documents claim; paler where no effect was observed",
            Self::Silent => "claimed unsupported and ignored without an error: conforms, but the client is not told",
            Self::Exceeds => "the endpoint does more than its documents claim",
            Self::Contradicts => "the endpoint does not do what its documents claim",
            Self::Undetermined => "there is a claim, but the row was not run or the evidence does not decide",
            Self::Unclaimed => "the documents claim nothing about this row",
        }
    }
}

/// The meaning of a verdict, for legends.
pub(crate) fn verdict_meaning(status: VerdictStatus) -> &'static str {
    match status {
        VerdictStatus::Supported => "the field has its effect, or the endpoint enforces it: proven",
        VerdictStatus::Validated => {
            "a valid value is accepted and an impossible one rejected; no effect was looked for"
        }
        VerdictStatus::Accepted => "the request is accepted; nothing more was looked for",
        VerdictStatus::Ignored => "the field is accepted and has no effect",
        VerdictStatus::Rejected => "the field causes a client error",
        VerdictStatus::Substituted => "another value than the requested one is used",
        VerdictStatus::Inconclusive => "the evidence does not decide; the verdict gives the reason",
        VerdictStatus::Skipped => "the row was not run, or not completely",
    }
}

/// The verdicts of these runs with their meanings. Runs of `fieldtest gateway` have gateway verdicts.
pub(crate) fn verdict_meanings<'a>(runs: impl Iterator<Item = &'a Results>) -> Vec<(&'static str, &'static str)> {
    let (gateways, others): (Vec<_>, Vec<_>) = runs.partition(|run| run.gateway.is_some());
    let verdicts = VerdictStatus::ALL.iter().map(|status| (status.as_str(), verdict_meaning(*status)));
    let fates = GatewayVerdictKind::ALL.into_iter().map(|fate| (fate.as_str(), fate.meaning()));
    match (others.is_empty(), gateways.is_empty()) {
        (_, true) => verdicts.collect(),
        (true, false) => fates.collect(),
        (false, false) => verdicts.chain(fates.filter(|(word, _)| *word != VerdictStatus::Skipped.as_str())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixtures;

    #[test]
    fn marks_are_one_column_wide_and_differ() {
        for mark in [RowStatus::mark, RowStatus::ascii_mark] {
            let mut seen: Vec<&str> = RowStatus::ALL.iter().map(|s| mark(*s)).collect();
            assert!(seen.iter().all(|m| unicode_width::UnicodeWidthStr::width(*m) == 1), "{seen:?}");
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), RowStatus::ALL.len());
        }
        assert!(RowStatus::ALL.iter().all(|s| s.ascii_mark().is_ascii()));
    }

    #[test]
    fn a_silent_row_is_not_shown_as_conforming() {
        let run = fixtures::every_outcome();
        let silent: Vec<_> = run.rows.iter().filter(|row| row.silent).collect();
        assert_eq!(silent.len(), 1);
        assert_eq!(silent[0].outcome, Outcome::Conforms);
        assert_eq!(RowStatus::from_row(silent[0]), RowStatus::Silent);
    }
}
