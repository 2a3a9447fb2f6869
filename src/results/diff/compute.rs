//! Compares two runs, row by row and finding by finding.

use crate::checks::CheckSeverity;
use crate::report::common::matrix::ResultsMatrix;
use crate::results::baseline::is_regression;
use crate::results::comparability;
use crate::results::diff::model::{
    CountClass, DiffSide, FindingChange, FindingKind, FindingState, ResultsDiff, RowChange, RowKind, RowState, SCHEMA,
};
use crate::results::model::{FindingSummary, Results, RowResult};

/// What differs between two runs.
pub fn diff(old: &Results, new: &Results, strict: bool) -> ResultsDiff {
    // The union of the rows, in the order of the tables.
    let both = [old.clone(), new.clone()];
    let matrix = ResultsMatrix::from_results(&both);
    let lines = matrix.sections.iter().flat_map(|section| &section.rows);
    let mut rows: Vec<RowChange> = lines.filter_map(|line| compare_row(line.cells[0], line.cells[1], strict)).collect();
    // Stable: within a kind the order of the tables stays.
    rows.sort_by_key(|change| change.kind);
    let mut findings = compare_findings(old, new, strict);
    findings.sort_by(|a, b| (a.kind, &a.check).cmp(&(b.kind, &b.check)));
    let regressions =
        rows.iter().filter(|change| change.regression).count() + findings.iter().filter(|f| f.regression).count();
    ResultsDiff {
        schema: SCHEMA.to_owned(),
        old: summarise_side(old),
        new: summarise_side(new),
        notes: comparability::differences(old, new),
        strict,
        regressions: regressions as u64,
        rows,
        findings,
    }
}

fn summarise_side(run: &Results) -> DiffSide {
    DiffSide {
        target: run.target.name.clone(),
        model: run.target.model.clone(),
        started_at: run.started_at.clone(),
        rows: run.rows.len() as u64,
        findings: run.findings.len() as u64,
    }
}

fn compare_row(old: Option<&RowResult>, new: Option<&RowResult>, strict: bool) -> Option<RowChange> {
    let kind = match (old, new) {
        (None, None) => return None,
        (Some(_), None) => RowKind::Gone,
        (None, Some(_)) => RowKind::Come,
        (Some(old), Some(new)) => classify_row(old, new)?,
    };
    let shown = new.or(old)?;
    Some(RowChange {
        row: shown.id.clone(),
        kind,
        before: old.map(row_state),
        after: new.map(row_state),
        why: shown.verdict.reason.clone(),
        regression: match kind {
            RowKind::Lost => true,
            RowKind::Undetermined | RowKind::Changed | RowKind::Gone => strict,
            RowKind::Gained | RowKind::Decided | RowKind::Outcome | RowKind::Come => false,
        },
    })
}

/// What became of a row that both runs have; nothing where it is the same.
fn classify_row(old: &RowResult, new: &RowResult) -> Option<RowKind> {
    let (before, after) = (old.verdict.status, new.verdict.status);
    match (before.is_decided(), after.is_decided()) {
        (true, false) => return Some(RowKind::Undetermined),
        (false, true) => return Some(RowKind::Decided),
        (true, true) | (false, false) => {}
    }
    if is_regression(before, after) {
        Some(RowKind::Lost)
    } else if is_regression(after, before) {
        Some(RowKind::Gained)
    } else if before != after
        || qualifier_kinds(old) != qualifier_kinds(new)
        || gateway_value(old) != gateway_value(new)
    {
        Some(RowKind::Changed)
    } else {
        (old.outcome != new.outcome || old.silent != new.silent).then_some(RowKind::Outcome)
    }
}

/// What something became on its way through a gateway.
fn gateway_value(row: &RowResult) -> Option<&str> {
    row.fate.as_ref()?.to.as_deref()
}

/// What the qualifiers say, without the evidence behind it: that is put into other words by each run.
fn qualifier_kinds(row: &RowResult) -> Vec<&str> {
    let quality = |told: &'_ str| match told.split_once(": ") {
        Some((what, _)) if what != "altered" => what.len(),
        Some(_) | None => told.len(),
    };
    row.verdict.qualifiers.iter().map(|told| &told[..quality(told)]).collect()
}

fn row_state(row: &RowResult) -> RowState {
    RowState {
        verdict: row.verdict.status,
        fate: row.fate.as_ref().map(|fate| fate.kind),
        to: row.fate.as_ref().and_then(|fate| fate.to.clone()),
        qualifiers: row.verdict.qualifiers.clone(),
        claim: row.claim.as_ref().map(|claim| claim.status),
        outcome: row.outcome,
    }
}

fn compare_findings(old: &Results, new: &Results, strict: bool) -> Vec<FindingChange> {
    let of = |run: &'_ Results, check: &str| run.findings.iter().find(|finding| finding.check == check).cloned();
    let of_new =
        new.findings.iter().filter_map(|after| compare_finding(of(old, &after.check).as_ref(), Some(after), strict));
    let gone = old.findings.iter().filter(|before| of(new, &before.check).is_none());
    of_new.chain(gone.filter_map(|before| compare_finding(Some(before), None, strict))).collect()
}

fn compare_finding(old: Option<&FindingSummary>, new: Option<&FindingSummary>, strict: bool) -> Option<FindingChange> {
    let (before, after) = (old.map(finding_state), new.map(finding_state));
    let kind = match (&before, &after) {
        (None, None) => return None,
        (None, Some(_)) => FindingKind::Came,
        (Some(_), None) => FindingKind::Went,
        (Some(before), Some(after)) if (before.class, before.severity) == (after.class, after.severity) => return None,
        (Some(_), Some(_)) => FindingKind::Changed,
    };
    let shown = new.or(old)?;
    Some(FindingChange {
        check: shown.check.clone(),
        kind,
        regression: kind == FindingKind::Came
            && match shown.severity {
                CheckSeverity::Error => true,
                CheckSeverity::Warning => strict,
                CheckSeverity::Note => false,
            },
        before,
        after,
        why: shown.example.clone(),
    })
}

fn finding_state(finding: &FindingSummary) -> FindingState {
    FindingState { severity: finding.severity, count: finding.count, class: CountClass::from_count(finding.count) }
}
