//! Sends requests before the rules need them, in slots that no row waits for: `--eager`.
//!
//! A trial exists only after the rules have asked for it, so these requests change no verdict. The
//! responses wait among the shared requests until a trial needs them. This module must not record
//! trials.

use std::cmp::Reverse;
use std::sync::atomic::AtomicBool;

use futures_util::future::join_all;

use crate::catalog::{ArmComparison, CatalogRow, Experiment};
use crate::client::MessagesEndpoint;
use crate::engine::request::arms;
use crate::engine::rules;
use crate::engine::rules::RunFacts;
use crate::engine::run::RowRunner;
use crate::engine::run::scheduler::{RowSlot, estimate_requests};
use crate::engine::trial::CompletedTrial;
use crate::recording::run::{ArmKind, TrialKey};

impl<E: MessagesEndpoint> RowRunner<'_, E> {
    /// True if requests may be sent early. With a limited budget, each request must be needed.
    fn is_eager(&self) -> bool {
        self.options.eager && !self.options.budget.is_bounded()
    }

    /// The trials that a row probably needs after the next one. Empty if none can be sent now.
    pub(super) fn predict_next_trials(
        &self,
        experiment: &Experiment,
        trials: &[CompletedTrial],
        facts: &RunFacts,
    ) -> Vec<TrialKey> {
        // Responses whose times are compared must not wait for each other.
        let compares_times = matches!(experiment.compare, Some(ArmComparison::Gradual));
        if !self.is_eager() || compares_times || !self.scheduler.has_free_slot() {
            return Vec::new();
        }
        let predicted = rules::predict_trials(experiment, trials, facts).into_iter().skip(1);
        predicted.map(|trial| trial.key(experiment)).filter(can_prefetch).collect()
    }

    /// Sends the requests of the first trial of each row while the probes run. An endpoint that has
    /// answered no request gets none.
    pub(super) async fn prefetch_first_trials(
        &self,
        rows: &[&CatalogRow],
        text_form_trials: &[CompletedTrial],
        is_needed: &AtomicBool,
    ) {
        if !self.is_eager() || !text_form_trials.iter().any(|trial| trial.message().is_some()) {
            return;
        }
        let mut experiments: Vec<&Experiment> = rows.iter().map(|row| &row.experiment).collect();
        experiments.sort_by_key(|experiment| Reverse(estimate_requests(experiment)));
        let mut prefetches = Vec::new();
        for experiment in experiments {
            // If there is a model, no first trial depends on the facts of the run.
            let first = rules::predict_trials(experiment, &[], &RunFacts::default()).into_iter().next();
            let Some(key) = first.map(|first| first.key(experiment)).filter(can_prefetch) else { continue };
            let Some(slot) = self.scheduler.take_free_slot() else { break };
            prefetches.push(self.prefetch_trial(experiment, key, slot, is_needed));
        }
        join_all(prefetches).await;
    }

    /// Sends the requests of a trial, as long as the trial may be needed.
    pub(super) async fn prefetch_trial(
        &self,
        experiment: &Experiment,
        key: TrialKey,
        slot: RowSlot<'_>,
        is_needed: &AtomicBool,
    ) {
        let layers = arms::layers(experiment, key.variant.as_deref(), key.arm);
        self.send_trial(experiment, &layers, &key, &slot, is_needed).await;
    }
}

/// True if the requests of a trial can be sent early. The control after an error must follow it, and
/// the requests with the endpoint's own block are not shared.
fn can_prefetch(key: &TrialKey) -> bool {
    !matches!(key.arm, ArmKind::After | ArmKind::Genuine)
}
