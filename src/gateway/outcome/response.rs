//! What reached the client of an answer that the upstream gave. Pure.

use serde_json::{Value, json};

use crate::catalog::{Answer, Arrival, BodyPath, Sign};
use crate::gateway::client_response::{Came, CameAnswer};
use crate::gateway::json_search;
use crate::gateway::outcome::matcher::{Candidate, Seen, Wanted, shown};
use crate::gateway::outcome::undetermined::Unclear;
use crate::gateway::upstream::{script, sse};
use crate::gateway::values::Values;
use crate::recording::gateway::Call;
use crate::wire::exchange::Exchange;

/// How much earlier than the upstream's last piece of text the client's first must be, in milliseconds.
const PACE_MS: u64 = 100;

/// What was answered, and what came of it.
pub(crate) struct Returned<'a> {
    /// The script, its variables filled in.
    pub answer: &'a Answer,
    /// What was drawn.
    pub values: &'a Values,
    /// The client's side.
    pub exchange: &'a Exchange,
    /// The same, read.
    pub came: &'a Came,
    /// The upstream's side.
    pub call: &'a Call,
}

impl Returned<'_> {
    /// What became of a part of the answer.
    pub(crate) fn seen(&self, comes: &Arrival) -> Seen {
        let mut first = None;
        for part in std::iter::once(comes).chain(&comes.also) {
            match self.part(part) {
                seen @ Seen::Forwarded { .. } => first = first.or(Some(seen)),
                other => return other,
            }
        }
        first.unwrap_or(Seen::Dropped { note: None })
    }

    fn part(&self, part: &Arrival) -> Seen {
        if part.sign == Some(Sign::Failure) {
            return self.failure();
        }
        let came = match self.came {
            Came::Nothing(why) => return Seen::Void(Unclear::GatewayFailed, why.clone()),
            Came::Answer(came) => came,
        };
        if let Some(status) = part.status {
            return told(
                came.status == status,
                || "the status".to_owned(),
                &format!("HTTP {status}"),
                || format!("HTTP {}", came.status),
            );
        }
        let status = self.answer.status.unwrap_or(200);
        if status < 400 && came.status >= 400 {
            return Seen::Refused { said: came.error().unwrap_or_else(|| format!("HTTP {}", came.status)) };
        }
        if status >= 400 && came.status < 400 && part.header.is_none() {
            let to = came.error().unwrap_or_else(|| format!("HTTP {}", came.status));
            return Seen::Changed { from: format!("HTTP {status}"), to, place: "the status".to_owned() };
        }
        // Who never ends a connection has told all the same; who broke it off has not.
        if let Some(cut) = came.cut.as_ref().filter(|_| !came.is_finished()) {
            return Seen::Void(Unclear::GatewayFailed, cut.message.clone());
        }
        let asked_for_stream = self.exchange.request.body.get("stream") == Some(&Value::Bool(true));
        if asked_for_stream && !came.is_stream && came.status < 400 && status < 400 {
            let (from, to) = ("an event stream".to_owned(), "an answer that is no stream".to_owned());
            return Seen::Changed { from, to, place: "the stream".to_owned() };
        }
        match part.sign {
            Some(Sign::Pace) => self.pace(came),
            Some(Sign::Pieces) => self.pieces(came),
            Some(Sign::Failure) | None => self.value(part, came),
        }
    }

    fn value(&self, part: &Arrival, came: &CameAnswer) -> Seen {
        let wanted = Wanted::of(part, self.values, None);
        if let (Some(name), None) = (&part.event, &part.at) {
            let is_there = came.events.iter().any(|event| event.name == *name);
            return if is_there {
                Seen::Forwarded { place: format!("event {name}") }
            } else {
                Seen::Dropped { note: None }
            };
        }
        let candidates = candidates(part, came);
        match wanted.among(&candidates) {
            Some(place) => Seen::Forwarded { place },
            None => {
                let missed =
                    wanted.missed(&candidates, &anywhere(came), &[], "\u{0}", |marker| self.explained(part, marker));
                match (missed, wanted.is_fresh()) {
                    (Seen::Dropped { .. }, _) => Seen::Dropped { note: came.error() },
                    (seen, _) => seen,
                }
            }
        }
    }

    /// How often a drawn value stands in the upstream's answer outside of a part.
    fn explained(&self, part: &Arrival, marker: &str) -> usize {
        let message = Value::Object(self.answer.message.clone().into_iter().collect());
        let paths: Vec<&BodyPath> = part.at.iter().chain(&part.or).collect();
        let own: usize = paths
            .iter()
            .flat_map(|path| json_search::find(path, &message))
            .map(|(_, value)| json_search::holding(value, marker).len())
            .sum();
        json_search::holding(&message, marker).len().saturating_sub(own.max(1))
    }

    /// Whether a client can tell that something went wrong.
    fn failure(&self) -> Seen {
        let came = match self.came {
            Came::Nothing(why) => return Seen::Forwarded { place: shown(why) },
            Came::Answer(came) => came,
        };
        if let Some(error) = came.error() {
            return Seen::Forwarded { place: error };
        }
        let from = "a failure".to_owned();
        let place = "the end".to_owned();
        match &came.cut {
            Some(cut) if !cut.is_timeout => Seen::Forwarded { place: shown(&cut.message) },
            Some(_) => Seen::Changed { from, to: "silence, until the client gave up".to_owned(), place },
            None if came.is_stream && !came.is_finished() => Seen::Changed {
                from,
                to: "a stream that ends without message_stop, without an error, on a connection that closes cleanly"
                    .to_owned(),
                place,
            },
            None => Seen::Changed { from, to: format!("HTTP {} with an answer that looks whole", came.status), place },
        }
    }

    /// Whether the first text was there before the upstream sent its last.
    fn pace(&self, came: &CameAnswer) -> Seen {
        let from = "piece by piece".to_owned();
        let place = "the stream".to_owned();
        if !self.call.answered.is_stream {
            return Seen::Changed { from, to: "the upstream was asked for a whole answer".to_owned(), place };
        }
        if !came.is_stream {
            return Seen::Changed { from, to: "an answer that is no stream".to_owned(), place };
        }
        let Some((first, last)) = self.first_delta_ms().zip(self.last_delta_ms()) else {
            return Seen::Dropped { note: None };
        };
        if first + PACE_MS < last {
            Seen::Forwarded { place }
        } else {
            Seen::Changed { from, to: "held back until the upstream had sent all of it".to_owned(), place }
        }
    }

    /// When the upstream sent the last delta of text, or the one before it: some three records tell the end.
    fn last_delta_ms(&self) -> Option<u64> {
        let pieces = &self.call.answered.pieces_ms;
        pieces.get(pieces.len().checked_sub(4)?).copied()
    }

    /// When the client had the first delta of text, in milliseconds from the start of the run.
    fn first_delta_ms(&self) -> Option<u64> {
        let attempt = self.exchange.last()?;
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

    fn pieces(&self, came: &CameAnswer) -> Seen {
        let text =
            self.answer.message.get("content").and_then(|content| content[0]["text"].as_str()).map(str::to_owned);
        let text = text.or_else(|| Some(self.answer.choice.get("message")?["content"].as_str()?.to_owned()));
        let text = text.unwrap_or_else(|| script::plain_text(self.values.get("reply").map_or("", String::as_str)));
        let sent = sse::pieces(&text);
        let deltas = came.events.iter().filter(|event| event.name == "content_block_delta");
        let got: Vec<&str> =
            deltas.filter_map(|event| event.data["delta"]["text"].as_str()).filter(|t| !t.is_empty()).collect();
        let place = "the stream".to_owned();
        told(
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

fn told(is_same: bool, place: impl FnOnce() -> String, from: &str, to: impl FnOnce() -> String) -> Seen {
    if is_same {
        Seen::Forwarded { place: place() }
    } else {
        Seen::Changed { from: from.to_owned(), to: to(), place: place() }
    }
}

fn candidates(part: &Arrival, came: &CameAnswer) -> Vec<Candidate> {
    if let Some(name) = &part.header {
        let named = came.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        return named.map(|(n, value)| (format!("header {n}"), json!(value))).collect();
    }
    let paths: Vec<&BodyPath> = part.at.iter().chain(&part.or).collect();
    let below = |value: &Value| -> Vec<Candidate> {
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
fn anywhere(came: &CameAnswer) -> Value {
    let mut all = came.json.as_object().cloned().unwrap_or_default();
    let headers = came.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    all.insert("(headers)".to_owned(), headers);
    all.insert("(events)".to_owned(), came.events.iter().map(|event| event.data.clone()).collect());
    Value::Object(all)
}
