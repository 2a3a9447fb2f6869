//! The comparison of a run with a baseline, as part of results: [`BaselineComparison`].
//!
//! Names and order of the fields are a contract, as in the rest of the results. A CI gate uses
//! [`BaselineComparison::fails_run`].

use serde::{Deserialize, Serialize};

use crate::catalog::VerdictStatus;
use crate::string_enum::string_enum;

/// The comparison of a run with a baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BaselineComparison {
    /// The name of the baseline file.
    pub file: String,
    /// The kind of file.
    pub kind: BaselineKind,
    /// The day of the comparison, `YYYY-MM-DD`. Entries can expire.
    pub held_on: String,
    /// True if silent rows and warnings count as failures.
    pub strict: bool,
    /// The earlier run; absent if the baseline is a list of expected failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<EarlierRun>,
    /// Other differences between the runs, such as the model, the API version or missing rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The number of rows and findings with each status.
    pub counts: BaselineCounts,
    /// Rows in the order of the tables, then findings, then listed rows and checks that the run does not
    /// have. Rows and findings that pass have no entry.
    pub entries: Vec<BaselineEntry>,
}

impl BaselineComparison {
    /// True if the comparison makes the run fail: it has a regression or a stale entry.
    pub fn fails_run(&self) -> bool {
        self.counts.regression > 0 || self.counts.stale > 0
    }

    /// The entries with a status, in order.
    pub fn entries_with_status(&self, case: EntryStatus) -> impl Iterator<Item = &BaselineEntry> {
        self.entries.iter().filter(move |entry| entry.case == case)
    }

    /// The entry of a row.
    pub fn find_row(&self, id: &str) -> Option<&BaselineEntry> {
        self.entries.iter().find(|entry| matches!(&entry.subject, EntrySubject::Row(row) if row == id))
    }

    /// The entry of a check.
    pub fn find_check(&self, id: &str) -> Option<&BaselineEntry> {
        self.entries.iter().find(|entry| matches!(&entry.subject, EntrySubject::Check(check) if check == id))
    }
}

string_enum! {
    /// The kinds of baseline file.
    #[cfg_attr(test, schemars(rename = "BaselineKind"))]
    pub enum BaselineKind {
        /// An earlier results file.
        Results = "results",
        /// A list of expected failures.
        Expectations = "expectations",
    }
}

/// The earlier run that serves as the baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "BaselineEarlier"))]
pub struct EarlierRun {
    /// The target's name.
    pub target: String,
    /// The requested model.
    pub model: String,
    /// The API version.
    pub anthropic_version: String,
    /// When the run started.
    pub started_at: String,
}

/// A row or finding compared with the baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "BaselineEntry"))]
pub struct BaselineEntry {
    /// The row or check.
    #[serde(flatten)]
    pub subject: EntrySubject,
    /// The status.
    pub case: EntryStatus,
    /// The cause of a regression; `null` for any other status.
    pub cause: Option<RegressionCause>,
    /// True if the baseline lists it as failing.
    pub listed: bool,
    /// The state in the baseline; `null` if the baseline does not mention it.
    pub before: Option<EntryState>,
    /// The state in this run; `null` if it is not part of the run.
    pub now: Option<EntryState>,
    /// The comparison in one sentence, with the reason of the verdict.
    pub why: String,
    /// The reason given in the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The web address given in the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The last day on which the entry is valid, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The strongest verdict that the row could reach in the earlier run, if it differs from that of
    /// this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strongest_before: Option<VerdictStatus>,
}

/// The subject of an entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EntrySubject {
    /// A row, by its id.
    Row(String),
    /// A finding, by the id of its check.
    Check(String),
}

impl EntrySubject {
    /// The id of the row or check.
    pub fn id(&self) -> &str {
        match self {
            Self::Row(id) | Self::Check(id) => id,
        }
    }
}

string_enum! {
    /// The status of a row or finding compared with a baseline.
    #[cfg_attr(test, schemars(rename = "BaselineCase"))]
    pub enum EntryStatus {
        /// Worse than the baseline allows.
        Regression = "regression",
        /// Listed, but no longer failing: remove the entry.
        Stale = "stale",
        /// In the baseline, but undecided in this run.
        Unconfirmed = "unconfirmed",
        /// Listed, but not part of this run.
        NotRun = "not_run",
        /// Fails as listed.
        Expected = "expected",
    }
}

impl EntryStatus {
    /// The meaning, for legends.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Regression => "worse than the baseline allows",
            Self::Stale => "listed, but no longer failing: remove the entry",
            Self::Unconfirmed => "in the baseline, but undecided in this run",
            Self::NotRun => "listed, but not part of this run",
            Self::Expected => "fails as listed",
        }
    }
}

string_enum! {
    /// The cause of a regression.
    #[cfg_attr(test, schemars(rename = "BaselineCause"))]
    pub enum RegressionCause {
        /// It fails and is not listed.
        Unlisted = "unlisted",
        /// It fails and is listed with another verdict.
        AnotherVerdict = "another_verdict",
        /// It fails and its entry has expired.
        Expired = "expired",
        /// It is worse than in the earlier run: no longer supported, or accepted before and rejected now.
        FellBehind = "fell_behind",
    }
}

impl RegressionCause {
    /// The cause in words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Unlisted => "not listed",
            Self::AnotherVerdict => "listed with another verdict",
            Self::Expired => "the entry has expired",
            Self::FellBehind => "worse than in the earlier run",
        }
    }
}

/// The state of a row or finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "BaselineState"))]
#[serde(untagged)]
pub enum EntryState {
    /// A row's verdict.
    Verdict(VerdictStatus),
    /// Whether a finding exists.
    Sight(FindingPresence),
}

impl EntryState {
    /// The word used in JSON and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verdict(status) => status.as_str(),
            Self::Sight(presence) => presence.as_str(),
        }
    }
}

string_enum! {
    /// Whether a run has a finding.
    #[cfg_attr(test, schemars(rename = "BaselineSight"))]
    pub enum FindingPresence {
        /// The run has the finding.
        Seen = "seen",
        /// The run does not have the finding.
        Unseen = "unseen",
    }
}

/// The number of rows and findings with each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "BaselineCounts"))]
pub struct BaselineCounts {
    /// Worse than the baseline allows.
    pub regression: u64,
    /// Listed, but no longer failing.
    pub stale: u64,
    /// In the baseline, but undecided in this run.
    pub unconfirmed: u64,
    /// Listed, but not part of this run.
    pub not_run: u64,
    /// Fails as listed.
    pub expected: u64,
    /// Decided rows that do not fail and are not listed.
    pub passes: u64,
    /// Undecided rows that the baseline does not mention.
    pub undetermined: u64,
}

impl BaselineCounts {
    /// The number of rows and findings with a status.
    pub fn get(&self, case: EntryStatus) -> u64 {
        match case {
            EntryStatus::Regression => self.regression,
            EntryStatus::Stale => self.stale,
            EntryStatus::Unconfirmed => self.unconfirmed,
            EntryStatus::NotRun => self.not_run,
            EntryStatus::Expected => self.expected,
        }
    }

    pub(super) fn add(&mut self, case: EntryStatus) {
        let count = match case {
            EntryStatus::Regression => &mut self.regression,
            EntryStatus::Stale => &mut self.stale,
            EntryStatus::Unconfirmed => &mut self.unconfirmed,
            EntryStatus::NotRun => &mut self.not_run,
            EntryStatus::Expected => &mut self.expected,
        };
        *count += 1;
    }
}
