//! What a gateway is asked and told: the shape of the files under `cases/gateway/`.
//!
//! `fieldtest` stands on both sides of a gateway, so a row says three things: what the client sends, what the upstream
//! answers, and where each should come out on the other side. A row knows nothing of claims; deciding its fate is the
//! gateway module's work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_yaml::Spanned;

use crate::catalog::arm::ArmMethod;
use crate::catalog::json_path::JsonPath;
use crate::catalog::status::ClaimStatus;

/// A file of rows: one section of the matrix.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayFile {
    /// The section's title.
    pub section: String,
    /// Values that rows refer to with YAML's anchors; nothing else looks at them.
    #[serde(default)]
    pub shared: Value,
    /// The rows, in order.
    pub rows: Vec<GatewayRow>,
}

/// One thing that passes through a gateway, or one side of its conduct.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayRow {
    /// The row's stable dotted id, `field.stop_sequences` for instance.
    #[schemars(with = "String")]
    pub row: Spanned<String>,
    /// The row's title.
    pub title: String,
    /// Why the row is asked in this way. For readers; nothing looks at it.
    #[serde(default)]
    pub about: Option<String>,
    /// What the request carries beside the plain question, with the field and without.
    #[serde(default)]
    pub base: RequestSpec,
    /// What carries the field: laid over the base.
    #[serde(default)]
    pub send: Option<RequestSpec>,
    /// Where the field stands in the client's request. Needed where `send` holds more than one key.
    #[serde(default)]
    pub at: Option<JsonPath>,
    /// Where the field should arrive.
    #[serde(default)]
    pub arrives: Option<ExpectationByDialect>,
    /// What the upstream answers. A shape that has no such answer is left out, and then has no such row.
    #[serde(default)]
    pub answer: Option<UpstreamResponseByDialect>,
    /// Where the answer should come out.
    #[serde(default)]
    pub comes: Option<GatewayExpectation>,
    /// The gateway's conduct that the row is about, seen over all requests.
    #[serde(default)]
    pub conduct: Option<GatewayBehaviour>,
    /// What is claimed where nobody claims anything else. Unless written: `ignored` where the field has no place in the
    /// shape, else `supported`.
    #[serde(default)]
    pub usual: DefaultClaimByDialect,
}

impl GatewayRow {
    /// The row's id.
    pub fn id(&self) -> &str {
        &self.row.value
    }

    /// Where the field stands in the client's request: as it says, or the one thing that it sends.
    pub fn field_location(&self) -> Option<GatewayFieldLocation> {
        if let Some(at) = &self.at {
            return Some(GatewayFieldLocation::Body(at.clone()));
        }
        let RequestSpec { body, headers, turns, content, after, path, method: _ } = self.send.as_ref()?;
        let mut keys = body.keys();
        let mut names = headers.keys();
        let no_message = turns.is_empty() && content.is_empty() && after.is_empty();
        match (keys.next(), names.next(), no_message, path) {
            (Some(key), None, true, None) if keys.next().is_none() => {
                Some(GatewayFieldLocation::Body(JsonPath::from_key(key)))
            }
            (None, Some(name), true, None) if names.next().is_none() => {
                Some(GatewayFieldLocation::Header(name.clone()))
            }
            (None, None, true, Some(path)) => {
                let (name, _) = path.split_once('?')?.1.split_once('=')?;
                Some(GatewayFieldLocation::Query(name.to_owned()))
            }
            _ => None,
        }
    }

    /// What the row is made of.
    pub fn subject(&self, shape: ApiDialect) -> GatewayRowSubject<'_> {
        match (self.conduct, &self.comes) {
            (Some(conduct), _) => GatewayRowSubject::Behaviour(conduct),
            (None, Some(comes)) => GatewayRowSubject::Response {
                response: self.answer.as_ref().and_then(|a| a.get(shape)),
                expectation: comes,
            },
            (None, None) => {
                GatewayRowSubject::Request { expectation: self.arrives.as_ref().and_then(|a| a.get(shape)) }
            }
        }
    }

    /// True where the row can be asked with an upstream of this shape.
    pub fn applies_to_dialect(&self, shape: ApiDialect) -> bool {
        match self.subject(shape) {
            GatewayRowSubject::Response { response: answer, .. } => answer.is_some(),
            GatewayRowSubject::Request { .. } | GatewayRowSubject::Behaviour(_) => true,
        }
    }

    /// What is claimed of the row where nobody claims anything else.
    pub fn default_claim(&self, shape: ApiDialect) -> Option<ClaimStatus> {
        match self.usual.get(shape) {
            Some(DefaultClaim::Nothing) => None,
            Some(DefaultClaim::Supported) => Some(ClaimStatus::Supported),
            Some(DefaultClaim::Ignored) => Some(ClaimStatus::Ignored),
            Some(DefaultClaim::Unsupported) => Some(ClaimStatus::Unsupported),
            None => match self.subject(shape) {
                GatewayRowSubject::Request { expectation: Some(arrival) } if arrival.nowhere.is_some() => {
                    Some(ClaimStatus::Ignored)
                }
                GatewayRowSubject::Request { .. }
                | GatewayRowSubject::Response { .. }
                | GatewayRowSubject::Behaviour(_) => Some(ClaimStatus::Supported),
            },
        }
    }
}

/// Where a field stands in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayFieldLocation {
    /// In the body.
    Body(JsonPath),
    /// In a header.
    Header(String),
    /// In the query.
    Query(String),
}

/// What a row is made of.
#[derive(Debug, Clone, Copy)]
pub enum GatewayRowSubject<'a> {
    /// A field on its way to the upstream; `None` where it arrives as it was sent.
    Request {
        /// Where it should arrive.
        expectation: Option<&'a GatewayExpectation>,
    },
    /// A part of an answer on its way back.
    Response {
        /// What the upstream answers; `None` where the shape has no such answer.
        response: Option<&'a UpstreamResponse>,
        /// Where it should come out.
        expectation: &'a GatewayExpectation,
    },
    /// What the gateway does, whatever it is asked.
    Behaviour(GatewayBehaviour),
}

/// The API that the gateway's upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiDialect {
    /// The Messages API.
    Anthropic,
    /// OpenAI's chat completions.
    Openai,
}

impl ApiDialect {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Anthropic, Self::Openai];

    /// The word used on the command line and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Openai => "openai",
        }
    }
}

/// Something for each shape.
macro_rules! per_dialect {
    ($(#[$about:meta])* $name:ident of $type:ty) => {
        $(#[$about])*
        #[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// With an upstream that speaks the Messages API.
            #[serde(default)]
            pub anthropic: Option<$type>,
            /// With an upstream that speaks OpenAI's chat completions.
            #[serde(default)]
            pub openai: Option<$type>,
        }

        impl $name {
            /// That of one shape.
            pub fn get(&self, shape: ApiDialect) -> Option<&$type> {
                match shape {
                    ApiDialect::Anthropic => self.anthropic.as_ref(),
                    ApiDialect::Openai => self.openai.as_ref(),
                }
            }
        }
    };
}

per_dialect!(
    /// Where a field should arrive. Unless written for a shape, it arrives where it was sent, as it was.
    ExpectationByDialect of GatewayExpectation
);
per_dialect!(
    /// What the upstream answers.
    UpstreamResponseByDialect of UpstreamResponse
);
per_dialect!(
    /// What is usually claimed.
    DefaultClaimByDialect of DefaultClaim
);

/// What is claimed where nobody claims anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DefaultClaim {
    /// It is carried.
    Supported,
    /// It is dropped, and the rest goes on.
    Ignored,
    /// It is dropped, or the request refused.
    Unsupported,
    /// Nothing.
    Nothing,
}

/// What a client sends, beside the plain question.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    /// Keys of the body, laid over the plain request's.
    #[serde(default)]
    pub body: Map<String, Value>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Messages before the one that holds the question.
    #[serde(default)]
    pub turns: Vec<Value>,
    /// Blocks before the question, in its message.
    #[serde(default)]
    pub content: Vec<Value>,
    /// Messages after the one that holds the question.
    #[serde(default)]
    pub after: Vec<Value>,
    /// Another path than `/v1/messages`, with its query.
    #[serde(default)]
    pub path: Option<String>,
    /// Another method than POST.
    #[serde(default)]
    pub method: Option<ArmMethod>,
}

/// Where something should come out, and as what. One place: `at`, `header`, `query`, `event`, `status`, `sign` or
/// `nowhere`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayExpectation {
    /// A place in the body; of an event, in its data.
    #[serde(default)]
    pub at: Option<JsonPath>,
    /// Other places that are as good.
    #[serde(default)]
    pub or: Vec<JsonPath>,
    /// A header.
    #[serde(default)]
    pub header: Option<String>,
    /// A key of the query.
    #[serde(default)]
    pub query: Option<String>,
    /// The HTTP status that the client should get.
    #[serde(default)]
    pub status: Option<u16>,
    /// An event of the stream that the client should get.
    #[serde(default)]
    pub event: Option<String>,
    /// Something else that a client can see.
    #[serde(default)]
    pub sign: Option<ClientSignal>,
    /// The usual translation has no place for it, and why. Found under its own name it is forwarded, found otherwise changed,
    /// else dropped.
    #[serde(default)]
    pub nowhere: Option<String>,
    /// The value that should be there, where it is not the one that was sent.
    #[serde(default, rename = "as")]
    pub value: Option<Value>,
    /// A text that should be in the text that is there.
    #[serde(default)]
    pub contains: Option<String>,
    /// Texts that should be in the texts that are there, in this order.
    #[serde(default)]
    pub order: Vec<String>,
    /// Any value will do, as long as it is not there without the field.
    #[serde(default)]
    pub any: bool,
    /// What is there is a text that holds JSON.
    #[serde(default)]
    pub parsed: bool,
    /// The keys must stand in the same order, too.
    #[serde(default)]
    pub exactly: bool,
    /// Further parts, all of which must come out as well.
    #[serde(default)]
    pub also: Vec<GatewayExpectation>,
}

/// What a client can see of an answer beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientSignal {
    /// That something went wrong: an error status, an error in the body or the stream, a broken connection.
    Failure,
    /// The beginning of the stream, before the upstream sent its end.
    Pace,
    /// The pieces of text, cut as the upstream cut them.
    Pieces,
}

/// What the upstream answers: the plain answer, changed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamResponse {
    /// The HTTP status, where it is not 200.
    #[serde(default)]
    pub status: Option<u16>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Keys laid over the plain answer's.
    #[serde(default)]
    pub message: Map<String, Value>,
    /// Keys laid over those of the plain answer's first choice (OpenAI's shape).
    #[serde(default)]
    pub choice: Map<String, Value>,
    /// A whole body in the place of the plain answer.
    #[serde(default)]
    pub body: Option<Value>,
    /// How the stream differs from the plain one.
    #[serde(default)]
    pub stream: StreamOverrides,
    /// The connection breaks before anything is answered.
    #[serde(default)]
    pub dies: bool,
}

/// How a stream differs from the plain one. Places count its records, from 0.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamOverrides {
    /// Milliseconds of rest before each record.
    #[serde(default)]
    pub pause: u64,
    /// The connection breaks after so many records.
    #[serde(default)]
    pub cut_after: Option<usize>,
    /// Records beside those of the answer.
    #[serde(default)]
    pub insert: Vec<StreamInsert>,
}

/// A record beside those of the answer: an event, or a comment.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamInsert {
    /// How many of the answer's own records come before it.
    pub after: usize,
    /// The event's name.
    #[serde(default)]
    pub event: Option<String>,
    /// The event's data.
    #[serde(default)]
    pub data: Option<Value>,
    /// A comment.
    #[serde(default)]
    pub comment: Option<String>,
    /// The stream ends here.
    #[serde(default)]
    pub last: bool,
}

/// What a gateway does, whatever it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatewayBehaviour {
    /// One upstream call for each request.
    Calls,
    /// Each answer goes to who asked, though many ask at once and the upstream answers in reverse order.
    Isolation,
    /// The connection ends with the answer, or is free for the next.
    Ending,
    /// Answers come as they were coded, unless the client allows another coding.
    Compression,
    /// What the gateway asks of its upstream by itself.
    OwnRequests,
    /// What it does when the upstream fails.
    Retries,
    /// The client's credential does not reach the upstream.
    Secret,
}

/// The variables of these files.
pub const GATEWAY_VARIABLES: &[(&str, &str)] = &[
    ("label", "the fresh word in the question, by which a request is known"),
    ("word", "a fresh code word"),
    ("word2", "another"),
    ("word3", "a third"),
    ("reply", "a fresh word by which an answer is known to belong to its request"),
    ("id", "24 fresh letters and digits"),
    ("id2", "another 24"),
    ("number", "a fresh whole number from 1024 to 9999"),
    ("number2", "another"),
    ("large", "a fresh whole number from 16001 to 31999, beyond the caps that gateways have"),
    ("fraction", "a fresh number between 0.1 and 0.9 with four digits"),
    ("image", "a small PNG of fresh colours, in base64"),
    ("pdf", "a page of PDF that says the code word, in base64"),
    ("text_base64", "the code word in base64"),
    ("long", "a fresh text of 20,000 characters"),
    ("model", "the model that is asked for"),
];
