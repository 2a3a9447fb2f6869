//! Faults of bytes and time: what goes out, in which pieces, after which waits, and whether the line breaks then.
//!
//! Those whose ids begin with `raw` are no faults: they are nasty, and allowed. A client must not notice them.

use std::time::Duration;

use axum::body::Bytes;

use crate::simulator::stream_timing::StreamTiming;

crate::simulator::fault::define_faults! { ByteFault {
    BodyCut = "http.body-cut": "the line breaks in the midst of a whole answer",
    BodyNotJson = "message.body-not-json": "a success has a page of HTML for a body",
    NotUtf8 = "sse.not-utf8": "streams have a byte in them that is no UTF-8",
    FrameUnfinished = "sse.frame-unfinished": "streams lack the last blank line",
    StreamCut = "sse.stream-cut": "the line breaks in the midst of a stream",
    Buffered = "sse.buffered": "streams wait for more than a second, and come all at once",
    SilentGap = "sse.silent-gap": "streams are silent for more than 15 seconds",
    SplitBytes = "raw.split-bytes": "answers come byte by byte; no rule is broken",
    Crlf = "raw.crlf": "the lines of streams end with CRLF; no rule is broken",
    Comments = "raw.comments": "streams have comments in and between events; no rule is broken",
    Bom = "raw.bom": "streams begin with a byte order mark; no rule is broken",
} }

/// A body on its way out.
#[derive(Debug, Default)]
pub(in crate::simulator) struct OutgoingBody {
    /// The pieces, each with the wait before it.
    pub chunks: Vec<(Duration, Bytes)>,
    /// The line breaks after them.
    pub aborts: bool,
}

impl OutgoingBody {
    /// Pieces at this pace.
    pub fn new(pieces: impl IntoIterator<Item = String>, pace: StreamTiming) -> Self {
        let pieces = pieces.into_iter().enumerate().map(|(i, piece)| (pace.delay_before(i), Bytes::from(piece)));
        Self { chunks: pieces.collect(), aborts: false }
    }

    /// All pieces at once, after the time that they would take.
    pub fn merge_chunks(&mut self) {
        let wait = self.chunks.iter().map(|(wait, _)| *wait).sum();
        let whole: Vec<u8> = self.chunks.drain(..).flat_map(|(_, piece)| piece).collect();
        self.chunks = vec![(wait, whole.into())];
    }

    /// Keeps so many pieces, after which the line breaks.
    pub fn abort_after(&mut self, pieces: usize) {
        self.chunks.truncate(pieces);
        self.aborts = true;
    }

    fn map_chunks(&mut self, spoil: impl Fn(&str) -> String) {
        for (_, piece) in &mut self.chunks {
            *piece = spoil(&String::from_utf8_lossy(piece)).into();
        }
    }

    fn split_chunks(&mut self, size: usize) {
        let pieces = std::mem::take(&mut self.chunks);
        for (wait, piece) in pieces {
            let waits = std::iter::once(wait).chain(std::iter::repeat(Duration::ZERO));
            self.chunks.extend(waits.zip(piece.chunks(size).map(Bytes::copy_from_slice)));
        }
    }
}

impl ByteFault {
    /// False where the protocol allows it.
    pub fn breaks_protocol(self) -> bool {
        match self {
            Self::BodyCut
            | Self::BodyNotJson
            | Self::NotUtf8
            | Self::FrameUnfinished
            | Self::StreamCut
            | Self::Buffered
            | Self::SilentGap => true,
            Self::SplitBytes | Self::Crlf | Self::Comments | Self::Bom => false,
        }
    }

    /// True where it takes more than a body with its length to send a whole answer.
    pub fn affects_full_body(self) -> bool {
        matches!(self, Self::BodyCut | Self::BodyNotJson | Self::SplitBytes)
    }
}

/// Spoils a whole answer.
pub(super) fn apply_to_body(fault: ByteFault, wire: &mut OutgoingBody) {
    match fault {
        ByteFault::BodyCut => {
            let half = wire.chunks.iter().map(|(_, piece)| piece.len()).sum::<usize>() / 2;
            wire.split_chunks(half.max(1));
            wire.abort_after(1);
        }
        ByteFault::BodyNotJson => wire.chunks = vec![(Duration::ZERO, Bytes::from_static(b"<html>It works.</html>"))],
        ByteFault::SplitBytes => wire.split_chunks(1),
        ByteFault::NotUtf8
        | ByteFault::FrameUnfinished
        | ByteFault::StreamCut
        | ByteFault::Buffered
        | ByteFault::SilentGap
        | ByteFault::Crlf
        | ByteFault::Comments
        | ByteFault::Bom => {}
    }
}

/// Spoils a stream, whose pieces are its records.
pub(super) fn apply_to_stream(fault: ByteFault, wire: &mut OutgoingBody) {
    let middle = wire.chunks.len() / 2;
    match fault {
        ByteFault::NotUtf8 => {
            if let Some((_, first)) = wire.chunks.first_mut() {
                *first = [b": \xff\n", &first[..]].concat().into();
            }
        }
        ByteFault::FrameUnfinished => {
            if let Some((_, last)) = wire.chunks.last_mut() {
                last.truncate(last.trim_ascii_end().len());
            }
        }
        ByteFault::StreamCut => wire.abort_after(middle),
        ByteFault::Buffered => {
            let rest = wire.chunks.split_off(1.min(wire.chunks.len()));
            let rest: Vec<u8> = rest.into_iter().flat_map(|(_, piece)| piece).collect();
            wire.chunks.push((Duration::from_millis(1100), rest.into()));
        }
        ByteFault::SilentGap => {
            if let Some((wait, _)) = wire.chunks.get_mut(middle) {
                *wait = Duration::from_millis(15_200);
            }
        }
        ByteFault::SplitBytes => wire.split_chunks(1),
        ByteFault::Crlf => wire.map_chunks(|record| record.replace('\n', "\r\n")),
        ByteFault::Comments => {
            wire.map_chunks(|record| format!(": keep-alive\n\n{}", record.replacen('\n', "\n:\n", 1)))
        }
        ByteFault::Bom => wire.chunks.insert(0, (Duration::ZERO, Bytes::from_static(b"\xef\xbb\xbf"))),
        ByteFault::BodyCut | ByteFault::BodyNotJson => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concat_bytes(wire: &OutgoingBody) -> Vec<u8> {
        wire.chunks.iter().flat_map(|(_, piece)| piece.to_vec()).collect()
    }

    #[test]
    fn a_body_in_single_bytes_says_the_same_and_waits_as_long() {
        let pause = Duration::from_millis(7);
        let mut wire = OutgoingBody::new(["caf\u{e9}".to_owned(), "b\n\n".to_owned()], StreamTiming::new(2, pause));
        let as_it_was = concat_bytes(&wire);
        apply_to_stream(ByteFault::SplitBytes, &mut wire);
        assert_eq!(concat_bytes(&wire), as_it_was);
        assert!(wire.chunks.len() == 8 && wire.chunks.iter().all(|(_, piece)| piece.len() == 1));
        assert_eq!(wire.chunks.iter().map(|(wait, _)| *wait).sum::<Duration>(), pause);
    }

    #[test]
    fn half_a_body_goes_out_before_the_line_breaks() {
        let mut wire = OutgoingBody::new(["0123456789".to_owned()], StreamTiming::new(1, Duration::ZERO));
        apply_to_body(ByteFault::BodyCut, &mut wire);
        assert_eq!((concat_bytes(&wire), wire.aborts), (b"01234".to_vec(), true));
    }
}
