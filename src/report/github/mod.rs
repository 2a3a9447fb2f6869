//! Where a workflow on GitHub is read: annotations beside the run, and a summary on its page.
//!
//! Both are bounded by GitHub, and both say what they leave out.

mod annotations;
mod step_summary;

pub use crate::report::github::annotations::render as commands;
pub use crate::report::github::step_summary::{MAX_SUMMARY_BYTES as SUMMARY_LIMIT, render as summary};
