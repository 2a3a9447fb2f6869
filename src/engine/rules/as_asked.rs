//! [`unrequested_form`]: responses that do not have the form that their request asks for.
//!
//! A positive verdict proves its preconditions by the responses that it rests on. A response in
//! another form is evidence for the row that asks for the form, and for no other row.

use crate::catalog::{ArmComparison, Experiment};
use crate::engine::request::sent::SentRequest;
use crate::engine::rules::step::{Step, unrequested_form_verdict};
use crate::engine::trial::CompletedTrial;
use crate::wire::message::{InterpretedExchange, Message};

/// A response in another form than the request asks for.
pub(super) struct UnrequestedForm {
    /// The row that asks for the form.
    pub row: &'static str,
    /// What the response is.
    pub observed: String,
}

/// The inconclusive verdict of a row if a response does not have the form that its request asks
/// for. Other variants are not considered.
pub(super) fn step(experiment: &Experiment, variant: Option<&str>, trials: &[CompletedTrial]) -> Option<Step> {
    let mut own_trials = trials.iter().filter(|trial| trial.variant.is_none() || trial.variant.as_deref() == variant);
    let form = own_trials.find_map(|trial| unrequested_form(experiment, trial))?;
    Some(Step::Decided(unrequested_form_verdict(form.row, &form.observed)))
}

/// The first response of a trial that does not have the form that its request asks for, unless the
/// row itself is about this form.
pub(super) fn unrequested_form(experiment: &Experiment, trial: &CompletedTrial) -> Option<UnrequestedForm> {
    let mut pairs = trial.sent.iter().zip(&trial.responses);
    let found = pairs.find_map(|(sent, response)| {
        unrequested_stream(sent, response)
            .or_else(|| unrequested_count(sent, response, trial))
            .or_else(|| unforced_call(experiment, sent, response))
            .or_else(|| uncached_prompt(experiment, sent, response))
    })?;
    (found.row != experiment.id()).then_some(found)
}

fn unrequested_stream(sent: &SentRequest, response: &InterpretedExchange) -> Option<UnrequestedForm> {
    let observed = match response {
        InterpretedExchange::Message(message) if sent.asks_stream && !message.streamed => {
            "the response to a request for a stream is no stream".to_owned()
        }
        InterpretedExchange::UnreadableStream(why) if sent.asks_stream => {
            format!("official SDKs cannot read the stream: {why}")
        }
        InterpretedExchange::Message(_)
        | InterpretedExchange::HttpError(_)
        | InterpretedExchange::Malformed(_)
        | InterpretedExchange::UnreadableStream(_)
        | InterpretedExchange::NoResponse(_) => return None,
    };
    Some(UnrequestedForm { row: "field.stream", observed })
}

fn unrequested_count(
    sent: &SentRequest,
    response: &InterpretedExchange,
    trial: &CompletedTrial,
) -> Option<UnrequestedForm> {
    let is_success = matches!(response, InterpretedExchange::Message(_) | InterpretedExchange::Malformed(_));
    let body = trial.last_response.as_ref().filter(|_| sent.asks_count && is_success)?;
    let observed = match (body.json["input_tokens"].is_u64(), response) {
        (true, _) => return None,
        (false, InterpretedExchange::Message(_)) => "the response to a request for a token count is a message",
        (false, _) => "the response to a request for a token count has no `input_tokens`",
    };
    Some(UnrequestedForm { row: "count_tokens", observed: observed.to_owned() })
}

/// A message without a call, although the request forces one, in a row that expects an error. The
/// rule that the row tests does not apply to such a request.
fn unforced_call(
    experiment: &Experiment,
    sent: &SentRequest,
    response: &InterpretedExchange,
) -> Option<UnrequestedForm> {
    let expects_error = experiment.reply.as_ref().is_some_and(|reply| reply.expects_http_error());
    let row = sent.forces_call.filter(|_| expects_error)?;
    let has_no_call = |message: &Message| message.blocks("tool_use").next().is_none();
    let InterpretedExchange::Message(message) = response else { return None };
    has_no_call(message).then(|| UnrequestedForm {
        row,
        observed: "the response to a request that forces a call has no call".to_owned(),
    })
}

/// A prompt with a cache breakpoint that was not cached, in a row that compares cached tokens.
fn uncached_prompt(
    experiment: &Experiment,
    sent: &SentRequest,
    response: &InterpretedExchange,
) -> Option<UnrequestedForm> {
    let compares_tokens = matches!(experiment.compare, Some(ArmComparison::Near(_)));
    let is_marked = sent.carries("content.text.cache_control");
    let InterpretedExchange::Message(message) = response else { return None };
    let counters = ["cache_creation_input_tokens", "cache_read_input_tokens"];
    let is_cached = counters.iter().any(|counter| message.counter(counter).is_some_and(|count| count > 0));
    (compares_tokens && is_marked && !is_cached).then(|| UnrequestedForm {
        row: "content.text.cache_control",
        observed: "the prompt with a breakpoint is not cached".to_owned(),
    })
}
