//! What a trial showed: its answers, read, and held against the experiment's tests.

use std::collections::BTreeMap;

use crate::catalog::{ChanceRate, Experiment};
use crate::engine::predicate::matches;
use crate::engine::request::arms;
use crate::recording::run::ArmKind;
use crate::wire::message::{HttpError, InterpretedExchange, Message, excerpt};
use crate::wire::response_body::ParsedResponse;

/// A trial, with its answers read.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletedTrial {
    /// The variant, for rows that have several.
    pub variant: Option<String>,
    /// The arm.
    pub arm: ArmKind,
    /// The answers, one per step.
    pub responses: Vec<InterpretedExchange>,
    /// The last answer as it came, for rows that are decided by it.
    pub last_response: Option<ParsedResponse>,
    /// The short drawn values.
    pub values: BTreeMap<String, String>,
}

/// What a trial amounts to.
#[derive(Debug, Clone, PartialEq)]
pub enum TrialOutcome<'a> {
    /// The effect showed.
    EffectPresent {
        /// Honoured, but not as the reference has it: which of the ways that the experiment knows.
        partial: Option<usize>,
    },
    /// No effect. Where the experiment names the effect's contrary, that showed.
    EffectAbsent,
    /// Neither the effect nor its contrary: the trial says nothing, though the answer is sound.
    NoSignal,
    /// The answer says nothing of anything: empty, refused by the model, or spent on thinking.
    Unusable(String),
    /// A client error.
    Rejected(&'a HttpError),
    /// No answer, or an error that says nothing about the request.
    Failed(String),
    /// An answer that is no message.
    Malformed(String),
}

impl CompletedTrial {
    /// The message of the last step, where all steps brought one.
    pub fn message(&self) -> Option<&Message> {
        self.responses.iter().try_fold(None, |_, step| match step {
            InterpretedExchange::Message(message) => Some(Some(message)),
            InterpretedExchange::HttpError(_)
            | InterpretedExchange::Malformed(_)
            | InterpretedExchange::NoResponse(_) => None,
        })?
    }

    /// The first step's problem, where there is one. `credentials` makes 401 and 403 refusals.
    fn first_problem(&self, credentials: bool) -> Option<TrialOutcome<'_>> {
        self.responses.iter().find_map(|step| match step {
            InterpretedExchange::Message(message) => error_in_text(message).map(TrialOutcome::Malformed),
            InterpretedExchange::HttpError(refusal) if is_rejection(refusal.status, credentials) => {
                Some(TrialOutcome::Rejected(refusal))
            }
            InterpretedExchange::HttpError(refusal) => {
                Some(TrialOutcome::Failed(format!("HTTP {}: {}", refusal.status, refusal.message)))
            }
            InterpretedExchange::Malformed(why) => Some(TrialOutcome::Malformed(why.clone())),
            InterpretedExchange::NoResponse(why) => Some(TrialOutcome::Failed(why.clone())),
        })
    }

    /// True when an answer did not have what the next request of the trial goes on from.
    pub fn is_incomplete(&self, experiment: &Experiment) -> bool {
        let then = arms::follow_ups(&arms::layers(experiment, self.variant.as_deref(), self.arm));
        self.message().is_some() && !then.is_empty() && self.responses.len() <= then.len()
    }

    /// What the trial amounts to, by the experiment's effect. Without one, any message is merely an answer.
    pub fn outcome(&self, experiment: &Experiment) -> TrialOutcome<'_> {
        if let Some(problem) = self.first_problem(experiment.about_credentials) {
            return problem;
        }
        if self.is_incomplete(experiment) {
            return TrialOutcome::Unusable(INCOMPLETE_REASON.to_owned());
        }
        // Of a conversation, the last answer counts; of a request that is repeated, the one that shows the effect.
        let is_conversation = self.arm != ArmKind::Genuine && experiment.repeat == 1;
        let passed_over = if is_conversation { self.responses.len().saturating_sub(1) } else { 0 };
        let messages = || {
            self.responses.iter().skip(passed_over).filter_map(|step| match step {
                InterpretedExchange::Message(message) => Some(message),
                InterpretedExchange::HttpError(_)
                | InterpretedExchange::Malformed(_)
                | InterpretedExchange::NoResponse(_) => None,
            })
        };
        let Some(effect) = &experiment.effect else { return TrialOutcome::NoSignal };
        let any = |p| messages().any(|m| matches(p, m, &self.values));
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
        // What a model might still have done after the bound is not known.
        let cut = messages().any(|m| m.stop_reason.as_deref() == Some("max_tokens"));
        if cut && experiment.by_chance == ChanceRate::Possible {
            return TrialOutcome::Unusable("the answer was cut at max_tokens before it ended".to_owned());
        }
        // Counters that the endpoint never gives cannot show anything.
        let uncounted = effect.needs_usage() && messages().all(|m| m.usage.is_empty());
        if experiment.contrary.is_some() || uncounted { TrialOutcome::NoSignal } else { TrialOutcome::EffectAbsent }
    }
}

/// Why a trial of several requests says nothing.
pub(super) const INCOMPLETE_REASON: &str = "an answer had nothing that the next request could go on from";

/// Client errors that say something about the request. 401, 403, 429 and 5xx never do, but for rows about credentials.
fn is_rejection(status: u16, credentials: bool) -> bool {
    matches!(status, 400 | 404 | 413 | 422) || (credentials && matches!(status, 401 | 403))
}

/// Some servers say 200 and let the assistant speak the error: that is no answer of a model.
pub(super) fn error_in_text(message: &Message) -> Option<String> {
    let text = message.text();
    let start = text.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let speaks = ["error", "api error", "internal server error", "invalid request", "bad request"];
    let is_word = |rest: &str| !rest.starts_with(char::is_alphanumeric);
    let first = start.split_whitespace().next().unwrap_or_default();
    let is_name = first.strip_suffix(':').is_some_and(|name| name.ends_with("error") || name.ends_with("exception"));
    let spoken = is_name || speaks.iter().any(|words| start.strip_prefix(words).is_some_and(is_word));
    spoken.then(|| format!("HTTP 200, but what the assistant says is an error: {}", excerpt(text.trim(), 200)))
}

/// Why an answer says nothing of anything, if so.
pub fn unusable_reason(message: &Message) -> Option<String> {
    if message.stop_reason.as_deref() == Some("refusal") {
        return Some("the model refused to answer (stop_reason refusal)".to_owned());
    }
    let spoke = !message.text().trim().is_empty() || message.blocks("tool_use").next().is_some();
    if spoke {
        return None;
    }
    Some(match message.stop_reason.as_deref() {
        Some("max_tokens") => "max_tokens was spent before an answer began".to_owned(),
        _ => "the answer is empty".to_owned(),
    })
}
