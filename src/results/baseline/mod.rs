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

pub(crate) use crate::results::baseline::compare::falls_behind;
pub use crate::results::baseline::compare::{NO_ANSWER, Setting, hold};
pub use crate::results::baseline::expectations::{Baseline, Expectations, Listed, failing};
pub use crate::results::baseline::file::{
    Known, Read, SCHEMA, is_web_address, read as read_expectations, schema, write,
};
pub use crate::results::baseline::model::{Case, Cause, Counts, Earlier, Entry, Held, Kind, Sight, State, Subject};
pub use crate::results::baseline::read::{ReadError, is_expectations, read};
pub use crate::results::baseline::update::{Change, Done, gather, update};
pub(crate) use crate::results::baseline::verify::inconsistency;
