//! Finds the rows that a request carries, and where: [`find_rows`].

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use crate::simulator::fields::row::SupportRow;
use crate::simulator::fields::visit::visit_fields;

const HEADER_ROWS: &[(&str, SupportRow)] =
    &[("anthropic-beta", SupportRow::AnthropicBeta), ("anthropic-version", SupportRow::AnthropicVersion)];

/// All places of the wanted rows, with their error paths, in the order of the request.
pub(crate) fn find_rows(
    headers: &HeaderMap,
    body: &Map<String, Value>,
    is_wanted: impl Fn(SupportRow) -> bool,
) -> Vec<(SupportRow, String)> {
    let mut found: Vec<(SupportRow, String)> = HEADER_ROWS
        .iter()
        .filter(|(name, row)| headers.contains_key(*name) && is_wanted(*row))
        .map(|(name, row)| (*row, format!("header {name}")))
        .collect();
    visit_fields(body, &mut |row, slot| {
        if is_wanted(row) {
            found.push((row, slot.path.clone()));
        }
    });
    found
}
