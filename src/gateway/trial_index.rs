//! A recording, arranged for who decides rows. Only arranges; it judges nothing.

use std::collections::{HashMap, HashSet};

use crate::catalog::{ApiDialect, GatewayRow};
use crate::gateway::upstream::script::UpstreamRoute;
use crate::recording::gateway::{GatewayTrial, TrialKind, UpstreamCall};
use crate::variables::correlation_values::{REPLY_PREFIX, find_labels};

/// Trials and calls, by what they belong to.
pub(super) struct TrialIndex<'a> {
    /// The API that the upstream speaks.
    pub shape: ApiDialect,
    trials: HashMap<(&'a str, TrialKind), Vec<&'a GatewayTrial>>,
    calls: HashMap<&'a str, Vec<&'a UpstreamCall>>,
    /// Calls without the label of any request.
    pub uncorrelated: Vec<&'a UpstreamCall>,
    replies: HashSet<&'a str>,
    controls: HashMap<&'a str, &'a str>,
}

impl<'a> TrialIndex<'a> {
    /// Arranges what there is.
    pub(super) fn new(
        shape: ApiDialect,
        controls: HashMap<&'a str, &'a str>,
        trials: &'a [GatewayTrial],
        calls: &'a [UpstreamCall],
    ) -> Self {
        let mut book = Self {
            shape,
            trials: HashMap::new(),
            calls: HashMap::new(),
            uncorrelated: Vec::new(),
            replies: HashSet::new(),
            controls,
        };
        for trial in trials {
            book.trials.entry((&trial.row, trial.arm)).or_default().push(trial);
            book.replies.extend(trial.values.get("reply").map(String::as_str));
        }
        // By number, not by the order in which answers happened to come.
        book.trials.values_mut().for_each(|of| of.sort_by_key(|trial| trial.trial));
        for call in calls {
            for label in &call.labels {
                book.calls.entry(label).or_default().push(call);
            }
            if call.labels.is_empty() {
                book.uncorrelated.push(call);
            }
        }
        book
    }

    /// Adds reply words of trials that are not here.
    pub(super) fn with_replies(mut self, replies: &'a [String]) -> Self {
        self.replies.extend(replies.iter().map(String::as_str));
        self
    }

    /// The trials of a row's arm, in order.
    pub(super) fn trials(&self, row: &str, arm: TrialKind) -> &[&'a GatewayTrial] {
        // The key's lifetime is that of the recording, which a search does not need.
        self.trials.iter().find(|((of, kind), _)| *of == row && *kind == arm).map_or(&[], |(_, trials)| trials)
    }

    /// Every trial.
    pub(super) fn all_trials(&self) -> impl Iterator<Item = &'a GatewayTrial> + '_ {
        self.trials.values().flatten().copied()
    }

    /// The first question of the run, as it was asked last.
    pub(super) fn first_trial(&self) -> Option<&'a GatewayTrial> {
        self.all_trials().filter(|trial| trial.arm == TrialKind::First).max_by_key(|trial| trial.trial)
    }

    /// The calls that hold a trial's label.
    pub(super) fn calls(&self, trial: &GatewayTrial) -> &[&'a UpstreamCall] {
        let label = trial.values.get("label").map_or("", String::as_str);
        self.calls.get(label).map_or(&[], Vec::as_slice)
    }

    /// Those of them that ask a model something, in this shape.
    pub(super) fn model_calls(&self, trial: &GatewayTrial) -> Vec<&'a UpstreamCall> {
        let asks = |call: &&&UpstreamCall| {
            let route = UpstreamRoute::from_request(&call.method, &call.path);
            route.is_model_call(self.shape) || route == UpstreamRoute::Models
        };
        let asked: Vec<&UpstreamCall> = self.calls(trial).iter().filter(asks).copied().collect();
        // Who sizes a prompt before sending it has asked something else.
        let is_count =
            |call: &&UpstreamCall| UpstreamRoute::from_request(&call.method, &call.path) == UpstreamRoute::CountTokens;
        let request = &trial.exchange.request;
        let asks_for_count =
            UpstreamRoute::from_request(request.method.as_str(), &request.path) == UpstreamRoute::CountTokens;
        match asks_for_count || asked.iter().all(is_count) {
            true => asked,
            false => asked.into_iter().filter(|call| !is_count(call)).collect(),
        }
    }

    /// The trials of a row's control, before and after.
    pub(super) fn control_trials(&self, row: &str) -> Vec<&'a GatewayTrial> {
        let of = self.controls.get(row).copied().unwrap_or(row);
        self.trials(of, TrialKind::Control).iter().chain(self.trials(of, TrialKind::After)).copied().collect()
    }

    /// A reply in a text that belongs to another trial.
    pub(super) fn foreign_reply<'t>(&self, text: &'t str, own: &str) -> Option<&'t str> {
        find_labels(text, REPLY_PREFIX).find(|reply| *reply != own && self.replies.contains(reply))
    }
}

/// The control of each row: that of the first row with the same base.
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
