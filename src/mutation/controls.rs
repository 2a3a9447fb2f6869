//! The two runs that check the mutation test itself: the canary must be detected, and the control
//! must change nothing.
//!
//! Pure: the mutation of each run, and the meaning of its results. If mutations had no effect, the
//! canary would not be detected. If everything looked changed, the control would show it.

use crate::catalog::{ClaimStatus, VerdictStatus};
use crate::mutation::observation::RunObservation;
use crate::mutation::outcome::build_change;
use crate::mutation::subject::{DEFAULT_SEED, MutationSubject, SimulatorMutation};
use crate::results::mutation::{CanaryResult, ControlResult};

/// The control: every row is set to the status that it has, in the same way as a mutant. Another
/// seed changes the random values of the server.
pub(super) fn control_mutation(subject: &MutationSubject) -> SimulatorMutation {
    let config = subject.simulator_config();
    let rows = subject.testable_rows();
    let statuses = rows.iter().filter_map(|row| {
        let id = row.experiment.id();
        Some((id.to_owned(), config.status(id)?))
    });
    SimulatorMutation { statuses: statuses.collect(), faults: Vec::new(), seed: DEFAULT_SEED + 1 }
}

/// Evaluates the run of the control.
pub(super) fn evaluate_control(
    before: &RunObservation,
    after: &RunObservation,
    is_selected: impl Fn(&str) -> bool,
) -> ControlResult {
    let rows: Vec<_> = after.rows.values().filter(|row| is_selected(&row.id)).collect();
    let changes = rows.iter().filter_map(|now| {
        let was = before.rows.get(&now.id)?;
        (was.verdict.status != now.verdict.status).then(|| build_change(was, now))
    });
    ControlResult { rows: rows.len() as u64, changes: changes.collect() }
}

/// The canary: a server that ignores every field that can be ignored, except those in most
/// requests. Without these, no request would work, and any experiment would notice.
pub(super) fn canary_mutation(subject: &MutationSubject, before: &RunObservation) -> SimulatorMutation {
    let config = subject.simulator_config();
    let rows: Vec<_> = subject.testable_rows().into_iter().filter(|row| row.experiment.is_field_row()).collect();
    let ids: Vec<&str> = rows.iter().map(|row| row.experiment.id()).collect();
    let count_users = |field: &str| ids.iter().filter(|id| before.acted_on(field, id, None)).count();
    let can_be_ignored = rows.iter().filter(|row| row.experiment.statuses.contains(&VerdictStatus::Ignored));
    let ignored = can_be_ignored.map(|row| row.experiment.id()).filter(|id| {
        let field = config.field_id(id);
        field.is_some_and(|field| count_users(field) * 2 <= ids.len())
    });
    let statuses = ignored.map(|id| (id.to_owned(), ClaimStatus::Ignored)).collect();
    SimulatorMutation { statuses, faults: Vec::new(), seed: DEFAULT_SEED }
}

/// Evaluates the run of the canary. `is_killed` is true for rows that noticed when they alone were
/// ignored.
pub(super) fn evaluate_canary(
    subject: &MutationSubject,
    before: &RunObservation,
    after: &RunObservation,
    is_killed: impl Fn(&str) -> bool,
) -> CanaryResult {
    let was_supported = |id: &str| before.rows.get(id).is_some_and(|r| r.verdict.status.is_positive());
    let is_supported = |id: &str| after.rows.get(id).is_some_and(|r| r.verdict.status.is_positive());
    let mutated = canary_mutation(subject, before).statuses;
    let affected: Vec<&str> = mutated.iter().map(|(id, _)| id.as_str()).filter(|id| was_supported(id)).collect();
    let deceived: Vec<String> = affected.iter().filter(|id| is_supported(id)).map(|id| (*id).to_owned()).collect();
    CanaryResult {
        rows: affected.len() as u64,
        noticed: (affected.len() - deceived.len()) as u64,
        at_odds: deceived.iter().filter(|id| is_killed(id)).cloned().collect(),
        deceived,
    }
}

#[cfg(test)]
mod tests {
    use VerdictStatus::{Ignored, Inconclusive, Supported};

    use super::*;
    use crate::mutation::fixtures::{FakeRun, bundled_catalog};
    use crate::recording::run::ArmKind;

    fn test_subject() -> MutationSubject {
        let catalog = bundled_catalog();
        MutationSubject::new(&catalog, &catalog.targets["anthropic"])
    }

    fn unmutated_run() -> FakeRun {
        FakeRun::from_statuses(&[("field.top_k", Supported), ("field.top_p", Supported), ("field.stream", Ignored)])
    }

    fn evaluate_against_baseline(after: FakeRun) -> CanaryResult {
        evaluate_canary(&test_subject(), &unmutated_run().observation(), &after.observation(), |row| {
            row == "field.top_k"
        })
    }

    #[test]
    fn the_control_survives_only_without_changes() {
        let evaluate =
            |after: FakeRun| evaluate_control(&unmutated_run().observation(), &after.observation(), |_| true);
        assert!(evaluate(unmutated_run()).has_survived());
        let changed = evaluate(unmutated_run().with_status("field.top_k", Inconclusive));
        assert!(!changed.has_survived());
        assert_eq!(changed.changes[0].row, "field.top_k");
    }

    #[test]
    fn the_canary_is_detected_if_rows_notice_it() {
        let result = evaluate_against_baseline(
            unmutated_run().with_status("field.top_k", Ignored).with_status("field.top_p", Inconclusive),
        );
        assert!(result.is_detected());
        assert_eq!((result.rows, result.noticed), (2, 2));
    }

    #[test]
    fn a_canary_that_no_row_notices_is_not_detected() {
        assert!(!evaluate_against_baseline(unmutated_run()).is_detected());
    }

    #[test]
    fn a_row_that_notices_its_own_mutant_but_not_the_canary_is_at_odds() {
        let result = evaluate_against_baseline(unmutated_run().with_status("field.top_p", Ignored));
        assert!(!result.is_detected());
        assert_eq!(result.at_odds, ["field.top_k"]);
    }

    #[test]
    fn a_deceived_row_is_named_and_the_canary_is_still_detected() {
        let result = evaluate_against_baseline(unmutated_run().with_status("field.top_k", Ignored));
        assert!(result.is_detected());
        assert_eq!(result.deceived, ["field.top_p"]);
    }

    #[test]
    fn the_control_sets_every_row_to_its_own_status() {
        let subject = test_subject();
        let config = subject.simulator_config();
        let statuses = control_mutation(&subject).statuses;
        let fields = subject.testable_rows().into_iter().filter(|row| row.experiment.is_field_row());
        assert_eq!(statuses.len(), fields.count());
        assert!(statuses.iter().all(|(row, status)| config.status(row) == Some(*status)));
    }

    #[test]
    fn the_canary_ignores_all_fields_except_those_in_most_requests() {
        let subject = test_subject();
        let all = subject.testable_rows().into_iter().map(|row| row.experiment.id().to_owned());
        let everywhere =
            all.fold(unmutated_run(), |run, row| run.with_activity("field.max_tokens", &row, ArmKind::Negative));
        let canary = |run: FakeRun| canary_mutation(&subject, &run.observation()).statuses;
        assert!(canary(unmutated_run()).iter().all(|(_, status)| *status == ClaimStatus::Ignored));
        assert_eq!(canary(everywhere.clone()).len() + 1, canary(unmutated_run()).len());
        assert!(canary(everywhere).iter().all(|(row, _)| row != "field.max_tokens"));
    }
}
