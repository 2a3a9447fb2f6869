//! Options that several subcommands share: the same words everywhere.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser as NonEmpty;
use clap::{Args, ValueEnum};
use secrecy::SecretString;

use crate::catalog::{AuthScheme, CaseFile, Catalog, CatalogRow, LimitRequirement};
use crate::cli::CliError;
use crate::cli::args::baseline::BaselineArgs;
use crate::cli::args::transport::parse_secret;
use crate::cli::target::credential::CredentialArgs;

/// Which case files are used.
#[derive(Debug, Clone, Args)]
pub struct CaseArgs {
    /// Case files that add to the bundled ones, or replace rows and targets of the same name: a folder with
    /// `experiments/`, `gateway/` and `targets/`. May be repeated.
    #[arg(long, value_name = "DIR")]
    pub cases: Vec<PathBuf>,
}

impl CaseArgs {
    /// Loads them.
    pub fn load(&self) -> Result<Catalog, CliError> {
        Ok(Catalog::load_with_extra(&self.files()?)?)
    }

    /// Their files, and one more.
    pub fn files_with(&self, file: CaseFile) -> Result<Vec<CaseFile>, CliError> {
        let mut files = self.files()?;
        files.push(file);
        Ok(files)
    }

    fn files(&self) -> Result<Vec<CaseFile>, CliError> {
        let mut files = Vec::new();
        for folder in &self.cases {
            files.extend(crate::cli::io::files::read_case_files(folder)?);
        }
        Ok(files)
    }
}

/// Which rows are used.
#[derive(Debug, Clone, Args)]
pub struct SelectArgs {
    /// Only rows whose id matches, `field.*` for instance. May be repeated.
    #[arg(long, value_name = "GLOB")]
    pub select: Vec<String>,
}

impl SelectArgs {
    /// The rows that are selected, of those whose requirements are stated.
    pub fn select_rows<'a>(
        &self,
        catalog: &'a Catalog,
        is_stated: impl Fn(LimitRequirement) -> bool,
    ) -> Result<Vec<&'a CatalogRow>, CliError> {
        let globs = build_glob_set(&self.select)?;
        let named = || catalog.rows.iter().filter(|row| self.select.is_empty() || globs.is_match(row.experiment.id()));
        let rows: Vec<&CatalogRow> = named().filter(|row| row.experiment.requires.is_none_or(&is_stated)).collect();
        if rows.is_empty() {
            let needed: BTreeSet<&str> = named().filter_map(|row| Some(row.experiment.requires?.key())).collect();
            let needed = needed.into_iter().collect::<Vec<_>>().join(", ");
            let why = match needed.as_str() {
                "" => "selects no row; `fieldtest rows` lists them".to_owned(),
                keys => {
                    format!(
                        "selects only rows that need `limits: {keys}` in the target's file, which states none of them"
                    )
                }
            };
            return Err(CliError::Usage(format!("--select {} {why}", self.select.join(" --select "))));
        }
        Ok(rows)
    }
}

/// The patterns of `--select`.
pub fn build_glob_set(select: &[String]) -> Result<globset::GlobSet, CliError> {
    let mut globs = globset::GlobSetBuilder::new();
    for pattern in select {
        let glob =
            globset::Glob::new(pattern).map_err(|e| CliError::Usage(format!("--select {pattern}: {}", e.kind())))?;
        globs.add(glob);
    }
    globs.build().map_err(|e| CliError::Usage(format!("--select: {e}")))
}

/// Which endpoint is meant, and whose claims it is held against.
#[derive(Debug, Clone, Args)]
pub struct EndpointArgs {
    /// Targets to test, `deepseek` for instance; none means the simulations of deepseek and tencent-lkeap.
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// A list of what to test, in YAML: targets, base URLs, models.
    #[arg(id = "targets_file", long = "targets", value_name = "FILE", conflicts_with_all = [
        "targets", "base_url", "name", "model", "api_key_env", "api_key_file", "api_key_command", "auth",
    ])]
    pub list: Option<PathBuf>,
    /// The base URL to test, with or without a path; `/v1/messages` is added to it.
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// The target's name in the results, where only a base URL is given; else its host and port.
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new())]
    pub name: Option<String>,
    /// The model to ask for, instead of the target's. May be repeated: each is a run of its own, named `TARGET@MODEL`.
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new())]
    pub model: Vec<String>,
    /// Whose claims to hold the verdicts against, instead of the target's own.
    #[arg(long, value_name = "TARGET")]
    pub claims: Option<String>,
    /// The environment variable that holds the credential.
    #[arg(long, value_name = "VAR", value_parser = NonEmpty::new(), conflicts_with = "api_key_file")]
    pub api_key_env: Option<String>,
    /// A file that holds the credential.
    #[arg(long, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// A command, for the system's shell, that prints the credential. It runs once, before anything is sent.
    #[arg(long, value_name = "COMMAND", value_parser = parse_secret, conflicts_with_all = ["api_key_env", "api_key_file"])]
    pub api_key_command: Option<SecretString>,
    /// The header that carries the credential, instead of the one that the target's file names.
    #[arg(long, value_name = "HEADER")]
    pub auth: Option<AuthArg>,
    /// Test the target's simulation instead of the live endpoint.
    #[arg(long)]
    pub simulate: bool,
    /// `max_tokens` of requests that do not set it: room for a model that thinks unasked.
    #[arg(long, value_name = "N", default_value_t = EndpointArgs::DEFAULT_MAX_TOKENS, value_parser = clap::value_parser!(u32).range(1..))]
    pub default_max_tokens: u32,
    /// True where nothing is going to be sent.
    #[arg(skip)]
    pub planning: bool,
}

impl EndpointArgs {
    /// `max_tokens` of requests that do not set it, unless told.
    pub const DEFAULT_MAX_TOKENS: u32 = 1024;

    /// What they say of the credential.
    pub fn credential_args(&self) -> CredentialArgs<'_> {
        CredentialArgs {
            variable: self.api_key_env.as_ref(),
            file: self.api_key_file.as_ref(),
            command: self.api_key_command.as_ref(),
        }
    }

    /// The same without a credential, for what sends nothing.
    pub fn without_credential(&self) -> Self {
        Self { api_key_env: None, api_key_file: None, api_key_command: None, ..self.clone() }
    }

    /// The same for a plan: a credential that is missing is told, and no error.
    pub fn with_optional_credential(&self) -> Self {
        Self { planning: true, ..self.clone() }
    }
}

/// The header that carries the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuthArg {
    /// `x-api-key: KEY`
    XApiKey,
    /// `authorization: Bearer KEY`
    Bearer,
}

impl From<AuthArg> for AuthScheme {
    fn from(arg: AuthArg) -> Self {
        match arg {
            AuthArg::XApiKey => Self::XApiKey,
            AuthArg::Bearer => Self::Bearer,
        }
    }
}

/// A probability.
pub fn parse_probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

/// A confidence.
pub fn parse_confidence(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(p) if (0.5..1.0).contains(&p) => Ok(p),
        _ => Err("expected a number from 0.5 up to, but not including, 1".to_owned()),
    }
}

/// An amount of money that can be spent.
pub fn parse_dollars(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(dollars) if dollars > 0.0 && dollars.is_finite() => Ok(dollars),
        _ => Err("expected a number of US dollars above 0, `0.50` for instance".to_owned()),
    }
}

/// A time in seconds, up to a day.
pub fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected a number of seconds from 0 to 86400".to_owned()),
    }
}

/// A price, which may be nothing.
pub fn parse_price(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(dollars) if dollars >= 0.0 && dollars.is_finite() => Ok(dollars),
        _ => Err("expected US dollars for a million tokens, `0.28` for instance".to_owned()),
    }
}

/// Where reports go.
#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// The folder for the results, the recording and the reports.
    #[arg(short, long, value_name = "DIR", default_value = "reports")]
    pub out: PathBuf,
    /// The reports to make.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "terminal,markdown,json")]
    pub format: Vec<Format>,
    /// Count silent rows, undetermined rows and findings (but for notes) as contradictions.
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub baseline: BaselineArgs,
}

/// The formats of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables on standard output.
    Terminal,
    /// `matrix.md`
    Markdown,
    /// `results-<target>.json`
    Json,
    /// `matrix.html`: one page that needs nothing else
    Html,
    /// `junit.xml`
    Junit,
    /// Annotations on standard output, and a summary: into the file that GITHUB_STEP_SUMMARY names, else `summary.md`
    Github,
    /// `badge-<target>.json`, for shields.io
    Badge,
    /// Events on standard output while it runs, one JSON object a line; of `run` alone
    Ndjson,
}

/// The formats of what is told on standard output, or in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TextFormat {
    /// Tables for a terminal.
    Terminal,
    /// Tables in Markdown.
    Markdown,
    /// JSON.
    Json,
}
