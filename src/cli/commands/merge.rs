//! `fieldtest merge`: joins the results of shards.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use crate::cli::args::common::{CaseArgs, OutputArgs};
use crate::cli::io::{files, stdout};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::results::merge::MergedShards;
use crate::results::model::Results;
use crate::results::{json, merge};

/// Joins the results of shards, per target, and renders what they make together.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fieldtest merge one/results-deepseek.json two/results-deepseek.json -o reports")]
pub struct MergeArgs {
    /// The results files of all shards, of one target or of several.
    #[arg(value_name = "RESULTS", required = true)]
    results: Vec<PathBuf>,
    /// Only the names of rows that a baseline may use come from them.
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command.
pub fn main(args: &MergeArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    stdout::reject_ndjson(&args.output)?;
    let mut targets: BTreeMap<String, Vec<(String, Results)>> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    for path in &args.results {
        let name = path.display().to_string();
        let results = json::parse(&name, &files::read_text(path)?).map_err(|e| CliError::Usage(e.to_string()))?;
        let target = results.target.name.clone();
        if !order.contains(&target) {
            order.push(target.clone());
        }
        targets.entry(target).or_default().push((name, results));
    }
    let mut all = Vec::new();
    for parts in order.iter().filter_map(|target| targets.remove(target)) {
        if let Some(MergedShards { results, notes }) =
            merge::merge_shards(parts).map_err(|e| CliError::Usage(e.to_string()))?
        {
            notes.iter().for_each(stdout::warn);
            all.push(results);
        }
    }
    let catalog = args.cases.load()?;
    args.output.baseline.load_and_compare(&mut all, &catalog, args.output.strict, environment.today)?;
    let _held = files::lock_folder(&args.output.out)?;
    stdout::write_all_results(&args.output, &all, |_, _| false)?;
    stdout::finish(&args.output, &all, environment)
}
