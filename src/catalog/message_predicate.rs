//! Tests of answers: what an effect, its contrary and their kin look like in case files. How they are held against an
//! answer is the engine's work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::catalog::template::{TemplateSegment, parse_template};

/// A test of an answer. Everything that is written must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessagePredicate {
    /// The text of the answer.
    #[serde(default)]
    pub text: Option<TextTest>,
    /// The text of its thinking blocks.
    #[serde(default)]
    pub thinking: Option<TextTest>,
    /// `stop_reason`
    #[serde(default)]
    pub stop_reason: Option<String>,
    /// `stop_sequence`
    #[serde(default)]
    pub stop_sequence: Option<String>,
    /// How many content blocks there are, by type.
    #[serde(default)]
    pub blocks: BTreeMap<String, CountRange>,
    /// A `tool_use` block like this is there.
    #[serde(default)]
    pub call: Option<CallTest>,
    /// `tool_use` blocks like these are there, each of its own.
    #[serde(default)]
    pub calls: Vec<CallTest>,
    /// Counters of `usage`, by dotted path; an absent counter is 0.
    #[serde(default)]
    pub usage: BTreeMap<String, CountRange>,
    /// Came as an event stream, from `message_start` to `message_stop`.
    #[serde(default)]
    pub streamed: Option<bool>,
    /// At least one of these holds.
    #[serde(default)]
    pub any: Vec<MessagePredicate>,
    /// This does not hold.
    #[serde(default)]
    pub not: Option<Box<MessagePredicate>>,
}

impl MessagePredicate {
    /// True when no answer can pass that counts nothing in `usage`.
    pub fn needs_usage(&self) -> bool {
        !self.usage.is_empty() || (!self.any.is_empty() && self.any.iter().all(Self::needs_usage))
    }

    /// True when no answer can pass that does not hold something that was drawn for the trial.
    pub fn needs_random_values(&self) -> bool {
        let drawn =
            |text: &String| parse_template(text).iter().any(|piece| matches!(piece, TemplateSegment::Variable(_)));
        let texts = [&self.text, &self.thinking].into_iter().flatten();
        let mut calls = self.call.iter().chain(&self.calls);
        texts.flat_map(|t| &t.contains).any(drawn)
            || calls.any(|c| {
                c.name.as_ref().is_some_and(drawn) || c.input.iter().any(|(key, value)| drawn(key) || drawn(value))
            })
            || (!self.any.is_empty() && self.any.iter().all(Self::needs_random_values))
    }
}

/// A test of a text, word by word: case and punctuation do not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextTest {
    /// Every one of these is in it.
    #[serde(default)]
    pub contains: Vec<String>,
    /// None of these is in it.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// How many words it has; a word is at least one token.
    #[serde(default)]
    pub words: Option<CountRange>,
    /// How many digits it has.
    #[serde(default)]
    pub digits: Option<CountRange>,
}

/// A test of a tool call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallTest {
    /// The called tool's name.
    #[serde(default)]
    pub name: Option<String>,
    /// Properties of the input, with their values; an empty value only asks for the property.
    #[serde(default)]
    pub input: BTreeMap<String, String>,
    /// The input is an object without a property.
    #[serde(default)]
    pub no_input: bool,
}

/// Bounds of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountRange {
    /// The least that passes.
    #[serde(default)]
    pub at_least: Option<u64>,
    /// The most that passes.
    #[serde(default)]
    pub at_most: Option<u64>,
}

impl CountRange {
    /// True when the number lies within the bounds.
    pub fn matches(self, n: u64) -> bool {
        self.at_least.is_none_or(|least| n >= least) && self.at_most.is_none_or(|most| n <= most)
    }
}
