//! What is to be said of each check, a file per area: the source of `docs/checks/`.
//!
//! Text only. No check is decided here.

/// One check's page.
macro_rules! page {
    (
        $name:ident, $id:literal, $severity:ident, [$($failure:literal),*], $source:ident,
        what: $what:literal, why: $why:literal, breaks: $breaks:literal, example: $example:literal
    ) => {
        pub(in crate::checks) const $name: About = About {
            id: $id,
            severity: Severity::$severity,
            failures: &[$($failure),*],
            what: $what,
            why: $why,
            breaks: $breaks,
            example: $example,
            source: Source::$source,
        };
    };
}

pub mod error;
pub mod http;
pub mod message;
pub mod sse;
pub mod tool;
pub mod usage;
