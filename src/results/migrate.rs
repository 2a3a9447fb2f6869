//! Migrates results files of version 1 ([`migrate_from_v1`]).
//!
//! Version 1 had one word, `supported`, for an observed effect, for a validated value and for an accepted
//! request. The lists of rows here are those of version 1, and never change.

use crate::catalog::{VerdictStatus, is_silent};
use crate::results::baseline::{BaselineComparison, EntryState, EntrySubject};
use crate::results::model::{EvidenceKind, Results, ResultsSummary, RowResult, SCHEMA};

/// The value of `schema` in results files of version 1.
pub(super) const SCHEMA_V1: &str = "fieldtest-results/1";
/// The code of version 1 for a row that another row blocks.
const RESTS_ON_CODE: &str = "rests-on";
/// The code that replaces it.
const BLOCKED_CODE: &str = "blocked";

/// The rows whose validation enforces the field.
const ENFORCING_ROWS: [&str; 5] = [
    "header.x-api-key",
    "header.authorization",
    "field.temperature.range",
    "limit.max_output_tokens",
    "content.tool_use.id",
];

/// The rows that were `supported` if the request was accepted.
const ACCEPTANCE_ROWS: [&str; 18] = [
    "turns.replay",
    "turns.tool_loop",
    "turns.tool_loop_thinking",
    "turns.thinking_cached",
    "turns.thinking_later",
    "turns.role_system_taken",
    "messages.beta_query",
    "header.both_credentials",
    "beta.claude_code",
    "field.metadata.user_id",
    "field.max_tokens.large",
    "cache_control.scope",
    "content.image.url",
    "content.search_history",
    "tools.new_keys",
    "tools.server_tools",
    "tools.schema",
    "tool_choice.auto",
];

/// The rows about the absence of thinking, which proves something only if the endpoint can think.
const ABSENCE_ROWS: [&str; 2] = ["thinking.unasked", "field.thinking.disabled"];

/// Replaces the words of version 1 with those of the present version, and counts the rows again.
pub(super) fn migrate_from_v1(results: &mut Results) {
    SCHEMA.clone_into(&mut results.schema);
    if results.gateway.is_none() {
        let thinks =
            results.find_row("field.thinking").is_some_and(|row| row.verdict.status == VerdictStatus::Supported);
        results.rows.iter_mut().for_each(|row| migrate_row(row, thinks));
        let Results { rows, baseline, .. } = results;
        if let Some(comparison) = baseline {
            migrate_baseline(comparison, rows);
        }
    }
    results.summary = ResultsSummary::from_rows(&results.rows);
}

fn migrate_row(row: &mut RowResult, thinks: bool) {
    let id = row.id.as_str();
    let is_acceptance = ACCEPTANCE_ROWS.contains(&id);
    let verdict = &mut row.verdict;
    let is_validation = verdict.evidence == Some(EvidenceKind::Validated) && !ENFORCING_ROWS.contains(&id);
    if is_acceptance {
        verdict.strongest = VerdictStatus::Accepted;
    } else if is_validation && verdict.status == VerdictStatus::Supported {
        verdict.strongest = VerdictStatus::Validated;
    }
    let word = if ABSENCE_ROWS.contains(&id) && !thinks { VerdictStatus::Accepted } else { verdict.strongest };
    let migrate = |status: &mut VerdictStatus| {
        if *status == VerdictStatus::Supported {
            *status = word;
        }
    };
    migrate(&mut verdict.status);
    if verdict.status == VerdictStatus::Accepted {
        verdict.evidence = Some(EvidenceKind::Accepted);
    }
    row.earlier.iter_mut().for_each(|earlier| migrate(&mut earlier.status));
    row.stability.iter_mut().flat_map(|stability| &mut stability.seen).for_each(|seen| migrate(&mut seen.status));
    if verdict.code.as_deref() == Some(RESTS_ON_CODE) {
        verdict.code = Some(BLOCKED_CODE.to_owned());
    }
    let claim = row.claim.as_ref().map(|claim| claim.status);
    row.outcome = row.verdict.compare_with(claim);
    row.silent = is_silent(claim, row.verdict.status);
}

/// Gives the entries of a baseline the words of their rows.
fn migrate_baseline(comparison: &mut BaselineComparison, rows: &[RowResult]) {
    for entry in &mut comparison.entries {
        let EntrySubject::Row(id) = &entry.subject else { continue };
        let Some(row) = rows.iter().find(|row| row.id == *id) else { continue };
        let word = if row.verdict.status.is_positive() { row.verdict.status } else { row.verdict.strongest };
        for state in [&mut entry.before, &mut entry.now].into_iter().flatten() {
            if *state == EntryState::Verdict(VerdictStatus::Supported) {
                *state = EntryState::Verdict(word);
            }
        }
    }
}
