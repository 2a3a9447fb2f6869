//! What a run is to do: its targets, the rows that each is asked, and what was asked before.
//!
//! All of it is found out before anything is sent to the first target. Nothing here sends.

use crate::catalog::Catalog;
use crate::cli::args::shard::RerunSource;
use crate::cli::args::simulator::SimulatorOptions;
use crate::cli::commands::run::RunArgs;
use crate::cli::io::stdout;
use crate::cli::session::resume;
use crate::cli::session::resume::ResumedRun;
use crate::cli::target::resolve::{ResolvedTarget, resolve_targets, validate_options};
use crate::cli::{CliError, ProcessEnvironment};
use crate::engine::RowSelection;

/// One target, and what it is asked.
pub struct TargetJob<'a> {
    /// What is tested.
    pub target: ResolvedTarget,
    /// The rows.
    pub rows: RowSelection<'a>,
    /// What is gone on with, where it was begun before.
    pub resumed: Option<ResumedRun>,
}

impl<'a> TargetJob<'a> {
    /// All that the options name.
    pub fn plan_jobs(
        args: &RunArgs,
        catalog: &'a Catalog,
        environment: &ProcessEnvironment,
        simulator: &SimulatorOptions,
        rerun: Option<&RerunSource>,
    ) -> Result<Vec<Self>, CliError> {
        let mut all = match &args.resume {
            Some(place) => resume::resume_jobs(place, args, simulator, catalog, environment)?,
            None => {
                let targets = resolve_targets(&args.endpoint, catalog, environment)?;
                if rerun.is_some() && targets.len() != 1 {
                    let what = "--rerun goes with one target: name the one that the file is of";
                    return Err(CliError::Usage(what.to_owned()));
                }
                targets.into_iter().map(|tested| Self::new(tested, args, catalog, rerun)).collect::<Result<_, _>>()?
            }
        };
        validate_options(all.iter().map(|work| &work.target), args.simulation.is_set(), &args.sending.money)?;
        for work in all.iter_mut().filter(|work| work.rows.run.is_empty()) {
            work.target.clear_credential();
        }
        Ok(all)
    }

    /// What a target is asked that was not begun.
    pub fn new(
        tested: ResolvedTarget,
        args: &RunArgs,
        catalog: &'a Catalog,
        rerun: Option<&RerunSource>,
    ) -> Result<Self, CliError> {
        let plan = args.select.select_rows(catalog, |needed| tested.meets_requirement(needed))?;
        let portion = match rerun {
            Some(rerun) => rerun.plan_rows(catalog, &plan)?,
            None => args.shard.select_rows(plan),
        };
        Ok(Self { target: tested, rows: portion, resumed: None })
    }

    /// Says what of the plan is run, where it is not all.
    pub fn announce(&self, args: &RunArgs, is_rerun: bool) {
        let Self { target: tested, rows: portion, .. } = self;
        let (name, rows, beside) = (&tested.name, portion.reported_count(), portion.dependencies.len());
        let of = portion.plan.len();
        let more = if beside > 0 { format!(", with {beside} more that they work through") } else { String::new() };
        match args.shard.shard {
            Some(part) if rows == 0 => stdout::warn(format!("{name}: shard {part} has none of the {of} rows")),
            Some(part) => stdout::warn(format!("{name}: shard {part} has {rows} of the {of} rows{more}")),
            None if is_rerun && rows == 0 => {
                stdout::warn(format!("{name}: nothing to ask again: no row is contradicted or undetermined"));
            }
            None if is_rerun => stdout::warn(format!("{name}: {rows} of {of} rows are asked again{more}")),
            None => {}
        }
    }
}
