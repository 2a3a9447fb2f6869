//! [`RunFindings`]: the findings of the passive checks in a recording, by row and in total. It must
//! not decide rows.

use std::collections::{HashMap, HashSet};

use crate::checks;
use crate::checks::CheckedExchange;
use crate::recording::run::Recording;
use crate::results::findings::FindingsAggregator;
use crate::results::model::FindingSummary;

/// The findings of a run.
#[derive(Debug, Default)]
pub(crate) struct RunFindings {
    by_row: HashMap<String, Vec<String>>,
    all: Vec<FindingSummary>,
}

impl RunFindings {
    /// Collects the findings in the exchanges of a recording and the findings across responses.
    /// Assigns each finding to every row that used its exchange. `exchanges` has the order of the
    /// recording.
    pub fn new(recording: &Recording, exchanges: &[CheckedExchange]) -> Self {
        let checked_exchanges = || recording.exchanges.iter().zip(exchanges);
        let responses = checked_exchanges()
            .filter_map(|(exchange, checked)| Some(checks::CheckedResponse { exchange, message: checked.message()? }));
        let cross_findings = checks::check_across(responses);
        let mut checked: HashMap<&str, Vec<checks::Finding>> = HashMap::new();
        for (exchange, found) in checked_exchanges() {
            checked.entry(&exchange.id).or_default().extend(found.findings.iter().cloned());
        }
        for (id, finding) in cross_findings {
            checked.entry(id).or_default().push(finding);
        }
        let position: HashMap<&str, usize> =
            recording.header.rows.iter().enumerate().map(|(i, row)| (row.as_str(), i)).collect();
        let mut findings = FindingsAggregator::default();
        let mut used_ids = HashSet::new();
        for trial in &recording.trials {
            let row = position.get(trial.key.row.as_str()).copied();
            for id in &trial.exchanges {
                used_ids.insert(id.as_str());
                for finding in checked.get(id.as_str()).into_iter().flatten() {
                    findings.add(finding.check, &finding.detail, id, row);
                    if row.is_some() {
                        findings.add_to_row(&trial.key.row, finding.check);
                    }
                }
            }
        }
        // Exchanges of incomplete trials count as well.
        for (id, found) in checked.iter().filter(|(id, _)| !used_ids.contains(**id)) {
            found.iter().for_each(|finding| findings.add(finding.check, &finding.detail, id, None));
        }
        let rows: Vec<&str> = recording.header.rows.iter().map(String::as_str).collect();
        let by_row = rows.iter().map(|row| ((*row).to_owned(), findings.row_checks(row))).collect();
        Self { by_row, all: findings.summarize(&rows) }
    }

    /// The findings of the run, without findings that occurred only in rows that are not reported.
    pub fn without_dependencies(self, dependencies: &[String]) -> Vec<FindingSummary> {
        let is_reported = |row: &String| !dependencies.contains(row);
        let concerns_run = |finding: &FindingSummary| finding.rows.is_empty() || finding.rows.iter().any(is_reported);
        let mut all: Vec<FindingSummary> = self.all.into_iter().filter(concerns_run).collect();
        all.iter_mut().for_each(|finding| finding.rows.retain(is_reported));
        all
    }

    /// The ids of the checks that found something in a row's exchanges.
    pub fn row_checks(&self, row: &str) -> Vec<String> {
        self.by_row.get(row).cloned().unwrap_or_default()
    }
}
