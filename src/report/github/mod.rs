//! Reports for GitHub Actions: annotations ([`commands`]) and the summary of a step ([`summary`]).
//!
//! GitHub limits both. Both report what they leave out.

mod annotations;
mod step_summary;

pub use crate::report::github::annotations::render as commands;
pub use crate::report::github::step_summary::{MAX_SUMMARY_BYTES as SUMMARY_LIMIT, render as summary};
