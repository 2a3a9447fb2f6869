//! One trial: the requests of an arm, one after the other, and the record of what they brought.
//!
//! What to try is decided elsewhere, and so is what it shows. Whether a request goes out at all is the business of
//! [`super::sending`].

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{Arm, Experiment, Predicate, variables};
use crate::client::Endpoint;
use crate::engine::predicate;
use crate::engine::request::build::{Built, Context, build};
use crate::engine::request::{arms, follow_up};
use crate::engine::run::scheduler::Turn;
use crate::engine::run::send::Sent;
use crate::engine::run::{Event, Runner};
use crate::engine::trial::Trial;
use crate::recording::run::{ArmKind, TrialKey, TrialRecord};
use crate::variables::Draw;
use crate::wire::exchange::Exchange;
use crate::wire::message::Reading;
use crate::wire::response_body::answer;

/// What an endpoint keeps of a prompt, it keeps for five minutes at least.
const KEPT_MS: u64 = 4 * 60 * 1000;

/// True where so long lies between the last two of equal requests that the endpoint may not know the first any more: the
/// run was cut between them, or made to wait.
fn is_forgotten(before: &Exchange, last: &Exchange) -> bool {
    let (Some(before), Some(last)) = (before.last(), last.last()) else { return false };
    last.started_ms > before.started_ms.saturating_add(before.duration_ms).saturating_add(KEPT_MS)
}

impl<E: Endpoint> Runner<'_, E> {
    /// One trial of a row; `None` when the run is over before it is done.
    pub(super) async fn trial(&self, experiment: &Experiment, key: TrialKey, turn: &Turn<'_>) -> Option<Trial> {
        if key.arm == ArmKind::Genuine {
            return self.genuine_trial(experiment, key, turn).await;
        }
        let layers = arms::layers(experiment, key.variant.as_deref(), key.arm);
        self.simple_trial(experiment, &layers, key, turn).await
    }

    /// A trial that sends one request, several times in a row where the experiment repeats it, until the effect shows.
    /// Rows whose arms ask the same share their requests.
    pub(super) async fn simple_trial(
        &self,
        experiment: &Experiment,
        layers: &[&Arm],
        key: TrialKey,
        turn: &Turn<'_>,
    ) -> Option<Trial> {
        let repeat = match key.arm {
            ArmKind::Challenge(_) | ArmKind::ScreenChallenge => 1,
            _ => experiment.repeat,
        };
        let mut template = arms::template(experiment, layers);
        if key.arm == ArmKind::After {
            // It is asked for one row alone, or it would tell nothing of the moment.
            template.push_str(&key.row);
        }
        let draw = Draw::new(self.options.seed, format!("{template}/{}", key.trial));
        let built = self.build(experiment, layers, &draw, None);
        let owner = self.owners.get(&template).map_or_else(|| key.to_string(), |name| format!("{name}/{}", key.trial));
        let values = if built.fresh { draw.values(&variables(experiment, layers)) } else { BTreeMap::new() };
        let then = arms::then(layers);
        let is_alone = repeat == 1 && then.is_empty();
        let id = |step: u32| if is_alone { owner.clone() } else { format!("{owner}/{step}") };
        let name = |step: u32| (template.clone(), self.channel, key.trial, step);
        let mut sent: Vec<Arc<Sent>> = Vec::new();
        let (mut step, mut steps) = (0, repeat);
        while step < steps {
            step += 1;
            let request = match step {
                // Documents take their time to be made.
                1 => built.request.clone(),
                _ => build(experiment, layers, Context { step, ..self.context(&draw, None) }).request,
            };
            let next = self.send_shared(turn, name(step), &id(step), &request).await?;
            let shows = |effect: &Predicate| matches!(&next.reading, Reading::Message(m) if predicate::holds(effect, m, &values));
            let enough = experiment.effect.as_ref().is_some_and(shows);
            sent.push(next);
            if enough {
                break;
            }
            if let [.., before, last] = sent.as_slice()
                && steps < 2 * repeat
                && is_forgotten(&before.exchange, &last.exchange)
            {
                steps += 1;
            }
        }
        let mut request = built.request;
        for (next, step) in then.iter().zip(steps + 1..) {
            let Some(Reading::Message(answer)) = sent.last().map(|sent| &sent.reading) else { break };
            if !follow_up::goes_on(next, answer, &values) {
                break;
            }
            request = follow_up::follow(&request, answer, next, self.context(&draw, None));
            sent.push(self.send_shared(turn, name(step), &id(step), &request).await?);
        }
        Some(self.record(experiment, key, &sent, values))
    }

    /// A trial in two steps: get a block from the endpoint, hand it back.
    async fn genuine_trial(&self, experiment: &Experiment, key: TrialKey, turn: &Turn<'_>) -> Option<Trial> {
        let genuine = experiment.genuine.as_ref()?;
        let [first_layers, then_layers] = arms::genuine_layers(experiment)?;
        let draw = Draw::new(self.options.seed, key.to_string());
        let built = self.build(experiment, &first_layers, &draw, None);
        let values = draw.values(&variables(experiment, &[]));
        let mut sent = vec![self.send(turn, &format!("{key}/1"), built.request).await?];
        if let Reading::Message(first) = &sent[0].reading
            && predicate::holds(&genuine.when, first, &values)
        {
            let content = serde_json::Value::from(first.content.clone());
            let built = self.build(experiment, &then_layers, &draw, Some(&content));
            sent.push(self.send(turn, &format!("{key}/2"), built.request).await?);
        }
        Some(self.record(experiment, key, &sent, values))
    }

    pub(super) fn build(
        &self,
        experiment: &Experiment,
        layers: &[&Arm],
        draw: &Draw,
        first: Option<&serde_json::Value>,
    ) -> Built {
        build(experiment, layers, self.context(draw, first))
    }

    fn context<'c>(&'c self, draw: &'c Draw, first: Option<&'c serde_json::Value>) -> Context<'c> {
        Context { settings: &self.options.settings, channel: self.channel, draw, first_content: first, step: 1 }
    }

    fn record(
        &self,
        experiment: &Experiment,
        key: TrialKey,
        sent: &[Arc<Sent>],
        values: BTreeMap<String, String>,
    ) -> Trial {
        let trial = Trial {
            variant: key.variant.clone(),
            arm: key.arm,
            steps: sent.iter().map(|sent| sent.reading.clone()).collect(),
            answer: sent.last().filter(|_| experiment.looks_at_answers()).and_then(|sent| answer(&sent.exchange)),
            values: values.clone(),
        };
        let record = TrialRecord { key, exchanges: sent.iter().map(|sent| sent.exchange.id.clone()).collect(), values };
        self.tell(Event::Trial(&record));
        trial
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::exchange::{Attempt, AttemptResult, Credential, Failure, FailureKind, Method, Request};

    #[test]
    fn what_was_asked_long_ago_may_be_forgotten() {
        let at = |started_ms, duration_ms| {
            let failure = Failure { kind: FailureKind::Reset, message: String::new() };
            let result = AttemptResult::Failure(failure);
            let request = Request {
                method: Method::Post,
                path: String::new(),
                headers: BTreeMap::new(),
                credential: Credential::Target,
                body: serde_json::Value::Null,
                raw: None,
            };
            let attempts = vec![Attempt { started_ms, duration_ms, result }];
            Exchange { id: String::new(), request, attempts }
        };
        assert!(!is_forgotten(&at(0, KEPT_MS), &at(KEPT_MS + 5, 10)), "it took long, and was asked at once");
        assert!(is_forgotten(&at(0, 10), &at(KEPT_MS + 11, 10)));
    }
}
