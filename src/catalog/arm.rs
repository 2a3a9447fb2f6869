//! Requests, as case files write them: the layers that an experiment lays over each other.
//!
//! What an author may write, and what it means; making requests of it is the engine's work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::catalog::message_predicate::MessagePredicate;

/// One variant of the request: what it changes in the base request.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// The conversation: one user turn of this text.
    #[serde(default)]
    pub ask: Option<String>,
    /// The conversation: all turns.
    #[serde(default)]
    pub turns: Option<Vec<Turn>>,
    /// Keys of the body, merged into the base (objects by key, everything else replaced).
    #[serde(default)]
    pub body: Map<String, Value>,
    /// Headers to set; `null` takes one away.
    #[serde(default)]
    pub headers: BTreeMap<String, Option<String>>,
    /// Top-level keys of the body to leave out.
    #[serde(default)]
    pub drop: Vec<String>,
    /// The credential to send; the target's own unless told.
    #[serde(default)]
    pub credential: Option<ArmCredential>,
    /// The method; POST unless told. The others have no body.
    #[serde(default)]
    pub method: Option<ArmMethod>,
    /// The path below the base URL, with its query: `/v1/messages` unless told.
    #[serde(default)]
    pub path: Option<String>,
    /// The body as it stands, in the place of JSON.
    #[serde(default)]
    pub raw: Option<String>,
    /// Further requests of the same trial: each hands the endpoint's own answer back, and goes on from there.
    #[serde(default)]
    pub then: Vec<FollowUp>,
    /// Words of which a refusal must contain at least one to show that the field is known and its value is what is
    /// wrong. A refusal without them then rejects the field.
    #[serde(default)]
    pub because: Vec<String>,
}

/// One turn of a conversation, written `user: …` or `assistant: …`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// What the user says: a text, sent in whichever form the endpoint was seen to read, or a list of blocks.
    User(Value),
    /// What the assistant said: the same.
    Assistant(Value),
    /// What the operator says in the midst of the conversation: a text, sent as it stands, or a list of blocks.
    System(Value),
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ArmMethod {
    /// With a body.
    Post,
    /// Without one.
    Get,
    /// Without one, and without one in the answer.
    Head,
}

/// The next request of a trial: the conversation so far, the endpoint's own answer, and what is said to it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FollowUp {
    /// What the answer must show for this request to make sense; else the trial says nothing.
    #[serde(default)]
    pub when: Option<MessagePredicate>,
    /// How the answer is handed back.
    #[serde(default)]
    pub hand_back: EchoBack,
    /// A text that each call of the answer is given as its result.
    #[serde(default)]
    pub results: Option<String>,
    /// What the user says next, behind the results: a text, or a list of blocks.
    #[serde(default)]
    pub user: Option<Value>,
    /// Keys of the body that change from here on, merged as those of an arm.
    #[serde(default)]
    pub body: Map<String, Value>,
}

/// How an answer is handed back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EchoBack {
    /// As it came, block by block.
    #[default]
    Whole,
    /// Without its thinking blocks, as some clients do.
    WithoutThinking,
    /// With its signatures altered, as no client should.
    AlteredSignature,
}

/// Which credential an arm sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
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
    /// None at all.
    Missing,
}

/// Arms that several rows share: the fields of all of them in one request. Where that is accepted and shows no effect,
/// none of them is honoured, and one request has told it of all. Anything else decides nothing, and each row is tried
/// on its own. The base of a row is not laid under these arms.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScreenArms {
    /// The fields of all rows at valid values.
    #[serde(default)]
    pub treatment: Option<Arm>,
    /// The fields of all rows at impossible values.
    #[serde(default)]
    pub challenge: Option<Arm>,
}

/// A trial in two steps: get a block from the endpoint, hand it back.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnBlock {
    /// The request that makes the endpoint produce the block.
    pub first: Arm,
    /// What the first answer must show for the second request to make sense.
    pub when: MessagePredicate,
    /// True of a first answer whose block holds what the second asks for, and nothing else of it does: only then can
    /// the effect tell whether the block was read.
    pub carries: MessagePredicate,
    /// The request that hands it back; `{{first.content}}` stands for the first answer's content.
    pub then: Arm,
}
