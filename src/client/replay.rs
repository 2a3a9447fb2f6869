//! [`ReplayEndpoint`]: answers each request with its recorded exchange.
//!
//! It sends nothing and judges nothing. A request that differs from the recorded one never gets
//! another request's response. It fails with [`FailureKind::NotRecorded`], which is no evidence.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::client::budget::BudgetReservation;
use crate::client::endpoint::MessagesEndpoint;
use crate::wire::exchange::{AttemptFailure, AttemptResult, Exchange, ExchangeAttempt, FailureKind, Request};

/// An endpoint whose responses come from a recording.
#[derive(Debug)]
pub struct ReplayEndpoint<'a> {
    exchanges: HashMap<&'a str, &'a Exchange>,
    unrecorded: Mutex<Vec<UnrecordedRequest>>,
}

/// A request that is not in the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnrecordedRequest {
    /// The id of the exchange.
    pub id: String,
    /// True if the recording has another request with this id.
    pub has_other_request: bool,
}

impl<'a> ReplayEndpoint<'a> {
    /// An endpoint that replays these exchanges.
    pub fn new(exchanges: &'a [Exchange]) -> Self {
        let exchanges = exchanges.iter().map(|exchange| (exchange.id.as_str(), exchange)).collect();
        Self { exchanges, unrecorded: Mutex::default() }
    }

    /// The requests that were not in the recording, in the order of the calls.
    pub fn unrecorded_requests(&self) -> Vec<UnrecordedRequest> {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl MessagesEndpoint for ReplayEndpoint<'_> {
    fn is_live(&self) -> bool {
        false
    }

    async fn send_within_budget(&self, id: &str, request: Request, _: Option<&mut BudgetReservation<'_>>) -> Exchange {
        let recorded = self.exchanges.get(id);
        if let Some(exchange) = recorded.filter(|exchange| exchange.request == request) {
            return (*exchange).clone();
        }
        let has_other_request = recorded.is_some();
        let detail = if has_other_request { "it has another request with this id" } else { "it has no such request" };
        let message = format!("not in the recording: {detail}");
        let unrecorded = UnrecordedRequest { id: id.to_owned(), has_other_request };
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).push(unrecorded);
        let result = AttemptResult::Failure(AttemptFailure { kind: FailureKind::NotRecorded, message });
        let attempts = vec![ExchangeAttempt { started_ms: 0, duration_ms: 0, result }];
        Exchange { id: id.to_owned(), request, attempts }
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
    async fn only_an_equal_request_gets_the_recorded_response() {
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
