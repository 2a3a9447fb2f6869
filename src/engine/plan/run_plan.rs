//! [`plan_run`]: the requests, tokens, cost and time of a run, row by row.

use std::collections::{BTreeSet, HashMap};

use crate::catalog::{Arm, CatalogRow, Experiment, TargetPrices};
use crate::client::RequestCost;
use crate::engine::instructions::{MAX_INSTRUCTION_REQUESTS, instruction_arms, label_arm};
use crate::engine::plan::arm_cost::{ArmCost, plan_context};
use crate::engine::plan::cost::{max_billed_output_tokens, max_cost};
use crate::engine::plan::estimate::{RowEstimates, TokenUse};
use crate::engine::plan::rate_assumptions::RateAssumptions;
use crate::engine::probes::MAX_NO_RESPONSE;
use crate::engine::request::arms;
use crate::engine::request::build::build_request;
use crate::engine::rules::{RunFacts, Step};
use crate::engine::{probes, rules};
use crate::recording::request_settings::RequestSettings;
use crate::results::plan::{PlannedArm, PlannedRow};
use crate::results::plan_estimate::{AmountRange, PlanEstimate, RequestRange, TokenRange};
use crate::variables::TrialValues;

/// The minimum and maximum of requests that find the form of texts. Every run sends them first.
pub(super) const TEXT_FORM_REQUESTS: (u64, u64) = (1, 8);
/// The minimum and maximum of requests with unknown keys. Every run sends them second. Rows share
/// the first of them as their negative control.
pub(super) const STRICTNESS_REQUESTS: (u64, u64) = (3, 5);

/// The plan of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// The requests before the first row, and the tests whether the endpoint still responds.
    pub probes: PlanEstimate,
    /// The rows, in order.
    pub rows: Vec<PlannedRow>,
    /// The sum.
    pub total: PlanEstimate,
    /// The number of rows without an estimate. The plan expects their minimum.
    pub rows_without_estimate: u64,
}

/// What a plan depends on in addition to the rows.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// The settings of the target and the command line that requests use.
    pub settings: &'a RequestSettings,
    /// The prices of tokens, if they are known.
    pub prices: Option<TargetPrices>,
    /// How fast requests are sent and responses arrive.
    pub rate_assumptions: RateAssumptions,
    /// The expected thinking tokens before each response whose request does not ask for thinking.
    pub thinking_tokens: u64,
}

impl PlanInput<'_> {
    fn estimate_cost(&self, expected: TokenUse, max: RequestCost) -> Option<AmountRange> {
        let prices = self.prices?;
        let cost = |input: u64, output: u64| (input as f64 * prices.input + output as f64 * prices.output) / 1e6;
        Some(AmountRange { expected: Some(cost(expected.input, expected.output)), max: cost(max.input, max.output) })
    }

    /// Adds the thinking tokens, and limits the figures to the upper bound.
    fn limit_use(&self, expected: TokenUse, max: RequestCost) -> TokenUse {
        let requests = expected.requests.min(max.requests);
        let thinking = requests.saturating_mul(self.thinking_tokens);
        TokenUse {
            requests,
            input: expected.input.min(max.input),
            output: expected.output.saturating_add(thinking).min(max.output),
            limiter: expected.limiter,
        }
    }
}

/// Requests that several rows share: the first arm in the plan that sends them, the maximum trials
/// that one of the rows needs, and the largest estimate.
struct SharedArm {
    owner: String,
    max_trials: u64,
    expected: TokenUse,
}

/// Plans a run of these rows.
pub fn plan_run(rows: &[&CatalogRow], input: PlanInput<'_>) -> RunPlan {
    let estimates = RowEstimates::bundled();
    let arms_of_rows: Vec<Vec<ArmCost>> =
        rows.iter().map(|row| ArmCost::all(&row.experiment, input.settings)).collect();
    let mut shared_arms: HashMap<&str, SharedArm> = HashMap::new();
    let mut longest_chain = (0, 0);
    let mut rows_without_estimate = 0;
    for (row, arms) in rows.iter().zip(&arms_of_rows) {
        let (mut expected_chain, mut max_chain) = (0, 0);
        for arm in arms {
            let expected = estimates.find_arm(row, &arm.name).unwrap_or_default();
            let shared = shared_arms.entry(arm.template.as_str()).or_insert_with(|| SharedArm {
                owner: format!("{}/{}", row.experiment.id(), arm.name),
                max_trials: 0,
                expected: TokenUse::default(),
            });
            shared.max_trials = shared.max_trials.max(arm.max_trials);
            if expected.requests > shared.expected.requests {
                shared.expected = expected;
            }
            // After the first trial of an arm, the others are sent together.
            let most = if input.rate_assumptions.eager { 2 * arm.requests_per_trial } else { u64::MAX };
            expected_chain += expected.requests.min(most);
            max_chain += arm.max_requests();
        }
        longest_chain = (longest_chain.0.max(expected_chain), longest_chain.1.max(max_chain));
        rows_without_estimate += u64::from(!estimates.rows.contains_key(row.experiment.id()));
    }
    let min_requests = min_requests_by_row(rows, &shared_arms);
    let mut planned = Vec::new();
    let (mut expected_total, mut max_limiter) = (TokenUse::default(), 0);
    for (row, arms) in rows.iter().zip(&arms_of_rows) {
        let id = row.experiment.id();
        let mut max = RequestCost::default();
        let mut expected = TokenUse::default();
        let mut planned_arms = Vec::new();
        for arm in arms {
            let shared = &shared_arms[arm.template.as_str()];
            let is_owner = shared.owner == format!("{id}/{}", arm.name);
            let trials = if is_owner { shared.max_trials } else { 0 };
            let requests = trials * arm.requests_per_trial;
            max.requests += requests;
            max.input = max.input.saturating_add(trials.saturating_mul(arm.trial_cost.input));
            max.output = max.output.saturating_add(trials.saturating_mul(arm.trial_cost.output));
            max_limiter += requests * arm.limiter_tokens;
            if is_owner {
                expected = expected.merge(shared.expected);
            }
            planned_arms.push(PlannedArm {
                name: arm.name.clone(),
                shared_with: (!is_owner).then(|| shared.owner.clone()),
                requests,
                input_tokens: arm.max_input_tokens,
                output_tokens: arm.max_output_tokens,
            });
        }
        let min = min_requests.get(id).copied().unwrap_or(0);
        let missing = min.saturating_sub(expected.requests);
        let share = |tokens: u64| tokens / max.requests.max(1) * missing;
        let minimum = TokenUse { requests: missing, input: share(max.input), output: share(max.output), limiter: 0 };
        let expected = input.limit_use(expected.merge(minimum), max);
        expected_total = expected_total.merge(expected);
        planned.push(PlannedRow {
            id: id.to_owned(),
            section: row.section.clone(),
            requests: RequestRange { min, expected: Some(expected.requests), max: max.requests },
            input_tokens: TokenRange { expected: Some(expected.input), max: max.input },
            output_tokens: TokenRange { expected: Some(expected.output), max: max.output },
            cost_usd: input.estimate_cost(expected, max),
            arms: planned_arms,
        });
    }
    let max_requests = planned.iter().map(|row| row.requests.max).sum();
    let (probes, expected_probes) = plan_probes(max_requests, &input, estimates);
    let mut total = planned.iter().fold(probes.clone(), |sum, row| sum.add_parallel(&PlanEstimate::from(row)));
    let expected_total = expected_total.merge(expected_probes);
    let max_limiter = max_limiter.saturating_add(probes.input_tokens.max).saturating_add(probes.output_tokens.max / 8);
    let rates = input.rate_assumptions;
    total.seconds = AmountRange {
        expected: Some(rates.estimate_seconds(
            expected_total.requests,
            expected_total.limiter,
            expected_probes.requests + longest_chain.0,
        )),
        max: rates.estimate_seconds(total.requests.max, max_limiter, probes.requests.max + longest_chain.1),
    };
    RunPlan { probes, rows: planned, total, rows_without_estimate }
}

/// Minimum requests of each row. No row is decided without its first request, which another row may
/// have sent.
fn min_requests_by_row(rows: &[&CatalogRow], shared_arms: &HashMap<&str, SharedArm>) -> HashMap<String, u64> {
    let plain = probes::plain_arm();
    let mut sent = BTreeSet::from([arms::template_id(&probes::probe_experiment(), &[&plain])]);
    let mut min_requests: HashMap<String, u64> = HashMap::new();
    for row in rows {
        let template = first_template(&row.experiment);
        let owner = shared_arms.get(template.as_str()).and_then(|shared| shared.owner.split('/').next());
        let owner = owner.unwrap_or_default().to_owned();
        if sent.insert(template) {
            *min_requests.entry(owner).or_default() += 1;
        }
    }
    min_requests
}

/// Plans the requests before the first row, and the liveness tests: one after every
/// [`MAX_NO_RESPONSE`] requests, if none of them gets a response.
fn plan_probes(max_row_requests: u64, input: &PlanInput<'_>, estimates: &RowEstimates) -> (PlanEstimate, TokenUse) {
    let probe = probes::probe_experiment();
    let values = TrialValues::new(0, "plan");
    let max_input = |arm: &Arm| {
        let request = build_request(&probe, &[arm], plan_context(input.settings, &values)).request;
        max_cost(&request, input.settings).input
    };
    let probe_requests = TEXT_FORM_REQUESTS.1 + MAX_INSTRUCTION_REQUESTS + STRICTNESS_REQUESTS.1;
    let liveness_requests = (max_row_requests + probe_requests) / MAX_NO_RESPONSE;
    let arms = probes::strictness_arms().into_iter().chain(instruction_arms()).chain([label_arm()]);
    let input_tokens = arms.map(|arm| max_input(&arm)).max().unwrap_or_default();
    let output_tokens = max_billed_output_tokens(u64::from(input.settings.answer_tokens), input.settings);
    let requests = probe_requests + liveness_requests;
    let max = RequestCost { requests, input: requests * input_tokens, output: requests * output_tokens };
    let expected = input.limit_use(estimates.probes, max);
    let rates = input.rate_assumptions;
    let planned = PlanEstimate {
        requests: RequestRange {
            min: TEXT_FORM_REQUESTS.0 + STRICTNESS_REQUESTS.0,
            expected: Some(expected.requests),
            max: requests,
        },
        input_tokens: TokenRange { expected: Some(expected.input), max: max.input },
        output_tokens: TokenRange { expected: Some(expected.output), max: max.output },
        cost_usd: input.estimate_cost(expected, max),
        seconds: AmountRange {
            expected: Some(rates.estimate_seconds(expected.requests, expected.limiter, expected.requests)),
            max: rates.estimate_seconds(requests, requests * (input_tokens + output_tokens / 8), requests),
        },
    };
    (planned, expected)
}

/// The template of a row's first request.
fn first_template(experiment: &Experiment) -> String {
    match rules::next_step(experiment, &[], &RunFacts { confidence: 0.99, ..RunFacts::default() }) {
        Step::Run(needed) => {
            let layers = arms::layers(experiment, needed.variant.as_deref(), needed.arm);
            arms::template_id(experiment, &layers)
        }
        // No row is decided without a trial.
        Step::Decided(_) => experiment.id().to_owned(),
    }
}
