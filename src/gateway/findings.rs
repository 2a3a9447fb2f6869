//! What the passive checks saw of the answers that a gateway handed on. Pure; it decides no row.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::GatewayRow;
use crate::checks::CheckSeverity;
use crate::gateway::client_response;
use crate::gateway::outcome::behaviour;
use crate::gateway::trial_index::TrialIndex;
use crate::recording::gateway::{GatewayRecording, TrialKind};
use crate::results::model::FindingSummary;
use crate::variables::fill::restore_placeholders;

/// What the passive checks saw on the client's side, where the upstream's answer gave no cause.
#[derive(Debug)]
pub(super) struct GatewayFindings {
    by_row: BTreeMap<String, BTreeSet<&'static str>>,
    /// Over the whole run: errors first, then by id.
    pub all: Vec<FindingSummary>,
}

impl GatewayFindings {
    /// Looks at every answer that the upstream gave no cause to be odd.
    pub(super) fn collect(book: &TrialIndex<'_>, recording: &GatewayRecording, rows: &[&GatewayRow]) -> Self {
        let place = |id: &str| rows.iter().position(|row| row.id() == id);
        let mut seen: BTreeMap<(CheckSeverity, &'static str), (u64, BTreeSet<usize>, String)> = BTreeMap::new();
        let mut by_row: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
        for trial in &recording.trials {
            let row = rows.iter().find(|row| row.id() == trial.row).copied();
            let asked = book.model_calls(trial);
            let answered = asked.iter().all(|call| (200..300).contains(&call.answered.status));
            if asked.is_empty() || !answered || !behaviour::expects_clean_response(row, book.dialect, trial.arm) {
                continue;
            }
            for finding in client_response::check_exchange(&trial.exchange) {
                let detail = restore_placeholders(&finding.detail, &trial.values);
                let (count, of_rows, example) = seen.entry((finding.check.severity(), finding.check.id())).or_default();
                *count += 1;
                of_rows.extend(place(&trial.row));
                // The shortest, whichever came first.
                if example.is_empty() || (detail.len(), &detail) < (example.len(), &*example) {
                    *example = detail;
                }
                if trial.arm == TrialKind::Treatment {
                    by_row.entry(trial.row.clone()).or_default().insert(finding.check.id());
                }
            }
        }
        let all = seen
            .into_iter()
            .map(|((severity, check), (count, of_rows, example))| FindingSummary {
                check: check.to_owned(),
                severity,
                count,
                rows: of_rows.into_iter().map(|row| rows[row].id().to_owned()).collect(),
                example,
            })
            .collect();
        Self { by_row, all }
    }

    /// The ids of what was seen in a row's answers.
    pub(super) fn check_ids_of_row(&self, row: &str) -> Vec<String> {
        self.by_row.get(row).into_iter().flatten().map(|id| (*id).to_owned()).collect()
    }
}
