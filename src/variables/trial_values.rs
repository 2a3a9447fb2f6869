//! [`TrialValues`]: the values of the variables that experiments use.

use std::collections::BTreeMap;

use crate::catalog::CITIES;
use crate::variables::media;
use crate::variables::random::RandomSource;

/// The length of `prefix`. A word is at least one token in every known tokenizer, and a request
/// that uses the prefix twice exceeds every published caching minimum (4,096 tokens).
const PREFIX_WORD_COUNT: usize = 2100;

/// The variables with long values. No test of a response needs them, so a recording does not
/// contain them.
const LONG_VARIABLES: [&str; 5] = ["padding", "prefix", "600_characters", "image", "pdf"];

/// The random values of one trial. A value is generated when it is requested, and is the same each
/// time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialValues {
    seed: u64,
    purpose: String,
}

impl TrialValues {
    /// The values of the trial that `purpose` names. The same seed and purpose give the same
    /// values.
    pub fn new(seed: u64, purpose: impl Into<String>) -> Self {
        Self { seed, purpose: purpose.into() }
    }

    /// The value of a variable; `None` for a variable that is not random.
    pub fn value(&self, name: &str) -> Option<String> {
        let mut random = RandomSource::new(self.seed, &format!("{}#{name}", self.purpose));
        let value_of = |name: &str| self.value(name).unwrap_or_default();
        Some(match name {
            "label" => random.code_word(" "),
            "label2" => {
                let label = value_of("label");
                loop {
                    let other = random.code_word(" ");
                    if other != label {
                        break other;
                    }
                }
            }
            "label_as_name" => value_of("label").replace(' ', "_"),
            "name" | "name2" => random.code_word("_"),
            "id" | "id2" => random.id(),
            "padding" => format!("These words mean nothing: {}.", random.filler_words(30)),
            "prefix" => random.filler_words(PREFIX_WORD_COUNT),
            "600_characters" => random.filler_words(200).replace(' ', "")[..600].to_owned(),
            "colour" => random.choose(&media::COLOURS)?.0.to_owned(),
            "city" => (*random.choose(&CITIES)?).to_owned(),
            "image" => media::encode_base64(media::png_image(&value_of("colour"))?),
            "pdf" => {
                let filler = random.filler_words(30);
                let (first, second) = filler.split_at(filler.len() / 2);
                media::encode_base64(&media::pdf(&[first, second, &format!("Today's label is {}.", value_of("label"))]))
            }
            _ => match name.split_once(':')? {
                ("pick", words) => {
                    let words: Vec<&str> = words.split('|').filter(|word| !word.is_empty()).collect();
                    (*random.choose(&words)?).to_owned()
                }
                ("is_city", city) => (value_of("city") == city).to_string(),
                ("label", city) if value_of("city") == city => value_of("label"),
                ("label", _) => random.code_word(" "),
                ("id", _) => random.id(),
                _ => return None,
            },
        })
    }

    /// The values of these variables, without the long ones. Tests of responses need them, so a
    /// recording contains them.
    pub fn short_values<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> BTreeMap<String, String> {
        let short = names.into_iter().filter(|name| !LONG_VARIABLES.contains(&name.as_str()));
        short.filter_map(|name| Some((name.clone(), self.value(name)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::variables::hash;

    #[test]
    fn values_repeat_for_the_same_purpose_and_differ_for_others() {
        let label = |seed, purpose: &str| TrialValues::new(seed, purpose).value("label");
        assert_eq!(label(1, "a/treatment/1"), label(1, "a/treatment/1"));
        assert_ne!(label(1, "a/treatment/1"), label(1, "a/treatment/2"));
        assert_ne!(label(1, "a/treatment/1"), label(2, "a/treatment/1"));
    }

    #[test]
    fn values_are_the_same_in_every_version() {
        let names = [
            "label",
            "label2",
            "label_as_name",
            "name",
            "name2",
            "id",
            "id2",
            "padding",
            "prefix",
            "600_characters",
            "colour",
            "city",
            "is_city:Rome",
            "label:Rome",
            "id:Oslo",
            "pick:a|b|c",
            "image",
            "pdf",
        ];
        let values =
            (0..20).flat_map(|seed| names.map(|name| TrialValues::new(seed, "a/treatment/1").value(name).unwrap()));
        let all: String = values.collect();
        assert_eq!(format!("{:016x}", hash(&all)), "b7d378190af555a7");
    }

    #[test]
    fn a_label_is_two_words_and_four_digits() {
        let label = TrialValues::new(3, "x").value("label").unwrap();
        let parts: Vec<&str> = label.split(' ').collect();
        assert_eq!(parts.len(), 3, "{label}");
        assert!(parts[2].len() == 4 && parts[2].parse::<u16>().is_ok(), "{label}");
    }

    #[test]
    fn values_have_the_documented_lengths() {
        let values = TrialValues::new(0, "");
        assert_eq!(values.value("600_characters").unwrap().len(), 600);
        assert_eq!(values.value("prefix").unwrap().split(' ').count(), PREFIX_WORD_COUNT);
        assert_eq!(values.value("no_such_variable"), None);
        let names = ["label", "prefix", "version"].map(str::to_owned);
        assert_eq!(values.short_values(&names).into_keys().collect::<Vec<_>>(), ["label"]);
    }

    #[test]
    fn one_city_is_chosen_and_only_its_label_is_the_label() {
        let cities: BTreeSet<String> = (0..200)
            .map(|seed| {
                let values = TrialValues::new(seed, "x");
                let value = |name: &str| values.value(name).unwrap();
                let city = value("city");
                for other in CITIES {
                    let is_chosen = other == city;
                    assert_eq!(value(&format!("is_city:{other}")), is_chosen.to_string());
                    assert_eq!(value(&format!("label:{other}")) == value("label"), is_chosen);
                }
                city
            })
            .collect();
        assert_eq!(cities.len(), CITIES.len());
        assert!(["a", "b"].contains(&TrialValues::new(1, "x").value("pick:a|b").unwrap().as_str()));
    }
}
