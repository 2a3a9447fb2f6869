//! [`TrialIndex`]: the trials and upstream calls of a recording, by row and label.
//!
//! It only arranges the records. It must not decide a row.

use std::collections::{HashMap, HashSet};

use crate::catalog::{ApiDialect, GatewayRow};
use crate::gateway::client_response::ClientResponse;
use crate::gateway::upstream::script::UpstreamRoute;
use crate::recording::gateway::{GatewayTrial, TrialKind, UpstreamCall};
use crate::variables::correlation_values::{REPLY_PREFIX, find_labels};

/// Trials by row, and upstream calls by the label of their trial.
pub(super) struct TrialIndex<'a> {
    /// The API that the upstream speaks.
    pub dialect: ApiDialect,
    trials: HashMap<(&'a str, TrialKind), Vec<&'a GatewayTrial>>,
    calls: HashMap<&'a str, Vec<&'a UpstreamCall>>,
    /// Calls without the label of a request.
    pub uncorrelated: Vec<&'a UpstreamCall>,
    replies: HashSet<&'a str>,
    controls: HashMap<&'a str, &'a str>,
}

impl<'a> TrialIndex<'a> {
    /// Arranges trials and calls. `controls` is the result of [`assign_controls`].
    pub(super) fn new(
        dialect: ApiDialect,
        controls: HashMap<&'a str, &'a str>,
        trials: &'a [GatewayTrial],
        calls: &'a [UpstreamCall],
    ) -> Self {
        let mut index = Self {
            dialect,
            trials: HashMap::new(),
            calls: HashMap::new(),
            uncorrelated: Vec::new(),
            replies: HashSet::new(),
            controls,
        };
        // A request that was in flight when the run was stopped shows nothing.
        for trial in trials.iter().filter(|trial| !trial.exchange.is_stopped()) {
            index.trials.entry((&trial.row, trial.arm)).or_default().push(trial);
            index.replies.extend(trial.values.get("reply").map(String::as_str));
        }
        // Sorted by number, because concurrent trials end in any order.
        index.trials.values_mut().for_each(|trials| trials.sort_by_key(|trial| trial.trial));
        for call in calls {
            for label in &call.labels {
                index.calls.entry(label).or_default().push(call);
            }
            if call.labels.is_empty() {
                index.uncorrelated.push(call);
            }
        }
        index
    }

    /// Adds reply words of trials that are not in this index.
    pub(super) fn with_replies(mut self, replies: &'a [String]) -> Self {
        self.replies.extend(replies.iter().map(String::as_str));
        self
    }

    /// The trials of one kind of a row, in order.
    pub(super) fn trials(&self, row: &str, kind: TrialKind) -> &[&'a GatewayTrial] {
        // A search, because a lookup would require a key with the lifetime of the recording.
        self.trials.iter().find(|((id, of_kind), _)| *id == row && *of_kind == kind).map_or(&[], |(_, trials)| trials)
    }

    /// Every trial.
    pub(super) fn all_trials(&self) -> impl Iterator<Item = &'a GatewayTrial> + '_ {
        self.trials.values().flatten().copied()
    }

    /// The last attempt of the plain request at the start of the run.
    pub(super) fn first_trial(&self) -> Option<&'a GatewayTrial> {
        self.all_trials().filter(|trial| trial.arm == TrialKind::First).max_by_key(|trial| trial.trial)
    }

    /// The calls that contain the label of a trial.
    pub(super) fn calls(&self, trial: &GatewayTrial) -> &[&'a UpstreamCall] {
        let label = trial.values.get("label").map_or("", String::as_str);
        self.calls.get(label).map_or(&[], Vec::as_slice)
    }

    /// The calls with the label of a trial that are requests to a model, or for the list of models.
    pub(super) fn model_calls(&self, trial: &GatewayTrial) -> Vec<&'a UpstreamCall> {
        let route = |call: &UpstreamCall| UpstreamRoute::from_request(&call.method, &call.path);
        let is_count = |call: &&UpstreamCall| route(call) == UpstreamRoute::CountTokens;
        let calls: Vec<&UpstreamCall> = self
            .calls(trial)
            .iter()
            .filter(|call| route(call).is_model_call(self.dialect) || route(call) == UpstreamRoute::Models)
            .copied()
            .collect();
        // A gateway may count the tokens of a prompt before it sends the request itself.
        let request = &trial.exchange.request;
        let requests_count =
            UpstreamRoute::from_request(request.method.as_str(), &request.path) == UpstreamRoute::CountTokens;
        if requests_count || calls.iter().all(is_count) {
            calls
        } else {
            calls.into_iter().filter(|call| !is_count(call)).collect()
        }
    }

    /// The control trials of a row, from before and after its treatment.
    pub(super) fn control_trials(&self, row: &str) -> Vec<&'a GatewayTrial> {
        let control = self.controls.get(row).copied().unwrap_or(row);
        self.trials(control, TrialKind::Control).iter().chain(self.trials(control, TrialKind::After)).copied().collect()
    }

    /// True if the client got the response to another request.
    pub(super) fn is_foreign_response(&self, trial: &GatewayTrial, response: &ClientResponse) -> bool {
        let ClientResponse::Received(response) = response else { return false };
        let own_reply = trial.values.get("reply").map_or("", String::as_str);
        let json = response.json.to_string();
        let headers = response.headers.iter().map(|(_, value)| value.as_str());
        headers
            .chain([response.text.as_str(), json.as_str()])
            .flat_map(|text| find_labels(text, REPLY_PREFIX))
            .any(|reply| reply != own_reply && self.replies.contains(reply))
    }
}

/// The control of each row: the control of the first row with the same base.
pub(super) fn assign_controls<'a>(rows: &[&'a GatewayRow]) -> HashMap<&'a str, &'a str> {
    let mut bases: Vec<&GatewayRow> = Vec::new();
    let mut controls = HashMap::new();
    for row in rows.iter().filter(|row| row.request.is_some()) {
        let first = match bases.iter().find(|other| other.base == row.base) {
            Some(first) => first.id(),
            None => {
                bases.push(row);
                row.id()
            }
        };
        controls.insert(row.id(), first);
    }
    controls
}
