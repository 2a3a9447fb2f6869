//! The two runs that watch over all others: one mutant that must die, one that must survive.
//!
//! Pure: what to change in the server, and what its run means. Were the machinery to change nothing, the canary would
//! live; were it to see change everywhere, the control would die.

use crate::catalog::{ClaimStatus, VerdictStatus};
use crate::mutation::observation::RunObservation;
use crate::mutation::outcome::build_change;
use crate::mutation::subject::{DEFAULT_SEED, MutationSubject, SimulatorMutation};
use crate::results::mutation::{CanaryResult, ControlResult};

/// The inverted control: every row set to the status that it has, through the same door as mutants, and another seed
/// for whatever the server leaves to chance.
pub(super) fn control_mutation(ground: &MutationSubject) -> SimulatorMutation {
    let behaviour = ground.simulator_config();
    let rows = ground.testable_rows();
    let statuses = rows.iter().filter_map(|row| {
        let id = row.experiment.id();
        Some((id.to_owned(), behaviour.status(id)?))
    });
    SimulatorMutation { statuses: statuses.collect(), faults: Vec::new(), seed: DEFAULT_SEED + 1 }
}

/// What the control's run means.
pub(super) fn evaluate_control(
    before: &RunObservation,
    after: &RunObservation,
    asked: impl Fn(&str) -> bool,
) -> ControlResult {
    let rows: Vec<_> = after.rows.values().filter(|row| asked(&row.id)).collect();
    let changed = rows.iter().filter_map(|now| {
        let was = before.rows.get(&now.id)?;
        (was.verdict.status != now.verdict.status).then(|| build_change(was, now))
    });
    ControlResult { rows: rows.len() as u64, changes: changed.collect() }
}

/// The canary: a server that ignores every field that a row says can be ignored, but for those that most requests carry
/// anyway. Without them it would not even hear the question, and any experiment would notice that.
pub(super) fn canary_mutation(ground: &MutationSubject, before: &RunObservation) -> SimulatorMutation {
    let behaviour = ground.simulator_config();
    let rows: Vec<_> = ground.testable_rows().into_iter().filter(|row| row.experiment.is_field_row()).collect();
    let ids: Vec<&str> = rows.iter().map(|row| row.experiment.id()).collect();
    let carry = |field: &str| ids.iter().filter(|id| before.acted_on(field, id, None)).count();
    let deaf = rows.iter().filter(|row| row.experiment.statuses.contains(&VerdictStatus::Ignored));
    let meant = deaf.map(|row| row.experiment.id()).filter(|id| {
        let known = behaviour.field_id(id);
        known.is_some_and(|field| carry(field) * 2 <= ids.len())
    });
    let statuses = meant.map(|id| (id.to_owned(), ClaimStatus::Ignored)).collect();
    SimulatorMutation { statuses, faults: Vec::new(), seed: DEFAULT_SEED }
}

/// What the canary's run means. `killed` tells the rows that did see it when they alone were ignored.
pub(super) fn evaluate_canary(
    ground: &MutationSubject,
    before: &RunObservation,
    after: &RunObservation,
    killed: impl Fn(&str) -> bool,
) -> CanaryResult {
    let was_supported = |id: &str| before.rows.get(id).is_some_and(|r| r.verdict.status == VerdictStatus::Supported);
    let is_supported = |id: &str| after.rows.get(id).is_some_and(|r| r.verdict.status == VerdictStatus::Supported);
    let mutated = canary_mutation(ground, before).statuses;
    let could: Vec<&str> = mutated.iter().map(|(id, _)| id.as_str()).filter(|id| was_supported(id)).collect();
    let deceived: Vec<String> = could.iter().filter(|id| is_supported(id)).map(|id| (*id).to_owned()).collect();
    CanaryResult {
        rows: could.len() as u64,
        noticed: (could.len() - deceived.len()) as u64,
        at_odds: deceived.iter().filter(|id| killed(id)).cloned().collect(),
        deceived,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use VerdictStatus::{Ignored, Inconclusive, Supported};

    use super::*;
    use crate::mutation::fixtures::{FakeRun, bundled_catalog};
    use crate::recording::run::ArmKind;

    fn test_subject() -> MutationSubject {
        let catalog = bundled_catalog();
        MutationSubject { target: Arc::new(catalog.targets["anthropic"].clone()), catalog }
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
    fn the_control_survives_where_nothing_changes_and_not_where_anything_does() {
        let weighed = |after: FakeRun| evaluate_control(&unmutated_run().observation(), &after.observation(), |_| true);
        assert!(weighed(unmutated_run()).has_survived());
        let changed = weighed(unmutated_run().with_status("field.top_k", Inconclusive));
        assert!(!changed.has_survived());
        assert_eq!(changed.changes[0].row, "field.top_k");
    }

    #[test]
    fn the_canary_dies_where_it_is_noticed() {
        let seen = evaluate_against_baseline(
            unmutated_run().with_status("field.top_k", Ignored).with_status("field.top_p", Inconclusive),
        );
        assert!(seen.is_detected());
        assert_eq!((seen.rows, seen.noticed), (2, 2));
    }

    #[test]
    fn a_canary_that_nobody_notices_lives() {
        assert!(!evaluate_against_baseline(unmutated_run()).is_detected());
    }

    #[test]
    fn a_row_that_sees_its_own_mutant_and_not_the_canary_is_at_odds_with_itself() {
        let seen = evaluate_against_baseline(unmutated_run().with_status("field.top_p", Ignored));
        assert!(!seen.is_detected());
        assert_eq!(seen.at_odds, ["field.top_k"]);
    }

    #[test]
    fn a_blind_row_is_named_and_does_not_keep_the_canary_alive() {
        let seen = evaluate_against_baseline(unmutated_run().with_status("field.top_k", Ignored));
        assert!(seen.is_detected());
        assert_eq!(seen.deceived, ["field.top_p"]);
    }

    #[test]
    fn the_control_sets_every_row_to_what_it_is() {
        let ground = test_subject();
        let behaviour = ground.simulator_config();
        let statuses = control_mutation(&ground).statuses;
        let fields = ground.testable_rows().into_iter().filter(|row| row.experiment.is_field_row());
        assert_eq!(statuses.len(), fields.count());
        assert!(statuses.iter().all(|(row, status)| behaviour.status(row) == Some(*status)));
    }

    #[test]
    fn the_canary_ignores_all_that_can_be_ignored_but_what_every_request_carries() {
        let ground = test_subject();
        let all = ground.testable_rows().into_iter().map(|row| row.experiment.id().to_owned());
        let everywhere =
            all.fold(unmutated_run(), |scene, row| scene.with_activity("field.max_tokens", &row, ArmKind::Negative));
        let canary = |scene: FakeRun| canary_mutation(&ground, &scene.observation()).statuses;
        assert!(canary(unmutated_run()).iter().all(|(_, status)| *status == ClaimStatus::Ignored));
        assert_eq!(canary(everywhere.clone()).len() + 1, canary(unmutated_run()).len());
        assert!(canary(everywhere).iter().all(|(row, _)| row != "field.max_tokens"));
    }
}
