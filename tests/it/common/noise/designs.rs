//! Compares [`DecisionDesign`]s for the usual problem of a row: a code word that cannot be guessed
//! is present or not, and the obedience of the model is unknown.
//!
//! This module must not know a server or the engine. Other benchmarks measure the engine under
//! noise; this comparison explains the choice of its rule.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// The error probability of each design, for each of the two verdicts.
const ALPHA: f64 = 0.01;
/// The maximum number of trials per arm.
const MAX_TRIALS: u32 = 12;
/// The simulated disobedience levels.
pub const LEVELS: [f64; 6] = [0.0, 0.1, 0.2, 0.4, 0.6, 0.8];

/// A decision rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionDesign {
    /// Bayes factors. The positive control gives the obedience of the model.
    BayesFactor,
    /// Wald's sequential test of 90 % obedience against chance.
    Sprt,
    /// Wald's sequential test of 50 % obedience against chance.
    CautiousSprt,
    /// Three trials of each arm.
    FixedThree,
    /// Twelve trials of each arm, and Fisher's exact test.
    FixedTwelve,
}

impl DecisionDesign {
    /// All designs.
    pub const ALL: [Self; 5] = [Self::BayesFactor, Self::Sprt, Self::CautiousSprt, Self::FixedThree, Self::FixedTwelve];
}

/// The assumed probability of a code word by chance.
const CHANCE: f64 = 1e-4;

/// The results of a design at one level of disobedience.
#[derive(Debug, Clone, Serialize)]
pub struct DesignResult {
    /// The design.
    pub design: DecisionDesign,
    /// The disobedience.
    pub disobedience: f64,
    /// The number of tests of servers that support the field, and also of servers that ignore it.
    pub plays: u64,
    /// Wrong verdicts about servers that support the field.
    #[serde(rename = "wrong_honoured")]
    pub wrong_supported: u64,
    /// Wrong verdicts about servers that ignore it.
    #[serde(rename = "wrong_passed_over")]
    pub wrong_ignored: u64,
    /// Tests of both kinds without a verdict.
    pub open: u64,
    /// Requests of all tests.
    pub requests: u64,
}

/// Tests every design at every level.
pub fn compare(plays: u64, seed: u64) -> Vec<DesignResult> {
    let mut all = Vec::new();
    for design in DecisionDesign::ALL {
        for disobedience in LEVELS {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut result = DesignResult {
                design,
                disobedience,
                plays,
                wrong_supported: 0,
                wrong_ignored: 0,
                open: 0,
                requests: 0,
            };
            for _ in 0..plays {
                for supported in [true, false] {
                    let mut test = DecisionTest { rng: &mut rng, obedience: 1.0 - disobedience, supported, sent: 0 };
                    match (test.decide(design), supported) {
                        (None, _) => result.open += 1,
                        (Some(false), true) => result.wrong_supported += 1,
                        (Some(true), false) => result.wrong_ignored += 1,
                        (Some(_), _) => {}
                    }
                    result.requests += test.sent;
                }
            }
            all.push(result);
        }
    }
    all
}

/// The trials of an arm with and without the code word.
#[derive(Debug, Clone, Copy, Default)]
struct ArmCounts {
    shows: u32,
    fails: u32,
}

impl ArmCounts {
    fn add(&mut self, has_code_word: bool) {
        if has_code_word {
            self.shows += 1;
        } else {
            self.fails += 1;
        }
    }

    fn trials(self) -> u32 {
        self.shows + self.fails
    }
}

/// A test of one server and one model until a design reaches its verdict.
struct DecisionTest<'a> {
    rng: &'a mut ChaCha8Rng,
    obedience: f64,
    supported: bool,
    sent: u64,
}

impl DecisionTest<'_> {
    /// Returns true for supported, false for ignored, or no verdict. Each design sends one request
    /// without the field, so that the counts are comparable.
    fn decide(&mut self, design: DecisionDesign) -> Option<bool> {
        self.sent += 1;
        match design {
            DecisionDesign::BayesFactor => self.bayes_factor(),
            DecisionDesign::Sprt => self.sprt(0.9),
            DecisionDesign::CautiousSprt => self.sprt(0.5),
            DecisionDesign::FixedThree => self.fixed_three(),
            DecisionDesign::FixedTwelve => self.fixed_twelve(),
        }
    }

    /// Simulates a treatment trial. Returns true if the response shows the code word.
    fn run_treatment(&mut self) -> bool {
        self.sent += 1;
        self.rng.random_bool(self.obedience) && self.supported
    }

    /// Simulates a positive control trial. Returns true if the response shows the code word.
    fn run_positive(&mut self) -> bool {
        self.sent += 1;
        self.rng.random_bool(self.obedience)
    }

    fn bayes_factor(&mut self) -> Option<bool> {
        let (mut treatment, mut positive) = (ArmCounts::default(), ArmCounts::default());
        for _ in 0..MAX_TRIALS {
            treatment.add(self.run_treatment());
            if treatment.fails > 0 && positive.trials() < treatment.trials() {
                positive.add(self.run_positive());
            }
            let supported =
                log_beta_binomial(treatment, 1.0 + f64::from(positive.shows), 1.0 + f64::from(positive.fails));
            // A prior of 1 in 10,000, after one trial without the field and without the code word.
            let ignored = log_beta_binomial(treatment, 1.0, 1.0 / CHANCE);
            let factor = supported - ignored;
            let threshold = ((1.0 - ALPHA) / ALPHA).ln();
            if treatment.trials() < 2 {
                continue;
            }
            if factor >= threshold {
                return Some(true);
            }
            if factor <= -threshold && positive.shows > 0 {
                return Some(false);
            }
        }
        None
    }

    fn sprt(&mut self, assumed: f64) -> Option<bool> {
        let bound = ((1.0 - ALPHA) / ALPHA).ln();
        let (mut log, mut able) = (0.0, false);
        for _ in 0..MAX_TRIALS {
            log += match self.run_treatment() {
                true => (assumed / CHANCE).ln(),
                false => {
                    able = able || self.run_positive();
                    ((1.0 - assumed) / (1.0 - CHANCE)).ln()
                }
            };
            if log >= bound {
                return Some(true);
            }
            if log <= -bound && able {
                return Some(false);
            }
        }
        None
    }

    fn fixed_three(&mut self) -> Option<bool> {
        let treatment = (0..3).filter(|_| self.run_treatment()).count();
        let positive = (0..3).filter(|_| self.run_positive()).count();
        match (treatment, positive) {
            (0, 0) => None,
            (0, _) => Some(false),
            (_, _) => Some(true),
        }
    }

    fn fixed_twelve(&mut self) -> Option<bool> {
        let treatment = (0..MAX_TRIALS).filter(|_| self.run_treatment()).count();
        let positive = (0..MAX_TRIALS).filter(|_| self.run_positive()).count();
        if treatment > 0 {
            return Some(true);
        }
        // The probability that all code words are by chance in one of two halves of equal size.
        let n = f64::from(MAX_TRIALS);
        let chance: f64 = (0..positive).map(|k| (n - k as f64) / (2.0 * n - k as f64)).product();
        (chance <= ALPHA).then_some(false)
    }
}

/// Returns the logarithm of the probability of this sequence of trials for a rate with a Beta
/// prior.
fn log_beta_binomial(arm: ArmCounts, shows: f64, fails: f64) -> f64 {
    let rise = |from: f64, by: u32| (0..by).map(|n| (from + f64::from(n)).ln()).sum::<f64>();
    rise(shows, arm.shows) + rise(fails, arm.fails) - rise(shows + fails, arm.trials())
}
