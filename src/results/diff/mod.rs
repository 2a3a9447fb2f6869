//! What differs between two runs: rows and findings that were lost, gained, changed, or are no longer decided.
//!
//! Of one target at two times, or of two targets ("what would be lost by moving from A to B"). Pure. This module must not
//! know baselines: it says what changed, and not what was known. Formats: `markdown`, `json` (the model as it is), and the
//! terminal's.

mod compute;
pub mod model;
#[cfg(test)]
mod tests;

pub use crate::report::markdown::diff::render as markdown;
pub use crate::report::terminal::render_diff as terminal;
pub use crate::results::diff::compute::diff;
pub use crate::results::diff::model::{
    CountClass, DiffSide, FindingChange, FindingKind, FindingState, ResultsDiff, RowChange, RowKind, RowState, SCHEMA,
};

/// The JSON of a difference. Equal differences are equal text.
#[expect(clippy::expect_used, reason = "strings as keys and no type that can refuse: there is nothing that could fail")]
pub fn to_json(diff: &ResultsDiff) -> String {
    let mut text = serde_json::to_string_pretty(diff).expect("a difference is plain data");
    text.push('\n');
    text
}

/// The JSON Schema of differences.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(ResultsDiff).to_value()
}
