//! [`ResponseMemoryLimit`]: limits the memory of all responses of a run, with their parsed forms, so
//! that no endpoint can fill it.
//!
//! The client limits each response. This type limits their sum. A run against an endpoint that
//! follows the documentation uses a few megabytes. This module must not know rows.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::wire::exchange::{AttemptFailure, AttemptResult, Exchange, FailureKind, Response};
use crate::wire::parsed_exchange::{ParsedExchange, parse_exchange};

/// The maximum sum of the responses that are kept completely.
const MAX_TOTAL_BYTES: usize = 64 << 20;

/// The copies of a response: in the recording, and for rows that share the request.
const RESPONSE_COPIES: usize = 2;

/// The copies of the parsed form: during the run, and while the recording is judged.
const PARSED_COPIES: usize = 3;

/// The bytes of responses so far.
#[derive(Debug, Default)]
pub(crate) struct ResponseMemoryLimit(AtomicUsize);

impl ResponseMemoryLimit {
    /// Parses an exchange and counts its memory. If the sum is over the limit, the headers and the
    /// bodies are removed.
    pub fn parse_within_limit(&self, exchange: &mut Exchange) -> ParsedExchange {
        let parsed = parse_exchange(exchange);
        let responses: usize = exchange.attempts.iter().map(|attempt| attempt.result.content_bytes()).sum();
        let size = responses * RESPONSE_COPIES + parsed.estimate_bytes() * PARSED_COPIES;
        let before = self.0.fetch_add(size, Ordering::Relaxed);
        if before + size <= MAX_TOTAL_BYTES {
            return parsed;
        }
        self.0.fetch_sub(size, Ordering::Relaxed);
        for attempt in &mut exchange.attempts {
            match &mut attempt.result {
                AttemptResult::Response(response) => remove_content(response),
                AttemptResult::Failure(_) => {}
            }
        }
        parse_exchange(exchange)
    }
}

fn remove_content(response: &mut Response) {
    response.body.0 = Vec::new();
    response.arrivals = Vec::new();
    response.headers = Vec::new();
    if response.cut.is_some() {
        // The response alone says why it is not complete.
        return;
    }
    let message = format!(
        "an answer too large to read: the responses of this run, with their parsed content, exceed {} MiB",
        MAX_TOTAL_BYTES >> 20
    );
    response.cut = Some(AttemptFailure { kind: FailureKind::TooLarge, message });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::exchange::{BodyBytes, ExchangeAttempt, HttpMethod, Request, RequestCredential};

    fn exchange(body: String) -> Exchange {
        let response = Response {
            status: 200,
            headers: Vec::new(),
            arrivals: vec![(1, 10), (2, body.len() as u64 - 10)],
            body: BodyBytes(body.into_bytes()),
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
    fn responses_are_kept_until_their_sum_is_over_the_limit() {
        for (body, min_kept, max_kept) in [
            ("x".repeat(4_000_000), 8, 8),
            (format!("{{\"content\":[{{\"type\":\"text\",\"text\":\"{}\"}}]}}", "x".repeat(4 << 20)), 1, 8),
            (format!("{{\"content\":[{}]}}", vec!["{\"\":0}"; 6000].join(",")), 1, 8),
        ] {
            let limit = ResponseMemoryLimit::default();
            let mut kept = 0;
            for _ in 0..40 {
                let mut one = exchange(body.clone());
                let parsed = limit.parse_within_limit(&mut one);
                let is_complete = response(&one).cut.is_none();
                assert_eq!(is_complete, !response(&one).body.0.is_empty());
                assert!(is_complete || parsed.response.is_none());
                kept += usize::from(is_complete);
            }
            assert!((min_kept..=max_kept).contains(&kept), "{kept} of {:.30}", body);
        }
        let limit = ResponseMemoryLimit::default();
        let cut = AttemptFailure { kind: FailureKind::TooLarge, message: "the body is too large".to_owned() };
        for _ in 0..40 {
            let mut one = exchange("x".repeat(4 << 20));
            if let AttemptResult::Response(response) = &mut one.attempts[0].result {
                response.cut = Some(cut.clone());
            }
            limit.parse_within_limit(&mut one);
            assert_eq!(response(&one).cut.as_ref(), Some(&cut), "the first reason stays");
        }
        let limit = ResponseMemoryLimit::default();
        let kept = (0..4000).filter(|_| {
            let mut one = exchange("{\"content\":[]}".to_owned());
            if let AttemptResult::Response(response) = &mut one.attempts[0].result {
                response.headers = vec![("x-long".to_owned(), "v".repeat(60_000))];
            }
            limit.parse_within_limit(&mut one);
            !response(&one).headers.is_empty()
        });
        assert!((100..=600).contains(&kept.count()), "headers count too");
        let limit = ResponseMemoryLimit::default();
        assert!((0..2000).all(|_| {
            let mut small = exchange("{\"content\":[{\"type\":\"text\",\"text\":\"hello\"}]}".to_owned());
            limit.parse_within_limit(&mut small).response.is_some()
        }));
    }
}
