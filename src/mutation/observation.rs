//! What a run against a simulated server showed: [`RunObservation`] has the verdicts, and the
//! requests in which the server acted on each row.
//!
//! Only this file combines the recording of the engine with the activity log of the simulator. The
//! `request-id` header links them.

use std::collections::{BTreeMap, HashMap};

use crate::recording::run::{ArmKind, Recording, RunEnd};
use crate::results::model::{Results, RowResult};
use crate::simulator::FieldActivity;
use crate::wire::exchange::{AttemptResult, Exchange};

/// The part of a run that mutation testing compares.
#[derive(Debug, Clone, Default)]
pub(super) struct RunObservation {
    /// The results of the rows, by id.
    pub rows: BTreeMap<String, RowResult>,
    /// Why the run is partial, if it is.
    pub partial: Option<String>,
    /// For each row, its requests: the arm, and the id from the server.
    pub(super) requests: HashMap<String, Vec<(ArmKind, String)>>,
    pub(super) activity: FieldActivity,
}

impl RunObservation {
    pub fn new(recording: &Recording, results: Results, activity: FieldActivity) -> Self {
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
            .then(|| results.partial.clone().unwrap_or_else(|| "the run ended early".to_owned()));
        let rows = results.rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        Self { rows, partial, requests, activity }
    }

    /// Adds the other rows of another run against the same server.
    pub fn merge(&mut self, other: Self) {
        self.partial = self.partial.take().or(other.partial);
        for (id, row) in other.rows {
            self.rows.entry(id).or_insert(row);
        }
        for (id, requests) in other.requests {
            self.requests.entry(id).or_insert(requests);
        }
    }

    /// Whether the server acted on `row` in a request of the experiment `within`, or in one of its
    /// arms.
    pub fn acted_on(&self, row: &str, within: &str, arm: Option<ArmKind>) -> bool {
        let Some(ids) = self.activity.get(row) else { return false };
        let requests = self.requests.get(within).map(Vec::as_slice).unwrap_or_default();
        requests.iter().any(|(other, id)| arm.is_none_or(|arm| arm == *other) && ids.contains(id))
    }
}

/// The id that the server gave to an exchange.
fn request_id(exchange: &Exchange) -> Option<&str> {
    match &exchange.last_attempt()?.result {
        AttemptResult::Response(response) => response.header("request-id"),
        AttemptResult::Failure(_) => None,
    }
}
