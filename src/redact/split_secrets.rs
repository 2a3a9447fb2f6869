//! Secrets that an event stream parts: half in one event, half in a later one.
//!
//! What stands at the same place of many events is read together, and so is all prose as it came, whatever block it
//! belongs to; where a secret stands in several pieces, their lines are written anew and no event is lost. Lines without
//! one are left byte for byte.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::redact::replacement::{ByteReplacement, merge_overlapping, replace_bytes};

/// What the pieces of a model's answer are called, by the Messages API and others.
const PROSE_FIELDS: [&str; 13] = [
    "text",
    "partial_json",
    "thinking",
    "signature",
    "cited_text",
    "data",
    "content",
    "reasoning_content",
    "reasoning",
    "arguments",
    "completion",
    "response",
    "delta",
];

/// The byte order mark, which may stand before a stream and is none of its first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line that holds one event, or the first of several that do.
struct EventLine<'a> {
    start: usize,
    end: usize,
    /// Where the next line begins.
    next_start: usize,
    /// The event's other lines, with their ends: all of it is written into the first.
    continuation_lines: Vec<(usize, usize)>,
    /// Whether it begins with `data:`.
    is_data: bool,
    /// The event; `None` where it is a text of its own.
    event: Option<Value>,
    text: &'a str,
}

/// One string of one event.
#[derive(Clone, Copy)]
struct StringPart<'a> {
    line_index: usize,
    /// Which of the event's strings it is, in order.
    string_index: usize,
    text: &'a str,
}

/// Strings that are read together.
#[derive(Default)]
struct StringSequence<'a> {
    parts: Vec<StringPart<'a>>,
    is_prose: bool,
}

/// The lines that are to be written anew. `places` finds secrets in a text, and is told whether it is prose: what is no
/// prose is put together from ids and the like, in which only secrets that are known mean anything.
pub fn find_replacements(body: &[u8], places: impl Fn(&[u8], bool) -> Vec<ByteReplacement>) -> Vec<ByteReplacement> {
    // One event parts nothing, and one line is no more than an event.
    if memchr::memchr2(b'\n', b'\r', body.trim_ascii()).is_none() {
        return Vec::new();
    }
    let lines = parse_lines(body);
    if lines.len() < 2 {
        return Vec::new();
    }
    let mut found: BTreeMap<(usize, usize), Vec<ByteReplacement>> = BTreeMap::new();
    for sequence in group_strings(&lines) {
        for ((line, nth), edit) in find_in_sequence(&sequence, &places) {
            found.entry((line, nth)).or_default().push(edit);
        }
    }
    let mut by_line: BTreeMap<usize, BTreeMap<usize, Vec<ByteReplacement>>> = BTreeMap::new();
    for ((line, nth), edits) in found {
        by_line.entry(line).or_default().insert(nth, merge_overlapping(edits));
    }
    by_line.into_iter().flat_map(|(nth, strings)| rewrite_line(&lines[nth], &strings)).collect()
}

fn parse_lines(body: &[u8]) -> Vec<EventLine<'_>> {
    let mut lines = Vec::new();
    // The data lines of one event, which is over with an empty line.
    let mut of_event = Vec::new();
    let mut next = if body.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    while next < body.len() {
        let (start, rest) = (next, &body[next..]);
        let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        next += length + if rest[length..].starts_with(b"\r\n") { 2 } else { usize::from(length < rest.len()) };
        if length == 0 {
            flush_event(&mut of_event, &mut lines);
        }
        let bare = rest[..length].trim_ascii_end();
        let end = start + bare.len();
        let is_data = bare.starts_with(b"data:");
        let data = if is_data { bare[5..].trim_ascii_start() } else { bare };
        // Streams of JSON lines have no more than the event.
        if data.is_empty() || !(is_data || data.starts_with(b"{")) {
            continue;
        }
        // What is not UTF-8 is nobody's stream of texts.
        let Ok(text) = std::str::from_utf8(data) else { continue };
        let event = serde_json::from_str(text).ok();
        let line = EventLine { start, end, next_start: next, continuation_lines: Vec::new(), is_data, event, text };
        if is_data {
            of_event.push(line);
        } else if line.event.is_some() {
            flush_event(&mut of_event, &mut lines);
            lines.push(line);
        }
    }
    flush_event(&mut of_event, &mut lines);
    lines
}

/// Takes over the data lines of one event: as one where they are a JSON text only together.
fn flush_event<'a>(of_event: &mut Vec<EventLine<'a>>, lines: &mut Vec<EventLine<'a>>) {
    let is_parted = of_event.len() > 1 && of_event.iter().any(|line| line.event.is_none());
    let together = || of_event.iter().map(|line| line.text).collect::<Vec<_>>().join("\n");
    let event: Option<Value> = is_parted.then(together).and_then(|text| serde_json::from_str(&text).ok());
    if event.is_none() {
        lines.append(of_event);
        return;
    }
    let mut parts = of_event.drain(..);
    let Some(first) = parts.next() else { return };
    let more = parts.map(|line| (line.start, line.next_start)).collect();
    lines.push(EventLine { event, continuation_lines: more, ..first });
}

fn group_strings<'a>(lines: &'a [EventLine<'a>]) -> Vec<StringSequence<'a>> {
    // By the block they belong to and their place in the event; and the prose of all blocks.
    let mut by_place: HashMap<(u64, u64), StringSequence<'_>> = HashMap::new();
    let mut all = StringSequence { parts: Vec::new(), is_prose: true };
    for (line, of) in lines.iter().enumerate() {
        let block = of.event.as_ref().map_or(0, |event| event["index"].as_u64().unwrap_or_default());
        let mut nth = 0;
        let mut take = |place: u64, name: &str, text: &'a str| {
            let part = StringPart { line_index: line, string_index: nth, text };
            nth += 1;
            if text.is_empty() {
                return;
            }
            let is_prose = PROSE_FIELDS.contains(&name);
            if is_prose {
                all.parts.push(part);
            }
            let sequence = by_place.entry((block, place)).or_default();
            sequence.is_prose = is_prose;
            sequence.parts.push(part);
        };
        match &of.event {
            Some(event) => for_each_string(event, 0, "", &mut take),
            None => take(0, "data", of.text),
        }
    }
    by_place.into_values().chain([all]).filter(|sequence| sequence.parts.len() > 1).collect()
}

/// Calls with the place (as a number that stands for it), the name and the text of every string, in order.
fn for_each_string<'a>(value: &'a Value, place: u64, name: &str, take: &mut impl FnMut(u64, &str, &'a str)) {
    // Two places of the same number would be read together, which harms nobody.
    let below = |key: &[u8]| {
        key.iter().chain(b"/").fold(place, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
    };
    match value {
        Value::String(text) => take(place, name, text),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| for_each_string(item, below(&i.to_le_bytes()), name, take));
        }
        Value::Object(map) => {
            map.iter().for_each(|(key, item)| for_each_string(item, below(key.as_bytes()), key, take));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Where secrets stand in more than one part: each part's edits, by its line and number.
fn find_in_sequence(
    sequence: &StringSequence<'_>,
    places: impl Fn(&[u8], bool) -> Vec<ByteReplacement>,
) -> Vec<((usize, usize), ByteReplacement)> {
    let mut from = 0;
    let mut whole = String::new();
    let parts: Vec<(usize, usize, StringPart<'_>)> = sequence
        .parts
        .iter()
        .map(|part| {
            let start = from;
            from += part.text.len();
            whole.push_str(part.text);
            (start, from, *part)
        })
        .collect();
    let mut edits = Vec::new();
    for place in places(whole.as_bytes(), sequence.is_prose) {
        let first = parts.partition_point(|(_, end, _)| *end <= place.start);
        let touched = parts[first..].iter().take_while(|(start, ..)| *start < place.end);
        // What stands in one part alone is found in its line.
        if touched.clone().count() < 2 {
            continue;
        }
        for (start, end, part) in touched {
            // What stands for the secret goes where it begins; the rest of it leaves nothing.
            let with = if place.start >= *start { place.replacement.clone() } else { Vec::new() };
            let edit = ByteReplacement::new(place.start.max(*start) - start, place.end.min(*end) - start, with);
            edits.push(((part.line_index, part.string_index), edit));
        }
    }
    edits
}

/// The line with its strings edited; what was the rest of its event is taken away.
fn rewrite_line(line: &EventLine<'_>, strings: &BTreeMap<usize, Vec<ByteReplacement>>) -> Vec<ByteReplacement> {
    let text = |text: &str, edits: &[ByteReplacement]| {
        String::from_utf8_lossy(&replace_bytes(text.as_bytes(), edits)).into_owned()
    };
    let data = match &line.event {
        Some(event) => {
            let mut event = event.clone();
            let mut nth = 0;
            map_strings(&mut event, &mut |string| {
                if let Some(edits) = strings.get(&nth) {
                    *string = text(string, edits);
                }
                nth += 1;
            });
            event.to_string()
        }
        None => strings.get(&0).map_or_else(|| line.text.to_owned(), |edits| text(line.text, edits)),
    };
    let whole = ByteReplacement::new(line.start, line.end, if line.is_data { format!("data: {data}") } else { data });
    let more = line.continuation_lines.iter().map(|(start, next)| ByteReplacement::new(*start, *next, ""));
    std::iter::once(whole).chain(more).collect()
}

/// Changes every string, in the order of [`each_string`].
fn map_strings(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| map_strings(item, change)),
        Value::Object(map) => map.values_mut().for_each(|item| map_strings(item, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Finds the word "canary" wherever it stands.
    fn find_canary(text: &[u8], _: bool) -> Vec<ByteReplacement> {
        let text = String::from_utf8_lossy(text);
        text.match_indices("canary").map(|(at, found)| ByteReplacement::new(at, at + found.len(), "<secret>")).collect()
    }

    fn redact_stream(body: &str) -> String {
        String::from_utf8(replace_bytes(body.as_bytes(), &find_replacements(body.as_bytes(), find_canary))).unwrap()
    }

    #[test]
    fn parts_are_put_together_wherever_an_event_keeps_them() {
        for body in [
            "data: {\"a\":{\"b\":\"a can\"}}\n\ndata: {\"a\":{\"b\":\"ary b\"}}\n\n",
            "{\"message\":{\"content\":\"a ca\"}}\n{\"message\":{\"content\":\"nary b\"}}\n",
            "data: a can\r\n\r\ndata: ary b\r\n\r\n",
            "data: {\"index\":0,\"delta\":{\"text\":\"a can\"}}\n\ndata: {\"index\":1,\"delta\":{\"thinking\":\"ary b\"}}\n\n",
            "data: {\"c\":[{\"x\":\"c\"},{\"x\":\"no\"}]}\ndata: {\"c\":[{\"x\":\"\"}]}\ndata: {\"c\":[{\"x\":\"anary\"}]}\n",
        ] {
            let edited = redact_stream(body);
            assert!(edited.contains("<secret>") && !edited.contains("ary\"") && !edited.contains("ary b"), "{edited}");
            assert_eq!(edited.lines().count(), body.lines().count());
        }
    }

    #[test]
    fn an_event_may_have_several_lines() {
        for (body, whole) in [
            (
                "data: {\"text\":\ndata:  \"a can\"}\n\ndata: {\ndata: \"text\":\"ary b\"\ndata: }\n\n",
                "data: {\"text\":\"a <secret>\"}\n\ndata: {\"text\":\" b\"}\n\n",
            ),
            (
                "data: {\"text\":\r\nid: 1\r\ndata:\r\ndata: \"a can\"}\r\n\r\ndata: {\"text\":\"ary b\"}\r\n\r\n",
                "data: {\"text\":\"a <secret>\"}\r\nid: 1\r\ndata:\r\n\r\ndata: {\"text\":\" b\"}\r\n\r\n",
            ),
            (
                "data: {\"text\":\rdata: \"a can\"}\r\rdata: {\"text\":\rdata: \"ary b\"}",
                "data: {\"text\":\"a <secret>\"}\r\rdata: {\"text\":\" b\"}\r",
            ),
        ] {
            assert_eq!(redact_stream(body), whole);
            // In one of them alone, or in none, it is left as it came.
            let sound = body.replace("can", "no").replace("ary", "canary");
            assert_eq!(redact_stream(&sound), sound);
        }
    }

    #[test]
    fn a_byte_order_mark_hides_no_line() {
        for (body, whole) in [
            (
                "\u{feff}data: {\"text\":\"a can\"}\n\ndata: {\"text\":\"ary b\"}\n\n",
                "\u{feff}data: {\"text\":\"a <secret>\"}\n\ndata: {\"text\":\" b\"}\n\n",
            ),
            (
                "\u{feff}{\"text\":\"a can\"}\n{\"text\":\"ary b\"}\n",
                "\u{feff}{\"text\":\"a <secret>\"}\n{\"text\":\" b\"}\n",
            ),
        ] {
            assert_eq!(redact_stream(body), whole);
        }
    }

    #[test]
    fn what_is_not_parted_is_left_as_it_came() {
        for body in [
            "data: {\"text\" :  \"canary\"}\n\ndata:{\"text\":\"more\"}\n\n",
            "{\n  \"text\": \"can\",\n  \"more\": \"ary\"\n}\n",
            "data: {\"id\":\"can\",\"text\":\"a\"}\n\ndata: {\"text\":\"ary\"}\n\n",
            "",
        ] {
            assert_eq!(redact_stream(body), body);
        }
    }
}
