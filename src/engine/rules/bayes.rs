//! How sure a row is after so many trials: Bayes factors of Beta-binomial models, watched while the trials come in.
//!
//! Two accounts of the treatment arm are weighed against each other:
//!
//! - *honoured*: the effect shows at the rate at which this model shows it when it can, learnt from the positive arm;
//! - *passed over*: the effect shows at the rate at which it shows by itself, learnt from the negative arm.
//!
//! Each rate has a Beta prior, and the evidence is the ratio of the two predictive probabilities of what the treatment
//! arm did. A Bayes factor may be looked at after every trial: under the account that is wrong it exceeds `1/α` at any
//! time with probability at most `α`, for rates distributed as the priors say (Ville's inequality). That it also holds
//! for fixed rates of obedience is shown by simulation in this module's tests.
//!
//! Pure arithmetic: nothing here knows what a trial is made of.

/// Trials that showed the effect, and trials that did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EffectCounts {
    /// Showed the effect.
    pub shows: u32,
    /// Did not.
    pub fails: u32,
}

impl EffectCounts {
    /// All trials.
    pub fn trials(self) -> u32 {
        self.shows + self.fails
    }
}

/// A Beta prior with whole parameters: `shows` and `fails` imagined trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BetaPrior {
    /// Imagined trials that showed the effect, at least 1.
    pub shows: u32,
    /// Imagined trials that did not, at least 1.
    pub fails: u32,
}

impl BetaPrior {
    /// Any rate is as likely as any other: a model's obedience before it was seen.
    pub const FLAT: Self = Self { shows: 1, fails: 1 };
    /// Nineteen times in twenty: a server that enforces the field, where its contrary would show too.
    pub const ENFORCED: Self = Self { shows: 19, fails: 1 };
    /// One in three: what a model may do of its own accord, before it was seen.
    pub const OCCASIONAL: Self = Self { shows: 1, fails: 2 };
    /// One in ten thousand: a freshly drawn code word coming up by chance.
    pub const RARE: Self = Self { shows: 1, fails: 9999 };

    /// Once in so many, known by design: the right answer was drawn among as many for each trial.
    pub fn one_in(n: u32) -> Self {
        const PSEUDO_TRIALS: u32 = 1000;
        Self { shows: PSEUDO_TRIALS, fails: PSEUDO_TRIALS * n.clamp(2, 1000).saturating_sub(1) }
    }

    /// The prior after having seen these trials.
    pub fn with_observations(self, seen: EffectCounts) -> Self {
        Self { shows: self.shows + seen.shows, fails: self.fails + seen.fails }
    }

    /// The natural logarithm of the probability of these trials, in any one order.
    pub fn log_predictive(self, seen: EffectCounts) -> f64 {
        let rise = |from: u32, by: u32| (0..by).map(|i| f64::from(from + i).ln()).sum::<f64>();
        rise(self.shows, seen.shows) + rise(self.fails, seen.fails) - rise(self.shows + self.fails, seen.trials())
    }
}

/// The two accounts of a treatment arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateHypotheses {
    /// The rate at which the effect shows where the field is honoured.
    pub supported: BetaPrior,
    /// The rate at which it shows where the field is passed over.
    pub ignored: BetaPrior,
}

impl RateHypotheses {
    /// The natural logarithm of the Bayes factor for "honoured" against "passed over".
    pub fn log_bayes_factor(self, treatment: EffectCounts) -> f64 {
        self.supported.log_predictive(treatment) - self.ignored.log_predictive(treatment)
    }
}

/// What the evidence amounts to, for a required confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PosteriorDecision {
    /// Honoured, with this confidence.
    Supported(f64),
    /// Passed over, with this confidence.
    Ignored(f64),
    /// Neither, yet.
    Inconclusive,
}

/// Weighs a log Bayes factor against the required confidence (both accounts being as likely beforehand).
pub fn evaluate(log_factor: f64, confidence: f64) -> PosteriorDecision {
    let threshold = (confidence / (1.0 - confidence)).ln();
    let reached = |log: f64| 1.0 / (1.0 + (-log).exp());
    if log_factor >= threshold {
        PosteriorDecision::Supported(reached(log_factor))
    } else if -log_factor >= threshold {
        PosteriorDecision::Ignored(reached(-log_factor))
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
    fn predictive_probabilities_are_those_of_the_polya_urn() {
        let p = |prior: BetaPrior, s, f| prior.log_predictive(counts(s, f)).exp();
        assert!((p(BetaPrior::FLAT, 1, 0) - 0.5).abs() < 1e-12);
        assert!((p(BetaPrior::FLAT, 2, 0) - 1.0 / 3.0).abs() < 1e-12);
        assert!((p(BetaPrior::FLAT, 1, 1) - 1.0 / 6.0).abs() < 1e-12);
        assert!((p(BetaPrior::ENFORCED, 0, 2) - 2.0 / 420.0).abs() < 1e-12);
        assert!((p(BetaPrior::one_in(16), 2, 0) - 1.0 / 256.0).abs() < 1e-4);
    }

    #[test]
    fn the_confidence_reached_is_at_least_the_one_asked_for() {
        assert_eq!(evaluate(0.0, 0.99), PosteriorDecision::Inconclusive);
        let PosteriorDecision::Supported(c) = evaluate(4.7, 0.99) else { panic!() };
        assert!(c > 0.99);
        let PosteriorDecision::Ignored(c) = evaluate(-4.7, 0.99) else { panic!() };
        assert!(c > 0.99);
    }

    /// Plays the test as the engine does: treatment first, then positive and treatment in turns, up to a limit.
    fn run_test(
        rng: &mut ChaCha8Rng,
        honoured: bool,
        obedience: f64,
        chance: f64,
        by_itself: BetaPrior,
    ) -> PosteriorDecision {
        let (mut t, mut p, mut n) = (EffectCounts::default(), EffectCounts::default(), EffectCounts::default());
        let draw = |rng: &mut ChaCha8Rng, rate: f64, c: &mut EffectCounts| {
            if rng.random_bool(rate) { c.shows += 1 } else { c.fails += 1 }
        };
        draw(rng, chance, &mut n);
        for _ in 0..12 {
            draw(rng, if honoured { obedience } else { chance }, &mut t);
            if t.fails > 0 && p.trials() < t.trials() {
                draw(rng, obedience, &mut p);
            }
            let accounts = RateHypotheses {
                supported: BetaPrior::FLAT.with_observations(p),
                ignored: by_itself.with_observations(n),
            };
            match evaluate(accounts.log_bayes_factor(t), 0.99) {
                PosteriorDecision::Inconclusive => {}
                _ if t.trials() < 2 => {}
                PosteriorDecision::Ignored(_) if p.shows == 0 => {}
                decided => return decided,
            }
        }
        PosteriorDecision::Inconclusive
    }

    #[test]
    fn error_rates_hold_over_thousands_of_seeded_runs() {
        let runs = 4000;
        for obedience in [1.0, 0.95, 0.9, 0.8, 0.6] {
            for honoured in [true, false] {
                let mut rng = ChaCha8Rng::seed_from_u64(7);
                let (mut wrong, mut open) = (0, 0);
                for _ in 0..runs {
                    match (run_test(&mut rng, honoured, obedience, 0.0, BetaPrior::RARE), honoured) {
                        (PosteriorDecision::Supported(_), false) | (PosteriorDecision::Ignored(_), true) => wrong += 1,
                        (PosteriorDecision::Inconclusive, _) => open += 1,
                        _ => {}
                    }
                }
                let rate = f64::from(wrong) / f64::from(runs);
                assert!(rate <= 0.01, "obedience {obedience}, honoured {honoured}: {rate} wrong");
                if obedience >= 0.9 {
                    let rate = f64::from(open) / f64::from(runs);
                    assert!(rate <= 0.02, "obedience {obedience}, honoured {honoured}: {rate} open");
                }
            }
        }
    }
}
