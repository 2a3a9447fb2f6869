//! Faults of bytes and time: what goes out, in which pieces, after which waits, and whether the line breaks then.
//!
//! Those whose ids begin with `raw` are no faults: they are nasty, and allowed. A client must not notice them.

use std::time::Duration;

use axum::body::Bytes;

use crate::simulator::stream_timing::Pace;

crate::simulator::fault::faults! { RawFault {
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
pub(in crate::simulator) struct Wire {
    /// The pieces, each with the wait before it.
    pub pieces: Vec<(Duration, Bytes)>,
    /// The line breaks after them.
    pub is_cut: bool,
}

impl Wire {
    /// Pieces at this pace.
    pub fn of(pieces: impl IntoIterator<Item = String>, pace: Pace) -> Self {
        let pieces = pieces.into_iter().enumerate().map(|(i, piece)| (pace.before(i), Bytes::from(piece)));
        Self { pieces: pieces.collect(), is_cut: false }
    }

    /// All pieces at once, after the time that they would take.
    pub fn buffer(&mut self) {
        let wait = self.pieces.iter().map(|(wait, _)| *wait).sum();
        let whole: Vec<u8> = self.pieces.drain(..).flat_map(|(_, piece)| piece).collect();
        self.pieces = vec![(wait, whole.into())];
    }

    /// Keeps so many pieces, after which the line breaks.
    pub fn cut_after(&mut self, pieces: usize) {
        self.pieces.truncate(pieces);
        self.is_cut = true;
    }

    fn each(&mut self, spoil: impl Fn(&str) -> String) {
        for (_, piece) in &mut self.pieces {
            *piece = spoil(&String::from_utf8_lossy(piece)).into();
        }
    }

    fn split(&mut self, size: usize) {
        let pieces = std::mem::take(&mut self.pieces);
        for (wait, piece) in pieces {
            let waits = std::iter::once(wait).chain(std::iter::repeat(Duration::ZERO));
            self.pieces.extend(waits.zip(piece.chunks(size).map(Bytes::copy_from_slice)));
        }
    }
}

impl RawFault {
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
    pub fn is_of_whole_answers(self) -> bool {
        matches!(self, Self::BodyCut | Self::BodyNotJson | Self::SplitBytes)
    }
}

/// Spoils a whole answer.
pub(super) fn spoil_whole(fault: RawFault, wire: &mut Wire) {
    match fault {
        RawFault::BodyCut => {
            let half = wire.pieces.iter().map(|(_, piece)| piece.len()).sum::<usize>() / 2;
            wire.split(half.max(1));
            wire.cut_after(1);
        }
        RawFault::BodyNotJson => wire.pieces = vec![(Duration::ZERO, Bytes::from_static(b"<html>It works.</html>"))],
        RawFault::SplitBytes => wire.split(1),
        RawFault::NotUtf8
        | RawFault::FrameUnfinished
        | RawFault::StreamCut
        | RawFault::Buffered
        | RawFault::SilentGap
        | RawFault::Crlf
        | RawFault::Comments
        | RawFault::Bom => {}
    }
}

/// Spoils a stream, whose pieces are its records.
pub(super) fn spoil_stream(fault: RawFault, wire: &mut Wire) {
    let middle = wire.pieces.len() / 2;
    match fault {
        RawFault::NotUtf8 => {
            if let Some((_, first)) = wire.pieces.first_mut() {
                *first = [b": \xff\n", &first[..]].concat().into();
            }
        }
        RawFault::FrameUnfinished => {
            if let Some((_, last)) = wire.pieces.last_mut() {
                last.truncate(last.trim_ascii_end().len());
            }
        }
        RawFault::StreamCut => wire.cut_after(middle),
        RawFault::Buffered => {
            let rest = wire.pieces.split_off(1.min(wire.pieces.len()));
            let rest: Vec<u8> = rest.into_iter().flat_map(|(_, piece)| piece).collect();
            wire.pieces.push((Duration::from_millis(1100), rest.into()));
        }
        RawFault::SilentGap => {
            if let Some((wait, _)) = wire.pieces.get_mut(middle) {
                *wait = Duration::from_millis(15_200);
            }
        }
        RawFault::SplitBytes => wire.split(1),
        RawFault::Crlf => wire.each(|record| record.replace('\n', "\r\n")),
        RawFault::Comments => wire.each(|record| format!(": keep-alive\n\n{}", record.replacen('\n', "\n:\n", 1))),
        RawFault::Bom => wire.pieces.insert(0, (Duration::ZERO, Bytes::from_static(b"\xef\xbb\xbf"))),
        RawFault::BodyCut | RawFault::BodyNotJson => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(wire: &Wire) -> Vec<u8> {
        wire.pieces.iter().flat_map(|(_, piece)| piece.to_vec()).collect()
    }

    #[test]
    fn a_body_in_single_bytes_says_the_same_and_waits_as_long() {
        let pause = Duration::from_millis(7);
        let mut wire = Wire::of(["caf\u{e9}".to_owned(), "b\n\n".to_owned()], Pace::of(2, pause));
        let as_it_was = bytes(&wire);
        spoil_stream(RawFault::SplitBytes, &mut wire);
        assert_eq!(bytes(&wire), as_it_was);
        assert!(wire.pieces.len() == 8 && wire.pieces.iter().all(|(_, piece)| piece.len() == 1));
        assert_eq!(wire.pieces.iter().map(|(wait, _)| *wait).sum::<Duration>(), pause);
    }

    #[test]
    fn half_a_body_goes_out_before_the_line_breaks() {
        let mut wire = Wire::of(["0123456789".to_owned()], Pace::of(1, Duration::ZERO));
        spoil_whole(RawFault::BodyCut, &mut wire);
        assert_eq!((bytes(&wire), wire.is_cut), (b"01234".to_vec(), true));
    }
}
