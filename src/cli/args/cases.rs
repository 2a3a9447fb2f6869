//! `--cases`: [`CaseArgs`].

use std::path::PathBuf;

use clap::Args;

use crate::catalog::{CaseFile, Catalog};
use crate::cli::CliError;
use crate::cli::io::files;

/// Case files in addition to the bundled ones.
#[derive(Debug, Clone, Args)]
pub struct CaseArgs {
    /// Add or replace rows and targets; repeatable
    #[arg(long, value_name = "DIR", help_heading = "What to test", hide_short_help = true)]
    pub cases: Vec<PathBuf>,
}

impl CaseArgs {
    /// The bundled case files with the additional ones.
    pub fn load(&self) -> Result<Catalog, CliError> {
        Ok(Catalog::load_with_extra(&self.read_files()?)?)
    }

    /// The same, with one more file.
    pub fn load_with(&self, file: CaseFile) -> Result<Catalog, CliError> {
        let mut files = self.read_files()?;
        files.push(file);
        Ok(Catalog::load_with_extra(&files)?)
    }

    fn read_files(&self) -> Result<Vec<CaseFile>, CliError> {
        let mut files = Vec::new();
        for folder in &self.cases {
            files.extend(files::read_case_files(folder)?);
        }
        Ok(files)
    }
}
