//! `--select`: [`SelectArgs`].

use std::collections::BTreeSet;

use clap::Args;
use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::catalog::{ApiDialect, Catalog, CatalogRow, GatewayCatalogRow, LimitRequirement};
use crate::cli::CliError;

/// The rows to test.
#[derive(Debug, Clone, Args)]
pub struct SelectArgs {
    /// Only rows whose id matches; repeatable
    #[arg(long, value_name = "GLOB", help_heading = "Rows")]
    pub select: Vec<String>,
}

impl SelectArgs {
    /// The selected rows whose requirements are met.
    pub fn select_rows<'a>(
        &self,
        catalog: &'a Catalog,
        is_met: impl Fn(LimitRequirement) -> bool,
    ) -> Result<Vec<&'a CatalogRow>, CliError> {
        let globs = self.build_globs()?;
        let named = || catalog.rows.iter().filter(|row| self.matches(&globs, row.experiment.id()));
        let rows: Vec<&CatalogRow> = named().filter(|row| row.experiment.requires.is_none_or(&is_met)).collect();
        if !rows.is_empty() {
            return Ok(rows);
        }
        let keys: BTreeSet<&str> = named().filter_map(|row| Some(row.experiment.requires?.key())).collect();
        match keys.is_empty() {
            true => Err(self.no_row_selected("fieldtest rows")),
            false => Err(CliError::RowsNeedLimits {
                select: self.quoted(),
                keys: keys.into_iter().collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// The selected gateway rows, of every dialect.
    pub fn select_gateway_rows<'a>(&self, catalog: &'a Catalog) -> Result<Vec<&'a GatewayCatalogRow>, CliError> {
        let globs = self.build_globs()?;
        let rows: Vec<_> = catalog.gateway_rows.iter().filter(|row| self.matches(&globs, row.row.id())).collect();
        if rows.is_empty() { Err(self.no_row_selected("fieldtest rows --gateway")) } else { Ok(rows) }
    }

    /// The selected gateway rows that apply to a dialect.
    pub fn select_dialect_rows<'a>(
        &self,
        catalog: &'a Catalog,
        dialect: ApiDialect,
    ) -> Result<Vec<&'a crate::catalog::GatewayRow>, CliError> {
        let rows = self.select_gateway_rows(catalog)?.into_iter().map(|row| &row.row);
        let rows: Vec<_> = rows.filter(|row| row.applies_to_dialect(dialect)).collect();
        match rows.is_empty() {
            true => Err(CliError::RowsNeedOtherDialect { select: self.quoted(), dialect: dialect.as_str() }),
            false => Ok(rows),
        }
    }

    fn build_globs(&self) -> Result<GlobSet, CliError> {
        let invalid = |pattern: &str, error: &globset::Error| CliError::InvalidGlob {
            pattern: pattern.to_owned(),
            problem: error.kind().to_string(),
        };
        let mut globs = GlobSetBuilder::new();
        for pattern in &self.select {
            globs.add(Glob::new(pattern).map_err(|error| invalid(pattern, &error))?);
        }
        globs.build().map_err(|error| invalid(&self.quoted(), &error))
    }

    fn matches(&self, globs: &GlobSet, id: &str) -> bool {
        self.select.is_empty() || globs.is_match(id)
    }

    fn no_row_selected(&self, list_command: &'static str) -> CliError {
        CliError::NoRowSelected { select: self.quoted(), list_command }
    }

    fn quoted(&self) -> String {
        self.select.join(" --select ")
    }
}
