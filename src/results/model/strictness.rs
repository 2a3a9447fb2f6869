//! [`EndpointStrictness`]: what the endpoint does with unknown keys.

use serde::{Deserialize, Serialize};

use crate::string_enum::string_enum;

/// What the endpoint does with unknown keys. If it accepts them, accepting a field is no evidence that
/// the field works.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EndpointStrictness {
    /// The reaction to an unknown key at the top level of the body.
    pub top_level: UnknownKeyReaction,
    /// The reaction to an unknown key in a tool.
    pub tool: UnknownKeyReaction,
    /// The reaction to an unknown key in a content block.
    pub block: UnknownKeyReaction,
}

string_enum! {
    /// The reaction to a request with an unknown key.
    #[derive(Default)]
    pub enum UnknownKeyReaction {
        /// The endpoint returned a message.
        Accepted = "accepted",
        /// The endpoint returned a client error.
        Refused = "refused",
        /// The request was not sent, or its response shows neither.
        #[default]
        Unknown = "unknown",
    }
}
