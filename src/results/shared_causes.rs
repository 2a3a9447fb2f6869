//! The causes that follow from all rows of a run: [`settle_causes`].
//!
//! Parts of a run can be merged, so these causes are computed again from the verdicts of all rows. Equal
//! rows have equal causes, in one run or in several.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::VerdictStatus;
use crate::results::cause::VerdictCause;
use crate::results::model::{EvidenceKind, RowResult, Verdict};
use crate::results::reason::ReasonData;

/// If this number of rows shows that an invalid request is accepted, and no row shows that one is
/// rejected, the endpoint does not validate.
const MIN_UNVALIDATED_ROWS: usize = 3;

/// Follows the causes of rows to the first one, gives this row the same cause, and adds the cause of rows
/// that only show missing validation.
pub(crate) fn settle_causes(rows: &mut [RowResult]) {
    for row in rows.iter_mut() {
        let is_settled = row.cause == Some(VerdictCause::Validation) || is_own_cause(row);
        row.cause = row.cause.take().filter(|_| !is_settled);
    }
    let followed: Vec<Option<VerdictCause>> = {
        let known: BTreeMap<&str, &RowResult> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
        rows.iter().map(|row| follow_cause(row, &known)).collect()
    };
    rows.iter_mut().zip(followed).for_each(|(row, cause)| row.cause = cause);
    let caused: BTreeSet<String> = rows.iter().filter_map(|row| Some(row.cause.as_ref()?.row()?.to_owned())).collect();
    for row in rows.iter_mut().filter(|row| row.cause.is_none() && !row.verdict.status.is_positive()) {
        row.cause = caused.contains(&row.id).then(|| VerdictCause::Row(row.id.clone()));
    }
    let lacks_validation = |row: &RowResult| row.cause.is_none() && accepts_invalid_request(&row.verdict);
    let unvalidated = rows.iter().filter(|row| lacks_validation(row)).count();
    if unvalidated < MIN_UNVALIDATED_ROWS || rows.iter().any(|row| shows_validation(&row.verdict)) {
        return;
    }
    for row in rows.iter_mut().filter(|row| lacks_validation(row)) {
        row.cause = Some(VerdictCause::Validation);
    }
}

fn is_own_cause(row: &RowResult) -> bool {
    row.cause.as_ref().and_then(VerdictCause::row) == Some(row.id.as_str())
}

/// The first cause in a chain of rows. A row that works, or is undecided for another reason, is no cause
/// of a row about the same field.
fn follow_cause(row: &RowResult, known: &BTreeMap<&str, &RowResult>) -> Option<VerdictCause> {
    let mut chain: Vec<&RowResult> = vec![row];
    loop {
        let current = *chain.last()?;
        let cause = current.cause.as_ref();
        // The row at the end of the chain, if it is not the row itself.
        let last = || (chain.len() > 1).then(|| VerdictCause::Row(current.id.clone()));
        let Some(id) = cause.and_then(VerdictCause::row) else { return cause.cloned().or_else(last) };
        let Some(next) = known.get(id) else { return last().or_else(|| cause.cloned()) };
        if needs_defect(current) && !is_negative(&next.verdict) {
            return last();
        }
        if let Some(start) = chain.iter().position(|row| row.id == next.id) {
            // Rows that block each other have the first of them as their cause.
            return chain[start..].iter().map(|row| &row.id).min().map(|id| VerdictCause::Row(id.clone()));
        }
        chain.push(next);
    }
}

/// True if the cause of the row is only a relation between two fields.
fn needs_defect(row: &RowResult) -> bool {
    row.verdict.status.is_decided()
}

/// True if the field does not work.
pub(crate) fn is_negative(verdict: &Verdict) -> bool {
    match verdict.status {
        VerdictStatus::Ignored | VerdictStatus::Rejected | VerdictStatus::Substituted => true,
        VerdictStatus::Supported
        | VerdictStatus::Validated
        | VerdictStatus::Accepted
        | VerdictStatus::Inconclusive
        | VerdictStatus::Skipped => false,
    }
}

/// True if the endpoint accepts a request that it should reject.
pub(crate) fn accepts_invalid_request(verdict: &Verdict) -> bool {
    fn is_acceptance(because: &ReasonData) -> bool {
        match because {
            ReasonData::AllVariants { because, .. } => is_acceptance(because),
            ReasonData::InvalidAccepted { .. }
            | ReasonData::NoEffectAndNotChecked { .. }
            | ReasonData::ErrorExpected { .. } => true,
            _ => false,
        }
    }
    verdict.status == VerdictStatus::Ignored && verdict.because.as_ref().is_some_and(is_acceptance)
}

/// True if the verdict shows that the endpoint rejects an invalid request.
fn shows_validation(verdict: &Verdict) -> bool {
    fn is_documented_error(because: &ReasonData) -> bool {
        match because {
            ReasonData::AllVariants { because, .. } => is_documented_error(because),
            ReasonData::ErrorAsDocumented { .. } => true,
            _ => false,
        }
    }
    let is_validated = verdict.evidence == Some(EvidenceKind::Validated);
    verdict.status.is_positive() && (is_validated || verdict.because.as_ref().is_some_and(is_documented_error))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::results::reason::InvalidValues;

    fn row(id: &str, verdict: Verdict) -> RowResult {
        RowResult::new(id, "S", id, None, verdict)
    }

    fn unchecked(id: &str) -> RowResult {
        row(id, Verdict::new(VerdictStatus::Ignored, ReasonData::InvalidAccepted { values: InvalidValues(1) }))
    }

    fn settle(mut rows: Vec<RowResult>) -> Vec<String> {
        settle_causes(&mut rows);
        rows.into_iter().map(|row| row.cause.map_or(String::new(), |cause| cause.to_string())).collect()
    }

    #[test]
    fn the_row_behind_others_has_their_cause() {
        let blocked = RowResult {
            cause: Some(VerdictCause::Row("tools".to_owned())),
            ..row("tools.name", Verdict::new(VerdictStatus::Inconclusive, "any"))
        };
        let root = row("tools", Verdict::new(VerdictStatus::Rejected, "any"));
        assert_eq!(settle(vec![root.clone(), blocked.clone()]), ["row:tools", "row:tools"]);
        let works = row("tools", Verdict::new(VerdictStatus::Supported, "any"));
        assert_eq!(settle(vec![works, blocked]), ["", "row:tools"]);
        assert_eq!(settle(vec![root]), [""]);
    }

    #[test]
    fn a_row_about_a_field_shares_its_defect_and_nothing_else() {
        let about = RowResult {
            cause: Some(VerdictCause::Row("field.model".to_owned())),
            ..row("error.unknown_model", Verdict::new(VerdictStatus::Ignored, "any"))
        };
        let field = |status| row("field.model", Verdict::new(status, "any"));
        assert_eq!(settle(vec![about.clone(), field(VerdictStatus::Substituted)]), ["row:field.model"; 2]);
        assert_eq!(settle(vec![about.clone(), field(VerdictStatus::Validated)]), ["", ""]);
        let model = RowResult { cause: Some(VerdictCause::Model), ..field(VerdictStatus::Inconclusive) };
        assert_eq!(settle(vec![about, model]), ["", "model"]);
    }

    #[test]
    fn a_chain_ends_at_its_first_cause() {
        let undecided = |id: &str, cause| RowResult {
            cause: Some(cause),
            ..row(id, Verdict::new(VerdictStatus::Inconclusive, "any"))
        };
        let at = |row: &str| VerdictCause::Row(row.to_owned());
        assert_eq!(
            settle(vec![undecided("a", at("b")), undecided("b", at("c")), undecided("c", VerdictCause::Model)]),
            ["model"; 3]
        );
        assert_eq!(settle(vec![undecided("b", at("a")), undecided("a", at("b"))]), ["row:a"; 2]);
        assert_eq!(settle(vec![undecided("a", at("b")), undecided("b", at("elsewhere"))]), ["row:b", "row:elsewhere"]);
    }

    #[test]
    fn missing_validation_is_one_cause_unless_something_is_rejected() {
        let rows = || vec![unchecked("a"), unchecked("b"), unchecked("c")];
        assert_eq!(settle(rows()), ["validation"; 3]);
        assert_eq!(settle(rows().split_off(1)), ["", ""]);
        let validated =
            Verdict { evidence: Some(EvidenceKind::Validated), ..Verdict::new(VerdictStatus::Validated, "any") };
        assert_eq!(settle([rows(), vec![row("d", validated)]].concat()), [""; 4]);
        let error = ReasonData::ErrorAsDocumented { response: "HTTP 400".to_owned() };
        let error = Verdict::new(VerdictStatus::Supported, error);
        assert_eq!(settle([rows(), vec![row("d", error)]].concat()), [""; 4]);
    }

    fn any_row() -> impl Strategy<Value = (Option<VerdictCause>, Verdict)> {
        let row = select(vec!["a", "b", "c", "d", "elsewhere"]).prop_map(|row| VerdictCause::Row(row.to_owned()));
        let cause = prop_oneof![2 => row.prop_map(Some), 1 => Just(Some(VerdictCause::Model)), 1 => Just(None)];
        let because = prop_oneof![
            Just(ReasonData::InvalidAccepted { values: InvalidValues(1) }),
            Just(ReasonData::Other { text: "any".to_owned() }),
        ];
        (cause, select(VerdictStatus::ALL.to_vec()), because)
            .prop_map(|(cause, status, because)| (cause, Verdict::new(status, because)))
    }

    proptest! {
        #[test]
        fn parts_of_a_run_have_the_causes_of_the_whole_run(rows in vec(any_row(), 1..6), at: usize) {
            let rows = rows.into_iter().zip(["a", "b", "c", "d", "e"]);
            let mut whole: Vec<RowResult> =
                rows.map(|((cause, verdict), id)| RowResult { cause, ..row(id, verdict) }).collect();
            // A positive verdict has no cause.
            whole.iter_mut().filter(|row| row.verdict.status.is_positive()).for_each(|row| row.cause = None);
            whole.iter_mut().filter(|row| is_own_cause(row)).for_each(|row| row.cause = None);
            let mut parts = whole.clone();
            settle_causes(&mut whole);
            let (first, second) = parts.split_at_mut(at % whole.len());
            settle_causes(first);
            settle_causes(second);
            settle_causes(&mut parts);
            prop_assert_eq!(parts, whole);
        }
    }
}
