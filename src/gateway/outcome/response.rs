//! What reached the client of an answer that the upstream gave. Pure.

use serde_json::{Value, json};

use crate::catalog::{ClientSignal, GatewayExpectation, JsonPath, UpstreamResponse};
use crate::gateway::client_response::{ClientResponse, ReceivedResponse};
use crate::gateway::json_search;
use crate::gateway::outcome::matcher::{CandidateValue, ExpectedValue, GatewayObservation, shorten};
use crate::gateway::outcome::undetermined::UndeterminedReason;
use crate::gateway::upstream::{script, sse};
use crate::recording::gateway::UpstreamCall;
use crate::variables::fill::VariableValues;
use crate::wire::exchange::Exchange;

/// How much earlier than the upstream's last piece of text the client's first must be, in milliseconds.
const MIN_STREAM_LEAD_MS: u64 = 100;

/// What was answered, and what came of it.
pub(crate) struct ResponseProbe<'a> {
    /// The script, its variables filled in.
    pub scripted_response: &'a UpstreamResponse,
    /// What was drawn.
    pub values: &'a VariableValues,
    /// The client's side.
    pub exchange: &'a Exchange,
    /// The same, read.
    pub client_response: &'a ClientResponse,
    /// The upstream's side.
    pub call: &'a UpstreamCall,
}

impl ResponseProbe<'_> {
    /// What became of a part of the answer.
    pub(crate) fn observe(&self, comes: &GatewayExpectation) -> GatewayObservation {
        let mut first = None;
        for part in std::iter::once(comes).chain(&comes.also) {
            match self.observe_part(part) {
                seen @ GatewayObservation::Forwarded { .. } => first = first.or(Some(seen)),
                other => return other,
            }
        }
        first.unwrap_or(GatewayObservation::Dropped { note: None })
    }

    fn observe_part(&self, part: &GatewayExpectation) -> GatewayObservation {
        if part.sign == Some(ClientSignal::Failure) {
            return self.observe_failure();
        }
        let came = match self.client_response {
            ClientResponse::NoResponse(why) => {
                return GatewayObservation::Undetermined(UndeterminedReason::GatewayFailed, why.clone());
            }
            ClientResponse::Received(came) => came,
        };
        if let Some(status) = part.status {
            return observe_match(
                came.status == status,
                || "the status".to_owned(),
                &format!("HTTP {status}"),
                || format!("HTTP {}", came.status),
            );
        }
        let status = self.scripted_response.status.unwrap_or(200);
        if status < 400 && came.status >= 400 {
            return GatewayObservation::Refused {
                message: came.error().unwrap_or_else(|| format!("HTTP {}", came.status)),
            };
        }
        if status >= 400 && came.status < 400 && part.header.is_none() {
            let to = came.error().unwrap_or_else(|| format!("HTTP {}", came.status));
            return GatewayObservation::Changed { from: format!("HTTP {status}"), to, place: "the status".to_owned() };
        }
        // Who never ends a connection has told all the same; who broke it off has not.
        if let Some(cut) = came.truncation.as_ref().filter(|_| !came.is_finished()) {
            return GatewayObservation::Undetermined(UndeterminedReason::GatewayFailed, cut.message.clone());
        }
        let asked_for_stream = self.exchange.request.body.get("stream") == Some(&Value::Bool(true));
        if asked_for_stream && !came.is_stream && came.status < 400 && status < 400 {
            let (from, to) = ("an event stream".to_owned(), "an answer that is no stream".to_owned());
            return GatewayObservation::Changed { from, to, place: "the stream".to_owned() };
        }
        match part.sign {
            Some(ClientSignal::Pace) => self.observe_pacing(came),
            Some(ClientSignal::Pieces) => self.observe_pieces(came),
            Some(ClientSignal::Failure) | None => self.observe_value(part, came),
        }
    }

    fn observe_value(&self, part: &GatewayExpectation, came: &ReceivedResponse) -> GatewayObservation {
        let wanted = ExpectedValue::new(part, self.values, None);
        if let (Some(name), None) = (&part.event, &part.at) {
            let is_there = came.events.iter().any(|event| event.name == *name);
            return if is_there {
                GatewayObservation::Forwarded { place: format!("event {name}") }
            } else {
                GatewayObservation::Dropped { note: None }
            };
        }
        let candidates = find_candidates(part, came);
        match wanted.find_in(&candidates) {
            Some(place) => GatewayObservation::Forwarded { place },
            None => {
                let missed = wanted.explain_miss(&candidates, &searchable_content(came), &[], "\u{0}", |marker| {
                    self.count_elsewhere(part, marker)
                });
                match (missed, wanted.is_unique()) {
                    (GatewayObservation::Dropped { .. }, _) => GatewayObservation::Dropped { note: came.error() },
                    (seen, _) => seen,
                }
            }
        }
    }

    /// How often a drawn value stands in the upstream's answer outside of a part.
    fn count_elsewhere(&self, part: &GatewayExpectation, marker: &str) -> usize {
        let message = Value::Object(self.scripted_response.message.clone().into_iter().collect());
        let paths: Vec<&JsonPath> = part.at.iter().chain(&part.or).collect();
        let own: usize = paths
            .iter()
            .flat_map(|path| json_search::find(path, &message))
            .map(|(_, value)| json_search::find_all_text(value, marker).len())
            .sum();
        json_search::find_all_text(&message, marker).len().saturating_sub(own.max(1))
    }

    /// Whether a client can tell that something went wrong.
    fn observe_failure(&self) -> GatewayObservation {
        let came = match self.client_response {
            ClientResponse::NoResponse(why) => return GatewayObservation::Forwarded { place: shorten(why) },
            ClientResponse::Received(came) => came,
        };
        if let Some(error) = came.error() {
            return GatewayObservation::Forwarded { place: error };
        }
        let from = "a failure".to_owned();
        let place = "the end".to_owned();
        match &came.truncation {
            Some(cut) if !cut.is_timeout => GatewayObservation::Forwarded { place: shorten(&cut.message) },
            Some(_) => GatewayObservation::Changed { from, to: "silence, until the client gave up".to_owned(), place },
            None if came.is_stream && !came.is_finished() => GatewayObservation::Changed {
                from,
                to: "a stream that ends without message_stop, without an error, on a connection that closes cleanly"
                    .to_owned(),
                place,
            },
            None => GatewayObservation::Changed {
                from,
                to: format!("HTTP {} with an answer that looks whole", came.status),
                place,
            },
        }
    }

    /// Whether the first text was there before the upstream sent its last.
    fn observe_pacing(&self, came: &ReceivedResponse) -> GatewayObservation {
        let from = "piece by piece".to_owned();
        let place = "the stream".to_owned();
        if !self.call.answered.is_stream {
            return GatewayObservation::Changed {
                from,
                to: "the upstream was asked for a whole answer".to_owned(),
                place,
            };
        }
        if !came.is_stream {
            return GatewayObservation::Changed { from, to: "an answer that is no stream".to_owned(), place };
        }
        let Some((first, last)) = self.first_delta_ms().zip(self.last_delta_ms()) else {
            return GatewayObservation::Dropped { note: None };
        };
        if first + MIN_STREAM_LEAD_MS < last {
            GatewayObservation::Forwarded { place }
        } else {
            GatewayObservation::Changed {
                from,
                to: "held back until the upstream had sent all of it".to_owned(),
                place,
            }
        }
    }

    /// When the upstream sent the last delta of text, or the one before it: some three records tell the end.
    fn last_delta_ms(&self) -> Option<u64> {
        let pieces = &self.call.answered.pieces_ms;
        pieces.get(pieces.len().checked_sub(4)?).copied()
    }

    /// When the client had the first delta of text, in milliseconds from the start of the run.
    fn first_delta_ms(&self) -> Option<u64> {
        let attempt = self.exchange.last_attempt()?;
        let crate::wire::exchange::AttemptResult::Response(response) = &attempt.result else { return None };
        let name = b"content_block_delta";
        // Of a packed body, only its beginning is known to hold something.
        let at = response.body.0.windows(name.len()).position(|window| window == name).unwrap_or(0) as u64;
        let mut come = 0;
        let (ms, _) = response.arrivals.iter().find(|(_, size)| {
            come += size;
            come > at
        })?;
        Some(attempt.started_ms + ms)
    }

    fn observe_pieces(&self, came: &ReceivedResponse) -> GatewayObservation {
        let text = self
            .scripted_response
            .message
            .get("content")
            .and_then(|content| content[0]["text"].as_str())
            .map(str::to_owned);
        let text = text.or_else(|| Some(self.scripted_response.choice.get("message")?["content"].as_str()?.to_owned()));
        let text = text.unwrap_or_else(|| script::plain_text(self.values.get("reply").map_or("", String::as_str)));
        let sent = sse::split_text(&text);
        let deltas = came.events.iter().filter(|event| event.name == "content_block_delta");
        let got: Vec<&str> =
            deltas.filter_map(|event| event.data["delta"]["text"].as_str()).filter(|t| !t.is_empty()).collect();
        let place = "the stream".to_owned();
        observe_match(
            got == sent,
            || place,
            &format!("{} pieces", sent.len()),
            || match got.len() {
                n if n == sent.len() => format!("{n} other pieces"),
                n => format!("{n} pieces"),
            },
        )
    }
}

fn observe_match(
    is_same: bool,
    place: impl FnOnce() -> String,
    from: &str,
    to: impl FnOnce() -> String,
) -> GatewayObservation {
    if is_same {
        GatewayObservation::Forwarded { place: place() }
    } else {
        GatewayObservation::Changed { from: from.to_owned(), to: to(), place: place() }
    }
}

fn find_candidates(part: &GatewayExpectation, came: &ReceivedResponse) -> Vec<CandidateValue> {
    if let Some(name) = &part.header {
        let named = came.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        return named.map(|(n, value)| (format!("header {n}"), json!(value))).collect();
    }
    let paths: Vec<&JsonPath> = part.at.iter().chain(&part.or).collect();
    let below = |value: &Value| -> Vec<CandidateValue> {
        paths.iter().flat_map(|path| json_search::find(path, value)).map(|(at, value)| (at, value.clone())).collect()
    };
    match &part.event {
        Some(name) => {
            came.events.iter().filter(|event| event.name == *name).flat_map(|event| below(&event.data)).collect()
        }
        None => below(&came.json),
    }
}

/// Everything that came, for who looks for a marker wherever it is.
fn searchable_content(came: &ReceivedResponse) -> Value {
    let mut all = came.json.as_object().cloned().unwrap_or_default();
    let headers = came.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    all.insert("(headers)".to_owned(), headers);
    all.insert("(events)".to_owned(), came.events.iter().map(|event| event.data.clone()).collect());
    Value::Object(all)
}
