//! What an earlier part of a run brought, so that nothing that was answered is sent again.
//!
//! An answer stands for the request that it was given to, byte for byte, and for no other one of the same name. This
//! module sends nothing and decides no row.

use std::collections::HashMap;
use std::sync::Arc;

use crate::recording::run::{LIVENESS_ID_PREFIX, Recording};
use crate::wire::exchange::{Exchange, ExchangeAttempt, Request};
use crate::wire::parsed_exchange::parse_exchange;

/// The exchanges of an earlier part of a run, by id.
#[derive(Debug, Clone, Default)]
pub struct AnsweredExchanges(HashMap<String, (Arc<Exchange>, bool)>);

impl AnsweredExchanges {
    /// Those of a recording.
    pub fn from_recording(recording: &Recording) -> Self {
        let known = recording.exchanges.iter().map(|e| (e.id.clone(), (Arc::new(e.clone()), is_answered(e))));
        Self(known.collect())
    }

    /// The exchange of this id, where it was of this request and was answered.
    pub(crate) fn find_exchange(&self, id: &str, request: &Request) -> Option<&Arc<Exchange>> {
        let (exchange, is_answered) = self.0.get(id)?;
        (*is_answered && exchange.request == *request).then_some(exchange)
    }

    /// The attempts that were made at this request and brought no answer.
    pub(crate) fn failed_attempts(&self, id: &str, request: &Request) -> &[ExchangeAttempt] {
        match self.0.get(id) {
            Some((exchange, _)) if exchange.request == *request => &exchange.attempts,
            _ => &[],
        }
    }

    /// How many need not be sent again.
    pub fn answered_count(&self) -> usize {
        self.0.values().filter(|(_, is_answered)| *is_answered).count()
    }
}

/// True where an exchange brought an answer to what was asked: one that broke off is none, nor is one that turned the
/// request away. Whether the endpoint was there is a question of the moment, and asked anew.
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
    fn what_turned_a_request_away_or_broke_off_is_no_answer_to_it() {
        let answered = |credential, result| is_answered(&exchange("a/1", credential, result));
        let target = RequestCredential::Target;
        for status in [200, 400, 404, 413] {
            assert!(answered(target, response(status, None)), "{status}");
        }
        for status in [301, 401, 403, 429, 500, 503, 529] {
            assert!(!answered(target, response(status, None)), "{status}");
        }
        // That a wrong credential is refused is what was asked.
        assert!(answered(RequestCredential::WrongXApiKey, response(401, None)));
        assert!(!answered(target, response(200, Some(FailureKind::Reset))));
        // It would be as large again.
        assert!(answered(target, response(200, Some(FailureKind::TooLarge))));
        assert!(!answered(target, AttemptResult::Failure(failure(FailureKind::Timeout))));
        assert!(!is_answered(&exchange("probe.there/7", target, response(200, None))), "it asks for the moment");
    }

    #[test]
    fn an_answer_stands_for_its_own_request_alone() {
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
