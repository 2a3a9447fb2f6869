//! [`StrippedResponses`]: what the rows lose if the server ignores one field.
//!
//! The engine has no part in this: the requests of the unmutated run are sent again, unchanged, to a
//! server that ignores the field. Its responses show what each request has lost.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::catalog::ClaimStatus;
use crate::client::MessagesEndpoint as _;
use crate::mutation::error::MutationError;
use crate::mutation::observation::RunObservation;
use crate::mutation::subject::{DEFAULT_SEED, MutationSubject, SimulatorMutation};
use crate::recording::run::ArmKind;
use crate::wire::exchange::{Exchange, Request};
use crate::wire::message::InterpretedExchange;
use crate::wire::parsed_exchange::parse_exchange;

/// The rows that lose something without a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StrippedResponses {
    /// Rows with another response.
    pub changed: BTreeSet<String>,
    /// Rows whose treatments all lose the stream or the count that they ask for. No positive verdict
    /// can rest on them.
    pub without_form: BTreeSet<String>,
    /// Rows whose treatments all lose that, or the call or the thinking that they ask for. No effect
    /// can rest on them, but a request can still be accepted.
    pub without_content: BTreeSet<String>,
}

impl StrippedResponses {
    /// Sends the requests that have the field of a row to a server that ignores it.
    pub async fn collect(
        subject: &MutationSubject,
        before: &RunObservation,
        field: &str,
    ) -> Result<Self, MutationError> {
        let statuses = vec![(field.to_owned(), ClaimStatus::Ignored)];
        let mutation = SimulatorMutation { statuses, faults: Vec::new(), seed: DEFAULT_SEED };
        let (_running, client) = subject.start_server(&mutation).await?;
        let mut losses = HashMap::new();
        for exchange in before.exchanges_with_field(field) {
            let stripped = client.send(&exchange.id, exchange.request.clone()).await;
            losses.insert(exchange.id.as_str(), ResponseLoss::new(exchange, &stripped));
        }
        Ok(Self::from_losses(before, &losses))
    }

    fn from_losses(before: &RunObservation, losses: &HashMap<&str, ResponseLoss>) -> Self {
        let mut changed = BTreeSet::new();
        let mut treatments: BTreeMap<&str, Vec<ResponseParts>> = BTreeMap::new();
        for trial in before.recording.iter().flat_map(|recording| &recording.trials) {
            let of_trial = || trial.exchanges.iter().filter_map(|id| losses.get(id.as_str()));
            if of_trial().any(|loss| loss.is_changed) {
                changed.insert(trial.key.row.clone());
            }
            if trial.key.arm == ArmKind::Treatment {
                let lost = of_trial().fold(ResponseParts::default(), |lost, loss| lost.union(loss.lost));
                treatments.entry(&trial.key.row).or_default().push(lost);
            }
        }
        let rows_where = |is_lost: fn(&ResponseParts) -> bool| {
            let rows = treatments.iter().filter(|(_, trials)| trials.iter().all(is_lost));
            rows.map(|(row, _)| (*row).to_owned()).collect()
        };
        let without_form = rows_where(|lost| lost.stream || lost.count);
        let without_content = rows_where(|lost| *lost != ResponseParts::default());
        Self { changed, without_form, without_content }
    }
}

/// True if a trial of the row with the field has all that its requests ask for. A positive verdict
/// can rest on it, whatever the requests of another run lose.
pub(super) fn has_complete_trial(run: &RunObservation, row: &str) -> bool {
    let Some(recording) = &run.recording else { return false };
    let exchanges: HashMap<&str, &Exchange> = recording.exchanges.iter().map(|e| (e.id.as_str(), e)).collect();
    let with_field = |arm: ArmKind| matches!(arm, ArmKind::Treatment | ArmKind::Insist);
    let mut trials = recording.trials.iter().filter(|trial| trial.key.row == row && with_field(trial.key.arm));
    trials.any(|trial| {
        let mut sent = trial.exchanges.iter().filter_map(|id| exchanges.get(id.as_str()));
        sent.all(|exchange| {
            ResponseParts::asked(&exchange.request).without(ResponseParts::new(exchange)) == ResponseParts::default()
        })
    })
}

/// What one response loses.
#[derive(Debug, Clone, Copy)]
struct ResponseLoss {
    /// The response has another content.
    is_changed: bool,
    /// The parts that the request asks for and that the response no longer has.
    lost: ResponseParts,
}

impl ResponseLoss {
    fn new(before: &Exchange, stripped: &Exchange) -> Self {
        let (was, now) = (parse_exchange(before), parse_exchange(stripped));
        // Messages also have ids, which mean nothing.
        let is_changed = match (&was.interpretation, &was.response, &now.response) {
            (InterpretedExchange::Message(_), _, _) => was.interpretation != now.interpretation,
            (_, Some(was), Some(now)) => (was.status, &was.json) != (now.status, &now.json),
            (_, was, now) => was.is_some() != now.is_some(),
        };
        let (was, now) = (ResponseParts::new(before), ResponseParts::new(stripped));
        Self { is_changed, lost: ResponseParts::asked(&before.request).both(was).without(now) }
    }
}

/// The parts of a response that a client can ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ResponseParts {
    stream: bool,
    count: bool,
    call: bool,
    thinking: bool,
}

impl ResponseParts {
    fn new(exchange: &Exchange) -> Self {
        let parsed = parse_exchange(exchange);
        let count = parsed.response.is_some_and(|response| response.json["input_tokens"].is_u64());
        match &parsed.interpretation {
            InterpretedExchange::Message(message) => Self {
                stream: message.streamed,
                count,
                call: message.blocks("tool_use").next().is_some(),
                thinking: message.blocks("thinking").next().is_some(),
            },
            InterpretedExchange::HttpError(_)
            | InterpretedExchange::Malformed(_)
            | InterpretedExchange::UnreadableStream(_)
            | InterpretedExchange::NoResponse(_) => Self { count, ..Self::default() },
        }
    }

    /// The parts that a request asks for.
    fn asked(request: &Request) -> Self {
        let kind = |pointer: &str| request.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        Self {
            stream: request.body["stream"] == true,
            count: request.path_without_query().ends_with("/count_tokens"),
            call: matches!(kind("/tool_choice/type"), "any" | "tool"),
            thinking: matches!(kind("/thinking/type"), "enabled" | "adaptive"),
        }
    }

    fn both(self, other: Self) -> Self {
        self.combine(other, |one, other| one && other)
    }

    fn union(self, other: Self) -> Self {
        self.combine(other, |one, other| one || other)
    }

    fn without(self, other: Self) -> Self {
        self.combine(other, |one, other| one && !other)
    }

    fn combine(self, other: Self, of_part: fn(bool, bool) -> bool) -> Self {
        Self {
            stream: of_part(self.stream, other.stream),
            count: of_part(self.count, other.count),
            call: of_part(self.call, other.call),
            thinking: of_part(self.thinking, other.thinking),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::exchange::{HttpMethod, RequestCredential};

    fn asked(path: &str, body: Value) -> ResponseParts {
        ResponseParts::asked(&Request {
            method: HttpMethod::Post,
            path: path.to_owned(),
            headers: BTreeMap::new(),
            credential: RequestCredential::Target,
            body,
            raw: None,
        })
    }

    #[test]
    fn a_response_loses_only_what_the_request_asks_for() {
        let nothing = ResponseParts::default();
        let call = ResponseParts { call: true, ..nothing };
        let forced = asked("/v1/messages", json!({ "tool_choice": { "type": "any" } }));
        assert_eq!(forced.both(call).without(nothing), call);
        assert_eq!(forced.both(call).without(call), nothing);
        let free = asked("/v1/messages", json!({ "tool_choice": { "type": "auto" } }));
        assert_eq!(free.both(call).without(nothing), nothing, "the model may call or not");
        assert_eq!(asked("/v1/messages", json!({ "stream": true })), ResponseParts { stream: true, ..nothing });
        let count = asked("/v1/messages/count_tokens?beta=true", json!({}));
        assert_eq!(count, ResponseParts { count: true, ..nothing });
    }
}
