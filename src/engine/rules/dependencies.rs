//! [`apply_dependencies`]: the verdicts of rows whose dependencies are not supported.

use std::collections::HashMap;

use crate::catalog::{Experiment, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::rules::step::{inconclusive_verdict, unfinished_verdict};
use crate::results::model::{BlockingRow, DependencyRole, EvidenceKind, OwnVerdict, Verdict};
use crate::results::reason::ReasonData;

/// Replaces verdicts that are not valid because the row depends on another row that is not known to
/// work, and weakens verdicts about the absence of something that no row of the run has shown.
///
/// For a field row, only the verdict `ignored` is replaced. For a behaviour row, every decided
/// verdict is.
pub fn apply_dependencies(verdicts: &mut [(&Experiment, Verdict)]) {
    use VerdictStatus::{Ignored, Inconclusive, Rejected, Skipped};
    let statuses: HashMap<&str, VerdictStatus> =
        verdicts.iter().map(|(experiment, verdict)| (experiment.id(), verdict.status)).collect();
    for (experiment, verdict) in verdicts.iter_mut() {
        for blocking in &mut verdict.blocked_by {
            // A rule does not know the verdicts of other rows.
            blocking.status = statuses.get(blocking.row.as_str()).copied().unwrap_or(Skipped);
        }
        let shows_contrast = |row: &String| statuses.get(row.as_str()) == Some(&VerdictStatus::Supported);
        if verdict.status.is_positive() && experiment.contrast.as_ref().is_some_and(|row| !shows_contrast(row)) {
            (verdict.status, verdict.evidence) = (VerdictStatus::Accepted, Some(EvidenceKind::Accepted));
        }
        let is_field_row = experiment.is_field_row();
        let needs_dependencies = if is_field_row { verdict.status == Ignored } else { verdict.status.is_decided() };
        if !needs_dependencies {
            continue;
        }
        let is_blocking = |status: VerdictStatus| {
            matches!(status, Ignored | Rejected | Skipped) || (!is_field_row && status == Inconclusive)
        };
        // A row that was not selected is as unknown as an unfinished row.
        let find_status = |row: &String| statuses.get(row.as_str()).copied().unwrap_or(Skipped);
        let dependencies = experiment.depends_on.iter().map(|row| (row, find_status(row)));
        // If several rows block this one, a row with a verdict is reported before a skipped one.
        let blocking =
            dependencies.filter(|(_, status)| is_blocking(*status)).min_by_key(|(_, status)| *status == Skipped);
        let (reason, because) = (&verdict.reason, Box::new(verdict.because()));
        let mut blocked = match blocking {
            None => continue,
            Some((row, Skipped)) => unfinished_verdict(ReasonData::BlockedByUnrunRow { row: row.clone(), because }),
            Some((row, status)) => inconclusive_verdict(
                InconclusiveReason::Blocked,
                ReasonData::BlockedByRow { row: row.clone(), status, because },
            ),
        };
        blocked.strongest = verdict.strongest;
        blocked.by_itself = Some(Box::new(OwnVerdict { status: verdict.status, reason: reason.clone() }));
        blocked.blocked_by = blocking.map(|(row, status)| blocking_row(row, status)).into_iter().collect();
        *verdict = blocked;
    }
}

/// A row of `depends_on` that prevents a decision.
fn blocking_row(row: &str, status: VerdictStatus) -> BlockingRow {
    BlockingRow { row: row.to_owned(), status, role: DependencyRole::Reads, variant: None, root: row.to_owned() }
}
