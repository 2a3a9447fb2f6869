//! The reports of a command: [`OutputArgs`], and the formats of commands that print one text.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::args::baseline::BaselineArgs;
use crate::cli::error::CliError;
use crate::report::common::ci_status::FailurePolicy;

/// The reports to write, and what counts as a failure.
#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// Folder for reports and results
    #[arg(short, long, value_name = "DIR", default_value = "reports", help_heading = "Reports")]
    pub out: PathBuf,
    /// Reports to write
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "terminal,markdown,json",
        help_heading = "Reports"
    )]
    pub format: Vec<ReportFormat>,
    #[command(flatten)]
    pub baseline: BaselineArgs,
    /// Also fail for silent, undetermined rows and findings
    #[arg(long, help_heading = "Reports")]
    pub strict: bool,
    /// Also fail for claims without an observed effect
    #[arg(long, help_heading = "Reports")]
    pub require_effect: bool,
}

impl OutputArgs {
    /// What counts as a failure.
    pub fn failure_policy(&self) -> FailurePolicy {
        FailurePolicy { strict: self.strict, require_effect: self.require_effect }
    }

    /// Rejects events of commands that send nothing.
    pub fn reject_ndjson(&self) -> Result<(), CliError> {
        match self.format.contains(&ReportFormat::Ndjson) {
            true => Err(CliError::Options("--format ndjson works only with `fieldtest run`")),
            false => Ok(()),
        }
    }
}

/// `--no-progress`.
#[derive(Debug, Clone, Copy, Args)]
pub struct ProgressArgs {
    /// Hide the progress bar
    #[arg(long, help_heading = "Reports", hide_short_help = true)]
    pub no_progress: bool,
}

/// A report. The files are in the folder of `--out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Tables on standard output.
    Terminal,
    /// `matrix.md`.
    Markdown,
    /// `results-<target>.json`.
    Json,
    /// `matrix.html`: one page without external resources.
    Html,
    /// `junit.xml`.
    Junit,
    /// Annotations on standard output, and a summary in the file of GITHUB_STEP_SUMMARY or in `summary.md`.
    Github,
    /// `badge-<target>.json`, for shields.io.
    Badge,
    /// Events on standard output during the run, one JSON object per line.
    Ndjson,
}

impl ReportFormat {
    /// The files of the format, if their names are fixed.
    pub fn file_names(self) -> Option<&'static str> {
        match self {
            Self::Markdown => Some("matrix.md"),
            Self::Json => Some("results-*.json"),
            Self::Html => Some("matrix.html"),
            Self::Junit => Some("junit.xml"),
            Self::Badge => Some("badge-*.json"),
            Self::Terminal | Self::Github | Self::Ndjson => None,
        }
    }
}

/// The format of one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TextFormat {
    /// Tables for a terminal.
    Terminal,
    /// Tables in Markdown.
    Markdown,
    /// JSON.
    Json,
}

/// The format of lists and plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// A table.
    Terminal,
    /// JSON.
    Json,
}
