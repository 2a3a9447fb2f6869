//! What a baseline lists: what is known to fail, and how.
//!
//! Both kinds of file come to the same list. Must not judge a run.

use jiff::civil::Date;

use crate::catalog::{Outcome, VerdictStatus};
use crate::checks::CheckSeverity;
use crate::results::baseline::model::EntrySubject;
use crate::results::model::{FindingSummary, Results, RowResult};

/// What a run can be held against.
#[derive(Debug, Clone, PartialEq)]
pub enum BaselineSource {
    /// A file of expectations.
    Expectations(ExpectationList),
    /// An earlier run: what failed in it is listed, and each of its verdicts is something to fall behind of.
    EarlierRun(Box<Results>),
}

/// A file of expectations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectationList {
    /// The only target that it holds for; any where there is none.
    pub target: Option<String>,
    /// The entries, in the order of the file.
    pub expect: Vec<ExpectedFailure>,
}

/// An entry: what is known to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedFailure {
    /// What it is about.
    pub subject: EntrySubject,
    /// The verdict that is expected; none for findings, which are seen or not.
    pub verdict: Option<VerdictStatus>,
    /// Why it is known to fail.
    pub reason: Option<String>,
    /// Where more is said.
    pub link: Option<String>,
    /// The last day on which it holds.
    pub until: Option<Date>,
}

impl ExpectedFailure {
    /// True from the day after `until` on.
    pub fn is_expired(&self, today: Date) -> bool {
        self.until.is_some_and(|until| until < today)
    }

    fn new(subject: EntrySubject, verdict: Option<VerdictStatus>) -> Self {
        Self { subject, verdict, reason: None, link: None, until: None }
    }
}

impl BaselineSource {
    /// All that is listed.
    pub(super) fn expected_failures(&self, strict: bool) -> Vec<ExpectedFailure> {
        match self {
            Self::Expectations(expectations) => expectations.expect.clone(),
            Self::EarlierRun(earlier) => collect_failures(earlier, strict),
        }
    }

    /// The earlier run, where it is one.
    pub(super) fn earlier_run(&self) -> Option<&Results> {
        match self {
            Self::Expectations(_) => None,
            Self::EarlierRun(earlier) => Some(earlier),
        }
    }
}

/// Everything that fails in a run, as a list: rows in the order of the tables, then findings.
pub fn collect_failures(results: &Results, strict: bool) -> Vec<ExpectedFailure> {
    let rows = results.rows.iter().filter(|row| is_failing_row(row, strict));
    let rows = rows.map(|row| ExpectedFailure::new(EntrySubject::Row(row.id.clone()), Some(row.verdict.status)));
    let findings = results.findings.iter().filter(|finding| is_failing_finding(finding, strict));
    rows.chain(findings.map(|finding| ExpectedFailure::new(EntrySubject::Check(finding.check.clone()), None))).collect()
}

/// True where a row is worse than its claim; strictly also where a client is not told.
pub(super) fn is_failing_row(row: &RowResult, strict: bool) -> bool {
    row.outcome == Outcome::Contradicts || (strict && row.silent)
}

/// True where a finding breaks clients; strictly also where it breaks some.
pub(super) fn is_failing_finding(finding: &FindingSummary, strict: bool) -> bool {
    match finding.severity {
        CheckSeverity::Error => true,
        CheckSeverity::Warning => strict,
        CheckSeverity::Note => false,
    }
}
