//! The plan: what a run would send, with its cost, before anything is sent.
//!
//! The fewest and the most requests are bounds that the rules cannot leave, whatever is answered; what is expected is
//! what a run of the same rules against a simulation took, and comes in as an argument. This module sends nothing.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::catalog::{Arm, CatalogRow, Experiment, Prices};
use crate::client::{Cost, Rates, estimated_tokens};
use crate::engine::plan::estimate::{Expected, Used};
use crate::engine::request::arms;
use crate::engine::request::build::{Channel, Context, Settings, answer_ceiling, build};
use crate::engine::rules;
use crate::engine::rules::{Facts, STEADY_TRIALS, Step, comparison, effect, response, sampling};
use crate::engine::run::{GIVE_UP, probes};
use crate::recording::run::ArmKind;
use crate::results::plan::{PlannedArm, PlannedRow};
use crate::results::plan_estimate::{Amount, Ceiling, Planned, Span};
use crate::variables::Draw;
use crate::wire::exchange::Request;

/// Requests about the form of texts that every run sends first, at least and at most.
const CHANNEL: (u64, u64) = (1, 8);
/// Requests about invented keys after that. The first of them rows share as their negative arm.
const STRICTNESS: (u64, u64) = (3, 5);
/// The most tokens that the blocks of an answer take in beside its text, when they are handed back.
const HANDED_BACK: u64 = 500;

/// How fast requests are sent, and answered.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pace {
    /// What may be sent in a minute.
    pub rates: Rates,
    /// Requests under way at once.
    pub concurrency: usize,
    /// The time until an answer is there.
    pub answer: Duration,
}

impl Pace {
    /// Seconds for so many requests of so many tokens, of which the longest chain must go one after the other.
    fn seconds(self, requests: u64, tokens: u64, chain: u64) -> f64 {
        let minute = |n: u64, rate: Option<u32>| rate.map_or(0.0, |rate| n as f64 * 60.0 / f64::from(rate.max(1)));
        let answer = self.answer.as_secs_f64();
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
pub struct Plan {
    /// What every run asks before any row, and whether the endpoint is still there.
    pub first: Planned,
    /// The rows, in order.
    pub rows: Vec<PlannedRow>,
    /// What all of it comes to.
    pub planned: Planned,
}

/// What a plan rests on.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// What requests take from the target and the options.
    pub settings: &'a Settings,
    /// What tokens cost, where it is known.
    pub prices: Option<Prices>,
    /// How fast it goes.
    pub pace: Pace,
    /// What a simulation took, where one was made.
    pub expected: Option<&'a Expected>,
}

/// Plans a run.
pub fn plan(rows: &[&CatalogRow], basis: Basis<'_>) -> Plan {
    let arms: Vec<Vec<Sent>> = rows.iter().map(|row| sent(&row.experiment, basis.settings)).collect();
    // A request that several rows need is sent as often as the one that needs it most.
    let mut shared: HashMap<&str, (String, u64)> = HashMap::new();
    for (row, arm) in rows.iter().zip(&arms).flat_map(|(row, arms)| arms.iter().map(move |arm| (row, arm))) {
        let own = format!("{}/{}", row.experiment.id(), arm.name);
        let (_, most) = shared.entry(arm.template.as_str()).or_insert((own, 0));
        *most = (*most).max(arm.trials);
    }
    // No row is decided without its first request, which may be that of another row, too.
    let probe = probes::experiment();
    let plain = probes::plain_arm();
    let mut begun = BTreeSet::from([arms::template(&probe, &[&plain])]);
    let mut begins: HashMap<String, u64> = HashMap::new();
    for row in rows {
        let template = first(&row.experiment);
        let owner = shared.get(template.as_str()).map_or("", |(own, _)| own.split('/').next().unwrap_or_default());
        if begun.insert(template.clone()) {
            *begins.entry(owner.to_owned()).or_default() += 1;
        }
    }
    let mut planned = Vec::new();
    let (mut limiter, mut chain) = (0, 0);
    for (row, arms) in rows.iter().zip(&arms) {
        let id = row.experiment.id();
        let mut cost = Cost::default();
        let mut of_row = Vec::new();
        for arm in arms {
            let own = format!("{id}/{}", arm.name);
            let (owner, trials) = &shared[arm.template.as_str()];
            let shared_with = (*owner != own).then(|| owner.clone());
            let trials = if shared_with.is_some() { 0 } else { *trials };
            cost.requests += trials * arm.steps;
            cost.input = cost.input.saturating_add(trials.saturating_mul(arm.of_trial.input));
            cost.output = cost.output.saturating_add(trials.saturating_mul(arm.of_trial.output));
            limiter += trials * arm.steps * arm.limiter;
            of_row.push(PlannedArm {
                name: arm.name.clone(),
                shared_with,
                requests: trials * arm.steps,
                input_tokens: arm.input,
                output_tokens: arm.output,
            });
        }
        chain = chain.max(arms.iter().map(|arm| arm.trials * arm.steps).sum());
        let used = basis.expected.map(|e| e.rows.get(id).copied().unwrap_or_default());
        let min = begins.get(id).copied().unwrap_or(0);
        planned.push(PlannedRow {
            id: id.to_owned(),
            section: row.section.clone(),
            requests: Span { min, expected: used.map(|u| u.requests), max: cost.requests },
            input_tokens: Ceiling { expected: used.map(|u| u.input), max: cost.input },
            output_tokens: Ceiling { expected: used.map(|u| u.output), max: cost.output },
            cost_usd: dollars(basis.prices, used, cost),
            arms: of_row,
        });
    }
    let first = asked_first(&planned, basis);
    let planned_all = total(&first, &planned, basis, limiter, chain);
    Plan { first, rows: planned, planned: planned_all }
}

fn dollars(prices: Option<Prices>, used: Option<Used>, most: Cost) -> Option<Amount> {
    let prices = prices?;
    let of = |input: u64, output: u64| (input as f64 * prices.input + output as f64 * prices.output) / 1e6;
    Some(Amount { expected: used.map(|u| of(u.input, u.output)), max: of(most.input, most.output) })
}

/// What is asked before any row; and, each time that so many requests bring no answer, whether the endpoint is there.
fn asked_first(rows: &[PlannedRow], basis: Basis<'_>) -> Planned {
    let probe = probes::experiment();
    let draw = Draw::new(0, "plan");
    let request = |arm: &Arm| build(&probe, &[arm], context(basis.settings, &draw)).request;
    let of_requests: u64 = rows.iter().map(|row| row.requests.max).sum();
    let most = CHANNEL.1 + STRICTNESS.1;
    let there = (of_requests + most) / GIVE_UP;
    // An invented key is the longest of what is asked here.
    let longest = probes::strictness_arms().iter().map(|arm| ceiling(&request(arm), basis.settings).input).max();
    let input = longest.unwrap_or_default().max(ceiling(&request(&probes::channel_arm()), basis.settings).input);
    let answer = answer_ceiling(u64::from(basis.settings.answer_tokens), basis.settings);
    let requests = most + there;
    let used = basis.expected.map(|e| e.first);
    let cost = Cost { requests, input: requests * input, output: requests * answer };
    Planned {
        requests: Span { min: CHANNEL.0 + STRICTNESS.0, expected: used.map(|u| u.requests), max: requests },
        input_tokens: Ceiling { expected: used.map(|u| u.input), max: cost.input },
        output_tokens: Ceiling { expected: used.map(|u| u.output), max: cost.output },
        cost_usd: dollars(basis.prices, used, cost),
        seconds: Amount {
            expected: used.map(|u| basis.pace.seconds(u.requests, u.limiter, u.requests)),
            max: basis.pace.seconds(requests, requests * (input + answer / 8), requests),
        },
    }
}

fn total(first: &Planned, rows: &[PlannedRow], basis: Basis<'_>, limiter: u64, chain: u64) -> Planned {
    let mut sum = first.clone();
    for row in rows {
        sum = sum.and(&Planned {
            requests: row.requests,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            cost_usd: row.cost_usd,
            seconds: Amount { expected: Some(0.0), max: 0.0 },
        });
    }
    let limiter = limiter.saturating_add(first.input_tokens.max).saturating_add(first.output_tokens.max / 8);
    sum.seconds = Amount {
        expected: basis.expected.map(|e| {
            let used = e.all();
            basis.pace.seconds(used.requests, used.limiter, e.longest)
        }),
        max: basis.pace.seconds(sum.requests.max, limiter, first.requests.max + chain),
    };
    sum
}

/// What rows would have sent that a run did not come to.
pub fn left(plan: &Plan, rows: &BTreeSet<String>) -> Option<Planned> {
    let left = plan.rows.iter().filter(|row| rows.contains(&row.id)).map(|row| Planned {
        requests: row.requests,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        cost_usd: row.cost_usd,
        seconds: Amount::default(),
    });
    left.reduce(|sum, row| sum.and(&row))
}

/// An arm, as it is sent at most.
struct Sent {
    name: String,
    template: String,
    trials: u64,
    /// Requests of a trial.
    steps: u64,
    /// Tokens of the longest request, and of the longest answer.
    input: u64,
    output: u64,
    /// Tokens of a whole trial.
    of_trial: Cost,
    /// Tokens of a request, as the rate limiter takes them.
    limiter: u64,
}

/// Every arm of an experiment.
fn sent(experiment: &Experiment, settings: &Settings) -> Vec<Sent> {
    arms::all(experiment).into_iter().map(|(variant, arm)| sent_arm(experiment, variant, arm, settings)).collect()
}

fn sent_arm(experiment: &Experiment, variant: Option<&str>, arm: ArmKind, settings: &Settings) -> Sent {
    let name = variant.map_or(arm.to_string(), |v| format!("{arm}:{v}"));
    let both = (arm == ArmKind::Genuine).then(|| arms::genuine_layers(experiment)).flatten();
    let layers = match &both {
        Some([first, _]) => first.clone(),
        None => arms::layers(experiment, variant, arm),
    };
    let mut template = arms::template(experiment, &layers);
    match arm {
        // Asked for one row alone: a question of the moment, and one with its answer.
        ArmKind::After => template.push_str(experiment.id()),
        ArmKind::Genuine => template = format!("{}/{name}", experiment.id()),
        _ => {}
    }
    let draw = Draw::new(0, template.as_str());
    let request = |layers: &[&Arm]| build(experiment, layers, context(settings, &draw)).request;
    let first = request(&layers);
    let one = ceiling(&first, settings);
    let repeat = match arm {
        ArmKind::Challenge(_) | ArmKind::ScreenChallenge | ArmKind::Genuine => 1,
        _ => u64::from(experiment.repeat),
    };
    let then = arms::then(&layers);
    let mut last = one;
    let mut of_trial = Cost { requests: repeat, input: repeat * one.input, output: repeat * one.output };
    let mut add = |step: Cost| {
        of_trial.requests += 1;
        of_trial.input += step.input;
        of_trial.output += step.output;
        last = Cost { requests: 1, input: last.input.max(step.input), output: last.output.max(step.output) };
    };
    // Each further request carries the answer before it.
    for (n, step) in then.iter().enumerate() {
        let words = serde_json::to_string(&step.body).map_or(0, |body| body.len() as u64)
            + step.results.as_ref().map_or(0, |text| text.len() as u64)
            + step.user.as_ref().map_or(0, |said| said.to_string().len() as u64);
        let handed = (n as u64 + 1) * (one.output + HANDED_BACK + words);
        add(Cost { requests: 1, input: one.input + handed, output: one.output });
    }
    if let Some([_, second]) = &both {
        let second = ceiling(&request(second), settings);
        add(Cost { requests: 1, input: second.input + one.output + HANDED_BACK, output: second.output });
    }
    let limiter = u64::from(estimated_tokens(&first.body, bytes(&first)));
    let (input, output) = (last.input, last.output);
    let trials = u64::from(most_trials(experiment, arm));
    Sent { name, template, trials, steps: of_trial.requests, input, output, of_trial, limiter }
}

/// Blocks are the longer of the forms that texts may have.
fn context<'a>(settings: &'a Settings, draw: &'a Draw) -> Context<'a> {
    Context { settings, channel: Channel::Blocks, draw, first_content: None, step: 1 }
}

fn bytes(request: &Request) -> usize {
    request.raw.as_ref().map_or_else(|| length(&request.body), String::len)
}

/// How long a value is as text, without making that text: prompts may be long, and each request's length is asked for.
fn length(value: &serde_json::Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0 += text.len();
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Neither counting nor a value fails.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// The most that a request can cost.
pub(super) fn ceiling(request: &Request, settings: &Settings) -> Cost {
    Cost::at_most(bytes(request), answer_ceiling(request.body["max_tokens"].as_u64().unwrap_or(0), settings))
}

/// The template of the request that a row begins with.
fn first(experiment: &Experiment) -> String {
    match rules::next(experiment, &[], &Facts { confidence: 0.99, ..Facts::default() }) {
        Step::Try(needed) => {
            let layers = arms::layers(experiment, needed.variant.as_deref(), needed.arm);
            arms::template(experiment, &layers)
        }
        // No row is decided by nothing.
        Step::Done(_) => experiment.id().to_owned(),
    }
}

/// How many trials of an arm the rules ask for at most.
fn most_trials(experiment: &Experiment, arm: ArmKind) -> u32 {
    match arm {
        ArmKind::Screen | ArmKind::ScreenChallenge | ArmKind::After => 1,
        ArmKind::Challenge(_) => STEADY_TRIALS,
        ArmKind::Genuine => effect::VOID_LIMIT,
        _ if experiment.spread.is_some() => sampling::MOST_TRIALS,
        _ if experiment.compare.is_some() => comparison::MOST_TRIALS,
        ArmKind::Treatment if experiment.reply.is_some() => response::MOST_TRIALS,
        ArmKind::Treatment if experiment.effect.is_none() => STEADY_TRIALS,
        ArmKind::Negative if experiment.effect.is_none() => 1,
        ArmKind::Negative => effect::MOST_NEGATIVE,
        ArmKind::Treatment
        | ArmKind::Insist
        | ArmKind::Positive
        | ArmKind::Narrow
        | ArmKind::Wide
        | ArmKind::NarrowWide => effect::TRIAL_LIMIT,
    }
}

pub mod estimate;
#[cfg(test)]
mod tests;
