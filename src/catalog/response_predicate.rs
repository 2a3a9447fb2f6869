//! Tests of answers that need not be messages: refusals, counts, lists of models. How they are held against an answer is
//! the engine's work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::catalog::message_predicate::MessagePredicate;
use crate::catalog::status::VerdictStatus;

/// A test of an HTTP answer. Everything that is written must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponsePredicate {
    /// The status is one of these.
    pub status: Vec<u16>,
    /// `error.type`, in an envelope whose own `type` is `error`.
    #[serde(default)]
    pub error: Option<String>,
    /// The text of the error has one of these in it, in any case of letters.
    #[serde(default)]
    pub says: Vec<String>,
    /// Values of the body, by JSON pointer (`/data/0/id`).
    #[serde(default)]
    pub json: BTreeMap<String, JsonTest>,
    /// These events are in its stream, by name.
    #[serde(default)]
    pub has: Vec<String>,
    /// The answer is a message, and this holds of it.
    #[serde(default)]
    pub message: Option<MessagePredicate>,
}

impl ResponsePredicate {
    /// True when it asks for a refusal.
    pub fn expects_http_error(&self) -> bool {
        self.status.iter().all(|status| *status >= 400)
    }
}

/// A test of a JSON value. Everything that is written must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonTest {
    /// Its kind.
    #[serde(default)]
    pub is: Option<JsonKind>,
    /// Its value; a text may hold variables.
    #[serde(default)]
    pub equals: Option<Value>,
    /// It is a whole number of at least this.
    #[serde(default)]
    pub at_least: Option<u64>,
}

/// The kinds of JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JsonKind {
    /// `"…"`
    String,
    /// A number without a fraction, of 0 or more.
    Whole,
    /// `true` or `false`
    Boolean,
    /// `[…]`
    Array,
    /// `{…}`
    Object,
}

/// An answer that means something without being what was asked for.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlternativeVerdict {
    /// Such an answer.
    pub when: ResponsePredicate,
    /// What it means.
    pub verdict: VerdictStatus,
    /// In words that qualify the verdict.
    pub note: String,
}

/// What the treatment's answer has in common with the negative arm's, or has more of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArmComparison {
    /// They agree in these. What a model may do differently each time need agree but once.
    Agree(Vec<ResponseAspect>),
    /// The treatment's counts at least so many more input tokens.
    Grows(u64),
    /// Both count as many input tokens, within so many percent.
    Near(u32),
    /// The treatment's long answer takes longer than the negative arm's short one, and comes bit by bit during that time.
    Gradual,
}

/// What two answers to one question may have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseAspect {
    /// Why they ended.
    StopReason,
    /// The types of their blocks, in order.
    Blocks,
    /// Names and inputs of their calls. Where neither has any, there is nothing to agree in.
    Calls,
    /// Whether they have thinking. Where neither has any, there is nothing to agree in.
    Thinking,
    /// The words of their texts.
    Text,
    /// The tokens of the prompt.
    InputTokens,
}
