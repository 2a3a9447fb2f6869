//! The simulated model: a small reader of plain English that answers from the prompt.
//!
//! It reads the prompt and nothing else, so its responses show what the server hides from it. It is
//! deterministic except for random values. It must not know any experiment: it understands kinds of
//! questions (labels, counting, colours, tools, random choice, success, arithmetic) from any
//! client.

mod code_words;
mod intent;
mod respond;
mod sampling;
mod schema_values;
#[cfg(test)]
mod tests;
mod thinking;
mod tool_calls;

pub(super) use crate::simulator::model::respond::{ModelOutput, respond, think};
pub(super) use crate::simulator::model::tool_calls::ModelToolCall;
