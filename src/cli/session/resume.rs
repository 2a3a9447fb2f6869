//! `--resume`: runs that were cut, held against the command line, and gone on with in their own recordings.
//!
//! What was asked, and how it is decided, comes from the recording; where to send it, and with which credential, from the
//! command line. An option that would change the questions is refused, for the answers that stand were given to others.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use secrecy::SecretString;

use crate::catalog::{Catalog, CatalogRow};
use crate::cli::args::common::EndpointArgs;
use crate::cli::args::send::SendArgs;
use crate::cli::args::simulator::SimulatorOptions;
use crate::cli::commands::run::RunArgs;
use crate::cli::io::{files, stdout};
use crate::cli::session::jobs::TargetJob;
use crate::cli::session::run::current_timestamp;
use crate::cli::target::credential::LazyCredential;
use crate::cli::target::resolve;
use crate::cli::target::resolve::{EndpointKind, ResolvedTarget};
use crate::cli::{CliError, ProcessEnvironment};
use crate::client::PLACEHOLDER_CREDENTIAL;
use crate::engine::RowSelection;
use crate::engine::selection::digest_rows;
use crate::recording::run::{Recording, ResumeMarker, RunLine, is_complete};
use crate::recording::writer::RecordingWriter;
use crate::redact::ContentPolicy;
use crate::redact::SecretRedactor;
use crate::results::file_names::slugify;
use crate::wire::exchange::SECRET_PLACEHOLDER;

/// A run that was cut, and its recording, which nobody else writes meanwhile.
#[derive(Debug)]
pub struct ResumedRun {
    /// Where the recording is.
    pub path: PathBuf,
    /// What stands in it.
    pub recording: Recording,
    file: File,
}

/// Where recordings are that belong to a place which is to be gone on with.
pub fn recording_folder(place: &Path) -> PathBuf {
    match (place.is_dir(), place.parent()) {
        (true, _) => place.to_owned(),
        (false, Some(parent)) if !parent.as_os_str().is_empty() => parent.to_owned(),
        (false, _) => PathBuf::from("."),
    }
}

/// Finds what is to be gone on with: what is named and was begun, with the rest of what is named; or all that is there,
/// where nothing is named.
pub fn resume_jobs<'a>(
    place: &Path,
    args: &RunArgs,
    simulator: &SimulatorOptions,
    catalog: &'a Catalog,
    environment: &ProcessEnvironment,
) -> Result<Vec<TargetJob<'a>>, CliError> {
    let at_place = |what: &str| CliError::Usage(format!("--resume {}: {what}", place.display()));
    if !place.exists() {
        return Err(at_place("there is no such file or folder; a run leaves its recording in --out or --record"));
    }
    let given = &args.endpoint;
    let is_named = !given.targets.is_empty() || given.base_url.is_some() || given.list.is_some();
    if place.is_file() {
        if has_no_header(place)? {
            return Err(at_place("the run was cut before anything was recorded: begin it anew"));
        }
        let resumption = ResumedRun::read(place)?;
        if !is_named {
            let tested = resumption.resolve_target(given, catalog, environment)?;
            return Ok(vec![resumption.into_job(tested, args, simulator, catalog)?]);
        }
        let mut filled = given.clone();
        if given.model.is_empty() && given.list.is_none() {
            filled.model = vec![resumption.recording.header.settings.model.clone()];
        }
        let mut tested = resolve::resolve_targets(&filled, catalog, environment)?;
        return match (tested.pop(), tested.is_empty()) {
            (Some(one), true) => Ok(vec![resumption.into_job(one, args, simulator, catalog)?]),
            _ => Err(at_place("it is the recording of one target, and several are named: give its folder")),
        };
    }
    if is_named {
        let mut all = Vec::new();
        for tested in resolve::resolve_targets(given, catalog, environment)? {
            let path = place.join(format!("recording-{}.jsonl", slugify(&tested.name)));
            all.push(match path.is_file() && !has_no_header(&path)? {
                true => ResumedRun::read(&path)?.into_job(tested, args, simulator, catalog)?,
                false => TargetJob::new(tested, args, catalog, None)?,
            });
        }
        return match all.iter().any(|work| work.resumed.is_some()) {
            true => Ok(all),
            false => Err(at_place("there is no recording of what is named in it: was it of another target?")),
        };
    }
    let mut all: Vec<TargetJob<'a>> = Vec::new();
    for path in files::list_recordings(place)? {
        if has_no_header(&path)? {
            stdout::warn(format!("{}: nothing was recorded in it: name its target, and it is run", path.display()));
            continue;
        }
        let resumption = ResumedRun::read(&path)?;
        let tested = resumption.resolve_target(given, catalog, environment)?;
        if all.iter().any(|work| work.target.name == tested.name) {
            return Err(at_place(&format!("it holds several recordings of `{}`: give the file", tested.name)));
        }
        all.push(resumption.into_job(tested, args, simulator, catalog)?);
    }
    if all.is_empty() { Err(at_place("there is no recording-*.jsonl in it")) } else { Ok(all) }
}

/// True of a recording that has not one whole line: its run was cut before it asked anything.
fn has_no_header(path: &Path) -> Result<bool, CliError> {
    let mut line = Vec::new();
    let read = File::open(path).and_then(|file| BufReader::new(file).read_until(b'\n', &mut line));
    read.map_err(|e| CliError::Usage(format!("cannot read {}: {e}", path.display())))?;
    Ok(line.last() != Some(&b'\n'))
}

impl ResumedRun {
    /// Reads a recording that is to be gone on with.
    fn read(path: &Path) -> Result<Self, CliError> {
        let refused = |what: &str| CliError::Usage(format!("--resume {}: {what}", path.display()));
        if files::is_gateway_recording(path)? {
            return Err(refused("it is of a gateway, whose run takes seconds: begin it anew with `fieldtest gateway`"));
        }
        let file = files::reopen_recording(path)?;
        let recording = files::read_recording(path)?;
        let scope = &recording.header.scope;
        if scope.texts_removed {
            return Err(refused(
                "its texts were taken out (--redact content), and without them nobody knows what was asked: begin the run \
                 anew",
            ));
        }
        if scope.repeat {
            return Err(refused(
                "it is one of several runs (--repeat), and its results would take the place of theirs: `fieldtest judge` \
                 judges it; begin the runs anew",
            ));
        }
        if scope.rerun {
            return Err(refused("it is of a rerun: begin that anew with --rerun RESULTS"));
        }
        let this = env!("CARGO_PKG_VERSION");
        if scope.version.as_deref() != Some(this) {
            let version = scope.version.as_deref().map_or("an earlier version".to_owned(), |v| format!("version {v}"));
            return Err(refused(&format!(
                "it was written by {version} of fieldtest, and this is {this}, which may ask otherwise: go on with that \
                 version, or begin anew; `fieldtest judge` judges what is there"
            )));
        }
        Ok(Self { path: path.to_owned(), recording, file })
    }

    /// True where nothing is left to be asked.
    pub fn is_complete(&self) -> bool {
        is_complete(&self.recording)
    }

    /// What is tested, where the command line names nothing: what the recording is of.
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
        // A credential goes where the target's file says, and nowhere else.
        let is_of = |name: &&str| {
            let of = catalog.targets.get(*name);
            of.is_some_and(|of| header.simulated || of.base_url.as_ref() == Some(&header.base_url))
        };
        let names = [header.name.as_str(), header.name.split('@').next().unwrap_or_default()];
        match names.into_iter().find(is_of) {
            // It is not asked again, so nothing is needed to ask it.
            Some(_) | None if self.is_complete() && !header.simulated => {
                let place = EndpointKind::Live {
                    base_url: header.base_url.clone(),
                    credential: None,
                    missing_credential: None,
                };
                return Ok(resolve::build_target(&filled, &header.name, place, None, header.claims.as_ref()));
            }
            Some(name) => filled.targets = vec![name.to_owned()],
            None if header.simulated => {
                return Err(
                    self.usage_error("it is of a simulation: name the target that was simulated, with --simulate")
                );
            }
            None if [SECRET_PLACEHOLDER, PLACEHOLDER_CREDENTIAL]
                .iter()
                .any(|taken| header.base_url.contains(taken)) =>
            {
                return Err(self.usage_error("its base URL held a secret, which was left out: give it with --base-url"));
            }
            None => filled.base_url = Some(header.base_url.clone()),
        }
        let mut tested = resolve::resolve_targets(&filled, catalog, environment)?;
        match (tested.pop(), tested.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => Err(self.usage_error("it is of one model, and several are given with --model")),
        }
    }

    /// Holds what is tested against what was, and takes from the recording what it knows better.
    fn into_job<'a>(
        self,
        mut tested: ResolvedTarget,
        args: &RunArgs,
        simulator: &SimulatorOptions,
        catalog: &'a Catalog,
    ) -> Result<TargetJob<'a>, CliError> {
        let header = &self.recording.header;
        self.verify_same("target", &header.name, &tested.name)?;
        let is_simulated = matches!(tested.endpoint, EndpointKind::Simulated(_));
        if is_simulated != header.simulated {
            let (then, option) = if header.simulated { ("a simulation", "add") } else { ("a live run", "leave out") };
            return Err(self.usage_error(&format!("it is of {then}: {option} --simulate")));
        }
        if !args.endpoint.model.is_empty() || args.endpoint.list.is_some() {
            self.verify_same("model", &header.settings.model, &tested.settings.model)?;
        }
        let claims = header.claims.as_ref().map_or("", |claims| claims.name.as_str());
        if let Some(wanted) = &args.endpoint.claims {
            self.verify_same("claims of", claims, wanted)?;
        }
        self.verify_options(args, simulator)?;
        let portion = self.planned_rows(args, catalog, &tested)?;
        if self.is_complete() {
            tested.clear_credential();
        }
        tested.claims.clone_from(&header.claims);
        tested.settings = header.settings.clone();
        Ok(TargetJob { target: tested, rows: portion, resumed: Some(self) })
    }

    /// Refuses another endpoint than that of the recording. Its base URL is there as it is shown, without secrets.
    pub fn verify_base_url(&self, place: &EndpointKind, secrets: &[SecretString]) -> Result<(), CliError> {
        let EndpointKind::Live { base_url, credential, .. } = place else { return Ok(()) };
        let credential = credential.as_ref().map(LazyCredential::resolve).transpose()?;
        let shown = SecretRedactor::new(credential.as_ref(), secrets).redact_text(base_url.clone());
        self.verify_same("base URL", &self.recording.header.base_url, &shown)
    }

    fn verify_same(&self, what: &str, then: &str, now: &str) -> Result<(), CliError> {
        match then == now {
            true => Ok(()),
            false => {
                Err(self.usage_error(&format!("it is of the {what} `{then}`, and this is `{now}`: both must be one")))
            }
        }
    }

    /// Refuses options that would change what is asked, or how it is decided. What has a value unless told is held
    /// against the recording only where it was told another.
    fn verify_options(&self, args: &RunArgs, simulator: &SimulatorOptions) -> Result<(), CliError> {
        let header = &self.recording.header;
        let differs = |option: &str, then: String, now: String| {
            Err(self.usage_error(&format!(
                "it was begun with {option} {then}, and answers to that do not go with {option} {now}: leave the option \
                 out"
            )))
        };
        let sending = &args.sending;
        if let Some(seed) = sending.seed.filter(|seed| *seed != header.seed) {
            return differs("--seed", header.seed.to_string(), seed.to_string());
        }
        if sending.confidence != SendArgs::DEFAULT_CONFIDENCE && sending.confidence != header.confidence {
            return differs("--confidence", header.confidence.to_string(), sending.confidence.to_string());
        }
        let (then, now) = (header.settings.answer_tokens, args.endpoint.default_max_tokens);
        if now != EndpointArgs::DEFAULT_MAX_TOKENS && now != then {
            return differs("--default-max-tokens", then.to_string(), now.to_string());
        }
        if sending.redact != ContentPolicy::KeepContent {
            return Err(
                self.usage_error("it holds the texts already: --redact content goes with a run from its beginning")
            );
        }
        if header.simulated && header.scope.simulation != simulator.digest() {
            return Err(self.usage_error(
                "simulator options differ from the recorded run. Use the same --flip and --simulator options",
            ));
        }
        if let Some(part) = args.shard.shard {
            let then = header.scope.shard.as_ref().map_or("none".to_owned(), |s| format!("{}/{}", s.index, s.of));
            if then != part.to_string() {
                return differs("--shard", then, part.to_string());
            }
        }
        Ok(())
    }

    /// The rows of the run.
    fn planned_rows<'a>(
        &self,
        args: &RunArgs,
        catalog: &'a Catalog,
        tested: &ResolvedTarget,
    ) -> Result<RowSelection<'a>, CliError> {
        let header = &self.recording.header;
        let rows = |ids: &[String]| -> Result<Vec<&'a CatalogRow>, CliError> {
            let find = |id: &String| catalog.rows.iter().find(|row| row.experiment.id() == id);
            ids.iter().map(|id| find(id).ok_or_else(|| self.different_cases_error())).collect()
        };
        let run = rows(&header.rows)?;
        if header.scope.cases.as_ref() != Some(&digest_rows(&run)) {
            return Err(self.different_cases_error());
        }
        let plan = rows(header.scope.shard.as_ref().map_or(&header.rows, |shard| &shard.rows))?;
        if !args.select.select.is_empty() {
            let ids = |rows: &[&CatalogRow]| rows.iter().map(|row| row.experiment.id().to_owned()).collect::<Vec<_>>();
            if ids(&args.select.select_rows(catalog, |needed| tested.meets_requirement(needed))?) != ids(&plan) {
                return Err(self.usage_error("it is of other rows than --select names: leave the option out"));
            }
        }
        Ok(RowSelection { plan, run, dependencies: header.scope.beside.clone() })
    }

    /// How the rest is sent.
    pub fn send_args(&self, given: &SendArgs) -> SendArgs {
        let header = &self.recording.header;
        SendArgs { seed: Some(header.seed), confidence: header.confidence, ..given.clone() }
    }

    /// When the run was begun, as far as the clock goes back.
    pub fn started_at(&self) -> Instant {
        let now = Instant::now();
        let began = self.recording.header.started_at.parse::<Timestamp>().ok();
        let ago = began.and_then(|began| Duration::try_from(Timestamp::now().duration_since(began)).ok());
        ago.and_then(|ago| now.checked_sub(ago)).unwrap_or(now)
    }

    /// How long the run took so far.
    pub fn elapsed_ms(&self) -> u64 {
        let attempts = self.recording.exchanges.iter().flat_map(|exchange| &exchange.attempts);
        let ended = || attempts.map(|a| a.started_ms.saturating_add(a.duration_ms)).max().unwrap_or(0);
        self.recording.footer.as_ref().map_or_else(ended, |footer| footer.wall_ms)
    }

    /// Goes on writing where the recording ends. A line that was cut while it was written is taken off.
    pub fn into_writer(self) -> Result<RecordingWriter, CliError> {
        let failed = |e: io::Error| CliError::Usage(format!("cannot write {}: {e}", self.path.display()));
        repair_last_line(&self.file).map_err(failed)?;
        let file = files::continue_durable_file(&self.path, self.file)?;
        let mut recording = self.recording;
        recording.footer = None;
        let mut keeper = RecordingWriter::new(recording, file, ContentPolicy::KeepContent);
        keeper.write_line(&RunLine::Resumed(ResumeMarker { at: current_timestamp() }));
        Ok(keeper)
    }

    fn different_cases_error(&self) -> CliError {
        self.usage_error(
            "it is of other case files than these: give those of the run with --cases, or begin the run anew",
        )
    }

    fn usage_error(&self, what: &str) -> CliError {
        CliError::Usage(format!("--resume {}: {what}", self.path.display()))
    }
}

/// Makes a file of lines end with a whole one.
fn repair_last_line(file: &File) -> io::Result<()> {
    let (mut file, mut last) = (file, Vec::new());
    let mut from = file.seek(SeekFrom::End(0))?;
    // Back to the newline before the last line, in steps.
    while from > 0 && !last.contains(&b'\n') {
        let step = from.min(64 * 1024);
        from -= step;
        file.seek(SeekFrom::Start(from))?;
        let mut piece = vec![0; step as usize];
        file.read_exact(&mut piece)?;
        piece.extend_from_slice(&last);
        last = piece;
    }
    let whole = last.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let rest = &last[whole..];
    file.seek(SeekFrom::End(0))?;
    match rest {
        [] => Ok(()),
        // Only its newline is missing.
        line if serde_json::from_slice::<RunLine>(line).is_ok() => file.write_all(b"\n"),
        _ => file.set_len(from + whole as u64),
    }
}
