//! A recording in the place of an endpoint: each request is answered with what it brought when it was recorded.
//!
//! Sends nothing and judges nothing. A request that was not recorded, or not so, is never answered with another one's
//! answer: it fails with a kind of its own, which is evidence of nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::client::MessagesEndpoint;
use crate::wire::exchange::{AttemptFailure, AttemptResult, Exchange, ExchangeAttempt, FailureKind, Request};

/// Answers from recorded exchanges.
#[derive(Debug)]
pub struct ReplayEndpoint<'a> {
    exchanges: HashMap<&'a str, &'a Exchange>,
    unrecorded: Mutex<Vec<UnrecordedRequest>>,
}

/// A request that the recording does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnrecordedRequest {
    /// The exchange's id.
    pub id: String,
    /// True where an exchange of this id was recorded, of another request.
    pub has_other_request: bool,
}

impl<'a> ReplayEndpoint<'a> {
    /// A replay of these exchanges.
    pub fn new(exchanges: &'a [Exchange]) -> Self {
        let exchanges = exchanges.iter().map(|exchange| (exchange.id.as_str(), exchange)).collect();
        Self { exchanges, unrecorded: Mutex::default() }
    }

    /// What was asked for and is not there, in the order of asking.
    pub fn unrecorded_requests(&self) -> Vec<UnrecordedRequest> {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl MessagesEndpoint for ReplayEndpoint<'_> {
    async fn send(&self, id: &str, request: Request) -> Exchange {
        let recorded = self.exchanges.get(id);
        match recorded.filter(|exchange| exchange.request == request) {
            Some(exchange) => (*exchange).clone(),
            None => {
                let differs = recorded.is_some();
                let what = if differs { "another request is in its place" } else { "it is not there" };
                let message = format!("not in the recording: {what}");
                let missing = UnrecordedRequest { id: id.to_owned(), has_other_request: differs };
                self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).push(missing);
                let result = AttemptResult::Failure(AttemptFailure { kind: FailureKind::NotRecorded, message });
                let attempts = vec![ExchangeAttempt { started_ms: 0, duration_ms: 0, result }];
                Exchange { id: id.to_owned(), request, attempts }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::wire::exchange::{HttpMethod, RequestCredential};

    fn request(text: &str) -> Request {
        Request {
            method: HttpMethod::Post,
            path: "/v1/messages".to_owned(),
            headers: BTreeMap::new(),
            credential: RequestCredential::Target,
            body: text.into(),
            raw: None,
        }
    }

    #[tokio::test]
    async fn only_the_request_that_was_recorded_gets_its_answer() {
        let recorded = Exchange { id: "a/1".to_owned(), request: request("hello"), attempts: Vec::new() };
        let exchanges = [recorded.clone()];
        let replay = ReplayEndpoint::new(&exchanges);
        assert_eq!(replay.send("a/1", request("hello")).await, recorded);
        for (id, text, differs) in [("a/1", "goodbye", true), ("a/2", "hello", false)] {
            let exchange = replay.send(id, request(text)).await;
            let Some(AttemptResult::Failure(failure)) = exchange.last_attempt().map(|a| &a.result) else { panic!() };
            assert_eq!(failure.kind, FailureKind::NotRecorded);
            assert_eq!(
                replay.unrecorded_requests().last(),
                Some(&UnrecordedRequest { id: id.to_owned(), has_other_request: differs })
            );
        }
    }
}
