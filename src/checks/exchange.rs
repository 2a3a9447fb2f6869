//! The checks of one exchange: [`check_exchange`].

use serde_json::Value;

use crate::checks::catalog::ProtocolCheck;
use crate::checks::collector::{Finding, FindingCollector};
use crate::checks::sse::StreamChecker;
use crate::checks::{error, http, message, timing, tool, usage};
use crate::wire::exchange::{AttemptResult, Exchange, Request, Response};
use crate::wire::message::excerpt;
use crate::wire::parsed_exchange::{ParsedBody, ParsedExchange};

/// An exchange with its findings.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedExchange {
    /// The findings, at most one for each check.
    pub findings: Vec<Finding>,
    /// The parsed exchange. The checks need the same pass over the body.
    pub parsed: ParsedExchange,
    message: CheckedMessage,
}

/// Where the message of a response is.
#[derive(Debug, Clone, PartialEq)]
enum CheckedMessage {
    /// The response has no message.
    Missing,
    /// It is the body.
    Body,
    /// The events of the stream assemble it.
    Assembled(Value),
}

impl CheckedExchange {
    /// Returns the message of the last attempt, for [`check_across`](crate::checks::check_across).
    pub fn message(&self) -> Option<&Value> {
        match &self.message {
            CheckedMessage::Missing => None,
            CheckedMessage::Body => self.parsed.response.as_ref().map(|response| &response.json),
            CheckedMessage::Assembled(message) => Some(message),
        }
    }
}

/// Checks all attempts of an exchange.
pub fn check_exchange(exchange: &Exchange) -> CheckedExchange {
    let mut found = FindingCollector::default();
    let mut last = None;
    for attempt in &exchange.attempts {
        last = match &attempt.result {
            AttemptResult::Response(response) => Some(check_response(&exchange.request, response, &mut found)),
            AttemptResult::Failure(_) => None,
        };
    }
    let (body, message) = last.unzip();
    CheckedExchange {
        findings: found.into_findings(),
        message: message.unwrap_or(CheckedMessage::Missing),
        parsed: ParsedExchange::from_body(exchange, body),
    }
}

fn check_response(
    request: &Request,
    response: &Response,
    found: &mut FindingCollector,
) -> (ParsedBody, CheckedMessage) {
    let request_body = &request.body;
    http::check(request_body, response, found);
    // Other paths return other objects.
    if !response.is_success() || !request.path_without_query().ends_with("/v1/messages") {
        let body = ParsedBody::parse(response, &mut ());
        if response.status >= 400 {
            error::check(request_body, response, body.json(), found);
        }
        return (body, CheckedMessage::Missing);
    }
    if response.is_event_stream() {
        timing::check(response, found);
    }
    let mut stream = StreamChecker::new(request_body, response, found);
    let body = ParsedBody::parse(response, &mut stream);
    let checked = match &body {
        ParsedBody::Stream(assembled) => {
            stream.finish(assembled).map_or(CheckedMessage::Missing, CheckedMessage::Assembled)
        }
        ParsedBody::Json(json) => check_json(response, Some(json), found),
        ParsedBody::Other => check_json(response, None, found),
        ParsedBody::TooLarge => CheckedMessage::Missing,
    };
    let message = match &checked {
        CheckedMessage::Missing => None,
        CheckedMessage::Body => Some(body.json()),
        CheckedMessage::Assembled(message) => Some(message),
    };
    if let Some(message) = message {
        message::check(request_body, message, found);
        usage::check(request_body, message, found);
        tool::check(request_body, message, found);
    }
    (body, checked)
}

/// Looks for the message of a response that is not a stream.
fn check_json(response: &Response, json: Option<&Value>, found: &mut FindingCollector) -> CheckedMessage {
    // A part of a body proves nothing about the rest.
    if response.cut.is_some() {
        return CheckedMessage::Missing;
    }
    let check = match json {
        None => ProtocolCheck::BodyNotJson,
        Some(json) if json["type"] == "error" || (json["error"].is_object() && json.get("content").is_none()) => {
            ProtocolCheck::ErrorInSuccess
        }
        Some(json) if !json.is_object() || (json.get("content").is_none() && json["type"] != "message") => {
            ProtocolCheck::NoMessage
        }
        Some(_) => return CheckedMessage::Body,
    };
    found.add(check, excerpt(&response.text(), 120));
    CheckedMessage::Missing
}
