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
use crate::results::merge::MergeError;
use crate::simulator::UnknownRow;

/// How the program ends. Other tools rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// No claim is contradicted, and something was decided.
    Success = 0,
    /// A claim is contradicted; with a baseline, a regression or a stale entry; with `--strict`, also a silent or
    /// undetermined row or a finding. Of `check`: a row without a proof that it can fail.
    Contradiction = 1,
    /// Wrong usage, an invalid case file, or a selection without rows.
    Usage = 2,
    /// The target could not be tested: unreachable, credential rejected, no row decided, budget used up.
    Untested = 3,
    /// A bug in fieldtest.
    InternalError = 70,
    /// Of `test` only: a test failed. Test programs of Rust end with the same number.
    TestFailed = 101,
}

impl ExitStatus {
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// The error of another layer.
type BoxedError = Box<dyn Error + Send + Sync>;

/// An error that ends a command.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages show what the fields are")]
pub enum CliError {
    /// Options that are invalid, or cannot be combined.
    #[error("{0}")]
    Options(&'static str),
    /// The fixed arguments of a test program are invalid.
    #[error("{0}")]
    Arguments(Box<clap::Error>),
    /// A pattern of `--select` is not a glob.
    #[error("--select {pattern}: {problem}")]
    InvalidGlob { pattern: String, problem: String },
    /// No row matches `--select`.
    #[error("--select {select} selects no row. `{list_command}` lists the rows")]
    NoRowSelected { select: String, list_command: &'static str },
    /// The target file lacks the limits that the selected rows need.
    #[error("--select {select} selects only rows that need `limits: {keys}`. Add the limits to the target file")]
    RowsNeedLimits { select: String, keys: String },
    /// The selected rows do not exist for the dialect of the upstream.
    #[error(
        "--select {select} selects only rows that do not apply to --shape {dialect}. `fieldtest rows --gateway` lists \
         the rows"
    )]
    RowsNeedOtherDialect { select: String, dialect: &'static str },
    /// `--flip` names a row that the simulator does not have.
    #[error("--flip {row}={status}: {source}. `fieldtest rows` lists the rows")]
    UnknownFlipRow { row: String, status: ClaimStatus, source: UnknownRow },
    /// The base URL of an option or a target is invalid.
    #[error("{origin}: {source}")]
    InvalidUrl { origin: String, source: ClientError },
    /// A port is not available.
    #[error("cannot listen on {address}: {source}. Choose another port with {option}")]
    CannotListen { address: SocketAddr, option: &'static str, source: io::Error },
    /// `INSTA_UPDATE` has an unknown value.
    #[error("unknown value `{0}` of INSTA_UPDATE. Use auto, always, new, unseen, force or no")]
    InvalidInstaUpdate(String),
    /// The filters of `fieldtest test` select no test.
    #[error("no test is selected: {filter}. `fieldtest test --list` lists the tests; the targets are {targets}")]
    NoTestSelected { filter: String, targets: String },
    /// Two words of `fieldtest test` are not targets.
    #[error("`{first}` and `{second}` are not targets, and only one filter is allowed. The targets are {targets}")]
    TwoFilters { first: String, second: String, targets: String },
    /// A target does not exist.
    #[error("unknown target `{name}`. The targets are {known}")]
    UnknownTarget { name: String, known: String },
    /// A target cannot be used.
    #[error("{0}")]
    Target(String),
    /// Entries of `--targets` cannot be used.
    #[error("{}: {}", path.display(), join_lines(errors))]
    TargetList { path: PathBuf, errors: Vec<CliError> },
    /// One side of `compare` cannot be used. The message has the options of that side.
    #[error("{}", side_options(side, source))]
    ComparisonSide { side: &'static str, source: Box<CliError> },
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
    MissingCredential { target: String, source: Box<CliError> },
    /// The credential of an entry of `--targets` cannot be read.
    #[error("{base_url}: {source}")]
    EntryCredential { base_url: String, source: Box<CliError> },
    /// The system cannot read, write or rename a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// A file or folder cannot be used.
    #[error("{0}")]
    File(String),
    /// A certificate or key cannot be read.
    #[error("{option} {problem}")]
    PemFile { option: &'static str, problem: Box<CliError> },
    /// Case files, a list of targets or a baseline is invalid.
    #[error(transparent)]
    Cases(#[from] CaseErrors),
    /// A recording is invalid, or cannot be judged.
    #[error("{}: {source}", path.display())]
    Recording { path: PathBuf, source: BoxedError },
    /// A results file is invalid.
    #[error("{source}{}", if *is_recording { ". This is a recording; `fieldtest judge` makes results from it" } else { "" })]
    InvalidResults { source: ParseError, is_recording: bool },
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
    BaselineTarget { file: String, target: String, names: String },
    /// A client cannot be configured.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A client for a target cannot be configured.
    #[error("{target}: {source}")]
    TargetClient { target: String, source: ClientError },
    /// TLS files or a proxy cannot be used.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The file or folder of `--rerun`, `--replay` or `--resume` does not fit this command.
    #[error("{option} {}: {problem}", path.display())]
    EarlierRun { option: &'static str, path: PathBuf, problem: String },
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
    Judge(BoxedError),
    /// A report cannot be rendered.
    #[error("{file}: {source}")]
    Render { file: &'static str, source: BoxedError },
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

impl CliError {
    /// The system's error about a file.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// An error of a recording.
    pub fn recording(path: &Path, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Recording { path: path.to_owned(), source: Box::new(source) }
    }

    /// A problem of the file or folder that an option names.
    pub fn earlier_run(option: &'static str, path: &Path, problem: impl ToString) -> Self {
        Self::EarlierRun { option, path: path.to_owned(), problem: problem.to_string() }
    }

    /// What the program ends with.
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            Self::ComparisonSide { source, .. } => source.exit_status(),
            Self::Mutation(MutationError::UnknownTarget(_)) => ExitStatus::Usage,
            Self::Mutation(_)
            | Self::Runtime(_)
            | Self::Simulator(_)
            | Self::Judge(_)
            | Self::Render { .. }
            | Self::Json(_)
            | Self::WriteBaseline(_)
            | Self::Unreachable(_) => ExitStatus::InternalError,
            // The user can correct all others. A test lists them.
            _ => ExitStatus::Usage,
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
            CliError::Options("--name accepts one target"),
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
            CliError::Target(text()),
            CliError::TargetList { path: path(), errors: vec![CliError::NoCredentialSource] },
            CliError::ComparisonSide { side: "via", source: boxed() },
            SecretError::NotSet(Vec::new()).into(),
            CliError::CredentialCommand(text()),
            CliError::NoCredentialSource,
            CliError::MissingCredential { target: text(), source: boxed() },
            CliError::EntryCredential { base_url: text(), source: boxed() },
            CliError::io("read", &path(), io()),
            CliError::File(text()),
            CliError::PemFile { option: "--ca-file", problem: boxed() },
            CaseErrors(Vec::new()).into(),
            CliError::recording(&path(), io()),
            CliError::InvalidResults { source: results_error(), is_recording: true },
            CliError::CombineResults(text()),
            MergeError::NotAShard(text()).into(),
            CliError::BaselineTarget { file: text(), target: text(), names: text() },
            CliError::Client(invalid_url()),
            CliError::TargetClient { target: text(), source: invalid_url() },
            crate::client::transport::ProxyUrl::parse(&"no url".into()).unwrap_err().into(),
            CliError::earlier_run("--replay", &path(), "no such file or folder"),
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
        let error = CliError::ComparisonSide {
            side: "via",
            source: Box::new(CliError::Options("--base-url needs --model NAME")),
        };
        assert_eq!(error.to_string(), "--via needs --model NAME");
    }
}
