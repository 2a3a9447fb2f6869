//! The format of the files under `cases/gateway/`: a [`GatewayFile`] of [`GatewayRow`]s.
//!
//! `fieldtest` is both the client of a gateway and its upstream. A row therefore names up to three
//! things: what the client sends, what the upstream returns, and where each of them should arrive
//! on the other side. A row must not know claims, nor how its verdict is decided: that is the work
//! of the `gateway` module.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use serde_yaml::Spanned;

use crate::catalog::arm::ArmMethod;
use crate::catalog::json_path::JsonPath;
use crate::catalog::status::ClaimStatus;
use crate::string_enum::string_enum;

/// A file of gateway rows: one section of the matrix.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GatewayFile {
    /// The title of the section.
    pub section: String,
    /// Values that rows refer to with YAML anchors. The program does not read them.
    #[serde(default)]
    pub shared: Value,
    /// The rows, in order.
    pub rows: Vec<GatewayRow>,
}

/// A row: one field of a request, one part of a response, or one behaviour of the gateway.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GatewayRow {
    /// The stable dotted id of the row, for example `field.stop_sequences`.
    #[cfg_attr(test, schemars(with = "String"))]
    pub row: Spanned<String>,
    /// The title of the row.
    pub title: String,
    /// Why the row is tested in this way. For readers; the program does not read it.
    #[serde(default)]
    pub about: Option<String>,
    /// What the request contains in addition to the plain message, with and without the field.
    #[serde(default)]
    pub base: RequestSpec,
    /// The part of the request with the field; merged into the base.
    #[serde(default)]
    pub request: Option<RequestSpec>,
    /// Where the field is in the client's request. Required if `request` has more than one key.
    #[serde(default)]
    pub at: Option<JsonPath>,
    /// Where the field should arrive at the upstream.
    #[serde(default)]
    pub expect_upstream: Option<PerDialect<GatewayExpectation>>,
    /// What the upstream returns. The row does not exist for an API without such a response.
    #[serde(default)]
    pub upstream_response: Option<PerDialect<UpstreamResponse>>,
    /// What the client should get of this response.
    #[serde(default)]
    pub expect_client: Option<GatewayExpectation>,
    /// The behaviour of the gateway that the row is about, observed over all requests.
    #[serde(default)]
    pub behaviour: Option<GatewayBehaviour>,
    /// What `--claims default` claims. By default: `ignored` if the API of the upstream has no
    /// equivalent for the field, else `supported`.
    #[serde(default)]
    pub default_claim: PerDialect<DefaultClaim>,
}

impl GatewayRow {
    /// The id of the row.
    pub fn id(&self) -> &str {
        &self.row.value
    }

    /// Where the field is in the client's request: at `at`, or the only thing in `request`.
    pub fn field_location(&self) -> Option<GatewayFieldLocation> {
        if let Some(at) = &self.at {
            return Some(GatewayFieldLocation::Body(at.clone()));
        }
        let RequestSpec { body, headers, turns, content, after, path, method: _ } = self.request.as_ref()?;
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

    /// What the row is about, for an upstream of this API.
    pub fn subject(&self, dialect: ApiDialect) -> GatewayRowSubject<'_> {
        match (self.behaviour, &self.expect_client) {
            (Some(behaviour), _) => GatewayRowSubject::Behaviour(behaviour),
            (None, Some(expectation)) => GatewayRowSubject::Response {
                response: self.upstream_response.as_ref().and_then(|response| response.get(dialect)),
                expectation,
            },
            (None, None) => GatewayRowSubject::Request {
                expectation: self.expect_upstream.as_ref().and_then(|expected| expected.get(dialect)),
            },
        }
    }

    /// True if the row can be tested with an upstream of this API.
    pub fn applies_to_dialect(&self, dialect: ApiDialect) -> bool {
        !matches!(self.subject(dialect), GatewayRowSubject::Response { response: None, .. })
    }

    /// True if the upstream fails on purpose in this row, so that the gateway may react to it.
    pub fn fails_upstream(&self, dialect: ApiDialect) -> bool {
        match self.subject(dialect) {
            GatewayRowSubject::Behaviour(behaviour) => behaviour == GatewayBehaviour::Retries,
            GatewayRowSubject::Response { response: Some(response), .. } => {
                let is_error = response.body.as_ref().is_some_and(|body| body.get("error").is_some());
                let is_cut =
                    response.stream.cut_after.is_some() || response.stream.insert.iter().any(|insert| insert.last);
                response.status.is_some() || response.dies || is_error || is_cut
            }
            GatewayRowSubject::Response { response: None, .. } | GatewayRowSubject::Request { .. } => false,
        }
    }

    /// What `--claims default` claims of the row.
    pub fn default_claim(&self, dialect: ApiDialect) -> Option<ClaimStatus> {
        match self.default_claim.get(dialect) {
            Some(DefaultClaim::Nothing) => None,
            Some(DefaultClaim::Supported) => Some(ClaimStatus::Supported),
            Some(DefaultClaim::Ignored) => Some(ClaimStatus::Ignored),
            Some(DefaultClaim::Unsupported) => Some(ClaimStatus::Unsupported),
            None => match self.subject(dialect) {
                GatewayRowSubject::Request { expectation: Some(expectation) }
                    if expectation.no_equivalent.is_some() =>
                {
                    Some(ClaimStatus::Ignored)
                }
                GatewayRowSubject::Request { .. }
                | GatewayRowSubject::Response { .. }
                | GatewayRowSubject::Behaviour(_) => Some(ClaimStatus::Supported),
            },
        }
    }
}

/// Where a field is in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayFieldLocation {
    /// In the body.
    Body(JsonPath),
    /// In a header.
    Header(String),
    /// In the query.
    Query(String),
}

/// What a row is about.
#[derive(Debug, Clone, Copy)]
pub enum GatewayRowSubject<'a> {
    /// A field of a request.
    Request {
        /// Where it should arrive; `None` if it should arrive unchanged where it was sent.
        expectation: Option<&'a GatewayExpectation>,
    },
    /// A part of a response.
    Response {
        /// What the upstream returns; `None` if its API has no such response.
        response: Option<&'a UpstreamResponse>,
        /// What the client should get.
        expectation: &'a GatewayExpectation,
    },
    /// What the gateway does, for any request.
    Behaviour(GatewayBehaviour),
}

string_enum! {
    /// The API that the gateway's upstream speaks.
    pub enum ApiDialect {
        /// The Messages API.
        Anthropic = "anthropic",
        /// OpenAI's chat completions.
        Openai = "openai",
    }
}

/// One value for each API of an upstream.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PerDialect<T> {
    /// For an upstream that speaks the Messages API.
    pub anthropic: Option<T>,
    /// For an upstream that speaks OpenAI's chat completions.
    pub openai: Option<T>,
}

impl<T> Default for PerDialect<T> {
    fn default() -> Self {
        Self { anthropic: None, openai: None }
    }
}

impl<T> PerDialect<T> {
    /// The value for one API.
    pub fn get(&self, dialect: ApiDialect) -> Option<&T> {
        match dialect {
            ApiDialect::Anthropic => self.anthropic.as_ref(),
            ApiDialect::Openai => self.openai.as_ref(),
        }
    }
}

/// What `--claims default` claims of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DefaultClaim {
    /// The field is forwarded.
    Supported,
    /// The field is dropped, and the rest of the request is forwarded.
    Ignored,
    /// The field is dropped, or the request is rejected.
    Unsupported,
    /// No claim.
    Nothing,
}

/// What a client sends in addition to the plain request.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RequestSpec {
    /// Keys of the body, merged into the plain request's.
    pub body: Map<String, Value>,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Messages before the message with the question.
    pub turns: Vec<Value>,
    /// Blocks before the question, in its message.
    pub content: Vec<Value>,
    /// Messages after the message with the question.
    pub after: Vec<Value>,
    /// The path and its query. By default: `/v1/messages`.
    pub path: Option<String>,
    /// The method. By default: POST.
    pub method: Option<ArmMethod>,
}

/// Where a value should arrive, and as which value. It names one place: `at`, `header`, `query`,
/// `event`, `status`, `sign` or `no_equivalent`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct GatewayExpectation {
    /// A place in the body; with `event`, a place in the data of the event.
    pub at: Option<JsonPath>,
    /// Other places that are as good as `at`.
    pub or: Vec<JsonPath>,
    /// A header.
    pub header: Option<String>,
    /// A key of the query.
    pub query: Option<String>,
    /// The HTTP status that the client should get.
    pub status: Option<u16>,
    /// An event of the stream that the client should get.
    pub event: Option<String>,
    /// Something else that a client can observe.
    pub sign: Option<ClientSignal>,
    /// The reason why the upstream's API has no place for the field. The field is forwarded if it
    /// arrives under its own name, changed if it arrives in another place, and else dropped.
    pub no_equivalent: Option<String>,
    /// The value that should arrive. By default: the value that was sent.
    #[serde(rename = "as")]
    pub value: Option<Value>,
    /// A text that the text in this place should contain.
    pub contains: Option<String>,
    /// Texts that the texts in this place should contain, in this order.
    pub order: Vec<String>,
    /// Accepts any value that is not there without the field.
    pub any: bool,
    /// The value in this place is a text of JSON.
    pub parsed: bool,
    /// The order of keys must be the same, too.
    pub exactly: bool,
    /// Further expectations that must all be met.
    pub also: Vec<GatewayExpectation>,
}

/// What a client can observe of a response in addition to its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientSignal {
    /// A failure: an error status, an error in the body or the stream, or a broken connection.
    Failure,
    /// The beginning of the stream, before the upstream has sent its end.
    Pace,
    /// The deltas of text, split as the upstream split them.
    Pieces,
}

/// What the upstream returns: the changes to its plain response.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamResponse {
    /// The HTTP status. By default: 200.
    pub status: Option<u16>,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Keys that replace those of the plain response.
    pub message: Map<String, Value>,
    /// Keys that replace those of the first choice of the plain response (chat completions).
    pub choice: Map<String, Value>,
    /// A body that replaces the plain response.
    pub body: Option<Value>,
    /// The changes to the plain stream.
    pub stream: StreamOverrides,
    /// The upstream aborts the connection and sends no response.
    pub dies: bool,
}

/// The changes to the plain stream. Positions count its records.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct StreamOverrides {
    /// Milliseconds of delay before each record.
    pub pause: u64,
    /// Aborts the connection after this number of records.
    pub cut_after: Option<usize>,
    /// Records in addition to those of the response.
    pub insert: Vec<StreamInsert>,
}

/// A record in addition to those of the response: an event, or a comment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StreamInsert {
    /// The number of the response's own records before it.
    pub after: usize,
    /// The name of the event.
    #[serde(default)]
    pub event: Option<String>,
    /// The data of the event.
    #[serde(default)]
    pub data: Option<Value>,
    /// A comment.
    #[serde(default)]
    pub comment: Option<String>,
    /// Ends the stream after this record.
    #[serde(default)]
    pub last: bool,
}

/// What a gateway does, for any request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GatewayBehaviour {
    /// One upstream call for each request.
    Calls,
    /// Each client gets its own response, although requests are concurrent and the upstream
    /// responds in reverse order.
    Isolation,
    /// The connection ends with the response, or is free for the next request.
    Ending,
    /// Responses have no content encoding that the client did not accept.
    Compression,
    /// Requests that the gateway itself sends to its upstream.
    OwnRequests,
    /// What the gateway does when the upstream fails.
    Retries,
    /// The client's credential does not reach the upstream.
    Secret,
}

/// The variables of these files, with their meaning.
pub const GATEWAY_VARIABLES: &[(&str, &str)] = &[
    ("label", "the random word in the message that identifies the request"),
    ("word", "a random code word"),
    ("word2", "a second code word"),
    ("word3", "a third code word"),
    ("reply", "the random word in the response that identifies its request"),
    ("id", "24 random letters and digits"),
    ("id2", "24 others"),
    ("number", "a random integer from 1024 to 9999"),
    ("number2", "a second integer"),
    ("large", "a random integer from 16001 to 31999, above the limits that gateways set"),
    ("fraction", "a random number between 0.1 and 0.9 with four digits"),
    ("image", "a small PNG of random colours, in base64"),
    ("pdf", "a PDF page that contains the code word, in base64"),
    ("text_base64", "the code word in base64"),
    ("long", "a random text of 20,000 characters"),
    ("model", "the requested model"),
];
