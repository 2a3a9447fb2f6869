//! [`CompletedTrial`]: the responses of a trial, and its [`TrialOutcome`] by the tests of the
//! experiment.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{ChanceRate, Experiment};
use crate::engine::predicate::matches;
use crate::engine::request::arms;
use crate::engine::request::sent::SentRequest;
use crate::engine::trouble::is_content_filter;
use crate::recording::run::ArmKind;
use crate::wire::message::{HttpError, InterpretedExchange, Message, excerpt};
use crate::wire::parsed_exchange::ParsedResponse;

/// A trial with its parsed responses.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletedTrial {
    /// The variant, for rows with several.
    pub variant: Option<String>,
    /// The arm.
    pub arm: ArmKind,
    /// The requests.
    pub sent: Vec<SentRequest>,
    /// The responses, one for each request.
    pub responses: Vec<InterpretedExchange>,
    /// The last response as received, for rows that are decided by it.
    pub last_response: Option<Arc<ParsedResponse>>,
    /// The short random values.
    pub values: BTreeMap<String, String>,
}

/// The outcome of a trial.
#[derive(Debug, Clone, PartialEq)]
pub enum TrialOutcome<'a> {
    /// The response shows the effect.
    EffectPresent {
        /// The index of a partial effect of the experiment, if the effect differs from the
        /// reference.
        partial: Option<usize>,
    },
    /// No effect. If the experiment defines the opposite effect, the response shows it.
    EffectAbsent,
    /// Neither the effect nor its opposite: a usable response that is no evidence.
    NoSignal,
    /// A response that is no evidence: empty, refused by the model, or used up by thinking.
    Unusable(String),
    /// A client error.
    Rejected(&'a HttpError),
    /// The server failed. If it fails each time, that is evidence.
    ServerError(&'a HttpError),
    /// No response, or an error that says nothing about the request.
    Failed(String),
    /// A response that is not a message.
    Malformed(String),
}

impl CompletedTrial {
    /// The message of the last request, if all requests got one.
    pub fn message(&self) -> Option<&Message> {
        self.responses.iter().try_fold(None, |_, step| match step {
            InterpretedExchange::Message(message) => Some(Some(&**message)),
            InterpretedExchange::HttpError(_)
            | InterpretedExchange::Malformed(_)
            | InterpretedExchange::UnreadableStream(_)
            | InterpretedExchange::NoResponse(_) => None,
        })?
    }

    /// Why official SDKs cannot read the event stream of a response. `None` if there is no such
    /// stream.
    pub fn unreadable_stream(&self) -> Option<&str> {
        self.responses.iter().find_map(|response| match response {
            InterpretedExchange::UnreadableStream(why) => Some(why.as_str()),
            InterpretedExchange::Message(_)
            | InterpretedExchange::HttpError(_)
            | InterpretedExchange::Malformed(_)
            | InterpretedExchange::NoResponse(_) => None,
        })
    }

    /// The first response that is not a usable message. With `about_credentials`, 401 and 403 are
    /// rejections.
    fn first_problem(&self, about_credentials: bool) -> Option<TrialOutcome<'_>> {
        self.responses.iter().find_map(|step| match step {
            InterpretedExchange::Message(message) => error_in_text(message).map(TrialOutcome::Malformed),
            InterpretedExchange::HttpError(error) if is_content_filter(&error.message) => {
                Some(TrialOutcome::Failed(format!("a content filter rejected the request: {}", error.message)))
            }
            InterpretedExchange::HttpError(error) if is_rejection(error.status, about_credentials) => {
                Some(TrialOutcome::Rejected(error))
            }
            InterpretedExchange::HttpError(error) if error.is_server_fault() => Some(TrialOutcome::ServerError(error)),
            InterpretedExchange::HttpError(error) => {
                Some(TrialOutcome::Failed(format!("HTTP {}: {}", error.status, error.message)))
            }
            InterpretedExchange::Malformed(why) | InterpretedExchange::UnreadableStream(why) => {
                Some(TrialOutcome::Malformed(why.clone()))
            }
            InterpretedExchange::NoResponse(why) => Some(TrialOutcome::Failed(why.clone())),
        })
    }

    /// True if the server failed.
    pub fn is_server_error(&self) -> bool {
        matches!(self.responses.last(), Some(InterpretedExchange::HttpError(error)) if error.is_server_fault())
    }

    /// True if a response lacks the content that the next request of the trial sends back.
    pub fn is_incomplete(&self, experiment: &Experiment) -> bool {
        let follow_ups = arms::follow_ups(&arms::layers(experiment, self.variant.as_deref(), self.arm));
        self.message().is_some() && !follow_ups.is_empty() && self.responses.len() <= follow_ups.len()
    }

    /// The outcome by the effect of the experiment. Without an effect, a message is no signal.
    pub fn outcome(&self, experiment: &Experiment) -> TrialOutcome<'_> {
        // A row about streaming is contradicted by a stream that clients cannot read.
        let needs_stream = experiment.effect.as_ref().is_some_and(|effect| effect.streamed == Some(true));
        if needs_stream && self.unreadable_stream().is_some() {
            return TrialOutcome::EffectAbsent;
        }
        if let Some(problem) = self.first_problem(experiment.about_credentials) {
            return problem;
        }
        if self.is_incomplete(experiment) {
            return TrialOutcome::Unusable(INCOMPLETE_REASON.to_owned());
        }
        // In a conversation, only the last response counts. If a request is repeated, any response
        // can show the effect.
        let is_conversation = self.arm != ArmKind::Genuine && experiment.repeat == 1;
        let skipped = if is_conversation { self.responses.len().saturating_sub(1) } else { 0 };
        let messages = || {
            self.responses.iter().skip(skipped).filter_map(|step| match step {
                InterpretedExchange::Message(message) => Some(&**message),
                InterpretedExchange::HttpError(_)
                | InterpretedExchange::Malformed(_)
                | InterpretedExchange::UnreadableStream(_)
                | InterpretedExchange::NoResponse(_) => None,
            })
        };
        let any = |p| messages().any(|m| matches(p, m, &self.values));
        if let Some(canned) = experiment.canned.as_ref().filter(|_| self.arm == ArmKind::Canned) {
            return if any(&canned.effect) {
                TrialOutcome::EffectPresent { partial: None }
            } else if any(&canned.contrary) {
                TrialOutcome::EffectAbsent
            } else {
                TrialOutcome::NoSignal
            };
        }
        let Some(effect) = &experiment.effect else { return TrialOutcome::NoSignal };
        if any(effect) {
            return TrialOutcome::EffectPresent { partial: None };
        }
        if experiment.contrary.as_ref().is_some_and(any) {
            return TrialOutcome::EffectAbsent;
        }
        if let partial @ Some(_) = experiment.partial.iter().position(|p| any(&p.when)) {
            return TrialOutcome::EffectPresent { partial };
        }
        if let Some(why) = messages().find_map(unusable_reason) {
            return TrialOutcome::Unusable(why);
        }
        // The effect could still have appeared after the limit.
        let is_cut = messages().any(|m| m.stop_reason.as_deref() == Some("max_tokens"));
        if is_cut && experiment.by_chance == ChanceRate::Possible {
            return TrialOutcome::Unusable("the response was cut at max_tokens".to_owned());
        }
        // An endpoint without usage counters cannot show an effect in them.
        let lacks_usage = effect.needs_usage() && messages().all(|m| m.usage.is_empty());
        if experiment.contrary.is_some() || lacks_usage { TrialOutcome::NoSignal } else { TrialOutcome::EffectAbsent }
    }
}

/// Why a trial with several requests is unusable.
pub(super) const INCOMPLETE_REASON: &str = "a response lacks the content that the next request sends back";

/// True for client errors that say something about the request. 401 and 403 do so only in rows
/// about credentials, 429 and 5xx never.
fn is_rejection(status: u16, about_credentials: bool) -> bool {
    matches!(status, 400 | 404 | 413 | 422) || (about_credentials && matches!(status, 401 | 403))
}

/// The error that a 200 response reports as the text of the assistant, as some servers do.
pub(super) fn error_in_text(message: &Message) -> Option<String> {
    let text = message.text();
    let start = text.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let prefixes = ["error", "api error", "internal server error", "invalid request", "bad request"];
    let is_word = |rest: &str| !rest.starts_with(char::is_alphanumeric);
    let first = start.split_whitespace().next().unwrap_or_default();
    let is_name = first.strip_suffix(':').is_some_and(|name| name.ends_with("error") || name.ends_with("exception"));
    let is_error = is_name || prefixes.iter().any(|words| start.strip_prefix(words).is_some_and(is_word));
    is_error.then(|| format!("HTTP 200, but the assistant reports an error: {}", excerpt(text.trim(), 200)))
}

/// Why a message is no evidence. `None` if it is usable.
pub fn unusable_reason(message: &Message) -> Option<String> {
    if message.stop_reason.as_deref() == Some("refusal") {
        return Some("the model refused the task (stop_reason refusal)".to_owned());
    }
    if !message.text().trim().is_empty() || message.blocks("tool_use").next().is_some() {
        return None;
    }
    Some(match message.stop_reason.as_deref() {
        Some("max_tokens") => "max_tokens was used up before the text began".to_owned(),
        _ => "the response is empty".to_owned(),
    })
}
