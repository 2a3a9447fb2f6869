//! The vocabulary of the rules: [`RunFacts`] are the input, a [`Step`] is the output.
//!
//! This file must not depend on the file of any rule.

use crate::catalog::{Experiment, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::recording::run::ArmKind;
use crate::results::model::{
    BlockingRow, DependencyRole, EndpointStrictness, EvidenceKind, OwnVerdict, UnfollowedInstructions,
    UnknownKeyReaction, Verdict,
};
use crate::results::reason::{ReasonData, ReportedError};
use crate::variables::hash;
use crate::wire::message::HttpError;

/// Maximum unusable trials of an arm that has no usable trial.
pub(in crate::engine) const MAX_UNUSABLE_TRIALS: u32 = 3;
/// Minimum trials of each deciding arm after the run has shown that the endpoint is inconsistent.
/// If each request goes to one of two servers at random, ten trials of a row all reach the same
/// server in about 1 of 500 rows.
pub(in crate::engine) const MIN_TRIALS_IF_INCONSISTENT: u32 = 10;
/// Minimum trials of each deciding arm if the variants or invalid values of one row disagree.
pub(super) const MIN_TRIALS_IF_DISAGREEING: u32 = 3;
/// This number of equal server errors, and no other response, counts as the response to a request.
pub(super) const MIN_SERVER_ERRORS: u32 = 3;
/// The same number if a server error of this run has passed. If 5 % of requests fail at random, five
/// failures in a row happen in 1 of 3 million requests.
pub(super) const MIN_SERVER_ERRORS_IF_PASSING: u32 = 5;
/// One row in N gets an extra trial; the seed chooses the row. The extra trial can reveal an
/// inconsistent endpoint even if no row needs a second trial.
const EXTRA_TRIAL_ROW_INTERVAL: u64 = 64;

/// Facts that hold for the whole run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunFacts {
    /// The confidence that statistical verdicts must reach.
    pub confidence: f64,
    /// What the endpoint does with unknown keys.
    pub strictness: EndpointStrictness,
    /// True if the model has repeated something from the user message.
    pub model_reads_prompt: bool,
    /// The instructions of the probes, if the endpoint followed none of them. No response can then
    /// show an effect that needs a model.
    pub unfollowed: Option<UnfollowedInstructions>,
    /// The seed of the run. It chooses the rows that get an extra trial.
    pub seed: u64,
    /// The minimum number of trials of each deciding arm.
    pub min_trials: u32,
    /// True if the run has shown that the endpoint treats equal requests differently.
    pub is_inconsistent: bool,
    /// True if a request of the run was answered after a server error.
    pub server_errors_pass: bool,
    /// False if the endpoint counts tokens of unknown keys, which no model reads.
    pub trusts_usage_meter: bool,
}

impl RunFacts {
    /// The number of trials that a deciding arm of a row needs, even if the first one is certain
    /// evidence.
    pub fn min_trials(&self, row: &str) -> u32 {
        let is_chosen = hash(format_args!("{}/{row}", self.seed)).is_multiple_of(EXTRA_TRIAL_ROW_INTERVAL);
        let consistency = if self.is_inconsistent { MIN_TRIALS_IF_INCONSISTENT } else { 1 };
        consistency.max(self.min_trials).max(1 + u32::from(is_chosen))
    }

    /// True if the endpoint follows no instruction.
    pub(super) fn lacks_model(&self) -> bool {
        self.unfollowed.is_some()
    }

    /// The same facts, but each deciding arm needs at least three trials.
    pub(super) fn with_min_trials(&self) -> Self {
        Self { min_trials: MIN_TRIALS_IF_DISAGREEING, ..self.clone() }
    }
}

/// The next step of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The row needs this trial.
    Run(TrialSpec),
    /// The row has its verdict.
    Decided(Verdict),
}

impl Step {
    /// A trial of an arm that has no variants.
    pub(super) fn run(arm: ArmKind) -> Self {
        Self::run_variant(None, arm)
    }

    /// A trial of an arm, for one variant.
    pub(super) fn run_variant(variant: Option<&str>, arm: ArmKind) -> Self {
        Self::Run(TrialSpec { variant: variant.map(str::to_owned), arm })
    }

    /// The verdict of a row that cannot be decided.
    pub(super) fn inconclusive(code: InconclusiveReason, observed: impl Into<ReasonData>) -> Self {
        Self::Decided(inconclusive_verdict(code, observed))
    }

    /// The verdict of a row that needs a model, at an endpoint that follows no instruction.
    pub(super) fn needs_model(facts: &RunFacts) -> Self {
        let asked = facts.unfollowed.as_ref().map_or(0, |unfollowed| unfollowed.asked);
        Self::inconclusive(InconclusiveReason::NeedsModel, ReasonData::NeedsModel { asked })
    }

    /// The verdict of a row whose request was both accepted and rejected.
    pub(super) fn inconsistent(error: &HttpError) -> Self {
        let observed = ReasonData::AcceptedAndRejected { error: reported_error(error) };
        Self::inconclusive(InconclusiveReason::Inconsistent, observed)
    }
}

/// A trial that a row needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialSpec {
    /// The variant, for rows with several.
    pub variant: Option<String>,
    /// The arm.
    pub arm: ArmKind,
}

/// Maximum trials of an arm that needs N usable responses: N-1 usable ones,
/// N-1+[`MAX_UNUSABLE_TRIALS`] unusable ones, and one more.
pub(super) const fn max_trials(needed_responses: u32) -> u32 {
    2 * (needed_responses - 1) + MAX_UNUSABLE_TRIALS + 1
}

/// An inconclusive verdict. Its reason is the observation, then the next step for its code.
pub(in crate::engine) fn inconclusive_verdict(code: InconclusiveReason, observed: impl Into<ReasonData>) -> Verdict {
    inconclusive_with_next_step(code, observed, code.next_step())
}

/// The same as [`inconclusive_verdict`], with another next step.
pub(super) fn inconclusive_with_next_step(
    code: InconclusiveReason,
    observed: impl Into<ReasonData>,
    next_step: Option<&str>,
) -> Verdict {
    let mut verdict = Verdict::new(VerdictStatus::Inconclusive, observed);
    verdict.code = Some(code.as_str().to_owned());
    if let Some(next_step) = next_step {
        verdict.reason.truncate(verdict.reason.trim_end_matches('.').len());
        verdict.reason.push_str(". ");
        verdict.reason.push_str(next_step);
    }
    verdict
}

/// The verdict of a row whose responses do not have the form that another row asks for.
pub(super) fn unrequested_form_verdict(row: &str, observed: &str) -> Verdict {
    let blocking = BlockingRow {
        row: row.to_owned(),
        status: VerdictStatus::Inconclusive,
        role: DependencyRole::Reads,
        variant: None,
        root: row.to_owned(),
    };
    let because = ReasonData::BlockedByForm { row: row.to_owned(), observed: observed.to_owned() };
    let verdict = inconclusive_verdict(InconclusiveReason::Blocked, because);
    Verdict { blocked_by: vec![blocking], ..verdict }
}

/// The verdict of a row that other rows block.
pub(in crate::engine) fn blocked_verdict(first: BlockingRow, others: Vec<BlockingRow>, own: &Verdict) -> Verdict {
    let because = Box::new(own.because());
    let because = ReasonData::BlockedByRow { row: first.row.clone(), status: first.status, because };
    let by_itself = OwnVerdict { status: own.status, reason: own.reason.clone() };
    Verdict {
        strongest: own.strongest,
        blocked_by: [vec![first], others].concat(),
        by_itself: Some(Box::new(by_itself)),
        ..inconclusive_verdict(InconclusiveReason::Blocked, because)
    }
}

/// True if a rejection is known to be about the field because its error names it.
pub(in crate::engine) fn is_named_rejection(verdict: &Verdict) -> bool {
    verdict.status == VerdictStatus::Rejected
        && verdict.evidence == Some(EvidenceKind::Refusal)
        && !verdict.qualifiers.iter().any(|qualifier| qualifier == UNNAMED_QUALIFIER)
}

/// A decided verdict.
pub(super) fn decided_verdict(
    status: VerdictStatus,
    evidence: EvidenceKind,
    confidence: Option<f64>,
    because: impl Into<ReasonData>,
) -> Verdict {
    Verdict {
        confidence: confidence.map(|c| (c * 1e4).floor() / 1e4),
        evidence: Some(evidence),
        ..Verdict::new(status, because)
    }
}

/// The verdict of a row whose run ended too early.
pub(in crate::engine) fn unfinished_verdict(why: impl Into<ReasonData>) -> Verdict {
    Verdict { status: VerdictStatus::Skipped, ..inconclusive_verdict(InconclusiveReason::NotFinished, why) }
}

/// The qualifier of a rejection whose error names nothing.
const UNNAMED_QUALIFIER: &str = "the error does not name the field";

/// The verdict of a rejection that is not about the field. `what` is the thing that it is about.
pub(super) fn elsewhere_verdict(what: &str, error: &HttpError) -> Verdict {
    inconclusive_verdict(
        InconclusiveReason::RejectedElsewhere,
        ReasonData::RejectedElsewhere { what: what.to_owned(), error: reported_error(error) },
    )
}

/// The verdict of a rejected field, with qualifiers from the error text and the strictness probes.
pub(super) fn rejected_verdict(row: &str, error: &HttpError, is_named: bool, facts: &RunFacts) -> Verdict {
    let because = ReasonData::Rejected { error: reported_error(error) };
    let mut verdict = decided_verdict(VerdictStatus::Rejected, EvidenceKind::Refusal, None, because);
    if !is_named {
        verdict.qualifiers.push(UNNAMED_QUALIFIER.to_owned());
    }
    let reaction = if row.starts_with("content.") {
        facts.strictness.block
    } else if row.starts_with("tools.") {
        facts.strictness.tool
    } else {
        facts.strictness.top_level
    };
    if reaction == UnknownKeyReaction::Refused {
        verdict
            .qualifiers
            .push("unknown keys are rejected there too: the field is not in this server's schema".to_owned());
    }
    verdict
}

/// The number of rejected requests that a verdict needs: two if the error does not name the field.
pub(super) fn needed_rejections(experiment: &Experiment, is_named: bool, facts: &RunFacts) -> u32 {
    facts.min_trials(experiment.id()).max(1 + u32::from(!is_named))
}

/// An HTTP error as a parameter of a reason.
pub(in crate::engine) fn reported_error(error: &HttpError) -> ReportedError {
    ReportedError { status: error.status, message: error.message.clone() }
}

/// An HTTP error in one line.
pub(super) fn describe_error(error: &HttpError) -> String {
    format!("HTTP {}: {}", error.status, error.message)
}
