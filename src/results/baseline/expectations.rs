//! The expected failures of a baseline: [`BaselineSource`].
//!
//! Both kinds of baseline file give the same list. This module must not compare it with a run.

use jiff::civil::Date;

use crate::catalog::{Outcome, VerdictStatus};
use crate::results::baseline::model::EntrySubject;
use crate::results::model::{Results, RowResult};

/// A baseline.
#[derive(Debug, Clone, PartialEq)]
pub enum BaselineSource {
    /// A list of expected failures.
    Expectations(ExpectationList),
    /// An earlier run. Its failures are listed, and a worse verdict than in that run is a regression.
    EarlierRun(Box<Results>),
}

/// A list of expected failures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectationList {
    /// The only target of the list; any target if `None`.
    pub target: Option<String>,
    /// The entries, in the order of the file.
    pub expect: Vec<ExpectedFailure>,
}

/// One expected failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedFailure {
    /// The row or check.
    pub subject: EntrySubject,
    /// The expected verdict; `None` for findings.
    pub verdict: Option<VerdictStatus>,
    /// Why the failure is known.
    pub reason: Option<String>,
    /// A web address with details.
    pub link: Option<String>,
    /// The last day on which the entry is valid.
    pub until: Option<Date>,
}

impl ExpectedFailure {
    /// True after the day `until`.
    pub fn is_expired(&self, today: Date) -> bool {
        self.until.is_some_and(|until| until < today)
    }

    fn new(subject: EntrySubject, verdict: Option<VerdictStatus>) -> Self {
        Self { subject, verdict, reason: None, link: None, until: None }
    }
}

impl BaselineSource {
    /// The expected failures.
    pub(super) fn expected_failures(&self, strict: bool) -> Vec<ExpectedFailure> {
        match self {
            Self::Expectations(expectations) => expectations.expect.clone(),
            Self::EarlierRun(earlier) => collect_failures(earlier, strict),
        }
    }

    /// The earlier run, if the baseline is one.
    pub(super) fn earlier_run(&self) -> Option<&Results> {
        match self {
            Self::Expectations(_) => None,
            Self::EarlierRun(earlier) => Some(earlier),
        }
    }
}

/// All failures of a run: rows in the order of the tables, then findings.
pub fn collect_failures(results: &Results, strict: bool) -> Vec<ExpectedFailure> {
    let rows = results.rows.iter().filter(|row| is_failing_row(row, strict));
    let rows = rows.map(|row| ExpectedFailure::new(EntrySubject::Row(row.id.clone()), Some(row.verdict.status)));
    let findings = results.findings.iter().filter(|finding| finding.severity.is_failure(strict));
    rows.chain(findings.map(|finding| ExpectedFailure::new(EntrySubject::Check(finding.check.clone()), None))).collect()
}

/// True if a row contradicts its claim; in strict mode also if the row is silent.
pub(super) fn is_failing_row(row: &RowResult, strict: bool) -> bool {
    row.outcome == Outcome::Contradicts || (strict && row.silent)
}
