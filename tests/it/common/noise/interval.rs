//! Exact bounds on a rate with `hits` in `trials`, by Clopper and Pearson.
//!
//! The measured rates are near zero, where the usual approximations are wrong.

/// Returns the largest rate for which at most `hits` hits have the probability `alpha`.
pub fn upper(hits: u64, trials: u64, alpha: f64) -> f64 {
    if hits >= trials {
        return 1.0;
    }
    // The probability falls when the rate rises.
    bisect(|rate| at_most(hits, trials, rate) > alpha)
}

/// Returns the smallest rate for which at least `hits` hits have the probability `alpha`.
pub fn lower(hits: u64, trials: u64, alpha: f64) -> f64 {
    if hits == 0 {
        return 0.0;
    }
    bisect(|rate| 1.0 - at_most(hits - 1, trials, rate) < alpha)
}

/// Returns the rate above which a condition that is true for small rates is false.
fn bisect(condition: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if condition(middle) { low = middle } else { high = middle }
    }
    high
}

/// Returns the probability of at most `hits` hits. It uses logarithms, because with many trials the
/// first terms are too small for a float.
fn at_most(hits: u64, trials: u64, rate: f64) -> f64 {
    let odds = rate.ln() - (-rate).ln_1p();
    let mut log = trials as f64 * (-rate).ln_1p();
    let mut terms = vec![log];
    for hit in 0..hits {
        log += ((trials - hit) as f64 / (hit + 1) as f64).ln() + odds;
        terms.push(log);
    }
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (largest + terms.iter().map(|term| (term - largest).exp()).sum::<f64>().ln()).exp().min(1.0)
}
