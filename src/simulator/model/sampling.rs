//! The random choice of a model: [`sample_word`] draws a word under temperature, top_k and top_p.

use crate::simulator::prompt::SamplingParams;
use crate::simulator::rng::RequestRng;

/// The words for a random answer, the most probable first.
const SAMPLE_WORDS: [&str; 40] = [
    "river", "lantern", "maple", "harbor", "violet", "pebble", "thunder", "meadow", "copper", "willow", "saffron",
    "glacier", "orchid", "compass", "ember", "marble", "sparrow", "cinnamon", "canyon", "velvet", "anchor", "juniper",
    "puzzle", "lagoon", "feather", "granite", "mosaic", "tulip", "beacon", "walnut", "cobalt", "drizzle", "falcon",
    "ginger", "hammock", "island", "jasmine", "kettle", "lemon", "nectar",
];

/// A random word, and the six digits that belong to it.
pub(super) fn sample_word(sampling: SamplingParams, rng: &mut RequestRng) -> (u32, &'static str) {
    let at = sample_index(&word_weights(sampling), rng);
    (NUMBER_STEP * (at as u32 + 1) % 900_000 + 100_000, SAMPLE_WORDS[at])
}

/// Spreads the numbers of the words.
const NUMBER_STEP: u32 = 371_423;

/// The weights of the words, the most probable first. They do not add up to 1.
fn word_weights(sampling: SamplingParams) -> Vec<f64> {
    // The last word is half as probable as the first.
    let base = (0..SAMPLE_WORDS.len()).map(|i| 1.0 - 0.5 * i as f64 / (SAMPLE_WORDS.len() - 1) as f64);
    // At this temperature, only the first word remains.
    let temperature = sampling.temperature.max(1e-4);
    let mut weights: Vec<f64> = base.map(|weight: f64| (weight.ln() / temperature).exp()).collect();
    let top_k = sampling.top_k.and_then(|k| usize::try_from(k).ok()).unwrap_or(usize::MAX);
    weights.truncate(top_k.max(1));
    let total: f64 = weights.iter().sum();
    let mut sum = 0.0;
    let nucleus = weights.iter().position(|weight| {
        sum += weight / total;
        sum >= sampling.top_p
    });
    weights.truncate(nucleus.map_or(weights.len(), |last| last + 1));
    weights
}

/// Draws an index by weight.
fn sample_index(weights: &[f64], rng: &mut RequestRng) -> usize {
    let mut rest = rng.next_unit() * weights.iter().sum::<f64>();
    for (i, weight) in weights.iter().enumerate() {
        rest -= weight;
        if rest < 0.0 {
            return i;
        }
    }
    weights.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DEFAULT_SAMPLING: SamplingParams = SamplingParams { temperature: 1.0, top_p: 1.0, top_k: None };

    fn count_distinct(sampling: SamplingParams) -> usize {
        let mut rng = RequestRng::new(7);
        (0..200).map(|_| sample_word(sampling, &mut rng)).collect::<BTreeSet<_>>().len()
    }

    #[test]
    fn words_vary_unless_a_field_narrows_them() {
        assert!(count_distinct(DEFAULT_SAMPLING) > 30);
        assert_eq!(count_distinct(SamplingParams { temperature: 0.0, ..DEFAULT_SAMPLING }), 1);
        assert_eq!(count_distinct(SamplingParams { top_k: Some(1), ..DEFAULT_SAMPLING }), 1);
        assert_eq!(count_distinct(SamplingParams { top_p: 0.01, ..DEFAULT_SAMPLING }), 1);
        assert_eq!(count_distinct(SamplingParams { top_k: Some(3), ..DEFAULT_SAMPLING }), 3);
        assert_eq!(count_distinct(SamplingParams { top_p: 0.0, ..DEFAULT_SAMPLING }), 1);
    }

    #[test]
    fn any_number_is_accepted_as_temperature() {
        for temperature in [f64::MAX, f64::MIN, -1.0, 1e-300] {
            for top_p in [f64::MAX, f64::MIN] {
                count_distinct(SamplingParams { temperature, top_p, top_k: Some(u64::MAX) });
            }
        }
    }
}
