//! Server-sent events: bytes in, frames out, in whatever pieces the bytes come.
//!
//! The decoder is our own, not a crate's, because the frames themselves are under test: a reader that repairs a
//! missing event name or passes over a broken line hides what a client would trip over. It follows the event stream
//! rules of the HTML standard (section 9.2.6), keeps what those rules throw away where it matters, and judges nothing.

/// One frame: what stood between two blank lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// The value of the last `event:` line, if there was one.
    pub event: Option<String>,
    /// The values of the `data:` lines, joined with newlines; `None` when there was no such line.
    pub data: Option<String>,
}

impl Frame {
    fn is_empty(&self) -> bool {
        self.event.is_none() && self.data.is_none()
    }
}

/// An incremental decoder. Feed it bytes; it hands out every frame that became whole.
#[derive(Debug, Default)]
pub struct Decoder {
    line: Vec<u8>,
    frame: Frame,
    started: bool,
    after_cr: bool,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and appends the frames they complete to `frames`.
    pub fn feed(&mut self, bytes: &[u8], frames: &mut Vec<Frame>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            // CR, LF and CRLF all end a line; a CRLF may be split between two pieces.
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = rest.iter().position(|b| matches!(b, b'\n' | b'\r')) else {
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
    pub fn finish(mut self) -> Option<Frame> {
        if !self.line.is_empty() {
            self.end_line(&mut Vec::new());
        }
        (!self.frame.is_empty()).then_some(self.frame)
    }

    fn end_line(&mut self, frames: &mut Vec<Frame>) {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.started, true) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if line.is_empty() {
            if !self.frame.is_empty() {
                frames.push(std::mem::take(&mut self.frame));
            }
            return;
        }
        let text = String::from_utf8_lossy(&line);
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, value.strip_prefix(' ').unwrap_or(value)),
            None => (text.as_ref(), ""),
        };
        match name {
            "event" => self.frame.event = Some(value.to_owned()),
            "data" => match &mut self.frame.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.frame.data = Some(value.to_owned()),
            },
            // Comments (an empty name), `id`, `retry` and unknown fields carry nothing that the Messages API uses.
            _ => {}
        }
    }
}

/// Decodes a whole body: its frames, and what was left without a blank line at the end.
pub fn decode(bytes: &[u8]) -> (Vec<Frame>, Option<Frame>) {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    decoder.feed(bytes, &mut frames);
    let rest = decoder.finish();
    (frames, rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(event: Option<&str>, data: Option<&str>) -> Frame {
        Frame { event: event.map(str::to_owned), data: data.map(str::to_owned) }
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
            let text = lines.join(ending);
            let bytes = text.as_bytes();
            let (whole, whole_rest) = decode(bytes);
            let mut decoder = Decoder::new();
            let mut frames = Vec::new();
            let mut at = 0;
            for cut in cuts {
                let end = (at + cut).min(bytes.len());
                decoder.feed(&bytes[at..end], &mut frames);
                at = end;
            }
            decoder.feed(&bytes[at..], &mut frames);
            prop_assert_eq!(frames, whole);
            prop_assert_eq!(decoder.finish(), whole_rest);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let (frames, _) = decode(&bytes);
            prop_assert!(frames.len() <= bytes.len());
        }
    }
}
