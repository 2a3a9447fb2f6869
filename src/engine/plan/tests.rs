//! Tests of the bounds of a plan: for any responses, no arm needs more trials than planned.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::catalog::{Catalog, CatalogRow, Experiment, collect_variables};
use crate::client::PerMinuteLimits;
use crate::engine::plan::arm_cost::{max_trials, plan_context};
use crate::engine::plan::run_plan::{STRICTNESS_REQUESTS, TEXT_FORM_REQUESTS};
use crate::engine::plan::{PlanInput, RateAssumptions, plan_run};
use crate::engine::request::arms;
use crate::engine::request::build::build_request;
use crate::engine::rules::{RunFacts, Step};
use crate::engine::trial::CompletedTrial;
use crate::engine::{probes, rules};
use crate::recording::request_settings::RequestSettings;
use crate::recording::run::ArmKind;
use crate::variables::TrialValues;
use crate::wire::exchange::{
    AttemptFailure, AttemptResult, BodyBytes, Exchange, ExchangeAttempt, FailureKind, Request, Response,
};
use crate::wire::parsed_exchange::parse_exchange;

/// More trials than any row needs.
const MAX_TEST_TRIALS: usize = 2000;

/// An endpoint with random responses. Each kind of response has a random weight.
struct RandomEndpoint {
    rng: ChaCha8Rng,
    /// The request of all exchanges. The responses do not depend on it.
    request: Request,
    weights: [u32; 6],
}

impl RandomEndpoint {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Most endpoints have only a few kinds of responses, because these make the rules run many
        // trials.
        let weights = std::array::from_fn(|_| if rng.random_bool(0.5) { 0 } else { rng.random_range(1..8) });
        let weights = if weights == [0; 6] { [1; 6] } else { weights };
        let experiment = probes::probe_experiment();
        let draw = TrialValues::new(0, "moody");
        let request = build_request(&experiment, &[&probes::plain_arm()], plan_context(&settings(), &draw)).request;
        Self { rng, weights, request }
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.rng.random_range(0..items.len())]
    }

    fn random_result(&mut self, row: &str, values: &BTreeMap<String, String>) -> AttemptResult {
        let mut remaining = self.rng.random_range(0..self.weights.iter().sum());
        let kind = self.weights.iter().position(|w| match remaining.checked_sub(*w) {
            None => true,
            Some(rest) => {
                remaining = rest;
                false
            }
        });
        let values_text = values.values().cloned().collect::<Vec<_>>().join(" ");
        let field = row.rsplit('.').next().unwrap_or_default();
        let (status, body) = match kind {
            Some(0) => (200, self.random_message(&values_text)),
            Some(1) => (200, self.random_message("something else")),
            Some(2) => (200, self.random_message("")),
            Some(3) => {
                let message = self.pick(&["no", "unknown field", "the value is wrong"]);
                let named = if self.rng.random_bool(0.5) { field } else { "" };
                let status = self.pick(&[400, 400, 404, 413, 422, 401, 403]);
                (status, json!({ "type": "error", "error": { "type": "x", "message": format!("{named}: {message}") } }))
            }
            Some(4) => (self.pick(&[500, 503, 429, 529, 200]), json!("what?")),
            _ => {
                let kind = self.pick(&[FailureKind::Reset, FailureKind::Timeout, FailureKind::Connect]);
                return AttemptResult::Failure(AttemptFailure { kind, message: "gone".to_owned() });
            }
        };
        AttemptResult::Response(Response {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: BodyBytes(body.to_string().into_bytes()),
            arrivals: Vec::new(),
            cut: None,
        })
    }

    fn random_message(&mut self, text: &str) -> Value {
        let mut content = vec![json!({ "type": "text", "text": text })];
        if self.rng.random_bool(0.2) {
            content.push(json!({ "type": "tool_use", "id": "toolu_1", "name": text, "input": { "city": text } }));
        }
        if self.rng.random_bool(0.1) {
            content.insert(0, json!({ "type": "thinking", "thinking": text, "signature": "s" }));
        }
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": self.pick(&["end_turn", "end_turn", "max_tokens", "refusal", "tool_use", "stop_sequence"]),
            "usage": { "input_tokens": self.pick(&[0, 10, 500]), "output_tokens": 5 },
        })
    }

    /// A trial with random responses, as the run would complete it.
    fn random_trial(
        &mut self,
        experiment: &Experiment,
        variant: Option<String>,
        arm: ArmKind,
        n: usize,
    ) -> CompletedTrial {
        let layers = arms::layers(experiment, variant.as_deref(), arm);
        let draw = TrialValues::new(n as u64, experiment.id());
        let values = draw.short_values(&collect_variables(experiment, &layers));
        let max_requests = match arm {
            ArmKind::Genuine => 2,
            _ => 1 + arms::follow_ups(&layers).len(),
        };
        let exchanges: Vec<Exchange> = (0..self.rng.random_range(1..=max_requests))
            .map(|_| {
                let result = self.random_result(experiment.id(), &values);
                let request = self.request.clone();
                let attempts = vec![ExchangeAttempt { started_ms: 0, duration_ms: 9, result }];
                Exchange { id: String::new(), request, attempts }
            })
            .collect();
        CompletedTrial {
            variant,
            arm,
            sent: Vec::new(),
            responses: exchanges.iter().map(|exchange| parse_exchange(exchange).interpretation).collect(),
            last_response: exchanges
                .last()
                .filter(|_| experiment.decides_by_response())
                .and_then(|exchange| parse_exchange(exchange).response),
            values,
        }
    }
}

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::load_bundled().unwrap());

fn settings() -> RequestSettings {
    RequestSettings::from_target(&CATALOG.targets["anthropic"], 1024)
}

fn plan_input(settings: &RequestSettings) -> PlanInput<'_> {
    PlanInput { settings, prices: None, rate_assumptions: RateAssumptions::default(), thinking_tokens: 0 }
}

#[test]
fn no_arm_needs_more_trials_than_planned() {
    let mut reached: HashMap<(String, ArmKind), (u32, u32)> = HashMap::new();
    for (seed, row) in (0..40u64).flat_map(|seed| CATALOG.rows.iter().map(move |row| (seed, row))) {
        let experiment = &row.experiment;
        let mut endpoint = RandomEndpoint::new(seed * 1000 + u64::from(experiment.id().len() as u32));
        let mut facts = RunFacts {
            confidence: 0.99,
            seed,
            trusts_usage_meter: seed % 2 == 0,
            model_reads_prompt: seed % 3 == 0,
            ..RunFacts::default()
        };
        let mut trials: Vec<CompletedTrial> = Vec::new();
        let mut trial_counts: HashMap<(Option<String>, ArmKind), u32> = HashMap::new();
        // First as in a normal run, then as in a run that found an inconsistent endpoint.
        for is_inconsistent in [false, true] {
            facts.is_inconsistent = is_inconsistent;
            while let Step::Run(needed) = rules::next_step(experiment, &trials, &facts) {
                assert!(trials.len() < MAX_TEST_TRIALS, "{} never ends (seed {seed})", experiment.id());
                let count = trial_counts.entry((needed.variant.clone(), needed.arm)).or_default();
                *count += 1;
                let limit = max_trials(experiment, needed.arm);
                assert!(*count <= limit, "{}: {} of {} {limit} (seed {seed})", experiment.id(), count, needed.arm);
                let highest = reached.entry((experiment.id().to_owned(), needed.arm)).or_insert((0, limit));
                highest.0 = highest.0.max(*count);
                let n = trials.len();
                trials.push(endpoint.random_trial(experiment, needed.variant, needed.arm, n));
            }
        }
        assert!(!trials.is_empty(), "{} is decided without a trial", experiment.id());
    }
    // The bounds are not too high: at least one row comes near to each.
    for arm in [ArmKind::Treatment, ArmKind::Positive, ArmKind::Challenge(0), ArmKind::Genuine, ArmKind::After] {
        let near =
            reached.iter().any(|((_, reached_arm), (count, limit))| *reached_arm == arm && count * 4 >= limit * 3);
        assert!(near, "{arm}: no row came near its bound");
    }
}

#[test]
fn a_shared_request_is_planned_one_time_with_the_maximum_trials_of_its_rows() {
    let rows: Vec<&CatalogRow> = CATALOG.rows.iter().collect();
    let settings = settings();
    let plan = plan_run(&rows, plan_input(&settings));
    let separate: u64 = rows.iter().map(|row| plan_run(&[row], plan_input(&settings)).rows[0].requests.max).sum();
    let shared: u64 = plan.rows.iter().map(|row| row.requests.max).sum();
    assert!(shared < separate, "{shared} < {separate}: rows share requests");
    let sum: u64 = plan.rows.iter().map(|row| row.requests.max).sum::<u64>() + plan.probes.requests.max;
    assert_eq!(plan.total.requests.max, sum);
    for row in &plan.rows {
        let arm_requests: u64 = row.arms.iter().map(|arm| arm.requests).sum();
        assert_eq!(arm_requests, row.requests.max, "{}", row.id);
        assert!(row.arms.iter().all(|arm| arm.shared_with.is_none() || arm.requests == 0), "{}", row.id);
        assert!(row.requests.min <= row.requests.max, "{}", row.id);
    }
    assert!(plan.total.requests.min > TEXT_FORM_REQUESTS.0 + STRICTNESS_REQUESTS.0 + 50, "{:?}", plan.total.requests);
}

#[test]
fn the_time_is_the_longest_of_all_limits() {
    let assumptions = |requests, tokens, concurrency| RateAssumptions {
        rates: PerMinuteLimits { requests, tokens },
        concurrency,
        response_time: Duration::from_secs(2),
        eager: false,
    };
    assert_eq!(assumptions(None, None, 4).estimate_seconds(100, 0, 10), 50.0, "requests over concurrency");
    assert_eq!(assumptions(None, None, 50).estimate_seconds(100, 0, 10), 20.0, "the longest chain");
    assert_eq!(assumptions(Some(60), None, 50).estimate_seconds(100, 0, 10), 100.0, "requests per minute");
    assert_eq!(assumptions(Some(60), Some(600), 50).estimate_seconds(100, 9000, 10), 900.0, "tokens per minute");
}
