//! The rules: from what the arms showed to a verdict, or to the next trial that is needed.
//!
//! One pure function, `next`, is asked again after every trial, while running and when a recording is judged; that is
//! why both come to the same verdicts. It knows nothing of who answers.

mod bayes;
pub mod comparison;
pub mod effect;
pub mod response;
pub mod sampling;
mod usage_meter;
mod validation;

use crate::catalog::{CombineRule, Experiment, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::trial::CompletedTrial;
use crate::recording::run::ArmKind;
use crate::results::model::{EndpointStrictness, EvidenceKind, UnknownKeyReaction, Verdict};
use crate::variables::hash;

/// What holds for the whole run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunFacts {
    /// The confidence that statistical verdicts must reach.
    pub confidence: f64,
    /// What the endpoint does with invented keys.
    pub strictness: EndpointStrictness,
    /// True where the model was seen to repeat what the user's own message says.
    pub model_reads_prompt: bool,
    /// The run's seed: it says which rows are asked once more than they need.
    pub seed: u64,
    /// Trials that each deciding arm must have, where something is to be made sure of.
    pub min_trials: u32,
    /// True where the run has shown that the endpoint treats equal requests unequally.
    pub is_inconsistent: bool,
    /// False where the endpoint's meter was seen to count what no model reads (an invented key).
    pub trusts_usage_meter: bool,
}

/// Trials of each arm that decides, once a run has shown that the endpoint treats equal requests unequally: one of two
/// back ends, picked at random, is missed by that many once in some five hundred rows.
pub(super) const MIN_TRIALS_IF_INCONSISTENT: u32 = 10;
/// The same, where parts of one row disagree.
const MIN_TRIALS_IF_DISAGREEING: u32 = 3;
/// One row in so many, drawn by the run's seed, is asked twice where once would do: an endpoint that treats equal
/// requests unequally is to be noticed even where no row needs more.
const EXTRA_TRIAL_ROW_INTERVAL: u64 = 64;

impl RunFacts {
    /// How many trials of a deciding arm a row needs, where certain evidence would decide it at the first.
    pub fn min_trials(&self, row: &str) -> u32 {
        let drawn = hash(format_args!("{}/{row}", self.seed)).is_multiple_of(EXTRA_TRIAL_ROW_INTERVAL);
        let steady = if self.is_inconsistent { MIN_TRIALS_IF_INCONSISTENT } else { 1 };
        steady.max(self.min_trials).max(1 + u32::from(drawn))
    }

    /// The same facts, with more asked of each arm.
    pub fn with_min_trials(&self) -> Self {
        Self { min_trials: MIN_TRIALS_IF_DISAGREEING, ..self.clone() }
    }
}

/// What comes next for a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// This trial is needed.
    Run(TrialSpec),
    /// The row has its verdict.
    Decided(Verdict),
}

/// A trial that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialSpec {
    /// The variant, for rows that have several.
    pub variant: Option<String>,
    /// The arm.
    pub arm: ArmKind,
}

/// Looks at all trials of a row so far, and says what comes next.
///
/// A verdict that the row cannot have is none: what led to it has another reason than the field.
pub fn next_step(experiment: &Experiment, trials: &[CompletedTrial], facts: &RunFacts) -> Step {
    match apply_rule(experiment, trials, facts) {
        Step::Decided(verdict) if verdict.status.is_decided() && !experiment.statuses.contains(&verdict.status) => {
            Step::Decided(inconclusive_verdict(
                InconclusiveReason::ImpossibleVerdict,
                format!("this row cannot be {}, and yet: {}", verdict.status, verdict.reason),
            ))
        }
        step => step,
    }
}

fn apply_rule(experiment: &Experiment, trials: &[CompletedTrial], facts: &RunFacts) -> Step {
    if let Some(spread) = &experiment.sampling {
        return sampling::next_step(experiment, spread, trials, facts);
    }
    if let Some(how) = &experiment.compare {
        return comparison::next_step(experiment, how, trials, facts);
    }
    if experiment.effect.is_none() && experiment.reply.is_none() {
        return validation::next_step(experiment, trials, facts);
    }
    if experiment.variants.is_empty() {
        return next_variant_step(experiment, None, trials, facts);
    }
    match decide_variants(experiment, trials, facts) {
        // Variants that disagree may be two kinds of answer to one question: they are asked again.
        Step::Decided(verdict) if variants_disagree(&verdict) && facts.min_trials < MIN_TRIALS_IF_DISAGREEING => {
            decide_variants(experiment, trials, &facts.with_min_trials())
        }
        step => step,
    }
}

/// What comes next for one variant of a row, or for the row, where it has none.
fn next_variant_step(
    experiment: &Experiment,
    variant: Option<&str>,
    trials: &[CompletedTrial],
    facts: &RunFacts,
) -> Step {
    match &experiment.reply {
        Some(expected) => response::next_step(experiment, expected, variant, trials, facts),
        None => effect::next_step(experiment, variant, trials, facts),
    }
}

/// True of a verdict that tells of variants with different ones.
fn variants_disagree(verdict: &Verdict) -> bool {
    verdict.qualifiers.iter().any(|told| told.starts_with(VARIANTS_DISAGREE_PREFIX))
}

/// Begins what is told of variants with different verdicts.
const VARIANTS_DISAGREE_PREFIX: &str = "the variants disagree: ";

fn decide_variants(experiment: &Experiment, trials: &[CompletedTrial], facts: &RunFacts) -> Step {
    let mut verdicts = Vec::new();
    let mut names = experiment.variants.keys();
    for name in names.by_ref() {
        match next_variant_step(experiment, Some(name), trials, facts) {
            Step::Run(needed) => return Step::Run(needed),
            Step::Decided(verdict) => {
                let enough = settles_row(experiment, &verdict);
                verdicts.push((name.as_str(), verdict));
                if enough {
                    break;
                }
            }
        }
    }
    let untried: Vec<&str> = names.map(String::as_str).collect();
    let mut verdict = combine_verdicts(experiment.combine, verdicts);
    if verdict.status == VerdictStatus::Rejected && !untried.is_empty() {
        verdict.qualifiers.push(format!("not tried after that: {}", untried.join(", ")));
    }
    Step::Decided(verdict)
}

/// True of a verdict that says that equal requests were treated unequally.
pub fn is_inconsistent(step: &Step) -> bool {
    matches!(step, Step::Decided(verdict) if verdict.code.as_deref() == Some(InconclusiveReason::Inconsistent.as_str()))
}

/// True where the other variants cannot change the row's verdict: one that must be honoured is refused; one that may
/// be is honoured; or the endpoint says that it does not know the thing at all.
fn settles_row(experiment: &Experiment, verdict: &Verdict) -> bool {
    match (experiment.combine, verdict.status) {
        (CombineRule::All, VerdictStatus::Rejected) | (CombineRule::Any, VerdictStatus::Supported) => true,
        (CombineRule::Any, VerdictStatus::Rejected) => {
            let thing = experiment.id().rsplit('.').next().unwrap_or_default();
            verdict.reason.contains(thing) && validation::reports_unknown_field(&verdict.reason)
        }
        _ => false,
    }
}

/// How bad a status is when every variant must be honoured.
fn severity(status: VerdictStatus) -> u8 {
    match status {
        VerdictStatus::Supported => 0,
        VerdictStatus::Substituted => 1,
        VerdictStatus::Ignored => 2,
        VerdictStatus::Inconclusive => 3,
        VerdictStatus::Skipped => 4,
        VerdictStatus::Rejected => 5,
    }
}

/// Makes one verdict of several variants'.
pub(super) fn combine_verdicts(how: CombineRule, verdicts: Vec<(&str, Verdict)>) -> Verdict {
    let told: Vec<String> = verdicts.iter().map(|(name, v)| format!("{name}: {}: {}", v.status, v.reason)).collect();
    let undecided = verdicts.iter().any(|(_, v)| !v.status.is_decided());
    let agree = verdicts.windows(2).all(|pair| pair[0].1.status == pair[1].1.status);
    let chosen = match how {
        CombineRule::All => verdicts.into_iter().max_by_key(|(_, v)| severity(v.status)),
        CombineRule::Any => verdicts.into_iter().min_by_key(|(_, v)| severity(v.status)),
    };
    let Some((name, mut verdict)) = chosen else {
        return inconclusive_verdict(InconclusiveReason::NotFinished, "no variant was tried");
    };
    if told.len() == 1 {
        return verdict;
    }
    if how == CombineRule::All && undecided && !agree && verdict.status != VerdictStatus::Inconclusive {
        return inconclusive_verdict(InconclusiveReason::VariantsDisagree, told.join("; "));
    }
    if agree {
        verdict.reason = format!("{} (so for each variant; told of {name})", verdict.reason);
    } else {
        verdict.qualifiers.insert(0, format!("{VARIANTS_DISAGREE_PREFIX}{}", told.join("; ")));
    }
    verdict
}

/// An undecided verdict.
pub(super) fn inconclusive_verdict(why: InconclusiveReason, reason: impl Into<String>) -> Verdict {
    Verdict {
        status: VerdictStatus::Inconclusive,
        reason: reason.into(),
        code: Some(why.as_str().to_owned()),
        confidence: None,
        evidence: None,
        qualifiers: Vec::new(),
    }
}

/// A decided verdict.
pub(super) fn decided_verdict(
    status: VerdictStatus,
    evidence: EvidenceKind,
    confidence: Option<f64>,
    reason: String,
) -> Verdict {
    Verdict {
        status,
        reason,
        code: None,
        confidence: confidence.map(|c| (c * 1e4).floor() / 1e4),
        evidence: Some(evidence),
        qualifiers: Vec::new(),
    }
}

/// A row whose run ended too soon.
pub(super) fn unfinished_verdict(why: &str) -> Verdict {
    Verdict { status: VerdictStatus::Skipped, ..inconclusive_verdict(InconclusiveReason::NotFinished, why) }
}

/// A rejection, with what its text and the strictness probes say about it.
pub(super) fn rejected_verdict(row: &str, refusal: &crate::wire::message::HttpError, facts: &RunFacts) -> Verdict {
    let mut verdict = decided_verdict(
        VerdictStatus::Rejected,
        EvidenceKind::Refusal,
        None,
        format!("refused with HTTP {}: {}", refusal.status, refusal.message),
    );
    if !names_field(&refusal.message, row) {
        verdict.qualifiers.push("the refusal does not name the field".to_owned());
    }
    let strict = if row.starts_with("content.") {
        facts.strictness.block
    } else if row.starts_with("tools.") {
        facts.strictness.tool
    } else {
        facts.strictness.top_level
    };
    if strict == UnknownKeyReaction::Refused {
        verdict
            .qualifiers
            .push("invented keys are refused there as well: it is not in this server's schema".to_owned());
    }
    verdict
}

/// True when an error's text names the field that a row is about: the last parts of its id.
pub(super) fn names_field(text: &str, row: &str) -> bool {
    let text = text.to_lowercase();
    row.rsplit('.')
        .take(2)
        .filter(|part| !matches!(*part, "content" | "field" | "header" | "text" | "name" | "id"))
        .any(|part| text.contains(&part.to_lowercase()))
}
