//! Faults of bytes and timing: [`ByteFault`] changes the chunks of a body, the delays between them
//! and whether the connection closes early.

use std::time::Duration;

use axum::body::Bytes;

use crate::simulator::fault::catalog::ByteFault;
use crate::simulator::outgoing::OutgoingBody;

/// Whether the fault changes the bytes of a non-streaming response.
pub(super) fn affects_full_body(fault: ByteFault) -> bool {
    matches!(fault, ByteFault::BodyCut | ByteFault::BodyNotJson | ByteFault::SplitBytes)
}

/// Changes the body of a non-streaming response.
pub(super) fn apply_to_body(fault: ByteFault, body: &mut OutgoingBody) {
    match fault {
        ByteFault::BodyCut => {
            let half = body.chunks.iter().map(|(_, chunk)| chunk.len()).sum::<usize>() / 2;
            body.split_chunks(half.max(1));
            body.abort_after(1);
        }
        ByteFault::BodyNotJson => body.chunks = vec![(Duration::ZERO, Bytes::from_static(b"<html>It works.</html>"))],
        ByteFault::SplitBytes => body.split_chunks(1),
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

/// Changes the body of a stream, whose chunks are its events.
pub(super) fn apply_to_stream(fault: ByteFault, body: &mut OutgoingBody) {
    let middle = body.chunks.len() / 2;
    match fault {
        ByteFault::NotUtf8 => {
            if let Some((_, first)) = body.chunks.first_mut() {
                *first = [b": \xff\n", &first[..]].concat().into();
            }
        }
        ByteFault::FrameUnfinished => {
            if let Some((_, last)) = body.chunks.last_mut() {
                last.truncate(last.trim_ascii_end().len());
            }
        }
        ByteFault::StreamCut => body.abort_after(middle),
        ByteFault::Buffered => {
            let rest = body.chunks.split_off(1.min(body.chunks.len()));
            let rest: Vec<u8> = rest.into_iter().flat_map(|(_, chunk)| chunk).collect();
            body.chunks.push((Duration::from_millis(1100), rest.into()));
        }
        ByteFault::SilentGap => {
            if let Some((delay, _)) = body.chunks.get_mut(middle) {
                *delay = Duration::from_millis(15_200);
            }
        }
        ByteFault::SplitBytes => body.split_chunks(1),
        ByteFault::Crlf => map_events(body, |event| event.replace('\n', "\r\n")),
        ByteFault::Comments => {
            map_events(body, |event| format!(": keep-alive\n\n{}", event.replacen('\n', "\n:\n", 1)));
        }
        ByteFault::Bom => body.chunks.insert(0, (Duration::ZERO, Bytes::from_static(b"\xef\xbb\xbf"))),
        ByteFault::BodyCut | ByteFault::BodyNotJson => {}
    }
}

fn map_events(body: &mut OutgoingBody, edit: impl Fn(&str) -> String) {
    for (_, chunk) in &mut body.chunks {
        *chunk = edit(&String::from_utf8_lossy(chunk)).into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::stream_timing::StreamTiming;

    fn concat_bytes(body: &OutgoingBody) -> Vec<u8> {
        body.chunks.iter().flat_map(|(_, chunk)| chunk.to_vec()).collect()
    }

    #[test]
    fn splitting_into_bytes_keeps_the_content_and_the_total_delay() {
        let pause = Duration::from_millis(7);
        let mut body = OutgoingBody::new(["caf\u{e9}".to_owned(), "b\n\n".to_owned()], StreamTiming::new(2, pause));
        let original = concat_bytes(&body);
        apply_to_stream(ByteFault::SplitBytes, &mut body);
        assert_eq!(concat_bytes(&body), original);
        assert!(body.chunks.len() == 8 && body.chunks.iter().all(|(_, chunk)| chunk.len() == 1));
        assert_eq!(body.chunks.iter().map(|(delay, _)| *delay).sum::<Duration>(), pause);
    }

    #[test]
    fn body_cut_sends_half_of_the_body_and_aborts() {
        let mut body = OutgoingBody::new(["0123456789".to_owned()], StreamTiming::new(1, Duration::ZERO));
        apply_to_body(ByteFault::BodyCut, &mut body);
        assert_eq!((concat_bytes(&body), body.aborts), (b"01234".to_vec(), true));
    }
}
