//! What the passive checks saw in a recording, by row and in all. Pure; it decides no row.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::checks;
use crate::checks::{CheckSeverity, CheckedExchange};
use crate::recording::run::{Recording, TrialRecord};
use crate::results::model::FindingSummary;

/// The findings of a run.
#[derive(Debug, Default)]
pub(crate) struct RunFindings {
    by_row: HashMap<String, BTreeSet<&'static str>>,
    /// Over the whole run: errors first, then by id.
    pub all: Vec<FindingSummary>,
}

/// What is known of one check.
#[derive(Debug, Default)]
struct CheckSummary {
    exchanges: BTreeSet<String>,
    rows: BTreeSet<usize>,
    /// The shortest detail, whichever answer came first.
    example: Option<String>,
}

impl RunFindings {
    /// Collects the findings of the exchanges of a recording, which are given in its order, and the
    /// findings across responses. Assigns each to every row that its exchange served.
    pub fn new(recording: &Recording, exchanges: &[CheckedExchange]) -> Self {
        let looked = || recording.exchanges.iter().zip(exchanges);
        let answers = looked().filter_map(|(exchange, checked)| {
            Some(checks::CheckedResponse { exchange, message: checked.message.as_ref()? })
        });
        let across = checks::check_across(answers);
        let mut checked: HashMap<&str, Vec<checks::Finding>> = HashMap::new();
        for (exchange, found) in looked() {
            checked.entry(&exchange.id).or_default().extend(found.findings.iter().cloned());
        }
        for (id, finding) in across {
            checked.entry(id).or_default().push(finding);
        }
        let place: HashMap<&str, usize> =
            recording.header.rows.iter().enumerate().map(|(i, row)| (row.as_str(), i)).collect();
        let mut trials: Vec<(Option<&usize>, &TrialRecord)> =
            recording.trials.iter().map(|t| (place.get(t.key.row.as_str()), t)).collect();
        // The run's own questions, which belong to no row, go first.
        trials.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.key.cmp(&y.key)));
        let mut seen: BTreeMap<(CheckSeverity, &'static str), CheckSummary> = BTreeMap::new();
        let mut by_row: HashMap<String, BTreeSet<&'static str>> = HashMap::new();
        let mut note = |row: Option<usize>, id: &str, finding: &checks::Finding| {
            let of_check = seen.entry((finding.check.severity(), finding.check.id())).or_default();
            of_check.exchanges.insert(id.to_owned());
            of_check.rows.extend(row);
            let length = |text: &str| (text.len(), text.to_owned());
            let is_shorter = |best: &String| length(&finding.detail) < length(best);
            if of_check.example.as_ref().is_none_or(is_shorter) {
                of_check.example = Some(finding.detail.clone());
            }
        };
        let mut served = BTreeSet::new();
        for (row, trial) in trials {
            for id in &trial.exchanges {
                served.insert(id.as_str());
                for finding in checked.get(id.as_str()).into_iter().flatten() {
                    note(row.copied(), id, finding);
                    if row.is_some() {
                        by_row.entry(trial.key.row.clone()).or_default().insert(finding.check.id());
                    }
                }
            }
        }
        // Exchanges of trials that came to no end count as well.
        let rest: BTreeSet<&&str> = checked.keys().filter(|id| !served.contains(**id)).collect();
        for id in rest {
            checked[*id].iter().for_each(|finding| note(None, id, finding));
        }
        let all = seen
            .into_iter()
            .map(|((severity, check), seen)| FindingSummary {
                check: check.to_owned(),
                severity,
                count: seen.exchanges.len() as u64,
                rows: seen.rows.into_iter().map(|row| recording.header.rows[row].clone()).collect(),
                example: seen.example.unwrap_or_default(),
            })
            .collect();
        Self { by_row, all }
    }

    /// All of them, but for what was seen only in rows that are not reported: that is told where those rows are.
    pub fn without_dependencies(self, beside: &[String]) -> Vec<FindingSummary> {
        let is_reported = |row: &String| !beside.contains(row);
        let of_the_run = |finding: &FindingSummary| finding.rows.is_empty() || finding.rows.iter().any(is_reported);
        let mut all: Vec<FindingSummary> = self.all.into_iter().filter(of_the_run).collect();
        all.iter_mut().for_each(|finding| finding.rows.retain(is_reported));
        all
    }

    /// The ids of what was seen in a row's exchanges.
    pub fn row_checks(&self, row: &str) -> Vec<String> {
        self.by_row.get(row).into_iter().flatten().map(|id| (*id).to_owned()).collect()
    }
}
