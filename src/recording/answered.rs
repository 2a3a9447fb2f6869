//! What an earlier part of a run brought, so that nothing that was answered is sent again.
//!
//! An answer stands for the request that it was given to, byte for byte, and for no other one of the same name. This
//! module sends nothing and decides no row.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::run::send::{IS_THERE, is_no_answer};
use crate::recording::run::Recording;
use crate::wire::exchange::{Attempt, Exchange, Request};
use crate::wire::message::read;

/// The exchanges of an earlier part of a run, by id.
#[derive(Debug, Clone, Default)]
pub struct Known(HashMap<String, (Arc<Exchange>, bool)>);

impl Known {
    /// Those of a recording.
    pub fn of(recording: &Recording) -> Self {
        let known = recording.exchanges.iter().map(|e| (e.id.clone(), (Arc::new(e.clone()), is_answered(e))));
        Self(known.collect())
    }

    /// The exchange of this id, where it was of this request and was answered.
    pub(crate) fn answered(&self, id: &str, request: &Request) -> Option<&Arc<Exchange>> {
        let (exchange, is_answered) = self.0.get(id)?;
        (*is_answered && exchange.request == *request).then_some(exchange)
    }

    /// The attempts that were made at this request and brought no answer.
    pub(crate) fn attempts(&self, id: &str, request: &Request) -> &[Attempt] {
        match self.0.get(id) {
            Some((exchange, _)) if exchange.request == *request => &exchange.attempts,
            _ => &[],
        }
    }

    /// How many need not be sent again.
    pub fn answers(&self) -> usize {
        self.0.values().filter(|(_, is_answered)| *is_answered).count()
    }
}

/// True where an exchange brought an answer to what was asked: one that broke off is none, nor is one that turned the
/// request away. Whether the endpoint was there is a question of the moment, and asked anew.
fn is_answered(exchange: &Exchange) -> bool {
    !exchange.id.starts_with(IS_THERE) && !is_no_answer(&exchange.request, &read(exchange))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::wire::exchange::{AttemptResult, Body, Credential, Failure, FailureKind, Method, Response};

    fn exchange(id: &str, credential: Credential, result: AttemptResult) -> Exchange {
        let request = Request {
            method: Method::Post,
            path: "/v1/messages".to_owned(),
            headers: BTreeMap::new(),
            credential,
            body: "hello".into(),
            raw: None,
        };
        let attempts = vec![Attempt { started_ms: 0, duration_ms: 1, result }];
        Exchange { id: id.to_owned(), request, attempts }
    }

    fn failure(kind: FailureKind) -> Failure {
        Failure { kind, message: String::new() }
    }

    fn response(status: u16, cut: Option<FailureKind>) -> AttemptResult {
        let body = br#"{"type":"message","role":"assistant","content":[],"usage":{}}"#.to_vec();
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let cut = cut.map(failure);
        AttemptResult::Response(Response { status, headers, body: Body(body), arrivals: Vec::new(), cut })
    }

    #[test]
    fn what_turned_a_request_away_or_broke_off_is_no_answer_to_it() {
        let answered = |credential, result| is_answered(&exchange("a/1", credential, result));
        let target = Credential::Target;
        for status in [200, 400, 404, 413] {
            assert!(answered(target, response(status, None)), "{status}");
        }
        for status in [301, 401, 403, 429, 500, 503, 529] {
            assert!(!answered(target, response(status, None)), "{status}");
        }
        // That a wrong credential is refused is what was asked.
        assert!(answered(Credential::WrongXApiKey, response(401, None)));
        assert!(!answered(target, response(200, Some(FailureKind::Reset))));
        // It would be as large again.
        assert!(answered(target, response(200, Some(FailureKind::TooLarge))));
        assert!(!answered(target, AttemptResult::Failure(failure(FailureKind::Timeout))));
        assert!(!is_answered(&exchange("probe.there/7", target, response(200, None))), "it asks for the moment");
    }

    #[test]
    fn an_answer_stands_for_its_own_request_alone() {
        let one = exchange("a/1", Credential::Target, response(200, None));
        let known = Known([(one.id.clone(), (Arc::new(one.clone()), true))].into());
        assert!(known.answered("a/1", &one.request).is_some());
        assert!(known.answered("a/2", &one.request).is_none());
        let other = Request { body: "goodbye".into(), ..one.request.clone() };
        assert!(known.answered("a/1", &other).is_none());
        assert!(known.attempts("a/1", &other).is_empty());
        assert_eq!(known.attempts("a/1", &one.request).len(), 1);
    }
}
