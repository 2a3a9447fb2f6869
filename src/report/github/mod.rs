//! Where a workflow on GitHub is read: annotations beside the run, and a summary on its page.
//!
//! Both are bounded by GitHub, and both say what they leave out.

mod commands;
mod summary;

pub use commands::render as commands;
pub use summary::{LIMIT as SUMMARY_LIMIT, render as summary};
