//! The jobs of `run`: [`TargetJob`], planned before anything is sent to the first target.

use crate::catalog::Catalog;
use crate::cli::ProcessEnvironment;
use crate::cli::args::run::RunArgs;
use crate::cli::args::simulator::SimulatorOptions;
use crate::cli::error::CliError;
use crate::cli::io::stderr;
use crate::cli::session::rerun::RerunSource;
use crate::cli::session::resume;
use crate::cli::session::resume::ResumedRun;
use crate::cli::target::credential::CredentialPolicy;
use crate::cli::target::model::ResolvedTarget;
use crate::cli::target::resolve::{resolve_targets, validate_options};
use crate::engine::RowSelection;

/// A target and the rows to run.
pub struct TargetJob<'a> {
    /// The target.
    pub target: ResolvedTarget,
    /// The rows.
    pub rows: RowSelection<'a>,
    /// The interrupted run to resume.
    pub resumed: Option<ResumedRun>,
}

impl<'a> TargetJob<'a> {
    /// The jobs of a command.
    pub fn plan_jobs(
        args: &RunArgs,
        simulator: &SimulatorOptions,
        catalog: &'a Catalog,
        environment: &ProcessEnvironment,
        rerun: Option<&RerunSource>,
    ) -> Result<Vec<Self>, CliError> {
        let mut jobs: Vec<Self> = match &args.resume {
            Some(place) => {
                let resumed = resume::find_runs(place, args, simulator, catalog, environment)?.into_iter();
                let job = |(target, run): (ResolvedTarget, Option<(ResumedRun, RowSelection<'a>)>)| match run {
                    Some((run, rows)) => Ok(Self { target, rows, resumed: Some(run) }),
                    None => Self::new(target, args, catalog, None),
                };
                resumed.map(job).collect::<Result<_, _>>()?
            }
            None => {
                let targets = resolve_targets(&args.endpoint, CredentialPolicy::Required, catalog, environment)?;
                if rerun.is_some() && targets.len() != 1 {
                    return Err(CliError::Options("--rerun needs one target. Name the target of the file"));
                }
                targets.into_iter().map(|target| Self::new(target, args, catalog, rerun)).collect::<Result<_, _>>()?
            }
        };
        validate_options(jobs.iter().map(|job| &job.target), args.simulation.is_set(), &args.sending.budget)?;
        for job in jobs.iter_mut().filter(|job| job.rows.run.is_empty()) {
            job.target.clear_credential();
        }
        Ok(jobs)
    }

    /// The job of a new run.
    fn new(
        target: ResolvedTarget,
        args: &RunArgs,
        catalog: &'a Catalog,
        rerun: Option<&RerunSource>,
    ) -> Result<Self, CliError> {
        let plan = args.select.select_rows(catalog, |needed| target.meets_requirement(needed))?;
        let rows = match rerun {
            Some(rerun) => rerun.plan_rows(catalog, &plan, target.testable_rows(catalog))?,
            None => args.shard.select_rows(plan, target.testable_rows(catalog)),
        };
        Ok(Self { target, rows, resumed: None })
    }

    /// Reports which rows of the plan are run, if not all.
    pub fn announce(&self, args: &RunArgs, is_rerun: bool) {
        let name = &self.target.name;
        let (rows, planned) = (self.rows.run.len(), self.rows.plan.len());
        match args.shard.shard {
            Some(shard) if rows == 0 => stderr::warn(format!("{name}: shard {shard}: none of {planned} rows")),
            Some(shard) => stderr::warn(format!("{name}: shard {shard}: {rows} of {planned} rows")),
            None if is_rerun && rows == 0 => {
                stderr::warn(format!("{name}: nothing to rerun: no row is contradicted or undetermined"));
            }
            None if is_rerun => stderr::warn(format!("{name}: rerunning {rows} of {planned} rows")),
            None => {}
        }
    }
}
