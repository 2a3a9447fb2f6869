//! When a stream's pieces came: all at once at the end, or after a silence.
//!
//! Only what no honest server does by chance is told, and only as a note: the machine between may have held it back.

use crate::checks::{FindingCollector, ProtocolCheck};
use crate::wire::exchange::Response;

/// A shorter answer may come at once for any reason; a second is longer than any network holds pieces together.
const MIN_STREAM_MS: u64 = 1000;

/// So many deltas within so short a time are more than 400 a second: a model that writes as fast, and let a second
/// pass before its first word, is rare. The deltas of calls are not counted: servers that see to it that a call's JSON is
/// valid hand it out in bursts.
const MIN_BURST_DELTAS: usize = 20;
const MAX_BURST_MS: u64 = 50;

/// Clients and proxies with an idle time-out often give up after 30 or 60 seconds; half of the shorter one is a
/// silence that a keep-alive should have filled.
const MAX_SILENCE_MS: u64 = 15_000;

pub(super) fn check(response: &Response, found: &mut FindingCollector) {
    let silence = response.arrivals.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0)).max();
    if let Some(ms) = silence.filter(|ms| *ms > MAX_SILENCE_MS) {
        found.add(ProtocolCheck::SilentGap, format!("nothing came for {} s", ms / 1000));
    }
    let Some((whole, _)) = response.arrivals.last().filter(|(ms, _)| *ms >= MIN_STREAM_MS) else { return };
    let deltas = delta_arrival_times(response);
    if let (Some(first), Some(last)) = (deltas.first(), deltas.last())
        && deltas.len() >= MIN_BURST_DELTAS
        && last - first <= MAX_BURST_MS
        && whole - first <= MAX_BURST_MS
    {
        let count = deltas.len();
        found.add(
            ProtocolCheck::Buffered,
            format!("{count} deltas within {} ms, after {first} ms without any", last - first),
        );
    }
}

/// When each delta of text or thinking was whole.
fn delta_arrival_times(response: &Response) -> Vec<u64> {
    let mut came = Vec::new();
    let mut arrivals = response.arrivals.iter();
    let (mut at, mut there, mut now) = (0, 0, 0);
    for line in response.body.0.split_inclusive(|byte| *byte == b'\n') {
        at += line.len() as u64;
        while there < at {
            let Some((ms, size)) = arrivals.next() else { break };
            (there, now) = (there + size, *ms);
        }
        let says = |word: &[u8]| line.windows(word.len()).any(|part| part == word);
        if line.starts_with(b"data:") && (says(b"\"text_delta\"") || says(b"\"thinking_delta\"")) {
            came.push(now);
        }
    }
    came
}
