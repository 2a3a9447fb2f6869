//! A run held against what was known before: an earlier results file, or a file of expectations.
//!
//! Four cases: what fails and is listed is `expected`; what fails otherwise is a `regression`; what is listed and fails no
//! longer is `stale`; the rest passes. What is not decided satisfies no entry. Pure: files come in as text, today's date
//! as an argument. This module must not know how a run is made, nor which rows and checks there are: whoever calls
//! says so.
//!
//! - `model`: the comparison, as results carry it
//! - `list`: what a baseline lists
//! - `hold`: the comparison made; `consistency`: a written one checked
//! - `file`, `read`: the files
//! - `update`: a file of expectations made to fit a run

pub mod compare;
mod expectations;
mod file;
mod model;
mod read;
#[cfg(test)]
mod tests;
mod update;
mod verify;

pub(crate) use crate::results::baseline::compare::is_regression;
pub use crate::results::baseline::compare::{CompareOptions, NO_RESPONSE_CODES, compare};
pub use crate::results::baseline::expectations::{BaselineSource, ExpectationList, ExpectedFailure, collect_failures};
pub use crate::results::baseline::file::{
    CatalogNames, ParsedFile, SCHEMA, is_web_address, read_expectations, schema, write_expectations,
};
pub use crate::results::baseline::model::{
    BaselineComparison, BaselineCounts, BaselineEntry, BaselineKind, EarlierRun, EntryState, EntryStatus, EntrySubject,
    FindingPresence, RegressionCause,
};
pub use crate::results::baseline::read::{ReadError, is_expectations, read_baseline};
pub use crate::results::baseline::update::{BaselineChange, EntryUpdate, combine_results, update};
pub(crate) use crate::results::baseline::verify::find_inconsistency;
