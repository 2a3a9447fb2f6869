//! What is drawn afresh for every trial: code words, names, colours, padding.
//!
//! A draw depends on the run's seed and on what it is for, and on nothing else: the order in which requests happen to
//! go out changes nothing, and a run can be repeated.

pub mod fill;
mod media;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::catalog::CITIES;

const FIRST_WORDS: [&str; 40] = [
    "amber", "azure", "brisk", "calm", "cedar", "clear", "coral", "crisp", "dusty", "eager", "early", "faint", "fancy",
    "frosty", "gentle", "golden", "hazel", "humble", "ivory", "jolly", "keen", "lilac", "lively", "lunar", "mellow",
    "misty", "mossy", "noble", "olive", "pearl", "plain", "quiet", "rapid", "rustic", "silver", "solar", "sunny",
    "tidal", "velvet", "windy",
];

const SECOND_WORDS: [&str; 40] = [
    "anchor", "badger", "basket", "beacon", "bridge", "candle", "canyon", "castle", "comet", "falcon", "feather",
    "ferry", "forest", "garden", "harbor", "heron", "island", "jacket", "kettle", "ladder", "lantern", "maple",
    "meadow", "mirror", "needle", "orchard", "otter", "paddle", "pebble", "pepper", "pillow", "planet", "quartz",
    "ribbon", "saddle", "sparrow", "temple", "thunder", "tunnel", "walnut",
];

/// Plain words for text that says nothing.
const FILLER_WORDS: [&str; 32] = [
    "table", "window", "paper", "stone", "water", "light", "garden", "street", "chair", "river", "summer", "bread",
    "letter", "market", "music", "cloud", "field", "glass", "house", "island", "corner", "leaf", "bridge", "number",
    "orange", "flower", "road", "season", "train", "forest", "winter", "yard",
];

/// How many words the long prefix has: at least as many tokens in every known tokenizer, and used twice in a request
/// it passes every published caching minimum (4,096 tokens).
const PREFIX_WORD_COUNT: usize = 2100;

/// The fresh values of one trial. A value is made when it is asked for, and is the same each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialValues {
    seed: u64,
    purpose: String,
}

/// The variables whose values are long, and which no test of an answer needs; a recording does not keep them.
const LONG_VARIABLES: [&str; 5] = ["padding", "prefix", "600_characters", "image", "pdf"];

impl TrialValues {
    /// The draw for one trial. `purpose` names the trial; the same seed and purpose give the same values.
    pub fn new(seed: u64, purpose: impl Into<String>) -> Self {
        Self { seed, purpose: purpose.into() }
    }

    /// The value of a variable; `None` for one that is not drawn.
    pub fn value(&self, name: &str) -> Option<String> {
        let mut rng = new_rng(self.seed, &format!("{}#{name}", self.purpose));
        let again = |name: &str| self.value(name).unwrap_or_default();
        Some(match name {
            "label" => random_label(&mut rng),
            "label2" => {
                let taken = again("label");
                loop {
                    let other = random_label(&mut rng);
                    if other != taken {
                        break other;
                    }
                }
            }
            "label_as_name" => again("label").replace(' ', "_"),
            "name" | "name2" => random_label(&mut rng).replace(' ', "_"),
            "id" | "id2" => random_id(&mut rng),
            "padding" => format!("These words mean nothing: {}.", random_words(&mut rng, 30)),
            "prefix" => random_words(&mut rng, PREFIX_WORD_COUNT),
            "600_characters" => random_words(&mut rng, 200).replace(' ', "")[..600].to_owned(),
            "colour" => media::COLOURS.choose(&mut rng)?.0.to_owned(),
            "city" => (*CITIES.choose(&mut rng)?).to_owned(),
            "image" => encode_base64(media::png_image(&again("colour"))?),
            "pdf" => {
                let filler = random_words(&mut rng, 30);
                let (first, second) = filler.split_at(filler.len() / 2);
                encode_base64(&media::pdf(&[first, second, &format!("Today's label is {}.", again("label"))]))
            }
            _ => match name.split_once(':')? {
                ("pick", words) => {
                    let words: Vec<&str> = words.split('|').filter(|w| !w.is_empty()).collect();
                    (*words.choose(&mut rng)?).to_owned()
                }
                ("is_city", city) => (again("city") == city).to_string(),
                ("label", city) if again("city") == city => again("label"),
                ("label", _) => random_label(&mut rng),
                ("id", _) => random_id(&mut rng),
                _ => return None,
            },
        })
    }

    /// The values of these variables, without those that are long: tests of answers need them, and a recording
    /// therefore keeps them.
    pub fn short_values<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> BTreeMap<String, String> {
        let short = names.into_iter().filter(|name| !LONG_VARIABLES.contains(&name.as_str()));
        short.filter_map(|name| Some((name.clone(), self.value(name)?))).collect()
    }
}

fn new_rng(seed: u64, purpose: &str) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed ^ hash(purpose))
}

/// A hash that is the same in every build, which the standard library's hasher does not promise.
pub fn hash(text: impl fmt::Display) -> u64 {
    struct FnvHasher(u64);
    impl fmt::Write for FnvHasher {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = text.bytes().fold(self.0, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
            Ok(())
        }
    }
    let mut hash = FnvHasher(0xcbf2_9ce4_8422_2325);
    // Hashing does not fail.
    let _ = write!(hash, "{text}");
    hash.0
}

fn random_label(rng: &mut ChaCha8Rng) -> String {
    let pick = |rng: &mut ChaCha8Rng, from: &[&'static str]| from.choose(rng).copied().unwrap_or_default();
    let (first, second) = (pick(rng, &FIRST_WORDS), pick(rng, &SECOND_WORDS));
    format!("{first} {second} {}", rng.random_range(1000..10_000))
}

/// Letters and digits that no one could take for words.
fn random_id(rng: &mut ChaCha8Rng) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    (0..24).map(|_| char::from(*ALPHABET.choose(rng).unwrap_or(&b'A'))).collect()
}

fn random_words(rng: &mut ChaCha8Rng, count: usize) -> String {
    let word = |_| FILLER_WORDS.choose(rng).copied().unwrap_or_default();
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

fn encode_base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn draws_repeat_for_the_same_purpose_and_differ_for_others() {
        let label = |seed, purpose: &str| TrialValues::new(seed, purpose).value("label");
        assert_eq!(label(1, "a/treatment/1"), label(1, "a/treatment/1"));
        assert_ne!(label(1, "a/treatment/1"), label(1, "a/treatment/2"));
        assert_ne!(label(1, "a/treatment/1"), label(2, "a/treatment/1"));
    }

    #[test]
    fn a_label_is_two_words_and_four_digits() {
        let label = TrialValues::new(3, "x").value("label").unwrap();
        let parts: Vec<&str> = label.split(' ').collect();
        assert_eq!(parts.len(), 3, "{label}");
        assert!(parts[2].len() == 4 && parts[2].parse::<u16>().is_ok(), "{label}");
    }

    #[test]
    fn lengths_are_as_case_files_are_told() {
        let draw = TrialValues::new(0, "");
        assert_eq!(draw.value("600_characters").unwrap().len(), 600);
        assert_eq!(draw.value("prefix").unwrap().split(' ').count(), PREFIX_WORD_COUNT);
        assert_eq!(draw.value("no_such_variable"), None);
        let names = ["label", "prefix", "version"].map(str::to_owned);
        assert_eq!(draw.short_values(&names).into_keys().collect::<Vec<_>>(), ["label"]);
    }

    #[test]
    fn one_city_is_drawn_and_the_label_is_its_own() {
        let cities: BTreeSet<String> = (0..200)
            .map(|seed| {
                let draw = TrialValues::new(seed, "x");
                let value = |name: &str| draw.value(name).unwrap();
                let city = value("city");
                for other in CITIES {
                    let is_it = other == city;
                    assert_eq!(value(&format!("is_city:{other}")), is_it.to_string());
                    assert_eq!(value(&format!("label:{other}")) == value("label"), is_it);
                }
                city
            })
            .collect();
        assert_eq!(cities.len(), CITIES.len());
        assert!(["a", "b"].contains(&TrialValues::new(1, "x").value("pick:a|b").unwrap().as_str()));
    }
}
