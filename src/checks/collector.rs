//! Collects the findings of one exchange: [`FindingCollector`].

use serde_json::Value;

use crate::checks::catalog::ProtocolCheck;
use crate::wire::message::excerpt;

/// The maximum length of the detail of a finding.
const MAX_DETAIL_CHARS: usize = 240;

/// A check that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: ProtocolCheck,
    /// The observation, on one line.
    pub detail: String,
}

impl Finding {
    /// Creates a finding with a shortened detail.
    pub(super) fn new(check: ProtocolCheck, detail: impl AsRef<str>) -> Self {
        Self { check, detail: excerpt(detail.as_ref(), MAX_DETAIL_CHARS) }
    }
}

/// The findings of one exchange: for each check only the first.
#[derive(Debug, Default)]
pub(super) struct FindingCollector {
    findings: Vec<Finding>,
}

impl FindingCollector {
    /// Returns true if there is a finding of this check. Callers that may find the same fault in
    /// every frame of a stream call this first, so that they do not format a detail that is then
    /// dropped.
    pub fn contains(&self, check: ProtocolCheck) -> bool {
        self.findings.iter().any(|finding| finding.check == check)
    }

    /// Adds a finding, unless there is one of this check.
    pub fn add(&mut self, check: ProtocolCheck, detail: impl AsRef<str>) {
        if !self.contains(check) {
            self.findings.push(Finding::new(check, detail));
        }
    }

    /// Adds a finding about the value of a key, unless there is one of this check.
    pub fn add_value(&mut self, check: ProtocolCheck, key: &str, value: Option<&Value>) {
        self.add(check, format!("{key} is {}", format_value(value)));
    }

    /// Returns the findings.
    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}

/// Formats a value for a detail: shortened, and "nothing" for a missing value.
pub(super) fn format_value(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |v| excerpt(&v.to_string(), 80))
}
