//! The rule for sampling fields: do answers agree more with the field than without it?
//!
//! Two samples of answers to one question that has many right answers. Under "passed over" the two are exchangeable,
//! so the agreement within the narrowed sample is held against that of every other split of the pooled answers (an
//! exact permutation test). Under "honoured" nearly all narrowed answers agree, so a narrowed sample without a clear
//! favourite rules that out. Both tests are looked at after fixed sample sizes, and share the allowed error among the
//! looks, so that stopping early costs no honesty.

use std::collections::BTreeMap;

use crate::catalog::{Experiment, Predicate, Spread, VerdictStatus};
use crate::engine::inconclusive::Undecided;
use crate::engine::predicate::holds;
use crate::engine::rules::effect::VOID_LIMIT;
use crate::engine::rules::{Facts, Step, Try, decided, inconclusive, names, rejected};
use crate::engine::trial::{Seen, Trial, void};
use crate::recording::run::ArmKind;
use crate::results::model::Evidence;

/// A point at which the evidence is looked at.
struct Look {
    /// Answers without the field.
    wide: usize,
    /// Answers with it.
    narrow: usize,
    /// The share of the allowed error that "supported" may use up here; the shares of all looks make one.
    supported: f64,
    /// The same for "ignored".
    ignored: f64,
}

/// The looks. Four answers alike among ten are one split in 210, so that an endpoint that obeys is seen to at the
/// first; where one of the others is the same by chance, at the second. Four unlike ones prove little of the other kind,
/// which has to wait.
const LOOKS: [Look; 3] = [
    Look { wide: 6, narrow: 4, supported: 0.5, ignored: 0.0 },
    Look { wide: 6, narrow: 8, supported: 0.35, ignored: 0.5 },
    Look { wide: 12, narrow: 12, supported: 0.15, ignored: 0.5 },
];
/// The most trials of an arm: one fewer answer than the last look needs, as many void trials as these allow, and one.
pub(crate) const MOST_TRIALS: u32 = 2 * (12 - 1) + VOID_LIMIT + 1;
/// The least share of answers that agree under a narrowing value which is honoured. Not 1: real servers are not quite
/// deterministic at temperature 0, and models do not always do as told.
const AGREEMENT: f64 = 0.75;

/// What comes next for a row that is decided by two samples.
pub(crate) fn next(experiment: &Experiment, spread: &Spread, trials: &[Trial], facts: &Facts) -> Step {
    let plain = Samples::take(trials, ArmKind::Negative, ArmKind::Narrow, spread.answers.as_ref());
    if let Some(step) = plain.problem(experiment, facts) {
        return step;
    }
    // Where answers do not vary by themselves, variety is added to both samples.
    let varied = plain.wide.len() < LOOKS[0].wide || favourite(&plain.wide) + 1 < plain.wide.len();
    let (samples, added) = if varied || spread.widen.is_none() {
        (plain, false)
    } else {
        (Samples::take(trials, ArmKind::Wide, ArmKind::NarrowWide, spread.answers.as_ref()), true)
    };
    if added {
        if let Some(why) = samples.refusal(experiment) {
            return Step::Done(inconclusive(
                Undecided::NoVariation,
                format!("answers do not vary by themselves, and adding variety is refused: {why}"),
            ));
        }
        if let Some(step) = samples.problem(experiment, facts) {
            return step;
        }
    }
    samples.judge(facts)
}

/// The two samples.
struct Samples<'a> {
    wide_arm: ArmKind,
    narrow_arm: ArmKind,
    wide_trials: Vec<&'a Trial>,
    narrow_trials: Vec<&'a Trial>,
    wide: Vec<String>,
    narrow: Vec<String>,
}

impl<'a> Samples<'a> {
    fn take(trials: &'a [Trial], wide_arm: ArmKind, narrow_arm: ArmKind, asked: Option<&Predicate>) -> Self {
        let of = |arm| trials.iter().filter(|t| t.arm == arm).collect::<Vec<_>>();
        let (wide_trials, narrow_trials) = (of(wide_arm), of(narrow_arm));
        let answers = |trials: &[&Trial]| {
            let to_the_point = trials.iter().filter_map(|t| t.message().map(|m| (m, &t.values)));
            to_the_point
                .filter(|(m, values)| void(m).is_none() && asked.is_none_or(|asked| holds(asked, m, values)))
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

    fn refusal(&self, experiment: &Experiment) -> Option<String> {
        self.wide_trials.iter().chain(&self.narrow_trials).find_map(|t| match t.seen(experiment) {
            Seen::Refused(r) => Some(format!("HTTP {}: {}", r.status, r.message)),
            _ => None,
        })
    }

    /// The first thing that stands in the way of two samples; or the first trial of an arm that has none.
    fn problem(&self, experiment: &Experiment, facts: &Facts) -> Option<Step> {
        let arms = [
            (&self.wide_trials, self.wide_arm, Undecided::NegativeFailed),
            (&self.narrow_trials, self.narrow_arm, Undecided::TreatmentFailed),
        ];
        for (trials, arm, failed) in arms {
            let treated = failed == Undecided::TreatmentFailed;
            for trial in trials {
                match trial.seen(experiment) {
                    Seen::Refused(r)
                        if treated && trials.iter().all(|t| matches!(t.seen(experiment), Seen::Refused(_))) =>
                    {
                        let named = names(&r.message, experiment.id());
                        let wanted = facts.least(experiment.id()).max(1 + u32::from(!named));
                        return Some(if (trials.len() as u32) < wanted {
                            send(arm)
                        } else {
                            Step::Done(rejected(experiment.id(), r, facts))
                        });
                    }
                    Seen::Refused(r) => {
                        let why = if treated { Undecided::Unsteady } else { Undecided::NegativeRefused };
                        return Some(Step::Done(inconclusive(why, format!("HTTP {}: {}", r.status, r.message))));
                    }
                    Seen::Failed(why) => {
                        return Some(Step::Done(inconclusive(failed, format!("no answer came: {why}"))));
                    }
                    Seen::Broken(why) => return Some(Step::Done(inconclusive(Undecided::BrokenAnswer, why))),
                    Seen::Shows { .. } | Seen::Absent | Seen::Silent | Seen::Void(_) => {}
                }
            }
            if trials.is_empty() {
                return Some(send(arm));
            }
        }
        for (trials, answers) in [(&self.wide_trials, &self.wide), (&self.narrow_trials, &self.narrow)] {
            if trials.len() - answers.len() > VOID_LIMIT as usize + answers.len() {
                return Some(Step::Done(inconclusive(
                    Undecided::VoidTrials,
                    "too many answers are empty, or about something else",
                )));
            }
        }
        None
    }

    fn judge(&self, facts: &Facts) -> Step {
        let allowed = 1.0 - facts.confidence;
        let reached = |look: &&Look| self.wide.len() >= look.wide && self.narrow.len() >= look.narrow;
        // Of an endpoint that is known to be unsteady, only whole samples say anything.
        let first = if facts.unsteady { LOOKS.len() - 1 } else { 0 };
        let Some(at) = LOOKS.iter().rposition(|look| reached(&look)).filter(|at| *at >= first) else {
            return self.more(&LOOKS[first]);
        };
        let look = &LOOKS[at];
        let (wide, narrow) = (&self.wide[..look.wide], &self.narrow[..look.narrow]);
        let told = format!(
            "the commonest answer comes {} of {} times with the field and {} of {} times without it",
            favourite(narrow),
            narrow.len(),
            favourite(wide),
            wide.len()
        );
        let chance = split_probability(wide, narrow);
        // Two constant samples that differ are unlikely to come of one server, but nothing is narrowed there.
        let narrows = agreement(narrow) > agreement(wide);
        // An endpoint that is known to be unsteady must narrow every answer, not most of them.
        let steady = !facts.unsteady || favourite(narrow) == narrow.len();
        if narrows && steady && chance <= allowed * look.supported {
            let confidence = Some(1.0 - chance / look.supported);
            return Step::Done(decided(VerdictStatus::Supported, Evidence::Distribution, confidence, told));
        }
        // Half of its answers may come from a server that honours the field.
        let agreement = if facts.unsteady { AGREEMENT / 2.0 } else { AGREEMENT };
        let scattered = binomial_at_most(favourite(narrow), narrow.len(), agreement);
        if scattered <= allowed * look.ignored {
            let confidence = Some(1.0 - scattered / look.ignored);
            return Step::Done(decided(VerdictStatus::Ignored, Evidence::Distribution, confidence, told));
        }
        match LOOKS.get(at + 1) {
            Some(next) => self.more(next),
            None if favourite(wide) * 2 > wide.len() => Step::Done(inconclusive(Undecided::NoVariation, told)),
            None => Step::Done(inconclusive(Undecided::TrialLimit, told)),
        }
    }

    /// The next trial on the way to a look: the samples grow in turns.
    fn more(&self, look: &Look) -> Step {
        let (wide, narrow) = (self.wide.len(), self.narrow.len());
        let wide_next = wide < look.wide && (wide <= narrow || narrow >= look.narrow);
        send(if wide_next { self.wide_arm } else { self.narrow_arm })
    }
}

fn send(arm: ArmKind) -> Step {
    Step::Try(Try { variant: None, arm })
}

fn tally<'a>(answers: impl Iterator<Item = &'a String>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.as_str()).or_default() += 1;
    }
    counts
}

/// How often the commonest answer comes.
fn favourite(answers: &[String]) -> usize {
    tally(answers.iter()).into_values().max().unwrap_or(0)
}

/// The share of pairs of answers that agree.
fn agreement(answers: &[String]) -> f64 {
    let agreeing: usize = tally(answers.iter()).into_values().map(pairs).sum();
    agreeing as f64 / pairs(answers.len()).max(1) as f64
}

fn pairs(n: usize) -> usize {
    n * n.saturating_sub(1) / 2
}

/// The probability that a random split of all answers puts at least as many agreeing pairs into the narrowed half as
/// were seen there.
fn split_probability(wide: &[String], narrow: &[String]) -> f64 {
    let seen: usize = tally(narrow.iter()).into_values().map(pairs).sum();
    // Ways to take `taken` answers with `agreeing` pairs among them, group by group.
    let mut ways: BTreeMap<(usize, usize), f64> = BTreeMap::from([((0, 0), 1.0)]);
    for group in tally(wide.iter().chain(narrow)).into_values() {
        let mut next = BTreeMap::new();
        for ((taken, agreeing), count) in &ways {
            for k in 0..=group.min(narrow.len() - taken) {
                *next.entry((taken + k, agreeing + pairs(k))).or_insert(0.0) += count * choose(group, k);
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

fn choose(n: usize, k: usize) -> f64 {
    (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
}

/// The probability of at most `k` successes in `n` trials.
fn binomial_at_most(k: usize, n: usize, p: f64) -> f64 {
    (0..=k).map(|i| choose(n, i) * p.powi(i as i32) * (1.0 - p).powi((n - i) as i32)).sum()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_split_probability_is_exact_where_it_can_be_counted_by_hand() {
        // All alike against all different: one split in C(12, 6).
        let p = split_probability(&words("a b c d e f"), &words("x x x x x x"));
        assert!((p - 1.0 / 924.0).abs() < 1e-12, "{p}");
        assert!((split_probability(&words("a b"), &words("a b")) - 1.0).abs() < 1e-12);
        let p = split_probability(&words("a b"), &words("c c"));
        assert!((p - 1.0 / 6.0).abs() < 1e-12, "{p}");
    }

    #[test]
    fn binomial_tails_are_right() {
        assert!((binomial_at_most(0, 3, 0.5) - 0.125).abs() < 1e-12);
        assert!((binomial_at_most(3, 3, 0.3) - 1.0).abs() < 1e-12);
    }

    /// Plays the rule over two samplers; the status it ends with.
    fn play(
        rng: &mut ChaCha8Rng,
        narrow: impl Fn(&mut ChaCha8Rng) -> usize,
        wide: impl Fn(&mut ChaCha8Rng) -> usize,
    ) -> VerdictStatus {
        let facts = Facts { confidence: 0.99, ..Facts::default() };
        let (mut w, mut n) = (Vec::new(), Vec::new());
        loop {
            let samples = Samples {
                wide_arm: ArmKind::Negative,
                narrow_arm: ArmKind::Narrow,
                wide_trials: Vec::new(),
                narrow_trials: Vec::new(),
                wide: w.clone(),
                narrow: n.clone(),
            };
            match samples.judge(&facts) {
                Step::Try(Try { arm: ArmKind::Negative, .. }) => w.push(wide(rng).to_string()),
                Step::Try(_) => n.push(narrow(rng).to_string()),
                Step::Done(verdict) => return verdict.status,
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
                        (Some(p), _) => play(&mut rng, obeyed(p), even),
                        (None, true) => play(&mut rng, skewed, skewed),
                        (None, false) => play(&mut rng, even, even),
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
