//! The [`RequestValidator`]: the order of the checks, and whether each is on.

use serde_json::{Map, Value};

use crate::simulator::config::SimulatorConfig;
use crate::simulator::fields::row::SupportRow;
use crate::simulator::headers::{ApiVersion, ProtocolHeaders};
use crate::simulator::route::MessagesRoute;
use crate::simulator::support::SupportTable;
use crate::simulator::thinking_signature::ThinkingSigner;
use crate::simulator::validate::request_value::{ApiResult, RequestObject};

/// Validates the requests of one server.
pub(in crate::simulator) struct RequestValidator<'a> {
    pub config: &'a SimulatorConfig,
    pub support: &'a SupportTable,
    pub signer: &'a ThinkingSigner,
    pub protocol: &'a ProtocolHeaders,
    pub endpoint: MessagesRoute,
}

impl RequestValidator<'_> {
    /// Rejects a request that the reference server rejects.
    pub fn validate(&self, body: &Map<String, Value>) -> ApiResult {
        let object = RequestObject::root(body);
        self.validate_keys(&object)?;
        self.validate_fields(&object)?;
        self.validate_tools(&object)?;
        self.validate_tool_choice(&object)?;
        self.validate_system(&object)?;
        self.validate_messages(&object)?;
        self.validate_tool_pairing(body)?;
        self.validate_cache_control(body)?;
        self.validate_combinations(body)?;
        self.validate_thinking_turns(body)?;
        self.reject_by_faults(body)?;
        self.validate_resources(body)
    }

    /// Whether the checks of a row are on.
    pub(super) fn is_enforced(&self, row: SupportRow) -> bool {
        self.support.validates(row)
    }

    /// Runs a check that belongs to a row, if it is on.
    pub(super) fn enforce(&self, row: SupportRow, check: impl FnOnce() -> ApiResult) -> ApiResult {
        if self.is_enforced(row) { check() } else { Ok(()) }
    }

    /// Whether the request uses the newer API version, which lacks some fields.
    pub(super) fn is_newer_version(&self) -> bool {
        self.protocol.version == ApiVersion::V2026
    }
}
