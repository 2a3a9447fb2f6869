//! When a stream's pieces came: all at once at the end, or after a silence.
//!
//! Only what no honest server does by chance is told, and only as a note: the machine between may have held it back.

use crate::checks::{Check, Found};
use crate::wire::exchange::Response;

/// A shorter answer may come at once for any reason; a second is longer than any network holds pieces together.
const LONG_MS: u64 = 1000;

/// So many deltas within so short a time are more than 400 a second: a model that writes as fast, and let a second
/// pass before its first word, is rare. The deltas of calls are not counted: servers that see to it that a call's JSON is
/// valid hand it out in bursts.
const MANY_DELTAS: usize = 20;
const BURST_MS: u64 = 50;

/// Clients and proxies with an idle time-out often give up after 30 or 60 seconds; half of the shorter one is a
/// silence that a keep-alive should have filled.
const SILENCE_MS: u64 = 15_000;

pub(super) fn check(response: &Response, found: &mut Found) {
    let silence = response.arrivals.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0)).max();
    if let Some(ms) = silence.filter(|ms| *ms > SILENCE_MS) {
        found.add(Check::SilentGap, format!("nothing came for {} s", ms / 1000));
    }
    let Some((whole, _)) = response.arrivals.last().filter(|(ms, _)| *ms >= LONG_MS) else { return };
    let deltas = deltas(response);
    if let (Some(first), Some(last)) = (deltas.first(), deltas.last())
        && deltas.len() >= MANY_DELTAS
        && last - first <= BURST_MS
        && whole - first <= BURST_MS
    {
        let count = deltas.len();
        found.add(Check::Buffered, format!("{count} deltas within {} ms, after {first} ms without any", last - first));
    }
}

/// When each delta of text or thinking was whole.
fn deltas(response: &Response) -> Vec<u64> {
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
