//! `--baseline`: [`BaselineArgs`] reads the file before anything is sent, and compares results with it.

use std::path::PathBuf;

use clap::Args;
use jiff::civil::Date;

use crate::catalog::{ApiDialect, Catalog};
use crate::checks::ProtocolCheck;
use crate::cli::CliError;
use crate::cli::io::{files, stderr};
use crate::results::baseline;
use crate::results::baseline::{BaselineSource, CatalogNames, CompareOptions, ReadError};
use crate::results::model::Results;

/// The known failures of a target.
#[derive(Debug, Clone, Default, Args)]
pub struct BaselineArgs {
    /// Known failures; fail only if worse or out of date
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub baseline: Option<PathBuf>,
}

/// A baseline, parsed.
#[derive(Debug)]
pub struct LoadedBaseline {
    file: String,
    baseline: BaselineSource,
    today: Date,
    /// The names of the results that it applies to.
    applies_to: Vec<String>,
}

impl BaselineArgs {
    /// Reads the file and compares these results with it.
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

    /// Reads the file, for results of these names. They may have rows that no case file has.
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
            ReadError::Results(source) => CliError::InvalidResults { source, is_recording: files::is_recording(&text) },
        })?;
        let its_target = match &baseline {
            BaselineSource::Expectations(expectations) => expectations.target.as_deref(),
            // With several targets, an earlier run applies to its own target.
            BaselineSource::EarlierRun(earlier) => {
                names.iter().copied().find(|n| names.len() > 1 && *n == earlier.target.name)
            }
        };
        let applies = |name: &&&str| its_target.is_none_or(|target| target == **name);
        let applies_to: Vec<String> = names.iter().filter(applies).map(|name| (*name).to_owned()).collect();
        if applies_to.is_empty() {
            let target = its_target.unwrap_or_default();
            return Err(CliError::BaselineTarget { file, target: target.to_owned(), names: names.join(", ") });
        }
        for name in names.iter().filter(|name| !applies(name)) {
            stderr::warn(format!("{name}: not compared with {file}, which is for another target"));
        }
        Ok(Some(LoadedBaseline { file, baseline, today, applies_to }))
    }
}

impl LoadedBaseline {
    /// Compares results with the baseline, if it applies to them.
    pub fn compare(&self, results: &mut Results, catalog: &Catalog, strict: bool) {
        results.baseline = None;
        if self.applies_to.contains(&results.target.name) {
            let all_rows = all_rows(catalog, results);
            let options = CompareOptions { file: &self.file, today: self.today, strict, all_rows: &all_rows };
            results.baseline = Some(baseline::compare(results, &self.baseline, &options));
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
        targets: catalog.target_names().into_iter().chain(names.iter().copied()).map(str::to_owned).collect(),
    };
    known.rows.sort();
    known.rows.dedup();
    known
}

/// The rows of a complete run of the target of these results.
pub fn all_rows(catalog: &Catalog, results: &Results) -> Vec<String> {
    if let Some(gateway) = &results.gateway {
        let rows = catalog.gateway_rows.iter().map(|row| &row.row).filter(|row| {
            [ApiDialect::Anthropic, ApiDialect::Openai]
                .into_iter()
                .any(|shape| shape.as_str() == gateway.shape && row.applies_to_dialect(shape))
        });
        return rows.map(|row| row.id().to_owned()).collect();
    }
    let limits = results.target.claims.as_ref().map(|claims| &claims.limits);
    let rows = catalog.rows.iter().map(|row| &row.experiment);
    let rows =
        rows.filter(|row| row.requires.is_none_or(|needed| limits.is_some_and(|limits| limits.satisfies(needed))));
    rows.map(|row| row.id().to_owned()).collect()
}
