//! Secrets that an event stream parts: half in one delta, half in the next.
//!
//! The deltas of a block are read together; where a secret stands in several of them, their lines are written anew and
//! no event is lost. Lines without one are left byte for byte.

use std::collections::BTreeMap;

use serde_json::Value;

use super::edit::{Edit, applied};

/// Where the texts of deltas stand in an event, by what the Messages API and others call them.
const TEXTS: [&str; 6] = [
    "/delta/text",
    "/delta/partial_json",
    "/delta/thinking",
    "/delta/signature",
    "/choices/0/delta/content",
    "/choices/0/delta/reasoning_content",
];

/// A line of a stream that holds a part of a text.
struct Part {
    start: usize,
    end: usize,
    event: Value,
    pointer: &'static str,
    /// Where its text begins in the text as a whole.
    from: usize,
    text: String,
}

/// The lines that are to be written anew. `places` finds secrets in a text.
pub fn edits(body: &[u8], places: impl Fn(&[u8]) -> Vec<Edit>) -> Vec<Edit> {
    let mut texts: BTreeMap<(u64, &'static str), Vec<Part>> = BTreeMap::new();
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n' || *byte == b'\r') {
        let (start, end) = (at, at + line.trim_ascii_end().len());
        at += line.len();
        let Some(data) = line.strip_prefix(b"data:") else { continue };
        let Ok(event) = serde_json::from_slice::<Value>(data) else { continue };
        let text = |pointer| Some((pointer, event.pointer(pointer)?.as_str()?.to_owned()));
        let Some((pointer, text)) = TEXTS.into_iter().find_map(text) else { continue };
        let parts = texts.entry((event["index"].as_u64().unwrap_or_default(), pointer)).or_default();
        let from = parts.last().map_or(0, |last| last.from + last.text.len());
        parts.push(Part { start, end, event, pointer, from, text });
    }
    let mut edits: Vec<Edit> = texts.into_values().flat_map(|parts| of_text(parts, &places)).collect();
    edits.sort_by_key(|edit| edit.start);
    edits
}

fn of_text(parts: Vec<Part>, places: impl Fn(&[u8]) -> Vec<Edit>) -> Vec<Edit> {
    let whole: String = parts.iter().map(|part| part.text.as_str()).collect();
    let within = |part: &Part, place: &Edit| part.from <= place.start && place.end <= part.from + part.text.len();
    let mut parted = places(whole.as_bytes());
    parted.retain(|place| !parts.iter().any(|part| within(part, place)));
    if parted.is_empty() {
        return Vec::new();
    }
    let rewritten = parts.into_iter().filter_map(|mut part| {
        let end = part.from + part.text.len();
        let touched: Vec<Edit> = parted
            .iter()
            .filter(|place| place.start < end && part.from < place.end)
            .map(|place| {
                // What stands for the secret goes where it begins; the rest of it leaves nothing.
                let with = if place.start >= part.from { place.with.clone() } else { Vec::new() };
                Edit::new(place.start.max(part.from) - part.from, place.end.min(end) - part.from, with)
            })
            .collect();
        if touched.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(&applied(part.text.as_bytes(), &touched)).into_owned();
        *part.event.pointer_mut(part.pointer)? = Value::from(text);
        Some(Edit::new(part.start, part.end, format!("data: {}", part.event)))
    });
    rewritten.collect()
}
