//! Runs one trial: the requests of an arm, in sequence, and the record of their responses.
//!
//! This module must not decide which trial comes next, or what a response shows. `run/send.rs`
//! decides whether a request is sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use crate::catalog::{Arm, Experiment, MessagePredicate, collect_variables};
use crate::client::MessagesEndpoint;
use crate::engine::predicate;
use crate::engine::request::build::{BuildContext, BuiltRequest, build_request};
use crate::engine::request::sent::SentRequest;
use crate::engine::request::{arms, follow_up};
use crate::engine::run::RowRunner;
use crate::engine::run::scheduler::RowSlot;
use crate::engine::run::send::SentExchange;
use crate::engine::trial::CompletedTrial;
use crate::recording::event::RunEvent;
use crate::recording::run::{ArmKind, TrialKey, TrialRecord};
use crate::variables::TrialValues;
use crate::wire::exchange::Exchange;
use crate::wire::message::InterpretedExchange;

/// The exchanges of a trial, and its short random values.
pub(super) struct SentTrial {
    sent: Vec<Arc<SentExchange>>,
    values: BTreeMap<String, String>,
}

/// Less than the minimum lifetime of a prompt cache, which is five minutes.
const MIN_CACHE_LIFETIME_MS: u64 = 4 * 60 * 1000;

/// True if the prompt cache of the first of two equal requests may have expired before the second:
/// the run was interrupted or throttled between them.
fn is_cache_expired(previous: &Exchange, last: &Exchange) -> bool {
    let (Some(previous), Some(last)) = (previous.last_attempt(), last.last_attempt()) else { return false };
    last.started_ms > previous.started_ms.saturating_add(previous.duration_ms).saturating_add(MIN_CACHE_LIFETIME_MS)
}

impl<E: MessagesEndpoint> RowRunner<'_, E> {
    /// Runs a trial of a row. `None` if the run ends before the trial.
    pub(super) async fn run_trial(
        &self,
        experiment: &Experiment,
        key: TrialKey,
        slot: &RowSlot<'_>,
    ) -> Option<CompletedTrial> {
        if key.arm == ArmKind::Genuine {
            return self.run_own_block_trial(experiment, key, slot).await;
        }
        let layers = arms::layers(experiment, key.variant.as_deref(), key.arm);
        self.run_simple_trial(experiment, &layers, key, slot).await
    }

    /// Runs a trial of one request and its follow-ups.
    pub(super) async fn run_simple_trial(
        &self,
        experiment: &Experiment,
        layers: &[&Arm],
        key: TrialKey,
        slot: &RowSlot<'_>,
    ) -> Option<CompletedTrial> {
        let SentTrial { sent, values } =
            self.send_trial(experiment, layers, &key, slot, &AtomicBool::new(true)).await?;
        Some(self.finish_trial(experiment, key, &sent, values))
    }

    /// Sends the requests of a trial, as long as it is needed. If the experiment repeats the
    /// request, it is sent until a response shows the effect. Rows with equal arms share their
    /// requests.
    pub(super) async fn send_trial(
        &self,
        experiment: &Experiment,
        layers: &[&Arm],
        key: &TrialKey,
        slot: &RowSlot<'_>,
        is_needed: &AtomicBool,
    ) -> Option<SentTrial> {
        let repeat = match key.arm {
            ArmKind::Challenge(_) | ArmKind::ScreenChallenge => 1,
            _ => experiment.repeat,
        };
        let mut template = arms::template_id(experiment, layers);
        if key.arm == ArmKind::After {
            // This request tests the endpoint after the row, so rows do not share it.
            template.push_str(&key.row);
        }
        let trial_values = TrialValues::new(self.options.seed, format!("{template}/{}", key.trial));
        let built = self.build_request(experiment, layers, &trial_values, None);
        let owner =
            self.request_names.get(&template).map_or_else(|| key.to_string(), |name| format!("{name}/{}", key.trial));
        let mut values = if built.has_random_values {
            trial_values.short_values(&collect_variables(experiment, layers))
        } else {
            BTreeMap::new()
        };
        let follow_ups = arms::follow_ups(layers);
        let is_alone = repeat == 1 && follow_ups.is_empty();
        let request_id = |step: u32| if is_alone { owner.clone() } else { format!("{owner}/{step}") };
        let request_key = |step: u32| (template.clone(), self.text_form, key.trial, step);
        let mut sent: Vec<Arc<SentExchange>> = Vec::new();
        let (mut step, mut steps) = (0, repeat);
        while step < steps {
            step += 1;
            let request = match step {
                // Documents take time to build, so the first request is not built again.
                1 => built.request.clone(),
                _ => {
                    build_request(experiment, layers, BuildContext { step, ..self.build_context(&trial_values, None) })
                        .request
                }
            };
            if !is_needed.load(Ordering::Relaxed) {
                return None;
            }
            let next = self.send_shared(slot, request_key(step), &request_id(step), &request).await?;
            let shows = |effect: &MessagePredicate| matches!(&next.parsed.interpretation, InterpretedExchange::Message(m) if predicate::matches(effect, m, &values));
            let shows_effect = experiment.effect.as_ref().is_some_and(shows);
            sent.push(next);
            if shows_effect {
                break;
            }
            if let [.., previous, last] = sent.as_slice()
                && steps < 2 * repeat
                && is_cache_expired(&previous.exchange, &last.exchange)
            {
                steps += 1;
            }
        }
        let mut request = built.request;
        for (next, step) in follow_ups.iter().zip(steps + 1..) {
            let Some(InterpretedExchange::Message(message)) = sent.last().map(|sent| &sent.parsed.interpretation)
            else {
                break;
            };
            if !follow_up::has_next(next, message, &values) {
                break;
            }
            if !is_needed.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(word) = follow_up::response_word(next, message) {
                values.insert(follow_up::RESPONSE_WORD.to_owned(), word);
            }
            request = follow_up::next_request(&request, message, next, self.build_context(&trial_values, None));
            sent.push(self.send_shared(slot, request_key(step), &request_id(step), &request).await?);
        }
        Some(SentTrial { sent, values })
    }

    /// Runs a trial of two requests: the first gets a block from the endpoint, and the second sends
    /// it back.
    async fn run_own_block_trial(
        &self,
        experiment: &Experiment,
        key: TrialKey,
        slot: &RowSlot<'_>,
    ) -> Option<CompletedTrial> {
        let genuine = experiment.genuine.as_ref()?;
        let [first_layers, then_layers] = arms::own_block_layers(experiment)?;
        let trial_values = TrialValues::new(self.options.seed, key.to_string());
        let built = self.build_request(experiment, &first_layers, &trial_values, None);
        let values = trial_values.short_values(&collect_variables(experiment, &[]));
        let mut sent = vec![self.send(slot, &format!("{key}/1"), built.request).await?];
        if let InterpretedExchange::Message(first) = &sent[0].parsed.interpretation
            && predicate::matches(&genuine.when, first, &values)
        {
            let content = serde_json::Value::from(first.content.clone());
            let built = self.build_request(experiment, &then_layers, &trial_values, Some(&content));
            sent.push(self.send(slot, &format!("{key}/2"), built.request).await?);
        }
        Some(self.finish_trial(experiment, key, &sent, values))
    }

    pub(super) fn build_request(
        &self,
        experiment: &Experiment,
        layers: &[&Arm],
        trial_values: &TrialValues,
        first: Option<&serde_json::Value>,
    ) -> BuiltRequest {
        build_request(experiment, layers, self.build_context(trial_values, first))
    }

    fn build_context<'c>(
        &'c self,
        trial_values: &'c TrialValues,
        first: Option<&'c serde_json::Value>,
    ) -> BuildContext<'c> {
        BuildContext {
            settings: &self.options.settings,
            text_form: self.text_form,
            values: trial_values,
            first_content: first,
            step: 1,
        }
    }

    fn finish_trial(
        &self,
        experiment: &Experiment,
        key: TrialKey,
        sent: &[Arc<SentExchange>],
        values: BTreeMap<String, String>,
    ) -> CompletedTrial {
        let trial = CompletedTrial {
            variant: key.variant.clone(),
            arm: key.arm,
            sent: sent.iter().map(|sent| SentRequest::new(&sent.exchange.request, experiment, &values)).collect(),
            responses: sent.iter().map(|sent| sent.parsed.interpretation.clone()).collect(),
            last_response: sent
                .last()
                .filter(|_| experiment.decides_by_response())
                .and_then(|sent| sent.parsed.response.clone()),
            values: values.clone(),
        };
        let record = TrialRecord { key, exchanges: sent.iter().map(|sent| sent.exchange.id.clone()).collect(), values };
        let mut row_trials = self.row_trials.lock().unwrap_or_else(PoisonError::into_inner);
        row_trials.entry(record.key.row.clone()).or_default().push((record.key.clone(), record.exchanges.clone()));
        drop(row_trials);
        self.emit(RunEvent::Trial(&record));
        trial
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::exchange::{
        AttemptFailure, AttemptResult, ExchangeAttempt, FailureKind, HttpMethod, Request, RequestCredential,
    };

    #[test]
    fn a_prompt_cache_expires_after_a_long_pause() {
        let at = |started_ms, duration_ms| {
            let failure = AttemptFailure { kind: FailureKind::Reset, message: String::new() };
            let result = AttemptResult::Failure(failure);
            let request = Request {
                method: HttpMethod::Post,
                path: String::new(),
                headers: BTreeMap::new(),
                credential: RequestCredential::Target,
                body: serde_json::Value::Null,
                raw: None,
            };
            let attempts = vec![ExchangeAttempt { started_ms, duration_ms, result }];
            Exchange { id: String::new(), request, attempts }
        };
        assert!(
            !is_cache_expired(&at(0, MIN_CACHE_LIFETIME_MS), &at(MIN_CACHE_LIFETIME_MS + 5, 10)),
            "the response took long, but the next request followed immediately"
        );
        assert!(is_cache_expired(&at(0, 10), &at(MIN_CACHE_LIFETIME_MS + 11, 10)));
    }
}
