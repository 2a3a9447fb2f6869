//! The comparison with a baseline, as results carry it and reports show it.
//!
//! Names and order are a contract, as those of the results are. Whoever gates on a baseline asks [`Held::is_broken`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::VerdictStatus;
use crate::string_enum::string_enum;

/// A run held against a baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BaselineComparison {
    /// The baseline's file, as it was named.
    pub file: String,
    /// What kind of file it is.
    pub kind: BaselineKind,
    /// The day on which it was held, `YYYY-MM-DD`: entries expire.
    pub held_on: String,
    /// True where silent rows and warnings count as failures.
    pub strict: bool,
    /// The earlier run; absent where the baseline is a file of expectations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<EarlierRun>,
    /// What a reader must know before comparing: another model, another contract, rows that are missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How many rows and findings there are of each case.
    pub counts: BaselineCounts,
    /// Every row and finding that does not simply pass: rows in the order of the tables, then findings, then what is
    /// listed and was not part of the run.
    pub entries: Vec<BaselineEntry>,
}

impl BaselineComparison {
    /// True where the comparison makes a run fail: a regression, or an entry that is stale.
    pub fn fails_run(&self) -> bool {
        self.counts.regression > 0 || self.counts.stale > 0
    }

    /// The entries of a case, in order.
    pub fn entries_with_status(&self, case: EntryStatus) -> impl Iterator<Item = &BaselineEntry> {
        self.entries.iter().filter(move |entry| entry.case == case)
    }

    /// What is said of a row.
    pub fn find_row(&self, id: &str) -> Option<&BaselineEntry> {
        self.entries.iter().find(|entry| matches!(&entry.subject, EntrySubject::Row(row) if row == id))
    }

    /// What is said of a check.
    pub fn find_check(&self, id: &str) -> Option<&BaselineEntry> {
        self.entries.iter().find(|entry| matches!(&entry.subject, EntrySubject::Check(check) if check == id))
    }
}

string_enum! {
    /// The kinds of baseline.
    #[schemars(rename = "BaselineKind")]
    pub enum BaselineKind {
        /// An earlier results file.
        Results = "results",
        /// A file of expectations.
        Expectations = "expectations",
    }
}

/// The run that a results file used as a baseline is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BaselineEarlier")]
pub struct EarlierRun {
    /// The target's name.
    pub target: String,
    /// The model that was asked for.
    pub model: String,
    /// The contract that was tested.
    pub anthropic_version: String,
    /// When the run began.
    pub started_at: String,
}

/// A row or a finding, and how it stands to the baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BaselineEntry")]
pub struct BaselineEntry {
    /// What it is about.
    #[serde(flatten)]
    pub subject: EntrySubject,
    /// How it stands.
    pub case: EntryStatus,
    /// What made it a regression; `null` in every other case.
    pub cause: Option<RegressionCause>,
    /// True where the baseline lists it as failing.
    pub listed: bool,
    /// What the baseline says of it; `null` where it says nothing.
    pub before: Option<EntryState>,
    /// What this run shows of it; `null` where it was not part of the run.
    pub now: Option<EntryState>,
    /// The comparison in a sentence, with the verdict's own reason.
    pub why: String,
    /// Why it is listed, in the words of the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where more is said, in the words of the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The last day on which the entry holds, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntrySubject {
    /// A row, by its id.
    Row(String),
    /// The finding of a check, by the check's id.
    Check(String),
}

impl EntrySubject {
    /// The id alone.
    pub fn id(&self) -> &str {
        match self {
            Self::Row(id) | Self::Check(id) => id,
        }
    }
}

string_enum! {
    /// How a row or a finding stands to a baseline.
    #[schemars(rename = "BaselineCase")]
    pub enum EntryStatus {
        /// Worse than the baseline allows.
        Regression = "regression",
        /// Listed as failing, and fails no longer: the entry is to be removed.
        Stale = "stale",
        /// The baseline speaks of it, and this run could not decide it.
        Unconfirmed = "unconfirmed",
        /// Listed, and not part of this run.
        NotRun = "not_run",
        /// Fails as listed.
        Expected = "expected",
    }
}

impl EntryStatus {
    /// What it means, for legends.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Regression => "worse than the baseline allows",
            Self::Stale => "listed as failing, and fails no longer: remove the entry",
            Self::Unconfirmed => "the baseline speaks of it, and this run could not decide it",
            Self::NotRun => "listed, and not part of this run",
            Self::Expected => "fails as listed",
        }
    }
}

string_enum! {
    /// What made a row or a finding a regression.
    #[schemars(rename = "BaselineCause")]
    pub enum RegressionCause {
        /// It fails, and is not listed.
        Unlisted = "unlisted",
        /// It fails, and is listed with another verdict.
        AnotherVerdict = "another_verdict",
        /// It fails, and its entry holds no longer.
        Expired = "expired",
        /// It is worse than in the earlier run: honoured then and not now, or accepted then and refused now.
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

/// What is known of a row, or of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BaselineState")]
#[serde(untagged)]
pub enum EntryState {
    /// A row's verdict.
    Verdict(VerdictStatus),
    /// Whether a finding was seen.
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
    /// Whether a finding was seen.
    #[schemars(rename = "BaselineSight")]
    pub enum FindingPresence {
        /// In at least one exchange.
        Seen = "seen",
        /// In none.
        Unseen = "unseen",
    }
}

/// How many rows and findings there are of each case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BaselineCounts")]
pub struct BaselineCounts {
    /// Worse than the baseline allows.
    pub regression: u64,
    /// Listed, and no longer failing.
    pub stale: u64,
    /// The baseline speaks of it, and this run could not decide it.
    pub unconfirmed: u64,
    /// Listed, and not part of this run.
    pub not_run: u64,
    /// Fails as listed.
    pub expected: u64,
    /// Rows that were decided, do not fail, and are not listed.
    pub passes: u64,
    /// Rows that were not decided, and of which the baseline says nothing.
    pub undetermined: u64,
}

impl BaselineCounts {
    /// How many there are of a case.
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
