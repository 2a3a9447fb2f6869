//! The plan: what a run would send, with its cost, before anything is sent.

use std::collections::HashMap;

use serde::Serialize;

use super::arms;
use super::build::{Channel, Context, Settings, answer_ceiling, build};
use super::draw::Draw;
use super::effect_rule::TRIAL_LIMIT;
use super::recording::ArmKind;
use crate::case::{AnswerTest, CatalogRow, Experiment, Prices};

/// Requests that every run sends before any row: the form of texts (one to eight), and three to five about invented keys, one of
/// which rows share as their negative arm.
const PROBES: (u64, u64) = (4, 13);

/// What a run would send.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The rows, in order.
    pub rows: Vec<PlannedRow>,
    /// Requests: at least, where every row is decided at its first look, and at most, where none is decided before its
    /// limit.
    pub requests: (u64, u64),
    /// Input tokens, estimated at four characters each, for these two cases.
    pub input_tokens: (u64, u64),
    /// Output tokens: the ceilings that the requests set, for these two cases.
    pub output_tokens: (u64, u64),
    /// US dollars for these two cases, where prices are known.
    pub cost_usd: Option<(f64, f64)>,
}

/// What a row would send.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedRow {
    /// The row's id.
    pub id: String,
    /// Its section.
    pub section: String,
    /// Its arms.
    pub arms: Vec<PlannedArm>,
}

/// What an arm would send.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedArm {
    /// The arm, with its variant.
    pub name: String,
    /// The arm of another row whose requests serve this one too.
    pub shared_with: Option<String>,
    /// Requests, at least and at most; those shared are counted where they are sent.
    pub requests: (u64, u64),
    /// Input tokens of one request, estimated.
    pub input_tokens: u64,
    /// `max_tokens` of one request.
    pub max_tokens: u64,
}

/// Plans a run.
pub fn plan(rows: &[&CatalogRow], settings: &Settings, prices: Option<Prices>) -> Plan {
    let mut owners: HashMap<String, String> = HashMap::new();
    let mut planned = Vec::new();
    for row in rows {
        let experiment = &row.experiment;
        let mut of_row = Vec::new();
        for (variant, arm) in arms::all(experiment) {
            let name = variant.map_or(arm.to_string(), |v| format!("{arm}:{v}"));
            let layers = match (arm, arms::genuine_layers(experiment)) {
                (ArmKind::Genuine, Some([first, _])) => first,
                _ => arms::layers(experiment, variant, arm),
            };
            let mut template = arms::template(experiment, &layers);
            if arm == ArmKind::After {
                // It is asked for one row alone, or it would tell nothing of the moment.
                template.push_str(experiment.id());
            }
            let draw = Draw::new(0, template.as_str());
            let context = Context { settings, channel: Channel::String, draw: &draw, first_content: None, step: 1 };
            let built = build(experiment, &layers, context);
            let text = built.request.raw.unwrap_or_else(|| built.request.body.to_string());
            let own = format!("{}/{name}", experiment.id());
            let owner = owners.entry(template).or_insert_with(|| own.clone());
            let shared_with = (*owner != own).then(|| owner.clone());
            let of_trial = 1 + arms::then(&layers).len() as u64;
            let (least, most) = range(experiment, variant, arm);
            let requests = if shared_with.is_some() { (0, 0) } else { (least * of_trial, most * of_trial) };
            of_row.push(PlannedArm {
                name,
                shared_with,
                requests,
                input_tokens: text.len() as u64 / 4,
                max_tokens: built.request.body["max_tokens"].as_u64().unwrap_or(0),
            });
        }
        planned.push(PlannedRow { id: experiment.id().to_owned(), section: row.section.clone(), arms: of_row });
    }
    total(planned, settings, prices)
}

fn total(rows: Vec<PlannedRow>, settings: &Settings, prices: Option<Prices>) -> Plan {
    let answer_tokens = u64::from(settings.answer_tokens);
    let mut plan = Plan {
        rows,
        requests: PROBES,
        input_tokens: (PROBES.0 * 60, PROBES.1 * 60),
        output_tokens: (PROBES.0 * answer_tokens, PROBES.1 * answer_tokens),
        cost_usd: None,
    };
    for arm in plan.rows.iter().flat_map(|r| &r.arms) {
        let (least, most) = arm.requests;
        let ceiling = answer_ceiling(arm.max_tokens, settings);
        plan.requests = (plan.requests.0 + least, plan.requests.1 + most);
        plan.input_tokens =
            (plan.input_tokens.0 + least * arm.input_tokens, plan.input_tokens.1 + most * arm.input_tokens);
        plan.output_tokens = (plan.output_tokens.0 + least * ceiling, plan.output_tokens.1 + most * ceiling);
    }
    plan.cost_usd = prices.map(|p| {
        let cost = |input: u64, output: u64| (input as f64 * p.input + output as f64 * p.output) / 1e6;
        (cost(plan.input_tokens.0, plan.output_tokens.0), cost(plan.input_tokens.1, plan.output_tokens.1))
    });
    plan
}

/// How many requests an arm sends: at least, and at most.
fn range(experiment: &Experiment, variant: Option<&str>, arm: ArmKind) -> (u64, u64) {
    let limit = u64::from(TRIAL_LIMIT);
    let repeat = u64::from(experiment.repeat);
    let screened = experiment.screen_arms.is_some();
    if experiment.spread.is_some() {
        return match arm {
            ArmKind::Negative => (6, limit),
            ArmKind::Narrow => (4, limit),
            _ => (0, limit),
        };
    }
    if experiment.looks_at_answers() {
        return match arm {
            ArmKind::Treatment => (1, limit),
            ArmKind::Negative if experiment.compare.is_some() => (1, limit),
            ArmKind::After if experiment.reply.as_ref().is_some_and(AnswerTest::is_refusal) => (1, 1),
            _ => (0, 1),
        };
    }
    let first = experiment.variants.keys().next().map(String::as_str) == variant;
    // What is screened, or comes after a variant that may settle the row, may not be needed.
    let spared = screened || (variant.is_some() && !first);
    let least = |n: u64| if spared { 0 } else { n };
    if experiment.effect.is_none() {
        return match arm {
            ArmKind::Screen | ArmKind::ScreenChallenge => (1, 1),
            ArmKind::Treatment => (least(1), limit),
            ArmKind::Challenge(0) if experiment.treatment.is_none() && experiment.variants.is_empty() => {
                (least(1), limit)
            }
            ArmKind::Challenge(_) => (0, limit),
            _ => (0, 1),
        };
    }
    match arm {
        ArmKind::Screen => (1, repeat),
        ArmKind::ScreenChallenge => (0, 1),
        ArmKind::Challenge(_) => (0, limit),
        ArmKind::Treatment => (least(1), limit * repeat),
        ArmKind::Genuine => (0, 2),
        ArmKind::After => (0, 1),
        ArmKind::Negative => (0, 8 * repeat),
        ArmKind::Insist | ArmKind::Positive | ArmKind::Narrow | ArmKind::Wide | ArmKind::NarrowWide => (0, limit),
    }
}
