//! How a row stands, as reports draw it: the outcome, with the silent rows told apart.
//!
//! Every format takes its marks and its words from here, so that a mark means the same everywhere. This module must
//! not know any format.

use crate::catalog::{Outcome, VerdictStatus};
use crate::results::gateway::GatewayVerdictKind;
use crate::results::model::{Results, RowResult};
use crate::string_enum::string_enum;

string_enum! {
    /// An outcome as a reader needs it. `Silent` is a conforming row that a client cannot tell from a working one.
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
    /// How this row stands.
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

    /// A sign of one column.
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

    /// The sign for terminals that have ASCII only.
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

    /// What it means, for legends.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Conforms => "the endpoint does what its document claims",
            Self::Silent => {
                "claimed unsupported, and passed over without a word: this conforms, but a client is not told"
            }
            Self::Exceeds => "the endpoint does more than its document claims",
            Self::Contradicts => "the endpoint does not do what its document claims",
            Self::Undetermined => "there is a claim, and the row was not run or the evidence does not decide it",
            Self::Unclaimed => "the document claims nothing of this row",
        }
    }
}

/// What an observation means, for legends.
pub(crate) fn verdict_meaning(status: VerdictStatus) -> &'static str {
    match status {
        VerdictStatus::Supported => "the field was shown to be honoured",
        VerdictStatus::Ignored => "the field was accepted, and shown to have no effect",
        VerdictStatus::Rejected => "the request was refused because of the field",
        VerdictStatus::Substituted => "another value than the requested one was used",
        VerdictStatus::Inconclusive => "the evidence does not decide; the reason is given",
        VerdictStatus::Skipped => "the row was not run, or not to the end",
    }
}

/// The words for observations in these runs, and their meaning: runs against gateways have fates.
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
    fn a_silent_row_is_not_shown_as_plainly_conforming() {
        let run = fixtures::every_outcome();
        let silent: Vec<_> = run.rows.iter().filter(|row| row.silent).collect();
        assert_eq!(silent.len(), 1);
        assert_eq!(silent[0].outcome, Outcome::Conforms);
        assert_eq!(RowStatus::from_row(silent[0]), RowStatus::Silent);
    }
}
