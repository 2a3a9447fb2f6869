//! Renders results: one module per format, from [`Results`](crate::results::model::Results) to text.
//!
//! Rendering is pure. This folder must not send requests, judge results, read files or look at the
//! environment.

pub mod badge;
pub mod common;
pub mod github;
pub mod html;
pub mod junit;
pub mod markdown;
pub mod terminal;

pub use crate::report::common::sanitize::{
    escape_commands_in_json, escape_workflow_commands, sanitize_block as visible,
};
pub use crate::report::terminal::TerminalStyle;
pub use crate::results::file_names::results_file_name;
