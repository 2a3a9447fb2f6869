//! The parts that several report formats share: the page model, the matrix, statuses and phrases.
//!
//! Nothing here knows a format: each format escapes texts itself.

pub(crate) mod causes;
pub mod ci_status;
pub(crate) mod details;
pub(crate) mod diff_phrases;
pub(crate) mod doc_links;
pub(crate) mod highlights;
pub(crate) mod matrix;
pub(crate) mod mutation_phrases;
pub(crate) mod page;
pub(crate) mod phrases;
pub(crate) mod row_status;
pub(crate) mod sanitize;
pub(crate) mod summary;
