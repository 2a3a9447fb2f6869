//! [`find_causes`]: the defect or circumstance behind a verdict, if it is not the field of the row itself.
//!
//! A cause follows from the verdict, from its dependencies, and from what the row is about. It never
//! changes a verdict, and does not depend on claims. What follows from all rows together is settled in
//! the results.

use std::collections::{BTreeMap, HashMap};

use crate::catalog::{Experiment, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::results::cause::VerdictCause;
use crate::results::model::{BlockingRow, DependencyRole, Verdict};
use crate::results::reason::ReasonData;
use crate::results::shared_causes::{accepts_invalid_request, is_negative};

/// The codes of rows that another model would decide.
const MODEL_CODES: [InconclusiveReason; 4] = [
    InconclusiveReason::ModelDoesNotShow,
    InconclusiveReason::NeedsModel,
    InconclusiveReason::UnusableTrials,
    InconclusiveReason::NoVariation,
];

/// The cause of each verdict.
pub(super) fn find_causes(
    verdicts: &[(&Experiment, Verdict)],
    edges: &[BTreeMap<String, DependencyRole>],
) -> Vec<Option<VerdictCause>> {
    let known: HashMap<&str, &Verdict> =
        verdicts.iter().map(|(experiment, verdict)| (experiment.id(), verdict)).collect();
    let find_verdict = |row: &str| known.get(row).copied();
    let rows = verdicts.iter().zip(edges);
    rows.map(|((experiment, verdict), edges)| find_cause(experiment, verdict, edges, find_verdict)).collect()
}

/// The cause of a verdict, one step away. `edges` are the rows that its requests depend on, and
/// `find_verdict` returns the verdict of another row. `None` for positive verdicts, and if the cause can
/// only be the field of the row.
fn find_cause<'a>(
    experiment: &Experiment,
    verdict: &Verdict,
    edges: &BTreeMap<String, DependencyRole>,
    find_verdict: impl Fn(&str) -> Option<&'a Verdict>,
) -> Option<VerdictCause> {
    if verdict.status.is_positive() {
        return None;
    }
    // A row that does not work is a cause; an undecided one can have the same cause as this row.
    let is_defect = |blocking: &&BlockingRow| blocking.status.is_decided();
    if let Some(blocking) = verdict.blocked_by.iter().find(is_defect).or(verdict.blocked_by.first()) {
        return Some(VerdictCause::Row(blocking.root.clone()));
    }
    if verdict.status == VerdictStatus::Skipped {
        return Some(match &verdict.because {
            Some(ReasonData::BlockedByUnrunRow { row, .. }) => VerdictCause::Row(row.clone()),
            _ => VerdictCause::RunEnd,
        });
    }
    let has_code = |code: &InconclusiveReason| verdict.code.as_deref() == Some(code.as_str());
    if MODEL_CODES.iter().any(has_code) {
        return Some(VerdictCause::Model);
    }
    if has_code(&InconclusiveReason::Inconsistent) {
        return Some(VerdictCause::Inconsistency);
    }
    if accepts_invalid_request(verdict) && experiment.about_credentials {
        return Some(VerdictCause::Credentials);
    }
    if has_code(&InconclusiveReason::NegativeRejected) {
        let is_rejected = |row: &&String| find_verdict(row).is_some_and(|v| v.status == VerdictStatus::Rejected);
        return edges.keys().find(is_rejected).map(|row| VerdictCause::Row(row.clone()));
    }
    if !is_negative(verdict) {
        return None;
    }
    let wholes = edges.iter().filter(|(_, role)| **role == DependencyRole::PartOf).map(|(row, _)| row);
    let related: Vec<&String> = wholes.chain(experiment.field.iter().flat_map(|field| field.at.rows())).collect();
    let has_defect = |row: &&&String| find_verdict(row).is_some_and(is_negative);
    let is_unknown = |row: &&&String| find_verdict(row).is_none_or(|v| v.status == VerdictStatus::Skipped);
    let cause = related.iter().find(has_defect).or_else(|| related.iter().find(is_unknown));
    cause.map(|row| VerdictCause::Row((*row).clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::engine::rules::blocked_verdict;
    use crate::results::reason::InvalidValues;

    /// The cause of a verdict whose requests contain other fields with these roles and statuses.
    fn cause(row: &str, verdict: &Verdict, others: &[(&str, DependencyRole, VerdictStatus)]) -> Option<String> {
        let catalog = Catalog::load_bundled().expect("valid case files");
        let row = catalog.rows.iter().find(|known| known.experiment.id() == row).expect("a bundled row");
        let edges = others.iter().map(|(other, role, _)| ((*other).to_owned(), *role)).collect();
        let verdicts: BTreeMap<&str, Verdict> =
            others.iter().map(|(other, _, status)| (*other, Verdict::new(*status, "any"))).collect();
        find_cause(&row.experiment, verdict, &edges, |other| verdicts.get(other)).map(|cause| cause.to_string())
    }

    fn verdict(status: VerdictStatus) -> Verdict {
        Verdict::new(status, "any")
    }

    fn undecided(code: InconclusiveReason) -> Verdict {
        Verdict { code: Some(code.as_str().to_owned()), ..verdict(VerdictStatus::Inconclusive) }
    }

    #[test]
    fn a_blocked_row_has_the_root_as_its_cause() {
        let blocking = |row: &str, status, root: &str| BlockingRow {
            row: row.to_owned(),
            status,
            role: DependencyRole::Beside,
            variant: None,
            root: root.to_owned(),
        };
        let undecided = blocking("tool_choice.object_form", VerdictStatus::Inconclusive, "tool_choice.object_form");
        let rejected = blocking("tools", VerdictStatus::Rejected, "tools");
        let blocked = blocked_verdict(undecided, vec![rejected], &verdict(VerdictStatus::Rejected));
        assert_eq!(cause("tool_choice.any", &blocked, &[]).as_deref(), Some("row:tools"));
        let because = ReasonData::BlockedByUnrunRow { row: "tools".to_owned(), because: Box::new("any".into()) };
        let skipped = Verdict::new(VerdictStatus::Skipped, because);
        assert_eq!(cause("tool_choice.any", &skipped, &[]).as_deref(), Some("row:tools"));
        assert_eq!(cause("field.top_k", &verdict(VerdictStatus::Skipped), &[]).as_deref(), Some("run-end"));
    }

    #[test]
    fn unchecked_credentials_are_one_cause() {
        let values = InvalidValues(2);
        let unchecked = Verdict::new(VerdictStatus::Ignored, ReasonData::InvalidAccepted { values });
        let response = "HTTP 200 with a message".to_owned();
        let accepted = Verdict::new(VerdictStatus::Ignored, ReasonData::ErrorExpected { response });
        for (row, verdict) in [
            ("header.x-api-key", &unchecked),
            ("header.authorization", &unchecked),
            ("error.no_key", &accepted),
            ("error.wrong_key", &accepted),
        ] {
            assert_eq!(cause(row, verdict, &[]).as_deref(), Some("credentials"), "{row}");
        }
        assert_eq!(cause("field.container", &unchecked, &[]), None);
    }

    #[test]
    fn a_part_and_a_row_about_another_field_have_this_field_as_their_cause() {
        let ignored = verdict(VerdictStatus::Ignored);
        let whole = |row, status| (row, DependencyRole::PartOf, status);
        let wholes = [
            whole("tool_choice.auto", VerdictStatus::Accepted),
            whole("tool_choice.object_form", VerdictStatus::Ignored),
        ];
        let row = "tool_choice.auto.disable_parallel_tool_use";
        assert_eq!(cause(row, &ignored, &wholes).as_deref(), Some("row:tool_choice.object_form"));
        assert_eq!(cause(row, &ignored, &wholes[..1]), None);
        let not_run = [whole("content.image", VerdictStatus::Skipped)];
        assert_eq!(cause("content.image.url", &ignored, &not_run).as_deref(), Some("row:content.image"));
        assert_eq!(cause("error.unknown_model", &ignored, &[]).as_deref(), Some("row:field.model"));
        assert_eq!(cause("field.model", &ignored, &[]), None);
        assert_eq!(cause("error.unknown_model", &verdict(VerdictStatus::Supported), &[]), None);
    }

    #[test]
    fn a_rejected_control_has_the_rejected_field_that_it_contains_as_its_cause() {
        let refused = undecided(InconclusiveReason::NegativeRejected);
        let tools = |status| [("tools", DependencyRole::Shared, status)];
        let cause = |status| cause("tool_choice.any", &refused, &tools(status));
        assert_eq!(cause(VerdictStatus::Rejected).as_deref(), Some("row:tools"));
        assert_eq!(cause(VerdictStatus::Supported), None);
    }

    #[test]
    fn the_model_and_an_inconsistent_endpoint_are_causes() {
        let model = undecided(InconclusiveReason::ModelDoesNotShow);
        assert_eq!(cause("field.system", &model, &[]).as_deref(), Some("model"));
        let inconsistent = undecided(InconclusiveReason::Inconsistent);
        assert_eq!(cause("field.system", &inconsistent, &[]).as_deref(), Some("inconsistency"));
        assert_eq!(cause("field.system", &undecided(InconclusiveReason::TrialLimit), &[]), None);
    }
}
