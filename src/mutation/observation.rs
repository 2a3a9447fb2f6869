//! What a run against a simulated server showed: the verdicts, and which of a row's own requests the server acted on.
//!
//! The one place where what the engine recorded and what the simulator noted meet: by the `request-id` that the
//! simulator sends with each answer.

use std::collections::{BTreeMap, HashMap};

use crate::recording::run::{ArmKind, Recording, RunEnd};
use crate::results::model::{Results, RowResult};
use crate::simulator::FieldActivity;
use crate::wire::exchange::{AttemptResult, Exchange};

/// A run, as far as a proof looks at it.
#[derive(Debug, Clone, Default)]
pub(super) struct RunObservation {
    /// The rows, by id.
    pub rows: BTreeMap<String, RowResult>,
    /// Why the run is not whole, where it is not.
    pub partial: Option<String>,
    /// Each row's requests: the arm that they belong to, and the ids that the server gave them.
    pub(super) requests: HashMap<String, Vec<(ArmKind, String)>>,
    pub(super) activity: FieldActivity,
}

impl RunObservation {
    pub fn new(recording: &Recording, results: Results, acted: FieldActivity) -> Self {
        let ids: HashMap<&str, &str> =
            recording.exchanges.iter().filter_map(|e| Some((e.id.as_str(), request_id(e)?))).collect();
        let mut requests: HashMap<String, Vec<(ArmKind, String)>> = HashMap::new();
        for trial in &recording.trials {
            let sent = trial.exchanges.iter().filter_map(|exchange| ids.get(exchange.as_str()));
            let of_row = requests.entry(trial.key.row.clone()).or_default();
            of_row.extend(sent.map(|id| (trial.key.arm, (*id).to_owned())));
        }
        let ended = recording.footer.as_ref().map(|footer| footer.ended);
        let partial = (ended != Some(RunEnd::Complete))
            .then(|| results.partial.clone().unwrap_or_else(|| "the run did not come to its end".to_owned()));
        let rows = results.rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        Self { rows, partial, requests, activity: acted }
    }

    /// Adds what another run against the same server showed of other rows.
    pub fn merge(&mut self, other: Self) {
        self.partial = self.partial.take().or(other.partial);
        for (id, row) in other.rows {
            self.rows.entry(id).or_insert(row);
        }
        for (id, requests) in other.requests {
            self.requests.entry(id).or_insert(requests);
        }
    }

    /// True where the server acted on `row` in a request of the experiment that decides `within`; of one arm alone,
    /// where one is named.
    pub fn acted_on(&self, row: &str, within: &str, arm: Option<ArmKind>) -> bool {
        let Some(acted) = self.activity.get(row) else { return false };
        let requests = self.requests.get(within).map(Vec::as_slice).unwrap_or_default();
        requests.iter().any(|(of, id)| arm.is_none_or(|arm| arm == *of) && acted.contains(id))
    }
}

/// The id that the server gave to an exchange.
fn request_id(exchange: &Exchange) -> Option<&str> {
    match &exchange.last_attempt()?.result {
        AttemptResult::Response(response) => response.header("request-id"),
        AttemptResult::Failure(_) => None,
    }
}
