//! [`AnsweredExchanges`]: the exchanges of an interrupted run, so that answered requests are not
//! sent again.
//!
//! A response is used only for the identical request, not for another one with the same id. This
//! module must not send anything or decide rows.

use std::collections::HashMap;
use std::sync::Arc;

use crate::recording::run::{LIVENESS_ID_PREFIX, Recording};
use crate::wire::exchange::{Exchange, ExchangeAttempt, Request};
use crate::wire::parsed_exchange::parse_exchange;

/// The exchanges of an interrupted run by id. The flag is true for an answered exchange.
#[derive(Debug, Clone, Default)]
pub struct AnsweredExchanges(HashMap<String, (Arc<Exchange>, bool)>);

impl AnsweredExchanges {
    /// The exchanges of a recording. The responses that are not trusted do not count as answers.
    pub fn from_recording(recording: &Recording, is_trusted: impl Fn(&Exchange) -> bool) -> Self {
        let entry = |e: &Exchange| (e.id.clone(), (Arc::new(e.clone()), is_answered(e) && is_trusted(e)));
        let known = recording.exchanges.iter().map(entry);
        Self(known.collect())
    }

    /// The answered exchange of this request.
    pub(crate) fn find_exchange(&self, id: &str, request: &Request) -> Option<&Arc<Exchange>> {
        let (exchange, is_answered) = self.0.get(id)?;
        (*is_answered && exchange.request == *request).then_some(exchange)
    }

    /// The failed attempts of this request.
    pub(crate) fn failed_attempts(&self, id: &str, request: &Request) -> &[ExchangeAttempt] {
        match self.0.get(id) {
            Some((exchange, _)) if exchange.request == *request => &exchange.attempts,
            _ => &[],
        }
    }

    /// The number of requests that need not be sent again.
    pub fn answered_count(&self) -> usize {
        self.0.values().filter(|(_, is_answered)| *is_answered).count()
    }
}

/// True if the response says something about the request. Failed requests are sent again, and so
/// are liveness tests, because their results are valid only for a moment.
fn is_answered(exchange: &Exchange) -> bool {
    !exchange.id.starts_with(LIVENESS_ID_PREFIX)
        && !parse_exchange(exchange).interpretation.is_uninformative(&exchange.request)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::wire::exchange::{
        AttemptFailure, AttemptResult, BodyBytes, FailureKind, HttpMethod, RequestCredential, Response,
    };

    fn exchange(id: &str, credential: RequestCredential, result: AttemptResult) -> Exchange {
        let request = Request {
            method: HttpMethod::Post,
            path: "/v1/messages".to_owned(),
            headers: BTreeMap::new(),
            credential,
            body: "hello".into(),
            raw: None,
        };
        let attempts = vec![ExchangeAttempt { started_ms: 0, duration_ms: 1, result }];
        Exchange { id: id.to_owned(), request, attempts }
    }

    fn failure(kind: FailureKind) -> AttemptFailure {
        AttemptFailure { kind, message: String::new() }
    }

    fn response(status: u16, cut: Option<FailureKind>) -> AttemptResult {
        let body = br#"{"type":"message","role":"assistant","content":[],"usage":{}}"#.to_vec();
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let cut = cut.map(failure);
        AttemptResult::Response(Response { status, headers, body: BodyBytes(body), arrivals: Vec::new(), cut })
    }

    #[test]
    fn a_failed_request_is_not_answered() {
        let answered = |credential, result| is_answered(&exchange("a/1", credential, result));
        let target = RequestCredential::Target;
        for status in [200, 400, 404, 413] {
            assert!(answered(target, response(status, None)), "{status}");
        }
        for status in [301, 401, 403, 429, 500, 503, 529] {
            assert!(!answered(target, response(status, None)), "{status}");
        }
        // The trial with a wrong credential expects status 401.
        assert!(answered(RequestCredential::WrongXApiKey, response(401, None)));
        assert!(!answered(target, response(200, Some(FailureKind::Reset))));
        // The response to a second request would be too large as well.
        assert!(answered(target, response(200, Some(FailureKind::TooLarge))));
        assert!(!answered(target, AttemptResult::Failure(failure(FailureKind::Timeout))));
        assert!(
            !is_answered(&exchange("probe.there/7", target, response(200, None))),
            "the result of a liveness test is valid only for a moment"
        );
    }

    #[test]
    fn a_response_is_used_only_for_the_identical_request() {
        let one = exchange("a/1", RequestCredential::Target, response(200, None));
        let known = AnsweredExchanges([(one.id.clone(), (Arc::new(one.clone()), true))].into());
        assert!(known.find_exchange("a/1", &one.request).is_some());
        assert!(known.find_exchange("a/2", &one.request).is_none());
        let other = Request { body: "goodbye".into(), ..one.request.clone() };
        assert!(known.find_exchange("a/1", &other).is_none());
        assert!(known.failed_attempts("a/1", &other).is_empty());
        assert_eq!(known.failed_attempts("a/1", &one.request).len(), 1);
    }
}
