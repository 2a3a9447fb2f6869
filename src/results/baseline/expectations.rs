//! What a baseline lists: what is known to fail, and how.
//!
//! Both kinds of file come to the same list. Must not judge a run.

use jiff::civil::Date;

use crate::catalog::{Outcome, VerdictStatus};
use crate::results::baseline::model::Subject;
use crate::results::model::{Finding, Results, RowResult, Severity};

/// What a run can be held against.
#[derive(Debug, Clone, PartialEq)]
pub enum Baseline {
    /// A file of expectations.
    Expectations(Expectations),
    /// An earlier run: what failed in it is listed, and each of its verdicts is something to fall behind of.
    Earlier(Box<Results>),
}

/// A file of expectations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectations {
    /// The only target that it holds for; any where there is none.
    pub target: Option<String>,
    /// The entries, in the order of the file.
    pub expect: Vec<Listed>,
}

/// An entry: what is known to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it is about.
    pub subject: Subject,
    /// The verdict that is expected; none for findings, which are seen or not.
    pub verdict: Option<VerdictStatus>,
    /// Why it is known to fail.
    pub reason: Option<String>,
    /// Where more is said.
    pub link: Option<String>,
    /// The last day on which it holds.
    pub until: Option<Date>,
}

impl Listed {
    /// True from the day after `until` on.
    pub fn is_expired(&self, today: Date) -> bool {
        self.until.is_some_and(|until| until < today)
    }

    fn of(subject: Subject, verdict: Option<VerdictStatus>) -> Self {
        Self { subject, verdict, reason: None, link: None, until: None }
    }
}

impl Baseline {
    /// All that is listed.
    pub(super) fn listed(&self, strict: bool) -> Vec<Listed> {
        match self {
            Self::Expectations(expectations) => expectations.expect.clone(),
            Self::Earlier(earlier) => failing(earlier, strict),
        }
    }

    /// The earlier run, where it is one.
    pub(super) fn earlier(&self) -> Option<&Results> {
        match self {
            Self::Expectations(_) => None,
            Self::Earlier(earlier) => Some(earlier),
        }
    }
}

/// Everything that fails in a run, as a list: rows in the order of the tables, then findings.
pub fn failing(results: &Results, strict: bool) -> Vec<Listed> {
    let rows = results.rows.iter().filter(|row| fails(row, strict));
    let rows = rows.map(|row| Listed::of(Subject::Row(row.id.clone()), Some(row.verdict.status)));
    let findings = results.findings.iter().filter(|finding| is_failure(finding, strict));
    rows.chain(findings.map(|finding| Listed::of(Subject::Check(finding.check.clone()), None))).collect()
}

/// True where a row is worse than its claim; strictly also where a client is not told.
pub(super) fn fails(row: &RowResult, strict: bool) -> bool {
    row.outcome == Outcome::Contradicts || (strict && row.silent)
}

/// True where a finding breaks clients; strictly also where it breaks some.
pub(super) fn is_failure(finding: &Finding, strict: bool) -> bool {
    match finding.severity {
        Severity::Error => true,
        Severity::Warning => strict,
        Severity::Note => false,
    }
}
