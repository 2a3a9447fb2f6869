//! What a run against a simulated server showed: [`RunObservation`] has the verdicts, and the
//! requests in which the server acted on each row.
//!
//! Only this file combines the recording of the engine with the activity log of the simulator. The
//! `request-id` header links them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

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
    /// The requests and responses themselves.
    pub recording: Option<Recording>,
}

impl RunObservation {
    pub fn new(recording: Recording, results: Results, activity: FieldActivity) -> Self {
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
        Self { rows, partial, requests, activity, recording: Some(recording) }
    }

    /// Whether the server acted on `row` in a request of the experiment `within`, or in one of its
    /// arms.
    pub fn acted_on(&self, row: &str, within: &str, arm: Option<ArmKind>) -> bool {
        let Some(ids) = self.activity.get(row) else { return false };
        let requests = self.requests.get(within).map(Vec::as_slice).unwrap_or_default();
        requests.iter().any(|(other, id)| arm.is_none_or(|arm| arm == *other) && ids.contains(id))
    }

    /// The rows and probes with a request in which the server acted on the field of a row.
    pub fn rows_with_field(&self, field: &str) -> BTreeSet<&str> {
        let rows = self.requests.keys().map(String::as_str);
        rows.filter(|row| self.acted_on(field, row, None)).collect()
    }

    /// The exchanges in which the server acted on the field of a row.
    pub fn exchanges_with_field(&self, field: &str) -> Vec<&Exchange> {
        let Some(ids) = self.activity.get(field) else { return Vec::new() };
        let exchanges = self.recording.iter().flat_map(|recording| &recording.exchanges);
        exchanges.filter(|exchange| request_id(exchange).is_some_and(|id| ids.contains(id))).collect()
    }

    /// The rows with a response that no equal request got in the other run.
    pub fn rows_with_new_responses(&self, other: &Self) -> BTreeSet<&str> {
        let (Some(recording), Some(earlier)) = (&self.recording, &other.recording) else { return BTreeSet::new() };
        let earlier: HashSet<_> = earlier.exchanges.iter().map(request_and_response).collect();
        let new = recording.exchanges.iter().filter(|exchange| !earlier.contains(&request_and_response(exchange)));
        let new: HashSet<&str> = new.map(|exchange| exchange.id.as_str()).collect();
        let trials = recording.trials.iter().filter(|t| t.exchanges.iter().any(|id| new.contains(id.as_str())));
        trials.map(|trial| trial.key.row.as_str()).collect()
    }
}

/// Headers that differ in every response.
const UNIQUE_HEADERS: [&str; 2] = ["date", "request-id"];

/// A request and its last response, without what differs in every response.
fn request_and_response(exchange: &Exchange) -> (String, String, Vec<u8>) {
    let request = serde_json::to_string(&exchange.request).unwrap_or_default();
    match exchange.last_attempt().map(|attempt| &attempt.result) {
        Some(AttemptResult::Response(response)) => {
            let headers = response.headers.iter().filter(|(name, _)| !UNIQUE_HEADERS.contains(&name.as_str()));
            let head = format!("{} {:?} {:?}", response.status, headers.collect::<Vec<_>>(), response.cut);
            (request, head, response.body.0.clone())
        }
        Some(AttemptResult::Failure(failure)) => (request, failure.kind.to_string(), Vec::new()),
        None => (request, String::new(), Vec::new()),
    }
}

/// The id that the server gave to an exchange.
fn request_id(exchange: &Exchange) -> Option<&str> {
    match &exchange.last_attempt()?.result {
        AttemptResult::Response(response) => response.header("request-id"),
        AttemptResult::Failure(_) => None,
    }
}
