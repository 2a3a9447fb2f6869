//! What real clients did with each fault of the protocol, as it was measured: `clients.json`, which `scripts/clients/run`
//! writes and nobody edits. `docs/clients.md` says how it was measured.
//!
//! For documents and for whoever wants to know. No check is decided by it, and no run reads it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::checks::catalog::ProtocolCheck;
use crate::string_enum::string_enum;

/// A client that was driven.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredClient {
    /// A short name for tables.
    pub id: String,
    /// What it is.
    pub name: String,
    /// The version that was driven.
    pub version: String,
}

string_enum! {
    /// The worst that came of a client's scenarios, by what comes of them without the fault.
    pub enum ClientOutcome {
        /// The fault never came before this client.
        Unreached = "unreached",
        /// Nothing differs.
        Same = "same",
        /// A message or an error differs.
        Differs = "differs",
        /// A message was due, and the client raised an error.
        Raises = "raises",
        /// The client came to no end.
        Hangs = "hangs",
    }
}

/// What one client did with one fault.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientReaction {
    /// The worst of it.
    pub outcome: ClientOutcome,
    /// The scenarios with this outcome.
    #[serde(default, rename = "in")]
    pub scenarios: Vec<String>,
    /// What was seen there.
    #[serde(default)]
    pub detail: String,
}

/// All that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientMeasurements {
    /// The clients, in the order of tables.
    pub clients: Vec<MeasuredClient>,
    /// What each did, by the fault's id and the client's.
    pub faults: BTreeMap<String, BTreeMap<String, ClientReaction>>,
}

/// All that was measured. None only where the file in this library is broken, which a test rules out.
pub fn client_measurements() -> Option<&'static ClientMeasurements> {
    static MEASUREMENTS: LazyLock<Option<ClientMeasurements>> =
        LazyLock::new(|| serde_json::from_str(include_str!("clients.json")).ok());
    MEASUREMENTS.as_ref()
}

impl ClientMeasurements {
    /// What each client did with the fault of this id, in the order of tables. Empty where it was not measured.
    pub fn reactions(&self, fault: &str) -> Vec<(&MeasuredClient, &ClientReaction)> {
        let Some(by_client) = self.faults.get(fault) else { return Vec::new() };
        self.clients.iter().filter_map(|client| Some((client, by_client.get(&client.id)?))).collect()
    }
}

impl ProtocolCheck {
    /// What each client did with the fault that this check sees.
    pub fn reactions(self) -> Vec<(&'static MeasuredClient, &'static ClientReaction)> {
        client_measurements().map(|all| all.reactions(self.id())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_well_formed_and_names_only_checks_and_clients() {
        let all: ClientMeasurements =
            serde_json::from_str(include_str!("clients.json")).expect("scripts/clients/run wrote it");
        assert_eq!(client_measurements(), Some(&all));
        for (fault, by_client) in &all.faults {
            // What bears this name breaks no rule, and has no check.
            let harmless = fault.starts_with("raw.");
            assert!(harmless || ProtocolCheck::ALL.iter().any(|check| check.id() == fault), "{fault} is no check");
            for (id, reaction) in by_client {
                assert!(all.clients.iter().any(|client| client.id == *id), "{fault}: {id} is no client");
                let says = !reaction.detail.is_empty() && !reaction.scenarios.is_empty();
                assert_eq!(says, reaction.outcome > ClientOutcome::Same, "{fault}, {id}: {reaction:?}");
            }
        }
    }

    #[test]
    fn a_check_without_a_measured_fault_has_no_reactions() {
        let nameless = ProtocolCheck::EventNameMissing.reactions();
        assert_eq!(nameless.len(), client_measurements().map_or(0, |all| all.clients.len()));
        assert_eq!(
            ProtocolCheck::EventNameMissing.reactions().first().map(|(client, _)| client.id.as_str()),
            Some("python")
        );
    }
}
