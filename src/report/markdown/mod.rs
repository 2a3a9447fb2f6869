//! `matrix.md` and the other Markdown reports, for GitHub.
//!
//! [`render`] renders the [`PageView`](crate::report::common::page::PageView): first the matrix, then the
//! evidence. Every text from outside is escaped, so that it cannot break a table or become markup.

mod baseline;
pub mod diff;
mod escape;
mod evidence;
mod findings;
pub mod gateway_diff;
pub mod mutation;
mod sections;
#[cfg(test)]
mod tests;

pub use crate::report::markdown::sections::render;
pub(super) use crate::report::markdown::sections::{ReportSection, render_section};
