//! Decodes server-sent events: [`iter_items`], and [`iter_lines`] below it.
//!
//! The decoder follows the event stream rules of the HTML standard (section 9.2.6). A library
//! decoder is not suitable: the frames themselves are tested, and a decoder that repairs a missing
//! event name or skips a broken line hides a fault that breaks clients. This module keeps the lines
//! that the rules discard and must not judge them.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One frame: the fields between two blank lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseFrame<'a> {
    /// The value of the last `event:` line.
    pub event: Option<Cow<'a, str>>,
    /// The values of the `data:` lines, joined with newlines. `None` without such a line.
    pub data: Option<Cow<'a, str>>,
}

impl<'a> SseFrame<'a> {
    fn is_empty(&self) -> bool {
        self.event.is_none() && self.data.is_none()
    }

    fn add_field(&mut self, field: SseField, value: Cow<'a, str>) {
        match (field, &mut self.data) {
            (SseField::Event, _) => self.event = Some(value),
            (SseField::Data, Some(data)) => {
                let data = data.to_mut();
                data.push('\n');
                data.push_str(&value);
            }
            (SseField::Data, data @ None) => *data = Some(value),
            (SseField::Unused | SseField::Unknown, _) => {}
        }
    }
}

/// The field of a line, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SseField {
    Event,
    Data,
    /// Comments (an empty name), `id` and `retry`. The Messages API does not use them.
    Unused,
    /// Not a part of the format. Clients must ignore it.
    Unknown,
}

impl SseField {
    /// Splits a line that is not blank into its field and the start of its value.
    fn parse_line(line: &[u8]) -> (Self, usize) {
        let name_len = memchr(b':', line).unwrap_or(line.len());
        let value_start = match line[name_len..] {
            [_, b' ', ..] => name_len + 2,
            [_, ..] => name_len + 1,
            [] => name_len,
        };
        let field = match &line[..name_len] {
            b"event" => Self::Event,
            b"data" => Self::Data,
            b"" | b"id" | b"retry" => Self::Unused,
            _ => Self::Unknown,
        };
        (field, value_start)
    }
}

/// What the decoder does with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SseLineRole {
    /// Ends a frame.
    Blank,
    /// Adds the rest of the line, from this position of the line, to the data of the frame.
    Data(usize),
    /// Another field.
    OtherField,
    /// Not a part of the format.
    Unknown,
}

/// An item of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SseItem<'a> {
    /// A frame.
    Frame(SseFrame<'a>),
    /// A line that is not a part of the event stream format.
    UnknownLine(&'a str),
    /// Fields at the end of the body without a blank line after them. The rules say that they are
    /// not a frame. They show that a stream is incomplete.
    Unterminated(SseFrame<'a>),
}

/// A line of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseLine<'a> {
    /// The position of the line in the body.
    pub start: usize,
    /// The line without its end.
    pub bytes: &'a [u8],
    /// The position of the next line.
    pub next_start: usize,
}

impl SseLine<'_> {
    /// What the decoder does with the line.
    pub fn role(&self) -> SseLineRole {
        if self.bytes.is_empty() {
            return SseLineRole::Blank;
        }
        match SseField::parse_line(self.bytes) {
            (SseField::Data, value_start) => SseLineRole::Data(value_start),
            (SseField::Event | SseField::Unused, _) => SseLineRole::OtherField,
            (SseField::Unknown, _) => SseLineRole::Unknown,
        }
    }
}

/// The lines of a body, in order. The end of the body also ends a line.
#[derive(Debug, Clone)]
pub struct SseLines<'a> {
    body: &'a [u8],
    next_start: usize,
}

/// Iterates over the lines of a body, after its byte order mark. CR, LF and CRLF end a line.
pub fn iter_lines(body: &[u8]) -> SseLines<'_> {
    SseLines { body, next_start: if body.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 } }
}

impl<'a> Iterator for SseLines<'a> {
    type Item = SseLine<'a>;

    fn next(&mut self) -> Option<SseLine<'a>> {
        let start = self.next_start;
        let rest = self.body.get(start..).filter(|rest| !rest.is_empty())?;
        let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let end_length = if rest[length..].starts_with(b"\r\n") { 2 } else { usize::from(length < rest.len()) };
        self.next_start = start + length + end_length;
        Some(SseLine { start, bytes: &rest[..length], next_start: self.next_start })
    }
}

/// Decodes a complete body as text. Returns the position of the first byte that is not UTF-8; such
/// bytes are replaced. Line ends are ASCII, so decoding each line separately gives the same frames.
pub fn decode_text(body: &[u8]) -> (Cow<'_, str>, Option<usize>) {
    // Lossy decoding is much slower and rarely needed.
    match std::str::from_utf8(body) {
        Ok(text) => (Cow::Borrowed(text), None),
        Err(error) => (String::from_utf8_lossy(body), Some(error.valid_up_to())),
    }
}

/// The items of a complete body, in order.
#[derive(Debug, Clone)]
pub struct SseItems<'a> {
    text: &'a str,
    lines: SseLines<'a>,
    frame: SseFrame<'a>,
}

/// Iterates over the items of a complete body without copying them.
pub fn iter_items(text: &str) -> SseItems<'_> {
    SseItems { text, lines: iter_lines(text.as_bytes()), frame: SseFrame::default() }
}

impl<'a> Iterator for SseItems<'a> {
    type Item = SseItem<'a>;

    fn next(&mut self) -> Option<SseItem<'a>> {
        for line in self.lines.by_ref() {
            let line = &self.text[line.start..line.start + line.bytes.len()];
            if line.is_empty() {
                if !self.frame.is_empty() {
                    return Some(SseItem::Frame(std::mem::take(&mut self.frame)));
                }
                continue;
            }
            match SseField::parse_line(line.as_bytes()) {
                (SseField::Unknown, _) => return Some(SseItem::UnknownLine(line)),
                (field, value_start) => self.frame.add_field(field, Cow::Borrowed(&line[value_start..])),
            }
        }
        (!self.frame.is_empty()).then(|| SseItem::Unterminated(std::mem::take(&mut self.frame)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(event: Option<&'static str>, data: Option<&'static str>) -> SseFrame<'static> {
        SseFrame { event: event.map(Cow::Borrowed), data: data.map(Cow::Borrowed) }
    }

    /// Returns the frames of a body, and its unterminated fields.
    fn decode(text: &str) -> (Vec<SseFrame<'_>>, Option<SseFrame<'_>>) {
        let (mut frames, mut rest) = (Vec::new(), None);
        for item in iter_items(text) {
            match item {
                SseItem::Frame(frame) => frames.push(frame),
                SseItem::UnknownLine(_) => {}
                SseItem::Unterminated(frame) => rest = Some(frame),
            }
        }
        (frames, rest)
    }

    #[test]
    fn frames_with_one_data_line_are_borrowed_and_unknown_lines_are_kept() {
        let text = "event: a\ndata: 1\n\nhello\nid: 3\ndata: 2";
        let found: Vec<_> = iter_items(text).collect();
        assert!(matches!(
            &found[0],
            SseItem::Frame(SseFrame { event: Some(Cow::Borrowed("a")), data: Some(Cow::Borrowed("1")) })
        ));
        assert_eq!(found[1..], [SseItem::UnknownLine("hello"), SseItem::Unterminated(frame(None, Some("2")))]);
    }

    #[test]
    fn frames_end_at_blank_lines_with_any_line_ending() {
        for text in [
            "event: a\ndata: 1\n\ndata: 2\n\n",
            "event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n",
            "event: a\rdata: 1\r\rdata: 2\r\r",
        ] {
            let (frames, rest) = decode(text);
            assert_eq!(frames, [frame(Some("a"), Some("1")), frame(None, Some("2"))], "{text:?}");
            assert_eq!(rest, None, "{text:?}");
        }
    }

    #[test]
    fn comments_a_byte_order_mark_and_unused_fields_are_ignored() {
        let (frames, _) =
            decode("\u{feff}event:x\n: keep-alive\nid: 7\ndata:a\ndata: b\nretry: 3\n\n\n\n: only a comment\n\n");
        assert_eq!(frames, [frame(Some("x"), Some("a\nb"))]);
    }

    #[test]
    fn a_frame_without_its_blank_line_is_returned_separately() {
        let (frames, rest) = decode("data: 1\n\nevent: cut\ndata: {\"ty");
        assert_eq!(frames, [frame(None, Some("1"))]);
        assert_eq!(rest, Some(frame(Some("cut"), Some("{\"ty"))));
    }

    proptest! {
        #[test]
        fn any_line_ending_gives_the_same_frames(
            lines in prop::collection::vec(prop::sample::select(vec![
                "event: message_start", "data: {\"a\":1}", "data:", "", "", ": ping", "data: caf\u{e9} \u{4f60}", "bare", "event:", "\u{feff}data: x",
            ]), 0..40),
        ) {
            let [text, crlf, cr] = ["\n", "\r\n", "\r"].map(|ending| lines.join(ending));
            prop_assert_eq!(decode(&crlf), decode(&text));
            prop_assert_eq!(decode(&cr), decode(&text));
        }

        #[test]
        fn lines_cover_any_body(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut end = if bytes.starts_with(BYTE_ORDER_MARK) { 3 } else { 0 };
            for line in iter_lines(&bytes) {
                prop_assert_eq!(line.start, end);
                prop_assert!(memchr2(b'\n', b'\r', line.bytes).is_none());
                end = line.next_start;
            }
            prop_assert_eq!(end, bytes.len());
            let _ = decode(&decode_text(&bytes).0);
        }
    }
}
