//! The part of the results that only runs of `fieldtest gateway` have: [`GatewayVerdict`] and
//! [`TestedGateway`].
//!
//! Each row also has an ordinary verdict, so that every reader of verdicts can read gateway results. This
//! module must not know how a gateway is observed.

use serde::{Deserialize, Serialize};

use crate::catalog::VerdictStatus;
use crate::string_enum::string_enum;

/// What a gateway did with a field or with a part of a response, or how it behaved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GatewayVerdict {
    /// The kind of verdict.
    pub kind: GatewayVerdictKind,
    /// The way on which the value was lost or changed; absent in files of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<GatewayWay>,
    /// Where the value arrived: a JSON pointer, a header, a query or an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The expected value, with placeholders for random values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The value that arrived instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What the upstream received, if a reader needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
}

string_enum! {
    /// What a row of a gateway is about.
    pub enum GatewayWay {
        /// A field on its way from the client to the upstream.
        Request = "request",
        /// A part of a response on its way back.
        Response = "response",
        /// The behaviour of the gateway over a whole run.
        Behaviour = "behaviour",
    }
}

string_enum! {
    /// The kinds of gateway verdict.
    pub enum GatewayVerdictKind {
        /// The expected value arrived in the expected place.
        Forwarded = "forwarded",
        /// Another value arrived, or the value arrived in another place.
        Changed = "changed",
        /// The value did not arrive.
        Dropped = "dropped",
        /// The gateway rejected the request with its own error.
        Refused = "refused",
        /// Undecided; the code of the verdict gives the reason.
        Undetermined = "undetermined",
        /// Not run, or not completely.
        Skipped = "skipped",
    }
}

impl GatewayVerdictKind {
    /// The corresponding ordinary verdict.
    pub fn status(self) -> VerdictStatus {
        match self {
            Self::Forwarded => VerdictStatus::Supported,
            Self::Changed => VerdictStatus::Substituted,
            Self::Dropped => VerdictStatus::Ignored,
            Self::Refused => VerdictStatus::Rejected,
            Self::Undetermined => VerdictStatus::Inconclusive,
            Self::Skipped => VerdictStatus::Skipped,
        }
    }

    /// The meaning, for legends.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Forwarded => "the value arrived on the other side, unchanged and in the expected place",
            Self::Changed => "another value arrived, or the value arrived in another place",
            Self::Dropped => "the value did not arrive; the rest of the request did",
            Self::Refused => "the gateway rejected the request with its own error",
            Self::Undetermined => "undecided; the verdict gives the reason",
            Self::Skipped => "not run, or not completely",
        }
    }
}

/// The gateway of a run of `fieldtest gateway`, with its scripted upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TestedGateway {
    /// The API of the upstream: `anthropic` or `openai`.
    pub shape: String,
    /// The address of the upstream.
    pub upstream: String,
    /// The number of calls that reached the upstream.
    pub upstream_calls: u64,
    /// The requests that the gateway sent to the upstream on its own initiative.
    pub own_requests: Vec<GatewayInitiatedRequest>,
}

/// A request that the gateway sent on its own initiative, such as a health check or a list of models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GatewayInitiatedRequest {
    /// Method and path.
    pub what: String,
    /// The number of such requests.
    pub count: u64,
}
