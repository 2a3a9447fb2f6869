//! Measures how often verdicts are wrong or undecided, and what they cost, on simulated servers under
//! noise.
//!
//! Prints JSON to stdout and the progress to stderr. `scripts/trust` makes tables from it. Exit code
//! 1: a verdict is wrong without noise, or a row is wrong more often than its confidence allows.

#![allow(clippy::expect_used, clippy::panic, reason = "measurements may fail loudly")]

#[path = "../tests/it/common/mod.rs"]
mod common;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use common::{CATALOG, TARGETS, noise};
use noise::condition::NoiseCondition;
use noise::server::{FLIPS, ServerKind};
use noise::tally::VerdictTally;
use noise::{designs, measure, servers};
use serde_json::{Value, json};

/// The maximum number of undetermined rows that are listed.
const NAMED: usize = 8;
/// The maximum number of wrong verdicts per line that are listed; the canary has hundreds.
const MOST_WRONG: usize = 20;

/// Measures verdicts under noise.
#[derive(Debug, Parser)]
struct Args {
    /// Runs per target and condition; every second run uses a server with flipped rows.
    #[arg(long, value_name = "N", default_value_t = 10)]
    runs: u64,
    /// Seed of the first run.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    first_seed: u64,
    /// Measure only this condition; repeatable.
    #[arg(long, value_name = "NAME")]
    condition: Vec<NoiseCondition>,
    /// Simulated tests per design.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    plays: u64,
    /// Set by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let started = Instant::now();
    let tell = |what: &str| {
        // A closed stderr is not an error.
        let _ = writeln!(std::io::stderr(), "{:6.0} s  {what}", started.elapsed().as_secs_f64());
    };
    let conditions: Vec<NoiseCondition> = NoiseCondition::ALL
        .into_iter()
        .filter(|condition| args.condition.is_empty() || args.condition.contains(condition))
        .collect();
    let servers = servers(args.first_seed, args.runs);
    let tallies = runtime.block_on(measure(&servers, &conditions, tell));
    tell("designs");
    let report = json!({
        "schema": "fieldtest-noise/1",
        "targets": TARGETS,
        "rows": CATALOG.rows.len(),
        "runs_of_each_target": args.runs,
        "first_seed": args.first_seed,
        "flips_of_each_server": FLIPS,
        "seconds": started.elapsed().as_secs(),
        "lines": tallies.iter().map(|((condition, kind), tally)| line(*condition, *kind, tally)).collect::<Vec<_>>(),
        "designs": designs::compare(args.plays, args.first_seed),
    });
    tell("done");
    let text = serde_json::to_string_pretty(&report).expect("numbers and words");
    writeln!(std::io::stdout(), "{text}").expect("standard output can be written");
    let broken = tallies.iter().any(|((condition, _), tally)| {
        let is_calm_and_wrong = *condition == NoiseCondition::Calm && !tally.wrong.is_empty();
        is_calm_and_wrong || !tally.proved_above(condition.confidence()).is_empty()
    });
    ExitCode::from(u8::from(broken))
}

/// Builds one line of the table.
fn line(condition: NoiseCondition, kind: ServerKind, tally: &VerdictTally) -> Value {
    let confidence = condition.confidence();
    let mut line = json!({
        "condition": condition,
        "title": condition.title(),
        "confidence": confidence,
        "servers": kind,
        "wrong": tally.wrong.len(),
        "wrong_verdicts": tally.wrong.iter().take(MOST_WRONG).collect::<Vec<_>>(),
        "wrong_at_most": tally.wrong_at_most(),
        "worst": tally.worst(),
        "above": tally.above(confidence),
        "proved_above": tally.proved_above(confidence),
        "statuses_met": tally.statuses_met(),
    });
    let mut counts = serde_json::to_value(tally).expect("numbers and words");
    let mut open: Vec<(&String, &u64)> = tally.left_open.iter().collect();
    open.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let named: Vec<Value> = open.iter().take(NAMED).map(|(row, times)| json!({"row": row, "times": times})).collect();
    counts["left_open"] = json!(named);
    if let (Value::Object(line), Value::Object(counts)) = (&mut line, counts) {
        line.extend(counts);
    }
    line
}
