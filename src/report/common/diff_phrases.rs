//! The words of a diff that its formats share, without the escaping of any format.

use crate::catalog::{ClaimStatus, Outcome};
use crate::report::common::phrases;
use crate::results::diff::{FindingKind, FindingState, ResultsDiff, RowChange, RowKind, RowState};
use crate::results::format;
use crate::results::gateway::GatewayVerdictKind;

/// The title.
pub(in crate::report) fn title(diff: &ResultsDiff) -> String {
    let (old, new) = (&diff.old, &diff.new);
    if diff.is_cross_target() {
        format!("What would change by moving from {} to {}", old.target, new.target)
    } else {
        format!("What changed at {}", new.target)
    }
}

/// The two runs that are compared.
pub(in crate::report) fn describe_pair(diff: &ResultsDiff) -> [String; 2] {
    [("before", &diff.old), ("after", &diff.new)].map(|(when, side)| {
        let rows = format::plural(side.rows, "row", "rows");
        let findings = format::plural(side.findings, "finding", "findings");
        let began = format::timestamp(&side.started_at);
        format!("{when}: {}, model {}, {began}, {rows}, {findings}", side.target, side.model)
    })
}

/// The heading for a kind of change, for one target at two times or for two targets (`across`).
pub(in crate::report) fn row_heading(kind: RowKind, across: bool) -> &'static str {
    match (kind, across) {
        (RowKind::Lost, false) => "Lost",
        (RowKind::Lost, true) => "Would be lost",
        (RowKind::Undetermined, false) => "No longer decided",
        (RowKind::Undetermined, true) => "Undecided there",
        (RowKind::Changed, false) => "Changed",
        (RowKind::Changed, true) => "Would change",
        (RowKind::Gained, false) => "Gained",
        (RowKind::Gained, true) => "Would be gained",
        (RowKind::Decided, false) => "Decided now",
        (RowKind::Decided, true) => "Decided only there",
        (RowKind::Outcome, _) => "Same verdict, other claims",
        (RowKind::Removed, false) => "Removed rows",
        (RowKind::Removed, true) => "Rows not run there",
        (RowKind::Added, false) => "New rows",
        (RowKind::Added, true) => "Rows run only there",
    }
}

/// The heading for a kind of change of findings.
pub(in crate::report) fn finding_heading(kind: FindingKind, across: bool) -> &'static str {
    match (kind, across) {
        (FindingKind::Added, false) => "New findings",
        (FindingKind::Added, true) => "Findings that would be new",
        (FindingKind::Changed, false) => "Changed findings",
        (FindingKind::Changed, true) => "Findings that would change",
        (FindingKind::Removed, false) => "Fixed findings",
        (FindingKind::Removed, true) => "Findings that would be fixed",
    }
}

/// A row before and after. Claims and outcomes are shown only if they differ.
pub(in crate::report) fn describe_states(change: &RowChange) -> [String; 2] {
    let differ = |of: fn(&RowState) -> (Option<ClaimStatus>, Option<Outcome>)| {
        change.before.as_ref().zip(change.after.as_ref()).is_some_and(|(before, after)| of(before) != of(after))
    };
    let (claims, outcomes) = (differ(|state| (state.claim, None)), differ(|state| (None, Some(state.outcome))));
    [&change.before, &change.after].map(|state| {
        let Some(state) = state else { return "—".to_owned() };
        let mut text = state.fate.map_or(state.verdict.as_str(), GatewayVerdictKind::as_str).to_owned();
        text.extend(state.to.as_ref().map(|to| format!(" to {to}")));
        if !state.qualifiers.is_empty() {
            text.push_str(&format!(" ({})", state.qualifiers.join("; ")));
        }
        if claims {
            text.push_str(&state.claim.map_or(", no claim".to_owned(), |claim| format!(", claimed {claim}")));
        }
        if claims || outcomes {
            text.push_str(&format!(", {}", state.outcome));
        }
        text
    })
}

/// A finding before or after.
pub(in crate::report) fn finding_state(state: Option<&FindingState>) -> String {
    let Some(state) = state else { return "not found".to_owned() };
    format!("{}, {}", state.severity, phrases::describe_responses(state.count))
}

/// All changes in one sentence.
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
    let counts = of_rows.into_iter().chain(of_findings).filter(|(n, _)| *n > 0);
    let counts: Vec<String> = counts.map(|(n, word)| format!("{word}: {}", format::with_thousands(n as u64))).collect();
    let regressions = format::plural(diff.regressions, "regression", "regressions");
    let line = counts.join(", ");
    let mut chars = line.chars();
    let line: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    format!("{line}. {regressions}.")
}
