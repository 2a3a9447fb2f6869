//! `matrix.html`: what `matrix.md` holds, as one page that needs nothing else: no script, no other file, no network.
//!
//! The template draws, `view` says what. Every text is escaped by the template engine; none is marked as safe.

#[cfg(test)]
mod tests;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error};

use crate::report::common::matrix::ResultsMatrix;
use crate::report::common::page::PageView;
use crate::results::model::Results;

/// Its name ends with `.html`, which is what switches escaping on.
const TEMPLATE_NAME: &str = "matrix.html";
const TEMPLATE_SOURCE: &str = include_str!("matrix.html");

/// The whole page of one run, or of several side by side.
///
/// # Errors
/// The template does not fit what it is given, which is a fault of this program.
pub fn render(results: &[Results]) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.add_template(TEMPLATE_NAME, TEMPLATE_SOURCE)?;
    environment.get_template(TEMPLATE_NAME)?.render(Serde(PageView::from_matrix(&ResultsMatrix::from_results(results))))
}
