//! The rule for sampling fields: if a field is supported, responses with the field agree more than
//! responses without it.
//!
//! The rule compares two samples of responses to one question with many right answers: the narrow
//! sample with the field, and the wide sample without it. If the field is ignored, the samples are
//! exchangeable, so the agreement within the narrow sample is compared with that of every other
//! split of all responses (an exact permutation test). If the field is supported, nearly all narrow
//! responses agree. So a narrow sample without a clear favourite excludes "supported". Both tests
//! run at fixed sample sizes and divide the allowed error among these analyses, so that an early
//! decision adds no error.

use std::collections::BTreeMap;
use std::iter;

use crate::catalog::{Experiment, MessagePredicate, SamplingTest, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::predicate::matches;
use crate::engine::rejection::{RejectionSubject, attribute_rejection};
use crate::engine::rules::step::{
    self, MAX_UNUSABLE_TRIALS, RunFacts, Step, decided_verdict, describe_error, elsewhere_verdict, needed_rejections,
    rejected_verdict,
};
use crate::engine::rules::trials::{count_outcomes, server_error_step, without_passed_errors};
use crate::engine::trial::{CompletedTrial, TrialOutcome, unusable_reason};
use crate::recording::run::ArmKind;
use crate::results::model::EvidenceKind;
use crate::results::reason::{FieldPresence, ReasonData};

/// Sample sizes at which the evidence is evaluated.
struct InterimAnalysis {
    /// Responses without the field.
    wide: usize,
    /// Responses with it.
    narrow: usize,
    /// The share of the allowed error that "supported" may use here. The shares of all analyses add
    /// up to 1.
    supported_error_share: f64,
    /// The same for "ignored".
    ignored_error_share: f64,
}

/// The analyses. If exactly four of ten responses are equal, they are the narrow sample in one of
/// 210 splits. So an endpoint that supports the field is recognized at the first analysis, or at
/// the second if a wide response is equal to them by chance. Four different narrow responses are
/// little evidence for "ignored", so only later analyses can reach that verdict.
const ANALYSES: [InterimAnalysis; 3] = [
    InterimAnalysis { wide: 6, narrow: 4, supported_error_share: 0.5, ignored_error_share: 0.0 },
    InterimAnalysis { wide: 6, narrow: 8, supported_error_share: 0.35, ignored_error_share: 0.5 },
    InterimAnalysis { wide: 12, narrow: 12, supported_error_share: 0.15, ignored_error_share: 0.5 },
];
/// Maximum trials of an arm. The last analysis needs 12 responses.
pub(crate) const MAX_TRIALS: u32 = step::max_trials(12);
/// The minimum share of narrow responses that agree if the field is supported. It is below 1,
/// because real servers are not completely deterministic at temperature 0, and models do not always
/// follow instructions.
const MIN_AGREEMENT_SHARE: f64 = 0.75;

/// The next step of a row that is decided by two samples.
pub(crate) fn next_step(
    experiment: &Experiment,
    test: &SamplingTest,
    trials: &[CompletedTrial],
    facts: &RunFacts,
) -> Step {
    if facts.lacks_model() {
        // One request shows whether the field is rejected.
        match trials.iter().find(|trial| trial.arm == ArmKind::Narrow) {
            None => return Step::run(ArmKind::Narrow),
            Some(trial) if count_outcomes(experiment, iter::once(trial)).response_count() > 0 => {
                return Step::needs_model(facts);
            }
            Some(_) => {}
        }
    }
    let plain = ResponseSamples::collect(trials, ArmKind::Negative, ArmKind::Narrow, test.answers.as_ref());
    if let Some(step) = plain.first_problem(experiment, facts) {
        return step;
    }
    let varies = plain.wide.len() < ANALYSES[0].wide || modal_count(&plain.wide) + 1 < plain.wide.len();
    if varies || test.widen.is_none() {
        return plain.evaluate(facts);
    }
    // The responses do not vary, so both samples get a field that adds variation.
    let varied = ResponseSamples::collect(trials, ArmKind::Wide, ArmKind::NarrowWide, test.answers.as_ref());
    if let Some(error) = varied.rejection_reason(experiment) {
        return Step::inconclusive(InconclusiveReason::NoVariation, ReasonData::VariationRejected { error });
    }
    varied.first_problem(experiment, facts).unwrap_or_else(|| varied.evaluate(facts))
}

/// The trials and texts of the sample without the field (`wide`) and with it (`narrow`).
struct ResponseSamples<'a> {
    trials: &'a [CompletedTrial],
    wide_arm: ArmKind,
    narrow_arm: ArmKind,
    wide_trials: Vec<&'a CompletedTrial>,
    narrow_trials: Vec<&'a CompletedTrial>,
    wide: Vec<String>,
    narrow: Vec<String>,
}

impl<'a> ResponseSamples<'a> {
    fn collect(
        trials: &'a [CompletedTrial],
        wide_arm: ArmKind,
        narrow_arm: ArmKind,
        on_topic: Option<&MessagePredicate>,
    ) -> Self {
        let filter_arm = |arm| without_passed_errors(trials.iter().filter(|t| t.arm == arm).collect());
        let (wide_trials, narrow_trials) = (filter_arm(wide_arm), filter_arm(narrow_arm));
        let texts = |trials: &[&CompletedTrial]| -> Vec<String> {
            trials
                .iter()
                .filter_map(|t| t.message().map(|m| (m, &t.values)))
                .filter(|(m, values)| {
                    unusable_reason(m).is_none() && on_topic.is_none_or(|test| matches(test, m, values))
                })
                .map(|(m, _)| m.text().split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
                .collect()
        };
        let (wide, narrow) = (texts(&wide_trials), texts(&narrow_trials));
        Self { trials, wide_arm, narrow_arm, wide_trials, narrow_trials, wide, narrow }
    }

    fn rejection_reason(&self, experiment: &Experiment) -> Option<String> {
        self.wide_trials.iter().chain(&self.narrow_trials).find_map(|t| match t.outcome(experiment) {
            TrialOutcome::Rejected(error) => Some(describe_error(error)),
            _ => None,
        })
    }

    /// The first problem that prevents a comparison, or the first trial of an arm without trials.
    fn first_problem(&self, experiment: &Experiment, facts: &RunFacts) -> Option<Step> {
        for (trials, arm) in [(&self.wide_trials, self.wide_arm), (&self.narrow_trials, self.narrow_arm)] {
            let problem = trials.iter().find_map(|trial| self.trial_problem(experiment, facts, trial, trials));
            if problem.is_some() {
                return problem;
            }
            if trials.is_empty() {
                return Some(Step::run(arm));
            }
        }
        for (trials, texts) in [(&self.wide_trials, &self.wide), (&self.narrow_trials, &self.narrow)] {
            let unusable = trials.len() - texts.len();
            if unusable > MAX_UNUSABLE_TRIALS as usize + texts.len() {
                return Some(Step::inconclusive(
                    InconclusiveReason::UnusableTrials,
                    ReasonData::ResponsesOffTopic { unusable: unusable as u64, total: trials.len() as u64 },
                ));
            }
        }
        None
    }

    /// The problem of one trial of an arm.
    fn trial_problem(
        &self,
        experiment: &Experiment,
        facts: &RunFacts,
        trial: &CompletedTrial,
        arm_trials: &[&CompletedTrial],
    ) -> Option<Step> {
        let counts = count_outcomes(experiment, iter::once(trial));
        if trial.arm != self.narrow_arm {
            return counts.control_step(|| Step::run(trial.arm));
        }
        let all = count_outcomes(experiment, arm_trials.iter().copied());
        if let Some(step) = server_error_step(experiment, self.trials, &all, facts, || Step::run(trial.arm)) {
            return Some(step);
        }
        let Some(error) = counts.rejections.first() else {
            return counts.failure_step(FieldPresence::With, InconclusiveReason::TreatmentFailed);
        };
        let is_rejected = |t: &&CompletedTrial| matches!(t.outcome(experiment), TrialOutcome::Rejected(_));
        let subject = attribute_rejection(experiment, iter::once(trial), error);
        let is_named = subject == RejectionSubject::ThisField;
        Some(if !arm_trials.iter().all(is_rejected) {
            Step::inconsistent(error)
        } else if let RejectionSubject::Elsewhere(what) = &subject {
            Step::Decided(elsewhere_verdict(what, error))
        } else if (arm_trials.len() as u32) < needed_rejections(experiment, is_named, facts) {
            Step::run(trial.arm)
        } else {
            Step::Decided(rejected_verdict(experiment.id(), error, is_named, facts))
        })
    }

    fn evaluate(&self, facts: &RunFacts) -> Step {
        let allowed_error = 1.0 - facts.confidence;
        let is_reached =
            |analysis: &InterimAnalysis| self.wide.len() >= analysis.wide && self.narrow.len() >= analysis.narrow;
        // For an inconsistent endpoint, only complete samples are evidence.
        let first = if facts.is_inconsistent { ANALYSES.len() - 1 } else { 0 };
        let Some(index) = ANALYSES.iter().rposition(is_reached).filter(|index| *index >= first) else {
            return self.next_trial(&ANALYSES[first]);
        };
        let analysis = &ANALYSES[index];
        let (wide, narrow) = (&self.wide[..analysis.wide], &self.narrow[..analysis.narrow]);
        let (wide_mode, narrow_mode) = (modal_count(wide), modal_count(narrow));
        let observed = ReasonData::SamplesCompared {
            narrow_mode: narrow_mode as u64,
            narrow: narrow.len() as u64,
            wide_mode: wide_mode as u64,
            wide: wide.len() as u64,
        };
        let decide = |status, probability: f64, share: f64| {
            let confidence = Some(1.0 - probability / share);
            Step::Decided(decided_verdict(status, EvidenceKind::Distribution, confidence, observed.clone()))
        };
        let chance_probability = split_probability(wide, narrow);
        // Two constant samples with different values are as unlikely, but the field did not narrow
        // the responses.
        let is_narrower = agreement_share(narrow) > agreement_share(wide);
        // At an inconsistent endpoint, all narrow responses must be equal, not only most of them.
        let is_consistent = !facts.is_inconsistent || narrow_mode == narrow.len();
        if is_narrower && is_consistent && chance_probability <= allowed_error * analysis.supported_error_share {
            return decide(VerdictStatus::Supported, chance_probability, analysis.supported_error_share);
        }
        // Half of the responses of an inconsistent endpoint can come from a server that supports
        // the field.
        let agreement = if facts.is_inconsistent { MIN_AGREEMENT_SHARE / 2.0 } else { MIN_AGREEMENT_SHARE };
        let scatter_probability = binomial_cdf(narrow_mode, narrow.len(), agreement);
        if scatter_probability <= allowed_error * analysis.ignored_error_share {
            return decide(VerdictStatus::Ignored, scatter_probability, analysis.ignored_error_share);
        }
        match ANALYSES.get(index + 1) {
            Some(next) => self.next_trial(next),
            None if wide_mode * 2 > wide.len() => Step::inconclusive(InconclusiveReason::NoVariation, observed),
            None => Step::inconclusive(InconclusiveReason::TrialLimit, observed),
        }
    }

    /// The next trial before an analysis. The samples grow in turns.
    fn next_trial(&self, analysis: &InterimAnalysis) -> Step {
        let (wide, narrow) = (self.wide.len(), self.narrow.len());
        let wide_next = wide < analysis.wide && (wide <= narrow || narrow >= analysis.narrow);
        Step::run(if wide_next { self.wide_arm } else { self.narrow_arm })
    }
}

fn count_values<'a>(responses: impl Iterator<Item = &'a String>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for response in responses {
        *counts.entry(response.as_str()).or_default() += 1;
    }
    counts
}

/// How often the most frequent response occurs.
fn modal_count(responses: &[String]) -> usize {
    count_values(responses.iter()).into_values().max().unwrap_or(0)
}

/// The share of pairs of responses that agree.
fn agreement_share(responses: &[String]) -> f64 {
    let agreeing: usize = count_values(responses.iter()).into_values().map(pair_count).sum();
    agreeing as f64 / pair_count(responses.len()).max(1) as f64
}

fn pair_count(n: usize) -> usize {
    n * n.saturating_sub(1) / 2
}

/// The probability that a random split of all responses has at least as many agreeing pairs in the
/// narrow sample as were observed there.
fn split_probability(wide: &[String], narrow: &[String]) -> f64 {
    let observed: usize = count_values(narrow.iter()).into_values().map(pair_count).sum();
    // The number of ways to choose `taken` responses with `agreeing` pairs from the groups of equal
    // responses so far.
    let mut ways: BTreeMap<(usize, usize), f64> = BTreeMap::from([((0, 0), 1.0)]);
    for group in count_values(wide.iter().chain(narrow)).into_values() {
        let mut next = BTreeMap::new();
        for ((taken, agreeing), count) in &ways {
            for k in 0..=group.min(narrow.len() - taken) {
                *next.entry((taken + k, agreeing + pair_count(k))).or_insert(0.0) +=
                    count * binomial_coefficient(group, k);
            }
        }
        ways = next;
    }
    let splits = ways.iter().filter(|((taken, _), _)| *taken == narrow.len());
    let (mut all, mut extreme) = (0.0, 0.0);
    for ((_, agreeing), count) in splits {
        all += count;
        if *agreeing >= observed {
            extreme += count;
        }
    }
    extreme / all
}

/// The number of ways to choose `k` of `n`.
pub(super) fn binomial_coefficient(n: usize, k: usize) -> f64 {
    (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
}

/// The probability of at most `k` successes in `n` trials.
fn binomial_cdf(k: usize, n: usize, p: f64) -> f64 {
    (0..=k).map(|i| binomial_coefficient(n, i) * p.powi(i as i32) * (1.0 - p).powi((n - i) as i32)).sum()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::engine::rules::step::TrialSpec;

    fn split_words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_split_probability_is_exact() {
        // All equal and all different: one split in C(12, 6).
        let p = split_probability(&split_words("a b c d e f"), &split_words("x x x x x x"));
        assert!((p - 1.0 / 924.0).abs() < 1e-12, "{p}");
        assert!((split_probability(&split_words("a b"), &split_words("a b")) - 1.0).abs() < 1e-12);
        let p = split_probability(&split_words("a b"), &split_words("c c"));
        assert!((p - 1.0 / 6.0).abs() < 1e-12, "{p}");
    }

    #[test]
    fn binomial_tails_are_exact() {
        assert!((binomial_cdf(0, 3, 0.5) - 0.125).abs() < 1e-12);
        assert!((binomial_cdf(3, 3, 0.3) - 1.0).abs() < 1e-12);
    }

    /// Runs the rule with two samplers and returns the final status.
    fn run_rule(
        rng: &mut ChaCha8Rng,
        narrow: impl Fn(&mut ChaCha8Rng) -> usize,
        wide: impl Fn(&mut ChaCha8Rng) -> usize,
    ) -> VerdictStatus {
        let facts = RunFacts { confidence: 0.99, ..RunFacts::default() };
        let (mut w, mut n) = (Vec::new(), Vec::new());
        loop {
            let samples = ResponseSamples {
                trials: &[],
                wide_arm: ArmKind::Negative,
                narrow_arm: ArmKind::Narrow,
                wide_trials: Vec::new(),
                narrow_trials: Vec::new(),
                wide: w.clone(),
                narrow: n.clone(),
            };
            match samples.evaluate(&facts) {
                Step::Run(TrialSpec { arm: ArmKind::Negative, .. }) => w.push(wide(rng).to_string()),
                Step::Run(_) => n.push(narrow(rng).to_string()),
                Step::Decided(verdict) => return verdict.status,
            }
        }
    }

    #[test]
    fn error_rates_hold_in_thousands_of_seeded_runs() {
        let skewed = |rng: &mut ChaCha8Rng| if rng.random_bool(0.5) { 0 } else { rng.random_range(1..10) };
        let even = |rng: &mut ChaCha8Rng| rng.random_range(0..40);
        let obedient = |p: f64| move |rng: &mut ChaCha8Rng| if rng.random_bool(p) { 0 } else { rng.random_range(1..6) };
        let runs = 2000;
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut rate = |status: VerdictStatus, obedience: Option<f64>, skew: bool| {
            let hits = (0..runs)
                .filter(|_| {
                    let decided = match (obedience, skew) {
                        (Some(p), _) => run_rule(&mut rng, obedient(p), even),
                        (None, true) => run_rule(&mut rng, skewed, skewed),
                        (None, false) => run_rule(&mut rng, even, even),
                    };
                    decided == status
                })
                .count();
            hits as f64 / f64::from(runs)
        };
        assert!(rate(VerdictStatus::Supported, None, true) <= 0.01, "skewed, ignored");
        assert!(rate(VerdictStatus::Supported, None, false) <= 0.01, "even, ignored");
        assert!(rate(VerdictStatus::Ignored, Some(1.0), false) <= 0.0, "supported");
        assert!(rate(VerdictStatus::Ignored, Some(0.8), false) <= 0.01, "supported, followed four times in five");
        assert!(rate(VerdictStatus::Supported, Some(1.0), false) >= 0.99, "power, supported");
        assert!(rate(VerdictStatus::Ignored, None, false) >= 0.95, "power, ignored");
    }
}
