//! What is to be said of each check, a file per area: the source of `docs/checks/`.
//!
//! Text only. No check is decided here.

/// One check's page.
macro_rules! page {
    (
        $name:ident, $id:literal, $severity:ident, [$($failure:literal),*], $source:ident,
        what: $what:literal, why: $why:literal, breaks: $breaks:literal, example: $example:literal
    ) => {
        pub(in crate::checks) const $name: CheckDescription = CheckDescription {
            id: $id,
            severity: CheckSeverity::$severity,
            failures: &[$($failure),*],
            summary: $what,
            rationale: $why,
            client_impact: $breaks,
            example: $example,
            source: SpecDocument::$source,
        };
    };
}

pub mod error;
pub mod http;
pub mod message;
pub mod sse;
pub mod tool;
pub mod usage;
