//! [`revise_verdict`]: a verdict whose cause can be another row becomes inconclusive.

use std::collections::BTreeSet;

use crate::catalog::{Experiment, VerdictStatus};
use crate::engine::dependencies::edges::DependencyEdge;
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::rules::{Step, blocked_verdict, is_named_rejection, unfinished_verdict};
use crate::results::model::{BlockingRow, DependencyRole, EvidenceKind, Verdict};
use crate::results::reason::ReasonData;

/// What is known about a row that can block others.
#[derive(Debug, Clone)]
pub(super) struct BlockingStatus {
    status: VerdictStatus,
    /// The row where the chain of blocked rows begins.
    root: String,
    /// True if the row is open only because the endpoint follows no instruction.
    needs_model: bool,
}

impl BlockingStatus {
    /// The status of a row after this step.
    pub fn new(row: &str, step: &Step) -> Self {
        match step {
            Step::Run(_) => Self { status: VerdictStatus::Skipped, root: row.to_owned(), needs_model: false },
            Step::Decided(verdict) => Self {
                status: verdict.status,
                root: verdict.blocked_by.first().map_or(row, |blocking| &blocking.root).to_owned(),
                needs_model: has_code(verdict, InconclusiveReason::NeedsModel),
            },
        }
    }
}

/// True if the verdict rests on a rejection, which something else in the request can cause.
fn rests_on_rejection(verdict: &Verdict) -> bool {
    let is_validated = verdict.status.is_positive() && verdict.evidence == Some(EvidenceKind::Validated);
    verdict.status == VerdictStatus::Rejected || is_validated
}

/// True if the row is about a request that must be rejected.
fn expects_error(experiment: &Experiment) -> bool {
    experiment.reply.as_ref().is_some_and(|reply| reply.expects_http_error())
}

/// True if the endpoint rejects the request, as the row expects.
fn is_documented_error(experiment: &Experiment, verdict: &Verdict) -> bool {
    expects_error(experiment) && verdict.status.is_positive()
}

fn has_code(verdict: &Verdict, code: InconclusiveReason) -> bool {
    verdict.code.as_deref() == Some(code.as_str())
}

/// True if another row can be the cause of this verdict.
pub(super) fn can_be_blocked(experiment: &Experiment, verdict: &Verdict) -> bool {
    verdict.status == VerdictStatus::Ignored
        || rests_on_rejection(verdict)
        || is_documented_error(experiment, verdict)
        || has_code(verdict, InconclusiveReason::NegativeRejected)
        || lacks_evidence(verdict)
}

/// True if responses lack what the row reads in them.
fn lacks_evidence(verdict: &Verdict) -> bool {
    has_code(verdict, InconclusiveReason::UnusableTrials) || has_code(verdict, InconclusiveReason::ModelDoesNotShow)
}

/// True if a row with this status and role prevents the verdict. `None` is a row that was not run.
fn is_blocking(
    experiment: &Experiment,
    verdict: &Verdict,
    edge: &DependencyEdge,
    status: Option<VerdictStatus>,
) -> bool {
    use VerdictStatus as V;
    let is_ignored = verdict.status == V::Ignored;
    let is_rejection = rests_on_rejection(verdict) || is_documented_error(experiment, verdict);
    let misses_error = is_ignored && expects_error(experiment);
    let is_unnamed = is_rejection && !is_named_rejection(verdict);
    // Without a block, the conversation can be one that the endpoint rejects. Without a field at the
    // top, the request is complete.
    let is_documented = is_documented_error(experiment, verdict) && !edge.row.starts_with("content.");
    match (status, edge.role) {
        (_, DependencyRole::Same) => false,
        // Whatever happens to the whole field happens to its part, so it decides nothing here. But
        // it explains why responses lack the effect of the part.
        (Some(V::Ignored | V::Rejected), DependencyRole::PartOf) => lacks_evidence(verdict),
        (Some(V::Ignored | V::Rejected), DependencyRole::Reads) => {
            is_ignored || is_rejection || lacks_evidence(verdict)
        }
        (Some(V::Ignored), DependencyRole::Beside) => (is_unnamed && !is_documented) || misses_error,
        (Some(V::Rejected), DependencyRole::Beside) => is_unnamed,
        (Some(V::Ignored), DependencyRole::Shared) => misses_error,
        (Some(V::Rejected), DependencyRole::Shared) => has_code(verdict, InconclusiveReason::NegativeRejected),
        (None | Some(V::Inconclusive | V::Skipped), DependencyRole::PartOf) => is_ignored,
        (None | Some(V::Inconclusive | V::Skipped), DependencyRole::Reads) => is_ignored || is_rejection,
        (None | Some(V::Inconclusive | V::Skipped), DependencyRole::Beside) => is_unnamed,
        (None | Some(V::Inconclusive | V::Skipped), DependencyRole::Shared) => false,
        (Some(V::Supported | V::Validated | V::Accepted | V::Substituted), _) => false,
    }
}

/// The verdict after the rows that block it. Adds the blocking rows that were not run to `missing`.
pub(super) fn revise_verdict(
    experiment: &Experiment,
    variant: Option<&str>,
    verdict: Verdict,
    edges: &[DependencyEdge],
    find_status: &dyn Fn(&str) -> Option<BlockingStatus>,
    missing: &mut BTreeSet<String>,
) -> Verdict {
    let mut blocking = Vec::new();
    let mut not_run = Vec::new();
    for edge in edges {
        let found = find_status(&edge.row);
        let status = found.as_ref().map(|found| found.status);
        // A row that waits for a model leaves no doubt about a row that is decided without one.
        let is_needed = experiment.depends_on.iter().any(|needed| *needed == edge.row);
        let is_without_model = found.as_ref().is_some_and(|found| found.needs_model) && !is_needed;
        if is_without_model || !is_blocking(experiment, &verdict, edge, status) {
            continue;
        }
        match found {
            Some(found) if found.status != VerdictStatus::Skipped => blocking.push(BlockingRow {
                row: edge.row.to_string(),
                status: found.status,
                role: edge.role,
                variant: variant.map(str::to_owned),
                root: found.root,
            }),
            Some(_) => not_run.push(edge.row.to_string()),
            None => {
                missing.insert(edge.row.to_string());
                not_run.push(edge.row.to_string());
            }
        }
    }
    // A row with a verdict is a cause; a row without one only leaves the cause open.
    if !blocking.is_empty() {
        let first = blocking.remove(0);
        return blocked_verdict(first, blocking, &verdict);
    }
    match not_run.into_iter().next() {
        Some(row) => blocked_by_unrun_row(row, &verdict),
        None => verdict,
    }
}

/// The verdict about the absence of something, after the row that shows it. If no row shows that the
/// endpoint can do it, its absence proves nothing. If that row is not finished, neither is this one.
pub(super) fn apply_contrast(verdict: &mut Verdict, row: &str, contrast: Option<&BlockingStatus>) {
    match contrast.map(|contrast| contrast.status) {
        Some(VerdictStatus::Supported) => {}
        Some(VerdictStatus::Skipped) => *verdict = blocked_by_unrun_row(row.to_owned(), verdict),
        _ => (verdict.status, verdict.evidence) = (VerdictStatus::Accepted, Some(EvidenceKind::Accepted)),
    }
}

fn blocked_by_unrun_row(row: String, verdict: &Verdict) -> Verdict {
    let because = ReasonData::BlockedByUnrunRow { row, because: Box::new(verdict.because()) };
    Verdict { strongest: verdict.strongest, ..unfinished_verdict(because) }
}

/// Adds what is known about the rows that block a verdict because of the form of its responses.
pub(super) fn complete_causes(verdict: &mut Verdict, find_status: &dyn Fn(&str) -> Option<BlockingStatus>) {
    for cause in &mut verdict.blocked_by {
        if let Some(found) = find_status(&cause.row) {
            (cause.status, cause.root) = (found.status, found.root);
        }
    }
}
