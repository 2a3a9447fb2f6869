//! [`LibtestArgs`]: the options of Rust's test programs.

use clap::Args;
use libtest_mimic::{Arguments, ColorSetting, FormatSetting};

use crate::catalog::Catalog;
use crate::cli::CliError;
use crate::cli::target::build::list_targets;

/// The options of any test program.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of Rust's test programs")]
pub struct LibtestArgs {
    /// List the tests; send nothing
    #[arg(long)]
    pub list: bool,
    /// Match the complete name of a test
    #[arg(long)]
    pub exact: bool,
    /// Exclude tests whose name contains this; repeatable
    #[arg(long, value_name = "FILTER")]
    pub skip: Vec<String>,
    /// Only ignored tests: there are none
    #[arg(long)]
    pub ignored: bool,
    /// Also ignored tests: there are none
    #[arg(long)]
    pub include_ignored: bool,
    /// Tests judged in parallel; a target runs once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub test_threads: Option<u16>,
    /// pretty, terse, json
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<FormatSetting>,
    /// One character per test
    #[arg(short, long, conflicts_with = "format")]
    pub quiet: bool,
    /// auto, always, never
    #[arg(long, value_name = "WHEN")]
    pub color: Option<ColorSetting>,
    /// Write the output to a file
    #[arg(long, value_name = "PATH")]
    pub logfile: Option<String>,
    /// No effect: output is not captured
    #[arg(long, alias = "no-capture")]
    pub nocapture: bool,
    /// No effect: output is not captured
    #[arg(long)]
    pub show_output: bool,
    /// No effect: there are only tests
    #[arg(long, hide = true)]
    pub test: bool,
    /// Only benchmarks: there are none
    #[arg(long, hide = true, conflicts_with = "test")]
    pub bench: bool,
    /// No effect
    #[arg(short = 'Z', value_name = "FLAG", hide = true)]
    pub unstable: Option<String>,
}

impl LibtestArgs {
    /// The same options for the library that runs the tests.
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
            color: self.color,
            format: self.format,
            filter,
            ..Arguments::default()
        }
    }
}

/// Splits words into targets and one filter.
pub fn split_targets(words: &[String], catalog: &Catalog) -> Result<(Vec<String>, Option<String>), CliError> {
    let (targets, mut filters): (Vec<String>, Vec<String>) =
        words.iter().cloned().partition(|word| catalog.target(word).is_some());
    let filter = filters.pop();
    match filters.first() {
        None => Ok((targets, filter)),
        Some(first) => Err(CliError::TwoFilters {
            first: first.clone(),
            second: filter.unwrap_or_default(),
            targets: list_targets(catalog),
        }),
    }
}
