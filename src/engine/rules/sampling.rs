//! The rule for sampling fields: do answers agree more with the field than without it?
//!
//! Two samples of answers to one question that has many right answers. Under "passed over" the two are exchangeable,
//! so the agreement within the narrowed sample is held against that of every other split of the pooled answers (an
//! exact permutation test). Under "honoured" nearly all narrowed answers agree, so a narrowed sample without a clear
//! favourite rules that out. Both tests are looked at after fixed sample sizes, and share the allowed error among the
//! looks, so that stopping early costs no honesty.

use std::collections::BTreeMap;

use crate::catalog::{Experiment, MessagePredicate, SamplingTest, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::predicate::matches;
use crate::engine::rules::effect::MAX_UNUSABLE_TRIALS;
use crate::engine::rules::{
    RunFacts, Step, TrialSpec, decided_verdict, inconclusive_verdict, names_field, rejected_verdict,
};
use crate::engine::trial::{CompletedTrial, TrialOutcome, unusable_reason};
use crate::recording::run::ArmKind;
use crate::results::model::EvidenceKind;

/// A point at which the evidence is looked at.
struct InterimAnalysis {
    /// Answers without the field.
    wide: usize,
    /// Answers with it.
    narrow: usize,
    /// The share of the allowed error that "supported" may use up here; the shares of all looks make one.
    supported_error_share: f64,
    /// The same for "ignored".
    ignored_error_share: f64,
}

/// The looks. Four answers alike among ten are one split in 210, so that an endpoint that obeys is seen to at the
/// first; where one of the others is the same by chance, at the second. Four unlike ones prove little of the other kind,
/// which has to wait.
const ANALYSES: [InterimAnalysis; 3] = [
    InterimAnalysis { wide: 6, narrow: 4, supported_error_share: 0.5, ignored_error_share: 0.0 },
    InterimAnalysis { wide: 6, narrow: 8, supported_error_share: 0.35, ignored_error_share: 0.5 },
    InterimAnalysis { wide: 12, narrow: 12, supported_error_share: 0.15, ignored_error_share: 0.5 },
];
/// The most trials of an arm: one fewer answer than the last look needs, as many void trials as these allow, and one.
pub(crate) const MAX_TRIALS: u32 = 2 * (12 - 1) + MAX_UNUSABLE_TRIALS + 1;
/// The least share of answers that agree under a narrowing value which is honoured. Not 1: real servers are not quite
/// deterministic at temperature 0, and models do not always do as told.
const MIN_AGREEMENT_SHARE: f64 = 0.75;

/// What comes next for a row that is decided by two samples.
pub(crate) fn next_step(
    experiment: &Experiment,
    spread: &SamplingTest,
    trials: &[CompletedTrial],
    facts: &RunFacts,
) -> Step {
    let plain = ResponseSamples::collect(trials, ArmKind::Negative, ArmKind::Narrow, spread.answers.as_ref());
    if let Some(step) = plain.first_problem(experiment, facts) {
        return step;
    }
    // Where answers do not vary by themselves, variety is added to both samples.
    let varied = plain.wide.len() < ANALYSES[0].wide || modal_count(&plain.wide) + 1 < plain.wide.len();
    let (samples, added) = if varied || spread.widen.is_none() {
        (plain, false)
    } else {
        (ResponseSamples::collect(trials, ArmKind::Wide, ArmKind::NarrowWide, spread.answers.as_ref()), true)
    };
    if added {
        if let Some(why) = samples.rejection_reason(experiment) {
            return Step::Decided(inconclusive_verdict(
                InconclusiveReason::NoVariation,
                format!("answers do not vary by themselves, and adding variety is refused: {why}"),
            ));
        }
        if let Some(step) = samples.first_problem(experiment, facts) {
            return step;
        }
    }
    samples.evaluate(facts)
}

/// The two samples.
struct ResponseSamples<'a> {
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
        asked: Option<&MessagePredicate>,
    ) -> Self {
        let of = |arm| trials.iter().filter(|t| t.arm == arm).collect::<Vec<_>>();
        let (wide_trials, narrow_trials) = (of(wide_arm), of(narrow_arm));
        let answers = |trials: &[&CompletedTrial]| {
            let to_the_point = trials.iter().filter_map(|t| t.message().map(|m| (m, &t.values)));
            to_the_point
                .filter(|(m, values)| {
                    unusable_reason(m).is_none() && asked.is_none_or(|asked| matches(asked, m, values))
                })
                .map(|(m, _)| m.text().split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
                .collect::<Vec<_>>()
        };
        Self {
            wide: answers(&wide_trials),
            narrow: answers(&narrow_trials),
            wide_arm,
            narrow_arm,
            wide_trials,
            narrow_trials,
        }
    }

    fn rejection_reason(&self, experiment: &Experiment) -> Option<String> {
        self.wide_trials.iter().chain(&self.narrow_trials).find_map(|t| match t.outcome(experiment) {
            TrialOutcome::Rejected(r) => Some(format!("HTTP {}: {}", r.status, r.message)),
            _ => None,
        })
    }

    /// The first thing that stands in the way of two samples; or the first trial of an arm that has none.
    fn first_problem(&self, experiment: &Experiment, facts: &RunFacts) -> Option<Step> {
        let arms = [
            (&self.wide_trials, self.wide_arm, InconclusiveReason::NegativeFailed),
            (&self.narrow_trials, self.narrow_arm, InconclusiveReason::TreatmentFailed),
        ];
        for (trials, arm, failed) in arms {
            let treated = failed == InconclusiveReason::TreatmentFailed;
            for trial in trials {
                match trial.outcome(experiment) {
                    TrialOutcome::Rejected(r)
                        if treated
                            && trials.iter().all(|t| matches!(t.outcome(experiment), TrialOutcome::Rejected(_))) =>
                    {
                        let named = names_field(&r.message, experiment.id());
                        let wanted = facts.min_trials(experiment.id()).max(1 + u32::from(!named));
                        return Some(if (trials.len() as u32) < wanted {
                            trial_step(arm)
                        } else {
                            Step::Decided(rejected_verdict(experiment.id(), r, facts))
                        });
                    }
                    TrialOutcome::Rejected(r) => {
                        let why = if treated {
                            InconclusiveReason::Inconsistent
                        } else {
                            InconclusiveReason::NegativeRejected
                        };
                        return Some(Step::Decided(inconclusive_verdict(
                            why,
                            format!("HTTP {}: {}", r.status, r.message),
                        )));
                    }
                    TrialOutcome::Failed(why) => {
                        return Some(Step::Decided(inconclusive_verdict(failed, format!("no answer came: {why}"))));
                    }
                    TrialOutcome::Malformed(why) => {
                        return Some(Step::Decided(inconclusive_verdict(InconclusiveReason::MalformedResponse, why)));
                    }
                    TrialOutcome::EffectPresent { .. }
                    | TrialOutcome::EffectAbsent
                    | TrialOutcome::NoSignal
                    | TrialOutcome::Unusable(_) => {}
                }
            }
            if trials.is_empty() {
                return Some(trial_step(arm));
            }
        }
        for (trials, answers) in [(&self.wide_trials, &self.wide), (&self.narrow_trials, &self.narrow)] {
            if trials.len() - answers.len() > MAX_UNUSABLE_TRIALS as usize + answers.len() {
                return Some(Step::Decided(inconclusive_verdict(
                    InconclusiveReason::UnusableTrials,
                    "too many answers are empty, or about something else",
                )));
            }
        }
        None
    }

    fn evaluate(&self, facts: &RunFacts) -> Step {
        let allowed = 1.0 - facts.confidence;
        let reached = |look: &&InterimAnalysis| self.wide.len() >= look.wide && self.narrow.len() >= look.narrow;
        // Of an endpoint that is known to be unsteady, only whole samples say anything.
        let first = if facts.is_inconsistent { ANALYSES.len() - 1 } else { 0 };
        let Some(at) = ANALYSES.iter().rposition(|look| reached(&look)).filter(|at| *at >= first) else {
            return self.next_trial(&ANALYSES[first]);
        };
        let look = &ANALYSES[at];
        let (wide, narrow) = (&self.wide[..look.wide], &self.narrow[..look.narrow]);
        let told = format!(
            "the commonest answer comes {} of {} times with the field and {} of {} times without it",
            modal_count(narrow),
            narrow.len(),
            modal_count(wide),
            wide.len()
        );
        let chance = split_probability(wide, narrow);
        // Two constant samples that differ are unlikely to come of one server, but nothing is narrowed there.
        let narrows = agreement_share(narrow) > agreement_share(wide);
        // An endpoint that is known to be unsteady must narrow every answer, not most of them.
        let steady = !facts.is_inconsistent || modal_count(narrow) == narrow.len();
        if narrows && steady && chance <= allowed * look.supported_error_share {
            let confidence = Some(1.0 - chance / look.supported_error_share);
            return Step::Decided(decided_verdict(
                VerdictStatus::Supported,
                EvidenceKind::Distribution,
                confidence,
                told,
            ));
        }
        // Half of its answers may come from a server that honours the field.
        let agreement = if facts.is_inconsistent { MIN_AGREEMENT_SHARE / 2.0 } else { MIN_AGREEMENT_SHARE };
        let scattered = binomial_cdf(modal_count(narrow), narrow.len(), agreement);
        if scattered <= allowed * look.ignored_error_share {
            let confidence = Some(1.0 - scattered / look.ignored_error_share);
            return Step::Decided(decided_verdict(
                VerdictStatus::Ignored,
                EvidenceKind::Distribution,
                confidence,
                told,
            ));
        }
        match ANALYSES.get(at + 1) {
            Some(next) => self.next_trial(next),
            None if modal_count(wide) * 2 > wide.len() => {
                Step::Decided(inconclusive_verdict(InconclusiveReason::NoVariation, told))
            }
            None => Step::Decided(inconclusive_verdict(InconclusiveReason::TrialLimit, told)),
        }
    }

    /// The next trial on the way to a look: the samples grow in turns.
    fn next_trial(&self, look: &InterimAnalysis) -> Step {
        let (wide, narrow) = (self.wide.len(), self.narrow.len());
        let wide_next = wide < look.wide && (wide <= narrow || narrow >= look.narrow);
        trial_step(if wide_next { self.wide_arm } else { self.narrow_arm })
    }
}

fn trial_step(arm: ArmKind) -> Step {
    Step::Run(TrialSpec { variant: None, arm })
}

fn count_values<'a>(answers: impl Iterator<Item = &'a String>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.as_str()).or_default() += 1;
    }
    counts
}

/// How often the commonest answer comes.
fn modal_count(answers: &[String]) -> usize {
    count_values(answers.iter()).into_values().max().unwrap_or(0)
}

/// The share of pairs of answers that agree.
fn agreement_share(answers: &[String]) -> f64 {
    let agreeing: usize = count_values(answers.iter()).into_values().map(pair_count).sum();
    agreeing as f64 / pair_count(answers.len()).max(1) as f64
}

fn pair_count(n: usize) -> usize {
    n * n.saturating_sub(1) / 2
}

/// The probability that a random split of all answers puts at least as many agreeing pairs into the narrowed half as
/// were seen there.
fn split_probability(wide: &[String], narrow: &[String]) -> f64 {
    let seen: usize = count_values(narrow.iter()).into_values().map(pair_count).sum();
    // Ways to take `taken` answers with `agreeing` pairs among them, group by group.
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
    let full = ways.iter().filter(|((taken, _), _)| *taken == narrow.len());
    let (mut all, mut extreme) = (0.0, 0.0);
    for ((_, agreeing), count) in full {
        all += count;
        if *agreeing >= seen {
            extreme += count;
        }
    }
    extreme / all
}

fn binomial_coefficient(n: usize, k: usize) -> f64 {
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

    fn split_words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_split_probability_is_exact_where_it_can_be_counted_by_hand() {
        // All alike against all different: one split in C(12, 6).
        let p = split_probability(&split_words("a b c d e f"), &split_words("x x x x x x"));
        assert!((p - 1.0 / 924.0).abs() < 1e-12, "{p}");
        assert!((split_probability(&split_words("a b"), &split_words("a b")) - 1.0).abs() < 1e-12);
        let p = split_probability(&split_words("a b"), &split_words("c c"));
        assert!((p - 1.0 / 6.0).abs() < 1e-12, "{p}");
    }

    #[test]
    fn binomial_tails_are_right() {
        assert!((binomial_cdf(0, 3, 0.5) - 0.125).abs() < 1e-12);
        assert!((binomial_cdf(3, 3, 0.3) - 1.0).abs() < 1e-12);
    }

    /// Plays the rule over two samplers; the status it ends with.
    fn run_rule(
        rng: &mut ChaCha8Rng,
        narrow: impl Fn(&mut ChaCha8Rng) -> usize,
        wide: impl Fn(&mut ChaCha8Rng) -> usize,
    ) -> VerdictStatus {
        let facts = RunFacts { confidence: 0.99, ..RunFacts::default() };
        let (mut w, mut n) = (Vec::new(), Vec::new());
        loop {
            let samples = ResponseSamples {
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
    fn error_rates_hold_over_thousands_of_seeded_runs() {
        let skewed = |rng: &mut ChaCha8Rng| if rng.random_bool(0.5) { 0 } else { rng.random_range(1..10) };
        let even = |rng: &mut ChaCha8Rng| rng.random_range(0..40);
        let obeyed = |p: f64| move |rng: &mut ChaCha8Rng| if rng.random_bool(p) { 0 } else { rng.random_range(1..6) };
        let runs = 2000;
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut rate = |status: VerdictStatus, honoured: Option<f64>, skew: bool| {
            let hits = (0..runs)
                .filter(|_| {
                    let seen = match (honoured, skew) {
                        (Some(p), _) => run_rule(&mut rng, obeyed(p), even),
                        (None, true) => run_rule(&mut rng, skewed, skewed),
                        (None, false) => run_rule(&mut rng, even, even),
                    };
                    seen == status
                })
                .count();
            hits as f64 / f64::from(runs)
        };
        assert!(rate(VerdictStatus::Supported, None, true) <= 0.01, "skewed, passed over");
        assert!(rate(VerdictStatus::Supported, None, false) <= 0.01, "even, passed over");
        assert!(rate(VerdictStatus::Ignored, Some(1.0), false) <= 0.0, "honoured");
        assert!(rate(VerdictStatus::Ignored, Some(0.8), false) <= 0.01, "honoured, obeyed four times in five");
        assert!(rate(VerdictStatus::Supported, Some(1.0), false) >= 0.99, "power, honoured");
        assert!(rate(VerdictStatus::Ignored, None, false) >= 0.95, "power, passed over");
    }
}
