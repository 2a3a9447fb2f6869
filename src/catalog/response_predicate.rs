//! [`ResponsePredicate`]: conditions on HTTP responses of any kind, for example errors, token counts and
//! lists of models. The engine evaluates them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::catalog::message_predicate::MessagePredicate;
use crate::catalog::status::VerdictStatus;

/// A condition on an HTTP response. All given parts must match.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResponsePredicate {
    /// The status is one of these.
    pub status: Vec<u16>,
    /// `error.type`, in an envelope whose own `type` is `error`.
    #[serde(default)]
    pub error: Option<String>,
    /// The error message contains one of these, ignoring case.
    #[serde(default)]
    pub says: Vec<String>,
    /// Values of the body, by JSON pointer (`/data/0/id`).
    #[serde(default)]
    pub json: BTreeMap<String, JsonTest>,
    /// The stream contains these events, by name.
    #[serde(default)]
    pub has: Vec<String>,
    /// The response is a message that matches this.
    #[serde(default)]
    pub message: Option<MessagePredicate>,
}

impl ResponsePredicate {
    /// True if a matching response has content that only an endpoint with the tested feature sends:
    /// values of the body, events, or the input of a tool call. A message alone shows only that the
    /// request was accepted.
    pub fn shows_content(&self) -> bool {
        !self.json.is_empty() || !self.has.is_empty() || self.message.as_ref().is_some_and(|m| m.call.is_some())
    }

    /// True if only an error can match.
    pub fn expects_http_error(&self) -> bool {
        self.status.iter().all(|status| *status >= 400)
    }
}

/// A condition on a JSON value. All given parts must match.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct JsonTest {
    /// The type.
    pub is: Option<JsonKind>,
    /// The value. A string may contain variables.
    pub equals: Option<Value>,
    /// The minimum, for an integer.
    pub at_least: Option<u64>,
}

/// The types of JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JsonKind {
    /// `"…"`
    String,
    /// A non-negative integer.
    Whole,
    /// `true` or `false`
    Boolean,
    /// `[…]`
    Array,
    /// `{…}`
    Object,
}

/// A response other than the promised one, with its own verdict.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AlternativeVerdict {
    /// Matches such a response.
    pub when: ResponsePredicate,
    /// The verdict for it.
    pub verdict: VerdictStatus,
    /// The qualifier of the verdict.
    pub note: String,
}

/// A rule that compares the treatment's response with that of the negative control.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ArmComparison {
    /// Both agree in these aspects. Aspects that a model may vary must agree in only one pair of trials.
    Agree(Vec<ResponseAspect>),
    /// The treatment has at least this number of additional input tokens.
    Grows(u64),
    /// The treatment has at least this number of input tokens less.
    Shrinks(u64),
    /// Both have the same number of input tokens, within this percentage.
    Near(u32),
    /// The treatment's long response takes longer than the short one of the negative control, and arrives
    /// gradually during that time.
    Gradual,
    /// The model repeats this text. The treatment must have it unchanged, unless the negative control has
    /// the same mistakes.
    Repeats(String),
}

/// An aspect in which two responses to one question can agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ResponseAspect {
    /// The stop reasons.
    StopReason,
    /// The types of the content blocks, in order.
    Blocks,
    /// Names and inputs of the tool calls. Not comparable if neither response has a call.
    Calls,
    /// Whether there are thinking blocks. Not comparable if neither response has one.
    Thinking,
    /// The words of the texts.
    Text,
    /// The prompt tokens.
    InputTokens,
}
