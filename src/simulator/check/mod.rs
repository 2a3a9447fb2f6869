//! What the reference server refuses, and which row each refusal belongs to.
//!
//! Every check runs on the request as it came. A check belongs to one row and is off when that row is not honoured,
//! whatever the rows around it are; what no row owns (the roles, the kinds of block, invented keys) is always
//! checked. The first fault found is the one told, as the reference does.

mod blocks;
mod fields;
mod markers;
mod media;
mod messages;
mod pairing;
mod refused;
mod rowless;
mod server_blocks;
mod shape;
mod thinking;
mod tools;
mod whole;

use serde_json::{Map, Value};

use super::behaviour::Behaviour;
use super::filter::Filter;
use super::gate::{Contract, Version};
use super::refusal::Refusal;
use super::row::Row;
use super::signature::Signer;
use shape::Checked;

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
