//! `fieldtest plan`: what a run would send, and what that may cost.

use std::time::Duration;

use clap::Args;

use crate::cli::args::budget::{MoneyArgs, PaceArgs};
use crate::cli::args::common::{
    CaseArgs, EndpointArgs, SelectArgs, parse_confidence, parse_probability, parse_seconds,
};
use crate::cli::args::shard::ShardArgs;
use crate::cli::commands::rows::RowsFormat;
use crate::cli::io::stdout;
use crate::cli::session::forecast::{Assumed, Forecasts, planned};
use crate::cli::session::run::runtime;
use crate::cli::target::resolve::{Place, Tested, resolve};
use crate::cli::{CliError, Environment, Exit};
use crate::results::plan;
use crate::results::plan::{Fit, Fits, PlanTold, SCHEMA, TargetPlan};
use crate::results::plan_estimate::Planned;

/// Says what a run would send: requests, tokens, cost and time, row by row. Sends nothing, and needs no credential.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  fieldtest plan deepseek\n  fieldtest plan deepseek --price-input 0.28 --price-output 0.42 \
                        --max-cost 0.50\n  fieldtest plan --base-url http://127.0.0.1:4000 --model m --format json"
)]
pub struct PlanArgs {
    #[command(flatten)]
    endpoint: EndpointArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    cases: CaseArgs,
    /// The confidence that statistical verdicts must reach.
    #[arg(long, value_name = "P", default_value_t = 0.99, value_parser = parse_confidence)]
    confidence: f64,
    #[command(flatten)]
    pace: PaceArgs,
    /// Plan so many runs of each target, as `fieldtest run --repeat` makes them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repeat: u32,
    /// Seconds that an answer is assumed to take.
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = parse_seconds)]
    answer_seconds: f64,
    /// How often the model is assumed not to do as it is told, from 0 to 1.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = parse_probability)]
    disobedience: f64,
    /// Tokens that the model is assumed to think unasked before each answer.
    #[arg(long, value_name = "N", default_value_t = 0)]
    thinking_tokens: u64,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "terminal")]
    format: RowsFormat,
    #[command(flatten)]
    money: MoneyArgs,
}

/// Runs the command.
pub fn main(args: &PlanArgs, environment: &Environment) -> Result<Exit, CliError> {
    let catalog = args.cases.load()?;
    // A plan touches no endpoint: it needs no credential, and says where a run would lack one.
    let targets = resolve(&args.endpoint.for_a_plan(), &catalog, environment)?;
    args.money.fit(targets.iter())?;
    let assumed = Assumed {
        answer: Duration::from_secs_f64(args.answer_seconds),
        disobedience: args.disobedience,
        thinking: args.thinking_tokens,
    };
    let (runtime, forecasts) = (runtime()?, Forecasts::default());
    let mut told = Vec::new();
    for tested in &targets {
        let rows = args.select.rows(&catalog, |needed| tested.states(needed))?;
        let extent = args.shard.extent(&catalog, &rows);
        if let (Some(part), true) = (args.shard.shard, extent.rows.is_empty()) {
            stdout::warn(format!("{}: shard {part} has none of the {} rows", tested.name, rows.len()));
            continue;
        }
        let forecast = forecasts.expected(tested, &catalog, &extent.rows, args.confidence, assumed);
        let expected = runtime.block_on(forecast)?;
        let plan = planned(tested, &extent.rows, (&args.money, &args.pace), assumed, Some(&expected));
        let rates = args.pace.rates(tested);
        told.push(TargetPlan {
            name: tested.name.clone(),
            model: tested.settings.model.clone(),
            missing_credential: missing(tested),
            concurrency: args.pace.concurrency(tested) as u64,
            requests_per_minute: rates.requests,
            tokens_per_minute: rates.tokens,
            prices: args.money.prices(tested),
            first: plan.first,
            rows: plan.rows,
            planned: plan.planned,
        });
    }
    let runs = u64::from(args.repeat);
    let Some(sum) = told.iter().map(|target| target.planned.times(runs)).reduce(|sum, more| sum.and(&more)) else {
        return Ok(Exit::Success);
    };
    let plan = PlanTold {
        schema: SCHEMA.to_owned(),
        assumed: plan::Assumed {
            seconds_an_answer: args.answer_seconds,
            disobedience: args.disobedience,
            thinking_tokens: args.thinking_tokens,
        },
        fits: fits(&args.money, &sum),
        targets: told,
        runs,
        planned: sum,
    };
    stdout::say(match args.format {
        RowsFormat::Json => plan::json(&plan).map_err(|e| CliError::Fault(e.to_string()))?,
        RowsFormat::Terminal => plan::terminal(&plan, stdout::width(environment)),
    });
    Ok(Exit::Success)
}

/// What a live run would lack: never what is there.
fn missing(tested: &Tested) -> Option<String> {
    match &tested.place {
        Place::Live { missing, .. } => missing.clone(),
        Place::Simulated(_) => None,
    }
}

/// Holds the whole against the bounds that were given.
fn fits(money: &MoneyArgs, planned: &Planned) -> Vec<Fits> {
    let (input, output) = (planned.input_tokens, planned.output_tokens);
    let tokens = input.expected.zip(output.expected).map(|(input, output)| (input + output) as f64);
    let cost = planned.cost_usd.unwrap_or_default();
    let requests = planned.requests;
    [
        (
            "--max-requests",
            money.max_requests.map(|n| n as f64),
            requests.expected.map(|n| n as f64),
            requests.max as f64,
        ),
        ("--max-tokens", money.max_tokens.map(|n| n as f64), tokens, input.max.saturating_add(output.max) as f64),
        ("--max-cost", money.max_cost, cost.expected, cost.max),
    ]
    .into_iter()
    .filter_map(|(bound, limit, expected, max)| {
        let limit = limit?;
        Some(Fits { bound: bound.to_owned(), limit, fits: Fit::of(limit, expected, max) })
    })
    .collect()
}
