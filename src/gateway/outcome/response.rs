//! Observes what the client got of an upstream's response: [`ResponseProbe`]. Pure.

use serde_json::{Value, json};

use crate::catalog::{ClientSignal, GatewayExpectation, UpstreamResponse};
use crate::gateway::client_response::{ClientResponse, ReceivedResponse};
use crate::gateway::json_search;
use crate::gateway::outcome::matcher::{
    CandidateValue, ExpectedValue, GatewayObservation, find_headers, find_in_body, shorten,
};
use crate::gateway::upstream::{script, sse};
use crate::recording::gateway::UpstreamCall;
use crate::results::reason::AbsenceNote;
use crate::variables::fill::VariableValues;
use crate::wire::exchange::{AttemptResult, Exchange};

/// How much earlier than the upstream's last delta the client's first delta must arrive.
const MIN_STREAM_LEAD_MS: u64 = 100;

/// The position of the last delta of text, from the end: at most three records follow it.
const LAST_DELTA_FROM_END: usize = 4;

/// Both sides of one response.
pub(crate) struct ResponseProbe<'a> {
    /// The script of the upstream, with variables filled in.
    pub scripted_response: &'a UpstreamResponse,
    /// The random values of the trial.
    pub values: &'a VariableValues,
    /// The client's side.
    pub exchange: &'a Exchange,
    /// The client's side, parsed.
    pub client_response: &'a ClientResponse,
    /// The upstream's side.
    pub call: &'a UpstreamCall,
}

impl ResponseProbe<'_> {
    /// What became of the part of the response that the expectation names.
    pub(crate) fn observe(&self, expectation: &GatewayExpectation) -> GatewayObservation {
        GatewayObservation::of_all_parts(expectation, |part| self.observe_part(part))
    }

    fn observe_part(&self, part: &GatewayExpectation) -> GatewayObservation {
        if part.sign == Some(ClientSignal::Failure) {
            return self.observe_failure();
        }
        let received = match self.client_response {
            ClientResponse::NoResponse(why) => return GatewayObservation::failed(why),
            ClientResponse::Received(received) => received,
        };
        if let Some(status) = part.status {
            return observe_match(
                received.status == status,
                "the status",
                format!("HTTP {status}"),
                format!("HTTP {}", received.status),
            );
        }
        let status = self.scripted_response.status.unwrap_or(200);
        if status < 400 && received.status >= 400 {
            return GatewayObservation::Refused { message: received.describe() };
        }
        if status >= 400 && received.status < 400 && part.header.is_none() {
            return GatewayObservation::changed(format!("HTTP {status}"), received.describe(), "the status");
        }
        // A stream with its last event is complete, even if the connection stays open.
        if let Some(truncation) = received.truncation.as_ref().filter(|_| !received.is_finished()) {
            return GatewayObservation::failed(&truncation.message);
        }
        let requested_stream = self.exchange.request.body.get("stream") == Some(&Value::Bool(true));
        if requested_stream && !received.is_stream && received.status < 400 && status < 400 {
            return GatewayObservation::changed("an event stream", "a response without a stream", "the stream");
        }
        match part.sign {
            Some(ClientSignal::Pace) => self.observe_pacing(received),
            Some(ClientSignal::Pieces) => self.observe_pieces(received),
            Some(ClientSignal::Failure) | None => self.observe_value(part, received),
        }
    }

    fn observe_value(&self, part: &GatewayExpectation, received: &ReceivedResponse) -> GatewayObservation {
        if let (Some(name), None) = (&part.event, &part.at) {
            return if received.events.iter().any(|event| event.name == *name) {
                GatewayObservation::forwarded(format!("event {name}"))
            } else {
                GatewayObservation::dropped()
            };
        }
        let expected = ExpectedValue::new(part, self.values, None);
        let candidates = find_candidates(part, received);
        if let Some(place) = expected.find_in(&candidates) {
            return GatewayObservation::Forwarded { place };
        }
        let count_elsewhere = |marker: &str| self.count_elsewhere(part, marker);
        match expected.explain_miss(&candidates, &searchable_content(received), &[], "\u{0}", count_elsewhere) {
            GatewayObservation::Dropped { .. } => GatewayObservation::Dropped {
                note: received.error().map_or(AbsenceNote::Nothing {}, |error| AbsenceNote::ErrorInstead { error }),
            },
            observation => observation,
        }
    }

    /// How often a random value occurs in the upstream's response outside of a part.
    fn count_elsewhere(&self, part: &GatewayExpectation, marker: &str) -> usize {
        let message = Value::Object(self.scripted_response.message.clone());
        let in_part: usize =
            find_in_body(part, &message).iter().map(|(_, value)| json_search::find_all_text(value, marker).len()).sum();
        json_search::find_all_text(&message, marker).len().saturating_sub(in_part.max(1))
    }

    /// Whether a client can detect the failure of the upstream.
    fn observe_failure(&self) -> GatewayObservation {
        let received = match self.client_response {
            ClientResponse::NoResponse(why) => return GatewayObservation::forwarded(shorten(why)),
            ClientResponse::Received(received) => received,
        };
        if let Some(error) = received.error() {
            return GatewayObservation::forwarded(error);
        }
        let to = match &received.truncation {
            Some(truncation) if !truncation.is_timeout => {
                return GatewayObservation::forwarded(shorten(&truncation.message));
            }
            Some(_) => "no response until the client timed out".to_owned(),
            None if received.is_stream && !received.is_finished() => {
                "the stream ends without message_stop and without an error".to_owned()
            }
            None => format!("HTTP {} with a response that looks complete", received.status),
        };
        GatewayObservation::changed("a failure", to, "the end")
    }

    /// Whether the client got the first delta before the upstream sent the last one.
    fn observe_pacing(&self, received: &ReceivedResponse) -> GatewayObservation {
        let changed = |to: &str| GatewayObservation::changed("delta by delta", to, "the stream");
        if !self.call.answered.is_stream {
            return changed("the gateway did not request a stream from the upstream");
        }
        if !received.is_stream {
            return changed("a response without a stream");
        }
        match self.first_delta_ms().zip(self.last_delta_ms()) {
            None => GatewayObservation::dropped(),
            Some((first, last)) if first + MIN_STREAM_LEAD_MS < last => GatewayObservation::forwarded("the stream"),
            Some(_) => changed("buffered: nothing arrived until the upstream finished"),
        }
    }

    /// When the upstream sent the last delta of text, or the delta before it.
    fn last_delta_ms(&self) -> Option<u64> {
        let times = &self.call.answered.pieces_ms;
        times.get(times.len().checked_sub(LAST_DELTA_FROM_END)?).copied()
    }

    /// When the client got the first delta of text, in milliseconds since the start of the run.
    fn first_delta_ms(&self) -> Option<u64> {
        let attempt = self.exchange.last_attempt()?;
        let AttemptResult::Response(response) = &attempt.result else { return None };
        let name = b"content_block_delta";
        // The position is unknown in a compressed body. Its first byte counts instead.
        let position = response.body.0.windows(name.len()).position(|window| window == name).unwrap_or(0) as u64;
        let mut received = 0;
        let (ms, _) = response.arrivals.iter().find(|(_, size)| {
            received += size;
            received > position
        })?;
        Some(attempt.started_ms + ms)
    }

    fn observe_pieces(&self, received: &ReceivedResponse) -> GatewayObservation {
        let script = self.scripted_response;
        let anthropic = script.message.get("content").and_then(|content| content[0]["text"].as_str());
        let openai = || script.choice.get("message")?["content"].as_str();
        let text = anthropic
            .or_else(openai)
            .map_or_else(|| script::plain_text(self.values.get("reply").map_or("", String::as_str)), str::to_owned);
        let sent = sse::split_text(&text);
        let deltas = received.events.iter().filter(|event| event.name == "content_block_delta");
        let got: Vec<&str> =
            deltas.filter_map(|event| event.data["delta"]["text"].as_str()).filter(|text| !text.is_empty()).collect();
        let other = if got.len() == sent.len() { "other " } else { "" };
        observe_match(
            got == sent,
            "the stream",
            format!("{} deltas", sent.len()),
            format!("{} {other}deltas", got.len()),
        )
    }
}

fn observe_match(is_same: bool, place: &str, from: String, to: String) -> GatewayObservation {
    if is_same { GatewayObservation::forwarded(place) } else { GatewayObservation::changed(from, to, place) }
}

fn find_candidates(part: &GatewayExpectation, received: &ReceivedResponse) -> Vec<CandidateValue> {
    if let Some(name) = &part.header {
        return find_headers(&received.headers, name);
    }
    match &part.event {
        Some(name) => {
            let events = received.events.iter().filter(|event| event.name == *name);
            events.flat_map(|event| find_in_body(part, &event.data)).collect()
        }
        None => find_in_body(part, &received.json),
    }
}

/// Everything that arrived, to search for a random value in any place.
fn searchable_content(received: &ReceivedResponse) -> Value {
    let mut all = received.json.as_object().cloned().unwrap_or_default();
    let headers = received.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    all.insert("(headers)".to_owned(), headers);
    all.insert("(events)".to_owned(), received.events.iter().map(|event| event.data.clone()).collect());
    Value::Object(all)
}
