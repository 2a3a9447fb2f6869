//! The findings of the passive checks in the responses of a gateway: [`collect_findings`]. Pure; it
//! decides no row.

use crate::catalog::GatewayRow;
use crate::gateway::client_response;
use crate::gateway::outcome::behaviour;
use crate::gateway::trial_index::TrialIndex;
use crate::recording::gateway::{GatewayRecording, TrialKind};
use crate::results::findings::FindingsAggregator;
use crate::variables::fill::restore_placeholders;

/// Collects the findings in responses that the gateway passed on, if the upstream gave no cause for
/// them.
pub(super) fn collect_findings(
    index: &TrialIndex<'_>,
    recording: &GatewayRecording,
    rows: &[&GatewayRow],
) -> FindingsAggregator {
    let mut findings = FindingsAggregator::default();
    for (trial_number, trial) in recording.trials.iter().enumerate() {
        let position = rows.iter().position(|row| row.id() == trial.row);
        let row = position.map(|position| rows[position]);
        let calls = index.model_calls(trial);
        let has_succeeded = calls.iter().all(|call| (200..300).contains(&call.answered.status));
        if calls.is_empty() || !has_succeeded || !behaviour::expects_clean_response(row, index.dialect, trial.arm) {
            continue;
        }
        for (number, finding) in client_response::check_exchange(&trial.exchange).into_iter().enumerate() {
            let detail = restore_placeholders(&finding.detail, &trial.values);
            findings.add(finding.check, &detail, &format!("{trial_number}/{number}"), position);
            if trial.arm == TrialKind::Treatment {
                findings.add_to_row(&trial.row, finding.check);
            }
        }
    }
    findings
}
