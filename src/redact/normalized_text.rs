//! [`NormalizedText`]: a text as its last reader sees it, without the escapes of JSON, JavaScript,
//! URLs and HTML, at any depth. Each byte knows its place in the original.
//!
//! One pass: each escape is decoded as soon as it is complete, and the decoded character may
//! complete an escape around it. A decoded escape is shorter than the escape, so the time is linear.

use std::ops::Range;
use std::slice;

use memchr::{memchr, memchr3};

use crate::redact::escape::{ESCAPE_BYTES, EscapeState, EscapedValue, absorbs_zero, parse_escape};

/// The maximum number of escapes that are incomplete at the same time, one inside the other.
const MAX_NESTED_ESCAPES: usize = 32;

/// Ends an escape at the end of the text. It occurs in no UTF-8 text.
const END_BYTE: u8 = 0xff;

/// Bytes, and the range of each byte in the original.
#[derive(Debug, Clone, Default)]
pub struct NormalizedText {
    pub bytes: Vec<u8>,
    ranges: Vec<(u32, u32)>,
    /// The start of a text without escapes, which needs no ranges.
    unchanged_start: Option<u32>,
    /// The bytes before an escape that the end of the text truncates.
    pub settled_len: usize,
    /// True if the text contained an escape or a NUL byte.
    pub has_changes: bool,
    /// The bytes that were read and written.
    pub steps: u64,
    /// The positions in `bytes` where incomplete escapes start.
    open_escapes: Vec<usize>,
    /// The end of the last HTML escape without `;`.
    unended_entity: Option<usize>,
    /// The end of the text in the original.
    pub original_end: usize,
}

impl NormalizedText {
    /// Decodes the joined parts of a body.
    pub fn decode(body: &[u8], parts: &[Range<usize>]) -> Self {
        if let [part] = parts
            && find_special(&body[part.clone()]).is_none()
        {
            return Self::copy(&body[part.clone()], part);
        }
        let mut text = Self::with_capacity(parts);
        for part in parts {
            text.push_part(body, part.clone());
        }
        text.settled_len = text.open_escapes.first().copied().unwrap_or(text.bytes.len());
        text.push(END_BYTE, (text.original_end as u32, text.original_end as u32));
        if text.bytes.last() == Some(&END_BYTE) {
            text.bytes.pop();
            text.ranges.pop();
        }
        text
    }

    /// A text without escapes.
    fn copy(text: &[u8], part: &Range<usize>) -> Self {
        Self {
            bytes: text.to_vec(),
            unchanged_start: Some(part.start as u32),
            settled_len: text.len(),
            original_end: part.end,
            steps: text.len() as u64,
            ..Self::default()
        }
    }

    fn with_capacity(parts: &[Range<usize>]) -> Self {
        let length = parts.iter().map(Range::len).sum();
        let original_end = parts.last().map_or(0, |part| part.end);
        Self { original_end, bytes: Vec::with_capacity(length), ranges: Vec::with_capacity(length), ..Self::default() }
    }

    /// The range of a byte in the original.
    pub fn original_range(&self, index: usize) -> (u32, u32) {
        match self.unchanged_start {
            Some(start) => (start + index as u32, start + index as u32 + 1),
            None => self.ranges[index],
        }
    }

    fn push_part(&mut self, body: &[u8], part: Range<usize>) {
        let range = |position: usize| (position as u32, position as u32 + 1);
        let mut position = part.start;
        while position < part.end {
            // The next byte may be the late end of an HTML escape.
            if self.open_escapes.is_empty() && self.unended_entity != Some(self.bytes.len()) {
                let rest = &body[position..part.end];
                let plain = find_special(rest).unwrap_or(rest.len());
                self.bytes.extend_from_slice(&rest[..plain]);
                self.ranges.extend((position..position + plain).map(range));
                self.steps += plain as u64;
                position += plain;
            }
            if let Some(byte) = body[..part.end].get(position) {
                self.push(*byte, range(position));
                position += 1;
            }
        }
    }

    /// Adds a byte, and decodes the escape that it completes.
    fn push(&mut self, byte: u8, range: (u32, u32)) {
        self.steps += 1;
        if byte == 0 {
            // UTF-16 has a NUL byte next to each letter.
            self.has_changes = true;
            return;
        }
        let innermost = self.open_escapes.last().copied();
        let is_absorbed = innermost.is_some_and(|start| {
            let escape = &self.bytes[start..];
            (byte == b'\\' && escape == b"\\") || (byte == b'0' && absorbs_zero(escape))
        });
        // The `;` of an HTML escape may be escaped itself.
        let is_late_end = byte == b';' && self.unended_entity == Some(self.bytes.len());
        if (is_absorbed || is_late_end)
            && let Some(last) = self.ranges.last_mut()
        {
            self.has_changes = true;
            last.1 = range.1;
            return;
        }
        if ESCAPE_BYTES.contains(&byte) {
            self.end_open_entity(innermost);
            if self.open_escapes.len() == MAX_NESTED_ESCAPES {
                self.open_escapes.remove(0);
            }
            self.open_escapes.push(self.bytes.len());
        }
        self.bytes.push(byte);
        self.ranges.push(range);
        if ESCAPE_BYTES.contains(&byte) {
            return;
        }
        while let Some(start) = self.open_escapes.last().copied() {
            match parse_escape(&self.bytes[start..]) {
                EscapeState::Incomplete => return,
                EscapeState::Invalid => drop(self.open_escapes.pop()),
                EscapeState::Complete(value, length) => {
                    self.open_escapes.pop();
                    return self.replace_escape(start, value, length);
                }
            }
        }
    }

    /// Decodes an HTML escape without `;`, which the start of the next escape ends.
    fn end_open_entity(&mut self, innermost: Option<usize>) {
        let Some(start) = innermost.filter(|start| self.bytes[*start] == b'&') else { return };
        let ended = [&self.bytes[start..], &[END_BYTE]].concat();
        if let EscapeState::Complete(value, length) = parse_escape(&ended) {
            self.open_escapes.pop();
            self.replace_escape(start, value, length);
            self.unended_entity = Some(self.bytes.len());
        }
    }

    fn replace_escape(&mut self, start: usize, value: EscapedValue, length: usize) {
        self.has_changes = true;
        let range = (self.ranges[start].0, self.ranges[start + length - 1].1);
        // An escape has at most some twelve bytes, so this copies few.
        let rest: Vec<(u8, (u32, u32))> =
            self.bytes[start + length..].iter().copied().zip(self.ranges[start + length..].iter().copied()).collect();
        self.bytes.truncate(start);
        self.ranges.truncate(start);
        match value {
            EscapedValue::Byte(byte) => self.push(byte, range),
            EscapedValue::Character(character) => {
                let mut buffer = [0; 4];
                character.encode_utf8(&mut buffer).bytes().for_each(|byte| self.push(byte, range));
            }
        }
        rest.into_iter().for_each(|(byte, range)| self.push(byte, range));
    }
}

/// The position of the first byte that may not stay.
fn find_special(bytes: &[u8]) -> Option<usize> {
    let escape = memchr3(ESCAPE_BYTES[0], ESCAPE_BYTES[1], ESCAPE_BYTES[2], bytes);
    memchr(0, &bytes[..escape.unwrap_or(bytes.len())]).or(escape)
}

/// A text without escapes, at any depth.
pub fn decode_escapes(text: &[u8]) -> Vec<u8> {
    NormalizedText::decode(text, slice::from_ref(&(0..text.len()))).bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_any_kind_and_depth_are_decoded() {
        for (escaped, plain) in [
            ("a\\u0073b", "asb"),
            ("a\\\\\\\\u0073b", "asb"),
            ("\\u{73}\\u{000073}\\x73\\163", "ssss"),
            ("%73 %2573 %252573 %u0073", "s s s s"),
            ("&#115;&#x73;&#0000000000000000000000115;&#X00000000000000000073;", "ssss"),
            ("&#115-&#x73 &#115", "s-s s"),
            ("&sol;&plus;&equals;&amp;sol;&lt&amp&quot;", "/+=/<&\""),
            ("\\u0026#115; %26%23115%3B \\u005cu0073 &#38;#115;", "s s s s"),
            ("&a%6dp;#115;", "s"),
            ("%2%3%35 x", "% x"),
            ("\\n\\r\\t\\/\\\"", "\n\r\t/\""),
            ("100%, a & b, &, %, &#; &unknown; %zz", "100%, a & b, &, %, &#; &unknown; %zz"),
            ("s\0k\0", "sk"),
            ("\\u00e9%C3%A9&#233;", "ééé"),
            ("\\uzz12 \\ud800", "uzz12 \u{fffd}"),
        ] {
            let decoded = decode_escapes(escaped.as_bytes());
            assert_eq!(String::from_utf8_lossy(&decoded), plain, "{escaped}");
        }
    }

    #[test]
    fn each_byte_knows_its_place() {
        let escaped = "ab&#0115;c%25";
        let text = NormalizedText::decode(escaped.as_bytes(), slice::from_ref(&(0..escaped.len())));
        assert_eq!(text.bytes, b"absc%");
        assert_eq!(text.ranges, [(0, 1), (1, 2), (2, 9), (9, 10), (10, 13)]);
        let parts = NormalizedText::decode(b"a\\u0\"0\"73b", &[0..4, 5..6, 7..10]);
        assert_eq!((parts.bytes.as_slice(), parts.ranges[1]), (&b"asb"[..], (1, 9)));
        let truncated = NormalizedText::decode(b"ab\\u00", slice::from_ref(&(0..6)));
        assert_eq!(truncated.settled_len, 2);
    }

    #[test]
    fn the_steps_are_proportional_to_the_length_for_any_text() {
        for unit in [
            "\\", "&", "%", "&#", "&#0", "\\u{0", "%25", "&amp", "&amp;", "%2%3", "\\u005c", "\\n", "a", "\\u00",
            "&lt&",
        ] {
            for count in [1_000, 50_000] {
                let text = unit.repeat(count);
                let steps = NormalizedText::decode(text.as_bytes(), slice::from_ref(&(0..text.len()))).steps;
                assert!(steps <= 4 * text.len() as u64 + 8, "{unit} × {count}: {steps} steps");
            }
        }
    }
}
