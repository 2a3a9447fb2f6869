//! Server-sent events: bytes in, frames out, in whatever pieces the bytes come.
//!
//! The decoder is our own, not a crate's, because the frames themselves are under test: a reader that repairs a
//! missing event name or passes over a broken line hides what a client would trip over. It follows the event stream
//! rules of the HTML standard (section 9.2.6), keeps what those rules throw away where it matters, and judges nothing.
//!
//! [`parts`] goes through a body that is there as a whole, one frame at a time and without copies; [`Decoder`] takes
//! bytes as they come. Both cut the same frames.

use std::borrow::Cow;

use memchr::memchr2;

/// One frame: what stood between two blank lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseFrame<'a> {
    /// The value of the last `event:` line, if there was one.
    pub event: Option<Cow<'a, str>>,
    /// The values of the `data:` lines, joined with newlines; `None` when there was no such line.
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

/// What a line is for, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SseField {
    Event,
    Data,
    /// Comments (an empty name), `id` and `retry`: they carry nothing that the Messages API uses.
    Unused,
    /// No part of the format. Readers are told to pass over it.
    Unknown,
}

impl SseField {
    /// The field of a line that is not blank, and its value.
    fn parse_line(line: &str) -> (Self, &str) {
        let (name, value) = match line.split_once(':') {
            Some((name, value)) => (name, value.strip_prefix(' ').unwrap_or(value)),
            None => (line, ""),
        };
        let field = match name {
            "event" => Self::Event,
            "data" => Self::Data,
            "" | "id" | "retry" => Self::Unused,
            _ => Self::Unknown,
        };
        (field, value)
    }
}

/// A part of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SseItem<'a> {
    /// A frame.
    Frame(SseFrame<'a>),
    /// A line that is no part of the event stream format.
    UnknownLine(&'a str),
    /// At the end, what has no blank line behind it. By the rules it is no frame; it is told apart, so that a cut stream
    /// can be told from a whole one.
    Unterminated(SseFrame<'a>),
}

/// The parts of a whole body, in order.
#[derive(Debug, Clone)]
pub struct SseItems<'a> {
    text: &'a str,
    frame: SseFrame<'a>,
}

/// A whole body as text, with broken bytes replaced, and where the first of those stands. Line ends are ASCII, so it makes
/// no difference to the frames whether this is done to the body or to each of its lines.
pub fn decode_text(body: &[u8]) -> (Cow<'_, str>, Option<usize>) {
    // Several times as fast as the lossy way, which is hardly ever needed.
    match std::str::from_utf8(body) {
        Ok(text) => (Cow::Borrowed(text), None),
        Err(error) => (String::from_utf8_lossy(body), Some(error.valid_up_to())),
    }
}

/// Goes through a whole body.
pub fn iter_items(text: &str) -> SseItems<'_> {
    SseItems { text: text.strip_prefix('\u{feff}').unwrap_or(text), frame: SseFrame::default() }
}

impl<'a> SseItems<'a> {
    /// The next line. The end of the body ends a line as well.
    fn next_line(&mut self) -> Option<&'a str> {
        if self.text.is_empty() {
            return None;
        }
        let Some(end) = memchr2(b'\n', b'\r', self.text.as_bytes()) else {
            return Some(std::mem::take(&mut self.text));
        };
        let (line, rest) = self.text.split_at(end);
        self.text = rest.strip_prefix("\r\n").unwrap_or(&rest[1..]);
        Some(line)
    }
}

impl<'a> Iterator for SseItems<'a> {
    type Item = SseItem<'a>;

    fn next(&mut self) -> Option<SseItem<'a>> {
        while let Some(line) = self.next_line() {
            if line.is_empty() {
                if !self.frame.is_empty() {
                    return Some(SseItem::Frame(std::mem::take(&mut self.frame)));
                }
                continue;
            }
            match SseField::parse_line(line) {
                (SseField::Unknown, _) => return Some(SseItem::UnknownLine(line)),
                (field, value) => self.frame.add_field(field, Cow::Borrowed(value)),
            }
        }
        (!self.frame.is_empty()).then(|| SseItem::Unterminated(std::mem::take(&mut self.frame)))
    }
}

/// An incremental decoder. Feed it bytes; it hands out every frame that became whole.
#[derive(Debug, Default)]
pub struct SseDecoder {
    /// The beginning of a line that is not at its end yet.
    line: Vec<u8>,
    frame: SseFrame<'static>,
    started: bool,
    after_cr: bool,
}

impl SseDecoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and appends the frames they complete to `frames`.
    pub fn feed(&mut self, bytes: &[u8], frames: &mut Vec<SseFrame<'static>>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            // CR, LF and CRLF all end a line; a CRLF may be split between two pieces.
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', rest) else {
                self.line.extend_from_slice(rest);
                return;
            };
            self.line.extend_from_slice(&rest[..end]);
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            self.end_line(frames);
        }
    }

    /// Ends the stream. A frame without its blank line is not a frame by the rules; it is handed out separately, so
    /// that a cut stream can be told from a whole one.
    pub fn finish(mut self) -> Option<SseFrame<'static>> {
        if !self.line.is_empty() {
            self.end_line(&mut Vec::new());
        }
        (!self.frame.is_empty()).then_some(self.frame)
    }

    fn end_line(&mut self, frames: &mut Vec<SseFrame<'static>>) {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.started, true) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if !line.is_empty() {
            let text = String::from_utf8_lossy(&line);
            let (field, value) = SseField::parse_line(&text);
            self.frame.add_field(field, Cow::Owned(value.to_owned()));
        } else if !self.frame.is_empty() {
            frames.push(std::mem::take(&mut self.frame));
        }
        line.clear();
        self.line = line;
    }
}

/// Decodes a whole body: its frames, and what was left without a blank line at the end.
pub fn decode(bytes: &[u8]) -> (Vec<SseFrame<'static>>, Option<SseFrame<'static>>) {
    let mut decoder = SseDecoder::new();
    let mut frames = Vec::new();
    decoder.feed(bytes, &mut frames);
    let rest = decoder.finish();
    (frames, rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(event: Option<&'static str>, data: Option<&'static str>) -> SseFrame<'static> {
        SseFrame { event: event.map(Cow::Borrowed), data: data.map(Cow::Borrowed) }
    }

    /// What [`parts`] finds, as [`decode`] tells it.
    fn collect_items(text: &str) -> (Vec<SseFrame<'_>>, Option<SseFrame<'_>>) {
        let (mut frames, mut rest) = (Vec::new(), None);
        for part in iter_items(text) {
            match part {
                SseItem::Frame(frame) => frames.push(frame),
                SseItem::UnknownLine(_) => {}
                SseItem::Unterminated(frame) => rest = Some(frame),
            }
        }
        (frames, rest)
    }

    #[test]
    fn frames_of_one_line_of_data_are_not_copied_and_stray_lines_are_told() {
        let text = "event: a\ndata: 1\n\nhello\nid: 3\ndata: 2";
        let found: Vec<_> = iter_items(text).collect();
        assert!(matches!(
            &found[0],
            SseItem::Frame(SseFrame { event: Some(Cow::Borrowed("a")), data: Some(Cow::Borrowed("1")) })
        ));
        assert_eq!(found[1..], [SseItem::UnknownLine("hello"), SseItem::Unterminated(frame(None, Some("2")))]);
    }

    #[test]
    fn frames_end_at_blank_lines_whatever_the_line_ending() {
        for text in [
            "event: a\ndata: 1\n\ndata: 2\n\n",
            "event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n",
            "event: a\rdata: 1\r\rdata: 2\r\r",
        ] {
            let (frames, rest) = decode(text.as_bytes());
            assert_eq!(frames, [frame(Some("a"), Some("1")), frame(None, Some("2"))], "{text:?}");
            assert_eq!(rest, None, "{text:?}");
        }
    }

    #[test]
    fn comments_a_byte_order_mark_and_unknown_fields_are_passed_over() {
        let (frames, _) =
            decode(b"\xef\xbb\xbfevent:x\n: keep-alive\nid: 7\ndata:a\ndata: b\nretry: 3\n\n\n\n: only a comment\n\n");
        assert_eq!(frames, [frame(Some("x"), Some("a\nb"))]);
    }

    #[test]
    fn a_frame_without_its_blank_line_is_told_apart() {
        let (frames, rest) = decode(b"data: 1\n\nevent: cut\ndata: {\"ty");
        assert_eq!(frames, [frame(None, Some("1"))]);
        assert_eq!(rest, Some(frame(Some("cut"), Some("{\"ty"))));
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_frames(
            lines in prop::collection::vec(prop::sample::select(vec![
                "event: message_start", "data: {\"a\":1}", "data:", "", "", ": ping", "data: caf\u{e9} \u{4f60}", "bare", "event:", "\u{feff}data: x",
            ]), 0..40),
            ending in prop::sample::select(vec!["\n", "\r\n", "\r"]),
            cuts in prop::collection::vec(1usize..7, 0..80),
        ) {
            let text = &lines.join(ending);
            let bytes = text.as_bytes();
            let (whole, whole_rest) = decode(bytes);
            let mut decoder = SseDecoder::new();
            let mut frames = Vec::new();
            let mut at = 0;
            for cut in cuts {
                let end = (at + cut).min(bytes.len());
                decoder.feed(&bytes[at..end], &mut frames);
                at = end;
            }
            decoder.feed(&bytes[at..], &mut frames);
            prop_assert_eq!(&frames, &whole);
            prop_assert_eq!(decoder.finish(), whole_rest.clone());
            prop_assert_eq!(collect_items(text), (whole, whole_rest));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let whole = decode(&bytes);
            let (text, _) = decode_text(&bytes);
            prop_assert_eq!(collect_items(&text), whole);
        }
    }
}
