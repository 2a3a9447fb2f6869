//! [`BodyMemoryLimit`]: limits the sum of response bodies in memory, so that no endpoint can fill
//! it.
//!
//! The client limits each response. This type limits their sum. A run against an endpoint that
//! follows the documentation uses a few megabytes. This module must not know rows.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::wire::exchange::{AttemptFailure, AttemptResult, Exchange, FailureKind, Response};

/// The maximum sum of the bodies that are kept completely.
const MAX_TOTAL_BODY_BYTES: u64 = 128 << 20;

/// Further bodies are truncated to this length. A normal response is shorter.
const TRUNCATED_BODY_BYTES: usize = 64 << 10;

/// The bytes of bodies so far.
#[derive(Debug, Default)]
pub(crate) struct BodyMemoryLimit(AtomicU64);

impl BodyMemoryLimit {
    /// Counts an exchange, and truncates its bodies if the sum is over the limit.
    pub fn truncate_if_over(&self, exchange: &mut Exchange) {
        for attempt in &mut exchange.attempts {
            let AttemptResult::Response(response) = &mut attempt.result else { continue };
            let before = self.0.fetch_add(response.body.0.len() as u64, Ordering::Relaxed);
            if before + response.body.0.len() as u64 > MAX_TOTAL_BODY_BYTES {
                truncate_body(response);
            }
        }
    }
}

fn truncate_body(response: &mut Response) {
    if response.body.0.len() <= TRUNCATED_BODY_BYTES {
        return;
    }
    response.body.0.truncate(TRUNCATED_BODY_BYTES);
    response.body.0.shrink_to_fit();
    let mut remaining = TRUNCATED_BODY_BYTES as u64;
    response.arrivals.retain_mut(|(_, size)| {
        *size = remaining.min(*size);
        remaining -= *size;
        *size > 0
    });
    let message = format!(
        "the responses of this run exceed {} MiB; only {} KiB of this one are kept",
        MAX_TOTAL_BODY_BYTES >> 20,
        TRUNCATED_BODY_BYTES >> 10
    );
    response.cut = Some(AttemptFailure { kind: FailureKind::TooLarge, message });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::exchange::{BodyBytes, ExchangeAttempt, HttpMethod, Request, RequestCredential};

    fn exchange(bytes: usize) -> Exchange {
        let response = Response {
            status: 200,
            headers: Vec::new(),
            body: BodyBytes(vec![b'x'; bytes]),
            arrivals: vec![(1, 1000), (2, bytes as u64 - 1000)],
            cut: None,
        };
        let request = Request {
            method: HttpMethod::Post,
            path: "/v1/messages".to_owned(),
            headers: Default::default(),
            credential: RequestCredential::Target,
            body: serde_json::Value::Null,
            raw: None,
        };
        let attempt = ExchangeAttempt { started_ms: 0, duration_ms: 1, result: AttemptResult::Response(response) };
        Exchange { id: "a".to_owned(), request, attempts: vec![attempt] }
    }

    fn response(exchange: &Exchange) -> &Response {
        match &exchange.attempts[0].result {
            AttemptResult::Response(response) => response,
            AttemptResult::Failure(failure) => panic!("{failure:?}"),
        }
    }

    #[test]
    fn responses_are_kept_completely_until_their_sum_is_over_the_limit() {
        let limit = BodyMemoryLimit::default();
        let large = 4 << 20;
        for nth in 1..=40 {
            let mut one = exchange(large);
            limit.truncate_if_over(&mut one);
            let response = response(&one);
            let is_complete = nth * large as u64 <= MAX_TOTAL_BODY_BYTES;
            assert_eq!(response.body.0.len(), if is_complete { large } else { TRUNCATED_BODY_BYTES }, "{nth}");
            assert_eq!(response.arrivals.iter().map(|a| a.1).sum::<u64>(), response.body.0.len() as u64);
            assert_eq!(response.cut.is_some(), !is_complete);
        }
        let mut small = exchange(TRUNCATED_BODY_BYTES);
        limit.truncate_if_over(&mut small);
        assert_eq!(response(&small).cut, None, "a response of normal length is still kept completely");
    }
}
