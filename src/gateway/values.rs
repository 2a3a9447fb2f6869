//! What is drawn afresh for every trial: labels, code words, numbers, pictures.
//!
//! A draw depends on the run's seed and on what it is for, and on nothing else.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// How a label begins. What follows are [`MARK`] letters and digits.
pub(super) const LABEL: &str = "lb";
/// How a reply word begins.
pub(super) const REPLY: &str = "rp";
/// The letters and digits of a label or a reply word, behind its beginning.
pub(super) const LABEL_SUFFIX_CHARS: usize = 14;

/// Neither vowels nor what looks alike: no word of a language comes about by chance.
const LABEL_ALPHABET: &[u8] = b"bcdfghjkmnpqrstvwxz23456789";
const ID_ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789";

const FIRST_WORDS: [&str; 24] = [
    "amber", "azure", "brisk", "cedar", "clear", "coral", "dusty", "eager", "frosty", "gentle", "golden", "hazel",
    "ivory", "jolly", "lunar", "mellow", "misty", "noble", "olive", "quiet", "rapid", "silver", "tidal", "velvet",
];
const SECOND_WORDS: [&str; 24] = [
    "anchor", "badger", "basket", "beacon", "bridge", "candle", "canyon", "castle", "comet", "falcon", "feather",
    "garden", "harbor", "heron", "island", "kettle", "ladder", "lantern", "maple", "mirror", "otter", "pebble",
    "saddle", "walnut",
];

/// The fresh values of one trial, by the names of the variables.
pub(crate) type VariableValues = BTreeMap<String, String>;

/// Draws every variable for a trial.
pub(super) fn generate_values(seed: u64, purpose: &str, model: &str) -> VariableValues {
    let mut hasher = DefaultHasher::new();
    (seed, purpose).hash(&mut hasher);
    let mut rng = ChaCha8Rng::seed_from_u64(hasher.finish());
    let mut values = VariableValues::new();
    let mut put = |name: &str, value: String| values.insert(name.to_owned(), value);
    put("label", format!("{LABEL}{}", random_string(&mut rng, LABEL_ALPHABET, LABEL_SUFFIX_CHARS)));
    put("reply", format!("{REPLY}{}", random_string(&mut rng, LABEL_ALPHABET, LABEL_SUFFIX_CHARS)));
    for name in ["word2", "word3"] {
        put(name, random_code_word(&mut rng));
    }
    let key = random_code_word(&mut rng);
    put("text_base64", STANDARD.encode(&key));
    put("pdf", STANDARD.encode(render_pdf(&key)));
    put("word", key);
    for name in ["id", "id2"] {
        put(name, random_string(&mut rng, ID_ALPHABET, 24));
    }
    for name in ["number", "number2"] {
        put(name, rng.random_range(1024..10_000).to_string());
    }
    put("large", rng.random_range(16_001..32_000).to_string());
    put("fraction", format!("0.{}", rng.random_range(1001..9000) / 10 * 10 + rng.random_range(1..10)));
    put("image", STANDARD.encode(random_png(&mut rng)));
    let mut long = String::new();
    while long.len() < 20_000 {
        long.push_str(&random_code_word(&mut rng));
        long.push(' ');
    }
    long.truncate(19_999);
    put("long", long + ".");
    put("model", model.to_owned());
    values
}

fn random_string(rng: &mut ChaCha8Rng, from: &[u8], count: usize) -> String {
    (0..count).map(|_| char::from(from.choose(rng).copied().unwrap_or(b'x'))).collect()
}

fn random_code_word(rng: &mut ChaCha8Rng) -> String {
    let mut one = |words: &[&'static str]| words.choose(rng).copied().unwrap_or_default();
    let (first, second) = (one(&FIRST_WORDS), one(&SECOND_WORDS));
    format!("{first}-{second}-{}", rng.random_range(1000..10_000))
}

/// A picture of 16 by 16 fresh colours. Writing it into memory cannot fail; an empty one would be seen at once.
fn random_png(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 16, 16);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let pixels: Vec<u8> = (0..16 * 16 * 3).map(|_| rng.random()).collect();
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    if written.is_err() { Vec::new() } else { bytes }
}

/// A page that says a word. Nobody here reads it; it is enough that a reader would.
fn render_pdf(word: &str) -> String {
    let content = format!("BT /F1 14 Tf 50 740 Td ({word}) Tj ET");
    format!(
        "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 \
         >>\nendobj\n3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << \
         /F1 5 0 R >> >> >>\nendobj\n4 0 obj\n<< /Length {} >>\nstream\n{content}\nendstream\nendobj\n5 0 obj\n<< /Type \
         /Font /Subtype /Type1 /BaseFont /Helvetica >>\nendobj\ntrailer\n<< /Size 6 /Root 1 0 R >>\n%%EOF\n",
        content.len()
    )
}

/// The labels or reply words in a text: whatever begins like one and is long enough.
pub(super) fn find_labels<'a>(text: &'a str, begins: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(begins).filter_map(move |(at, _)| {
        let mark = text.get(at..at + begins.len() + LABEL_SUFFIX_CHARS)?;
        mark[begins.len()..].bytes().all(|b| LABEL_ALPHABET.contains(&b)).then_some(mark)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_is_the_same_for_the_same_purpose_and_no_other() {
        let draw = |purpose: &str| generate_values(7, purpose, "m");
        assert_eq!(draw("a"), draw("a"));
        for name in ["label", "reply", "word", "word2", "id", "image", "long"] {
            assert_ne!(draw("a")[name], draw("b")[name], "{name}");
        }
        let names: Vec<&str> = crate::catalog::GATEWAY_VARIABLES.iter().map(|v| v.0).collect();
        assert!(names.iter().all(|name| draw("a").contains_key(*name)), "every variable is drawn");
        assert_eq!(draw("a").len(), names.len());
        assert!(draw("a")["fraction"].parse::<f64>().is_ok_and(|f| f > 0.1 && f < 0.9));
        assert_eq!(draw("a")["long"].len(), 20_000);
    }

    #[test]
    fn marks_are_found_wherever_they_stand() {
        let label = &generate_values(7, "a", "m")["label"];
        let text = format!(r#"{{"text":"Ticket\n{label}. lb lbshort {label}"}}"#);
        assert_eq!(find_labels(&text, LABEL).collect::<Vec<_>>(), [label, label]);
        assert_eq!(find_labels("lb\u{e9}zzzzzzzzzzzzzzzzzzzz", LABEL).count(), 0);
    }
}
