//! `--baseline FILE`: reads it before anything is sent, and holds results against it.

use std::path::PathBuf;

use clap::Args;
use jiff::civil::Date;

use crate::catalog::{ApiDialect, Catalog};
use crate::checks::ProtocolCheck;
use crate::cli::CliError;
use crate::cli::io::{files, stdout};
use crate::results::baseline;
use crate::results::baseline::{BaselineSource, CatalogNames, CompareOptions, ReadError};
use crate::results::model::Results;

/// What results are held against.
#[derive(Debug, Clone, Default, Args)]
pub struct BaselineArgs {
    /// Hold the results against what is known: an earlier results file, or a file of expectations (YAML). Then only
    /// regressions and stale entries end with 1; `fieldtest baseline --help` tells more.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
}

/// A baseline that was read.
#[derive(Debug)]
pub struct LoadedBaseline {
    file: String,
    baseline: BaselineSource,
    today: Date,
    /// The names of the results that it is for.
    applies_to: Vec<String>,
}

impl BaselineArgs {
    /// Reads the file for these results, and holds them against it.
    pub fn load_and_compare(
        &self,
        all: &mut [Results],
        catalog: &Catalog,
        strict: bool,
        today: Date,
    ) -> Result<(), CliError> {
        let names: Vec<&str> = all.iter().map(|results| results.target.name.as_str()).collect();
        let rows = all.iter().flat_map(|results| &results.rows).map(|row| row.id.as_str());
        if let Some(baseline) = self.load(catalog, &names, rows, today)? {
            all.iter_mut().for_each(|results| baseline.compare(results, catalog, strict));
        }
        Ok(())
    }

    /// Reads the file, for results of these names, which may have rows that no case file has.
    pub fn load<'a>(
        &self,
        catalog: &Catalog,
        names: &[&str],
        rows: impl IntoIterator<Item = &'a str>,
        today: Date,
    ) -> Result<Option<LoadedBaseline>, CliError> {
        let Some(path) = &self.baseline else { return Ok(None) };
        let file = path.display().to_string();
        let text = files::read_text(path)?;
        let known = catalog_names(catalog, names, rows);
        let baseline = baseline::read_baseline(&file, &text, &known).map_err(|error| match error {
            ReadError::Entries(errors) => CliError::Cases(errors),
            ReadError::Results(error) => {
                let recording = files::is_recording(&text);
                let hint = if recording { "; it is a recording: `fieldtest judge` makes results of it" } else { "" };
                CliError::Usage(format!("{error}{hint}"))
            }
        })?;
        let of_its_name = match &baseline {
            BaselineSource::Expectations(expectations) => expectations.target.as_deref(),
            // Where several targets are tested, an earlier run of one of them is for that one.
            BaselineSource::EarlierRun(earlier) => {
                names.iter().copied().find(|n| names.len() > 1 && *n == earlier.target.name)
            }
        };
        let is_bound = |name: &&&str| of_its_name.is_none_or(|target| target == **name);
        let binds: Vec<String> = names.iter().filter(is_bound).map(|name| (*name).to_owned()).collect();
        if binds.is_empty() {
            let target = of_its_name.unwrap_or_default();
            return Err(CliError::Usage(format!(
                "--baseline {file}: it is for the target `{target}`, and this is of {}: leave out its `target`, or test \
                 that one",
                names.join(", ")
            )));
        }
        for name in names.iter().filter(|name| !is_bound(name)) {
            stdout::warn(format!("{name}: held against nothing: {file} is for another target"));
        }
        Ok(Some(LoadedBaseline { file, baseline, today, applies_to: binds }))
    }
}

impl LoadedBaseline {
    /// Holds results against it, where it is for them.
    pub fn compare(&self, results: &mut Results, catalog: &Catalog, strict: bool) {
        results.baseline = None;
        if self.applies_to.contains(&results.target.name) {
            let whole = all_rows(catalog, results);
            let setting = CompareOptions { file: &self.file, today: self.today, strict, all_rows: &whole };
            results.baseline = Some(baseline::compare(results, &self.baseline, &setting));
        }
    }
}

/// The names that a baseline may use.
pub fn catalog_names<'a>(catalog: &Catalog, names: &[&str], rows: impl IntoIterator<Item = &'a str>) -> CatalogNames {
    let bundled = catalog.rows.iter().map(|row| row.experiment.id());
    let bundled = bundled.chain(catalog.gateway_rows.iter().map(|row| row.row.id())).map(str::to_owned);
    let mut known = CatalogNames {
        rows: bundled.chain(rows.into_iter().map(str::to_owned)).collect(),
        checks: ProtocolCheck::ALL.iter().map(|check| check.id().to_owned()).collect(),
        targets: catalog.targets.keys().map(String::as_str).chain(names.iter().copied()).map(str::to_owned).collect(),
    };
    known.rows.sort();
    known.rows.dedup();
    known
}

/// The rows that a whole run of these results' target has.
pub fn all_rows(catalog: &Catalog, results: &Results) -> Vec<String> {
    if let Some(gateway) = &results.gateway {
        let of_shape = catalog.gateway_rows.iter().map(|row| &row.row).filter(|row| {
            [ApiDialect::Anthropic, ApiDialect::Openai]
                .into_iter()
                .any(|shape| shape.as_str() == gateway.shape && row.applies_to_dialect(shape))
        });
        return of_shape.map(|row| row.id().to_owned()).collect();
    }
    let limits = results.target.claims.as_ref().map(|claims| &claims.limits);
    let rows = catalog.rows.iter().map(|row| &row.experiment);
    let rows =
        rows.filter(|row| row.requires.is_none_or(|needed| limits.is_some_and(|limits| limits.satisfies(needed))));
    rows.map(|row| row.id().to_owned()).collect()
}
