//! Smaller actions of adversaries.

pub mod lenient;
pub mod strict;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

/// English words in responses, and their German translations.
const GERMAN: [(&str, &str); 13] = [
    ("hello", "hallo"),
    ("yes", "ja"),
    ("no", "nein"),
    ("red", "rot"),
    ("green", "grün"),
    ("blue", "blau"),
    ("yellow", "gelb"),
    ("black", "schwarz"),
    ("white", "weiß"),
    ("grey", "grau"),
    ("gray", "grau"),
    ("purple", "lila"),
    ("brown", "braun"),
];

/// Translates the texts of a message into German, word by word. Returns whether anything changed.
pub fn into_german(message: &mut Value) -> bool {
    let mut changed = false;
    for block in message["content"].as_array_mut().into_iter().flatten() {
        let Some(text) = block["text"].as_str() else { continue };
        let words = text.split_inclusive(|c: char| !c.is_alphabetic()).map(|piece| {
            let word = piece.trim_end_matches(|c: char| !c.is_alphabetic());
            match GERMAN.iter().find(|(english, _)| word.eq_ignore_ascii_case(english)) {
                Some((_, german)) => piece.replacen(word, german, 1),
                None => piece.to_owned(),
            }
        });
        let german: String = words.collect();
        changed |= german != text;
        block["text"] = Value::from(german);
    }
    changed
}

/// The cache key of a prompt: everything that the model reads, without cache markers.
pub fn prompt(body: &Value) -> String {
    let mut prompt = [&body["tools"], &body["system"], &body["messages"]].map(Value::clone);
    prompt.iter_mut().for_each(without_marks);
    prompt.map(|part| part.to_string()).concat()
}

fn without_marks(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.shift_remove("cache_control");
            map.values_mut().for_each(without_marks);
        }
        Value::Array(list) => list.iter_mut().for_each(without_marks),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// 0 or 1, always the same for a request of a run.
pub fn chance(number: usize, salt: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    (number, salt, "which of two").hash(&mut hasher);
    (hasher.finish() >> 17) as usize & 1
}
