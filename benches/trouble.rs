//! Measures what trouble of the account, the network or the service does to verdicts, on simulated
//! servers that get into trouble at random moments.
//!
//! Prints two Markdown tables. Exit code 1: a row contradicts its claim because of the trouble.

#![allow(clippy::expect_used, clippy::panic, reason = "measurements may fail loudly")]

#[path = "../tests/it/common/mod.rs"]
mod common;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use common::bundled_target;
use common::trouble::endpoint::KeptResponses;
use common::trouble::{InjectedTrouble, MeasuredServers, TroubleLength, TroubleTally};

/// Measures verdicts under trouble.
#[derive(Debug, Parser)]
struct Args {
    /// Runs for each kind and length of trouble.
    #[arg(long, value_name = "N", default_value_t = 250)]
    runs: u64,
    /// Runs for each share of randomly rejected requests.
    #[arg(long, value_name = "N", default_value_t = 200)]
    filter_runs: u64,
    /// Simulated servers of each target.
    #[arg(long, value_name = "N", default_value_t = 5)]
    servers: u64,
    /// Set by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let servers: Vec<KeptResponses> = ["anthropic", "deepseek@2025-12"]
        .iter()
        .flat_map(|target| (1..=args.servers).map(|seed| (bundled_target(target), seed)))
        .map(|(target, seed)| KeptResponses::start(runtime.handle(), target, seed))
        .collect();
    let mut output = std::io::stdout();
    let mut print = |line: String| writeln!(output, "{line}").expect("standard output can be written");
    let mut wrong: Vec<String> = Vec::new();
    print("| trouble | length | runs | false contradictions | changed verdicts | rows left open | ended early | requests after it began, at most | requests |".to_owned());
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |".to_owned());
    let servers = MeasuredServers::new(&servers);
    for (trouble, length) in InjectedTrouble::ALL.into_iter().flat_map(|t| TroubleLength::ALL.map(|l| (t, l))) {
        let tally = servers.measure(trouble, length, 0..args.runs);
        let after = if tally.ended == 0 { "–".to_owned() } else { tally.max_requests_after.to_string() };
        print(format!(
            "| {} | {} | {} | {} | {} | {:.1} % | {} | {after} | × {:.2} |",
            trouble.title(),
            length.title(),
            tally.runs,
            tally.contradictions.len(),
            tally.changed.len(),
            100.0 * tally.open_share(),
            tally.ended,
            tally.request_ratio()
        ));
        list_wrong(&tally, &mut wrong);
    }
    print(
        "\n| rejected at random | runs | false contradictions | changed verdicts | rows left open | requests |"
            .to_owned(),
    );
    print("| --- | ---: | ---: | ---: | ---: | ---: |".to_owned());
    for share in [0.02, 0.05] {
        let tally = servers.measure_filter(args.filter_runs, share);
        print(format!(
            "| {} % | {} | {} | {} | {:.2} % | × {:.2} |",
            share * 100.0,
            tally.runs,
            tally.contradictions.len(),
            tally.changed.len(),
            100.0 * tally.open_share(),
            tally.request_ratio()
        ));
        list_wrong(&tally, &mut wrong);
    }
    for line in wrong.iter().take(60) {
        // A closed stderr is not an error.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
    ExitCode::from(u8::from(!wrong.is_empty()))
}

fn list_wrong(tally: &TroubleTally, wrong: &mut Vec<String>) {
    wrong.extend(tally.contradictions.iter().map(|line| format!("contradicts: {line}")));
    wrong.extend(tally.changed.iter().map(|line| format!("changed: {line}")));
    wrong.extend(tally.inconsistent.iter().map(|line| format!("inconsistent: {line}")));
}
