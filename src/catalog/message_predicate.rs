//! [`MessagePredicate`]: conditions on messages, as case files write them for effects and opposite effects.
//! The engine evaluates them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::catalog::template::{TemplateSegment, parse_template};

/// A condition on a message. All given parts must match.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct MessagePredicate {
    /// The text of the message.
    pub text: Option<TextTest>,
    /// The text of the thinking blocks.
    pub thinking: Option<TextTest>,
    /// `stop_reason`
    pub stop_reason: Option<String>,
    /// `stop_sequence`
    pub stop_sequence: Option<String>,
    /// Number of content blocks, by type.
    pub blocks: BTreeMap<String, CountRange>,
    /// There is a `tool_use` block like this.
    pub call: Option<CallTest>,
    /// There is a separate `tool_use` block for each of these.
    pub calls: Vec<CallTest>,
    /// Counters of `usage`, by dotted path; an absent counter is 0.
    pub usage: BTreeMap<String, CountRange>,
    /// The response is an event stream from `message_start` to `message_stop`.
    pub streamed: Option<bool>,
    /// At least one of these matches.
    pub any: Vec<MessagePredicate>,
    /// This does not match.
    pub not: Option<Box<MessagePredicate>>,
}

impl MessagePredicate {
    /// True if a message without `usage` cannot match.
    pub fn needs_usage(&self) -> bool {
        !self.usage.is_empty() || (!self.any.is_empty() && self.any.iter().all(Self::needs_usage))
    }

    /// True if only a message with random values of the trial can match.
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

/// A condition on a text. Compares words; case and punctuation do not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TextTest {
    /// The text contains all of these.
    pub contains: Vec<String>,
    /// The text contains none of these.
    pub lacks: Vec<String>,
    /// Number of words. A word is at least one token.
    pub words: Option<CountRange>,
    /// Number of digits.
    pub digits: Option<CountRange>,
}

/// A condition on a tool call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct CallTest {
    /// The name of the called tool.
    pub name: Option<String>,
    /// Properties of the input with their values. An empty value matches any value.
    pub input: BTreeMap<String, String>,
    /// The input is an empty object.
    pub no_input: bool,
}

/// Limits of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct CountRange {
    /// The minimum.
    pub at_least: Option<u64>,
    /// The maximum.
    pub at_most: Option<u64>,
}

impl CountRange {
    /// True if the number is within the limits.
    pub fn matches(self, n: u64) -> bool {
        self.at_least.is_none_or(|least| n >= least) && self.at_most.is_none_or(|most| n <= most)
    }
}
