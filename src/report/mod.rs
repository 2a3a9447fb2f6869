//! What a run found, and how it is shown: the results model and a file per format.
//!
//! Rendering is pure: results in, text out. Nothing here may send, judge, read a file or look at the environment.
//!
//! - `fate`: what only runs against gateways have in it
//! - `results`: the model, in the shape of `results-<target>.json`
//! - `proof`: what `fieldtest check` found, a model of its own with its formats
//! - `baseline`: a run held against what was known before; `diff`: what changed between two
//! - `grade`: what a row means to a build, the same in every format for builds
//! - `planned`: what was planned before a run; `plan`: what `fieldtest plan` tells, a model of its own with its formats
//! - `comparison`: a gateway held against its upstream, a model of its own with its formats
//! - `join`: several runs' results made one run's
//! - formats: `json` (with its schema), `terminal`, `markdown`, `html`, `junit`, `github`, `badge`
//! - shared by the formats: `standing` (marks and their meaning), `matrix` (several runs side by side), `lists` (rows
//!   that need more than a cell), `tally` (counts), `kinship` (how far
//!   two runs can be compared), `prose` and `figures` (words and numbers), `names`, `clean` (text
//!   from outside made fit to be shown)

pub mod badge;
pub mod common;
pub mod github;
pub mod html;
pub mod junit;
pub mod markdown;
pub mod terminal;

pub use crate::report::common::sanitize::{escape_workflow_commands, sanitize_block as visible};
pub use crate::report::terminal::TerminalStyle;
pub use crate::results::file_names::{results_file_name, slugify};
pub use crate::results::redact::redact_content;
