//! `fieldtest merge`: merges the results of shards.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use crate::cli::args::cases::CaseArgs;
use crate::cli::args::output::OutputArgs;
use crate::cli::io::{files, report_files, stderr};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::results::merge;
use crate::results::merge::MergedShards;
use crate::results::model::Results;

/// Merge the results of shards
#[derive(Debug, Args)]
#[command(after_help = "Example:
  fieldtest merge one/results-kimi.json two/results-kimi.json -o reports")]
pub struct MergeArgs {
    /// Results files of all shards, of one or more targets
    #[arg(value_name = "RESULTS", required = true, help_heading = "What to test")]
    results: Vec<PathBuf>,
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command.
pub fn main(args: &MergeArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    args.output.reject_ndjson()?;
    let mut targets: BTreeMap<String, Vec<(String, Results)>> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    for path in &args.results {
        let results = files::read_results(path)?;
        let target = results.target.name.clone();
        if !order.contains(&target) {
            order.push(target.clone());
        }
        targets.entry(target).or_default().push((path.display().to_string(), results));
    }
    let mut all = Vec::new();
    for parts in order.iter().filter_map(|target| targets.remove(target)) {
        if let Some(MergedShards { results, notes }) = merge::merge_shards(parts)? {
            notes.iter().for_each(stderr::warn);
            all.push(results);
        }
    }
    let catalog = args.cases.load()?;
    args.output.baseline.load_and_compare(&mut all, &catalog, args.output.strict, environment.today)?;
    let _lock = files::lock_folder(&args.output.out)?;
    report_files::write_all_results(&args.output, &all, |_, _| false)?;
    report_files::finish(&args.output, &all, environment)
}
