//! The plan: what a run would send, with its cost, before anything is sent.
//!
//! The fewest and the most requests are bounds that the rules cannot leave, whatever is answered; what is expected is
//! what a run of the same rules against a simulation took, and comes in as an argument. This module sends nothing.

pub(crate) mod cost;
pub mod estimate;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::catalog::{Arm, CatalogRow, Experiment, TargetPrices};
use crate::client::{PerMinuteLimits, RequestCost, estimate_tokens};
use crate::engine::plan::cost::{max_billed_output_tokens, max_cost, request_bytes};
use crate::engine::plan::estimate::{RunEstimate, TokenUse};
use crate::engine::probes;
use crate::engine::probes::MAX_NO_RESPONSE;
use crate::engine::request::arms;
use crate::engine::request::build::{BuildContext, build_request};
use crate::engine::rules;
use crate::engine::rules::{MIN_TRIALS_IF_INCONSISTENT, RunFacts, Step, comparison, effect, response, sampling};
use crate::recording::request_settings::{RequestSettings, TextForm};
use crate::recording::run::ArmKind;
use crate::results::plan::{PlannedArm, PlannedRow};
use crate::results::plan_estimate::{AmountRange, PlanEstimate, RequestRange, TokenRange};
use crate::variables::TrialValues;

/// Requests about the form of texts that every run sends first, at least and at most.
const TEXT_FORM_REQUESTS: (u64, u64) = (1, 8);
/// Requests about invented keys after that. The first of them rows share as their negative arm.
const STRICTNESS_REQUESTS: (u64, u64) = (3, 5);
/// The most tokens that the blocks of an answer take in beside its text, when they are handed back.
const ECHO_OVERHEAD_TOKENS: u64 = 500;

/// How fast requests are sent, and answered.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RateAssumptions {
    /// What may be sent in a minute.
    pub rates: PerMinuteLimits,
    /// Requests under way at once.
    pub concurrency: usize,
    /// The time until an answer is there.
    pub response_time: Duration,
}

impl RateAssumptions {
    /// Seconds for so many requests of so many tokens, of which the longest chain must go one after the other.
    fn estimate_seconds(self, requests: u64, tokens: u64, chain: u64) -> f64 {
        let minute = |n: u64, rate: Option<u32>| rate.map_or(0.0, |rate| n as f64 * 60.0 / f64::from(rate.max(1)));
        let answer = self.response_time.as_secs_f64();
        [
            minute(requests, self.rates.requests),
            minute(tokens, self.rates.tokens),
            requests as f64 * answer / self.concurrency.max(1) as f64,
            chain as f64 * answer,
        ]
        .into_iter()
        .fold(0.0, f64::max)
    }
}

/// What a run would send.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// What every run asks before any row, and whether the endpoint is still there.
    pub probes: PlanEstimate,
    /// The rows, in order.
    pub rows: Vec<PlannedRow>,
    /// What all of it comes to.
    pub total: PlanEstimate,
}

/// What a plan rests on.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// What requests take from the target and the options.
    pub settings: &'a RequestSettings,
    /// What tokens cost, where it is known.
    pub prices: Option<TargetPrices>,
    /// How fast it goes.
    pub rate_assumptions: RateAssumptions,
    /// What a simulation took, where one was made.
    pub estimate: Option<&'a RunEstimate>,
}

/// Plans a run.
pub fn plan_run(rows: &[&CatalogRow], basis: PlanInput<'_>) -> RunPlan {
    let arms: Vec<Vec<ArmCost>> = rows.iter().map(|row| arm_costs(&row.experiment, basis.settings)).collect();
    // A request that several rows need is sent as often as the one that needs it most.
    let mut shared: HashMap<&str, (String, u64)> = HashMap::new();
    for (row, arm) in rows.iter().zip(&arms).flat_map(|(row, arms)| arms.iter().map(move |arm| (row, arm))) {
        let own = format!("{}/{}", row.experiment.id(), arm.name);
        let (_, most) = shared.entry(arm.template.as_str()).or_insert((own, 0));
        *most = (*most).max(arm.trials);
    }
    // No row is decided without its first request, which may be that of another row, too.
    let probe = probes::probe_experiment();
    let plain = probes::plain_arm();
    let mut begun = BTreeSet::from([arms::template_id(&probe, &[&plain])]);
    let mut begins: HashMap<String, u64> = HashMap::new();
    for row in rows {
        let template = first_template(&row.experiment);
        let owner = shared.get(template.as_str()).map_or("", |(own, _)| own.split('/').next().unwrap_or_default());
        if begun.insert(template.clone()) {
            *begins.entry(owner.to_owned()).or_default() += 1;
        }
    }
    let mut planned = Vec::new();
    let (mut limiter, mut chain) = (0, 0);
    for (row, arms) in rows.iter().zip(&arms) {
        let id = row.experiment.id();
        let mut cost = RequestCost::default();
        let mut of_row = Vec::new();
        for arm in arms {
            let own = format!("{id}/{}", arm.name);
            let (owner, trials) = &shared[arm.template.as_str()];
            let shared_with = (*owner != own).then(|| owner.clone());
            let trials = if shared_with.is_some() { 0 } else { *trials };
            cost.requests += trials * arm.requests_per_trial;
            cost.input = cost.input.saturating_add(trials.saturating_mul(arm.trial_cost.input));
            cost.output = cost.output.saturating_add(trials.saturating_mul(arm.trial_cost.output));
            limiter += trials * arm.requests_per_trial * arm.limiter_tokens;
            of_row.push(PlannedArm {
                name: arm.name.clone(),
                shared_with,
                requests: trials * arm.requests_per_trial,
                input_tokens: arm.max_input_tokens,
                output_tokens: arm.max_output_tokens,
            });
        }
        chain = chain.max(arms.iter().map(|arm| arm.trials * arm.requests_per_trial).sum());
        let used = basis.estimate.map(|e| e.rows.get(id).copied().unwrap_or_default());
        let min = begins.get(id).copied().unwrap_or(0);
        planned.push(PlannedRow {
            id: id.to_owned(),
            section: row.section.clone(),
            requests: RequestRange { min, expected: used.map(|u| u.requests), max: cost.requests },
            input_tokens: TokenRange { expected: used.map(|u| u.input), max: cost.input },
            output_tokens: TokenRange { expected: used.map(|u| u.output), max: cost.output },
            cost_usd: estimate_cost(basis.prices, used, cost),
            arms: of_row,
        });
    }
    let first = plan_probes(&planned, basis);
    let planned_all = sum_plan(&first, &planned, basis, limiter, chain);
    RunPlan { probes: first, rows: planned, total: planned_all }
}

fn estimate_cost(prices: Option<TargetPrices>, used: Option<TokenUse>, most: RequestCost) -> Option<AmountRange> {
    let prices = prices?;
    let of = |input: u64, output: u64| (input as f64 * prices.input + output as f64 * prices.output) / 1e6;
    Some(AmountRange { expected: used.map(|u| of(u.input, u.output)), max: of(most.input, most.output) })
}

/// What is asked before any row; and, each time that so many requests bring no answer, whether the endpoint is there.
fn plan_probes(rows: &[PlannedRow], basis: PlanInput<'_>) -> PlanEstimate {
    let probe = probes::probe_experiment();
    let draw = TrialValues::new(0, "plan");
    let request = |arm: &Arm| build_request(&probe, &[arm], plan_context(basis.settings, &draw)).request;
    let of_requests: u64 = rows.iter().map(|row| row.requests.max).sum();
    let most = TEXT_FORM_REQUESTS.1 + STRICTNESS_REQUESTS.1;
    let there = (of_requests + most) / MAX_NO_RESPONSE;
    // An invented key is the longest of what is asked here.
    let longest = probes::strictness_arms().iter().map(|arm| max_cost(&request(arm), basis.settings).input).max();
    let input = longest.unwrap_or_default().max(max_cost(&request(&probes::text_form_arm()), basis.settings).input);
    let answer = max_billed_output_tokens(u64::from(basis.settings.answer_tokens), basis.settings);
    let requests = most + there;
    let used = basis.estimate.map(|e| e.first);
    let cost = RequestCost { requests, input: requests * input, output: requests * answer };
    PlanEstimate {
        requests: RequestRange {
            min: TEXT_FORM_REQUESTS.0 + STRICTNESS_REQUESTS.0,
            expected: used.map(|u| u.requests),
            max: requests,
        },
        input_tokens: TokenRange { expected: used.map(|u| u.input), max: cost.input },
        output_tokens: TokenRange { expected: used.map(|u| u.output), max: cost.output },
        cost_usd: estimate_cost(basis.prices, used, cost),
        seconds: AmountRange {
            expected: used.map(|u| basis.rate_assumptions.estimate_seconds(u.requests, u.limiter, u.requests)),
            max: basis.rate_assumptions.estimate_seconds(requests, requests * (input + answer / 8), requests),
        },
    }
}

fn sum_plan(first: &PlanEstimate, rows: &[PlannedRow], basis: PlanInput<'_>, limiter: u64, chain: u64) -> PlanEstimate {
    let mut sum = first.clone();
    for row in rows {
        sum = sum.add_parallel(&PlanEstimate {
            requests: row.requests,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            cost_usd: row.cost_usd,
            seconds: AmountRange { expected: Some(0.0), max: 0.0 },
        });
    }
    let limiter = limiter.saturating_add(first.input_tokens.max).saturating_add(first.output_tokens.max / 8);
    sum.seconds = AmountRange {
        expected: basis.estimate.map(|e| {
            let used = e.total();
            basis.rate_assumptions.estimate_seconds(used.requests, used.limiter, e.longest)
        }),
        max: basis.rate_assumptions.estimate_seconds(sum.requests.max, limiter, first.requests.max + chain),
    };
    sum
}

/// What rows would have sent that a run did not come to.
pub fn remaining(plan: &RunPlan, rows: &BTreeSet<String>) -> Option<PlanEstimate> {
    let left = plan.rows.iter().filter(|row| rows.contains(&row.id)).map(|row| PlanEstimate {
        requests: row.requests,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        cost_usd: row.cost_usd,
        seconds: AmountRange::default(),
    });
    left.reduce(|sum, row| sum.add_parallel(&row))
}

/// An arm, as it is sent at most.
struct ArmCost {
    name: String,
    template: String,
    trials: u64,
    /// Requests of a trial.
    requests_per_trial: u64,
    /// Tokens of the longest request, and of the longest answer.
    max_input_tokens: u64,
    max_output_tokens: u64,
    /// Tokens of a whole trial.
    trial_cost: RequestCost,
    /// Tokens of a request, as the rate limiter takes them.
    limiter_tokens: u64,
}

/// Every arm of an experiment.
fn arm_costs(experiment: &Experiment, settings: &RequestSettings) -> Vec<ArmCost> {
    arms::arms(experiment).into_iter().map(|(variant, arm)| arm_cost(experiment, variant, arm, settings)).collect()
}

fn arm_cost(experiment: &Experiment, variant: Option<&str>, arm: ArmKind, settings: &RequestSettings) -> ArmCost {
    let name = variant.map_or(arm.to_string(), |v| format!("{arm}:{v}"));
    let both = (arm == ArmKind::Genuine).then(|| arms::own_block_layers(experiment)).flatten();
    let layers = match &both {
        Some([first, _]) => first.clone(),
        None => arms::layers(experiment, variant, arm),
    };
    let mut template = arms::template_id(experiment, &layers);
    match arm {
        // Asked for one row alone: a question of the moment, and one with its answer.
        ArmKind::After => template.push_str(experiment.id()),
        ArmKind::Genuine => template = format!("{}/{name}", experiment.id()),
        _ => {}
    }
    let draw = TrialValues::new(0, template.as_str());
    let request = |layers: &[&Arm]| build_request(experiment, layers, plan_context(settings, &draw)).request;
    let first = request(&layers);
    let one = max_cost(&first, settings);
    let repeat = match arm {
        ArmKind::Challenge(_) | ArmKind::ScreenChallenge | ArmKind::Genuine => 1,
        _ => u64::from(experiment.repeat),
    };
    let then = arms::follow_ups(&layers);
    let mut last = one;
    let mut of_trial = RequestCost { requests: repeat, input: repeat * one.input, output: repeat * one.output };
    let mut add = |step: RequestCost| {
        of_trial.requests += 1;
        of_trial.input += step.input;
        of_trial.output += step.output;
        last = RequestCost { requests: 1, input: last.input.max(step.input), output: last.output.max(step.output) };
    };
    // Each further request carries the answer before it.
    for (n, step) in then.iter().enumerate() {
        let words = serde_json::to_string(&step.body).map_or(0, |body| body.len() as u64)
            + step.results.as_ref().map_or(0, |text| text.len() as u64)
            + step.user.as_ref().map_or(0, |said| said.to_string().len() as u64);
        let handed = (n as u64 + 1) * (one.output + ECHO_OVERHEAD_TOKENS + words);
        add(RequestCost { requests: 1, input: one.input + handed, output: one.output });
    }
    if let Some([_, second]) = &both {
        let second = max_cost(&request(second), settings);
        add(RequestCost {
            requests: 1,
            input: second.input + one.output + ECHO_OVERHEAD_TOKENS,
            output: second.output,
        });
    }
    let limiter = u64::from(estimate_tokens(&first.body, request_bytes(&first)));
    let (input, output) = (last.input, last.output);
    let trials = u64::from(max_trials(experiment, arm));
    ArmCost {
        name,
        template,
        trials,
        requests_per_trial: of_trial.requests,
        max_input_tokens: input,
        max_output_tokens: output,
        trial_cost: of_trial,
        limiter_tokens: limiter,
    }
}

/// Blocks are the longer of the forms that texts may have.
fn plan_context<'a>(settings: &'a RequestSettings, draw: &'a TrialValues) -> BuildContext<'a> {
    BuildContext { settings, text_form: TextForm::Blocks, values: draw, first_content: None, step: 1 }
}

/// The template of the request that a row begins with.
fn first_template(experiment: &Experiment) -> String {
    match rules::next_step(experiment, &[], &RunFacts { confidence: 0.99, ..RunFacts::default() }) {
        Step::Run(needed) => {
            let layers = arms::layers(experiment, needed.variant.as_deref(), needed.arm);
            arms::template_id(experiment, &layers)
        }
        // No row is decided by nothing.
        Step::Decided(_) => experiment.id().to_owned(),
    }
}

/// How many trials of an arm the rules ask for at most.
fn max_trials(experiment: &Experiment, arm: ArmKind) -> u32 {
    match arm {
        ArmKind::Screen | ArmKind::ScreenChallenge | ArmKind::After => 1,
        ArmKind::Challenge(_) => MIN_TRIALS_IF_INCONSISTENT,
        ArmKind::Genuine => rules::MAX_UNUSABLE_TRIALS,
        _ if experiment.sampling.is_some() => sampling::MAX_TRIALS,
        _ if experiment.compare.is_some() => comparison::MAX_TRIALS,
        ArmKind::Treatment if experiment.reply.is_some() => response::MAX_TRIALS,
        ArmKind::Treatment if experiment.effect.is_none() => MIN_TRIALS_IF_INCONSISTENT,
        ArmKind::Negative if experiment.effect.is_none() => 1,
        ArmKind::Negative => effect::MAX_NEGATIVE_TRIALS,
        ArmKind::Treatment
        | ArmKind::Insist
        | ArmKind::Positive
        | ArmKind::Narrow
        | ArmKind::Wide
        | ArmKind::NarrowWide => effect::MAX_TRIALS,
    }
}
