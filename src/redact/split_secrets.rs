//! Finds secrets that are split over several events of a stream.
//!
//! The strings at the same path of all events are joined, and so is all prose in order, whatever
//! block it belongs to. If a joined text contains a secret that is split over several strings, the
//! lines of these strings are rewritten, and no event is lost. Other lines remain byte for byte.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::redact::replacement::{ByteReplacement, merge_overlapping, replace_text};
use crate::wire::sse::iter_lines;

/// The fields with parts of the text of a model, in the Messages API and similar APIs.
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

/// A line with an event, or the first of several lines with one event.
struct EventLine<'a> {
    start: usize,
    end: usize,
    next_start: usize,
    /// The start and end of the other lines of the event. A rewritten event is one line.
    continuation_lines: Vec<(usize, usize)>,
    /// True if the line begins with `data:`.
    is_data: bool,
    /// The event. `None` if the line is plain text.
    event: Option<Value>,
    text: &'a str,
}

/// One string of one event.
#[derive(Clone, Copy)]
struct StringPart<'a> {
    line_index: usize,
    /// The index among the strings of the event.
    string_index: usize,
    text: &'a str,
}

/// Strings that are joined.
#[derive(Default)]
struct StringSequence<'a> {
    parts: Vec<StringPart<'a>>,
    is_prose: bool,
}

/// The lines to rewrite. `find` finds secrets in a joined text. Its second argument is true for
/// prose. In other joined strings, such as ids, a text that looks like a key means nothing.
pub fn find_replacements(body: &[u8], find: impl Fn(&[u8], bool) -> Vec<ByteReplacement>) -> Vec<ByteReplacement> {
    // A single line has a single event, which splits nothing.
    if memchr::memchr2(b'\n', b'\r', body.trim_ascii()).is_none() {
        return Vec::new();
    }
    let lines = parse_lines(body);
    if lines.len() < 2 {
        return Vec::new();
    }
    let mut found: BTreeMap<(usize, usize), Vec<ByteReplacement>> = BTreeMap::new();
    for sequence in group_strings(&lines) {
        for (string, replacement) in find_in_sequence(&sequence, &find) {
            found.entry(string).or_default().push(replacement);
        }
    }
    let mut by_line: BTreeMap<usize, BTreeMap<usize, Vec<ByteReplacement>>> = BTreeMap::new();
    for ((line_index, string_index), replacements) in found {
        by_line.entry(line_index).or_default().insert(string_index, merge_overlapping(replacements));
    }
    by_line.into_iter().flat_map(|(line_index, strings)| rewrite_line(&lines[line_index], &strings)).collect()
}

fn parse_lines(body: &[u8]) -> Vec<EventLine<'_>> {
    let mut lines = Vec::new();
    // The data lines of the current event, which ends at an empty line.
    let mut event_lines = Vec::new();
    for line in iter_lines(body) {
        let (start, next) = (line.start, line.next_start);
        if line.bytes.is_empty() {
            flush_event(&mut event_lines, &mut lines);
        }
        let content = line.bytes.trim_ascii_end();
        let end = start + content.len();
        let is_data = content.starts_with(b"data:");
        let data = if is_data { content[5..].trim_ascii_start() } else { content };
        // In a stream of JSON lines, the line is the event.
        if data.is_empty() || !(is_data || data.starts_with(b"{")) {
            continue;
        }
        let Ok(text) = std::str::from_utf8(data) else { continue };
        let event = serde_json::from_str(text).ok();
        let line = EventLine { start, end, next_start: next, continuation_lines: Vec::new(), is_data, event, text };
        if is_data {
            event_lines.push(line);
        } else if line.event.is_some() {
            flush_event(&mut event_lines, &mut lines);
            lines.push(line);
        }
    }
    flush_event(&mut event_lines, &mut lines);
    lines
}

/// Moves the data lines of one event to `lines`: as one line if they are JSON only when joined.
fn flush_event<'a>(event_lines: &mut Vec<EventLine<'a>>, lines: &mut Vec<EventLine<'a>>) {
    let is_split = event_lines.len() > 1 && event_lines.iter().any(|line| line.event.is_none());
    let join = || event_lines.iter().map(|line| line.text).collect::<Vec<_>>().join("\n");
    let event: Option<Value> = is_split.then(join).and_then(|text| serde_json::from_str(&text).ok());
    if event.is_none() {
        lines.append(event_lines);
        return;
    }
    let mut rest = event_lines.drain(..);
    let Some(first) = rest.next() else { return };
    let continuation_lines = rest.map(|line| (line.start, line.next_start)).collect();
    lines.push(EventLine { event, continuation_lines, ..first });
}

fn group_strings<'a>(lines: &'a [EventLine<'a>]) -> Vec<StringSequence<'a>> {
    // By block and path in the event, and all prose together.
    let mut by_path: HashMap<(u64, u64), StringSequence<'_>> = HashMap::new();
    let mut prose = StringSequence { parts: Vec::new(), is_prose: true };
    for (line_index, line) in lines.iter().enumerate() {
        let block = line.event.as_ref().map_or(0, |event| event["index"].as_u64().unwrap_or_default());
        let mut string_index = 0;
        let mut add_string = |path_hash: u64, name: &str, text: &'a str| {
            let part = StringPart { line_index, string_index, text };
            string_index += 1;
            if text.is_empty() {
                return;
            }
            let is_prose = PROSE_FIELDS.contains(&name);
            if is_prose {
                prose.parts.push(part);
            }
            let sequence = by_path.entry((block, path_hash)).or_default();
            sequence.is_prose = is_prose;
            sequence.parts.push(part);
        };
        match &line.event {
            Some(event) => for_each_string(event, 0, "", &mut add_string),
            None => add_string(0, "data", line.text),
        }
    }
    by_path.into_values().chain([prose]).filter(|sequence| sequence.parts.len() > 1).collect()
}

/// Calls `visit` with the hash of the path, the name and the text of every string, in order.
fn for_each_string<'a>(value: &'a Value, path_hash: u64, name: &str, visit: &mut impl FnMut(u64, &str, &'a str)) {
    // A collision joins two unrelated paths, which does no harm.
    let child_hash = |key: &[u8]| {
        key.iter().chain(b"/").fold(path_hash, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(*byte)))
    };
    match value {
        Value::String(text) => visit(path_hash, name, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                for_each_string(item, child_hash(&index.to_le_bytes()), name, visit);
            }
        }
        Value::Object(map) => {
            map.iter().for_each(|(key, item)| for_each_string(item, child_hash(key.as_bytes()), key, visit));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The replacements for secrets that are split over several parts, by line index and string index.
fn find_in_sequence(
    sequence: &StringSequence<'_>,
    find: impl Fn(&[u8], bool) -> Vec<ByteReplacement>,
) -> Vec<((usize, usize), ByteReplacement)> {
    let mut joined = String::new();
    let parts: Vec<(usize, usize, StringPart<'_>)> = sequence
        .parts
        .iter()
        .map(|part| {
            let start = joined.len();
            joined.push_str(part.text);
            (start, joined.len(), *part)
        })
        .collect();
    let mut replacements = Vec::new();
    for secret in find(joined.as_bytes(), sequence.is_prose) {
        let first = parts.partition_point(|(_, end, _)| *end <= secret.start);
        let affected = parts[first..].iter().take_while(|(start, ..)| *start < secret.end);
        // A secret in a single part is found in its line.
        if affected.clone().count() < 2 {
            continue;
        }
        for (start, end, part) in affected {
            // The first part gets the marker. The other parts get nothing.
            let marker = if secret.start >= *start { secret.replacement.clone() } else { Vec::new() };
            let replacement =
                ByteReplacement::new(secret.start.max(*start) - start, secret.end.min(*end) - start, marker);
            replacements.push(((part.line_index, part.string_index), replacement));
        }
    }
    replacements
}

/// Rewrites a line with replacements in its strings, and removes the other lines of its event.
fn rewrite_line(line: &EventLine<'_>, strings: &BTreeMap<usize, Vec<ByteReplacement>>) -> Vec<ByteReplacement> {
    let data = match &line.event {
        Some(event) => {
            let mut event = event.clone();
            let mut string_index = 0;
            map_strings(&mut event, &mut |text| {
                if let Some(replacements) = strings.get(&string_index) {
                    *text = replace_text(std::mem::take(text), replacements);
                }
                string_index += 1;
            });
            event.to_string()
        }
        None => replace_text(line.text.to_owned(), strings.get(&0).map_or(&[], Vec::as_slice)),
    };
    let first = ByteReplacement::new(line.start, line.end, if line.is_data { format!("data: {data}") } else { data });
    let others = line.continuation_lines.iter().map(|(start, next)| ByteReplacement::new(*start, *next, ""));
    std::iter::once(first).chain(others).collect()
}

/// Changes every string, in the order of [`for_each_string`].
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
    use crate::redact::replacement::replace_bytes;

    /// Finds the word "canary".
    fn find_canary(text: &[u8], _: bool) -> Vec<ByteReplacement> {
        let text = String::from_utf8_lossy(text);
        text.match_indices("canary").map(|(at, found)| ByteReplacement::new(at, at + found.len(), "<secret>")).collect()
    }

    fn redact_stream(body: &str) -> String {
        String::from_utf8(replace_bytes(body.as_bytes(), &find_replacements(body.as_bytes(), find_canary))).unwrap()
    }

    #[test]
    fn split_strings_are_joined_in_every_kind_of_event() {
        for body in [
            "data: {\"a\":{\"b\":\"a can\"}}\n\ndata: {\"a\":{\"b\":\"ary b\"}}\n\n",
            "{\"message\":{\"content\":\"a ca\"}}\n{\"message\":{\"content\":\"nary b\"}}\n",
            "data: a can\r\n\r\ndata: ary b\r\n\r\n",
            "data: {\"index\":0,\"delta\":{\"text\":\"a can\"}}\n\ndata: {\"index\":1,\"delta\":{\"thinking\":\"ary b\"}}\n\n",
            "data: {\"c\":[{\"x\":\"c\"},{\"x\":\"no\"}]}\ndata: {\"c\":[{\"x\":\"\"}]}\ndata: {\"c\":[{\"x\":\"anary\"}]}\n",
        ] {
            let redacted = redact_stream(body);
            let has_rest = redacted.contains("ary\"") || redacted.contains("ary b");
            assert!(redacted.contains("<secret>") && !has_rest, "{redacted}");
            assert_eq!(redacted.lines().count(), body.lines().count());
        }
    }

    #[test]
    fn events_of_several_lines_are_joined() {
        for (body, expected) in [
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
            assert_eq!(redact_stream(body), expected);
            // A secret in a single event is not split.
            let unsplit = body.replace("can", "no").replace("ary", "canary");
            assert_eq!(redact_stream(&unsplit), unsplit);
        }
    }

    #[test]
    fn a_byte_order_mark_does_not_hide_the_first_line() {
        for (body, expected) in [
            (
                "\u{feff}data: {\"text\":\"a can\"}\n\ndata: {\"text\":\"ary b\"}\n\n",
                "\u{feff}data: {\"text\":\"a <secret>\"}\n\ndata: {\"text\":\" b\"}\n\n",
            ),
            (
                "\u{feff}{\"text\":\"a can\"}\n{\"text\":\"ary b\"}\n",
                "\u{feff}{\"text\":\"a <secret>\"}\n{\"text\":\" b\"}\n",
            ),
        ] {
            assert_eq!(redact_stream(body), expected);
        }
    }

    #[test]
    fn bodies_without_split_secrets_remain_unchanged() {
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
