//! [`evaluate`]: the confidence after a number of trials, from the Bayes factor of two
//! Beta-binomial models.
//!
//! Two explanations of the treatment are compared:
//!
//! - *supported*: the effect appears as often as in the positive control;
//! - *ignored*: the effect appears as often as in the negative control.
//!
//! Each rate has a Beta prior. The Bayes factor is the ratio of the probabilities that the two
//! explanations assign to the trials of the treatment. It can be evaluated after every trial: if
//! the rates are distributed as the priors say, the factor of a wrong explanation ever exceeds
//! `1/α` with a probability of at most `α` (Ville's inequality). A simulation in the tests of this
//! module confirms this for fixed rates.
//!
//! Pure arithmetic: this file must not know what a trial is.

/// Trials with the effect and without it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EffectCounts {
    /// Trials with the effect.
    pub shows: u32,
    /// Trials without it.
    pub fails: u32,
}

impl EffectCounts {
    /// All trials.
    pub fn trials(self) -> u32 {
        self.shows + self.fails
    }
}

/// A Beta prior with integer parameters: the numbers of imagined earlier trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BetaPrior {
    /// Imagined trials with the effect, at least 1.
    pub shows: u32,
    /// Imagined trials without it, at least 1.
    pub fails: u32,
}

impl BetaPrior {
    /// Every rate is equally likely: the obedience of an unknown model.
    pub const FLAT: Self = Self { shows: 1, fails: 1 };
    /// 19 in 20: a server that enforces the field, if the opposite effect would be visible.
    pub const ENFORCED: Self = Self { shows: 19, fails: 1 };
    /// 1 in 3: an effect that models also show without the field.
    pub const OCCASIONAL: Self = Self { shows: 1, fails: 2 };
    /// 1 in 10,000: a new code word that appears by chance.
    pub const RARE: Self = Self { shows: 1, fails: 9999 };

    /// 1 in `n`, known by design: without the field, a response has the right value out of `n` by
    /// chance.
    pub fn one_in(n: u32) -> Self {
        const PSEUDO_TRIALS: u32 = 1000;
        Self { shows: PSEUDO_TRIALS, fails: PSEUDO_TRIALS * n.clamp(2, 1000).saturating_sub(1) }
    }

    /// The distribution after these trials.
    pub fn with_observations(self, observed: EffectCounts) -> Self {
        Self { shows: self.shows + observed.shows, fails: self.fails + observed.fails }
    }

    /// The natural logarithm of the probability of these trials in a given order.
    pub fn log_predictive(self, observed: EffectCounts) -> f64 {
        let log_rising_factorial = |from: u32, by: u32| (0..by).map(|i| f64::from(from + i).ln()).sum::<f64>();
        log_rising_factorial(self.shows, observed.shows) + log_rising_factorial(self.fails, observed.fails)
            - log_rising_factorial(self.shows + self.fails, observed.trials())
    }
}

/// The two explanations of the treatment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateHypotheses {
    /// The rate of the effect if the field is supported.
    pub supported: BetaPrior,
    /// The rate of the effect if the field is ignored.
    pub ignored: BetaPrior,
}

impl RateHypotheses {
    /// The natural logarithm of the Bayes factor of "supported" to "ignored".
    pub fn log_bayes_factor(self, treatment: EffectCounts) -> f64 {
        self.supported.log_predictive(treatment) - self.ignored.log_predictive(treatment)
    }
}

/// The decision for a required confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PosteriorDecision {
    /// Supported, with this confidence.
    Supported(f64),
    /// Ignored, with this confidence.
    Ignored(f64),
    /// Undecided so far.
    Inconclusive,
}

/// Compares a logarithmic Bayes factor with the required confidence. Both explanations start as
/// equally likely.
pub fn evaluate(log_factor: f64, confidence: f64) -> PosteriorDecision {
    let threshold = (confidence / (1.0 - confidence)).ln();
    let posterior = |log: f64| 1.0 / (1.0 + (-log).exp());
    if log_factor >= threshold {
        PosteriorDecision::Supported(posterior(log_factor))
    } else if -log_factor >= threshold {
        PosteriorDecision::Ignored(posterior(-log_factor))
    } else {
        PosteriorDecision::Inconclusive
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn counts(shows: u32, fails: u32) -> EffectCounts {
        EffectCounts { shows, fails }
    }

    #[test]
    fn predictive_probabilities_follow_the_polya_urn() {
        let p = |prior: BetaPrior, s, f| prior.log_predictive(counts(s, f)).exp();
        assert!((p(BetaPrior::FLAT, 1, 0) - 0.5).abs() < 1e-12);
        assert!((p(BetaPrior::FLAT, 2, 0) - 1.0 / 3.0).abs() < 1e-12);
        assert!((p(BetaPrior::FLAT, 1, 1) - 1.0 / 6.0).abs() < 1e-12);
        assert!((p(BetaPrior::ENFORCED, 0, 2) - 2.0 / 420.0).abs() < 1e-12);
        assert!((p(BetaPrior::one_in(16), 2, 0) - 1.0 / 256.0).abs() < 1e-4);
    }

    #[test]
    fn the_reached_confidence_is_at_least_the_required_one() {
        assert_eq!(evaluate(0.0, 0.99), PosteriorDecision::Inconclusive);
        let PosteriorDecision::Supported(c) = evaluate(4.7, 0.99) else { panic!() };
        assert!(c > 0.99);
        let PosteriorDecision::Ignored(c) = evaluate(-4.7, 0.99) else { panic!() };
        assert!(c > 0.99);
    }

    /// Runs the test like the engine: treatment first, then positive control and treatment in
    /// turns, up to a limit.
    fn run_test(
        rng: &mut ChaCha8Rng,
        is_supported: bool,
        obedience: f64,
        chance: f64,
        ignored: BetaPrior,
    ) -> PosteriorDecision {
        let (mut t, mut p, mut n) = (EffectCounts::default(), EffectCounts::default(), EffectCounts::default());
        let draw = |rng: &mut ChaCha8Rng, rate: f64, c: &mut EffectCounts| {
            if rng.random_bool(rate) { c.shows += 1 } else { c.fails += 1 }
        };
        draw(rng, chance, &mut n);
        for _ in 0..12 {
            draw(rng, if is_supported { obedience } else { chance }, &mut t);
            if t.fails > 0 && p.trials() < t.trials() {
                draw(rng, obedience, &mut p);
            }
            let hypotheses = RateHypotheses {
                supported: BetaPrior::FLAT.with_observations(p),
                ignored: ignored.with_observations(n),
            };
            match evaluate(hypotheses.log_bayes_factor(t), 0.99) {
                PosteriorDecision::Inconclusive => {}
                _ if t.trials() < 2 => {}
                PosteriorDecision::Ignored(_) if p.shows == 0 => {}
                decided => return decided,
            }
        }
        PosteriorDecision::Inconclusive
    }

    #[test]
    fn error_rates_hold_in_thousands_of_seeded_runs() {
        let runs = 4000;
        for obedience in [1.0, 0.95, 0.9, 0.8, 0.6] {
            for is_supported in [true, false] {
                let mut rng = ChaCha8Rng::seed_from_u64(7);
                let (mut wrong, mut undecided) = (0, 0);
                for _ in 0..runs {
                    match (run_test(&mut rng, is_supported, obedience, 0.0, BetaPrior::RARE), is_supported) {
                        (PosteriorDecision::Supported(_), false) | (PosteriorDecision::Ignored(_), true) => wrong += 1,
                        (PosteriorDecision::Inconclusive, _) => undecided += 1,
                        _ => {}
                    }
                }
                let rate = f64::from(wrong) / f64::from(runs);
                assert!(rate <= 0.01, "obedience {obedience}, supported {is_supported}: {rate} wrong");
                if obedience >= 0.9 {
                    let rate = f64::from(undecided) / f64::from(runs);
                    assert!(rate <= 0.02, "obedience {obedience}, supported {is_supported}: {rate} undecided");
                }
            }
        }
    }
}
