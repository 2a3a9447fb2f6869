//! Compares two runs row by row and finding by finding.

use crate::results::comparability;
use crate::results::compare::{FindingPair, RankedVerdict, is_regression, pair_findings, unite_rows};
use crate::results::diff::model::{
    CountClass, DiffSide, FindingChange, FindingKind, FindingState, ResultsDiff, RowChange, RowKind, RowState, SCHEMA,
};
use crate::results::model::{FindingSummary, Results, RowResult};
use crate::results::reason::{ObservedBehaviour, ReasonData};

/// The differences between two runs.
pub fn diff(old: &Results, new: &Results, strict: bool) -> ResultsDiff {
    let sections = unite_rows(&[old, new]);
    let unions = sections.iter().flat_map(|section| &section.rows);
    let mut rows: Vec<RowChange> =
        unions.filter_map(|union| compare_row(union.cells[0], union.cells[1], strict)).collect();
    // A stable sort: rows of one kind stay in the order of the tables.
    rows.sort_by_key(|change| change.kind);
    let pairs = pair_findings(old, new);
    let mut findings: Vec<FindingChange> = pairs.iter().filter_map(|pair| compare_finding(pair, strict)).collect();
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
        (Some(_), None) => RowKind::Removed,
        (None, Some(_)) => RowKind::Added,
        (Some(old), Some(new)) => classify_row(old, new)?,
    };
    let latest = new.or(old)?;
    Some(RowChange {
        row: latest.id.clone(),
        kind,
        before: old.map(row_state),
        after: new.map(row_state),
        why: latest.verdict.reason.clone(),
        because: latest.verdict.because.clone(),
        regression: match kind {
            RowKind::Lost => true,
            RowKind::Undetermined | RowKind::Changed | RowKind::Removed => strict,
            RowKind::Gained | RowKind::Decided | RowKind::Outcome | RowKind::Added => false,
        },
    })
}

/// The change of a row that both runs have; `None` if it is unchanged.
fn classify_row(old: &RowResult, new: &RowResult) -> Option<RowKind> {
    let (before, after) = (old.verdict.status, new.verdict.status);
    match (before.is_decided(), after.is_decided()) {
        (true, false) => return Some(RowKind::Undetermined),
        (false, true) => return Some(RowKind::Decided),
        (true, true) | (false, false) => {}
    }
    let (ranked_before, ranked_after) = (RankedVerdict::from(&old.verdict), RankedVerdict::from(&new.verdict));
    if is_regression(ranked_before, ranked_after) {
        Some(RowKind::Lost)
    } else if is_regression(ranked_after, ranked_before) {
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

/// The value that a gateway sent on. `None` if it is a count of requests, which differs between runs.
fn gateway_value(row: &RowResult) -> Option<&str> {
    use ObservedBehaviour as B;
    match &row.verdict.because {
        Some(ReasonData::BehaviourDiffers {
            observed:
                B::RepeatedCalls { .. }
                | B::ForeignResponses { .. }
                | B::OpenConnections { .. }
                | B::UpstreamCredentialReturned { .. },
            ..
        }) => None,
        _ => row.fate.as_ref()?.to.as_deref(),
    }
}

/// The qualifiers without their evidence, which each run words differently.
fn qualifier_kinds(row: &RowResult) -> Vec<&str> {
    let kind = |qualifier: &'_ str| match qualifier.split_once(": ") {
        Some((kind, _)) if kind != "altered" => kind.len(),
        Some(_) | None => qualifier.len(),
    };
    row.verdict.qualifiers.iter().map(|qualifier| &qualifier[..kind(qualifier)]).collect()
}

fn row_state(row: &RowResult) -> RowState {
    RowState {
        verdict: row.verdict.status,
        strongest: row.verdict.strongest,
        fate: row.fate.as_ref().map(|fate| fate.kind),
        to: row.fate.as_ref().and_then(|fate| fate.to.clone()),
        qualifiers: row.verdict.qualifiers.clone(),
        claim: row.claim.as_ref().map(|claim| claim.status),
        outcome: row.outcome,
    }
}

fn compare_finding(pair: &FindingPair<'_>, strict: bool) -> Option<FindingChange> {
    let (before, after) = (pair.old.map(finding_state), pair.new.map(finding_state));
    let kind = match (&before, &after) {
        (None, None) => return None,
        (None, Some(_)) => FindingKind::Added,
        (Some(_), None) => FindingKind::Removed,
        (Some(before), Some(after)) if (before.class, before.severity) == (after.class, after.severity) => return None,
        (Some(_), Some(_)) => FindingKind::Changed,
    };
    let latest = pair.latest()?;
    Some(FindingChange {
        check: latest.check.clone(),
        kind,
        regression: kind == FindingKind::Added && latest.severity.is_failure(strict),
        before,
        after,
        why: latest.example.clone(),
    })
}

fn finding_state(finding: &FindingSummary) -> FindingState {
    FindingState { severity: finding.severity, count: finding.count, class: CountClass::from_count(finding.count) }
}
