//! A recording, arranged for who decides rows. Only arranges; it judges nothing.

use std::collections::{HashMap, HashSet};

use crate::catalog::{GatewayRow, Shape};
use crate::gateway::upstream::script::Route;
use crate::gateway::values;
use crate::gateway::values::REPLY;
use crate::recording::gateway::{Arm, Call, TrialRecord};

/// Trials and calls, by what they belong to.
pub(super) struct Book<'a> {
    /// The API that the upstream speaks.
    pub shape: Shape,
    trials: HashMap<(&'a str, Arm), Vec<&'a TrialRecord>>,
    calls: HashMap<&'a str, Vec<&'a Call>>,
    /// Calls without the label of any request.
    pub own: Vec<&'a Call>,
    replies: HashSet<&'a str>,
    controls: HashMap<&'a str, &'a str>,
}

impl<'a> Book<'a> {
    /// Arranges what there is.
    pub(super) fn new(
        shape: Shape,
        controls: HashMap<&'a str, &'a str>,
        trials: &'a [TrialRecord],
        calls: &'a [Call],
    ) -> Self {
        let mut book = Self {
            shape,
            trials: HashMap::new(),
            calls: HashMap::new(),
            own: Vec::new(),
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
                book.own.push(call);
            }
        }
        book
    }

    /// Adds reply words of trials that are not here.
    pub(super) fn knowing(mut self, replies: &'a [String]) -> Self {
        self.replies.extend(replies.iter().map(String::as_str));
        self
    }

    /// The trials of a row's arm, in order.
    pub(super) fn trials(&self, row: &str, arm: Arm) -> &[&'a TrialRecord] {
        // The key's lifetime is that of the recording, which a search does not need.
        self.trials.iter().find(|((of, kind), _)| *of == row && *kind == arm).map_or(&[], |(_, trials)| trials)
    }

    /// Every trial.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a TrialRecord> + '_ {
        self.trials.values().flatten().copied()
    }

    /// The first question of the run, as it was asked last.
    pub(super) fn first(&self) -> Option<&'a TrialRecord> {
        self.all().filter(|trial| trial.arm == Arm::First).max_by_key(|trial| trial.trial)
    }

    /// The calls that hold a trial's label.
    pub(super) fn calls(&self, trial: &TrialRecord) -> &[&'a Call] {
        let label = trial.values.get("label").map_or("", String::as_str);
        self.calls.get(label).map_or(&[], Vec::as_slice)
    }

    /// Those of them that ask a model something, in this shape.
    pub(super) fn questions(&self, trial: &TrialRecord) -> Vec<&'a Call> {
        let asks = |call: &&&Call| {
            let route = Route::of(&call.method, &call.path);
            route.is_question(self.shape) || route == Route::Models
        };
        let asked: Vec<&Call> = self.calls(trial).iter().filter(asks).copied().collect();
        // Who sizes a prompt before sending it has asked something else.
        let is_count = |call: &&Call| Route::of(&call.method, &call.path) == Route::CountTokens;
        let request = &trial.exchange.request;
        let asks_for_count = Route::of(request.method.word(), &request.path) == Route::CountTokens;
        match asks_for_count || asked.iter().all(is_count) {
            true => asked,
            false => asked.into_iter().filter(|call| !is_count(call)).collect(),
        }
    }

    /// The trials of a row's control, before and after.
    pub(super) fn controls(&self, row: &str) -> Vec<&'a TrialRecord> {
        let of = self.controls.get(row).copied().unwrap_or(row);
        self.trials(of, Arm::Control).iter().chain(self.trials(of, Arm::After)).copied().collect()
    }

    /// A reply in a text that belongs to another trial.
    pub(super) fn stranger<'t>(&self, text: &'t str, own: &str) -> Option<&'t str> {
        values::marks(text, REPLY).find(|reply| *reply != own && self.replies.contains(reply))
    }
}

/// The control of each row: that of the first row with the same base.
pub(super) fn controls<'a>(rows: &[&'a GatewayRow]) -> HashMap<&'a str, &'a str> {
    let mut bases: Vec<&GatewayRow> = Vec::new();
    let mut controls = HashMap::new();
    for row in rows.iter().filter(|row| row.send.is_some()) {
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
