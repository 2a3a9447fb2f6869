//! The runs of one command: several targets side by side, the repeats of each one after the other.
//!
//! What one target's run comes to is nothing to another's: where one fails, the others keep what they have.

use std::path::PathBuf;
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _};

use crate::catalog::Catalog;
use crate::cli::args::baseline::Loaded;
use crate::cli::args::send::{Redact, SendArgs};
use crate::cli::args::shard::Rerun;
use crate::cli::commands::run::RunArgs;
use crate::cli::io::{files, stdout};
use crate::cli::progress::Watch;
use crate::cli::session::connection::Connection;
use crate::cli::session::jobs::Work;
use crate::cli::session::preflight::Ready;
use crate::cli::session::resume::Resumption;
use crate::cli::session::run::{Job, conduct};
use crate::cli::{CliError, Environment};
use crate::engine::{Stop, judge};
use crate::recording::answered::Known;
use crate::recording::run::Ended;
use crate::recording::scope::Scope;
use crate::results::file_names::slug;
use crate::results::merge::Repeats;
use crate::results::model::Results;
use crate::results::redact::without_texts;

/// What all runs of a command have in common.
pub struct Batch<'a> {
    /// The command's arguments.
    pub args: &'a RunArgs,
    /// What the process finds around itself.
    pub environment: &'a Environment,
    /// The case files.
    pub catalog: &'a Catalog,
    /// What all requests have in common.
    pub ready: Ready,
    /// Where recordings go.
    pub folder: PathBuf,
    /// The results that a rerun begins from.
    pub rerun: Option<Rerun>,
    /// What results are held against.
    pub baseline: Option<Loaded>,
    /// Ends all runs.
    pub stop: Stop,
    /// What watches them.
    pub watch: Watch,
}

/// What came of a command's runs.
pub struct Made {
    /// The results, in the order of the targets.
    pub results: Vec<Results>,
    /// What went wrong beside them, in that order.
    pub errors: Vec<CliError>,
}

impl Batch<'_> {
    /// Makes the runs, so many targets at once. Each target's results are written as soon as they are there.
    pub async fn run(&self, work: Vec<Work<'_>>, at_once: usize) -> Made {
        let targets = work.len();
        let mut ended: Vec<_> = stream::iter(work.into_iter().enumerate())
            .map(|(n, work)| async move { (n, self.target(work).await) })
            .buffer_unordered(at_once.max(1))
            .collect()
            .await;
        ended.sort_by_key(|(n, _)| *n);
        let mut made = Made { results: Vec::new(), errors: Vec::new() };
        for (_, (results, error)) in ended {
            made.results.extend(results);
            made.errors.extend(error);
        }
        let begun = made.results.len() + made.errors.len();
        if begun < targets {
            stdout::warn(format!("{} of {targets} targets were not begun", targets - begun));
        }
        made
    }

    /// All runs of a target; neither results nor an error where it was not begun.
    async fn target(&self, work: Work<'_>) -> (Option<Results>, Option<CliError>) {
        if self.stop.is_stopped() {
            return (None, None);
        }
        let mut results = match self.repeats(work).await {
            Ok(results) => results,
            Err(error) => return (None, Some(error)),
        };
        if let Some(baseline) = &self.baseline {
            baseline.hold(&mut results, self.catalog, self.args.output.strict);
        }
        self.watch.results(&results);
        // A file that cannot be written any more costs nobody the results: they are still shown.
        let written = stdout::write_results(&self.args.output, &results);
        (Some(results), written.err())
    }

    async fn repeats(&self, work: Work<'_>) -> Result<Results, CliError> {
        let Work { tested, portion, resumption } = work;
        if let Some(over) = resumption.as_ref().filter(|resumption| resumption.is_over()) {
            stdout::warn(format!("{}: {} is complete: nothing is sent", tested.name, over.path.display()));
            return judge(self.catalog, &over.recording).map_err(|e| CliError::Fault(e.to_string()));
        }
        if let Some(resumption) = &resumption {
            let answers = Known::of(&resumption.recording).answers();
            stdout::warn(format!("{}: goes on; {answers} requests were answered and are not sent again", tested.name));
        }
        let started = resumption.as_ref().map_or_else(Instant::now, Resumption::begun);
        let args = self.args;
        let sending = resumption.as_ref().map_or_else(|| args.sending.clone(), |r| r.sending(&args.sending));
        let connection =
            Connection::new(&tested, &sending, &args.simulator, self.catalog, &self.ready, started).await?;
        if let Some(resumption) = &resumption {
            connection.recall(&resumption.recording.exchanges);
        }
        // A rerun asks with fresh draws: the same questions might only bring the same answers.
        let entropy = self.environment.entropy;
        let fresh = || if self.rerun.is_some() { entropy } else { connection.seed(entropy) };
        let seed = sending.seed.unwrap_or_else(fresh);
        let slug = slug(&tested.name);
        let Some(asked) = args.repeat.map(u64::from) else {
            let recording = match (&self.rerun, &resumption) {
                (_, Some(resumption)) => resumption.path.clone(),
                (Some(_), None) => files::unused(&self.folder, &format!("recording-{slug}-rerun"), "jsonl"),
                (None, None) => self.folder.join(format!("recording-{slug}.jsonl")),
            };
            let work = Work { tested, portion, resumption };
            return self.once(&connection, work, &sending, (seed, None), recording).await.map(|(results, _)| results);
        };
        let digits = asked.to_string().len();
        let mut repeats: Option<Repeats> = None;
        for n in 0..asked {
            let recording = self.folder.join(format!("recording-{slug}-run-{:0digits$}.jsonl", n + 1));
            // Each asks with draws of its own: a cache of answers must not pass for stability.
            let work = Work { tested: tested.clone(), portion: portion.clone(), resumption: None };
            let (results, ended) =
                self.once(&connection, work, &sending, (seed.wrapping_add(n), Some(n + 1)), recording).await?;
            match &mut repeats {
                Some(repeats) => repeats.add(results),
                None => repeats = Some(Repeats::new(results, asked)),
            }
            if matches!(ended, Ended::Interrupted | Ended::Budget | Ended::Lost | Ended::Untestable) {
                break;
            }
        }
        repeats.map(Repeats::results).ok_or_else(|| CliError::Fault("no run was made".to_owned()))
    }

    /// One run.
    async fn once(
        &self,
        connection: &Connection,
        Work { tested, portion, resumption }: Work<'_>,
        sending: &SendArgs,
        (seed, nth): (u64, Option<u64>),
        recording: PathBuf,
    ) -> Result<(Results, Ended), CliError> {
        let removed = |results| if sending.redact == Redact::Texts { without_texts(results) } else { results };
        let job = Job {
            tested: &tested,
            base_url: connection.base_url.clone(),
            simulated: connection.is_simulated(),
            extent: portion.extent,
            plan: portion.plan,
            shard: self.args.shard.shard,
            seed,
            recording,
            watch: &self.watch,
            started: Instant::now(),
            scope: Scope {
                simulation: self.args.simulator.digest(),
                rerun: self.rerun.is_some(),
                repeat: self.args.repeat.is_some(),
                ..Scope::default()
            },
            run: nth,
            resumption,
        };
        let Some(rerun) = &self.rerun else {
            let path = job.recording.clone();
            let made = conduct(&connection.client, job, sending, self.catalog, &self.stop).await;
            if let Ok((_, Ended::Interrupted | Ended::Budget | Ended::Lost)) = &made
                && self.args.repeat.is_none()
                && sending.redact == Redact::Secrets
            {
                let bound = match sending.money.is_bounded() {
                    true => "; what was spent counts towards the bound that it is given",
                    false => "",
                };
                stdout::warn(format!(
                    "{}: `fieldtest run --resume {} --out {}` goes on with it{bound}",
                    tested.name,
                    path.display(),
                    self.args.output.out.display()
                ));
            }
            return made;
        };
        rerun.fits(&job.header(sending), self.catalog)?;
        if job.extent.rows.is_empty() {
            return Ok((removed(rerun.as_it_is()), Ended::Complete));
        }
        let (results, ended) = conduct(&connection.client, job, sending, self.catalog, &self.stop).await?;
        // What a rerun keeps may have been written with its texts.
        Ok((removed(rerun.with(results)), ended))
    }
}
