//! What the reference server refuses, and which row each refusal belongs to.
//!
//! Every check runs on the request as it came. A check belongs to one row and is off when that row is not honoured,
//! whatever the rows around it are; what no row owns (the roles, the kinds of block, invented keys) is always
//! checked. The first fault found is the one told, as the reference does.

mod blocks;
pub mod cache_control;
mod cross_field;
mod fields;
mod media;
mod messages;
mod other_fields;
mod server_blocks;
pub mod thinking;
mod tool_pairing;
pub mod tools;
pub mod types;

use serde_json::{Map, Value};

use crate::simulator::api_error::ApiError;
use crate::simulator::config::SimulatorConfig;
use crate::simulator::fields::row::SupportRow;
use crate::simulator::headers::{ApiVersion, ProtocolHeaders};
use crate::simulator::support::SupportTable;
use crate::simulator::thinking_signature::ThinkingSigner;
use crate::simulator::validate::types::ApiResult;

/// What the checks need to know besides the request.
pub(super) struct RequestValidator<'a> {
    pub config: &'a SimulatorConfig,
    pub support: &'a SupportTable,
    pub signer: &'a ThinkingSigner,
    pub protocol: &'a ProtocolHeaders,
    pub endpoint: MessagesRoute,
}

/// The endpoints that take a request of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessagesRoute {
    Messages,
    CountTokens,
}

impl RequestValidator<'_> {
    /// Refuses a request that the reference server would refuse.
    pub fn validate(&self, body: &Map<String, Value>) -> Result<(), ApiError> {
        self.validate_keys(body)?;
        self.validate_fields(body)?;
        self.validate_tools(body)?;
        self.validate_tool_choice(body)?;
        self.validate_system(body)?;
        self.validate_messages(body)?;
        self.validate_tool_pairing(body)?;
        self.validate_cache_control(body)?;
        self.validate_combinations(body)?;
        self.validate_thinking_turns(body)?;
        self.reject_by_faults(body)?;
        self.validate_resources(body)
    }

    fn is_enforced(&self, row: SupportRow) -> bool {
        self.support.validates(row)
    }

    /// Runs a check that belongs to a row.
    fn enforce(&self, row: SupportRow, check: impl FnOnce() -> ApiResult) -> ApiResult {
        if self.is_enforced(row) { check() } else { Ok(()) }
    }

    /// Fields that the newer contract no longer has are refused under the row that names the contract.
    fn is_newer_version(&self) -> bool {
        self.protocol.version == ApiVersion::V2026
    }
}
