//! Requests as case files describe them: each [`Arm`] is merged into the base of its experiment.
//!
//! These types describe what an author may write and what it means. The engine builds the requests.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::catalog::message_predicate::MessagePredicate;

/// One kind of request of an experiment: what it changes in the base request.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Arm {
    /// The conversation: one user turn with this text.
    pub ask: Option<String>,
    /// The conversation: all turns.
    pub turns: Option<Vec<Turn>>,
    /// Keys of the body, merged into the base: objects by key, everything else is replaced.
    pub body: Map<String, Value>,
    /// Headers to set; `null` removes one.
    pub headers: BTreeMap<String, Option<String>>,
    /// Top-level keys of the body to remove.
    pub drop: Vec<String>,
    /// The credential to send. By default, the target's own.
    pub credential: Option<ArmCredential>,
    /// The HTTP method, by default POST. The others have no body.
    pub method: Option<ArmMethod>,
    /// The path below the base URL, with its query. By default, `/v1/messages`.
    pub path: Option<String>,
    /// The literal body, instead of JSON.
    pub raw: Option<String>,
    /// Further requests of the same trial. Each sends the endpoint's own response back and continues the
    /// conversation.
    pub then: Vec<FollowUp>,
    /// Phrases. An error that contains one of them shows that the server knows the field and rejects its
    /// value. An error without them rejects the field itself.
    pub because: Vec<String>,
}

/// One turn of a conversation, written `user: …` or `assistant: …`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// A user turn: a text, sent in the form that the endpoint was seen to read, or a list of blocks.
    User(Value),
    /// An assistant turn: the same.
    Assistant(Value),
    /// A system turn within the conversation: a text, sent unchanged, or a list of blocks.
    System(Value),
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum ArmMethod {
    /// With a body.
    Post,
    /// Without one.
    Get,
    /// Without one, and without one in the response.
    Head,
}

/// The next request of a trial: the conversation so far, the endpoint's own response and the next user
/// turn.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct FollowUp {
    /// What the response must show for this request to make sense. Otherwise the trial is unusable.
    pub when: Option<MessagePredicate>,
    /// How the response is sent back.
    pub hand_back: EchoBack,
    /// The result text for each tool call of the response.
    pub results: Option<String>,
    /// The next user turn, after the results: a text or a list of blocks.
    pub user: Option<Value>,
    /// Keys of the body that change from here on, merged like those of an arm.
    pub body: Map<String, Value>,
}

/// How a response is sent back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EchoBack {
    /// Unchanged, block by block.
    #[default]
    Whole,
    /// Without its thinking blocks, as some clients do.
    WithoutThinking,
    /// With altered signatures, which no client should send.
    AlteredSignature,
}

/// Which credential an arm sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ArmCredential {
    /// The right one as `x-api-key`.
    XApiKey,
    /// The right one as `authorization: Bearer`.
    Bearer,
    /// A made-up one as `x-api-key`.
    WrongXApiKey,
    /// A made-up one as `authorization: Bearer`.
    WrongBearer,
    /// The right one in both headers.
    Both,
    /// No credential.
    Missing,
}

/// Arms that several rows share: the fields of all of these rows in one request. If it is accepted
/// without any effect, none of the fields is supported. Any other result decides nothing, and each row
/// is tested alone. The base of a row is not merged into these arms.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ScreenArms {
    /// The fields of all rows with valid values.
    pub treatment: Option<Arm>,
    /// The fields of all rows with invalid values.
    pub challenge: Option<Arm>,
}

/// A trial in two steps: get a block from the endpoint, then send it back.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OwnBlock {
    /// The request that makes the endpoint produce the block.
    pub first: Arm,
    /// What the first response must show for the second request to make sense.
    pub when: MessagePredicate,
    /// Matches a first response in which the block, and nothing else, holds what the second request asks
    /// for. Only then does the effect show whether the model sees the block.
    pub carries: MessagePredicate,
    /// The request that sends it back; `{{first.content}}` is the content of the first response.
    pub then: Arm,
}
