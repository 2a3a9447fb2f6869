//! `--claims` of `gateway` and of recordings of gateways.

use std::path::Path;

use crate::catalog::{ApiDialect, CaseFile, Catalog, FileKind, Target};
use crate::cli::CliError;
use crate::cli::args::cases::CaseArgs;
use crate::cli::io::files;
use crate::cli::target::build::find_target;
use crate::gateway;

/// Loads the case files. If `claims` is a target file, adds it, and returns the name of its target too.
pub fn load_catalog(cases: &CaseArgs, claims: &str) -> Result<(Catalog, Option<String>), CliError> {
    if !claims.ends_with(".yaml") && !claims.ends_with(".yml") {
        return Ok((cases.load()?, None));
    }
    let file = files::read_case_file(Path::new(claims), FileKind::Target)?;
    let before = cases.load()?;
    let catalog = cases.load_with(file.clone())?;
    let added = catalog.targets.iter().find(|(name, target)| before.targets.get(*name) != Some(target));
    // A file that repeats a known target adds nothing.
    let name = added.map(|(name, _)| name.clone()).or_else(|| parse_target_name(&file));
    Ok((catalog, name))
}

fn parse_target_name(file: &CaseFile) -> Option<String> {
    let text = std::str::from_utf8(&file.bytes).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix("name:")?.trim().to_owned()))
}

/// Finds the claims: the usual ones of a dialect, none, or those of a target.
pub fn resolve_claims(catalog: &Catalog, name: &str, dialect: ApiDialect) -> Result<Option<Target>, CliError> {
    match name {
        "usual" => Ok(Some(gateway::default_claims(catalog, dialect))),
        "none" => Ok(None),
        name => find_target(catalog, name).cloned().map(Some),
    }
}
