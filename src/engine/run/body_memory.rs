//! How much of its answers a run keeps in all, so that no endpoint can fill the memory.
//!
//! Each answer is bounded by the client; this bounds their sum. A run of an endpoint that answers as documented holds a
//! few megabytes and never comes near it. Knows nothing of rows.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::wire::exchange::{AttemptFailure, AttemptResult, Exchange, FailureKind, Response};

/// So many bytes of bodies are kept whole.
const MAX_TOTAL_BODY_BYTES: u64 = 128 << 20;

/// So much of each body that comes after them: more than a sound answer has.
const TRUNCATED_BODY_BYTES: usize = 64 << 10;

/// What is kept so far.
#[derive(Debug, Default)]
pub(crate) struct BodyMemoryLimit(AtomicU64);

impl BodyMemoryLimit {
    /// Counts an exchange, and cuts its bodies where too much is kept already.
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
    let mut left = TRUNCATED_BODY_BYTES as u64;
    response.arrivals.retain_mut(|(_, size)| {
        *size = left.min(*size);
        left -= *size;
        *size > 0
    });
    let message = format!(
        "the answers of this run are longer than {} MiB in all, and of this one {} KiB are kept",
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
    fn answers_are_kept_whole_until_their_sum_is_too_much() {
        let kept = BodyMemoryLimit::default();
        let large = 4 << 20;
        for nth in 1..=40 {
            let mut one = exchange(large);
            kept.truncate_if_over(&mut one);
            let response = response(&one);
            let is_whole = nth * large as u64 <= MAX_TOTAL_BODY_BYTES;
            assert_eq!(response.body.0.len(), if is_whole { large } else { TRUNCATED_BODY_BYTES }, "{nth}");
            assert_eq!(response.arrivals.iter().map(|a| a.1).sum::<u64>(), response.body.0.len() as u64);
            assert_eq!(response.cut.is_some(), !is_whole);
        }
        let mut small = exchange(TRUNCATED_BODY_BYTES);
        kept.truncate_if_over(&mut small);
        assert_eq!(response(&small).cut, None, "what a sound answer has is kept all the same");
    }
}
