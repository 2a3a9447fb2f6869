//! Responses on their way out: a [`PipelineResponse`], the [`OutgoingBody`] that carries it, or an
//! [`OutgoingError`].
//!
//! Plain data for the pipeline, the faults and the server. It must not know how any of them works.

use std::time::Duration;

use axum::body::Bytes;
use serde_json::Value;

use crate::simulator::stream_timing::StreamTiming;

/// A successful response of the pipeline.
#[derive(Debug)]
pub(super) enum PipelineResponse {
    /// A JSON body.
    Json(Value),
    /// A message that is sent as an event stream.
    Stream(Value),
}

/// An error response.
#[derive(Debug)]
pub(super) struct OutgoingError {
    pub status: u16,
    pub retry_after: Option<u64>,
    pub body: String,
}

/// A body that is sent in chunks.
#[derive(Debug, Default)]
pub(super) struct OutgoingBody {
    /// The chunks, each with the delay before it.
    pub chunks: Vec<(Duration, Bytes)>,
    /// Whether the connection is aborted after the chunks.
    pub aborts: bool,
}

impl OutgoingBody {
    /// A body with these chunks and this timing.
    pub fn new(chunks: impl IntoIterator<Item = String>, timing: StreamTiming) -> Self {
        let chunks = chunks.into_iter().enumerate().map(|(i, chunk)| (timing.delay_before(i), Bytes::from(chunk)));
        Self { chunks: chunks.collect(), aborts: false }
    }

    /// Joins the chunks into one that is sent after the sum of their delays.
    pub fn merge_chunks(&mut self) {
        let delay = self.chunks.iter().map(|(delay, _)| *delay).sum();
        let bytes: Vec<u8> = self.chunks.drain(..).flat_map(|(_, chunk)| chunk).collect();
        self.chunks = vec![(delay, bytes.into())];
    }

    /// Keeps the first `count` chunks and aborts the connection after them.
    pub fn abort_after(&mut self, count: usize) {
        self.chunks.truncate(count);
        self.aborts = true;
    }

    /// Splits each chunk into chunks of at most `size` bytes. The total delay stays the same.
    pub fn split_chunks(&mut self, size: usize) {
        for (delay, chunk) in std::mem::take(&mut self.chunks) {
            let delays = std::iter::once(delay).chain(std::iter::repeat(Duration::ZERO));
            self.chunks.extend(delays.zip(chunk.chunks(size).map(Bytes::copy_from_slice)));
        }
    }
}
