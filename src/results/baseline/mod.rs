//! Compares a run with a baseline: an earlier results file, or a list of expected failures.
//!
//! A listed failure is `expected`, any other failure is a `regression`, and a listed row that no longer
//! fails is `stale`. An undecided row satisfies no entry. Pure: files are given as text, and today's date
//! is an argument. This module must not know how a run is made, nor which rows and checks exist: the
//! caller passes their names.

mod compare;
mod expectations;
mod file;
mod model;
mod read;
#[cfg(test)]
mod tests;
mod update;
mod verify;

pub use crate::results::baseline::compare::{CompareOptions, NO_RESPONSE_CODES, compare};
pub use crate::results::baseline::expectations::{BaselineSource, ExpectationList, ExpectedFailure, collect_failures};
#[cfg(test)]
pub(crate) use crate::results::baseline::file::ExpectationsFile;
pub use crate::results::baseline::file::{
    CatalogNames, ParsedFile, SCHEMA, is_web_address, read_expectations, write_expectations,
};
pub use crate::results::baseline::model::{
    BaselineComparison, BaselineCounts, BaselineEntry, BaselineKind, EarlierRun, EntryState, EntryStatus, EntrySubject,
    FindingPresence, RegressionCause,
};
pub use crate::results::baseline::read::{ReadError, is_expectations, read_baseline};
pub use crate::results::baseline::update::{BaselineChange, EntryUpdate, combine_results, update};
pub(crate) use crate::results::baseline::verify::find_inconsistency;
