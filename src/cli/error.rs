//! Everything that can go wrong in a command: [`CliError`]. Each variant has an exit code.
//!
//! Errors of lower layers are wrapped, not repeated. A message names the problem, then the next step.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::catalog::{CaseErrors, ClaimStatus};
use crate::client::credential::source::SecretError;
use crate::client::{ClientError, TransportError};
use crate::engine::JudgeError;
use crate::mutation::MutationError;
use crate::results::json::ParseError;
use crate::results::merge::{MergeError, RunMismatch};
use crate::simulator::UnknownRow;

/// How the program ends. Other tools rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// No claim is contradicted, and something was decided.
    Success,
    /// A claim is contradicted; with a baseline, a regression or a stale entry; with `--strict`, also a silent or
    /// undetermined row or a finding. Of `check`: a row without a proof that it can fail.
    Contradiction,
    /// Wrong usage, an invalid case file, or a selection without rows.
    Usage,
    /// The target could not be tested: unreachable, credential rejected, no row decided, budget used up.
    Untested,
    /// Of `test` only: a test failed. Test programs of Rust end with the same number.
    TestFailed,
    /// A bug in fieldtest.
    InternalError,
}

impl ExitStatus {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Contradiction => 1,
            Self::Usage => 2,
            Self::Untested => 3,
            Self::TestFailed => 101,
            Self::InternalError => 70,
        }
    }
}

/// An error that ends a command.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Options that are invalid, or cannot be combined.
    #[error(transparent)]
    Options(#[from] OptionError),
    /// The fixed arguments of a test program are invalid.
    #[error("{0}")]
    Arguments(Box<clap::Error>),
    /// A pattern of `--select` is not a glob.
    #[error("--select {pattern}: {problem}")]
    InvalidGlob {
        /// The pattern.
        pattern: String,
        /// The problem, in the words of the glob library.
        problem: String,
    },
    /// No row matches `--select`.
    #[error("--select {select} selects no row. `{list_command}` lists the rows")]
    NoRowSelected {
        /// The patterns.
        select: String,
        /// The command that lists the rows.
        list_command: &'static str,
    },
    /// The target file lacks the limits that the selected rows need.
    #[error("--select {select} selects only rows that need `limits: {keys}`. Add the limits to the target file")]
    RowsNeedLimits {
        /// The patterns.
        select: String,
        /// The keys under `limits`.
        keys: String,
    },
    /// The selected rows do not exist for the dialect of the upstream.
    #[error(
        "--select {select} selects only rows that do not apply to --shape {dialect}. `fieldtest rows --gateway` lists \
         the rows"
    )]
    RowsNeedOtherDialect {
        /// The patterns.
        select: String,
        /// The value of `--shape`.
        dialect: &'static str,
    },
    /// `--flip` names a row that the simulator does not have.
    #[error("--flip {row}={status}: {source}. `fieldtest rows` lists the rows")]
    UnknownFlipRow {
        /// The row.
        row: String,
        /// The status.
        status: ClaimStatus,
        /// The simulator's error.
        source: UnknownRow,
    },
    /// A base URL is invalid.
    #[error("{origin}: {source}")]
    InvalidUrl {
        /// The option or the target that contains it.
        origin: String,
        /// The problem.
        source: ClientError,
    },
    /// A port is not available.
    #[error("cannot listen on {address}: {source}. Choose another port with {option}")]
    CannotListen {
        /// The address.
        address: SocketAddr,
        /// The option that sets the port.
        option: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// `INSTA_UPDATE` has an unknown value.
    #[error("unknown value `{0}` of INSTA_UPDATE. Use auto, always, new, unseen, force or no")]
    InvalidInstaUpdate(String),
    /// The filters of `fieldtest test` select no test.
    #[error("no test is selected: {filter}. `fieldtest test --list` lists the tests; the targets are {targets}")]
    NoTestSelected {
        /// Which filter matches nothing.
        filter: String,
        /// The names of all targets.
        targets: String,
    },
    /// Two words of `fieldtest test` are not targets.
    #[error("`{first}` and `{second}` are not targets, and only one filter is allowed. The targets are {targets}")]
    TwoFilters {
        /// The first word.
        first: String,
        /// The second word.
        second: String,
        /// The names of all targets.
        targets: String,
    },
    /// A target does not exist.
    #[error("unknown target `{name}`. The targets are {known}")]
    UnknownTarget {
        /// The name.
        name: String,
        /// The names of all targets.
        known: String,
    },
    /// A target cannot be used.
    #[error("{}", problem.describe(name))]
    Target {
        /// The name of the target.
        name: String,
        /// The problem.
        problem: TargetProblem,
    },
    /// Two targets would write the same files.
    #[error("`{first}` and `{second}` have the same file name. Rename one (--name)")]
    SameFileName {
        /// The name of one target.
        first: String,
        /// The name of the other target.
        second: String,
    },
    /// Entries of `--targets` cannot be used.
    #[error("{}: {}", path.display(), join_lines(errors))]
    TargetList {
        /// The list.
        path: PathBuf,
        /// One error for each entry.
        errors: Vec<CliError>,
    },
    /// One side of `compare` cannot be used. The message has the options of that side.
    #[error("{}", side_options(side, source))]
    ComparisonSide {
        /// `direct` or `via`.
        side: &'static str,
        /// The problem.
        source: Box<CliError>,
    },
    /// A credential cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The command that prints a credential failed. Other targets may share the command, so the text is kept.
    #[error("{0}")]
    CredentialCommand(String),
    /// A target file does not say where the credential is.
    #[error("no credential: add `credential` to the target file, or use --api-key-env")]
    NoCredentialSource,
    /// A live target has no credential.
    #[error(
        "{source}\nSet the variable, or use --api-key-env, --api-key-file or --api-key-command. To run without a key: \
         `fieldtest run {target} --simulate`"
    )]
    MissingCredential {
        /// The name of the target.
        target: String,
        /// The problem.
        source: Box<CliError>,
    },
    /// The credential of an entry of `--targets` cannot be read.
    #[error("{base_url}: {source}")]
    EntryCredential {
        /// The base URL of the entry.
        base_url: String,
        /// The problem.
        source: Box<CliError>,
    },
    /// A file or folder cannot be used.
    #[error("{}", problem.describe(path))]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The problem.
        problem: FileProblem,
    },
    /// A certificate or key cannot be read.
    #[error("{option} {}", problem.describe(path))]
    PemFile {
        /// The option that names the file.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: FileProblem,
    },
    /// Case files, a list of targets or a baseline is invalid.
    #[error(transparent)]
    Cases(#[from] CaseErrors),
    /// A recording is invalid.
    #[error("{}: {source}", path.display())]
    InvalidRecording {
        /// The recording.
        path: PathBuf,
        /// The problem.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A recording cannot be judged.
    #[error("{}: {source}", path.display())]
    CannotJudge {
        /// The recording.
        path: PathBuf,
        /// The problem.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A results file is invalid.
    #[error("{source}{}", if *is_recording { ". This is a recording; `fieldtest judge` makes results from it" } else { "" })]
    InvalidResults {
        /// The problem.
        source: ParseError,
        /// True if the file is a recording.
        is_recording: bool,
    },
    /// Results files that are not of one run cannot be combined.
    #[error("{0}")]
    CombineResults(String),
    /// Shards cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// A baseline is for another target.
    #[error(
        "--baseline {file}: the list is for target `{target}`, but the results are for {names}. Remove its `target`, or test that target"
    )]
    BaselineTarget {
        /// The baseline.
        file: String,
        /// The target of the baseline.
        target: String,
        /// The targets of the results.
        names: String,
    },
    /// A client cannot be configured.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A client for a target cannot be configured.
    #[error("{target}: {source}")]
    TargetClient {
        /// The name of the target.
        target: String,
        /// The problem.
        source: ClientError,
    },
    /// TLS files or a proxy cannot be used.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Results cannot be rerun.
    #[error("--rerun {}: {problem}", path.display())]
    Rerun {
        /// The results file.
        path: PathBuf,
        /// The problem.
        problem: RerunProblem,
    },
    /// Recordings cannot be replayed.
    #[error("--replay {}: {problem}", path.display())]
    Replay {
        /// The recording or its folder.
        path: PathBuf,
        /// The problem.
        problem: ReplayProblem,
    },
    /// A run cannot be resumed.
    #[error("--resume {}: {problem}", path.display())]
    Resume {
        /// The recording or its folder.
        path: PathBuf,
        /// The problem.
        problem: ResumeProblem,
    },
    /// The mutation proof failed.
    #[error(transparent)]
    Mutation(#[from] MutationError),
    /// The async runtime cannot be started.
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    /// The simulator cannot be started, or stopped with an error.
    #[error("cannot run the simulator: {0}")]
    Simulator(io::Error),
    /// A recording of this process cannot be judged.
    #[error("cannot judge the run: {0}")]
    Judge(Box<dyn Error + Send + Sync>),
    /// A report cannot be rendered.
    #[error("{file}: {source}")]
    Render {
        /// The file of the report.
        file: &'static str,
        /// The problem.
        source: Box<dyn Error + Send + Sync>,
    },
    /// JSON cannot be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A baseline cannot be written so that it can be read again.
    #[error("cannot write the baseline: {0}")]
    WriteBaseline(String),
    /// A state that the program excludes.
    #[error("{0}")]
    Unreachable(&'static str),
}

/// Options that are invalid, or cannot be combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// `--simulate` with a base URL.
    #[error("--simulate and --base-url cannot be combined. Remove one")]
    SimulateWithBaseUrl,
    /// `--simulate` with a list that has a base URL.
    #[error("--simulate cannot be used: an entry has a base URL, and only targets can be simulated. Remove one")]
    SimulateWithListedUrl,
    /// Simulator options for a live endpoint.
    #[error("simulator options need --simulate")]
    SimulatorWithoutSimulate,
    /// Simulator options for a replay.
    #[error("simulator options do not apply to --replay. Remove them")]
    SimulatorWithReplay,
    /// `--base-url` with several targets.
    #[error("--base-url accepts one target. Use --targets FILE for several")]
    BaseUrlWithTargets,
    /// `--base-url` without a model.
    #[error("--base-url needs --model NAME")]
    BaseUrlWithoutModel,
    /// `--name` with several targets.
    #[error("--name accepts one target. Remove it, or test one target")]
    NameWithTargets,
    /// `--rerun` with several targets.
    #[error("--rerun needs one target. Name the target of the file")]
    RerunTargets,
    /// `--max-cost` of `compare` without prices.
    #[error("--max-cost needs --price-input and --price-output")]
    MaxCostWithoutPrices,
    /// `--format ndjson` of a command that sends nothing.
    #[error("--format ndjson works only with `fieldtest run`")]
    NdjsonWithoutRun,
    /// `--format ndjson` with another format on standard output.
    #[error("--format ndjson cannot be combined with terminal or github. Use `--format ndjson,json,markdown`")]
    NdjsonWithOthers,
    /// Formats that `compare` does not write, or a baseline.
    #[error(
        "compare writes terminal, markdown and json, and takes no --baseline. For other formats: `fieldtest report \
         OUT/results-via.json --baseline OUT/results-direct.json --format junit,github`"
    )]
    CompareFormats,
    /// Several formats of `check` on standard output.
    #[error("several values of --format need --out")]
    FormatsWithoutOut,
    /// `--api-key-env` with something that is not a name. The message must not contain it: it may be the credential.
    #[error(
        "--api-key-env needs the name of a variable, for example MY_KEY. Put the credential into that variable, never \
         on the command line"
    )]
    ApiKeyEnvNotAName,
    /// `--api-key-command` without a command.
    #[error("--api-key-command is empty. Use a shell command that prints the credential")]
    EmptyApiKeyCommand,
}

/// Why a target cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetProblem {
    /// It is named twice on the command line.
    Repeated,
    /// Two runs would have its name.
    SameName,
    /// Its name is too long for a file name.
    LongName,
    /// Its file has no base URL.
    NoBaseUrl,
    /// One of its limits is zero.
    ZeroLimit,
    /// Its prices are unknown, and `--max-cost` needs them.
    NoPrices,
}

impl TargetProblem {
    fn describe(self, name: &str) -> String {
        match self {
            Self::Repeated => format!("target `{name}` is named twice. Remove one"),
            Self::SameName => format!("two targets have the name `{name}`. Rename one (--name)"),
            Self::LongName => format!("`{name}` is too long for a file name. Use a shorter --name or --model"),
            Self::NoBaseUrl => format!("target `{name}` has no base_url. Use --base-url or --simulate"),
            Self::ZeroLimit => format!(
                "{name}: a limit of its file or entry is 0, so nothing could be sent. Set it above 0 under `limits`, or \
                 remove it"
            ),
            Self::NoPrices => format!(
                "--max-cost needs prices for {name}. Add `prices` to the target file, or use --price-input and \
                 --price-output (US dollars per million tokens)"
            ),
        }
    }
}

/// Why a file or folder cannot be used.
#[derive(Debug)]
pub enum FileProblem {
    /// The system cannot read, write or rename it.
    Io {
        /// What failed, as a verb.
        action: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The folder of `--cases` does not exist.
    NoCasesFolder,
    /// The folder of `--cases` has no case files.
    NoCaseFiles,
    /// A folder is expected.
    NotAFolder,
    /// A file is expected.
    NotAFile,
    /// Another process writes reports into the folder.
    FolderInUse,
    /// Another process writes the recording.
    RecordingInUse,
    /// It is a named pipe: opening it would wait for a reader.
    NamedPipe,
    /// A certificate or key is too large.
    TooLarge,
    /// `baseline write` would overwrite it.
    AlreadyExists,
    /// A list of known failures is expected.
    NotABaseline,
    /// A list of known failures is for another target.
    OtherTarget {
        /// The target of the list.
        listed: String,
        /// The target of the results.
        tested: String,
    },
}

impl FileProblem {
    fn describe(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Io { action, source } => format!("cannot {action} {path}: {source}"),
            Self::NoCasesFolder => format!("--cases {path}: the folder does not exist"),
            Self::NoCaseFiles => format!(
                "--cases {path}: no case files. Add experiments/*.yaml, gateway/*.yaml or targets/*.yaml to the folder"
            ),
            Self::NotAFolder => format!("cannot write into {path}: it is not a folder"),
            Self::NotAFile => format!("{path}: expected a file"),
            Self::FolderInUse => format!("{path} is in use by another fieldtest. Choose another folder with --out"),
            Self::RecordingInUse => {
                format!("cannot write {path}: another run is writing it. Choose another folder with --record")
            }
            Self::NamedPipe => format!("cannot write {path}: it is a named pipe. Choose a regular file"),
            Self::TooLarge => format!("{path}: the file is larger than 1 MiB. Check that it is a PEM file"),
            Self::AlreadyExists => {
                format!("{path} already exists. `fieldtest baseline update` changes it; --force overwrites it")
            }
            Self::NotABaseline => format!(
                "{path}: expected a list of known failures (YAML with `schema: {}`), found results",
                crate::results::baseline::SCHEMA
            ),
            Self::OtherTarget { listed, tested } => {
                format!("{path}: the list is for target `{listed}`, the results are for `{tested}`")
            }
        }
    }
}

/// Why results cannot be rerun.
#[derive(Debug, thiserror::Error)]
pub enum RerunProblem {
    /// No experiment decides a row of the results.
    #[error("no experiment for row `{0}`. Use the case files of the run with --cases")]
    UnknownRow(String),
    /// The results are of another run.
    #[error(transparent)]
    OtherRun(RunMismatch),
}

/// Why recordings cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayProblem {
    /// `--name` with several targets.
    #[error("--name names one recording, but several targets are named")]
    NameWithTargets,
    /// A file with several targets.
    #[error("the file is one recording, but several targets are named. Use its folder")]
    OneRecording,
    /// The place does not exist.
    #[error("no such file or folder. `fieldtest run --record DIR` makes recordings")]
    NoPlace,
    /// The folder has no recordings.
    #[error("no recording-*.jsonl in the folder")]
    NoRecordings,
    /// The folder has no recording of a target.
    #[error("no {0} in the folder. Check the target and the folder of the run")]
    NoRecording(String),
    /// No experiment decides a row of the recording.
    #[error("no experiment for row `{0}`. Use the case files of the run with --cases, or other rows with --select")]
    UnknownRow(String),
    /// The rows would send a request that the recording does not have.
    #[error("{}{problem}", line.map_or(String::new(), |line| format!("line {line} of the recording: ")))]
    OtherRequest {
        /// The line of the recorded request.
        line: Option<usize>,
        /// The problem.
        problem: String,
    },
}

/// Why a run cannot be resumed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResumeProblem {
    /// The place does not exist.
    #[error("no such file or folder. The recording of a run is in its --out or --record folder")]
    NoPlace,
    /// The folder has no recordings.
    #[error("no recording-*.jsonl in the folder")]
    NoRecordings,
    /// The folder has no recording of the named targets.
    #[error("no recording of the named targets in the folder. Check the targets")]
    NoRecordingOfTargets,
    /// A file with several targets.
    #[error("the file is the recording of one target, but several are named. Use its folder")]
    OneRecording,
    /// The folder has several recordings of a target.
    #[error("several recordings of `{0}` in the folder. Use the file")]
    SeveralRecordings(String),
    /// The run was interrupted before its first request.
    #[error("the run was interrupted before anything was recorded. Start a new run")]
    Empty,
    /// The recording is of a gateway.
    #[error("recordings of gateways cannot be resumed. Start a new `fieldtest gateway`")]
    Gateway,
    /// The recording has no texts.
    #[error("the recording has no texts (--redact content), so it cannot be resumed. Start a new run")]
    NoContent,
    /// The run is one of several.
    #[error(
        "the recording is one of several runs (--repeat), which cannot be resumed. Start the runs again, or use \
         `fieldtest judge` with this file"
    )]
    Repeat,
    /// The run is a rerun.
    #[error("the recording is of a rerun. Start a new one with --rerun RESULTS")]
    Rerun,
    /// Another version wrote the recording.
    #[error(
        "written by {written} of fieldtest; this is {this}, which may send other requests. Resume with that version, or \
         start a new run. `fieldtest judge` works with this file"
    )]
    OtherVersion {
        /// The version in the recording.
        written: String,
        /// This version.
        this: &'static str,
    },
    /// A simulated run of a target that has no file.
    #[error("the recording is of a simulation. Name the simulated target, with --simulate")]
    UnknownSimulation,
    /// The base URL contained a secret.
    #[error("the base URL contained a secret, which the recording does not have. Use --base-url")]
    RedactedBaseUrl,
    /// Several models.
    #[error("the recording is of one model, but --model names several")]
    SeveralModels,
    /// A live run with `--simulate`, or a simulated run without it.
    #[error("the recording is of a {recorded} run. {advice} --simulate")]
    OtherEndpointKind {
        /// `simulated` or `live`.
        recorded: &'static str,
        /// `Add` or `Remove`.
        advice: &'static str,
    },
    /// Another target, model, table or base URL.
    #[error("the recording has {what} `{recorded}`, this run has `{given}`. They must be equal")]
    Different {
        /// What differs.
        what: &'static str,
        /// The recorded value.
        recorded: String,
        /// The value of this command.
        given: String,
    },
    /// An option would change the requests or the verdicts.
    #[error(
        "the recording was made with `{option} {recorded}`; `{option} {given}` would change its requests. Remove `{option}`"
    )]
    OptionDiffers {
        /// The option.
        option: &'static str,
        /// The recorded value.
        recorded: String,
        /// The value of this command.
        given: String,
    },
    /// `--redact content` for a recording that has the texts.
    #[error("the recording already has texts. Use --redact content from the start of a run")]
    HasContent,
    /// Other simulator options.
    #[error("simulator options differ from the recorded run. Use the same --flip and --simulator")]
    SimulatorOptions,
    /// `--select` names other rows.
    #[error("--select names other rows than the recording. Remove it")]
    OtherRows,
    /// Other case files.
    #[error("the case files changed since the recording. Use the original ones with --cases, or start a new run")]
    OtherCases,
}

impl CliError {
    /// The system's error about a file.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), problem: FileProblem::Io { action, source } }
    }

    /// A problem of a file or folder.
    pub fn file(path: &Path, problem: FileProblem) -> Self {
        Self::File { path: path.to_owned(), problem }
    }

    /// A problem of a target.
    pub fn target(name: &str, problem: TargetProblem) -> Self {
        Self::Target { name: name.to_owned(), problem }
    }

    /// What the program ends with.
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Options(_)
            | Self::Arguments(_)
            | Self::InvalidGlob { .. }
            | Self::NoRowSelected { .. }
            | Self::RowsNeedLimits { .. }
            | Self::RowsNeedOtherDialect { .. }
            | Self::UnknownFlipRow { .. }
            | Self::InvalidUrl { .. }
            | Self::CannotListen { .. }
            | Self::InvalidInstaUpdate(_)
            | Self::NoTestSelected { .. }
            | Self::TwoFilters { .. }
            | Self::UnknownTarget { .. }
            | Self::Target { .. }
            | Self::SameFileName { .. }
            | Self::TargetList { .. }
            | Self::Secret(_)
            | Self::CredentialCommand(_)
            | Self::NoCredentialSource
            | Self::MissingCredential { .. }
            | Self::EntryCredential { .. }
            | Self::File { .. }
            | Self::PemFile { .. }
            | Self::Cases(_)
            | Self::InvalidRecording { .. }
            | Self::CannotJudge { .. }
            | Self::InvalidResults { .. }
            | Self::CombineResults(_)
            | Self::Merge(_)
            | Self::BaselineTarget { .. }
            | Self::Client(_)
            | Self::TargetClient { .. }
            | Self::Transport(_)
            | Self::Rerun { .. }
            | Self::Replay { .. }
            | Self::Resume { .. }
            | Self::Mutation(MutationError::UnknownTarget(_)) => ExitStatus::Usage,
            Self::ComparisonSide { source, .. } => source.exit_status(),
            Self::Mutation(_)
            | Self::Runtime(_)
            | Self::Simulator(_)
            | Self::Judge(_)
            | Self::Render { .. }
            | Self::Json(_)
            | Self::WriteBaseline(_)
            | Self::Unreachable(_) => ExitStatus::InternalError,
        }
    }
}

impl From<JudgeError> for CliError {
    fn from(error: JudgeError) -> Self {
        Self::Judge(Box::new(error))
    }
}

fn join_lines(errors: &[CliError]) -> String {
    let mut lines: Vec<String> = errors.iter().map(CliError::to_string).collect();
    lines.dedup();
    lines.join("\n")
}

/// The options of `run`, as `compare` names them.
fn side_options(side: &str, error: &CliError) -> String {
    error.to_string().replace("--base-url", &format!("--{side}")).replace("--api-key", &format!("--{side}-key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<CliError> {
        let io = || io::Error::other("disk failure");
        let path = || PathBuf::from("file");
        let text = || "text".to_owned();
        let boxed = || Box::new(CliError::NoCredentialSource);
        let invalid_url = || crate::client::BaseUrl::parse("ftp://h").unwrap_err();
        let results_error = || crate::results::json::parse("file", "{").unwrap_err();
        vec![
            OptionError::NameWithTargets.into(),
            CliError::Arguments(Box::new(clap::Error::new(clap::error::ErrorKind::UnknownArgument))),
            CliError::InvalidGlob { pattern: text(), problem: text() },
            CliError::NoRowSelected { select: text(), list_command: "fieldtest rows" },
            CliError::RowsNeedLimits { select: text(), keys: text() },
            CliError::RowsNeedOtherDialect { select: text(), dialect: "openai" },
            CliError::UnknownFlipRow { row: text(), status: ClaimStatus::Ignored, source: UnknownRow(text()) },
            CliError::InvalidUrl { origin: text(), source: invalid_url() },
            CliError::CannotListen { address: ([127, 0, 0, 1], 1).into(), option: "--port", source: io() },
            CliError::InvalidInstaUpdate(text()),
            CliError::NoTestSelected { filter: text(), targets: text() },
            CliError::TwoFilters { first: text(), second: text(), targets: text() },
            CliError::UnknownTarget { name: text(), known: text() },
            CliError::target("t", TargetProblem::Repeated),
            CliError::SameFileName { first: text(), second: text() },
            CliError::TargetList { path: path(), errors: vec![CliError::NoCredentialSource] },
            CliError::ComparisonSide { side: "via", source: boxed() },
            SecretError::NotSet(Vec::new()).into(),
            CliError::CredentialCommand(text()),
            CliError::NoCredentialSource,
            CliError::MissingCredential { target: text(), source: boxed() },
            CliError::EntryCredential { base_url: text(), source: boxed() },
            CliError::io("read", &path(), io()),
            CliError::PemFile { option: "--ca-file", path: path(), problem: FileProblem::TooLarge },
            CaseErrors(Vec::new()).into(),
            CliError::InvalidRecording { path: path(), source: text().into() },
            CliError::CannotJudge { path: path(), source: text().into() },
            CliError::InvalidResults { source: results_error(), is_recording: true },
            CliError::CombineResults(text()),
            MergeError::NotAShard(text()).into(),
            CliError::BaselineTarget { file: text(), target: text(), names: text() },
            CliError::Client(invalid_url()),
            CliError::TargetClient { target: text(), source: invalid_url() },
            crate::client::transport::ProxyUrl::parse(&"no url".into()).unwrap_err().into(),
            CliError::Rerun { path: path(), problem: RerunProblem::UnknownRow(text()) },
            CliError::Replay { path: path(), problem: ReplayProblem::NoPlace },
            CliError::Resume { path: path(), problem: ResumeProblem::Empty },
            MutationError::UnknownTarget(text()).into(),
            MutationError::Client(text()).into(),
            CliError::Runtime(io()),
            CliError::Simulator(io()),
            CliError::Judge(text().into()),
            CliError::Render { file: "matrix.html", source: text().into() },
            serde_json::from_str::<u8>("x").unwrap_err().into(),
            CliError::WriteBaseline(text()),
            CliError::Unreachable("bug"),
        ]
    }

    /// The first word of an error's `Debug` text is the name of its variant.
    fn variant_name(error: &CliError) -> String {
        format!("{error:?}").split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
    }

    #[test]
    fn every_variant_has_a_message_and_an_exit_code() {
        let source = include_str!("error.rs");
        let (_, variants) = source.split_once("pub enum CliError {").unwrap();
        let (variants, _) = variants.split_once("\n}").unwrap();
        let variants: std::collections::BTreeSet<&str> = variants
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .filter(|line| line.starts_with(char::is_uppercase))
            .filter_map(|line| line.split(|c: char| !c.is_alphanumeric()).next())
            .collect();
        let samples = samples();
        let names: Vec<String> = samples.iter().map(variant_name).collect();
        assert_eq!(names.iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), variants);
        let internal: Vec<String> =
            samples.iter().filter(|error| error.exit_status() == ExitStatus::InternalError).map(variant_name).collect();
        let expected = ["Mutation", "Runtime", "Simulator", "Judge", "Render", "Json", "WriteBaseline", "Unreachable"];
        assert_eq!(internal, expected, "all others exit with 2");
        for error in &samples {
            assert!(matches!(error.exit_status(), ExitStatus::Usage | ExitStatus::InternalError), "{error:?}");
        }
    }

    #[test]
    fn errors_of_a_comparison_name_the_options_of_the_side() {
        let error = CliError::ComparisonSide { side: "via", source: Box::new(OptionError::BaseUrlWithoutModel.into()) };
        assert_eq!(error.to_string(), "--via needs --model NAME");
    }
}
