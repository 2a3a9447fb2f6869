//! Finds locations in case files for error messages.
//!
//! Must not validate and must not fail: if a location cannot be found, the nearest known one is used.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_yaml::Spanned;

use crate::catalog::error::SourceLocation;
use crate::catalog::load::parse::yaml_options;

/// A target file, parsed a second time for its locations. Only done if the file has a problem.
#[derive(Default, Deserialize)]
pub(super) struct TargetLocations {
    pub(super) name: Option<Spanned<IgnoredAny>>,
    pub(super) sources: Option<Spanned<IgnoredAny>>,
    pub(super) credential: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub(super) claims: BTreeMap<String, Spanned<IgnoredAny>>,
}

impl TargetLocations {
    pub(super) fn from_text(text: &str) -> Self {
        serde_yaml::from_str_with_options(text, yaml_options()).unwrap_or_default()
    }
}

/// The first location of a text, from a line on.
pub(super) fn locate_text(text: &str, quote: &str, from: usize) -> Option<SourceLocation> {
    let mut lines = text.lines().enumerate().skip(from - 1);
    lines.find_map(|(i, line)| {
        let column = line[..line.find(quote)?].chars().count() + 1;
        Some(SourceLocation { line: i + 1, column, text: line.to_owned() })
    })
}

/// The location of a row. Bundled rows have no location and are searched in the text.
pub(super) fn locate_row(text: &str, row: &Spanned<String>) -> SourceLocation {
    let known = row.defined != serde_yaml::Location::UNKNOWN;
    let known = known.then(|| SourceLocation::new(text, row.defined.line() as usize, row.defined.column() as usize));
    let is_of_row = |line: &str| line.trim().trim_start_matches("- ") == format!("row: {}", row.value);
    let found = || text.lines().position(is_of_row).map(|n| SourceLocation::new(text, n + 1, 1));
    known.or_else(found).unwrap_or_else(|| SourceLocation::new(text, 1, 1))
}

/// The location of a claim's key: on the line of its value, or on the last line above that begins with
/// the key.
pub(super) fn locate_claim(text: &str, row: &str) -> SourceLocation {
    let places = TargetLocations::from_text(text).claims;
    let of_value = places.get(row).map_or(1, |value| value.defined.line() as usize);
    let lines: Vec<&str> = text.lines().collect();
    let begins = |line: &str| line.trim_start().trim_start_matches(['"', '\'']).starts_with(row);
    let line = (1..=of_value.min(lines.len())).rev().find(|n| begins(lines[n - 1])).unwrap_or(of_value);
    let column = lines.get(line - 1).map_or(1, |l| l.chars().take_while(|c| c.is_whitespace()).count() + 1);
    SourceLocation::new(text, line, column)
}
