//! What a trial showed: its answers, read, and held against the experiment's tests.

use std::collections::BTreeMap;

use crate::catalog::{Chance, Experiment};
use crate::engine::predicate::holds;
use crate::engine::request::arms;
use crate::recording::run::ArmKind;
use crate::wire::message::{Message, Reading, Refusal, excerpt};
use crate::wire::response_body::Answer;

/// A trial, with its answers read.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The variant, for rows that have several.
    pub variant: Option<String>,
    /// The arm.
    pub arm: ArmKind,
    /// The answers, one per step.
    pub steps: Vec<Reading>,
    /// The last answer as it came, for rows that are decided by it.
    pub answer: Option<Answer>,
    /// The short drawn values.
    pub values: BTreeMap<String, String>,
}

/// What a trial amounts to.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen<'a> {
    /// The effect showed.
    Shows {
        /// Honoured, but not as the reference has it: which of the ways that the experiment knows.
        partial: Option<usize>,
    },
    /// No effect. Where the experiment names the effect's contrary, that showed.
    Absent,
    /// Neither the effect nor its contrary: the trial says nothing, though the answer is sound.
    Silent,
    /// The answer says nothing of anything: empty, refused by the model, or spent on thinking.
    Void(String),
    /// A client error.
    Refused(&'a Refusal),
    /// No answer, or an error that says nothing about the request.
    Failed(String),
    /// An answer that is no message.
    Broken(String),
}

impl Trial {
    /// The message of the last step, where all steps brought one.
    pub fn message(&self) -> Option<&Message> {
        self.steps.iter().try_fold(None, |_, step| match step {
            Reading::Message(message) => Some(Some(message)),
            Reading::Refused(_) | Reading::Broken(_) | Reading::Failed(_) => None,
        })?
    }

    /// The first step's problem, where there is one. `credentials` makes 401 and 403 refusals.
    fn problem(&self, credentials: bool) -> Option<Seen<'_>> {
        self.steps.iter().find_map(|step| match step {
            Reading::Message(message) => spoken_error(message).map(Seen::Broken),
            Reading::Refused(refusal) if is_refusal(refusal.status, credentials) => Some(Seen::Refused(refusal)),
            Reading::Refused(refusal) => Some(Seen::Failed(format!("HTTP {}: {}", refusal.status, refusal.message))),
            Reading::Broken(why) => Some(Seen::Broken(why.clone())),
            Reading::Failed(why) => Some(Seen::Failed(why.clone())),
        })
    }

    /// True when an answer did not have what the next request of the trial goes on from.
    pub fn ended_early(&self, experiment: &Experiment) -> bool {
        let then = arms::then(&arms::layers(experiment, self.variant.as_deref(), self.arm));
        self.message().is_some() && !then.is_empty() && self.steps.len() <= then.len()
    }

    /// What the trial amounts to, by the experiment's effect. Without one, any message is merely an answer.
    pub fn seen(&self, experiment: &Experiment) -> Seen<'_> {
        if let Some(problem) = self.problem(experiment.about_credentials) {
            return problem;
        }
        if self.ended_early(experiment) {
            return Seen::Void(ENDED_EARLY.to_owned());
        }
        // Of a conversation, the last answer counts; of a request that is repeated, the one that shows the effect.
        let is_conversation = self.arm != ArmKind::Genuine && experiment.repeat == 1;
        let passed_over = if is_conversation { self.steps.len().saturating_sub(1) } else { 0 };
        let messages = || {
            self.steps.iter().skip(passed_over).filter_map(|step| match step {
                Reading::Message(message) => Some(message),
                Reading::Refused(_) | Reading::Broken(_) | Reading::Failed(_) => None,
            })
        };
        let Some(effect) = &experiment.effect else { return Seen::Silent };
        let any = |p| messages().any(|m| holds(p, m, &self.values));
        if any(effect) {
            return Seen::Shows { partial: None };
        }
        if experiment.contrary.as_ref().is_some_and(any) {
            return Seen::Absent;
        }
        if let partial @ Some(_) = experiment.partial.iter().position(|p| any(&p.when)) {
            return Seen::Shows { partial };
        }
        if let Some(why) = messages().find_map(void) {
            return Seen::Void(why);
        }
        // What a model might still have done after the bound is not known.
        let cut = messages().any(|m| m.stop_reason.as_deref() == Some("max_tokens"));
        if cut && experiment.by_chance == Chance::Possible {
            return Seen::Void("the answer was cut at max_tokens before it ended".to_owned());
        }
        // Counters that the endpoint never gives cannot show anything.
        let uncounted = effect.needs_usage() && messages().all(|m| m.usage.is_empty());
        if experiment.contrary.is_some() || uncounted { Seen::Silent } else { Seen::Absent }
    }
}

/// Why a trial of several requests says nothing.
pub(super) const ENDED_EARLY: &str = "an answer had nothing that the next request could go on from";

/// Client errors that say something about the request. 401, 403, 429 and 5xx never do, but for rows about credentials.
fn is_refusal(status: u16, credentials: bool) -> bool {
    matches!(status, 400 | 404 | 413 | 422) || (credentials && matches!(status, 401 | 403))
}

/// Some servers say 200 and let the assistant speak the error: that is no answer of a model.
pub(super) fn spoken_error(message: &Message) -> Option<String> {
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
pub fn void(message: &Message) -> Option<String> {
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
