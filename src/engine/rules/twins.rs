//! [`compare_samples`]: an exact permutation test of whether two samples of responses differ.
//!
//! One equal pair across the samples shows that both arms can give the same response. Without such a
//! pair, the test computes how often chance alone would separate the samples so completely, whatever
//! the model's distribution is. A model that often disobeys can therefore not look like a difference.

use std::collections::BTreeMap;

use crate::engine::rules::sampling::binomial_coefficient;

/// The number of responses of each arm that a difference needs. With five, two values that never meet
/// are separated by chance in 1 of 126 cases; with six, in 1 of 462.
pub(super) const MIN_TWIN_TRIALS: usize = 6;
/// Samples are different if chance separates them more rarely than this.
const MAX_SEPARATION_CHANCE: f64 = 0.005;

/// The result of the comparison of two samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SampleComparison {
    /// A value occurs in both samples.
    Shared,
    /// No value occurs in both, and chance is no explanation.
    Different,
    /// No value occurs in both, but values vary so much that chance can explain it.
    Varied,
}

/// Compares two samples of values.
pub(super) fn compare_samples(one: &[String], other: &[String]) -> SampleComparison {
    if one.iter().any(|value| other.contains(value)) {
        SampleComparison::Shared
    } else if separation_chance(one, other) <= MAX_SEPARATION_CHANCE {
        SampleComparison::Different
    } else {
        SampleComparison::Varied
    }
}

/// The share of all ways to split the values into samples of these sizes in which no value occurs in
/// both samples.
fn separation_chance(one: &[String], other: &[String]) -> f64 {
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for value in one.iter().chain(other) {
        *groups.entry(value).or_default() += 1;
    }
    // The number of sets of groups with this number of values in total. Each is one such split.
    let mut sets = vec![0.0; one.len() + 1];
    sets[0] = 1.0;
    for size in groups.into_values() {
        for total in (size..sets.len()).rev() {
            sets[total] += sets[total - size];
        }
    }
    sets[one.len()] / binomial_coefficient(one.len() + other.len(), one.len())
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
    fn the_chance_of_a_separation_is_exact() {
        let chance = |one: &str, other: &str| separation_chance(&words(one), &words(other));
        assert!((chance("a a a a a a", "b b b b b b") - 2.0 / 924.0).abs() < 1e-12);
        assert!((chance("a a a a a", "b b b b b") - 2.0 / 252.0).abs() < 1e-12);
        assert!((chance("a b c", "d e f") - 1.0).abs() < 1e-12);
        // {a a} with one of three single values is in either sample.
        assert!((chance("a a b", "c d d") - 4.0 / 20.0).abs() < 1e-12);
    }

    #[test]
    fn samples_differ_only_if_chance_cannot_separate_them() {
        let compare = |one: &str, other: &str| compare_samples(&words(one), &words(other));
        assert_eq!(compare("a b", "c b"), SampleComparison::Shared);
        assert_eq!(compare("a a a a a a", "b b b b b b"), SampleComparison::Different);
        assert_eq!(compare("a a a a a", "b b b b b"), SampleComparison::Varied);
        assert_eq!(compare("a b c d e f", "g h i j k l"), SampleComparison::Varied);
    }

    /// Collects responses one by one, as the rule does, until the samples share a value or are large
    /// enough.
    fn compare_simulated_twins(rng: &mut ChaCha8Rng, obedience: f64, other_values: u32) -> SampleComparison {
        let mut draw = || match rng.random_bool(obedience) {
            true => "max_tokens".to_owned(),
            false => rng.random_range(0..other_values).to_string(),
        };
        let (mut one, mut other) = (Vec::new(), Vec::new());
        loop {
            one.push(draw());
            other.push(draw());
            let comparison = compare_samples(&one, &other);
            if comparison == SampleComparison::Shared || one.len() == MIN_TWIN_TRIALS {
                return comparison;
            }
        }
    }

    #[test]
    fn equal_twins_are_almost_never_told_apart() {
        const TWINS: u32 = 100_000;
        let mut rng = ChaCha8Rng::seed_from_u64(16);
        for (obedience, other_values) in
            [(0.5, 1), (0.5, 4), (0.6, 1), (0.7, 2), (0.8, 1), (0.8, 4), (0.9, 1), (1.0, 1)]
        {
            let is_different = |rng: &mut ChaCha8Rng| {
                compare_simulated_twins(rng, obedience, other_values) == SampleComparison::Different
            };
            let wrong = (0..TWINS).filter(|_| is_different(&mut rng)).count();
            // The test allows 500. Two values are separated in 1 of 2,048 cases.
            assert!(wrong <= 250, "{wrong} of {TWINS} at an obedience of {obedience} with {other_values} other values");
            if obedience >= 0.8 {
                assert!(wrong <= 30, "{wrong} of {TWINS} at an obedience of {obedience}");
            }
        }
    }

    #[test]
    fn a_stream_that_never_agrees_is_told_apart() {
        let one: Vec<String> = vec!["end_turn".to_owned(); MIN_TWIN_TRIALS];
        let other: Vec<String> = vec!["max_tokens".to_owned(); MIN_TWIN_TRIALS];
        assert_eq!(compare_samples(&one, &other), SampleComparison::Different);
    }
}
