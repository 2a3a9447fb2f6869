//! What a run is to do: its targets, the rows that each is asked, and what was asked before.
//!
//! All of it is found out before anything is sent to the first target. Nothing here sends.

use crate::catalog::Catalog;
use crate::cli::args::shard::{Portion, Rerun};
use crate::cli::commands::run::RunArgs;
use crate::cli::io::stdout;
use crate::cli::session::resume;
use crate::cli::session::resume::Resumption;
use crate::cli::target::resolve::{Tested, fit, resolve};
use crate::cli::{CliError, Environment};

/// One target, and what it is asked.
pub struct Work<'a> {
    /// What is tested.
    pub tested: Tested,
    /// The rows.
    pub portion: Portion<'a>,
    /// What is gone on with, where it was begun before.
    pub resumption: Option<Resumption>,
}

impl<'a> Work<'a> {
    /// All that the options name.
    pub fn all(
        args: &RunArgs,
        catalog: &'a Catalog,
        environment: &Environment,
        rerun: Option<&Rerun>,
    ) -> Result<Vec<Self>, CliError> {
        let mut all = match &args.resume {
            Some(place) => resume::work(place, args, catalog, environment)?,
            None => {
                let targets = resolve(&args.endpoint, catalog, environment)?;
                if rerun.is_some() && targets.len() != 1 {
                    let what = "--rerun goes with one target: name the one that the file is of";
                    return Err(CliError::Usage(what.to_owned()));
                }
                targets.into_iter().map(|tested| Self::new(tested, args, catalog, rerun)).collect::<Result<_, _>>()?
            }
        };
        fit(all.iter().map(|work| &work.tested), args.simulator.given(), &args.sending.money)?;
        for work in all.iter_mut().filter(|work| work.portion.extent.rows.is_empty()) {
            work.tested.send_nothing();
        }
        Ok(all)
    }

    /// What a target is asked that was not begun.
    pub fn new(tested: Tested, args: &RunArgs, catalog: &'a Catalog, rerun: Option<&Rerun>) -> Result<Self, CliError> {
        let plan = args.select.rows(catalog, |needed| tested.states(needed))?;
        let portion = match rerun {
            Some(rerun) => rerun.portion(catalog, &plan)?,
            None => Portion { extent: args.shard.extent(catalog, &plan), plan },
        };
        Ok(Self { tested, portion, resumption: None })
    }

    /// Says what of the plan is run, where it is not all.
    pub fn tell(&self, args: &RunArgs, is_rerun: bool) {
        let Self { tested, portion, .. } = self;
        let (name, rows, beside) = (&tested.name, portion.extent.reported(), portion.extent.beside.len());
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
