//! The measured reactions of real clients to protocol faults: [`ClientMeasurements`].
//!
//! `scripts/clients/run` writes them to `clients.json`; `docs/clients.md` describes the method.
//! They are only documentation. Checks and runs must not depend on them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A measured client.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredClient {
    /// A short name for tables.
    pub id: String,
    /// The full name.
    pub name: String,
    /// The measured version.
    pub version: String,
}

/// The worst outcome of all scenarios of a client, compared with the same scenarios without the
/// fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientOutcome {
    /// The fault never reached this client.
    Unreached,
    /// No difference.
    Same,
    /// A different message or error.
    Differs,
    /// An error instead of a message.
    Raises,
    /// The client did not end within the timeout.
    Hangs,
}

/// The reaction of one client to one fault.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientReaction {
    /// The worst outcome.
    pub outcome: ClientOutcome,
    /// The scenarios with this outcome.
    #[serde(default, rename = "in")]
    pub scenarios: Vec<String>,
    /// The observation in these scenarios.
    #[serde(default)]
    pub detail: String,
}

/// All measurements.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientMeasurements {
    /// The clients, in the order of tables.
    pub clients: Vec<MeasuredClient>,
    /// The reactions by the id of the fault and the id of the client.
    pub faults: BTreeMap<String, BTreeMap<String, ClientReaction>>,
}

/// Returns all measurements.
pub fn client_measurements() -> ClientMeasurements {
    serde_json::from_str(include_str!("../../../src/checks/clients.json")).unwrap()
}

impl ClientMeasurements {
    /// Returns the reactions to a fault in the order of tables. Empty if the fault was not
    /// measured.
    pub fn reactions(&self, fault: &str) -> Vec<(&MeasuredClient, &ClientReaction)> {
        let Some(by_client) = self.faults.get(fault) else { return Vec::new() };
        self.clients.iter().filter_map(|client| Some((client, by_client.get(&client.id)?))).collect()
    }
}

#[test]
fn the_measurements_contain_only_known_checks_and_clients() {
    let all = client_measurements();
    for (fault, by_client) in &all.faults {
        // Faults with this prefix break no rule and have no check.
        let harmless = fault.starts_with("raw.");
        assert!(
            harmless || fieldtest::checks::ProtocolCheck::ALL.iter().any(|check| check.id() == fault),
            "{fault} is not a check"
        );
        for (id, reaction) in by_client {
            assert!(all.clients.iter().any(|client| client.id == *id), "{fault}: {id} is not a client");
            let has_detail = !reaction.detail.is_empty() && !reaction.scenarios.is_empty();
            assert_eq!(has_detail, reaction.outcome > ClientOutcome::Same, "{fault}, {id}: {reaction:?}");
        }
    }
}

#[test]
fn a_measured_check_has_a_reaction_of_each_client() {
    let all = client_measurements();
    let reactions = all.reactions(fieldtest::checks::ProtocolCheck::EventNameMissing.id());
    assert_eq!(reactions.len(), all.clients.len());
    assert_eq!(reactions[0].0.id, "python");
}
