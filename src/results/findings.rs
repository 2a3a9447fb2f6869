//! [`FindingsAggregator`]: sums up the findings of passive checks, by check and by row.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::checks::{CheckSeverity, ProtocolCheck};
use crate::results::model::FindingSummary;

/// Sums up findings. The result does not depend on the order of the responses.
#[derive(Debug, Default)]
pub struct FindingsAggregator {
    by_check: BTreeMap<(CheckSeverity, &'static str), CheckSummary>,
    by_row: HashMap<String, BTreeSet<&'static str>>,
}

/// The findings of one check.
#[derive(Debug, Default)]
struct CheckSummary {
    sources: BTreeSet<String>,
    rows: BTreeSet<usize>,
    /// The shortest detail.
    example: Option<String>,
}

impl FindingsAggregator {
    /// Adds a finding. Findings with equal sources count as one. `row` is a position in the rows that
    /// [`Self::summarize`] receives.
    pub fn add(&mut self, check: ProtocolCheck, detail: &str, source: &str, row: Option<usize>) {
        let summary = self.by_check.entry((check.severity(), check.id())).or_default();
        summary.sources.insert(source.to_owned());
        summary.rows.extend(row);
        let is_shorter = |example: &String| (detail.len(), detail) < (example.len(), example.as_str());
        if summary.example.as_ref().is_none_or(is_shorter) {
            summary.example = Some(detail.to_owned());
        }
    }

    /// Adds a check to the findings of a row.
    pub fn add_to_row(&mut self, row: &str, check: ProtocolCheck) {
        self.by_row.entry(row.to_owned()).or_default().insert(check.id());
    }

    /// The ids of the checks of a row.
    pub fn row_checks(&self, row: &str) -> Vec<String> {
        self.by_row.get(row).into_iter().flatten().map(|id| (*id).to_owned()).collect()
    }

    /// The findings of the run: errors first, then by id.
    pub fn summarize(self, rows: &[&str]) -> Vec<FindingSummary> {
        self.by_check
            .into_iter()
            .map(|((severity, check), summary)| FindingSummary {
                check: check.to_owned(),
                severity,
                count: summary.sources.len() as u64,
                rows: summary.rows.into_iter().map(|row| rows[row].to_owned()).collect(),
                example: summary.example.unwrap_or_default(),
            })
            .collect()
    }
}
