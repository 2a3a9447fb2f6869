//! The checks of the timing of a stream: all chunks at the end, or a long silence.
//!
//! They report only timing that is not due to chance, and only as notes, because a proxy may have
//! delayed the chunks.

use memchr::memmem::find;

use crate::checks::catalog::ProtocolCheck;
use crate::checks::collector::FindingCollector;
use crate::wire::exchange::Response;
use crate::wire::sse::iter_lines;

/// A shorter response may arrive in one chunk for many reasons. No network collects chunks for a
/// second.
const MIN_STREAM_MS: u64 = 1000;

/// This number of deltas within [`MAX_BURST_MS`] is more than 400 per second. A model that writes
/// that fast after waiting for a second is rare. Deltas of tool calls are not counted, because
/// servers that validate the JSON of a call send it in bursts.
const MIN_BURST_DELTAS: usize = 20;
const MAX_BURST_MS: u64 = 50;

/// Clients and proxies often have an idle timeout of 30 or 60 seconds. The server should send a
/// ping within half of the shorter one.
const MAX_SILENCE_MS: u64 = 15_000;

pub(super) fn check(response: &Response, found: &mut FindingCollector) {
    let silence = response.arrivals.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0)).max();
    if let Some(ms) = silence.filter(|ms| *ms > MAX_SILENCE_MS) {
        found.add(ProtocolCheck::SilentGap, format!("no data for {} s", ms / 1000));
    }
    let Some((complete_ms, _)) = response.arrivals.last().filter(|(ms, _)| *ms >= MIN_STREAM_MS) else { return };
    let deltas = delta_arrival_times(response);
    if let (Some(first), Some(last)) = (deltas.first(), deltas.last())
        && deltas.len() >= MIN_BURST_DELTAS
        && last - first <= MAX_BURST_MS
        && complete_ms - first <= MAX_BURST_MS
    {
        let count = deltas.len();
        found.add(
            ProtocolCheck::Buffered,
            format!("{count} deltas within {} ms, after {first} ms without one", last - first),
        );
    }
}

/// Returns the arrival time of each delta of text or thinking.
fn delta_arrival_times(response: &Response) -> Vec<u64> {
    let mut times = Vec::new();
    let mut arrivals = response.arrivals.iter();
    let (mut arrived, mut now) = (0, 0);
    for line in iter_lines(&response.body.0) {
        while arrived < line.next_start as u64 {
            let Some((ms, size)) = arrivals.next() else { break };
            (arrived, now) = (arrived + size, *ms);
        }
        let contains = |word: &str| find(line.bytes, word.as_bytes()).is_some();
        if line.bytes.starts_with(b"data:") && (contains("\"text_delta\"") || contains("\"thinking_delta\"")) {
            times.push(now);
        }
    }
    times
}
