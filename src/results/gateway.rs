//! What became of something on its way through a gateway: the part of the results that only runs of `fieldtest gateway`
//! have.
//!
//! A fate stands beside a verdict, so that everything that reads verdicts reads gateways as well. This module must not
//! know how fates are seen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::VerdictStatus;
use crate::string_enum::string_enum;

/// What became of a field, a part of an answer, or one side of a gateway's conduct.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayVerdict {
    /// The kind.
    pub kind: GatewayVerdictKind,
    /// Where it came out: a JSON pointer, or a header, a query or an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What should have come out; drawn values stand there by their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What came out instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What reached the upstream, where that is what a reader needs to see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
}

string_enum! {
    /// The kinds of fate.
    pub enum GatewayVerdictKind {
        /// It came out where it should, as it should.
        Forwarded = "forwarded",
        /// It came out as something else, or somewhere else.
        Changed = "changed",
        /// It did not come out.
        Dropped = "dropped",
        /// The gateway refused it with an error of its own.
        Refused = "refused",
        /// It could not be seen; the verdict's code says why.
        Undetermined = "undetermined",
        /// It was not tried, or not to the end.
        Skipped = "skipped",
    }
}

impl GatewayVerdictKind {
    /// The verdict that it amounts to.
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

    /// What it means, for legends.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Forwarded => "it came out on the other side where it should, as it should",
            Self::Changed => "it came out as something else, or somewhere else",
            Self::Dropped => "it did not come out; the rest went on",
            Self::Refused => "the gateway answered with an error of its own",
            Self::Undetermined => "it could not be seen; the reason is given",
            Self::Skipped => "it was not tried, or not to the end",
        }
    }
}

/// What was between the two sides of a run of `fieldtest gateway`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestedGateway {
    /// The API that the upstream spoke: `anthropic` or `openai`.
    pub shape: String,
    /// The address at which the gateway found its upstream.
    pub upstream: String,
    /// How many calls reached the upstream.
    pub upstream_calls: u64,
    /// What the gateway asked of its upstream by itself.
    pub own_requests: Vec<GatewayInitiatedRequest>,
}

/// What a gateway asked by itself: a health check, a list of models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayInitiatedRequest {
    /// Method and path.
    pub what: String,
    /// How often.
    pub count: u64,
}
