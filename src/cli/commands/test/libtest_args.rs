//! The arguments of Rust's test programs, and the words that are either targets or a filter.

use clap::{Args, ValueEnum};
use libtest_mimic::{Arguments, ColorSetting, FormatSetting};

use crate::catalog::Catalog;
use crate::cli::CliError;

/// What any test program takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "As of any test program")]
pub struct LibtestArgs {
    /// List the tests; nothing is sent, and no credential is needed.
    #[arg(long)]
    pub list: bool,
    /// Names must be the filter, not only contain it.
    #[arg(long)]
    pub exact: bool,
    /// Leave out tests whose names contain this. May be repeated.
    #[arg(long, value_name = "FILTER")]
    pub skip: Vec<String>,
    /// Only tests that are marked to be ignored: there are none.
    #[arg(long)]
    pub ignored: bool,
    /// Also tests that are marked to be ignored: there are none.
    #[arg(long)]
    pub include_ignored: bool,
    /// How many tests are judged at once; a target is run once, whatever it is.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub test_threads: Option<u16>,
    /// How the tests are shown.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<OutputFormat>,
    /// One sign for each test.
    #[arg(short, long, conflicts_with = "format")]
    pub quiet: bool,
    /// When to use colours.
    #[arg(long, value_name = "WHEN")]
    pub color: Option<ColorMode>,
    /// Write to this file what would be shown.
    #[arg(long, value_name = "PATH")]
    pub logfile: Option<String>,
    /// Changes nothing: nothing is captured.
    #[arg(long, alias = "no-capture")]
    pub nocapture: bool,
    /// Changes nothing: nothing is captured.
    #[arg(long)]
    pub show_output: bool,
    /// Changes nothing: there are only tests.
    #[arg(long, hide = true)]
    pub test: bool,
    /// Of those who want benchmarks: there are none.
    #[arg(long, hide = true, conflicts_with = "test")]
    pub bench: bool,
    /// Changes nothing.
    #[arg(short = 'Z', value_name = "FLAG", hide = true)]
    pub unstable: Option<String>,
}

/// How tests are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// A line for each test.
    Pretty,
    /// A sign for each test.
    Terse,
    /// A JSON object for each event.
    Json,
}

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorMode {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl LibtestArgs {
    /// In the shape of the library that runs the tests.
    pub fn to_libtest(&self, filter: Option<String>) -> Arguments {
        Arguments {
            include_ignored: self.include_ignored,
            ignored: self.ignored,
            test: self.test,
            bench: self.bench,
            list: self.list,
            nocapture: self.nocapture,
            show_output: self.show_output,
            exact: self.exact,
            quiet: self.quiet,
            test_threads: self.test_threads.map(usize::from),
            logfile: self.logfile.clone(),
            skip: self.skip.clone(),
            color: self.color.map(|colour| match colour {
                ColorMode::Auto => ColorSetting::Auto,
                ColorMode::Always => ColorSetting::Always,
                ColorMode::Never => ColorSetting::Never,
            }),
            format: self.format.map(|format| match format {
                OutputFormat::Pretty => FormatSetting::Pretty,
                OutputFormat::Terse => FormatSetting::Terse,
                OutputFormat::Json => FormatSetting::Json,
            }),
            filter,
            ..Arguments::default()
        }
    }
}

/// Targets, and the one word that names none.
pub fn split_targets(words: &[String], catalog: &Catalog) -> Result<(Vec<String>, Option<String>), CliError> {
    let (targets, mut filters): (Vec<String>, Vec<String>) =
        words.iter().cloned().partition(|word| catalog.targets.contains_key(word));
    let filter = filters.pop();
    match filters.first() {
        None => Ok((targets, filter)),
        Some(other) => Err(CliError::Usage(format!(
            "`{other}` and `{}` name no target, and there can be one filter; the targets are {}",
            filter.unwrap_or_default(),
            catalog.targets.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
        ))),
    }
}
