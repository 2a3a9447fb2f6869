//! `--resume`: interrupted runs, compared with the command line and continued in their own
//! recordings: [`ResumedRun`].
//!
//! The recording determines the requests and the rules. The command line determines the endpoint
//! and the credential. An option that would change the requests is rejected, because the recorded
//! responses would not match.
//!
//! A simulation starts over, because the state of its server is gone: prompt caches, random values,
//! and times. It costs nothing.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use secrecy::SecretString;

use crate::catalog::{Catalog, CatalogRow};
use crate::cli::ProcessEnvironment;
use crate::cli::args::endpoint::{EndpointArgs, MaxTokensArgs};
use crate::cli::args::run::RunArgs;
use crate::cli::args::send::{ConfidenceArgs, SendArgs};
use crate::cli::args::simulator::SimulatorOptions;
use crate::cli::clock::current_timestamp;
use crate::cli::error::CliError;
use crate::cli::io::{files, stderr};
use crate::cli::target::build::build_target;
use crate::cli::target::credential::{CredentialPolicy, LazyCredential};
use crate::cli::target::model::{EndpointKind, ResolvedTarget};
use crate::cli::target::resolve::resolve_targets;
use crate::client::PLACEHOLDER_CREDENTIAL;
use crate::engine::RowSelection;
use crate::engine::selection::digest_rows;
use crate::recording::run::{Recording, ResumeMarker, RunHeader, RunLine, is_complete};
use crate::recording::writer::RecordingWriter;
use crate::redact::{ContentPolicy, SecretRedactor};
use crate::results::file_names::slugify;
use crate::wire::exchange::SECRET_PLACEHOLDER;

const OPTION: &str = "--resume";

const OTHER_CASES: &str =
    "the case files changed since the recording. Use the original ones with --cases, or start a new run";

/// A target, and its interrupted run with the rows of that run. A target may have no run yet.
type ResumeCandidate<'a> = (ResolvedTarget, Option<(ResumedRun, RowSelection<'a>)>);

/// An interrupted run, and its recording. No other process can write the recording meanwhile.
#[derive(Debug)]
pub struct ResumedRun {
    /// The recording.
    pub path: PathBuf,
    /// Its content. Without exchanges and trials if the run starts over.
    pub recording: Recording,
    /// True for an interrupted simulation.
    pub starts_over: bool,
    file: File,
}

/// The folder with the recordings: the folder itself, or the folder of the file.
pub fn recording_folder(source: &Path) -> PathBuf {
    match (source.is_dir(), source.parent()) {
        (true, _) => source.to_owned(),
        (false, Some(parent)) if !parent.as_os_str().is_empty() => parent.to_owned(),
        (false, _) => PathBuf::from("."),
    }
}

/// Finds the runs to resume in a file or folder: the runs of the targets that the command line
/// names, or all runs if it names no target.
pub fn find_runs<'a>(
    source: &Path,
    args: &RunArgs,
    simulator: &SimulatorOptions,
    catalog: &'a Catalog,
    environment: &ProcessEnvironment,
) -> Result<Vec<ResumeCandidate<'a>>, CliError> {
    let error = |problem: &str| CliError::earlier_run(OPTION, source, problem);
    if !source.exists() {
        let problem = "no such file or folder. The recording of a run is in its --out or --record folder";
        return Err(error(problem));
    }
    let given = &args.endpoint;
    let resolve = |given: &EndpointArgs| resolve_targets(given, CredentialPolicy::Required, catalog, environment);
    let resume = |run: ResumedRun, target| {
        let (target, run, rows) = run.adopt(target, args, simulator, catalog)?;
        Ok::<ResumeCandidate<'a>, CliError>((target, Some((run, rows))))
    };
    let is_named = !given.targets.is_empty() || given.base_url.is_some() || given.list.is_some();
    if source.is_file() {
        if has_no_header(source)? {
            let problem = "the run was interrupted before anything was recorded. Start a new run";
            return Err(error(problem));
        }
        let run = ResumedRun::read(source)?;
        if !is_named {
            let target = run.resolve_target(given, catalog, environment)?;
            return Ok(vec![resume(run, target)?]);
        }
        let mut filled = given.clone();
        if given.model.is_empty() && given.list.is_none() {
            filled.model = vec![run.recording.header.settings.model.clone()];
        }
        let mut targets = resolve(&filled)?;
        return match (targets.pop(), targets.is_empty()) {
            (Some(target), true) => Ok(vec![resume(run, target)?]),
            _ => Err(error("the file is the recording of one target, but several are named. Use its folder")),
        };
    }
    let mut candidates: Vec<ResumeCandidate<'a>> = Vec::new();
    if is_named {
        for target in resolve(given)? {
            let path = source.join(format!("recording-{}.jsonl", slugify(&target.name)));
            candidates.push(match path.is_file() && !has_no_header(&path)? {
                true => resume(ResumedRun::read(&path)?, target)?,
                false => (target, None),
            });
        }
        return match candidates.iter().any(|(_, run)| run.is_some()) {
            true => Ok(candidates),
            false => Err(error("no recording of the named targets in the folder. Check the targets")),
        };
    }
    for path in files::list_recordings(source)? {
        if has_no_header(&path)? {
            stderr::warn(format!("{}: nothing was recorded. Name its target to run it", path.display()));
            continue;
        }
        let run = ResumedRun::read(&path)?;
        let target = run.resolve_target(given, catalog, environment)?;
        if candidates.iter().any(|(other, _)| other.name == target.name) {
            let problem = format!("several recordings of `{}` in the folder. Use the file", target.name);
            return Err(error(&problem));
        }
        candidates.push(resume(run, target)?);
    }
    if candidates.is_empty() { Err(error("no recording-*.jsonl in the folder")) } else { Ok(candidates) }
}

/// The limit of the first line of a recording.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// True if a recording has no complete line: its run was interrupted before the first request.
fn has_no_header(path: &Path) -> Result<bool, CliError> {
    let mut line = Vec::new();
    let file = files::open_input(path, files::MAX_RECORDING_BYTES)?;
    let read = BufReader::new(file.take(MAX_HEADER_BYTES)).read_until(b'\n', &mut line);
    read.map_err(|e| CliError::io("read", path, e))?;
    Ok(line.last() != Some(&b'\n'))
}

impl ResumedRun {
    /// Reads a recording to resume.
    fn read(path: &Path) -> Result<Self, CliError> {
        let error = |problem: &str| Err(CliError::earlier_run(OPTION, path, problem));
        if files::is_gateway_recording(path)? {
            return error("recordings of gateways cannot be resumed. Start a new `fieldtest gateway`");
        }
        let file = files::reopen_recording(path)?;
        let mut recording = files::read_recording(path)?;
        let scope = &recording.header.scope;
        if let Some(obstacle) = scope.resume_obstacle() {
            return error(obstacle);
        }
        let this = env!("CARGO_PKG_VERSION");
        if scope.version.as_deref() != Some(this) {
            let written = scope.version.as_deref().map_or("an earlier version".to_owned(), |v| format!("version {v}"));
            return error(&format!(
                "written by {written} of fieldtest; this is {this}, which may send other requests. Resume with that \
                 version, or start a new run. `fieldtest judge` works with this file"
            ));
        }
        let starts_over = recording.header.simulated && !is_complete(&recording);
        if starts_over {
            recording = Recording::new(RunHeader { started_at: current_timestamp(), ..recording.header });
        }
        Ok(Self { path: path.to_owned(), recording, starts_over, file })
    }

    /// True if no request is left.
    pub fn is_complete(&self) -> bool {
        is_complete(&self.recording)
    }

    /// The target of the recording, if the command line does not name a target.
    fn resolve_target(
        &self,
        given: &EndpointArgs,
        catalog: &Catalog,
        environment: &ProcessEnvironment,
    ) -> Result<ResolvedTarget, CliError> {
        let header = &self.recording.header;
        let mut filled = EndpointArgs {
            name: Some(given.name.clone().unwrap_or_else(|| header.name.clone())),
            model: match given.model.is_empty() {
                true => vec![header.settings.model.clone()],
                false => given.model.clone(),
            },
            simulate: header.simulated,
            ..given.clone()
        };
        // The credential of a target must only be sent to the base URL of its file.
        let is_same = |name: &&str| {
            let target = catalog.target(name);
            target.is_some_and(|target| header.simulated || target.base_url.as_ref() == Some(&header.base_url))
        };
        let names = [header.name.as_str(), header.name.split('@').next().unwrap_or_default()];
        match names.into_iter().find(is_same) {
            // No request is left, so no credential is needed.
            Some(_) | None if self.is_complete() && !header.simulated => {
                let endpoint = EndpointKind::Live {
                    base_url: header.base_url.clone(),
                    credential: None,
                    missing_credential: None,
                };
                return Ok(build_target(&filled, &header.name, endpoint, None, header.claims.as_ref()));
            }
            Some(name) => filled.targets = vec![name.to_owned()],
            None if header.simulated => {
                return self.fail("the recording is of a simulation. Name the simulated target, with --simulate");
            }
            None if [SECRET_PLACEHOLDER, PLACEHOLDER_CREDENTIAL]
                .iter()
                .any(|placeholder| header.base_url.contains(placeholder)) =>
            {
                return self.fail("the base URL contained a secret, which the recording does not have. Use --base-url");
            }
            None => filled.base_url = Some(header.base_url.clone()),
        }
        let mut targets = resolve_targets(&filled, CredentialPolicy::Required, catalog, environment)?;
        match (targets.pop(), targets.is_empty()) {
            (Some(target), true) => Ok(target),
            _ => self.fail("the recording is of one model, but --model names several"),
        }
    }

    /// Compares a target with the recording, and gives it the claims and settings of the recording.
    fn adopt<'a>(
        self,
        mut target: ResolvedTarget,
        args: &RunArgs,
        simulator: &SimulatorOptions,
        catalog: &'a Catalog,
    ) -> Result<(ResolvedTarget, Self, RowSelection<'a>), CliError> {
        let header = &self.recording.header;
        self.verify_same("target", &header.name, &target.name)?;
        let is_simulated = matches!(target.endpoint, EndpointKind::Simulated(_));
        if is_simulated != header.simulated {
            let (recorded, advice) = if header.simulated { ("simulated", "Add") } else { ("live", "Remove") };
            return self.fail(format!("the recording is of a {recorded} run. {advice} --simulate"));
        }
        if !args.endpoint.model.is_empty() || args.endpoint.list.is_some() {
            self.verify_same("model", &header.settings.model, &target.settings.model)?;
        }
        let claims = header.claims.as_ref().map_or("", |claims| claims.name.as_str());
        if let Some(wanted) = &args.endpoint.claims {
            self.verify_same("the claims of", claims, wanted)?;
        }
        self.verify_options(args, simulator)?;
        let rows = self.planned_rows(args, catalog, &target)?;
        if self.is_complete() {
            target.clear_credential();
        }
        target.claims.clone_from(&header.claims);
        target.settings = header.settings.clone();
        Ok((target, self, rows))
    }

    /// Rejects an endpoint whose base URL differs from the recorded one. The recorded base URL has
    /// no secrets, so they are removed before the comparison.
    pub fn verify_base_url(&self, endpoint: &EndpointKind, secrets: &[SecretString]) -> Result<(), CliError> {
        let EndpointKind::Live { base_url, credential, .. } = endpoint else { return Ok(()) };
        let credential = credential.as_ref().map(LazyCredential::resolve).transpose()?;
        let redacted_url = SecretRedactor::new(credential.as_ref(), secrets).redact_text(base_url.clone());
        self.verify_same("base URL", &self.recording.header.base_url, &redacted_url)
    }

    fn verify_same(&self, what: &str, recorded: &str, given: &str) -> Result<(), CliError> {
        match recorded == given {
            true => Ok(()),
            false => {
                self.fail(format!("the recording has {what} `{recorded}`, this run has `{given}`. They must be equal"))
            }
        }
    }

    /// Rejects options that would change the requests or the verdicts. An option with its default
    /// value is not compared.
    fn verify_options(&self, args: &RunArgs, simulator: &SimulatorOptions) -> Result<(), CliError> {
        let header = &self.recording.header;
        let differs = |option: &str, recorded: String, given: String| {
            self.fail(format!(
                "the recording was made with `{option} {recorded}`; `{option} {given}` would change its requests. \
                 Remove `{option}`"
            ))
        };
        let sending = &args.sending;
        if let Some(seed) = sending.seed.filter(|seed| *seed != header.seed) {
            return differs("--seed", header.seed.to_string(), seed.to_string());
        }
        let confidence = sending.confidence.confidence;
        if confidence != ConfidenceArgs::DEFAULT && confidence != header.confidence {
            return differs("--confidence", header.confidence.to_string(), confidence.to_string());
        }
        let (recorded, given) = (header.settings.answer_tokens, args.endpoint.max_tokens.default_max_tokens);
        if given != MaxTokensArgs::DEFAULT && given != recorded {
            return differs("--default-max-tokens", recorded.to_string(), given.to_string());
        }
        if sending.redact != ContentPolicy::KeepContent {
            return self.fail("the recording already has texts. Use --redact content from the start of a run");
        }
        if header.simulated && header.scope.simulation != simulator.digest() {
            return self.fail("simulator options differ from the recorded run. Use the same --flip and --simulator");
        }
        if let Some(shard) = args.shard.shard {
            let recorded = header.scope.shard.as_ref().map_or("none".to_owned(), |s| format!("{}/{}", s.index, s.of));
            if recorded != shard.to_string() {
                return differs("--shard", recorded, shard.to_string());
            }
        }
        Ok(())
    }

    /// The rows of the run.
    fn planned_rows<'a>(
        &self,
        args: &RunArgs,
        catalog: &'a Catalog,
        target: &ResolvedTarget,
    ) -> Result<RowSelection<'a>, CliError> {
        let header = &self.recording.header;
        let rows = |ids: &[String]| -> Result<Vec<&'a CatalogRow>, CliError> {
            let find = |id: &String| catalog.rows.iter().find(|row| row.experiment.id() == id);
            ids.iter().map(|id| find(id).map_or_else(|| self.fail(OTHER_CASES), Ok)).collect()
        };
        let run = rows(&header.rows)?;
        if header.scope.cases.as_ref() != Some(&digest_rows(&run)) {
            return self.fail(OTHER_CASES);
        }
        let is_dependency = |row: &&CatalogRow| header.scope.beside.iter().any(|id| id == row.experiment.id());
        let (dependencies, run): (Vec<&CatalogRow>, Vec<&CatalogRow>) = run.into_iter().partition(is_dependency);
        let plan = match &header.scope.shard {
            Some(shard) => rows(&shard.rows)?,
            None => run.clone(),
        };
        if !args.select.select.is_empty() {
            let ids = |rows: &[&CatalogRow]| rows.iter().map(|row| row.experiment.id().to_owned()).collect::<Vec<_>>();
            if ids(&args.select.select_rows(catalog, |needed| target.meets_requirement(needed))?) != ids(&plan) {
                return self.fail("--select names other rows than the recording. Remove it");
            }
        }
        Ok(RowSelection { plan, run, dependencies })
    }

    /// The options for the remaining requests.
    pub fn send_args(&self, given: &SendArgs) -> SendArgs {
        let header = &self.recording.header;
        let confidence = ConfidenceArgs { confidence: header.confidence };
        SendArgs { seed: Some(header.seed), confidence, ..given.clone() }
    }

    /// The start of the run. If the clock cannot represent it, the current time.
    pub fn started_at(&self) -> Instant {
        let now = Instant::now();
        let started = self.recording.header.started_at.parse::<Timestamp>().ok();
        let ago = started.and_then(|started| Duration::try_from(Timestamp::now().duration_since(started)).ok());
        ago.and_then(|ago| now.checked_sub(ago)).unwrap_or(now)
    }

    /// The duration of the run so far.
    pub fn elapsed_ms(&self) -> u64 {
        let attempts = self.recording.exchanges.iter().flat_map(|exchange| &exchange.attempts);
        let last_response_ms = || attempts.map(|a| a.started_ms.saturating_add(a.duration_ms)).max().unwrap_or(0);
        self.recording.footer.as_ref().map_or_else(last_response_ms, |footer| footer.wall_ms)
    }

    /// Continues the recording, or starts it over. An incomplete last line is removed.
    pub fn into_writer(self) -> Result<RecordingWriter, CliError> {
        let error = |e| CliError::io("write", &self.path, e);
        let mut recording = self.recording;
        let (line, prepared) = match self.starts_over {
            true => (RunLine::Header(Box::new(recording.header.clone())), self.file.set_len(0)),
            false => (RunLine::Resumed(ResumeMarker { at: current_timestamp() }), repair_last_line(&self.file)),
        };
        prepared.map_err(error)?;
        let file = files::continue_durable_file(&self.path, self.file)?;
        recording.footer = None;
        let mut writer = RecordingWriter::new(recording, file, ContentPolicy::KeepContent);
        writer.write_line(&line);
        Ok(writer)
    }

    fn fail<T>(&self, problem: impl ToString) -> Result<T, CliError> {
        Err(CliError::earlier_run(OPTION, &self.path, problem))
    }
}

/// Removes an incomplete last line, or adds the missing newline of a complete one.
fn repair_last_line(file: &File) -> io::Result<()> {
    let (mut file, mut last) = (file, Vec::new());
    let mut from = file.seek(SeekFrom::End(0))?;
    // Reads backwards in steps until there is a newline.
    while from > 0 && !last.contains(&b'\n') {
        let step = from.min(64 * 1024);
        from -= step;
        file.seek(SeekFrom::Start(from))?;
        let mut chunk = vec![0; step as usize];
        file.read_exact(&mut chunk)?;
        chunk.extend_from_slice(&last);
        last = chunk;
    }
    let complete = last.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let last_line = &last[complete..];
    file.seek(SeekFrom::End(0))?;
    match last_line {
        [] => Ok(()),
        // Only the newline is missing.
        line if serde_json::from_slice::<RunLine>(line).is_ok() => file.write_all(b"\n"),
        _ => file.set_len(from + complete as u64),
    }
}
