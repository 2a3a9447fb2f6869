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

use crate::simulator::api_error::Refusal;
use crate::simulator::config::Behaviour;
use crate::simulator::fields::row::Row;
use crate::simulator::headers::{Contract, Version};
use crate::simulator::support::Filter;
use crate::simulator::thinking_signature::Signer;
use crate::simulator::validate::types::Checked;

/// What the checks need to know besides the request.
pub(super) struct Rules<'a> {
    pub behaviour: &'a Behaviour,
    pub filter: &'a Filter,
    pub signer: &'a Signer,
    pub contract: &'a Contract,
    pub endpoint: Endpoint,
}

/// The endpoints that take a request of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Messages,
    CountTokens,
}

impl Rules<'_> {
    /// Refuses a request that the reference server would refuse.
    pub fn check(&self, body: &Map<String, Value>) -> Result<(), Refusal> {
        self.keys(body)?;
        self.fields(body)?;
        self.tools(body)?;
        self.tool_choice(body)?;
        self.system(body)?;
        self.messages(body)?;
        self.pairing(body)?;
        self.markers(body)?;
        self.combinations(body)?;
        self.thinking_turns(body)?;
        self.refused(body)?;
        self.world(body)
    }

    fn on(&self, row: Row) -> bool {
        self.filter.checks(row)
    }

    /// Runs a check that belongs to a row.
    fn when(&self, row: Row, check: impl FnOnce() -> Checked) -> Checked {
        if self.on(row) { check() } else { Ok(()) }
    }

    /// Fields that the newer contract no longer has are refused under the row that names the contract.
    fn is_newer_contract(&self) -> bool {
        self.contract.version == Version::V2026
    }
}
