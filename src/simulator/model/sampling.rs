//! Chance as models have it: words with unequal weights, drawn under temperature, top_k and top_p.

use crate::simulator::prompt::Sampling;
use crate::simulator::rng::Draws;

/// What the model thinks of when it is asked for something random, the likeliest first.
const WORDS: [&str; 40] = [
    "river", "lantern", "maple", "harbor", "violet", "pebble", "thunder", "meadow", "copper", "willow", "saffron",
    "glacier", "orchid", "compass", "ember", "marble", "sparrow", "cinnamon", "canyon", "velvet", "anchor", "juniper",
    "puzzle", "lagoon", "feather", "granite", "mosaic", "tulip", "beacon", "walnut", "cobalt", "drizzle", "falcon",
    "ginger", "hammock", "island", "jasmine", "kettle", "lemon", "nectar",
];

/// What comes to the model's mind: a word, and the six digits that it goes with.
pub(super) fn random(sampling: Sampling, draws: &mut Draws) -> (u32, &'static str) {
    let at = draw(&weights(sampling), draws);
    (SPREAD * (at as u32 + 1) % 900_000 + 100_000, WORDS[at])
}

/// Sets the numbers apart.
const SPREAD: u32 = 371_423;

/// The probabilities of the words, the likeliest first, before they are brought to a sum of one.
fn weights(sampling: Sampling) -> Vec<f64> {
    // The last word is half as likely as the first.
    let plain = (0..WORDS.len()).map(|i| 1.0 - 0.5 * i as f64 / (WORDS.len() - 1) as f64);
    // A temperature this low leaves the top word alone.
    let heat = sampling.temperature.max(1e-4);
    let mut weights: Vec<f64> = plain.map(|weight: f64| (weight.ln() / heat).exp()).collect();
    let most = sampling.top_k.and_then(|k| usize::try_from(k).ok()).unwrap_or(usize::MAX);
    weights.truncate(most.max(1));
    let total: f64 = weights.iter().sum();
    let mut sum = 0.0;
    let nucleus = weights.iter().position(|weight| {
        sum += weight / total;
        sum >= sampling.top_p
    });
    weights.truncate(nucleus.map_or(weights.len(), |last| last + 1));
    weights
}

/// An index, drawn by weight.
fn draw(weights: &[f64], draws: &mut Draws) -> usize {
    let mut rest = draws.unit() * weights.iter().sum::<f64>();
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

    const PLAIN: Sampling = Sampling { temperature: 1.0, top_p: 1.0, top_k: None };

    fn distinct(sampling: Sampling) -> usize {
        let mut draws = Draws::new(7);
        (0..200).map(|_| random(sampling, &mut draws)).collect::<BTreeSet<_>>().len()
    }

    #[test]
    fn answers_vary_unless_a_field_narrows_them() {
        assert!(distinct(PLAIN) > 30);
        assert_eq!(distinct(Sampling { temperature: 0.0, ..PLAIN }), 1);
        assert_eq!(distinct(Sampling { top_k: Some(1), ..PLAIN }), 1);
        assert_eq!(distinct(Sampling { top_p: 0.01, ..PLAIN }), 1);
        assert_eq!(distinct(Sampling { top_k: Some(3), ..PLAIN }), 3);
        assert_eq!(distinct(Sampling { top_p: 0.0, ..PLAIN }), 1);
    }

    #[test]
    fn any_number_can_be_a_temperature() {
        for temperature in [f64::MAX, f64::MIN, -1.0, 1e-300] {
            for top_p in [f64::MAX, f64::MIN] {
                distinct(Sampling { temperature, top_p, top_k: Some(u64::MAX) });
            }
        }
    }
}
