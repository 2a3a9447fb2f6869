//! The options of `fieldtest run`: [`RunArgs`].

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::cases::CaseArgs;
use crate::cli::args::endpoint::EndpointArgs;
use crate::cli::args::output::OutputArgs;
use crate::cli::args::select::SelectArgs;
use crate::cli::args::send::SendArgs;
use crate::cli::args::shard::ShardArgs;
use crate::cli::args::simulator::SimulationArgs;
use crate::cli::help;

/// Test endpoints, or the built-in simulator
#[derive(Debug, Args)]
#[command(
    long_about = "Test endpoints row by row and compare the verdicts with a support table",
    after_help = help::RUN_EXAMPLES,
    after_long_help = help::RUN_LONG
)]
pub struct RunArgs {
    #[command(flatten)]
    pub endpoint: EndpointArgs,
    #[command(flatten)]
    pub cases: CaseArgs,
    #[command(flatten)]
    pub select: SelectArgs,
    #[command(flatten)]
    pub shard: ShardArgs,
    /// Only rows that failed or are undetermined in FILE
    #[arg(long, value_name = "FILE", conflicts_with = "shard", help_heading = "Rows", hide_short_help = true)]
    pub rerun: Option<PathBuf>,
    /// Run each target N times; report how stable rows are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with_all = [
        "rerun", "shard", "replay",
    ], help_heading = "Rows", hide_short_help = true)]
    pub repeat: Option<u32>,
    #[command(flatten)]
    pub sending: SendArgs,
    /// Targets tested in parallel
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Requests", hide_short_help = true)]
    pub jobs: u16,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Folder for recordings [default: the --out folder]
    #[arg(long, value_name = "DIR", help_heading = "Recordings", hide_short_help = true)]
    pub record: Option<PathBuf>,
    /// Resume interrupted runs; keep answered requests
    #[arg(long, value_name = "FILE|DIR", conflicts_with_all = ["replay", "rerun", "repeat", "record"], help_heading = "Recordings")]
    pub resume: Option<PathBuf>,
    /// Read responses from recordings; send nothing
    #[arg(long, value_name = "FILE|DIR", conflicts_with_all = [
        "targets_file", "base_url", "model", "api_key_env", "api_key_file", "api_key_command", "auth", "simulate",
        "default_max_tokens", "record", "seed", "rerun", "shard", "redact", "confidence", "max_requests", "max_tokens",
        "max_cost", "price_input", "price_output", "rpm", "tpm", "concurrency", "eager", "timeout", "max_wait", "retries", "allow_http",
        "ca_file", "client_cert", "client_key", "proxy", "no_proxy",
    ], help_heading = "Recordings", hide_short_help = true)]
    pub replay: Option<PathBuf>,
    #[command(flatten)]
    pub simulation: SimulationArgs,
}
