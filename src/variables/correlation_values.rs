//! Random values for rows with two sides: the values of [`GATEWAY_VARIABLES`], and the labels by
//! which a request and its response are recognized on the other side.
//!
//! [`GATEWAY_VARIABLES`]: crate::catalog::GATEWAY_VARIABLES

use crate::variables::fill::VariableValues;
use crate::variables::media;
use crate::variables::random::RandomSource;

/// The first characters of a request label. [`LABEL_SUFFIX_CHARS`] letters and digits follow.
pub(crate) const LABEL_PREFIX: &str = "lb";
/// The first characters of a reply label.
pub(crate) const REPLY_PREFIX: &str = "rp";
/// The number of letters and digits after the prefix of a label.
pub(crate) const LABEL_SUFFIX_CHARS: usize = 14;

/// No vowels, so that a label is never a word; no characters that look alike.
const LABEL_ALPHABET: &[u8] = b"bcdfghjkmnpqrstvwxz23456789";

/// The value of every variable of one trial.
pub(crate) fn generate_values(seed: u64, purpose: &str, model: &str) -> VariableValues {
    let mut random = RandomSource::new(seed, purpose);
    let mut label = |prefix: &str| format!("{prefix}{}", random.string(LABEL_ALPHABET, LABEL_SUFFIX_CHARS));
    let (label, reply) = (label(LABEL_PREFIX), label(REPLY_PREFIX));
    let word = random.code_word("-");
    let fraction = format!("0.{}{}", random.number(100, 900), random.number(1, 10));
    let mut long = random.filler_words(5000);
    long.truncate(19_999);
    VariableValues::from(
        [
            ("label", label),
            ("reply", reply),
            ("text_base64", media::encode_base64(word.as_bytes())),
            ("pdf", media::encode_base64(&media::pdf(&[&word]))),
            ("word", word),
            ("word2", random.code_word("-")),
            ("word3", random.code_word("-")),
            ("id", random.id()),
            ("id2", random.id()),
            ("number", random.number(1024, 10_000).to_string()),
            ("number2", random.number(1024, 10_000).to_string()),
            ("large", random.number(16_001, 32_000).to_string()),
            ("fraction", fraction),
            ("image", media::encode_base64(&media::encode_png(16, &random.bytes(16 * 16 * 3)))),
            ("long", long + "."),
            ("model", model.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    )
}

/// The labels with this prefix in a text.
pub(crate) fn find_labels<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(prefix).filter_map(move |(at, _)| {
        let label = text.get(at..at + prefix.len() + LABEL_SUFFIX_CHARS)?;
        label[prefix.len()..].bytes().all(|b| LABEL_ALPHABET.contains(&b)).then_some(label)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_same_for_the_same_purpose_only() {
        let generate = |purpose: &str| generate_values(7, purpose, "m");
        assert_eq!(generate("a"), generate("a"));
        for name in ["label", "reply", "word", "word2", "id", "image", "long"] {
            assert_ne!(generate("a")[name], generate("b")[name], "{name}");
        }
        let names: Vec<&str> = crate::catalog::GATEWAY_VARIABLES.iter().map(|v| v.0).collect();
        assert!(names.iter().all(|name| generate("a").contains_key(*name)), "every variable has a value");
        assert_eq!(generate("a").len(), names.len());
        assert!(generate("a")["fraction"].parse::<f64>().is_ok_and(|f| f > 0.1 && f < 0.9));
        assert_eq!(generate("a")["long"].len(), 20_000);
    }

    #[test]
    fn labels_are_found_anywhere_in_a_text() {
        let label = &generate_values(7, "a", "m")["label"];
        let text = format!(r#"{{"text":"Ticket\n{label}. lb lbshort {label}"}}"#);
        assert_eq!(find_labels(&text, LABEL_PREFIX).collect::<Vec<_>>(), [label, label]);
        assert_eq!(find_labels("lb\u{e9}zzzzzzzzzzzzzzzzzzzz", LABEL_PREFIX).count(), 0);
    }
}
