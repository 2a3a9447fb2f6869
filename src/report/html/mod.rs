//! `matrix.html`: the content of `matrix.md` as a single page without scripts, other files or network access.
//!
//! The template renders the [`PageView`]. The template engine escapes every text; no text is marked as safe.

#[cfg(test)]
mod tests;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error};

use crate::report::common::page::PageView;
use crate::results::model::Results;

/// The ending `.html` switches escaping on.
const TEMPLATE_NAME: &str = "matrix.html";
const TEMPLATE_SOURCE: &str = include_str!("matrix.html");

/// The page of one run, or of several runs side by side.
///
/// # Errors
/// The template does not fit the page model, which is a bug in fieldtest.
pub fn render(results: &[Results]) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.add_template(TEMPLATE_NAME, TEMPLATE_SOURCE)?;
    environment.get_template(TEMPLATE_NAME)?.render(Serde(PageView::from_results(results)))
}
