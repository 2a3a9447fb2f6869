//! Three designs of a sequential decision, played against each other on the problem that most rows pose: a code word
//! that cannot be guessed shows, or does not, and nobody knows how obedient the model is.
//!
//! Abstract on purpose: no server, no engine. What the engine itself does under noise is measured elsewhere; this
//! tells why its rule is of the kind that it is.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// The error that each design allows itself, on either side.
const ALPHA: f64 = 0.01;
/// The most trials of an arm.
const LIMIT: u32 = 12;
/// The disobediences that are played.
pub const LEVELS: [f64; 6] = [0.0, 0.1, 0.2, 0.4, 0.6, 0.8];

/// A way to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionDesign {
    /// Bayes factors, the model's obedience being learnt from the positive arm.
    BayesFactor,
    /// Wald's test of an obedience of 90 % against none.
    Sprt,
    /// The same, of an obedience of 50 %.
    CautiousSprt,
    /// Three trials, whatever they show.
    FixedThree,
    /// Twelve trials of each arm, and Fisher's exact test.
    FixedTwelve,
}

impl DecisionDesign {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::BayesFactor, Self::Sprt, Self::CautiousSprt, Self::FixedThree, Self::FixedTwelve];
}

/// The rate at which a code word is taken to come by chance.
const CHANCE: f64 = 1e-4;

/// How a design fared at one level of disobedience.
#[derive(Debug, Clone, Serialize)]
pub struct DesignResult {
    /// The design.
    pub design: DecisionDesign,
    /// The disobedience.
    pub disobedience: f64,
    /// Plays against servers that honour the field; as many were played against servers that pass over it.
    pub plays: u64,
    /// WrongVerdict verdicts about servers that honour the field.
    pub wrong_honoured: u64,
    /// WrongVerdict verdicts about servers that pass over it.
    pub wrong_passed_over: u64,
    /// Plays of either kind without a verdict.
    pub open: u64,
    /// Requests, over all plays.
    pub requests: u64,
}

/// Plays every design at every level.
pub fn compare(plays: u64, seed: u64) -> Vec<DesignResult> {
    let mut all = Vec::new();
    for design in DecisionDesign::ALL {
        for disobedience in LEVELS {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut fared = DesignResult {
                design,
                disobedience,
                plays,
                wrong_honoured: 0,
                wrong_passed_over: 0,
                open: 0,
                requests: 0,
            };
            for _ in 0..plays {
                for honoured in [true, false] {
                    let mut game = DecisionTest { rng: &mut rng, obedience: 1.0 - disobedience, honoured, sent: 0 };
                    match (game.decide(design), honoured) {
                        (None, _) => fared.open += 1,
                        (Some(false), true) => fared.wrong_honoured += 1,
                        (Some(true), false) => fared.wrong_passed_over += 1,
                        (Some(_), _) => {}
                    }
                    fared.requests += game.sent;
                }
            }
            all.push(fared);
        }
    }
    all
}

/// Trials of an arm: those that showed the code word, and those that did not.
#[derive(Debug, Clone, Copy, Default)]
struct ArmCounts {
    shows: u32,
    fails: u32,
}

impl ArmCounts {
    fn add(&mut self, shown: bool) {
        if shown {
            self.shows += 1;
        } else {
            self.fails += 1;
        }
    }

    fn trials(self) -> u32 {
        self.shows + self.fails
    }
}

/// One server and one model, asked until a design has its verdict.
struct DecisionTest<'a> {
    rng: &'a mut ChaCha8Rng,
    obedience: f64,
    honoured: bool,
    sent: u64,
}

impl DecisionTest<'_> {
    /// Honoured, passed over, or no verdict. Each design asks once without the field, for fairness.
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

    /// With the field.
    fn treat(&mut self) -> bool {
        self.sent += 1;
        self.rng.random_bool(self.obedience) && self.honoured
    }

    /// With the code word where the model is known to see it.
    fn ask(&mut self) -> bool {
        self.sent += 1;
        self.rng.random_bool(self.obedience)
    }

    fn bayes_factor(&mut self) -> Option<bool> {
        let (mut treated, mut asked) = (ArmCounts::default(), ArmCounts::default());
        for _ in 0..LIMIT {
            treated.add(self.treat());
            if treated.fails > 0 && asked.trials() < treated.trials() {
                asked.add(self.ask());
            }
            let honoured = log_beta_binomial(treated, 1.0 + f64::from(asked.shows), 1.0 + f64::from(asked.fails));
            // A prior of one in ten thousand, after the one trial without the field that showed nothing.
            let passed_over = log_beta_binomial(treated, 1.0, 1.0 / CHANCE);
            let factor = honoured - passed_over;
            let threshold = ((1.0 - ALPHA) / ALPHA).ln();
            if treated.trials() < 2 {
                continue;
            }
            if factor >= threshold {
                return Some(true);
            }
            if factor <= -threshold && asked.shows > 0 {
                return Some(false);
            }
        }
        None
    }

    fn sprt(&mut self, assumed: f64) -> Option<bool> {
        let bound = ((1.0 - ALPHA) / ALPHA).ln();
        let (mut log, mut able) = (0.0, false);
        for _ in 0..LIMIT {
            log += match self.treat() {
                true => (assumed / CHANCE).ln(),
                false => {
                    able = able || self.ask();
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
        let treated = (0..3).filter(|_| self.treat()).count();
        let asked = (0..3).filter(|_| self.ask()).count();
        match (treated, asked) {
            (0, 0) => None,
            (0, _) => Some(false),
            (_, _) => Some(true),
        }
    }

    fn fixed_twelve(&mut self) -> Option<bool> {
        let treated = (0..LIMIT).filter(|_| self.treat()).count();
        let asked = (0..LIMIT).filter(|_| self.ask()).count();
        if treated > 0 {
            return Some(true);
        }
        // All of what showed, by chance in one of two equal halves.
        let n = f64::from(LIMIT);
        let chance: f64 = (0..asked).map(|k| (n - k as f64) / (2.0 * n - k as f64)).product();
        (chance <= ALPHA).then_some(false)
    }
}

/// The logarithm of the probability of these trials, in one order, for a rate with a Beta prior.
fn log_beta_binomial(arm: ArmCounts, shows: f64, fails: f64) -> f64 {
    let rise = |from: f64, by: u32| (0..by).map(|n| (from + f64::from(n)).ln()).sum::<f64>();
    rise(shows, arm.shows) + rise(fails, arm.fails) - rise(shows + fails, arm.trials())
}
