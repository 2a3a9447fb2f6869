//! What a difference is called: the words that all its formats share, before any format's escaping.

use crate::catalog::{ClaimStatus, Outcome};
use crate::report::common::format;
use crate::results::diff::model::{FindingKind, FindingState, ResultsDiff, RowChange, RowKind, RowState};
use crate::results::gateway::GatewayVerdictKind;

/// The heading.
pub(in crate::report) fn title(diff: &ResultsDiff) -> String {
    let (old, new) = (&diff.old, &diff.new);
    if diff.is_cross_target() {
        format!("What moving from {} to {} would change", old.target, new.target)
    } else {
        format!("What changed at {}", new.target)
    }
}

/// Which runs were compared.
pub(in crate::report) fn describe_pair(diff: &ResultsDiff) -> [String; 2] {
    [("before", &diff.old), ("after", &diff.new)].map(|(when, side)| {
        let rows = format::plural(side.rows, "row", "rows");
        let findings = format::plural(side.findings, "finding", "findings");
        let began = format::timestamp(&side.started_at);
        format!("{when}: {}, model {}, {began}, {rows}, {findings}", side.target, side.model)
    })
}

/// What a kind of change is called: of one target at two times, or of two.
pub(in crate::report) fn row_heading(kind: RowKind, across: bool) -> &'static str {
    match (kind, across) {
        (RowKind::Lost, false) => "Lost",
        (RowKind::Lost, true) => "Would be lost",
        (RowKind::Undetermined, false) => "No longer decided",
        (RowKind::Undetermined, true) => "Not decided there",
        (RowKind::Changed, false) => "Changed",
        (RowKind::Changed, true) => "Would change",
        (RowKind::Gained, false) => "Gained",
        (RowKind::Gained, true) => "Would be gained",
        (RowKind::Decided, false) => "Decided now",
        (RowKind::Decided, true) => "Decided there only",
        (RowKind::Outcome, _) => "The same, held against other claims",
        (RowKind::Gone, false) => "Rows that are gone",
        (RowKind::Gone, true) => "Rows that were not run there",
        (RowKind::Come, false) => "New rows",
        (RowKind::Come, true) => "Rows that were run there only",
    }
}

/// The same of findings.
pub(in crate::report) fn finding_heading(kind: FindingKind, across: bool) -> &'static str {
    match (kind, across) {
        (FindingKind::Came, false) => "Findings that came",
        (FindingKind::Came, true) => "Findings that would come",
        (FindingKind::Changed, false) => "Findings that changed",
        (FindingKind::Changed, true) => "Findings that would change",
        (FindingKind::Went, false) => "Findings that went",
        (FindingKind::Went, true) => "Findings that would go",
    }
}

/// A row before and after. Outcomes are told where they differ, and claims where those differ.
pub(in crate::report) fn describe_states(change: &RowChange) -> [String; 2] {
    let differ = |of: fn(&RowState) -> (Option<ClaimStatus>, Option<Outcome>)| {
        change.before.as_ref().zip(change.after.as_ref()).is_some_and(|(before, after)| of(before) != of(after))
    };
    let (claims, outcomes) = (differ(|state| (state.claim, None)), differ(|state| (None, Some(state.outcome))));
    [&change.before, &change.after].map(|state| {
        let Some(state) = state else { return "—".to_owned() };
        let mut told = state.fate.map_or(state.verdict.as_str(), GatewayVerdictKind::as_str).to_owned();
        told.extend(state.to.as_ref().map(|to| format!(" to {to}")));
        if !state.qualifiers.is_empty() {
            told.push_str(&format!(" ({})", state.qualifiers.join("; ")));
        }
        if claims {
            told.push_str(&state.claim.map_or(", no claim".to_owned(), |claim| format!(", claimed {claim}")));
        }
        if claims || outcomes {
            told.push_str(&format!(", {}", state.outcome));
        }
        told
    })
}

/// A finding before or after.
pub(in crate::report) fn finding_state(state: Option<&FindingState>) -> String {
    let Some(state) = state else { return "not seen".to_owned() };
    format!("{}, {}", state.severity, format::plural(state.count, "time", "times"))
}

/// All in a sentence.
pub(in crate::report) fn summarise(diff: &ResultsDiff) -> String {
    if diff.is_empty() {
        let rows = format::plural(diff.new.rows, "row", "rows");
        let findings = format::plural(diff.new.findings, "finding", "findings");
        return format!("No difference: {rows} and {findings} are the same.");
    }
    let across = diff.is_cross_target();
    let of_rows = RowKind::ALL.map(|kind| {
        (diff.rows.iter().filter(|change| change.kind == kind).count(), row_heading(kind, across).to_lowercase())
    });
    let of_findings = FindingKind::ALL.map(|kind| {
        (
            diff.findings.iter().filter(|change| change.kind == kind).count(),
            finding_heading(kind, across).to_lowercase(),
        )
    });
    let told = of_rows.into_iter().chain(of_findings).filter(|(n, _)| *n > 0);
    let told: Vec<String> = told.map(|(n, word)| format!("{word}: {}", format::with_thousands(n as u64))).collect();
    let regressions = format::plural(diff.regressions, "regression", "regressions");
    let line = told.join(", ");
    let mut chars = line.chars();
    let line: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    format!("{line}. {regressions}.")
}
