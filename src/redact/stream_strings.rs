//! The strings of the events of a stream that a reader may join: [`for_each_sequence`].
//!
//! The strings at the same path of all events are joined, and so is all prose in order, whatever
//! block it belongs to. The strings are ranges of the body: nothing is copied, so invalid bytes and
//! truncated events do not matter. The lines of an event are those of the decoder of the protocol.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;

use crate::redact::normalized_text::decode_escapes;
use crate::wire::sse::{SseLineRole, iter_lines};

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

/// Deeper values share the path of their ancestor. The parsers accept no deeper values.
const MAX_PATH_DEPTH: usize = 128;

/// Data that is not JSON, line by line.
const TEXT_LINES_PATH: u64 = 0;

/// A string of an event, or one of its lines.
#[derive(Debug, Clone, Copy)]
struct StringPart {
    /// The hash of the block and the path. A collision joins two unrelated paths, which does no
    /// harm.
    path: u64,
    start: u32,
    end: u32,
    is_prose: bool,
}

/// Calls `visit` with the parts of each sequence, and with true for prose. In other sequences, such
/// as ids, a text that looks like a key means nothing. Sequences have at least two parts, or one if
/// the body is truncated.
pub fn for_each_sequence(body: &[u8], is_truncated: bool, mut visit: impl FnMut(&[Range<usize>], bool)) {
    // A single line has a single event, which splits nothing.
    if memchr::memchr2(b'\n', b'\r', body.trim_ascii()).is_none() {
        return;
    }
    let mut parts = collect_parts(body);
    let min_parts = if is_truncated { 1 } else { 2 };
    let mut visit = |parts: &[StringPart], is_prose| {
        if parts.len() >= min_parts {
            let ranges: Vec<Range<usize>> = parts.iter().map(|part| part.start as usize..part.end as usize).collect();
            visit(&ranges, is_prose);
        }
    };
    let prose: Vec<StringPart> = parts.iter().filter(|part| part.is_prose).copied().collect();
    visit(&prose, true);
    drop(prose);
    parts.sort_unstable_by_key(|part| (part.path, part.start));
    for sequence in parts.chunk_by(|one, next| one.path == next.path) {
        visit(sequence, sequence[0].is_prose || sequence[0].path == TEXT_LINES_PATH);
    }
}

fn collect_parts(body: &[u8]) -> Vec<StringPart> {
    let mut parts = Vec::new();
    let mut event = EventReader::default();
    for line in iter_lines(body) {
        let range = line.start..line.start + line.bytes.len();
        match line.role() {
            SseLineRole::Blank => event.finish(&mut parts),
            SseLineRole::Data(value_start) => event.read_line(body, range.start + value_start..range.end, &mut parts),
            SseLineRole::OtherField => {}
            // In a stream of JSON lines, the line is the event. Other clients ignore it.
            SseLineRole::Unknown if line.bytes.trim_ascii_start().starts_with(b"{") => {
                let mut own_event = EventReader { first_part: parts.len(), ..EventReader::default() };
                own_event.read_line(body, range, &mut parts);
                own_event.finish(&mut parts);
                event.first_part = parts.len();
            }
            SseLineRole::Unknown => {}
        }
    }
    event.finish(&mut parts);
    parts
}

/// An object or array that is open.
#[derive(Debug, Clone, Copy, Default)]
struct OpenContainer {
    is_object: bool,
    /// True before the key of an object.
    expects_key: bool,
    path: u64,
    /// The hash of the last key, or the index of the item.
    position: u64,
    /// True if strings at this position are prose.
    is_prose: bool,
    /// True for the number of a block.
    is_block_index: bool,
}

impl OpenContainer {
    fn child_path(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.path, self.position).hash(&mut hasher);
        hasher.finish().max(TEXT_LINES_PATH + 1)
    }
}

/// Reads the strings of one event. It accepts everything, because a reader may be as lenient.
#[derive(Debug, Default)]
struct EventReader {
    containers: Vec<OpenContainer>,
    /// Containers below the maximum depth.
    deeper: usize,
    /// True inside a string.
    is_in_string: bool,
    block: u64,
    /// The index of the first part of the current document.
    first_part: usize,
    lines: Vec<Range<usize>>,
}

impl EventReader {
    /// Reads a data line.
    fn read_line(&mut self, body: &[u8], line: Range<usize>, parts: &mut Vec<StringPart>) {
        let is_json = !self.lines.is_empty() || matches!(body[line.clone()].trim_ascii_start(), [b'{' | b'[', ..]);
        if !is_json {
            parts.push(StringPart {
                path: TEXT_LINES_PATH,
                start: line.start as u32,
                end: line.end as u32,
                is_prose: true,
            });
            self.first_part = parts.len();
            return;
        }
        self.lines.push(line.clone());
        let mut position = line.start;
        while position < line.end {
            position = match self.is_in_string {
                true => self.read_string(body, position..line.end, parts),
                false => {
                    self.read_byte(body[position], parts);
                    position + 1
                }
            };
        }
    }

    /// Reads the rest of a string. Returns the position after it.
    fn read_string(&mut self, body: &[u8], range: Range<usize>, parts: &mut Vec<StringPart>) -> usize {
        let mut end = range.start;
        while let Some(offset) = memchr::memchr2(b'"', b'\\', &body[end..range.end]) {
            end += offset;
            if body[end] == b'"' {
                self.is_in_string = false;
                break;
            }
            end = (end + 2).min(range.end);
        }
        if self.is_in_string {
            end = range.end;
        }
        let last = self.containers.last_mut();
        match last {
            Some(container) if container.expects_key => container.set_key(&body[range.start..end]),
            _ if end == range.start => {}
            last => {
                let (path, is_prose) =
                    last.map_or((1, false), |container| (container.child_path(), container.is_prose));
                parts.push(StringPart { path, start: range.start as u32, end: end as u32, is_prose });
            }
        }
        end + usize::from(!self.is_in_string)
    }

    /// Reads a byte outside of strings.
    fn read_byte(&mut self, byte: u8, parts: &mut [StringPart]) {
        let depth = self.containers.len();
        match (byte, self.containers.last_mut()) {
            (b'"', _) => self.is_in_string = true,
            (b'{' | b'[', _) if depth == MAX_PATH_DEPTH => self.deeper += 1,
            (b'{' | b'[', last) => {
                let path = last.as_ref().map_or(1, |container| container.child_path());
                let is_prose = byte == b'[' && last.is_some_and(|container| container.is_prose);
                let is_object = byte == b'{';
                let new = OpenContainer { is_object, expects_key: is_object, path, is_prose, ..Default::default() };
                self.containers.push(new);
            }
            (b'}' | b']', _) if self.deeper > 0 => self.deeper -= 1,
            (b'}' | b']', _) => {
                self.containers.pop();
                if self.containers.is_empty() {
                    self.finish_document(parts);
                }
            }
            (b':', Some(container)) => container.expects_key = false,
            (b',', Some(container)) if container.is_object => container.expects_key = true,
            (b',', Some(container)) => container.position += 1,
            (b'0'..=b'9', Some(container)) if container.is_block_index && depth == 1 => {
                self.block = self.block.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            }
            _ => {}
        }
    }

    /// The strings of the document belong to its block, whose number may be after them.
    fn finish_document(&mut self, parts: &mut [StringPart]) {
        for part in &mut parts[self.first_part..] {
            part.path = (OpenContainer { path: part.path, position: self.block, ..Default::default() }).child_path();
        }
        (self.first_part, self.block) = (parts.len(), 0);
    }

    fn finish(&mut self, parts: &mut Vec<StringPart>) {
        let is_complete = self.containers.is_empty() && !self.is_in_string;
        self.finish_document(parts);
        let mut lines = std::mem::take(&mut self.lines);
        if !is_complete {
            let to_part = |line: Range<usize>| StringPart {
                path: TEXT_LINES_PATH,
                start: line.start as u32,
                end: line.end as u32,
                is_prose: false,
            };
            parts.extend(lines.drain(..).map(to_part));
        }
        lines.clear();
        *self = Self { first_part: parts.len(), lines, ..Self::default() };
    }
}

impl OpenContainer {
    fn set_key(&mut self, key: &[u8]) {
        let decoded = key.contains(&b'\\').then(|| decode_escapes(key));
        let key = decoded.as_deref().unwrap_or(key);
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.position = hasher.finish();
        self.is_prose = PROSE_FIELDS.iter().any(|field| field.as_bytes() == key);
        self.is_block_index = key == b"index";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The joined texts of all sequences.
    fn join_sequences(body: &str, is_truncated: bool) -> Vec<String> {
        let mut texts = Vec::new();
        for_each_sequence(body.as_bytes(), is_truncated, |parts, _| {
            texts.push(parts.iter().map(|part| &body[part.clone()]).collect());
        });
        texts
    }

    #[test]
    fn strings_are_joined_in_every_kind_of_event() {
        for body in [
            "data: {\"a\":{\"b\":\"a can\"}}\n\ndata: {\"a\":{\"b\":\"ary b\"}}\n\n",
            "data: {\"a\":{\"b\":\"a can\"}}\n\ndata: {\"a\":{\"\\u0062\":\"ary b\"}}\n\n",
            "{\"message\":{\"content\":\"a ca\"}}\n{\"message\":{\"content\":\"nary b\"}}\n",
            "data: a can\r\n\r\ndata: ary b\r\n\r\n",
            "data: {\"index\":0,\"delta\":{\"text\":\"a can\"}}\n\ndata: {\"index\":1,\"delta\":{\"thinking\":\"ary b\"}}\n\n",
            "data: {\"delta\":{\"odd\":\"a can\"},\"index\":3}\n\ndata: {\"delta\":{\"odd\":\"z\"},\"index\":1}\n\ndata: {\"delta\":{\"odd\":\"ary b\"},\"index\":3}\n\n",
            "data: {\"c\":[{\"x\":\"a c\"},{\"x\":\"no\"}]}\ndata: {\"c\":[{\"x\":\"\"}]}\ndata: {\"c\":[{\"x\":\"anary b\"}]}\n",
            "data: {\"text\":\ndata:  \"a can\"}\n\ndata: {\ndata: \"text\":\"ary b\"\ndata: }\n\n",
            "data: {\"text\":\nstray\n: comment\nid: 4\ndata:  \"a can\"}\n\ndata: {\ndata: \"text\":\"ary b\"\ndata: }\n\n",
            "data: {\"text\":\rdata: \"a can\"}\r\rdata: {\"text\":\rdata: \"ary b\"}",
            "\u{feff}data: {\"text\":\"a can\"}\n\ndata: {\"text\":\"ary b\"}\n\n",
            "\u{feff}{\"text\":\"a can\"}\n{\"text\":\"ary b\"}\n",
            "data: {\"text\":\"a can\ndata: ary b\"}\n\n",
            "data: {broken a can\n\ndata: ary b\n\n",
            "data: {\"text\":\n{\"other\":\"x\"}\ndata: \"a can\"}\n\ndata: {\"text\":\"ary b\"}\n\n",
        ] {
            assert!(join_sequences(body, false).iter().any(|text| text.contains("a canary b")), "{body}");
        }
    }

    #[test]
    fn other_strings_are_not_joined() {
        for body in [
            "{\n  \"text\": \"can\",\n  \"more\": \"ary\"\n}\n",
            "data: {\"id\":\"can\",\"text\":\"a\"}\n\ndata: {\"text\":\"ary\"}\n\n",
            "data: {\"can\":1}\n\ndata: {\"ary\":1}\n\n",
            "",
            "data: {\"text\":\"can\",\"x\":\"ary\"}",
        ] {
            assert!(!join_sequences(body, true).iter().any(|text| text.contains("canary")), "{body}");
        }
        assert_eq!(join_sequences("data: {\"id\":\"can\"}\n\n: x", true), ["can"], "one string of a truncated body");
        assert!(join_sequences("data: {\"id\":\"can\"}\n\n: x", false).is_empty());
    }

    #[test]
    fn deep_and_wide_events_are_read() {
        for body in ["[".repeat(100_000), "data: {\"a\":".repeat(50_000), "data: []]]]}}}\"\"\"\\\n".repeat(9_999)] {
            join_sequences(&format!("data: {body}\n\ndata: x\n\n"), true);
        }
    }
}
